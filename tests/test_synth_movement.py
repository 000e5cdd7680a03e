"""Movement over the day: exact in number, possible in speed, and like a day that is lived."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen.synth.draws import BLOCK
from leftopen.synth.movement import MAX_MEAN, quota
from leftopen.synth.places import KINDS, SIDE_M
from leftopen.synth.sensenets import sample

FASTEST_M_S = 15  # 54 km/h door to door: more than a bus in a town does


@pytest.fixture(scope="module")
def tables():
    return sample(seed=3, people=20_000, positions=52_080, trackers=200)


@pytest.fixture(scope="module")
def positions(tables):
    return (
        tables.positions.to_pandas()
        .merge(tables.trackers.to_pandas().rename(columns={"_id": "tracker"}), on="tracker")
        .sort_values(["person", "at"], kind="stable", ignore_index=True)
    )


def speeds(positions):
    """Metres a second between two sightings of a person one after the other; 0 on the spot."""
    gap = positions.groupby("person")[["x", "y"]].diff()
    metres = np.hypot(gap.x, gap.y)
    seconds = positions.groupby("person")["at"].diff().dt.total_seconds()
    return metres.where(metres > 0) / seconds


@settings(max_examples=30, deadline=None)
@given(people=st.integers(1, 40_000), mean=st.floats(0, 6), seed=st.integers(0, 2**64 - 1))
def test_there_are_exactly_as_many_as_asked_for(people, mean, seed):
    wanted = int(people * mean)
    made = sample(seed, people, wanted, 20).positions
    assert len(made) == wanted
    assert not wanted or made["person"].to_numpy().max() <= people


@settings(deadline=None)
@given(people=st.integers(1, 100_000), positions=st.integers(0, 10_000_000))
def test_the_quotas_of_the_blocks_add_up(people, positions):
    quotas = [quota(block, people, positions) for block in range(-(-people // BLOCK))]
    assert sum(quotas) == positions
    assert min(quotas) >= 0


def test_one_person_can_take_the_most_that_may_be_asked_for():
    assert len(sample(1, 1, MAX_MEAN, 20).positions) == MAX_MEAN


def test_some_are_never_seen_some_sometimes_some_often(tables):
    counts = np.bincount(tables.positions["person"].to_numpy(), minlength=20_001)[1:]
    assert 0.15 < (counts == 0).mean() < 0.45
    assert ((counts > 0) & (counts <= 4)).mean() > 0.3
    assert 0.02 < (counts >= 8).mean() < 0.2


def test_rows_are_in_the_order_of_person_then_time(tables):
    rows = tables.positions.select(["person", "at"])
    assert rows.equals(rows.sort_by([("person", "ascending"), ("at", "ascending")]))


def test_times_lie_within_the_day(positions):
    first, last = datetime(2019, 2, 12, tzinfo=UTC), datetime(2019, 2, 13, tzinfo=UTC)
    assert first <= positions["at"].min()
    assert positions["at"].max() < last
    assert len(np.unique(positions["at"].dt.microsecond // 1000)) == 1000, "milliseconds count"


def test_night_is_quiet_with_a_peak_in_the_morning_and_one_in_the_evening(positions):
    hours = np.bincount(positions["at"].dt.hour, minlength=24)
    night, morning, evening = hours[1:5].mean(), hours[6:9].max(), hours[16:20].max()
    assert night < 0.05 * min(morning, evening)
    between = hours[9:16].max()
    assert between < 0.7 * min(morning, evening)
    assert hours[9:16].min() > 0, "no hour of the day is empty"


def test_nobody_moves_faster_than_possible(positions):
    found = speeds(positions)
    assert found.notna().sum() > 5_000
    assert found.max() < FASTEST_M_S


def test_rows_without_a_plan_would_be_too_fast(positions):
    shuffled = positions.copy()
    mixed = np.random.default_rng(1).permutation(len(shuffled))
    shuffled[["x", "y"]] = positions[["x", "y"]].to_numpy()[mixed]
    assert speeds(shuffled).max() > 10 * FASTEST_M_S


def test_mornings_and_late_evenings_are_at_home_and_the_day_at_work(tables, positions):
    people = tables.people.to_pandas().set_index("_id")
    hour = positions["at"].dt.hour + positions["at"].dt.minute / 60
    home = positions[(hour < 5.5) | (hour > 22)]
    assert (home.kind == "home street").all()
    # One tracker at home for each person, and people of one quarter have the same one.
    quarter = people.homeAddress.str.extract(r"Quarter (\d+)")[0]
    assert (home.tracker.groupby(home.person).nunique() == 1).all()
    assert (home.tracker.groupby(home.person.map(quarter)).nunique() == 1).all()

    works = people.employer.astype(str) != "none"
    day = positions[(hour > 10) & (hour < 11.5)]
    assert (day[day.person.map(works)].kind == "workplace").all()
    assert (day[~day.person.map(works)].kind == "home street").all()
    at_work = positions[positions.kind == "workplace"]
    assert (at_work.tracker.groupby(at_work.person.map(people.employer)).nunique() <= 1).all()


def test_a_person_has_one_place_of_prayer(positions):
    prayer = positions[positions.place == "place of prayer"]
    assert (prayer.groupby("person").tracker.nunique() == 1).all()
    assert 0.01 < prayer.person.nunique() / 20_000 < 0.2


def test_every_kind_of_place_is_visited_and_agrees_with_its_tracker(positions):
    assert set(positions.place) == set(KINDS)
    assert (positions.place.astype(str) == positions.kind.astype(str)).all()


def test_trackers_stand_on_a_grid_in_metres(tables):
    trackers = tables.trackers.to_pylist()
    assert [tracker["_id"] for tracker in trackers] == list(range(1, 201))
    assert all(re.fullmatch(r"Tracker-\d{4}", tracker["name"]) for tracker in trackers)
    assert {tracker["kind"] for tracker in trackers} == set(KINDS)
    for axis in ("x", "y"):
        values = [tracker[axis] for tracker in trackers]
        assert 0 <= min(values) <= max(values) < SIDE_M
        assert max(values) - min(values) > SIDE_M / 2


@given(trackers=st.integers(len(KINDS), 300), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=25, deadline=None)
def test_the_trackers_do_not_depend_on_the_people(trackers, seed):
    one = sample(seed, 1, 0, trackers).trackers
    assert len(one) == trackers
    assert one == sample(seed, 50, 100, trackers).trackers
    assert set(one["kind"].to_pylist()) == set(KINDS)
