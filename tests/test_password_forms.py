"""The stored forms of passwords, beside those that real servers keep."""

import base64
import itertools
import time
from collections import Counter

import bcrypt
import psycopg
import pytest
from postgres_labs import make

from leftopen import password_forms
from leftopen.cases import sensenets

WORD, SALT = "seven quiet herons", bytes(range(16))


def test_scram_is_that_of_the_standard():
    """The exchange of RFC 7677, section 3: user 'user', password 'pencil', its salt and rounds.

    The client's proof there is its key, mixed with a signature made with the stored key.
    """
    import hashlib
    import hmac

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    entry = password_forms.mongodb("pencil", salt, 4096)
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    said = ("n=user,r=rOprNGfwEbeRWgbNEkqO,"
            f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}")  # fmt: skip
    stored = base64.b64decode(entry["storedKey"])
    signature = hmac.digest(stored, said.encode(), "sha256")
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client).digest() == stored
    server = hmac.digest(base64.b64decode(entry["serverKey"]), said.encode(), "sha256")
    assert base64.b64encode(server).decode() == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.needs("postgres")
def test_postgresql_takes_our_verifier_and_makes_the_same_one():
    hba = "host all all 127.0.0.1/32 scram-sha-256\nhost all all 0.0.0.0/0 scram-sha-256"

    def load(connect):
        with connect("postgres") as operator:
            form = password_forms.postgresql(WORD, SALT)
            operator.execute(f"CREATE ROLE ours LOGIN PASSWORD '{form}'")
            operator.execute(f"CREATE ROLE theirs LOGIN PASSWORD '{WORD}'")

    lab = make("listen_addresses = '*'", "host all postgres 0.0.0.0/0 trust\n" + hba, load)
    try:
        with psycopg.connect(lab.outside.uri_as("ours", WORD, "postgres")) as client:
            assert client.execute("SELECT current_user").fetchone() == ("ours",)
        with psycopg.connect(lab.outside.uri_as("postgres", "", "postgres")) as operator:
            rows = operator.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'theirs'")
            (theirs,) = rows.fetchone()
    finally:
        lab.close()
    salt = base64.b64decode(theirs.split(":")[1].split("$")[0])
    assert password_forms.postgresql(WORD, salt) == theirs


@pytest.mark.needs("mongodb")
def test_mongodb_keeps_what_we_compute():
    lab = sensenets.small_lab(seed=14, people=5, positions=10)
    try:
        with sensenets.MongoClient(lab.inside.uri) as client:
            client.admin.command("createUser", "someone", pwd=WORD, roles=[])
            kept = client.admin["system.users"].find_one({"user": "someone"})["credentials"]
    finally:
        lab.close()
    salt = base64.b64decode(kept["SCRAM-SHA-256"]["salt"])
    assert password_forms.mongodb(WORD, salt) == kept["SCRAM-SHA-256"]


def test_opensearchs_form_is_bcrypt_in_its_spelling():
    form = password_forms.opensearch(WORD, SALT, cost=4)
    assert form.startswith("$2y$04$")
    assert bcrypt.checkpw(WORD.encode(), form.encode())
    assert not bcrypt.checkpw(b"another", form.encode())


def test_each_way_is_measured(monkeypatch):
    """By a clock that goes on by half a second each time that somebody looks at it."""
    made, clock = Counter(), itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: next(clock) / 2)
    for name in ("postgresql", "mongodb", "opensearch"):
        monkeypatch.setattr(password_forms, name, lambda *_, name=name: made.update([name]))
    rates = password_forms.guesses_a_second()
    assert list(rates) == [
        "SHA-256, once",
        "PostgreSQL",
        "MongoDB",
        "Argon2id, OWASP",
        "OpenSearch",
    ]
    assert list(made) == ["postgresql", "mongodb", "opensearch"]
    assert [rates[way] for way in list(rates) if way.lower() in made] == [
        2 * count for count in made.values()
    ]
