"""Exercise 14, question 3: another machine, pieces of a pseudonym, a key that is printed."""

import datetime
import getpass
import hmac
import json
import os
import platform
import random
import secrets
import socket
import sqlite3
import sys
import uuid
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hash_asked import exercise_of_someone, found

from leftopen.checks import hash_and_pseudonymise_machine as machine
from leftopen.checks import hash_and_pseudonymise_names as names
from leftopen.checks.question import RIGHT


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


def key_of(ex):
    return os.environ[ex.task(3)["variable"]]


def keyed(ex, number, more=""):
    return hmac.digest((key_of(ex) + more).encode(), number.encode(), "sha256").hex()


def right_key():
    return secrets.token_hex(32)


def in_blocks(ex):
    """AES block by block; the second has two characters of the number."""

    def name(number):
        cipher = Cipher(algorithms.AES(bytes.fromhex(key_of(ex))), modes.ECB()).encryptor()
        return cipher.update(number.ljust(32).encode()).hex()

    return name


PIECES = {
    "AES in blocks": in_blocks,
    "the end beside": lambda ex: lambda n: keyed(ex, n)[:24] + keyed(ex, n[16:])[:12],
    "the day beside": lambda ex: lambda n: keyed(ex, n)[:24] + keyed(ex, n[:14])[:6],
}


@pytest.mark.parametrize("way", PIECES)
def test_a_piece_for_a_part_of_the_number_is_told(ex, way):
    assert found(ex, 3, PIECES[way](ex), right_key) == "in_pieces"


@pytest.mark.parametrize("letters", ["01", "0123456789", "0123456789abcdef", "abcdefghjkmnpqrst"])
def test_chance_is_no_piece(letters):
    for _ in range(20):
        assert not names._in_pieces(["".join(random.choices(letters, k=64)) for _ in range(300)])


def test_words_of_a_list_are_no_pieces():
    some = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(2048)]
    for _ in range(5):
        made = ["-".join(random.choices(some, k=6)) for _ in range(300)]
        assert not names._in_pieces(made)


def in_a_file(ex, path):
    def name(number):
        seen = json.loads(path.read_text()) if path.exists() else {}
        place = keyed(ex, number)
        if place not in seen:
            seen[place] = secrets.token_hex(16)
            path.write_text(json.dumps(seen))
        return seen[place]

    return name


def in_a_database(ex, path):
    def name(number):
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE IF NOT EXISTS seen (place TEXT PRIMARY KEY, name TEXT)")
        with db:
            new = (keyed(ex, number), secrets.token_hex(16))
            db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", new)
        found = db.execute("SELECT name FROM seen WHERE place = ?", new[:1]).fetchone()[0]
        db.close()
        return found

    return name


def with_a_pepper(ex, path):
    path.write_bytes(secrets.token_bytes(16))
    return lambda number: keyed(ex, number, path.read_bytes().hex())


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


@needs_fork
@pytest.mark.parametrize("make", [in_a_file, with_a_pepper])
def test_what_another_machine_cannot_read_is_told(ex, tmp_path, make):
    made = make(ex, tmp_path / "kept here")
    assert found(ex, 3, made, right_key) == "another_in_another_process"


@needs_fork
def test_a_database_of_this_machine_is_not_there(ex, tmp_path):
    name = in_a_database(ex, tmp_path / "seen")
    with names._environment(ex.task(3)["variable"], right_key()):
        assert name("1") == name("1")
        assert machine.on_another_machine(lambda: name("1")) == "FileNotFoundError"


MACHINES = {
    "its address": lambda: str(uuid.getnode()),
    "its name": lambda: platform.node(),
    "its name in the net": lambda: socket.gethostname(),
    "its user": getpass.getuser,
    "its folder": os.getcwd,
    "its home": lambda: str(Path.home()),
    "its day": lambda: str(datetime.date.today()),
    "its system": lambda: str(os.uname()),
    "another variable": lambda: os.environ["HERE"],
}


@needs_fork
@pytest.mark.parametrize("way", MACHINES)
def test_what_is_of_this_machine_is_not_of_the_other(way, monkeypatch):
    monkeypatch.setenv("HERE", "here")
    here = MACHINES[way]()
    assert machine.on_another_machine(MACHINES[way]) not in (None, here)
    assert MACHINES[way]() == here


@needs_fork
def test_the_address_of_this_machine_in_a_pseudonym_is_told(ex):
    def name(number):
        return keyed(ex, number, str(uuid.getnode()))

    assert found(ex, 3, name, right_key) == "another_in_another_process"


@needs_fork
def test_modules_that_are_first_imported_there_can_be():
    def work():
        import colorsys

        return colorsys.__name__

    sys.modules.pop("colorsys", None)
    assert machine.on_another_machine(work) == "colorsys"


@pytest.mark.parametrize("says", [print, lambda text: print(text, file=sys.stderr)])
def test_a_key_that_is_printed_is_told(ex, says):
    def name(number):
        says(key_of(ex))
        return keyed(ex, number)

    def new():
        made = right_key()
        says(made)
        return made

    assert found(ex, 3, name, right_key) == "key_shown"
    assert found(ex, 3, lambda number: keyed(ex, number), new) == "key_shown"


def test_other_things_may_be_printed(ex, capsys):
    def name(number):
        print("here", len(number))
        return keyed(ex, number)

    assert found(ex, 3, name, right_key) == RIGHT
    assert "here 18" in capsys.readouterr().out
