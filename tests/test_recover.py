"""Recovering numbers from their hashes: the candidates, what is found, bad input, an interrupt."""

import hashlib
import subprocess
import sys
import threading
from datetime import date

import numpy as np
import polars as pl
import pytest

from leftopen import recover
from leftopen.errors import DataError
from leftopen.synth import identifiers

MARCH = date(1980, 3, 1), date(1980, 3, 31)


def hashed(number, salt=""):
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def test_the_candidates_are_the_numbers_that_the_course_makes():
    first, last = date(1979, 11, 20), date(1980, 3, 10)
    made = recover.numbers(103, first, last)
    days = np.arange(
        (first - identifiers.FIRST_DATE).days, (last - identifiers.FIRST_DATE).days + 1
    )
    day, sequence = np.repeat(days, 1000), np.tile(np.arange(1000), len(days))
    matrix = identifiers.resident_ids(np.full(len(day), 103), day, sequence)
    assert made.to_list() == [row.tobytes().decode() for row in matrix]


def test_a_district_is_a_hundred_years_of_a_thousand():
    assert recover.CANDIDATES == 36_525_000
    assert (recover.LAST - recover.FIRST).days + 1 == 36_525
    ends = recover.numbers(107, recover.LAST, recover.LAST)
    assert ends[0].startswith("00010720191231000")
    assert ends[-1].startswith("00010720191231999")


def test_what_is_hashed_is_found_and_nothing_else():
    numbers = recover.numbers(105, *MARCH)
    some = [numbers[0], numbers[12_345], numbers[-1]]
    stranger = hashed("000105198003010001")  # its check character is not the one
    elsewhere = hashed(recover.numbers(106, *MARCH)[7])
    found = recover.recover([*map(hashed, some), stranger, elsewhere], 105, first=MARCH[0],
                            last=MARCH[1], progress=False)  # fmt: skip
    assert found["number"].to_list() == some
    assert found["hash"].to_list() == list(map(hashed, some))


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_batches_and_cores_change_nothing(cores, monkeypatch):
    monkeypatch.setattr(recover, "_BATCH_DAYS", 4)
    some = recover.numbers(101, *MARCH)[::3_333].to_list()
    found = recover.recover(map(hashed, some), 101, first=MARCH[0], last=MARCH[1], cores=cores,
                            progress=False)  # fmt: skip
    assert found["number"].to_list() == some


def test_a_salt_goes_before_the_number_and_capitals_are_read():
    number = recover.numbers(102, *MARCH)[222]
    wanted = hashed(number, "a1b2").upper()
    found = recover.recover([wanted], 102, first=MARCH[0], last=MARCH[1], progress=False,
                            digest=lambda n: recover.sha256(pl.lit("a1b2") + n))  # fmt: skip
    assert found["number"].to_list() == [number]


def test_nothing_found_is_an_empty_table():
    found = recover.recover([], 102, first=MARCH[0], last=MARCH[0], progress=False)
    assert found.columns == ["hash", "number"]
    assert len(found) == 0


@pytest.mark.parametrize(
    ("hashes", "district", "more", "words"),
    [
        (["abc"], 101, {}, "64"),
        ("not a list", 101, {}, "64"),
        ([b"0" * 64], 101, {}, "no SHA-256"),
        (["0" * 64], 10_000, {}, "no district 10000"),
        (["0" * 64], -1, {}, "no district -1"),
        (["0" * 64], 101, {"first": date(1899, 1, 1)}, "no birth dates"),
        (["0" * 64], 101, {"first": MARCH[1], "last": MARCH[0]}, "no birth dates"),
    ],
)
def test_bad_input_is_one_sentence(hashes, district, more, words):
    with pytest.raises(DataError, match=words):
        recover.recover(hashes, district, progress=False, **more)


_INTERRUPTED = """
import os, signal, threading, time
from leftopen import recover

threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:  # a fast machine may be through with one district
        recover.recover(["0" * 64], 101, progress=False)
except KeyboardInterrupt:
    left = [t.name for t in threading.enumerate() if t.name.startswith("leftopen-recover")]
    print("interrupted", left)
"""


def test_an_interrupt_ends_it_soon_and_leaves_no_thread():
    """In a process of its own: under xdist a test is not in the main thread."""
    told = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout == "interrupted []\n"


def test_an_interrupt_between_two_batches_leaves_no_thread_either(monkeypatch):
    def update(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recover.tqdm, "update", update)
    with pytest.raises(KeyboardInterrupt) as kept:
        recover.recover([], 102, first=MARCH[0], last=MARCH[0], progress=False)
    assert kept.tb  # it keeps all frames alive
    assert not [t for t in threading.enumerate() if t.name.startswith("leftopen-recover")]


_MEMORY = """
import hashlib
import resource
from datetime import date
from leftopen import recover
there = recover.numbers(101, date(1920, 1, 1), date(1920, 12, 31))[::50_000].to_list()
there += [recover.numbers(101, date(year, 6, 1), date(year, 6, 1))[5] for year in range(1921, 1950)]
hashes = [hashlib.sha256(number.encode()).hexdigest() for number in there]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = recover.recover(hashes, 101, last=date(1949, 12, 31), cores=2, progress=False)
assert found["number"].to_list() == there
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count in other units")
def test_it_takes_less_than_300_megabytes():
    """Thirty years with a number found in nearly every batch, which must not keep it alive."""
    told = subprocess.run(
        [sys.executable, "-c", _MEMORY], capture_output=True, text=True, timeout=120, check=True
    )
    assert int(told.stdout) < 300_000
