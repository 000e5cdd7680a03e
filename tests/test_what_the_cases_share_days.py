"""Exercise 04, question 4: logs in which each mistake shows, and numbers of days."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from cases_asked import exercise_of_someone, found

from leftopen.checks import what_the_cases_share_days as log_days
from leftopen.checks.verdict import Kind
from leftopen.synth import exposures


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


@pytest.mark.parametrize("number", [10 * n for n in range(20)])
def test_a_log_is_one_in_which_each_mistake_shows(number):
    number = log_days.number_for(number)
    log = exposures.log(number)
    bare = log[log["login"] == "none"]
    servers = bare.drop_duplicates("server")
    right = log_days.right(log)
    open_now = servers[servers["closed"].isna()]
    assert len(servers) % 2 == 1
    assert len(open_now) == exposures.OPEN
    since = pd.Timestamp(exposures.LAST) - open_now["open_since"]
    assert since.dt.days.min() > right
    assert len(bare) > len(servers)
    assert len(log) > len(bare)
    days = log[["open_since", "found", "told"]]
    assert (days["open_since"] <= days["found"]).all()
    assert (days["found"] <= days["told"]).all()
    closed = log.dropna(subset="closed")
    assert (closed["told"] <= closed["closed"]).all()
    others = log_days.others(log)
    assert right not in others.values()
    assert len(set(others.values())) == len(others)


def by_hand(log, keep, logins, begin, still):
    """A median of days with pandas, written apart from the check's own."""
    rows = log[log["login"].isin(logins)]
    rows = rows if keep is None else rows.drop_duplicates("server", keep=keep)
    days = (rows["closed"] - rows[begin]).dt.days
    return (days.dropna() if still is None else days.fillna(still)).median()


@pytest.mark.parametrize("number", [10 * n for n in range(20)])
def test_no_combination_of_slips_gives_the_right_number(number):
    log = exposures.log(log_days.number_for(number))
    right = log_days.right(log)
    ways = itertools.product(
        (None, "first", "last"), (["none"], ["none", "asked"]), ("open_since", "found", "told"),
        (None, 0, math.inf, 9999),
    )  # fmt: skip
    for keep, logins, begin, still in ways:
        is_right = keep and len(logins) == 1 and begin == "open_since" and still
        same = abs(by_hand(log, keep, logins, begin, still) - right) < 1
        assert same == bool(is_right), (keep, logins, begin, still)


def test_several_slips_are_named_together(ex):
    log = exposures.log(ex.task(4)["number"])
    days = by_hand(log, None, ["none", "asked"], "open_since", None)
    verdict = ex.check(4, float(days))
    assert "comes out if" in verdict.text
    lazy = by_hand(log, None, ["none"], "open_since", None)
    assert found(ex, 4, float(lazy)) == "several_slips"


def test_a_log_is_the_same_again_and_one_row_a_server_says_the_same():
    assert exposures.log(3).equals(exposures.log(3))
    log = exposures.log(3)
    assert not log.equals(exposures.log(4))
    each = log.groupby("server")[["login", "open_since", "closed"]].nunique(dropna=False)
    assert (each == 1).all().all()


@pytest.mark.parametrize("kind", [int, np.int64, np.float32])
def test_days_may_be_a_number_of_any_kind(ex, kind):
    right = log_days.right(exposures.log(ex.task(4)["number"]))
    assert ex.check(4, kind(right)).kind is Kind.RIGHT


@pytest.mark.parametrize("days", [0.0, -1.0, math.nan, math.inf, 1e9])
def test_other_numbers_of_days_are_not_the_median(ex, days):
    assert found(ex, 4, days) == "another_number_of_days"
