"""The feeder: it adds later events to a cluster, and never disturbs what runs beside it."""

import threading
import time
from itertools import islice

import pandas as pd
import pytest
from opensearchpy import OpenSearch
from waiting import until

from leftopen.cases import smart_city
from leftopen.cases.feeder import Feeder
from leftopen.checks import case_beijing_smart_city_growing as check
from leftopen.checks.case_beijing_smart_city_growing import QUESTION
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.errors import EngineFailed
from leftopen.lab_opensearch import quiet
from leftopen.synth.smart_city import later_events

pytestmark = pytest.mark.needs("opensearch")


@pytest.fixture(scope="module")
def lab():
    lab = smart_city.small_lab(seed=1, people=10, days=3)
    yield lab
    lab.close()


def later(lab):
    with OpenSearch(lab.inside.uri, timeout=30) as client:
        return client.count(index="*-2019.05*", ignore_unavailable=True)["count"]


def test_what_it_sends_is_there_in_order_and_a_second_feeder_goes_on(lab):
    first, second = Feeder(lab), Feeder(lab)
    before = later(lab)
    assert first.send(5) == 5
    assert second.send(7) == 7
    assert (first.sent, second.sent, later(lab)) == (5, 7, before + 12)
    index, event = next(islice(later_events(), before + 11, None))
    with OpenSearch(lab.inside.uri, timeout=30) as client:
        stored = client.get(index=index, id=event.pop("_id"))["_source"]
        fields = client.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    assert stored == event
    assert fields["at"]["type"] == "date"


def test_it_runs_by_itself_once_whoever_starts_it_and_stops(lab):
    first, second = Feeder(lab), Feeder(lab)
    first.start()
    first.start()
    named = [t for t in threading.enumerate() if t.name == "leftopen-feeder"]
    assert len(named) == 1
    assert named[0].daemon
    until(lambda: first.sent > 0)
    second.start()
    assert not first.is_running
    until(lambda: second.sent > 0)
    second.stop()
    second.stop()
    assert not second.is_running
    assert "not running" in repr(second)
    there = later(lab)
    time.sleep(1.2)
    assert later(lab) == there


def growing_but(raises_at, error=TypeError):
    """Looks twice, as is right, and fails in some of its calls."""
    calls = []

    def counts(client):
        rows = client.cat.indices(format="json")
        return {row["index"]: int(row["docs.count"] or 0) for row in rows}

    def growing(client):
        calls.append(client)
        before = counts(client)
        if len(calls) == 1 or len(calls) not in raises_at:
            time.sleep(2)
        if len(calls) in raises_at:
            raise error
        return {name for name, count in counts(client).items() if count > before.get(name, 0)}

    return growing


def test_an_index_in_the_making_has_no_count_and_that_is_nobodys_fault(lab):
    feeder = Feeder(lab)
    feeder.start()
    until(lambda: feeder.sent > 0)
    assert QUESTION.check(Attempt(Task()), lab, growing_but({1})) == "feeder_runs"
    feeder.stop()
    assert QUESTION.check(Attempt(Task()), lab, growing_but({2})) == RIGHT
    for error, calls in ((KeyError, {2}), (TypeError, {2, 3, 4})):
        with pytest.raises(error):
            QUESTION.check(Attempt(Task()), lab, growing_but(calls, error))


def in_a_table(client):
    table = pd.DataFrame(client.cat.indices(format="json")).set_index("index")
    return table["docs.count"].astype(int).to_dict()


def one_by_one(client):
    return {name: client.count(index=name)["count"] for name in client.indices.get(index="*")}


@pytest.mark.parametrize("look", [in_a_table, one_by_one])
def test_a_function_that_looks_all_the_time_is_right_though_it_meets_an_index_in_the_making(
    lab, look
):
    met = []

    def growing(client):
        first, grown, end = look(client), set(), time.monotonic() + 1.8
        while time.monotonic() < end:
            time.sleep(0.1)
            try:
                now = look(client)
            except Exception as error:
                met.append(error)
                raise
            grown |= {name for name in now if now[name] > first.get(name, 0)}
        return grown

    with quiet():
        assert QUESTION.check(Attempt(Task()), lab, growing) == RIGHT
    assert len(met) <= 1


def test_a_busy_machine_that_writes_too_late_is_asked_again_and_is_no_fault_of_the_function(
    lab, monkeypatch
):
    made = []

    def make_late(client, index):
        made.append(index)
        time.sleep(2.5 if len(made) <= 3 else 0)
        smart_city.make_index(client, index)

    monkeypatch.setattr(check, "make_index", make_late)
    assert QUESTION.check(Attempt(Task()), lab, growing_but(())) == RIGHT
    assert len(made) >= 4
    monkeypatch.setattr(check, "_awake", lambda *_: (set(), 2.0, True))
    with pytest.raises(BadAnswer, match="too busy"):
        QUESTION.check(Attempt(Task()), lab, growing_but(()))


def test_what_was_written_just_before_is_nobody_who_writes(lab):
    with OpenSearch(lab.inside.uri, timeout=30) as client:
        client.index(index="alarms-2019.04", body={"at": "2019-04-30T00:00:00Z"})
    with pytest.raises(LookupError):  # not "feeder_runs"
        QUESTION.check(Attempt(Task()), lab, growing_but({1}, LookupError))


def test_it_waits_for_a_cluster_that_restarts(lab):
    feeder = Feeder(lab)
    feeder.start()
    until(lambda: feeder.sent > 0)
    lab.configure("network.host: 127.0.0.1")
    sent = feeder.sent
    until(lambda: feeder.sent > sent)
    feeder.stop()
    assert feeder.problem == ""


def test_a_refusal_is_told_in_a_sentence_and_ends_it(capsys):
    files = smart_city.security_files("boss", "Long-enough-1")
    lab = smart_city.small_lab(1, smart_city.LOCKED, files, people=10, days=3)
    try:
        stranger, unknown = Feeder(lab), Feeder(lab, "nobody", "wrong")
        with pytest.raises(EngineFailed, match="does not know a feeder without a login"):
            stranger.send()
        with pytest.raises(EngineFailed, match="does not know the account 'nobody'"):
            unknown.send()
        unknown.start()
        until(lambda: not unknown.is_running)
        assert "does not know the account" in capsys.readouterr().out
        assert Feeder(lab, "boss", "Long-enough-1").send(3) == 3
    finally:
        lab.close()
    with pytest.raises(EngineFailed, match="does not answer"):
        stranger.send()
