"""The two tables of lesson 04, held against the claims ledger."""

import re

import pandas as pd
import pytest

from leftopen import incidents, ledger
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
