"""Tongren's invented people are nobody: no number, name or mark points to anybody real."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_11_2
from test_synth_people import REAL_LABELS
from test_synth_smart_city_life import spread
from test_synth_tongren_life import age, as_rows

from leftopen.synth import sensenets, smart_city
from leftopen.synth.tongren import sample


@pytest.fixture(scope="module")
def records():
    return as_rows(sample())


def test_abnormal_is_by_lot(records):
    rows = [row for tables in records.values() for row in tables["passages"]]
    born = {p["person"]: p["born"].year for t in records.values() for p in t["residents"]}
    abnormal = np.array([row["status"] == "abnormal" for row in rows], dtype=float)
    assert 0.01 < abnormal.mean() < 0.02
    labels = {
        "door": np.array([row["door"] == "garage" for row in rows]),
        "direction": np.array([row["direction"] == "in" for row in rows]),
        "visitor": np.array([row["visitor"] is not None for row in rows]),
        "visited": np.array([row["flat"] is not None for row in rows]),
        "log": np.array([row["building"][0] for row in rows]),
        "hour": np.array([row["at"].hour // 6 for row in rows]),
        "born": np.array([born.get(row["person"], 1900) // 25 for row in rows]),
    }
    for label in labels.values():
        assert spread(abnormal, label) < 5
    # The judge sees a lot that falls on visitors three times as often.
    more = np.maximum(abnormal, labels["visitor"] & (np.arange(len(rows)) % 30 == 0))
    assert spread(more, labels["visitor"]) > 5


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_no_identifier_can_be_real(seed):
    people = []
    for tables in as_rows(sample(seed, 240, 1, ["doors_1", "doors_2"])).values():
        for person in tables["residents"]:
            assert person["id_number"][6:14] == f"{person['born']:%Y%m%d}"
            assert (int(person["id_number"][16]) % 2 == 1) == (person["sex"] == "male")
        people += tables["residents"] + tables["visitors"]
    for person in people:
        number = person["id_number"]
        assert re.fullmatch(r"00020[1-7]", number[:6])
        assert not mod_11_2.is_valid(number)
        assert mod_11_2.is_valid(number[:17] + mod_11_2.calc_check_digit(number[:17]))
        assert re.fullmatch(r"\+1-[2-9]9\d-555-01\d\d", person["phone"])
        assert person["plate"] is None or re.fullmatch(r"lo_\d{8}", person["plate"])
    for field in ("id_number", "name"):
        assert len({person[field] for person in people}) == len(people)


def test_no_two_adults_of_the_sample_share_a_telephone_or_a_plate(records):
    grown = [
        person
        for tables in records.values()
        for person in tables["residents"] + tables["visitors"]
        if "born" not in person or age(person, 18)
    ]
    assert len({person["phone"] for person in grown}) == len(grown)
    plates = [person["plate"] for person in grown if person["plate"]]
    assert len(set(plates)) == len(plates) > 300


def test_nobody_is_also_in_another_case(records):
    mine = {p["id_number"][:17] for t in records.values() for p in t["residents"] + t["visitors"]}
    assert len(mine) == 2_200
    others = sensenets.sample(people=20_000, positions=0).people["idNumber"].to_pylist()
    others += [who["idNumber"] for who in smart_city.sample(days=1)["residents"]]
    assert not mine & {number[:17] for number in others}


def test_names_are_numbers_and_nothing_real_is_told(records):
    for tables in records.values():
        for person in tables["residents"]:
            assert person["name"] == f"Person-{person['person']:07}"
        for visitor in tables["visitors"]:
            assert visitor["name"] == f"Person-{visitor['visitor'] + 2_000:07}"
    texts = {
        value
        for tables in records.values()
        for rows in tables.values()
        for row in rows
        for value in row.values()
        if isinstance(value, str)
    }
    assert not [text for text in texts if REAL_LABELS.search(text)]
    fields = {name for tables in records.values() for rows in tables.values() for name in rows[0]}
    assert not fields & {"lat", "lon", "latitude", "longitude", "location", "risk", "group"}
    assert not fields & {"photo", "image", "face", "template", "vector", "embedding", "score"}
