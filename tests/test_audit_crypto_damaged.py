"""Dumps that are damaged, cut, locked or too long: what can be read is read, and the rest is said.

A backup is looked at when something has gone wrong, so that half of a file is a usual find.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import bson
import pyrage
import pytest
import seeded_crypto as seeded
import seeded_sealing as sealing

from leftopen import audit
from leftopen.audit import personal
from leftopen.audit.crypto import dump, keys, kinds, search
from leftopen.errors import LeftOpenError

KEY, OTHER = (pyrage.x25519.Identity.generate() for _ in range(2))
_DRAWN = random.Random(7)
_LINES = [f"{n},{t},{_DRAWN.randbytes(9).hex()}" for n, t in enumerate(sealing.NUMBERS * 200)]
CSV = "\n".join(["number,id_number,visit", *_LINES, ""]).encode()


def told(folder):
    """What the audit of a folder finds, and the sentence on what was damaged; empty if none."""
    report = audit(dump=folder)
    assert report.not_looked == ()
    damaged = [spot for spot in report.blind_spots if "damaged" in spot]
    return {f.id: f.severity.value for f in report.findings}, "".join(damaged).partition(": ")[2]


def tarred(data):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("people.csv")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped(data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", data)
    return file.getvalue()


def dumped(data, size):
    """Tables as ``pg_dump -Fc`` packs them: chunks with their length before them."""
    tables = b""
    for each in (data, data):
        packed = zlib.compress(each)
        for at in range(0, len(packed), size):
            chunk = packed[at : at + size]
            tables += b"\0" + len(chunk).to_bytes(4, "little") + chunk
        tables += bytes(5)
    text = b"\0\1\0\0\0x\1\1\0\0\0" + b"\0\2\0\0\0x^"  # names of one letter and of two
    return b"PGDMP\1\x10\4" + text + tables


def cut(data):
    return data[: len(data) * 2 // 3]


def turned(data):
    """The same with a byte in the middle turned over."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


PACKED = {
    "people.csv.gz": (gzip.compress(CSV, mtime=0), "people.csv.gz/people.csv"),
    "people.csv.bz2": (bz2.compress(CSV, 1), "people.csv.bz2/people.csv"),
    "people.csv.xz": (lzma.compress(CSV), "people.csv.xz/people.csv"),
    "people.tar": (tarred(CSV), "people.tar"),
    "people.tgz": (gzip.compress(tarred(CSV), mtime=0), "people.tgz/people"),
}


@pytest.mark.parametrize("name", PACKED)
def test_what_stands_before_the_damage_is_read(tmp_path, name):
    data, inside = PACKED[name]
    (tmp_path / name).write_bytes(data)
    assert told(tmp_path) == ({"X12": "fix"}, "")
    (tmp_path / name).write_bytes(cut(data))
    found, damaged = told(tmp_path)
    assert found == {"X12": "fix"}
    assert inside in damaged


def test_a_byte_that_turned_over_ends_the_reading_there(tmp_path):
    data, inside = PACKED["people.csv.bz2"]
    (tmp_path / "people.csv.bz2").write_bytes(turned(data))
    found, damaged = told(tmp_path)
    assert found["X12"] == "fix"
    assert damaged == inside


def test_of_a_zip_the_good_part_is_read_and_a_locked_one_is_named(tmp_path):
    data = zipped(CSV)
    path = tmp_path / "people.zip"
    path.write_bytes(turned(data))
    assert told(tmp_path) == ({"X12": "fix"}, "people.zip/people.csv")
    path.write_bytes(cut(data))  # its list of contents stands at its end
    assert told(tmp_path) == ({}, "people.zip")
    at = data.index(b"PK\1\2") + 8
    path.write_bytes(data[:at] + bytes([data[at] | 1]) + data[at + 1 :])
    assert told(tmp_path) == ({}, "people.zip/people.csv")
    path.write_bytes(data.replace(b"people.csv", bytes(10)))  # a name of nothing
    assert told(tmp_path)[1] == "people.zip"


@pytest.mark.parametrize("size", [4096, 1 << 20])
def test_of_a_packed_table_of_postgres_the_good_part_is_read(tmp_path, size):
    path, data = tmp_path / "doors.dump", dumped(CSV.replace(b",", b"\t"), size)
    path.write_bytes(data)
    assert told(tmp_path) == ({"X12": "fix"}, "")
    found = {name: n for name, _, n in search.plain_in_folder(path, ["\n"]) if "data" in name}
    assert found == dict.fromkeys(("doors.dump/data 1", "doors.dump/data 2"), CSV.count(b"\n"))
    path.write_bytes(data[: len(data) // 3])  # of the first table
    assert told(tmp_path) == ({"X12": "fix"}, "doors.dump")
    path.write_bytes(cut(data))
    found = {name: n for name, _, n in search.plain_in_folder(path, ["\n"])}
    assert found["doors.dump/data 1"] == CSV.count(b"\n") > found["doors.dump/data 2"] > 1000
    at = data.index(b"\x78\x9c") + 3
    path.write_bytes(data[:at] + b"\xff" * 9 + data[at + 9 :])  # where the first table begins
    assert told(tmp_path) == ({"X12": "fix"}, "doors.dump")


def test_many_damaged_files_are_counted(tmp_path):
    for n in range(6):
        (tmp_path / f"{n}.gz").write_bytes(gzip.compress(b"x")[:12])
    assert told(tmp_path)[1] == "0.gz/0, 1.gz/1, 2.gz/2, 3.gz/3 and 2 more"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("long.csv", b'note\n"' + b"x" * 200_000 + b'"\n'),  # the reader takes 131,072 letters
        ("deep.json", b"[" * 100_000),
        ("manifest.json", b"[" * 100_000),
        ("binary.json", b'{"a": {"$binary": {}}}'),
        ("decimal.json", b'{"a": {"$numberDecimal": "x"}}'),
        ("words.bson", bson.encode({"a": "xx"}).replace(b"xx", b"\xff\xff")),
    ],
)
def test_what_no_reader_takes_is_looked_through_as_text(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert told(tmp_path)[0].keys() <= {"X13"}  # of the manifest alone
    (tmp_path / name).write_bytes(data + b"\n" + f" {sealing.NUMBERS[0]} \n".encode() * 9)
    if not name.startswith("manifest"):
        assert told(tmp_path)[0] == {"X12": "fix"}


# -- files that are longer than what is looked at ----------------------------------------------


def test_a_file_that_is_looked_at_in_part_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(dump, "_HEAD", 1000)
    (tmp_path / "a.txt").write_bytes(b"x" * 1000)
    assert not any("beyond" in spot for spot in audit(dump=tmp_path).blind_spots)
    (tmp_path / "a.txt").write_bytes(b"x" * 1001)
    assert any("32 MB of a file" in spot for spot in audit(dump=tmp_path).blind_spots)


@pytest.mark.parametrize("size", range(2000, 2004))
def test_rows_are_read_also_where_the_cut_goes_through_a_letter(tmp_path, monkeypatch, size):
    monkeypatch.setattr(dump, "_HEAD", size)
    (tmp_path / "names.csv").write_text("name,flat\n" + "Wú Yī Líng,7\n" * 900, encoding="utf-8")
    assert told(tmp_path)[0] == {"X12": "fix"}
    (tmp_path / "names.csv").write_bytes(b"name,flat\n" + b"\xff\xfe\x80,7\n" * 900)
    assert told(tmp_path)[0] == {}


# -- the private key beside a damaged backup ---------------------------------------------------


@pytest.mark.parametrize("armored", [False, True])
def test_a_key_that_fits_is_told_whatever_has_become_of_the_rest(tmp_path, monkeypatch, armored):
    sealed = pyrage.encrypt(os.urandom(300_000), [KEY.to_public()], armored=armored)
    path = tmp_path / "monday.tar.age"
    (tmp_path / "key.txt").write_text(str(KEY))
    for data in (sealed, sealed[:1000], sealed[: len(sealed) // 2]):
        path.write_bytes(data)
        assert told(tmp_path)[0] == {"X14": "fix"}
    path.write_bytes(sealed)
    monkeypatch.setattr(dump, "_HEAD", 100_000)
    assert told(tmp_path)[0] == {"X14": "fix"}
    (tmp_path / "key.txt").write_text(str(OTHER))
    assert told(tmp_path)[0] == {"X10": "fix"}


def test_a_damaged_header_is_opened_by_no_key(tmp_path):
    sealed = pyrage.encrypt(os.urandom(1000), [KEY.to_public()])
    (tmp_path / "key.txt").write_text(str(KEY))
    mac = sealed.index(b"--- ") + 10
    for data in (sealed[:40], turned(sealed[: sealed.index(b"--- ")]), sealed[:mac]):
        (tmp_path / "monday.tar.age").write_bytes(data)
        assert told(tmp_path)[0] == {"X10": "fix"}
    changed = bytes([sealed[mac] ^ 1])
    (tmp_path / "monday.tar.age").write_bytes(sealed[:mac] + changed + sealed[mac + 1 :])
    assert told(tmp_path)[0] == {"X10": "fix"}


def test_a_drawn_value_that_begins_as_a_gzip_nearly_does_is_drawn():
    drawn = _DRAWN.randbytes(60)
    assert not kinds.is_random(gzip.compress(drawn))
    assert all(kinds.is_random(b"\x1f\x8b" + bytes([n]) + drawn) is (n != 8) for n in range(256))


# -- marks of private keys, names of fields -----------------------------------------------------

BLOCK = "-----BEGIN PGP {} KEY BLOCK-----\n\nlQOYBGX0\n-----END PGP {} KEY BLOCK-----\n"
SECRET = {"PEM": sealing.pem(), "age": str(KEY), "PGP": BLOCK.replace("{}", "PRIVATE")}


@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
@pytest.mark.parametrize("kind", SECRET)
def test_a_private_key_is_known_as_text_and_as_bytes(tmp_path, kind, form):
    path = tmp_path / "notes.bson"
    path.write_bytes(bson.encode({"note": form(f"Keep: {SECRET[kind]}")}))
    assert told(tmp_path)[0] == {"X10": "fix"}
    public = [BLOCK.replace("{}", "PUBLIC"), str(KEY.to_public()), "an AGE-SECRET-KEY- to come"]
    path.write_bytes(b"".join(bson.encode({"note": form(text)}) for text in public))
    assert told(tmp_path)[0] == {}


def test_names_that_one_part_of_the_audit_knows_the_others_know_too(tmp_path):
    every = {**personal.NAMES, **personal.PERSONS, **personal.DEVICES_AND_GROUPS}
    for name in every.keys() - {"mac", "group"}:
        assert kinds.is_personal(name), name
        (tmp_path / "people.csv").write_text(f"{name}\n" + "Wu Yi\n" * 9)
        assert told(tmp_path)[0] == {"X12": "fix"}, name
    assert not kinds.is_personal("mac")  # also the code that authenticates a message
    assert not kinds.is_personal("price")


# -- files that cannot be read, arguments, the seed of the hashes ------------------------------


def test_a_file_that_cannot_be_read_hides_no_key_in_another(tmp_path, monkeypatch):
    key = hashlib.sha256(b"Spring2026").digest()
    (tmp_path / "a.py").write_text("locked")
    (tmp_path / "b.py").write_text('password = "Spring2026"')
    usual = Path.read_bytes

    def refused(path):
        if path.name == "a.py":
            raise PermissionError(13, "Permission denied")
        return usual(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert keys.in_folder(key, tmp_path) == ["b.py: the password that it is made from"]


@pytest.mark.parametrize(
    "more",
    [
        {"administrators": ["ops"]},
        {"wanted": ["192.0.2.1"]},
        {"auth_source": "shop"},
        {"user": "ops"},
        {"password": "x"},
        {"config": "opensearch.yml"},
    ],
)
def test_beside_a_dump_nothing_is_taken_in_silence(tmp_path, more):
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(LeftOpenError, match="looked at alone"):
        audit(dump=tmp_path, **more)


def test_a_service_alone_takes_no_password_and_a_server_no_half_of_a_login():
    with pytest.raises(LeftOpenError, match="is asked with a token"):
        audit(backend="http://127.0.0.1:9", password="x")
    with pytest.raises(LeftOpenError, match="a name and a password"):
        audit("mongodb://127.0.0.1:9", password="x")


_AUDIT = "import sys, leftopen\nfor path in sys.argv[1:]: print(leftopen.audit(dump=path))"


def test_the_report_is_the_same_whatever_the_seed_of_the_hashes(tmp_path):
    for n, case in enumerate(seeded.FAULTS):
        (tmp_path / str(n)).mkdir()
        for name, rows in case.tables().items():
            data = b"".join(map(bson.encode, rows))
            (tmp_path / str(n) / f"{name}.bson").write_bytes(data)
    (tmp_path / "mixed").mkdir()
    nonces = [sealing.FIXED, sealing.SALT, sealing.FIXED[:8]]
    rows = [
        {"number": n, "nonce": nonces[n % 3], "sealed": sealing.gcm(number)[12:]}
        for n, number in enumerate(sealing.NUMBERS)
    ]
    (tmp_path / "mixed" / "apart.bson").write_bytes(b"".join(map(bson.encode, rows)))
    folders = sorted(map(str, tmp_path.iterdir()))
    reports = {
        subprocess.run(
            [sys.executable, "-c", _AUDIT, *folders],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(reports) == 1
    assert b"60 different values have a nonce that another has too" in reports.pop()
