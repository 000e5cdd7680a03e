"""Exercise 06: what the log of question 6 holds is settled when its lab opens."""

import json

import pytest

from leftopen import checks, learner
from leftopen.checks.verdict import Kind

METADATA, ENDED, INTERRUPTED, SLOW, WIDENED = 51800, 22944, 20883, 51803, 48742

pytestmark = pytest.mark.needs("mongodb")


@pytest.fixture
def opened(tmp_path, monkeypatch):
    monkeypatch.setenv("LEFTOPEN_PROGRESS", str(tmp_path / "progress.sqlite3"))
    monkeypatch.setenv(learner.VARIABLE, "someone")
    ex = checks.exercise("06_see_what_a_stranger_sees")
    lab = ex.lab(6)
    yield ex, lab
    ex.close()


def test_every_visitor_is_gone_before_the_lab_is_handed_over(opened):
    ex, lab = opened
    lines = [json.loads(line) for line in lab.log.read_text(encoding="utf-8").splitlines()]
    place = {line["id"]: number for number, line in enumerate(lines)}
    names = {
        line["ctx"]: line["attr"]["doc"].get("application", {}).get("name")
        for line in lines
        if line["id"] == METADATA
    }
    own = {ctx for ctx, name in names.items() if name in ex.task(6)["visitors"]}
    assert {names[ctx] for ctx in own} == set(ex.task(6)["visitors"])
    ended = {line["ctx"]: number for number, line in enumerate(lines) if line["id"] == ENDED}
    assert own <= set(ended)
    # So no line can be added to them, and a visit before the log was widened has none of commands.
    early = {ctx for ctx in own if ended[ctx] < place[WIDENED]}
    late = {line["ctx"] for line in lines[place[WIDENED] :]} & own
    assert early
    assert late
    assert not early & late
    assert all(line["id"] != INTERRUPTED for line in lines if line["ctx"] in own)
    slow = [line for line in lines if line["id"] == SLOW and line["ctx"] in own]
    assert {line["ctx"] for line in slow} <= late


@pytest.mark.parametrize("name", ["typo", None, "maintenance"])
def test_a_name_that_is_no_visitor_is_told_as_such(opened, name):
    ex, lab = opened
    verdict = ex.check(6, lab, {name, ex.task(6)["visitors"][0]})
    assert verdict.kind is Kind.ERROR
    assert f"holds {name!r}" in verdict.text


def test_a_mistake_in_a_probe_is_no_missing_except(opened):
    ex, _ = opened
    verdict = ex.check(5, ex.lab(5), lambda uri: ex.task(5)["no such word"])
    assert verdict.kind is Kind.ERROR
    assert "mistake in your function" in verdict.text
    assert "KeyError" in verdict.text
