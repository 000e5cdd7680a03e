"""Which calls in PostgreSQL's log tell a key: the second argument alone, in every way to write it.

The lines have the form of a real server's log; ``test_audit_crypto`` reads one of a real server.
"""

import re

import pytest

from leftopen.audit.crypto import logged
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.shared import Target

KEY = "a key that stands there"
BEFORE = "2026-07-22 10:00:00.123 UTC [41] "


def found(monkeypatch, log):
    """What the check says of such a log."""
    monkeypatch.setattr(PostgresLook, "log", log)
    look = PostgresLook(Target("127.0.0.1", 5432, None))
    look.kept |= {"columns": [], "has material": True}
    return list(logged.key_in_log(look))


def statement(text, parameters=""):
    """A statement as the server logs it, perhaps with what was given in its places."""
    lines = f"{BEFORE}LOG:  execute <unnamed>: " + text.replace("\n", "\n\t") + "\n"
    if parameters:
        lines += f"{BEFORE}DETAIL:  Parameters: {parameters}\n"
    return lines + f"{BEFORE}LOG:  statement: COMMIT\n"


TOLD = {
    "a literal": statement(f"SELECT pgp_sym_encrypt('a text', '{KEY}')"),
    "with options behind it": statement(
        f"UPDATE p SET s = pgp_sym_encrypt(name, '{KEY}', 'cipher-algo=aes256') WHERE id = 7"
    ),
    "an escaped one": statement(rf"SELECT encrypt(convert_to('a', 'UTF8'), E'\\x{KEY}', 'aes')"),
    "a cast": statement(f"SELECT decrypt(sealed, '{KEY}'::bytea, 'aes-cbc') FROM p"),
    "from hex": statement("SELECT hmac(name, decode('00112233', 'hex'), 'sha256') FROM p"),
    "in dollars": statement(f"SELECT encrypt_iv(a, $k${KEY}$k$, iv, 'aes') FROM p"),
    "in capitals, over lines": statement(f"SELECT\nPGP_SYM_DECRYPT(\n  sealed,\n  '{KEY}'\n)"),
    "behind a text with commas and brackets": statement(f"SELECT hmac('a, (b', '{KEY}', 'md5')"),
    "behind a text with a quote": statement(f"SELECT hmac('it''s, so', '{KEY}', 'md5')"),
    "behind a call": statement(f"SELECT hmac(concat(a, lower(b)), '{KEY}', 'md5') FROM p"),
    "a parameter": statement("SELECT pgp_sym_encrypt($1, $2)", f"$1 = 'a', $2 = '{KEY}'"),
    "a parameter, cast": statement(
        "SELECT encrypt($2, $1::bytea, 'aes')", "$1 = '\\x0011', $2 = 'a'"
    ),
    "an error's statement": f"{BEFORE}ERROR:  division by zero\n"
    f"{BEFORE}STATEMENT:  SELECT 1 / 0, hmac(a, '{KEY}', 'md5')",
}
UNTOLD = {
    "the algorithm of a digest": statement("SELECT hmac(name, key, 'sha256') FROM p, keys"),
    "the mode of a cipher": statement("SELECT encrypt_iv(a, k, iv, 'aes-cbc') FROM p"),
    "a key from a table": statement(
        "SELECT hmac('a text', (SELECT k FROM keys WHERE name = 'people'), 'sha256')"
    ),
    "a key of the session": statement("SELECT hmac(a, current_setting('app.key'), 'md5') FROM p"),
    "the text alone as a parameter": statement("SELECT hmac($1, k, 'sha256') FROM p", "$1 = 'a'"),
    "the algorithm as a parameter": statement(
        "SELECT hmac(a, k, $1) FROM p WHERE id = $2", "$1 = 'sha256', $2 = '7'"
    ),
    "parameters that are not logged": statement("SELECT hmac($1, $2, 'sha256')"),
    "a key that is null": statement("SELECT hmac($1, $2, 'md5')", "$1 = 'a', $2 = NULL"),
    "a place of two digits": statement(
        "SELECT hmac($1, $12, 'md5') FROM p WHERE id = $2", "$1 = 'a', $2 = '7'"
    ),
    "the parameters of the next statement": statement("SELECT hmac($1, $2, 'md5')")
    + statement("SELECT $1, $2", "$1 = 'a', $2 = 'b'"),
    "other functions": statement("SELECT my_encrypt(a, 'some words'), digest(a, 'sha256') FROM p"),
}


@pytest.mark.parametrize("log", TOLD.values(), ids=TOLD)
def test_a_key_in_a_statement_is_told_and_the_line_that_tries_again_finds_it(monkeypatch, log):
    (finding,) = found(monkeypatch, log)
    assert (finding.id, finding.severity.value) == ("X15", "fix")
    assert KEY not in repr(finding)
    pattern = re.fullmatch(r"grep -icE '(.+)' LOGFILE", finding.retest)[1]
    assert re.search(pattern, log, re.IGNORECASE)


@pytest.mark.parametrize("log", UNTOLD.values(), ids=UNTOLD)
def test_other_literals_and_places_are_no_keys(monkeypatch, log):
    assert found(monkeypatch, log) == []


def test_each_function_is_counted_and_named_in_the_line_that_tries_again(monkeypatch):
    log = TOLD["a literal"] * 2 + UNTOLD["the mode of a cipher"] + TOLD["from hex"]
    (finding,) = found(monkeypatch, log)
    assert finding.evidence == "hmac with its key: 1; pgp_sym_encrypt with its key: 2"
    assert "(hmac|pgp_sym_encrypt)" in finding.retest
