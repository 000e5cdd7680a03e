"""What lesson 13 uses beside the drivers."""

import os
import stat

import pytest
from cryptography.exceptions import InvalidTag
from pymongo import MongoClient
from pymongo.errors import EncryptionError

from leftopen import sealing
from leftopen.cases import sensenets, tongren
from leftopen.errors import DataError
from leftopen.proof import say


def test_a_master_key_is_its_owners_alone_and_is_never_written_over():
    keys = sealing.KeyFolder()
    path = keys.new("first")
    key = path.read_bytes()
    assert len(key) == 96
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(keys.path.stat().st_mode) == 0o700
    with pytest.raises(DataError, match="a master key first already"):
        keys.new("first")
    keys.new("second")
    masters = keys.masters("first", "second")
    assert masters["local:first"] == {"key": key}
    assert masters["local:second"]["key"] != key
    with pytest.raises(DataError, match="no master key third"):
        keys.masters("third")


def test_a_refusal_is_one_line_and_an_answer_is_the_answer():
    def refuse(error):
        raise error

    assert sealing.tried(len, "abc") == 3
    assert sealing.tried(refuse, InvalidTag()) == "refused: InvalidTag"
    words = EncryptionError(Exception("not all keys were there. Look at port 1234"))
    assert sealing.tried(refuse, words) == "refused: not all keys were there"
    with pytest.raises(ZeroDivisionError):
        sealing.tried(refuse, ZeroDivisionError())


def test_xor_undoes_itself_and_stops_with_the_shorter_text():
    assert sealing.xor(sealing.xor(b"abc", b"key"), b"key") == b"abc"
    assert sealing.xor(b"abc", b"\0") == b"a"


def test_a_rate_has_one_digit_that_counts():
    told = sealing.a_second(lambda: None, times=10)
    number = told.removeprefix("about ").removesuffix(" a second").replace(",", "")
    assert len(number.strip("0")) == 1


@pytest.mark.needs("mongodb")
def test_writes_tell_swap_and_reach_every_document():
    lab = sensenets.small_lab(13, people=30, positions=30)
    try:
        people = MongoClient(lab.inside.uri)["sensenets"]["people"]
        plain = list(people.find())
        people.database.command("collMod", "people", validator={"name": {"$type": "string"}})
        assert sealing.write(people, 1, name="other") == "accepted"
        assert sealing.write(people, 1, name=5) == "refused, code 121"
        sealing.swap(people, "sex", 1, 2)
        sealing.swap(people, "name", 1, 2)
        found = {person["_id"]: person for person in people.find()}
        assert (found[2]["name"], found[1]["name"]) == ("other", plain[1]["name"])
        assert (found[1]["sex"], found[2]["sex"]) == (plain[1]["sex"], plain[0]["sex"])
        sealing.write_all(people, "twice", (2 * person["_id"] for person in people.find()))
        assert all(person["twice"] == 2 * person["_id"] for person in people.find())
        with pytest.raises(ValueError, match="shorter"):
            sealing.write_all(people, "twice", [1])
    finally:
        lab.close()


@pytest.mark.needs("postgres")
def test_the_log_is_shown_without_time_and_process():
    lab = tongren.small_lab(13)
    try:
        say(lab.inside.uri_of("doors_1"), "SELECT 'winter apple'::integer")
        found = sealing.in_log(lab, "winter apple")
        assert "SELECT 'winter apple'::integer" in found
        assert not sealing.in_log(lab, "summer pear")
    finally:
        lab.close()
