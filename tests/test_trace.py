"""What a trace gives away: the same as plain pandas and as SQL, and wrong input told."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
import trace_plain as plain
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen import trace
from leftopen.errors import DataError
from leftopen.synth.sensenets import sample
from leftopen.trace import search

START = datetime(2019, 2, 12, tzinfo=UTC)
PLACES = ("home street", "workplace", "hotel")


def rows(*seen):
    """Positions of (person, tracker, minutes since midnight)."""
    return pl.DataFrame(
        [(p, t, START + timedelta(minutes=m), PLACES[t % len(PLACES)]) for p, t, m in seen],
        {
            "person": pl.Int32,
            "tracker": pl.Int32,
            "at": pl.Datetime("ms", "UTC"),
            "place": pl.String,
        },
        orient="row",
    )


@pytest.fixture(scope="module")
def town():
    return pl.DataFrame(pl.from_arrow(sample(people=1_500, positions=6_000).positions))


@pytest.fixture(scope="module")
def people():
    frame = pl.DataFrame(pl.from_arrow(sample(people=1_500, positions=10).people))
    return frame.with_columns(
        quarter=pl.col("homeAddress").str.slice(-12), year=pl.col("birthday").dt.year()
    )


few = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=40
)


# Unicity


@pytest.mark.parametrize("minutes", [15, 60, 240, 1440])
@pytest.mark.parametrize("points", [1, 2, 3, 5])
def test_unicity_is_that_of_plain_pandas_and_of_sql(town, minutes, points):
    cut = trace.coarse(town, minutes)
    found = plain.alone(cut.to_pandas(), points)
    share = sum(found.values()) / len(found)
    assert trace.unicity(cut, points) == share
    assert plain.sql_unicity(cut.to_pandas(), points) == pytest.approx(share, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(seen=few, points=st.integers(1, 4), seed=st.integers(0, 2**40))
def test_unicity_of_anything_is_that_of_plain_pandas(seen, points, seed):
    frame = rows(*seen)
    found = plain.alone(frame.to_pandas(), points, seed=seed)
    if not found:
        with pytest.raises(DataError, match="Nobody here has"):
            trace.unicity(frame, points, seed=seed)
        return
    assert trace.unicity(frame, points, seed=seed) == sum(found.values()) / len(found)


@settings(max_examples=30, deadline=None)
@given(seen=few, wanted=st.integers(1, 8), seed=st.integers(0, 9))
def test_a_sample_of_people_is_the_same_in_plain_pandas(seen, wanted, seed):
    frame = rows(*seen)
    found = plain.alone(frame.to_pandas(), 1, people=wanted, seed=seed)
    assert trace.unicity(frame, 1, people=wanted, seed=seed) == sum(found.values()) / len(found)


def test_unicity_by_hand():
    # 1 and 2 share the first point; 2 and 3 the second; each pair is of one person alone.
    frame = rows((1, 5, 0), (1, 6, 9), (2, 5, 0), (2, 7, 9), (3, 7, 9), (3, 8, 20))
    assert trace.unicity(frame, 2) == 1
    assert trace.unicity(rows((1, 5, 0), (2, 5, 0), (3, 6, 0)), 1) == pytest.approx(1 / 3)
    assert trace.unicity(rows((1, 5, 0), (1, 5, 0), (2, 6, 0)), 1) == 1, "one person, twice"
    twins = rows(*[(p, t, m) for p in (1, 2) for t, m in ((3, 1), (4, 2), (5, 3))])
    assert [trace.unicity(twins, n) for n in (1, 2, 3)] == [0, 0, 0]


def test_a_crowd_is_looked_through_to_its_end():
    # The one other who holds both points is the last of 5,000 who were at the first.
    crowd = [(n, 1, 0) for n in range(1, 5_001)]
    crowd += [(n, 2, 5) for n in (1, 5_000, *range(6_000, 12_000))]
    assert trace.unicity(rows(*crowd), 2) == 0
    crowd.remove((5_000, 2, 5))
    assert trace.unicity(rows(*crowd), 2) == 1


@pytest.mark.parametrize("minutes", [60, 1440])
def test_long_traces_are_looked_through_point_by_point(town, monkeypatch, minutes):
    cut = trace.coarse(town, minutes)
    shares = [trace.unicity(cut, points) for points in (1, 2, 3, 4)]
    monkeypatch.setattr(search, "_MOST_PAIRS", 0)
    assert [trace.unicity(cut, points) for points in (1, 2, 3, 4)] == shares


def test_the_table_says_the_same_as_one_by_one(town):
    cut = trace.coarse(town, 60)
    table = trace.unicity_table(cut, 4)
    assert table["points"].to_list() == [1, 2, 3, 4]
    assert table["share"].to_list() == [trace.unicity(cut, n) for n in (1, 2, 3, 4)]
    counts = cut.unique(["person", "tracker", "at"]).group_by("person").len()["len"]
    assert table["people"].to_list() == [(counts >= n).sum() for n in (1, 2, 3, 4)]
    assert trace.unicity_table(rows((1, 1, 0), (1, 1, 1)), 5).height == 2, "nobody has three"


def test_every_point_is_drawn_as_often_and_another_seed_draws_others():
    # Two points of person 1 are shared with person 2, two are not: drawn alone, half of the time.
    seen = [(1, 1, 0), (1, 1, 60), (1, 2, 0), (1, 2, 60), (2, 1, 0), (2, 2, 60), (2, 9, 9)]
    frame, shares = rows(*seen), Counter()
    for seed in range(600):
        shares[plain.alone(frame.to_pandas(), 1, seed=seed)[1]] += 1
    assert 240 < shares[True] < 360  # five standard deviations around 300
    assert len({trace.unicity(frame, 1, seed=seed) for seed in range(20)}) > 1


def test_neither_the_order_of_rows_nor_the_unit_of_time_changes_anything(town):
    cut = trace.coarse(town, 30)
    shuffled = cut.sample(fraction=1, shuffle=True, seed=5)
    other = shuffled.with_columns(pl.col("at").dt.cast_time_unit("us"))
    naive = other.with_columns(pl.col("at").dt.replace_time_zone(None))
    for frame in (shuffled, other, naive, cut.to_pandas(), cut.to_arrow(), cut.lazy()):
        assert trace.unicity(frame, 3) == trace.unicity(cut, 3)
    assert trace.dwell(town.sample(fraction=1, shuffle=True)).equals(trace.dwell(town))
    assert trace.top_places(town.sample(fraction=1, shuffle=True)).equals(trace.top_places(town))


def test_wide_numbers_and_names_of_people_are_no_trouble():
    seen = [(1, 1, 0), (1, 2, 5), (2, 1, 0), (2, 3, 5), (3, 2, 5)]
    frame = rows(*seen).with_columns(
        tracker=pl.col("tracker").cast(pl.Int64) * (2**40 + 1),
        person=pl.col("person").cast(pl.Int64) * (2**45 + 7),
        at=pl.col("at").dt.cast_time_unit("us") + pl.duration(microseconds=pl.col("tracker")),
    )
    assert plain.same(trace.dwell(frame).rows(), plain.dwell(frame.to_pandas()))
    assert trace.top_places(frame, 2).rows() == plain.top_places(frame.to_pandas(), 2)
    for n in (1, 2):
        found = plain.alone(frame.to_pandas(), n)
        assert trace.unicity(frame, n) == sum(found.values()) / len(found)
    named = rows(*seen).with_columns(pl.format("Person-{}", "person").alias("person"))
    assert trace.unicity(named, 2) == 1
    assert trace.matches(named, [(1, START)]) == ["Person-1", "Person-2"]


# Two points of one's own


def test_matches_are_those_who_hold_every_point(town):
    cut = trace.coarse(town, 60)
    traces = {}
    for person, tracker, at in cut.select("person", "tracker", "at").iter_rows():
        traces.setdefault(person, set()).add((tracker, at))
    for trace_of in list(traces.values())[:40]:
        known = sorted(trace_of)[:2]
        assert trace.matches(cut, known) == sorted(
            person for person, held in traces.items() if set(known) <= held
        )


def test_matches_take_points_in_many_forms():
    frame = rows((7, 1, 60), (7, 2, 120), (8, 1, 60), (9, 2, 120))
    known = frame.filter(pl.col("person") == 7)
    hour = datetime(2019, 2, 12, 1)
    for points in (
        known,
        known.to_pandas(),
        [(1, hour), (2, hour + timedelta(hours=1))],
        [(1, "2019-02-12 01:00"), (2, "2019-02-12T02:00+00:00"), (2, "2019-02-12 02:00")],
        [(np.int32(1), pd.Timestamp(hour)), [2, np.datetime64("2019-02-12T02:00")]],
    ):
        assert trace.matches(frame, points) == [7]
    assert trace.matches(frame, [(1, hour)]) == [7, 8]
    assert trace.matches(frame, [(3, hour)]) == []
    assert trace.matches(frame.to_pandas(), [(1, hour)]) == [7, 8]


# Resolution


def test_times_are_cut_and_trackers_put_together():
    frame = rows((1, 1, 0), (1, 2, 59), (2, 3, 60), (2, 4, 125))
    trackers = pl.DataFrame(
        {"_id": [4, 3, 2, 1], "x": [0, 999, 1_000, 999], "y": [0] * 4, "kind": list("abab")}
    )
    cut = trace.coarse(frame, 60)
    assert [at.hour for at in cut["at"]] == [0, 0, 1, 2]
    assert cut.drop("at").equals(frame.drop("at"))
    assert cut.schema == frame.schema
    squares = trace.coarse(frame, metres=1_000, trackers=trackers)
    assert squares["tracker"].to_list() == [1, 2, 1, 1]
    assert squares["at"].equals(frame["at"])
    assert "place" not in squares.columns
    wide = trackers.cast({"_id": pl.Int16}).to_pandas()
    again = trace.coarse(frame.to_pandas(), metres=1_000, trackers=wide)
    assert again.equals(squares.to_pandas()), "numbers of another width are the same numbers"
    kinds = trace.coarse(frame, 60, by="kind", trackers=trackers)
    assert kinds["tracker"].to_list() == [1, 2, 1, 2]
    assert [at.hour for at in kinds["at"]] == [0, 0, 1, 2]


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_keep_their_unit_and_zone(zone, unit):
    frame = rows((1, 1, 59), (1, 1, 60)).with_columns(pl.col("at").dt.cast_time_unit(unit))
    moved = pl.col("at").dt.convert_time_zone(zone) if zone else pl.col("at")
    frame = frame.with_columns(moved if zone else moved.dt.replace_time_zone(None))
    cut = trace.coarse(frame, 60)
    assert cut.schema == frame.schema
    in_utc = cut["at"].dt.epoch("s") - int(START.timestamp())
    assert in_utc.to_list() == [0, 3_600]


@settings(max_examples=30, deadline=None)
@given(minutes=st.integers(1, 3_000), offset=st.integers(-(10**7), 10**7))
def test_a_step_begins_at_a_multiple_and_never_after_the_time(minutes, offset):
    at = START + timedelta(seconds=offset)
    (cut,) = trace.coarse(rows((1, 1, 0)).with_columns(at=pl.lit(at)), minutes)["at"]
    assert timedelta(0) <= at - cut < timedelta(minutes=minutes)
    assert (cut - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=minutes) == timedelta(0)


def test_coarser_is_never_more_unique_when_all_points_are_known(town):
    trackers = sample(people=1_500, positions=10).trackers.to_pandas()
    shares = []
    for minutes, metres in ((15, 1), (60, 1), (60, 3_000), (1440, 3_000), (1440, 12_000)):
        cut = trace.coarse(town, minutes, metres=metres, trackers=trackers)
        shares.append(trace.unicity(cut, 1))
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0, "everybody was in the town on that day"


# Stays and top places


def test_dwell_is_that_of_plain_pandas_and_of_sql(town):
    made = trace.dwell(town)
    assert made.columns == ["place", "stays", "once", "median", "mean", "ninth_decile"]
    assert plain.same(made.rows(), plain.dwell(town.to_pandas()))
    assert plain.same(made.rows(), plain.sql_dwell(town.to_pandas()))


@settings(max_examples=60, deadline=None)
@given(seen=few)
def test_dwell_and_top_places_of_anything_are_those_of_plain_pandas(seen):
    frame = rows(*seen)
    assert plain.same(trace.dwell(frame).rows(), plain.dwell(frame.to_pandas()))
    for n in (1, 3):
        assert trace.top_places(frame, n).rows() == plain.top_places(frame.to_pandas(), n)


def test_dwell_by_hand():
    # At tracker 3 from 0 to 10; then 4 once; at 3 again, from 30 to 70: two stays, not one.
    frame = rows((1, 3, 0), (1, 3, 10), (1, 4, 20), (1, 3, 30), (1, 3, 50), (1, 3, 70))
    assert trace.dwell(frame).rows() == [
        ("home street", 2, 0, 25.0, 25.0, 40.0),
        ("workplace", 0, 1, None, None, None),
    ]
    # Two sightings at the same time: the lower tracker first.
    frame = rows((1, 2, 5), (1, 1, 5), (1, 1, 0))
    assert trace.dwell(frame).rows() == [
        ("hotel", 0, 1, None, None, None),
        ("workplace", 1, 0, 5.0, 5.0, 5.0),
    ]


def test_top_places_are_those_of_plain_pandas_and_of_sql(town):
    for n in (1, 2, 5):
        made = trace.top_places(town, n)
        assert made.columns == ["person", "rank", "tracker", "sightings"]
        assert made.rows() == plain.top_places(town.to_pandas(), n)
        assert made.rows() == plain.sql_top_places(town.to_pandas(), n)


def test_of_two_top_places_the_lower_tracker_comes_first():
    frame = rows((1, 9, 0), (1, 4, 1), (1, 7, 2), (1, 7, 3), (2, 8, 0), (2, 3, 9))
    assert trace.top_places(frame).rows() == [(1, 1, 7, 2), (2, 1, 3, 1)]
    assert trace.top_places(frame, 9).rows() == [
        (1, 1, 7, 2), (1, 2, 4, 1), (1, 3, 9, 1), (2, 1, 3, 1), (2, 2, 8, 1),
    ]  # fmt: skip


# Linkage


@pytest.mark.parametrize(
    "columns", [["sex"], ["quarter", "sex"], ["quarter", "year", "sex"], ["birthday", "quarter"]]
)
def test_linkage_is_that_of_plain_pandas_and_of_sql(people, columns):
    made, frame = trace.linkage(people, columns), people.to_pandas()
    sizes = plain.group_sizes(frame, columns)
    assert made.k.to_list() == sizes
    assert made.unique == sum(size == 1 for size in sizes) / len(sizes)
    assert made.under_5 == sum(size < 5 for size in sizes) / len(sizes)
    assert made.groups == len(set(zip(*(frame[name] for name in columns), strict=True)))
    assert sorted(Counter(made.k.to_list()).items()) == plain.sql_sizes(frame, columns)


def test_distinct_is_that_of_plain_pandas(people):
    made = trace.distinct(people, ["quarter", "sex"], "group")
    assert made.to_list() == plain.distinct(people.to_pandas(), ["quarter", "sex"], "group")


def test_linkage_and_distinct_by_hand():
    frame = pd.DataFrame(
        {"town": list("aaabb"), "sex": list("mmfff"), "secret": list("xyzzz")},
        index=[10, 11, 12, 13, 14],
    )
    made = trace.linkage(frame, ["town", "sex"])
    assert made.k.to_dict() == {10: 2, 11: 2, 12: 1, 13: 2, 14: 2}
    assert (made.groups, made.unique, made.under_5) == (3, 0.2, 1)
    assert frame[made.k == 1].index.to_list() == [12]
    secrets = trace.distinct(frame, ["town", "sex"], "secret")
    assert secrets.to_dict() == {10: 2, 11: 2, 12: 1, 13: 1, 14: 1}
    assert trace.linkage(frame, "town").k.to_list() == [3, 3, 3, 2, 2]


# The kind of frame, and wrong input


def test_what_comes_back_is_of_the_kind_that_was_given(town, people):
    frame = town.to_pandas()
    for made in (
        trace.coarse(frame, 60), trace.dwell(frame), trace.top_places(frame),
        trace.unicity_table(trace.coarse(frame, 60), 2),
    ):  # fmt: skip
        assert isinstance(made, pd.DataFrame)
    assert trace.coarse(frame, 60).equals(trace.coarse(town, 60).to_pandas())
    assert trace.coarse(frame[frame["person"] > 9], 60).equals(
        trace.coarse(frame, 60)[frame["person"] > 9]
    )
    assert isinstance(trace.linkage(people.to_pandas(), "sex").k, pd.Series)


def told(call, *arguments, **more):
    """The sentence of the DataError that a call ends in."""
    with pytest.raises(DataError) as caught:
        call(*arguments, **more)
    message = str(caught.value)
    assert message.endswith(".")
    assert message.count(". ") <= 1, "one or two sentences"
    assert "\n" not in message
    return message


def test_wrong_input_is_told_in_a_sentence(town, people):
    empty, trackers = town.clear(), pl.DataFrame({"_id": [1], "x": [0], "y": [0]})
    for call in (
        lambda p: trace.coarse(p, 60), trace.dwell, trace.top_places, trace.unicity_table,
        lambda p: trace.unicity(p, 2), lambda p: trace.matches(p, [(1, START)]),
    ):  # fmt: skip
        assert "empty" in told(call, empty)
        assert "empty" in told(call, empty.to_pandas())
        assert "no column tracker" in told(call, town.drop("tracker"))
        assert "person" in told(call, town.drop("person", "tracker").to_pandas())
        assert "Give a frame" in told(call, [1, 2])
        gaps = town.with_columns(tracker=pl.lit(None, pl.Int32))
        assert "nothing in the column tracker" in told(call, gaps)
    assert "0 points" in told(trace.unicity, town, 0)
    assert "2.5 points" in told(trace.unicity, town, 2.5)
    assert "0 people" in told(trace.unicity, town, 1, people=0)
    assert "0 places" in told(trace.top_places, town, 0)
    assert "0 minutes" in told(trace.coarse, town, 0)
    assert "0 metres" in told(trace.coarse, town, metres=0, trackers=trackers)
    assert "trackers=" in told(trace.coarse, town, metres=100)
    assert "not by both" in told(trace.coarse, town, metres=9, by="kind", trackers=trackers)
    assert "table of trackers" in told(trace.coarse, town, metres=100, trackers=trackers)
    most = town.group_by("person").len()["len"].max()
    assert f"has is {most}" in told(trace.unicity, town, 90)
    words = town.with_columns(pl.col("at").cast(pl.String))
    assert "no times" in told(trace.unicity, words, 1)
    assert "no times" in told(trace.dwell, words)
    assert "at least one" in told(trace.matches, town, [])
    assert "is no tracker here" in told(trace.matches, town, [("Tracker-0007", START)])
    for known in (5, "7", [(7, 8)], [7], {"tracker": 1}, [(7, "noon")]):
        assert "pairs of a tracker and a time" in told(trace.matches, town, known)
    assert "at least one" in told(trace.linkage, people, [])
    assert "no column street" in told(trace.linkage, people, ["street"])
    assert "no column belief" in told(trace.distinct, people, ["sex"], "belief")
    assert "Give a frame" in told(trace.linkage, {"sex": [1]}, "sex")
