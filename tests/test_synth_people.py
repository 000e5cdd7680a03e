"""The invented people: complete, plausible on paper, and nobody."""

import re
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen.cases import sensenets_schema
from leftopen.synth.sensenets import sample

TODAY = date(2019, 2, 12)
# Labels that the sources report for the real systems, and a few spellings of them.
REAL_LABELS = re.compile(
    r"\b(han|uighurs?|uyghurs?|weiwu|kazakhs?|hui|tibetans?|mongols?|tujia|miao|dong|muslims?)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def tables():
    return sample(seed=7, people=20_000, positions=52_000, trackers=60)


@pytest.fixture(scope="module")
def people(tables):
    return tables.people.to_pylist()


def text_values(tables):
    for table in tables:
        for name in table.column_names:
            for value in table[name].unique().to_pylist():
                if isinstance(value, str):
                    yield value


def years_later(day, years):
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return day.replace(year=day.year + years, day=28)


def test_the_tables_have_the_fields_of_the_schema(tables):
    kinds = {"int32": "int", "timestamp[ms, tz=UTC]": "date"}
    for name, table in tables._asdict().items():
        told = {
            field.field: field.type
            for field in sensenets_schema.FIELDS
            # The server itself gives each position its number.
            if field.collection == name and field.type != "objectId"
        }
        made = {field.name: kinds.get(str(field.type), "string") for field in table.schema}
        assert made == told


def test_every_field_has_one_of_the_five_tiers_and_a_meaning():
    named = [(field.collection, field.field) for field in sensenets_schema.FIELDS]
    assert len(set(named)) == len(named)
    assert {field.tier for field in sensenets_schema.FIELDS} == {"T0", "T1", "T2", "T3", "T4"}
    assert all(field.meaning for field in sensenets_schema.FIELDS)
    tiers = {(field.collection, field.field): field.tier for field in sensenets_schema.FIELDS}
    for field in ("group", "photo"):
        assert tiers["people", field] == "T0"
    assert tiers["positions", "place"] == "T0"
    assert tiers["people", "idNumber"] == tiers["people", "homeAddress"] == "T1"


def test_nothing_is_missing(tables):
    for table in tables:
        assert not any(column.null_count for column in table.columns)


def test_names_are_invented_and_numbered(people):
    assert [person["_id"] for person in people] == list(range(1, 20_001))
    assert all(person["name"] == f"Person-{person['_id']:07}" for person in people)


def test_no_real_label_and_no_place_on_earth(tables):
    assert REAL_LABELS.search("Uighur")
    assert not [value for value in text_values(tables) if REAL_LABELS.search(value)]
    fields = {name.lower() for table in tables for name in table.column_names}
    assert not fields & {"lat", "lon", "lng", "latitude", "longitude", "gps", "location", "geo"}


def test_a_photo_is_a_token(people):
    tokens = [person["photo"] for person in people]
    assert all(re.fullmatch(r"token-[0-9a-f]{16}", token) for token in tokens)
    assert len(set(tokens)) == len(tokens)


def test_groups_are_invented_and_have_other_shares_than_the_reported_ones(people):
    names, counts = np.unique([person["group"] for person in people], return_counts=True)
    assert names.tolist() == ["Alder", "Birch", "Cedar"]
    percent = counts / len(people) * 100
    for reported in (54.9, 28.3, 8.3, 36.6, 8.5):
        assert (np.abs(percent - reported) > 1).all()


def test_the_group_tells_nothing_else(tables):
    people, positions = tables.people.to_pandas(), tables.positions.to_pandas()
    prayed = positions.loc[positions.place == "place of prayer", "person"]
    for told in (
        people["_id"].isin(prayed),
        people["_id"].isin(positions.person),
        people.sex == "male",
        people.employer == "none",
        people.birthday.dt.year < 1973,
        people.homeAddress.str[-4:].astype(int) < 10,
    ):
        share = told.groupby(people.group.astype(str)).mean()
        assert len(share) == 3
        # Five standard errors of a share in the smallest group.
        error = np.sqrt(told.mean() * (1 - told.mean()) / people.group.value_counts().min())
        assert share.max() - share.min() < 5 * error


def test_the_card_agrees_with_the_person(people):
    for person in people:
        number, born = person["idNumber"], person["birthday"].date()
        assert number[6:14] == f"{born:%Y%m%d}"
        assert (int(number[16]) % 2 == 1) == (person["sex"] == "male")
        assert re.fullmatch(r"00010[1-7]", number[:6])


def test_cards_were_issued_to_people_of_age_and_are_valid(people):
    lengths = set()
    for person in people:
        born, issued, expires = (
            person[field].date() for field in ("birthday", "idIssued", "idExpires")
        )
        assert years_later(born, 16) <= issued < TODAY < expires
        years = 20 if issued >= years_later(born, 26) else 10
        assert expires == years_later(issued, years)
        lengths.add(years)
    assert lengths == {10, 20}


def test_ages_look_like_a_town(people):
    ages = np.array([TODAY.year - person["birthday"].year for person in people])
    assert ages.min() >= 16
    assert ages.max() <= 90
    assert ((ages >= 25) & (ages < 60)).mean() > 2 * (ages >= 60).mean()


def test_homes_are_shared_and_employers_have_several_people(people):
    homes = np.unique([person["homeAddress"] for person in people], return_counts=True)[1]
    assert 1.5 < homes.mean() < 5
    employers = [person["employer"] for person in people]
    assert all(re.fullmatch(r"none|Employer-\d{4}", employer) for employer in employers)
    assert 0.15 < employers.count("none") / len(people) < 0.25
    assert np.median(np.unique(employers, return_counts=True)[1]) > 20


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), fewer=st.integers(1, 300))
def test_a_person_keeps_the_number_whoever_else_there_is(seed, fewer):
    few = sample(seed, fewer, 0, 20).people.column("idNumber")
    assert few == sample(seed, 300, 0, 20).people.column("idNumber").slice(0, fewer)
