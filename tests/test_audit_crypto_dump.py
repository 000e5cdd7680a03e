"""A dump or a backup as the auditor reads it: files alone, each fault is told, and nothing else."""

import base64
import contextlib
import datetime
import gzip
import hmac
import json
import random
import re

import bson
import psycopg
import pyrage
import pytest
import seeded_crypto as seeded
import seeded_sealing as sealing
from bson import json_util
from conftest import needs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leftopen import audit, backup, cli
from leftopen.audit.crypto import dump as reading
from leftopen.cases.tongren import small_lab
from leftopen.errors import LeftOpenError

CASES = (*seeded.FAULTS, *seeded.RIGHT)


def told(report):
    assert report.not_looked == ()
    return {f.id: f.severity.value for f in report.findings}


def as_bson(rows):
    return b"".join(map(bson.encode, rows))


def as_lines(rows):
    return "\n".join(json_util.dumps(row) for row in rows).encode()


def as_copy(rows):
    """A table as pg_dump writes it."""

    def value(v):
        if v is None:
            return "\\N"
        return f"\\\\x{v.hex()}" if isinstance(v, bytes) else str(v).replace("\n", "\\n")

    names = list({name: 0 for row in rows for name in row})
    lines = ["\t".join(value(row.get(name)) for name in names) for row in rows]
    head = f"--\n-- PostgreSQL database dump\n--\nCOPY public.t ({', '.join(names)}) FROM stdin;\n"
    return (head + "\n".join(lines) + "\n\\.\n\n").encode()


FORMS = {"bson": as_bson, "bson.gz": lambda rows: sealing.packed(as_bson(rows)), "jsonl": as_lines}
FORMS["sql"] = as_copy


OF_EACH = {str(case.finds): case for case in seeded.FAULTS}.values()
IN_FORMS = [("bson", case) for case in CASES]
IN_FORMS += [(form, case) for form in ("bson.gz", "jsonl", "sql") for case in OF_EACH]
IN_FORMS += [("sql", case) for case in seeded.RIGHT]


@pytest.mark.parametrize(("form", "case"), IN_FORMS, ids=lambda one: getattr(one, "name", one))
def test_the_columns_of_a_dump(tmp_path, form, case):
    for name, rows in case.tables().items():
        (tmp_path / f"{name}.{form}").write_bytes(FORMS[form](rows))
    report = audit(dump=tmp_path)
    found = told(report)
    found.pop("X12", None)  # what is in clear in the case is told too
    assert found == case.finds, report
    for finding in report.findings:
        assert all((finding.what, finding.evidence, finding.why, finding.fix, finding.retest))
        assert not any(number in repr(finding) for number in sealing.NUMBERS)


@pytest.mark.parametrize("form", [as_bson, as_lines])
def test_what_a_driver_encrypted_is_known_in_a_dump(tmp_path, form):
    head = b"\1" + sealing.SALT + b"\2"  # deterministic, the key's name, a text

    def by_driver(text):
        return bson.Binary(head + sealing.siv(text), 6)

    rows = [
        {"idNumber": by_driver(p["id_number"]), "at": bson.Binary(sealing.SALT, 4)}
        for p in sealing.PEOPLE
    ]
    path = tmp_path / "people.json"
    path.write_bytes(form(rows))
    assert told(audit(dump=tmp_path)) == {}
    path.write_bytes(form([{**row, "sex": by_driver("FM"[n % 2])} for n, row in enumerate(rows)]))
    assert told(audit(dump=tmp_path)) == {"X4": "warn"}


def drawn_value(draw):
    """A value of any kind that a document can hold."""
    kinds = [
        None, True, 7, 2**62, 1.5, "", "x" * draw.randrange(60), "é" * 9, [1, "a", b"b"],
        draw.randbytes(draw.randrange(100)), bson.Binary(draw.randbytes(30), 6),
        bson.Binary(b"", 6), bson.Binary(draw.randbytes(16), 4), bson.ObjectId(),
        bson.Decimal128("1.2"), bson.Code("x"), bson.Regex("a"), bson.MaxKey(), bson.MinKey(),
        bson.Timestamp(1, 1), draw.randbytes(16).hex(), "$argon2id$v=19$m=0,t=0,p=0$YQ$YQ",
        {"a": {"b": [{"c": 1}]}}, "gAAAAA", "-----BEGIN PRIVATE KEY-----", "$1$", "AAAA" * 30,
        datetime.datetime(1, 1, 1), "AGE-SECRET-KEY-1", "scrypt$1$1$1$a$",
    ]  # fmt: skip
    return draw.choice(kinds)


NAMES = "key salt password iv nonce sex id_number hash pwd secret value _id aes_key id_hash"
NAMES += " token tag name keyMaterial masterKey login pseudonym"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_dump_holds_the_audit_ends_and_looks(tmp_path, seed):
    draw = random.Random(seed)
    for table in range(3):
        rows = [
            {name: drawn_value(draw) for name in draw.sample(NAMES.split(), 9)} for _ in range(30)
        ]
        (tmp_path / f"{table}.bson").write_bytes(as_bson(rows))
    report = audit(dump=tmp_path)
    assert report.not_looked == ()
    assert "X10" in {f.id for f in report.findings}


# -- what a backup looks like -----------------------------------------------------------------

PAIR = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()
SIGNER = Ed25519PrivateKey.generate()


@pytest.fixture
def plain(tmp_path):
    """A folder with a plain dump of people, to be sealed."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "people.bson").write_bytes(as_bson(sealing.PEOPLE))
    return folder


@pytest.fixture
def right(plain, tmp_path):
    """A sealed backup with a signed manifest."""
    folder = tmp_path / "right"
    folder.mkdir()
    backup.seal(plain, folder / "monday.tar.age", str(PAIR.to_public()))
    backup.sign_manifest(folder, SIGNER)
    return folder


def test_a_sealed_backup_with_a_signed_manifest_is_right(right):
    report = audit(dump=right)
    assert told(report) == {}
    assert report.exit_code == 0
    assert {"X12", "X13", "X14", "X10"} <= set(report.passed)
    assert "the dump right" in report.summary


def test_a_sealed_backup_in_text_is_right_too(plain, tmp_path):
    data = (plain / "people.bson").read_bytes()
    armoured = pyrage.encrypt(data, [PAIR.to_public()], armored=True)
    (plain / "people.age").write_bytes(armoured)
    (plain / "people.bson").unlink()
    assert told(audit(dump=plain)) == {}


LINES = "\n".join(f"{p['id_number']},{p['sex']},{p['district']}" for p in sealing.PEOPLE)
CSV = f"id_number,sex,district\n{LINES}\n".encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("people.csv", CSV),
        ("people.csv.gz", gzip.compress(CSV)),
        ("people.gz.b64", base64.encodebytes(gzip.compress(CSV))),
        ("backup.sealed", base64.b64encode(CSV)),
        ("people.hex", CSV.hex().encode()),
        ("people.json", json.dumps([dict(p) for p in sealing.PEOPLE]).encode()),
        ("people.sql", as_copy(sealing.PEOPLE)),
        ("collection-0.wt", b"\0\1\2\xff" * 50 + CSV),
        ("names.csv", b"name,flat\n" + b"\n".join(b"Wu Yi Ling,%d" % n for n in range(20))),
    ],
)
def test_a_dump_that_anyone_reads_is_told(right, name, data):
    (right / name).write_bytes(data)
    report = audit(dump=right)
    assert told(report) == {"X12": "fix"}
    assert name in report.findings[0].evidence
    assert "0001011" not in repr(report)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("items.csv", b"name,price\nlamp,12\nrug,30\n" * 20),
        ("readme.txt", b"Restore with: age -d -i KEY monday.tar.age | tar x\nSize 20260722\n"),
        ("people.metadata.json", b'{"collectionName": "people", "indexes": [{"name": "id_1"}]}'),
        ("noise.bin", sealing.DRAWN.randbytes(200_000)),
        ("files.csv", b"name,size\nWu.png,100\nphoto.png,200\n"),
    ],
)
def test_what_is_about_nobody_is_told_as_nothing(right, name, data):
    (right / name).write_bytes(data)
    assert told(audit(dump=right)) == {}


def test_a_manifest_without_a_signature_is_told(right):
    (right / "manifest.sig").unlink()
    report = audit(dump=right)
    assert told(report) == {"X13": "warn"}
    assert "manifest.json" in report.findings[0].what


@pytest.mark.parametrize("name", ["SHA256SUMS", "monday.tar.age.sha256", "MANIFEST.txt"])
def test_other_manifests_are_known_and_their_signatures(right, name):
    (right / "manifest.json").unlink()
    (right / "manifest.sig").unlink()
    (right / name).write_text(f"{'ab' * 32}  monday.tar.age\n")
    assert told(audit(dump=right)) == {"X13": "warn"}
    (right / f"{name}.minisig").write_bytes(b"untrusted comment: x\nRWQ")
    assert told(audit(dump=right)) == {}


def test_a_signature_in_the_manifest_counts_and_an_empty_one_does_not(right):
    (right / "manifest.sig").write_bytes(b"")
    assert told(audit(dump=right)) == {"X13": "warn"}
    said = json.loads((right / "manifest.json").read_text())
    signature = base64.b64encode(SIGNER.sign(b"the files")).decode()
    (right / "manifest.json").write_text(json.dumps({**said, "signature": signature}))
    assert told(audit(dump=right)) == {}


def test_the_private_key_beside_the_sealed_backup_is_told(right):
    (right / "notes").mkdir()
    (right / "notes" / "key.txt").write_text(f"# created: today\n{PAIR}\n")
    report = audit(dump=right)
    assert told(report) == {"X14": "fix"}
    assert "it opens monday.tar.age" in report.findings[0].evidence
    assert str(PAIR) not in repr(report)


def test_another_private_key_is_a_key_beside_the_data(right):
    (right / "key.txt").write_text(str(OTHER))
    assert told(audit(dump=right)) == {"X10": "fix"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("signing.pem", sealing.pem().encode()),
        ("master.key", sealing.DRAWN.randbytes(96)),
        ("master-key.txt", base64.b64encode(sealing.DRAWN.randbytes(96))),
        ("secret.hex", sealing.KEY.hex().encode()),
    ],
)
def test_a_key_as_a_file_is_told(right, name, data):
    (right / name).write_bytes(data)
    report = audit(dump=right)
    assert told(report) == {"X10": "fix"}
    assert data.decode("latin-1") not in repr(report)


def test_public_keys_are_no_keys(right):
    (right / "recipient.txt").write_text(str(PAIR.to_public()))
    (right / "signing.pub").write_bytes(SIGNER.public_key().public_bytes_raw())
    assert told(audit(dump=right)) == {}


def test_an_archive_that_is_sealed_block_by_block_is_told(right):
    text = "\n".join(f"{'Gate 1, nobody passed':64}" for _ in range(50))
    (right / "tuesday.tar.enc").write_bytes(sealing.ecb(text))
    assert told(audit(dump=right)) == {"X1": "fix"}
    (right / "tuesday.tar.enc").write_bytes(sealing.gcm(text))
    assert told(audit(dump=right)) == {}


@pytest.mark.parametrize("provider", ["local", "local:new"])
@pytest.mark.parametrize(
    "master", [sealing.DRAWN.randbytes(96), "a key of 96 letters, " * 4 + "12 or so.. . "[:12]]
)
def test_the_master_key_in_a_dump_of_the_vault_is_told(right, master, provider):
    raw, wrapped = as_bytes(master), sealing.DRAWN.randbytes(128)
    assert len(raw) == 96
    tag = hmac.digest(raw[:32], wrapped + bytes(8), "sha512")[:32]
    vault = {"_id": 1, "keyMaterial": wrapped + tag, "masterKey": {"provider": provider}}
    (right / "vault.bson").write_bytes(as_bson([vault]))
    assert told(audit(dump=right)) == {}
    (right / "notes.bson").write_bytes(as_bson([{"note": master}]))
    report = audit(dump=right)
    assert told(report) == {"X10": "fix"}
    assert "opens 1 of the 1 local data keys" in report.findings[0].evidence


def as_bytes(value):
    return value.encode() if isinstance(value, str) else value


def test_a_dump_of_postgres_as_pg_dump_makes_it(tmp_path):
    needs("postgres")
    with contextlib.closing(small_lab(1)) as lab:
        uri = lab.inside.uri_of("doors_1")
        with psycopg.connect(uri, autocommit=True) as operator:
            operator.execute("CREATE TABLE sealed (id_number bytea)")
            rows = [(sealing.ecb(number),) for number in sealing.NUMBERS]
            operator.cursor().executemany("INSERT INTO sealed VALUES (%s)", rows)
        backup.dump_postgres(uri, tmp_path / "packed")
    report = audit(dump=tmp_path / "packed")
    assert told(report) == {"X1": "fix", "X12": "fix"}
    assert "an 18-place identity number" in repr(report)
    assert not any("damaged" in spot for spot in report.blind_spots)


# -- arguments, the command -------------------------------------------------------------------


def test_the_command_says_the_same(right, capsys):
    assert cli.main(["audit", "--dump", str(right)]) == 0
    assert "every check could look" in capsys.readouterr().out
    (right / "people.csv").write_bytes(CSV)
    assert cli.main(["audit", "--dump", str(right), "--format", "sarif"]) == 1
    rules = json.loads(capsys.readouterr().out)["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["X12"]
    assert cli.main(["audit", "--dump", str(right / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_single_file_can_be_given(right):
    assert told(audit(dump=right / "monday.tar.age")) == {}


def test_arguments_that_cannot_be_used_are_said(right, tmp_path):
    with pytest.raises(LeftOpenError, match="looked at alone"):
        audit("mongodb://127.0.0.1", dump=right)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LeftOpenError, match="holds no file"):
        audit(dump=tmp_path / "empty")


def test_files_beyond_the_most_are_said_to_be_unseen(right, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_FILES", 1)
    assert any(re.search("beyond the first", spot) for spot in audit(dump=right).blind_spots)


def test_broken_files_are_passed_over(right):
    (right / "a.bson").write_bytes(as_bson(sealing.PEOPLE)[:-9])
    (right / "b.json").write_text('{"a": ')
    (right / "c.gz").write_bytes(gzip.compress(CSV)[:40])
    (right / "d.tar").write_bytes(b"\0" * 257 + b"ustar" + b"x" * 900)
    (right / "e.bson").write_bytes((20).to_bytes(4, "little") + b"x" * 15 + b"\0")
    assert told(audit(dump=right)) == {"X12": "fix"}  # a.bson is cut, and its beginning read
