"""Cryptography as the auditor sees it on real servers: each fault is told, and nothing else is."""

import base64
import contextlib
import html
import os
import re

import audits
import pytest
import seeded_crypto as seeded
import seeded_postgres
import seeded_sealing as sealing
import seeded_search
import seeded_servers
from bson import Binary
from bson.codec_options import CodecOptions
from conftest import needs
from pymongo.encryption import Algorithm, ClientEncryption

from leftopen.audit.checks import run_all
from leftopen.audit.crypto.run import MODULES
from leftopen.audit.look import Look
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.shared import Target

CASES = (*seeded.FAULTS, *seeded.RIGHT)
IDS = {"X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9", "X10", "X11", "X15"}
mongo = audits.stage_of("mongodb", seeded_servers)
sql = audits.stage_of("postgres", seeded_postgres)


def told(findings):
    """What was found of cryptography, with its severity."""
    return {f.id: f.severity.value for f in findings if re.fullmatch(r"X\d+", f.id)}


def of_cryptography(report):
    """The same of a report, in which no such check failed to look."""
    assert [n for n in report.not_looked if n.id in IDS] == []
    return told(report.findings)


def well_written(findings, page=None):
    """Whether each finding is whole, stands in the page, if any, and shows no value of a person."""
    for finding in findings:
        assert all((finding.what, finding.evidence, finding.why, finding.fix, finding.retest))
        assert finding.cwe.startswith("CWE-")
        assert not any(number in repr(finding) for number in sealing.NUMBERS)
        assert sealing.KEY.hex() not in repr(finding)
        assert page is None or html.escape(finding.what) in page


def looked(kind, stage, **login):
    """What the checks of cryptography alone find."""
    look = kind(Target("127.0.0.1", stage.lab.inside.port, stage.lab, **login))
    try:
        outcome = run_all(look, MODULES)
    finally:
        look.close()
    assert outcome.not_looked == []
    well_written(outcome.findings)
    return outcome


# -- MongoDB ----------------------------------------------------------------------------------


@pytest.fixture
def client(mongo):
    """An administrator's client; what was planted is dropped afterwards."""
    with mongo.admin() as client:
        yield client
        client.drop_database("crypto")
        client.drop_database("keys")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_mongodb(mongo, client, case):
    for name, rows in case.tables().items():
        client.crypto[name].insert_many(rows)
    outcome = looked(Look, mongo, user="ops", password=seeded_servers.OPS)
    assert told(outcome.findings) == case.finds, outcome


MASTER = sealing.DRAWN.randbytes(96)


@contextlib.contextmanager
def driver(client, vault="keys.vault"):
    """The driver's own encryption, with its master key in memory; and a way to make data keys."""
    with ClientEncryption({"local": {"key": MASTER}}, vault, client, CodecOptions()) as encryption:
        yield encryption


def sealed_by_driver(client, sexes, vault="keys.vault", every=1):
    """People whose numbers are encrypted deterministically, and their sexes as told."""
    with driver(client, vault) as encryption:
        key = encryption.create_data_key("local", key_alt_names=["people"])

        def seal(text, algorithm):
            return encryption.encrypt(text, algorithm, key_id=key)

        client.crypto.people.insert_many(
            {
                "idNumber": seal(
                    p["id_number"], Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Deterministic
                )
                if n % every == 0
                else p["id_number"],
                "sex": seal(p["sex"], sexes),
            }
            for n, p in enumerate(sealing.PEOPLE)
        )


DETERMINISTIC = Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Deterministic
RANDOM = Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Random


def test_the_drivers_encryption_as_it_should_be_is_told_as_none(mongo, client):
    sealed_by_driver(client, RANDOM)
    report = mongo.audit()
    assert of_cryptography(report) == {}, report
    assert set(report.passed) >= IDS - {"X15"}


def test_the_driver_on_few_values_is_told(mongo, client):
    sealed_by_driver(client, DETERMINISTIC)
    report = mongo.audit()
    assert of_cryptography(report) == {"X4": "warn"}
    evidence = next(f.evidence for f in report.findings if f.id == "X4")
    assert "60 values of crypto.people.sex → 2 different ciphertexts" in evidence
    retest = next(f.retest for f in report.findings if f.id == "X4")
    values = eval(retest, {"client": client})  # the line that tries again by hand
    assert len(values) == 20
    assert all(isinstance(value["sex"], Binary) for value in values)


def test_the_driver_on_new_writes_alone_is_told(mongo, client):
    sealed_by_driver(client, RANDOM, every=4)
    report = mongo.audit()
    assert of_cryptography(report) == {"X6": "fix"}
    evidence = next(f.evidence for f in report.findings if f.id == "X6")
    assert "15 encrypted, 45 readable" in evidence


@pytest.mark.parametrize(
    "value",
    [Binary(MASTER), base64.b64encode(MASTER).decode(), MASTER.hex()],
    ids=["bytes", "base64", "hex"],
)
def test_the_master_key_beside_the_vault_is_told_whatever_its_name(mongo, client, value):
    sealed_by_driver(client, RANDOM)
    client["keys"].notes.insert_one({"m": value})
    report = mongo.audit()
    assert of_cryptography(report) == {"X10": "fix"}
    assert "opens 1 of the 1 local data keys" in repr(report)
    client["keys"].notes.replace_one({}, {"m": Binary(MASTER[::-1])})
    assert of_cryptography(mongo.audit()) == {}


def test_who_reads_the_vault_without_need_is_told_and_who_decrypts_is_not(mongo, client):
    sealed_by_driver(client, RANDOM)

    def give(name, *places):
        privileges = [
            {"resource": {"db": db, "collection": c}, "actions": ["find"]} for db, c in places
        ]
        client.admin.command("createRole", f"{name}_part", privileges=privileges, roles=[])
        client.admin.command(
            "createUser", name, pwd=seeded_servers.APP, roles=[f"{name}_part"],
            mechanisms=seeded_servers.SHA256,
        )  # fmt: skip

    try:
        give("decrypts", ("keys", "vault"), ("crypto", "people"))
        assert of_cryptography(mongo.audit()) == {}
        give("board", ("keys", "vault"), ("shop", "orders"))
        report = mongo.audit()
        assert of_cryptography(report) == {"X11": "warn"}
        what = next(f.what for f in report.findings if f.id == "X11")
        assert "keys.vault is read by 'board'" in what
    finally:
        mongo.reset()


def test_what_was_written_last_is_sampled_too_and_each_document_once(mongo, client):
    rows = [{"idNumber": number} for number in sealing.NUMBERS * 6]
    sealed = [{"idNumber": sealing.gcm(number)} for number in sealing.NUMBERS]
    client.crypto.people.insert_many(rows + sealed)
    report = mongo.audit()
    assert of_cryptography(report) == {"X6": "fix"}
    assert "300 values of crypto.people.idNumber → 60 encrypted, 240 readable" in repr(report)


def test_the_audit_changes_nothing_in_the_data(mongo, client):
    client.crypto.people.insert_many(sealing.column("id_number", sealing.ecb))
    before = list(client.crypto.people.find())
    mongo.audit()
    assert list(client.crypto.people.find()) == before


# -- PostgreSQL -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_postgres(sql, case):
    with seeded.tables_in(sql, case.tables()):
        assert told(looked(PostgresLook, sql).findings) == case.finds


def test_a_column_of_bytes_in_which_text_was_left_is_told_in_the_whole_report(sql):
    rows = sealing.column("id_number", sealing.half_plain(sealing.gcm))
    rows = [{**row, "id_number": as_bytes(row["id_number"])} for row in rows]
    with seeded.tables_in(sql, {"people": rows}):
        report = sql.audit()
    assert of_cryptography(report) == {"X6": "fix"}
    finding = next(f for f in report.findings if f.id == "X6")
    assert "doors_1.crypto.people.id_number" in finding.what
    assert 'SELECT "id_number" FROM crypto.people' in finding.retest


def as_bytes(value):
    return value.encode() if isinstance(value, str) else value


def test_the_end_of_a_long_table_is_seen(sql):
    old = [{"number": n, "id_number": text.encode()} for n, text in enumerate(sealing.NUMBERS * 50)]
    new = [{"number": n, "id_number": sealing.gcm(t)} for n, t in enumerate(sealing.NUMBERS)]
    with seeded.tables_in(sql, {"people": old + new}):
        assert told(looked(PostgresLook, sql).findings) == {"X6": "fix"}


def test_the_line_that_tries_again_runs(sql):
    with seeded.tables_in(sql, {"people": sealing.column("id_number", sealing.ecb)}) as operator:
        (finding,) = looked(PostgresLook, sql).findings
        assert len(operator.execute(finding.retest).fetchall()) == 20


@pytest.mark.parametrize("values", [None, ["a text", "a key that stands there"]])
def test_a_key_in_the_log_is_told(sql, values):
    places = "%s, %s" if values else "'a text', 'a key that stands there'"
    with seeded.tables_in(sql, {"people": sealing.column("id_number", sealing.gcm)}) as operator:
        assert told(looked(PostgresLook, sql).findings) == {}
        operator.execute(
            "CREATE FUNCTION crypto.pgp_sym_encrypt(text, text) RETURNS text LANGUAGE sql "
            "AS 'SELECT $1'"  # only its name stands in the log
        )
        operator.execute(
            "CREATE FUNCTION crypto.hmac(text, bytea, text) RETURNS text LANGUAGE sql "
            "AS 'SELECT $1'"
        )
        operator.execute("SET log_statement = 'all'")
        try:
            # The key is a column's, and the literal behind it is no key.
            operator.execute("SELECT crypto.hmac('a text', id_number, 'sha256') FROM crypto.people")
            assert told(looked(PostgresLook, sql).findings) == {}
            operator.execute(f"SELECT crypto.pgp_sym_encrypt({places})", values)
            outcome = looked(PostgresLook, sql)
        finally:
            os.truncate(sql.lab.log, 0)
        assert told(outcome.findings) == {"X15": "fix"}
        assert "stands there" not in repr(outcome.findings)


def test_a_server_without_cryptography_leaves_the_checks_out(sql):
    outcome = looked(PostgresLook, sql)
    assert {left.id for left in outcome.left_out} == IDS
    assert not outcome.passed
    assert not outcome.findings


# -- OpenSearch: one cluster, a case of each kind, all at once ---------------------------------

OF_EACH = list({str(case.finds): case for case in reversed(seeded.FAULTS)}.values())
MORE = ("one nonce, apart", "AES-GCM of sexes, as text", "Fernet", "keyed pseudonyms", "Argon2id")
MORE += ("references that are sealed", "checksums of files", "names, numbers and addresses")
ALL_AT_ONCE = [*OF_EACH, *(case for case in CASES if case.name in MORE)]


def as_json(value):
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def documents():
    for n, number in enumerate(sealing.NUMBERS * 5):
        yield {"index": {"_index": "long"}}
        yield {"number": n, "id": number if n < 260 else as_json(sealing.gcm(number))}
    for n, case in enumerate(ALL_AT_ONCE):
        for name, rows in case.tables().items():
            for row in rows:
                yield {"index": {"_index": f"case{n}-{name}"}}
                yield {key: as_json(value) for key, value in row.items()}


def test_opensearch():
    needs("opensearch")
    stage = seeded_search.Stage()
    with contextlib.closing(stage.lab):
        with stage.client() as client:
            client.bulk(body=list(documents()), refresh=True, request_timeout=120)
        report = stage.audit()
    assert [n for n in report.not_looked if n.id in IDS] == []
    found = [f for f in report.findings if f.id in IDS]
    well_written(found, report._repr_html_())
    for n, case in enumerate(ALL_AT_ONCE):
        mine = [f for f in found if f"case{n}-" in f.what]
        assert told(mine) == case.finds, (case.name, mine)
    assert told(f for f in found if "long.id" in f.what) == {"X6": "fix"}  # its end is read too
    assert {f.id for f in found} == IDS - {"X11", "X15"}  # the vault of MongoDB's drivers
