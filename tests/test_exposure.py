"""Lesson 05's own parts: the arithmetic of what stood open, the purpose, and its figures."""

import math

import pandas as pd
import pytest

from leftopen import ledger, plots
from leftopen.cases import exposure, full_scale, purpose, sensenets_schema
from leftopen.errors import DataError

# -- records x days x tier --------------------------------------------------------------------

FIELDS = pd.DataFrame(
    {
        "collection": ["people", "people", "positions"],
        "field": ["name", "group", "place"],
        "tier": ["T2", "T0", "T0"],
        "records": [10, 10, 30],
    }
)


def test_the_fields_are_those_of_the_schema_and_the_records_those_of_the_ledger():
    held = exposure.held()
    assert len(held) == len(sensenets_schema.FIELDS)
    counted = held.groupby("collection")["records"].agg(["min", "max"])
    for name, claim in {"people": "SN7", "positions": "SN8", "trackers": "SN9"}.items():
        assert counted.loc[name].tolist() == [ledger.number(claim)] * 2


def test_a_field_weighs_its_records_times_days_times_the_weight_of_its_tier():
    weights = {"T0": 5, "T2": 3}
    assert exposure.weigh(FIELDS, 7, weights)["exposure"].tolist() == [210, 350, 1050]
    assert exposure.weigh(FIELDS, 14, weights)["exposure"].tolist() == [420, 700, 2100]
    with pytest.raises(DataError, match="No weight is given for T2"):
        exposure.weigh(FIELDS, 7, {"T0": 5})


def test_every_tier_of_the_schema_has_a_weight_that_falls():
    assert list(exposure.WEIGHTS) == list(sensenets_schema.TIERS)
    weights = list(exposure.WEIGHTS.values())
    assert weights == sorted(set(weights), reverse=True)


def test_a_fix_takes_from_the_fields_that_it_names_and_from_no_other():
    weighed = exposure.weigh(FIELDS, 1, {"T0": 2, "T2": 1})  # 10, 20, 60
    half = exposure.Fix("half of the positions", left={"positions": 0.5})
    one = exposure.Fix("no group", left={"people.group": 0})
    both = exposure.Fix("no group, fewer people", left={"people": 0.5, "people.group": 0})
    door = exposure.Fix("a login", stranger=0)
    stranger, let_in = exposure.READERS
    shares = exposure.removed(weighed, (half, one, both, door))
    assert shares[let_in].tolist() == pytest.approx([30 / 90, 20 / 90, 25 / 90, 0])
    assert shares[stranger].tolist() == pytest.approx([30 / 90, 20 / 90, 25 / 90, 1])
    with pytest.raises(DataError, match=r"people\.colour, which is no field here"):
        exposure.left(weighed, exposure.Fix("a slip", left={"people.colour": 0}))


def test_the_fixes_of_the_lesson_name_fields_that_exist_and_only_the_login_tells_readers_apart():
    shares = exposure.removed(exposure.weigh(exposure.held(), 197))
    assert shares.index.is_unique
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    differ = shares[shares["a stranger"] != shares["somebody let in"]]
    assert list(differ.index) == ["require a login"]
    assert shares.loc["require a login"].tolist() == [1, 0]
    assert shares.loc["encrypt the way (TLS)"].tolist() == [0, 0]
    # Of the 24 hours one is kept.
    hour, none = shares.loc[
        ["keep positions for one hour, not 24", "count, and keep no positions"], "somebody let in"
    ]
    assert math.isclose(hour, none * 23 / 24)


def test_each_field_stands_in_each_configuration():
    weighed = exposure.weigh(FIELDS, 1, {"T0": 2, "T2": 1})  # 10, 20, 60
    fixes = (exposure.Fix("a login", stranger=0), exposure.Fix("less", left={"positions": 0.5}))
    table = exposure.by_field(weighed, fixes)
    assert list(table) == ["positions.place", "people.group", "people.name"]
    found = [100 * part / 90 for part in (60, 20, 10)]
    assert table.loc["as found"].tolist() == pytest.approx(found)
    assert table.loc["a login"].tolist() == pytest.approx(found)  # it stops the stranger alone
    assert table.loc["less"].tolist() == pytest.approx([found[0] / 2, *found[1:]])


def test_the_number_of_the_days_changes_no_share():
    held = exposure.held()
    one, many = (exposure.removed(exposure.weigh(held, days)) for days in (1, 227))
    pd.testing.assert_frame_equal(one, many)


# -- a purpose --------------------------------------------------------------------------------


def at(text):
    return pd.Timestamp(f"2019-02-12 {text}", tz="UTC")


def seen(rows):
    frame = pd.DataFrame(rows, columns=["person", "tracker", "at"])
    return frame.assign(at=pd.to_datetime(frame["at"]).dt.as_unit("ms"))


def test_a_crowd_counts_people_and_not_sightings():
    rows = [(1, 7, at("08:00"))] * 3 + [(2, 7, at("08:00")), (2, 7, at("09:00"))]
    assert purpose.crowd(seen(rows)).to_dict() == {(7, at("08:00")): 2, (7, at("09:00")): 1}


def test_all_differences_count_and_what_is_missing_counts_as_nobody():
    true = pd.Series({("a", 8): 10, ("a", 9): 30})
    assert purpose.off(true, true) == 0
    assert purpose.off(pd.Series({("a", 8): 12, ("a", 9): 26}), true) == 6 / 40
    assert purpose.off(pd.Series({("a", 8): 10}), true) == 30 / 40


TRACKERS = pd.DataFrame(
    {
        "_id": [1, 2, 3],
        "kind": ["station", "home street", "workplace"],
        "x": [100, 200, 9_000],
        "y": [100, 200, 9_000],
    }
)


@pytest.fixture(scope="module")
def trains():
    """Six people at the station at eight, two at nine; each is seen at home and at work too."""
    rows = []
    for person in range(8):
        passed = "08:10" if person < 6 else "09:10"
        rows += [
            (person, 2, at(f"06:{person:02}")),
            (person, 1, at(passed)),
            (person, 3, at(f"12:{person:02}")),
            (person, 2, at(f"18:{person:02}")),
        ]
    return purpose.trains(seen(rows), TRACKERS)


def test_what_is_made_for_the_question_answers_it_and_keeps_no_trace(trains):
    exact = ["as recorded", "time cut to an hour", "a new pseudonym each hour"]
    exact.append("counted, then the last hour kept")
    assert trains.loc[exact, "off"].tolist() == [0] * 4
    broken = ["a new pseudonym each hour", "counted, then the last hour kept"]
    broken.append("counts alone, none below five")
    assert (trains.loc[broken, ["four points", "picked out"]] == 0).all(axis=None)


def test_to_the_minute_everybody_is_alone_and_to_the_hour_the_crowd_hides(trains):
    assert trains.loc["as recorded"].tolist()[:3] == [32, 8, 8]
    # To the hour six people share all four points, and so do the two others.
    assert trains.loc["time cut to an hour"].tolist()[:3] == [32, 8, 0]


def test_coarse_data_are_spread_evenly_and_so_are_wrong(trains):
    # 06 to 09 holds the six of eight o'clock, 09 to 12 the two of nine: a third of each.
    assert trains.loc["time cut to three hours", "off"] == pytest.approx((4 + 4 / 3) / 8)
    # The square holds the station and the street, which is empty at eight and nine: half of each.
    assert trains.loc["squares of four kilometres", "off"] == pytest.approx((3 + 1) / 8)


def test_counts_below_five_are_left_out(trains):
    row = trains.loc["counts alone, none below five"]
    assert row["rows"] == 1
    assert row["off"] == 2 / 8


def test_a_new_pseudonym_is_drawn_for_each_person_and_hour_and_the_order_tells_nothing():
    rows = [(person, 7, at(f"{hour:02}:00")) for person in range(40) for hour in (8, 9, 10)]
    given = seen([*rows, (3, 9, at("08:00"))])
    made, again = purpose.new_pseudonyms(given), purpose.new_pseudonyms(given)
    assert purpose.crowd(made).to_dict() == purpose.crowd(given).to_dict()
    assert made.groupby("person")["at"].nunique().max() == 1
    assert made["person"].nunique() == 120  # who is seen twice in an hour has one for both
    both = made[made["at"] == at("08:00")]
    assert both.groupby("person")["tracker"].nunique().value_counts().to_dict() == {1: 39, 2: 1}
    assert not set(made["person"]) & set(again["person"])  # drawn, and so not the same twice
    assert list(made.index) == list(range(121))
    assert made["at"].is_monotonic_increasing
    assert all(group["person"].is_monotonic_increasing for _, group in made.groupby("at"))
    assert list(given["person"].head(3)) == [0, 0, 0]  # what was given is as it was


# -- the full scale ---------------------------------------------------------------------------

MEASURED = pd.read_csv(ledger.DATASETS / "full_scale.csv")


def test_the_kept_numbers_are_those_that_a_full_run_asks_for():
    asked = [
        (minutes, metres, points)
        for minutes, metres in full_scale.RESOLUTIONS
        for points in range(1, full_scale.MOST_POINTS + 1)
    ]
    assert list(MEASURED[["minutes", "metres", "points"]].itertuples(index=False, name=None)) == (
        asked
    )
    assert (MEASURED["alone"] <= MEASURED["people"]).all()
    for _, rows in MEASURED.groupby(["minutes", "metres"]):
        assert rows["people"].is_monotonic_decreasing
        assert rows["people"].max() < ledger.number("SN7")


def test_a_full_run_gives_the_kept_numbers(request, tmp_path):
    if not request.config.getoption("all_tasks"):
        pytest.skip("the town of the full size takes a minute: --all-tasks makes it")
    made = full_scale.full_scale(tmp_path, progress=False).unicity
    pd.testing.assert_frame_equal(made[list(MEASURED)], MEASURED, check_dtype=False)


# -- the ledger and the figures ---------------------------------------------------------------


def test_the_halved_share_follows_from_the_papers_figures():
    less = float(ledger.show(["UN4"], ["value"]).frame["value"].iloc[0].split(", ")[0])
    once = ledger.number("UN1") * (1 - less / 100)
    assert f"{once:.1f}" == f"{ledger.number('UN7')}"
    statement = ledger.show(["UN7"], ["statement"]).frame["statement"].iloc[0]
    assert f"{once * (1 - less / 100):.1f} after two" in statement


def lines(ax):
    return {line.get_label(): [tuple(p) for p in line.get_xydata()] for line in ax.lines}


def test_unicity_is_drawn_beside_the_papers_points():
    ours = pd.DataFrame({"small": [0.1, 0.5], "large": [0.0, 0.25]}, index=[1, 2])
    paper = pd.DataFrame({"points": [2], "share": [0.95], "label": ["95 %"]})
    picture = plots.unicity(ours, paper, "Points")
    (ax,) = picture.fig.axes
    assert lines(ax) == {"small": [(1, 10), (2, 50)], "large": [(1, 0), (2, 25)]}
    (points,) = ax.collections
    assert points.get_offsets().tolist() == [[2, 95]]
    assert [t.get_text() for t in ax.texts] == ["95 %"]
    assert ax.get_ylabel() == "people picked out (%)"
    assert "small: 1 10 %, 2 50 %; large: 1 0 %, 2 25 %. The paper: 2 points 95 %." in picture.alt


def test_steps_of_time_are_drawn_beside_the_rule():
    ours = pd.DataFrame({"4 points": [0.9, 0.6]}, index=[30, 120])
    rule = pd.Series({60: 0.95, 120: 0.86}, name="the rule")
    picture = plots.coarser(ours, rule, "Coarser")
    (ax,) = picture.fig.axes
    assert lines(ax) == {"4 points": [(30, 90), (120, 60)], "the rule": [(60, 95), (120, 86)]}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["30 min", "2 h"]
    assert ax.get_xscale() == "log"
    assert (
        "4 points: 30 min 90 %, 120 min 60 %; the rule: 60 min 95 %, 120 min 86 %." in picture.alt
    )


def test_places_are_drawn_by_their_size_beside_what_is_published():
    places = pd.DataFrame({"day": [1.0, 0.5]}, index=[500, 20_000])
    known = pd.DataFrame({"people": [9_330], "share": [0.87], "label": ["Sweeney, 87 %"]})
    picture = plots.alone(places, known, "Alone")
    (ax,) = picture.fig.axes
    assert lines(ax) == {"day": [(500, 100), (20_000, 50)]}
    assert ax.collections[0].get_offsets().tolist() == [[9_330, 87]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["500", "20,000"]
    assert picture.alt.endswith(
        "day: 500 people 100 %, 20000 people 50 %. Published: Sweeney, 87 %."
    )


def test_a_published_name_stands_where_no_line_runs():
    places = pd.DataFrame({"day": [1.0, 0.5]}, index=[500, 20_000])
    known = pd.DataFrame({"people": 9_330, "share": [0.87, 0.63], "label": ["above", "below"]})
    (ax,) = plots.alone(places, known, "Alone").fig.axes
    assert {text.get_text(): text.get_ha() for text in ax.texts} == {
        "above": "left",
        "below": "right",
    }


def test_each_fix_has_a_bar_for_each_reader():
    fixes = pd.DataFrame({"a stranger": [1.0, 0.25], "an owner": [0.0, 0.25]}, ["login", "less"])
    picture = plots.removed(fixes, "Removed")
    (ax,) = picture.fig.axes
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in ax.containers}
    assert widths == {"for a stranger": [100, 25], "for an owner": [0, 25]}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["login", "less"]
    assert [t.get_text() for t in ax.texts] == ["100 %", "25 %", "0 %", "25 %"]
    assert "login: 100 % for a stranger, 0 % for an owner; less: 25 %" in picture.alt
