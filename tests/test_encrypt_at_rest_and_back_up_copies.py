"""Exercise 15, question 1: bad seals, a key beside, what is left on a server, a log thrown away."""

import base64
import gzip
import json
import os
import shutil
import subprocess

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from rest_asked import KEY, NUMBERS, SECRET, seal, sealed_all, unseal

from leftopen.checks import encrypt_at_rest_and_back_up_kept as kept
from leftopen.checks.encrypt_at_rest_and_back_up import QUESTIONS
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.learner import Draw
from leftopen.proof import sql

# -- bad seals ------------------------------------------------------------------------------------


def counter_mode(person, number):
    nonce = os.urandom(16)
    return nonce + Cipher(algorithms.AES(SECRET), modes.CTR(nonce)).encryptor().update(
        number.encode()
    )


def open_counter_mode(person, sealed):
    found = Cipher(algorithms.AES(SECRET), modes.CTR(sealed[:16])).decryptor().update(sealed[16:])
    return found.decode("latin-1")


def restarting(person, number):
    nonce = (person % 50).to_bytes(12)
    return nonce + KEY.encrypt(nonce, number.encode(), str(person).encode())


def constant(person, number):
    return bytes(12) + KEY.encrypt(bytes(12), number.encode(), str(person).encode())


def unbound(person, number):
    nonce = os.urandom(12)
    return nonce + KEY.encrypt(nonce, number.encode(), None)


def open_unbound(person, sealed):
    return KEY.decrypt(sealed[:12], sealed[12:], None).decode()


NONCES = {person: os.urandom(12) for person in NUMBERS}
NONCES[list(NUMBERS)[140]] = NONCES[list(NUMBERS)[40]]


def twice_the_same(person, number):
    nonce = NONCES[person]
    return nonce + KEY.encrypt(nonce, number.encode(), str(person).encode())


def as_json(write):
    def written(person, number):
        sealed = write(person, number)
        return json.dumps({"nonce": sealed[:12].hex(), "ciphertext_of_it": sealed[12:].hex()})

    return written


def open_json(person, text):
    parts = json.loads(text)
    return unseal(person, bytes.fromhex(parts["nonce"] + parts["ciphertext_of_it"]))


TOKENS = {os.urandom(16): (person, number) for person, number in NUMBERS.items()}
TOKEN_OF = {person: token for token, (person, _) in TOKENS.items()}


@pytest.mark.parametrize(
    ("write", "read", "words"),
    [
        (constant, unseal, "same nonce"),
        (restarting, unseal, "same nonce"),
        (twice_the_same, unseal, "same nonce"),
        (as_json(restarting), open_json, "same nonce"),
        (unbound, open_unbound, "another"),
        (counter_mode, open_counter_mode, "another"),
        (lambda p, n: TOKEN_OF[p], lambda p, s: NUMBERS[p], "does not need it"),
    ],
)
def test_a_bad_seal_is_told(write, read, words):
    assert words in kept.weakness(read, sealed_all(write), NUMBERS)


def test_good_seals_are_good():
    assert kept.weakness(unseal, sealed_all(), NUMBERS) == ""
    text = sealed_all(lambda p, n: base64.b64encode(seal(p, n)).decode())
    assert kept.weakness(lambda p, s: unseal(p, base64.b64decode(s)), text, NUMBERS) == ""
    assert kept.weakness(open_json, sealed_all(as_json(seal)), NUMBERS) == ""
    header = sealed_all(lambda p, n: b"version one, key seven: " + seal(p, n))
    assert kept.weakness(lambda p, s: unseal(p, s[24:]), header, NUMBERS) == ""
    siv = AESSIV(SECRET)
    fixed = sealed_all(lambda p, n: siv.encrypt(n.encode(), [str(p).encode()]))
    read = lambda p, s: siv.decrypt(s, [str(p).encode()]).decode()  # noqa: E731
    assert kept.weakness(read, fixed, NUMBERS) == ""


def in_two(write):
    """Nonce and text, each written, with a sign between."""
    return lambda sealed, sign: f"{write(sealed[:12])}{sign}{write(sealed[12:])}"


def in_base64(value):
    return base64.b64encode(value).decode()


# How people write bytes as text; with what is right in one, others must be right as well.
WRITINGS = {
    "hex": bytes.hex,
    "hex, hyphen": lambda s: in_two(bytes.hex)(s, "-"),
    "hex, underscore": lambda s: in_two(bytes.hex)(s, "_"),
    "base64": in_base64,
    "base64, version before": lambda s: f"v1:{in_base64(s)}",
    "base64, colon": lambda s: in_two(in_base64)(s, ":"),
    "base64 for addresses": lambda s: base64.urlsafe_b64encode(s).decode(),
    "base32": lambda s: base64.b32encode(s).decode(),
    "base85": lambda s: base64.b85encode(s).decode(),
    "latin-1": lambda s: s.decode("latin-1"),
}
OTHERS = {"numbers": lambda s: str(list(s)), "one number": lambda s: str(int.from_bytes(s))}


@pytest.mark.parametrize("name", [*WRITINGS, *OTHERS])
def test_in_which_writing_it_stands_makes_no_seal_bad(name):
    """Signs of a writing are alike as digits are: in some of them good seals looked bad."""
    write = {**WRITINGS, **OTHERS}[name]

    def told(seal):
        sealed, bytes_of = {}, {}
        for person, raw in sealed_all(seal).items():
            sealed[person] = write(raw)
            bytes_of[sealed[person]] = raw

        def read(person, text):
            return unseal(person, bytes_of[text])

        return kept.weakness(read, sealed, NUMBERS)

    assert told(seal) == ""
    assert "same nonce" in told(restarting)


def test_a_key_that_the_function_names_is_found_in_files(tmp_path):
    secret = os.urandom(32)

    def read(person, sealed):
        return AESGCM(secret).decrypt(sealed[:12], sealed[12:], None)

    assert kept.key_beside(read, tmp_path) is None
    forms = (bytes.hex, repr, lambda key: json.dumps(list(key)), in_base64)
    for written in (secret, *(form(secret).encode() for form in forms)):
        (tmp_path / "notes.txt").write_bytes(b"the key: " + written)
        assert kept.key_beside(read, tmp_path) == "notes.txt"
    assert kept.key_beside(print, tmp_path) is None


# -- on a server ----------------------------------------------------------------------------------


def hangs(command, **given):
    raise subprocess.TimeoutExpired(command, given["timeout"])


@pytest.mark.needs("postgres")
def test_other_writings_lost_rows_and_a_log_that_was_thrown_away(monkeypatch):
    question = QUESTIONS[1]
    task = question.task(Draw("ada", "15"))
    lab = question.lab(task)
    values = {}

    def told(read=unseal):
        at = Attempt(task)
        found = question.check(at, lab, read)
        values.clear()
        values.update(at.values)
        return found

    def run(*statements, database="doors_1"):
        for statement in statements:
            sql(lab.inside.uri_of(database), statement)

    try:
        column = task["sealed"]
        lab.configure("log_statement = 'none'\nwal_recycle = off")
        ((copy,),) = sql(
            lab.inside.uri_of("doors_1"),
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN "
            "('buildings', 'residents', 'visitors', 'passages')",
        )
        run(f"DROP TABLE {copy}")
        assert told() == "new_writes_alone", "who cleans first has lost nothing"
        assert "no column" in values["so_far"]
        assert values["plain_count"] == len(NUMBERS)
        run(f"ALTER TABLE residents ADD {column} bytea")
        assert told() == "new_writes_alone"
        assert "nothing is in it" in values["so_far"]
        with psycopg.connect(lab.inside.uri_of("doors_1")) as connection:
            connection.cursor().executemany(
                f"UPDATE residents SET {column} = %s WHERE person = %s",
                [(value, person) for person, value in sealed_all().items()],
            )
        assert told() == "new_writes_alone"
        assert values["so_far"].startswith("Each row")
        run(
            "UPDATE residents SET id_number = encode(id_number::bytea, 'base64')",
            "VACUUM (FULL, ANALYZE) residents",
        )
        export = next((lab.log.parent / "exports").iterdir())
        text = gzip.decompress(export.read_bytes())
        export.unlink()
        lab.log.write_text("")
        run("SELECT pg_switch_wal()", "CHECKPOINT")
        assert told() == "disguised"
        assert values["encoding"] == "base64"
        assert values["place"] == "the table residents"
        run(
            "CREATE TABLE digits AS SELECT "
            "left(convert_from(decode(id_number, 'base64'), 'utf8'), 17)::numeric FROM residents",
            "CREATE TABLE counter AS SELECT person, overlay(number PLACING '********' FROM 7) FROM "
            "(SELECT person, convert_from(decode(id_number, 'base64'), 'utf8') FROM residents) "
            "AS plain (person, number)",
            "ALTER TABLE residents DROP id_number",
        )
        assert told() == "disguised"
        assert (values["place"], values["encoding"]) == ("the table digits", "a number")
        run("DROP TABLE digits")
        assert told() == "masked"
        assert (values["place"], values["count"]) == ("the table counter", len(NUMBERS))
        run("DROP TABLE counter")
        with pytest.raises(BadAnswer, match=r"TypeError for person 1: .* unseal\(person, sealed\)"):
            told(lambda sealed: sealed)
        other = AESGCM(bytes(32))
        assert told(lambda _, sealed: other.decrypt(sealed[:12], sealed[12:], None)) == "not_opened"
        assert (values["opened"], values["said"]) == (0, "unseal raises InvalidTag")
        assert told() == RIGHT
        run(f"CREATE TABLE kept AS SELECT '{NUMBERS[7]}' AS note", database="template1")
        assert told() == "copy_left"
        assert values["place"] == "the database template1"
        run("DROP TABLE kept", "SELECT pg_switch_wal()", "CHECKPOINT", database="template1")
        for table, name, words in (
            ("residents", "person", "no column person"),
            ("visitors", "name", "rows of visitors"),
        ):
            run(f"ALTER TABLE {table} RENAME {name} TO other")
            assert told() == "lost"
            assert words in values["what"]
            run(f"ALTER TABLE {table} RENAME other TO {name}")
        export.with_suffix("").write_bytes(base64.b64encode(text))
        assert told() == "disguised"
        assert values["place"].startswith("exports/")
        shutil.rmtree(export.parent)
        run("ALTER TABLE residents ALTER name DROP NOT NULL")
        assert told() == "lost"
        assert "NOT NULL of name" in values["what"]
        run("ALTER TABLE residents ALTER name SET NOT NULL")
        run("ALTER TABLE residents DROP CONSTRAINT residents_pkey")
        assert told() == "lost"
        assert "primary key" in values["what"]
        run("ALTER TABLE residents ADD PRIMARY KEY (person)")
        assert told() == RIGHT
        run("CREATE TABLE kept AS SELECT * FROM visitors WHERE visitor = 1")
        run("DELETE FROM visitors WHERE visitor = 1")
        assert told() == "lost"
        assert values["what"].startswith("1 rows of visitors")
        run("INSERT INTO visitors SELECT * FROM kept", "DROP TABLE kept")
        with monkeypatch.context() as slow:
            slow.setattr(kept.subprocess, "run", hangs)
            with pytest.raises(BadAnswer, match="did not start within"):
                told()
        run("SELECT pg_switch_wal()", "CHECKPOINT")
        for segment in (lab.config_folder / "pg_wal").iterdir():
            if segment.is_file():
                segment.unlink()
        assert told() == "does_not_start"
    finally:
        lab.close()
