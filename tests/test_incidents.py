"""The two tables of lesson 04, held against the claims ledger."""

import re

import pandas as pd
import pytest

from leftopen import incident_plots, incidents, ledger
from leftopen.cases.shared_duties import STATEMENTS, duties
from leftopen.errors import DataError

CLAIMS = ledger.claims().set_index("id")
INCIDENTS = incidents.table()
DEFAULTS = incidents.defaults()
DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


def test_every_incident_carries_the_figure_of_its_claim():
    assert INCIDENTS["id"].is_unique
    for row in INCIDENTS.itertuples():
        told = CLAIMS.loc[row.id, "value"].replace(",", "")
        assert (float(told) if told else None) == (None if pd.isna(row.value) else row.value), row


@pytest.mark.parametrize("table", [INCIDENTS, DEFAULTS], ids=["incidents", "defaults"])
def test_source_and_confidence_are_those_of_the_claim(table):
    for row in table.itertuples():
        claim = CLAIMS.loc[row.id]
        assert (row.source, row.confidence) == (claim.source, claim.confidence), row.id
        assert row.confidence in {"confirmed", "confirmed once only", "seed", "derived"}


def test_an_incident_is_of_a_known_kind_and_its_dates_are_in_order():
    kinds = {"exposure", "attack wave", "count", "study", "response"}
    assert set(INCIDENTS["kind"]) == kinds
    for column in ("began", "ended", "reported"):
        assert INCIDENTS[column].dropna().map(DATE.fullmatch).all()
    began, ended = (incidents.days(INCIDENTS[column]) for column in ("began", "ended"))
    known = began.notna() & ended.notna()
    assert known.sum() > 20
    assert (began[known] <= ended[known]).all()
    assert (
        INCIDENTS.drop(columns=["began", "ended", "reported", "value", "unit"]).notna().all().all()
    )


def test_a_default_is_of_a_known_topic_and_its_day_is_the_one_of_its_claim():
    assert not DEFAULTS.duplicated(["id", "topic"]).any()
    assert set(DEFAULTS["topic"]) == {"network", "login", "encryption", "hash"}
    assert set(DEFAULTS["by_default"]) == {"yes", "partly", "no"}
    for row in DEFAULTS.itertuples():
        since = "" if pd.isna(row.since) else row.since
        assert CLAIMS.loc[row.id, "date"].startswith(since), row.id
        version = CLAIMS.loc[row.id, "value"]
        assert row.version == "all" or version.split(",")[0] in row.version, row.id


def test_the_datasheet_says_how_many_rows_there_are():
    datasheet = (ledger.DATASETS / "README.md").read_text()
    for name, table in (("incidents", INCIDENTS), ("defaults", DEFAULTS)):
        assert f"| `{name}.csv` | {len(table)} |" in datasheet


def test_the_three_cases_are_in_the_table():
    cases = INCIDENTS.set_index("id").loc[["SN7", "BJ8", "TG4"]]
    assert cases["engine"].to_list() == ["MongoDB", "Elasticsearch", "not stated"]
    assert cases["value"].isna().to_list() == [False, True, False]


def test_dates_are_read_as_exactly_as_they_are_known():
    read = incidents.days(pd.Series(["2018-07", "2019-02-13", "2017", None]))
    assert read.dt.strftime("%Y-%m-%d").to_list()[:3] == ["2018-07-01", "2019-02-13", "2017-01-01"]
    assert read.isna().to_list() == [False, False, False, True]


def test_a_missing_table_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(incidents, "DATASETS", tmp_path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        incidents.table()


def test_every_exposure_and_every_safe_default_is_an_event():
    events = incidents.events()
    lanes = events.groupby("lane", observed=True)["label"].agg(list)
    assert list(lanes.index) == list(incidents.LANES)
    exposed = INCIDENTS[INCIDENTS["kind"] == "exposure"]
    assert len(lanes["stood open"]) == len(exposed)
    assert {"SenseNets", "Beijing smart city", "Tongren"} <= set(lanes["stood open"])
    protects = DEFAULTS[DEFAULTS["by_default"] != "no"]
    for topic, lane in (("network", "loopback by default"), ("login", "login by default")):
        assert len(lanes[lane]) == (protects["topic"] == topic).sum()
    assert len(lanes["ransomed or wiped"]) == len(incidents.WAVES)
    assert (events["began"] <= events["ended"]).all()


def test_what_the_lesson_says_of_the_lanes_is_so():
    """Six of the eight systems, and one dashboard, come after the last point of the first lane."""
    events = incidents.events()
    last = events.loc[events["lane"] == incidents.LANES[0], "began"].max()
    opened = events[events["lane"] == incidents.LANES[2]]
    dashboard = opened["label"].str.contains("dashboard")
    assert [sum(dashboard), sum(~dashboard)] == [1, 8]
    assert (opened.loc[dashboard, "began"] > last).all()
    assert (opened.loc[~dashboard, "began"] > last).sum() == 6


def test_each_event_names_the_row_that_it_comes_from():
    """A default's id belongs to its engine and version, an incident's to its dates."""
    versions = (DEFAULTS["engine"] + " " + DEFAULTS["version"]).groupby(DEFAULTS["id"]).agg(set)
    dated = INCIDENTS.set_index("id")[["began", "ended", "reported"]]
    for event in incidents.events().itertuples():
        if event.id in versions.index:
            assert event.label in versions[event.id]
        else:
            assert set(event.when.split(" to ")) <= set(dated.loc[event.id])


def test_each_weakness_has_the_name_of_its_risk_in_both_lists():
    rows = incidents.weaknesses()
    assert len(rows) == sum(CLAIMS.loc[CLAIMS["case"] == "Weaknesses", "unit"] == "number in CWE")
    for column in ("list of 2021", "list of 2025"):
        assert rows[column].str.fullmatch(r"not mapped|A\d\d [a-z ]+").all()
    told = rows.set_index("weakness")
    assert told.loc["CWE-319", "list of 2021"] == told.loc["CWE-319", "list of 2025"].replace(
        "A04", "A02"
    )
    assert told.loc["CWE-1188", "list of 2025"] == "not mapped"


def test_an_event_is_as_long_as_its_dates_are_known():
    events = incidents.events().set_index("label")
    told = events.loc[["SenseNets", "Beijing smart city", "Tongren"], "when"]
    assert list(told) == ["2018-07 to 2019-02", "2019-05", "2020-08-16"]
    assert not events.loc["MongoDB 2.6", "whole"]
    assert events.loc["SenseNets", "began"] == pd.Timestamp("2018-07-01")


def test_loopback_by_default_came_years_before_login_by_default():
    """The message of the timeline, of every engine that has both and of the lanes as a whole."""
    events = incidents.events().query("whole")
    first = events.groupby("lane", observed=True)["began"].min()
    last = events.groupby("lane", observed=True)["began"].max()
    assert last["loopback by default"] + pd.Timedelta("730 days") < first["login by default"]


def test_the_timeline_draws_each_event_at_its_days_in_its_lane():
    events = pd.DataFrame(
        {
            "lane": pd.Categorical(["a", "b", "b"], ["a", "b"], ordered=True),
            "label": ["one", "two", "three"],
            "when": ["2016", "2018-07 to 2019-02", "2020"],
            "began": pd.to_datetime(["2016-01-01", "2018-07-01", "2020-01-01"]),
            "ended": pd.to_datetime(["2016-01-01", "2019-02-01", "2020-01-01"]),
            "whole": [False, True, True],
        }
    )
    picture = incident_plots.timeline(events, "A message")
    (ax,) = picture.fig.axes
    bars = [line for line in ax.lines if line.get_linewidth() == 5]
    drawn = [[day.date().isoformat() for day in bar.get_xdata()] for bar in bars]
    assert drawn[1] == ["2018-07-01", "2019-02-01"]
    heights = [bar.get_ydata()[0] for bar in bars]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 3
    assert [text.get_text() for text in ax.texts] == ["one (in part)", "two", "three"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    (above, below), (border,) = (
        ax.get_yticks(),
        [line.get_ydata()[0] for line in ax.lines if line.get_color() == "0.85"],
    )
    assert above > border > below
    assert picture.fig.get_suptitle() == "A message"
    assert picture.alt == (
        "Timeline in 2 lanes. a: one (in part) 2016; b: two 2018-07 to 2019-02, three 2020."
    )


def test_times_are_drawn_in_hours_with_the_shortest_on_top():
    times = pd.DataFrame(
        {
            "label": ["fix", "visit", "week"],
            "hours": [4080.0, 8.5, 168.0],
            "fix": [True, False, False],
        }
    )
    picture = incident_plots.attack_and_fix(times, "A message")
    (ax,) = picture.fig.axes
    points = {line.get_xdata()[0]: line for line in ax.lines if line.get_marker() in ("o", "s")}
    assert {hours: line.get_marker() for hours, line in points.items()} == {
        8.5: "o", 168.0: "o", 4080.0: "s",
    }  # fmt: skip
    assert points[8.5].get_ydata()[0] > points[168.0].get_ydata()[0] > points[4080.0].get_ydata()[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["fix", "week", "visit"]
    assert [text.get_text() for text in ax.texts] == ["170 days", "7 days", "8.5 h"]
    assert ax.get_xscale() == "log"
    assert picture.alt.endswith("visit: 8.5 h; week: 7 days; fix: 170 days.")


def test_every_attack_on_a_decoy_was_faster_than_every_mean_fix():
    """The message of the second figure."""
    timed = INCIDENTS[INCIDENTS["unit"].isin(["h", "days"])]
    hours = timed["value"] * timed["unit"].map({"h": 1, "days": 24})
    assert hours[timed["kind"] == "study"].max() * 10 < hours[timed["kind"] == "response"].min()


def test_the_checks_of_numbers_follow_from_the_claims():
    number = ledger.number
    assert CLAIMS.loc["NC1", "value"] == "{:.1f}, {:.1f}, {:.1f}".format(
        number("TA4") / 11, number("TA4") / 12, number("TA4") / 18
    )
    both = number("IN34") + number("IN35")
    assert CLAIMS.loc["NC2", "value"] == f"{100 * number('IN36') / both:.1f}"
    assert f"{both:,.0f}" in CLAIMS.loc["IN36", "statement"]
    assert number("NC3") == round(100 * number("RW4") / number("IN20"))
    assert number("NC4") == number("IN37") + number("IN41")
    assert CLAIMS.loc["NC10", "value"] == f"{number('IN62') / (365.25 / 4):.1f}"
    shares = [float(share) for share in CLAIMS.loc["SN11", "value"].split(",")]
    assert CLAIMS.loc["NC9", "value"] == f"{sum(shares):.1f}, {100 - sum(shares):.1f}"
    assert CLAIMS.loc["NC7", "value"].endswith("," + CLAIMS.loc["NC6", "value"])


def test_each_party_of_the_quiz_owes_something_and_the_first_letter_names_it():
    choices = duties().choices
    assert {statement.answer for statement in STATEMENTS} == set(choices)
    letters = [statement.answer[0] for statement in STATEMENTS]
    assert set(duties().mark(*letters).frame[""]) == {"✓"}
