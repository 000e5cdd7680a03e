"""Tables with one fault of cryptography each, and right ones: for the auditor's tests.

A case is made of tables, so that the same one is planted in each engine and written as a dump.
"""

import base64
import contextlib
import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import bcrypt
import psycopg
import seeded_postgres
from cryptography.fernet import Fernet
from seeded_sealing import (
    DRAWN,
    FIXED,
    KEY,
    NUMBERS,
    PEOPLE,
    SALT,
    Tables,
    accounts,
    argon,
    cbc_hmac,
    chacha,
    column,
    counted,
    digest,
    ecb,
    envelopes,
    gcm,
    half_plain,
    keyed,
    md5_crypt,
    nonces_apart,
    one,
    pbkdf2,
    pem,
    siv,
    text64,
    with_algorithm,
)


@dataclass(frozen=True)
class Case:
    """Tables, and what must be found in them.

    Attributes:
        name: what is wrong, or right, in words.
        make: makes them; use :meth:`tables`.
        finds: the ids that must be found, each with its severity; no other X may be.
    """

    name: str
    make: Callable[[], Tables]
    finds: dict[str, str]

    def tables(self) -> Tables:
        """The tables, the same each time but for what other libraries draw."""
        DRAWN.seed(self.name)
        return {name: [dict(row) for row in rows] for name, rows in self.make().items()}


@contextlib.contextmanager
def tables_in(stage: seeded_postgres.Stage, tables: Tables) -> Iterator[psycopg.Connection]:
    """These tables on a PostgreSQL server, in a schema of their own that is dropped afterwards."""
    uri = stage.lab.inside.uri_of(seeded_postgres.DATABASE)
    with psycopg.connect(uri, autocommit=True) as operator:
        operator.execute("CREATE SCHEMA crypto")
        try:
            for name, rows in tables.items():
                kinds = {key: _KINDS[type(v)] for row in rows for key, v in row.items()}
                told = ", ".join(f"{key} {kind}" for key, kind in kinds.items())
                operator.execute(f"CREATE TABLE crypto.{name} ({told})")
                into = f"INSERT INTO crypto.{name} VALUES ({', '.join(['%s'] * len(kinds))})"
                with operator.cursor() as cursor:
                    cursor.executemany(into, [[row.get(key) for key in kinds] for row in rows])
            yield operator
        finally:
            operator.execute("DROP SCHEMA crypto CASCADE")


_KINDS = {bytes: "bytea", str: "text", int: "bigint", float: "float8"}


def _hashed(seal: Callable[[str], object], more: Tables | None = None):
    """A table of hashes, and one with some of the values in clear."""
    visits = [{"number": n, "idNumber": number} for n, number in enumerate(NUMBERS[:9])]
    return lambda: {"hashed": column("id_hash", seal), "visits": visits, **(more or {})}


def _in_hex(tables: Tables) -> Tables:
    """The same with the nonces as text."""
    return {
        name: [{**row, "nonce": row["nonce"].hex()} for row in rows]
        for name, rows in tables.items()
    }


def _sexes(seal: Callable[[str], object], name: str = "sex"):
    return one("sexes", name, seal, [person["sex"] for person in PEOPLE])


def _beside(row: dict):
    return lambda: {"sealed": column("id_number", gcm), "settings": [row]}


FAULTS = (
    Case("ECB", one("sealed", "id_number", ecb), {"X1": "fix"}),
    Case(
        "ECB behind a header, as text",
        one("sealed", "id_number", text64(lambda t: b"key-1:" + ecb(t))),
        {"X1": "fix"},
    ),
    Case("one nonce", one("sealed", "id_number", lambda t: gcm(t, FIXED)), {"X2": "fix"}),
    Case(
        "one nonce behind a header",
        one("sealed", "id_number", lambda t: gcm(t, FIXED, b"\1\2\3\4")),
        {"X2": "fix"},
    ),
    Case("one nonce that is not stored", one("sealed", "id_number", lambda t: gcm(t, FIXED)[12:]),
         {"X2": "fix"}),
    Case("a row's number as the nonce of two columns", lambda: {"sealed": [
        {"id_number": gcm(p["id_number"], n.to_bytes(12, "big")),
         "home": gcm(f"Gate {n}, {p['district']}", n.to_bytes(12, "big"))}
        for n, p in enumerate(PEOPLE)
    ]}, {"X2": "fix"}),
    Case("one nonce, apart", lambda: nonces_apart(lambda n: FIXED), {"X2": "fix"}),
    Case("one nonce, apart, in hex", lambda: _in_hex(nonces_apart(lambda n: FIXED)), {"X2": "fix"}),
    Case("a counter set back", one("sealed", "id_number", counted(0, 20)), {"X3": "fix"}),
    Case(
        "a counter set back, apart",
        lambda: nonces_apart(lambda n: (n % 25).to_bytes(12, "big")),
        {"X3": "fix"},
    ),
    Case("deterministic on sex", _sexes(siv), {"X4": "warn"}),
    Case("ECB on sex", _sexes(ecb), {"X4": "warn"}),
    Case(
        "deterministic on district, as text",
        one("d", "home", text64(siv), [person["district"] for person in PEOPLE]),
        {"X4": "warn"},
    ),
    Case(
        "base64",
        one("sealed", "id_encrypted", lambda t: base64.b64encode(t.encode()).decode()),
        {"X5": "fix"},
    ),
    Case("base64 of employers", lambda: {"people": [
        {"number": n, "idNumber": p["id_number"], "work": base64.b64encode(
            f"Office {n % 9}".encode()).decode()} for n, p in enumerate(PEOPLE)]}, {"X5": "fix"}),
    Case("hex", one("sealed", "id_enc", lambda t: t.encode().hex()), {"X5": "fix"}),
    Case("zlib", one("sealed", "id_enc", lambda t: zlib.compress(t.encode())), {"X5": "fix"}),
    Case("reversed", one("sealed", "id_enc", lambda t: t[::-1]), {"X5": "fix"}),
    Case(
        "XOR with one byte",
        one("sealed", "id_enc", lambda t: bytes(b ^ 0x5A for b in t.encode())),
        {"X5": "fix"},
    ),
    Case(
        "base64 of sexes",
        _sexes(lambda t: base64.b64encode(f"sex={t}".encode()).decode(), "sex_enc"),
        {"X5": "fix"},
    ),
    Case(
        "new writes alone",
        one("sealed", "id_number", half_plain(text64(gcm))),
        {"X6": "fix"},
    ),
    Case("a plain column beside its sealed one", lambda: {"people": [
        {"id_number": p["id_number"], "id_sealed": gcm(p["id_number"])} for p in PEOPLE]},
        {"X6": "fix"}),
    Case("new rows alone in the sealed column", lambda: {"people": [
        {"id_number": p["id_number"]} if n < 40 else {"id_sealed": gcm(p["id_number"])}
        for n, p in enumerate(PEOPLE)]}, {"X6": "fix"}),
    Case("an unkeyed hash", _hashed(digest("sha256")), {"X7": "fix"}),
    Case("an unkeyed MD5", _hashed(digest("md5")), {"X7": "fix"}),
    Case(
        "an unkeyed hash as bytes",
        _hashed(lambda t: hashlib.sha512(t.encode()).digest()),
        {"X7": "fix"},
    ),
    Case("a hash of sexes", _sexes(digest("sha1"), "sex_hash"), {"X7": "fix"}),
    Case(
        "one public salt",
        _hashed(digest("sha256", "salt-2026:"), {"settings": [{"salt": "salt-2026:"}]}),
        {"X8": "warn"},
    ),
    Case("one salt for all passwords", lambda: accounts(argon(SALT)), {"X8": "warn"}),
    Case("passwords in MD5", lambda: accounts(digest("md5")), {"X9": "fix"}),
    Case("passwords in SHA-256", lambda: accounts(digest("sha256"), "password"), {"X9": "fix"}),
    Case("PBKDF2 with few rounds", lambda: accounts(pbkdf2(1000)), {"X9": "warn"}),
    Case(
        "bcrypt with cost 4",
        lambda: accounts(lambda w: bcrypt.hashpw(w.encode(), bcrypt.gensalt(4)).decode()),
        {"X9": "warn"},
    ),
    Case("Argon2id with too little memory", lambda: accounts(argon(memory=64)), {"X9": "warn"}),
    Case("passwords in clear", lambda: accounts(lambda word: word[:14], "password"), {"X9": "fix"}),
    Case("passwords in MD5 crypt, by no name", lambda: accounts(md5_crypt, "stored"),
         {"X9": "fix"}),
    Case("bare hashes of accounts", lambda: accounts(digest("sha1"), "hash"), {"X9": "fix"}),
    Case("names of two scripts under one nonce", one("sealed", "person", lambda t: gcm(t, FIXED), [
        f"{'吴易凌陈若兰'[n % 5:][:2]} {('Wu', 'Chen', 'Lin')[n % 3]} {n}" for n in range(60)
    ]), {"X2": "fix"}),
    Case("keys of each person, not wrapped", lambda: {
        "sealed": column("id_number", gcm),
        "keys": [{"number": n, "data_key": DRAWN.randbytes(32)} for n in range(60)],
    }, {"X10": "fix"}),
    Case("a private key alone", lambda: {"files": [{"content": pem()}]}, {"X10": "fix"}),
    Case("a private key beside", _beside({"label": "backup", "text": pem()}), {"X10": "fix"}),
    Case("a key beside, as bytes", _beside({"aes_key": KEY}), {"X10": "fix"}),
    Case("a key beside, as a setting", _beside({"name": "field_key", "value": KEY.hex()}),
         {"X10": "fix"}),
)  # fmt: skip
"""Each has one fault."""
RIGHT = (
    Case("nothing of cryptography", lambda: {"items": [{"item": n} for n in range(30)]}, {}),
    Case("AES-GCM", one("sealed", "id_number", gcm), {}),
    Case("AES-GCM of sexes, as text", _sexes(text64(gcm)), {}),
    Case("ChaCha20-Poly1305", one("sealed", "id_number", chacha), {}),
    Case("AES-CBC with HMAC", one("sealed", "id_number", cbc_hmac), {}),
    Case("Fernet", one("f", "mail", lambda t: Fernet(
        base64.urlsafe_b64encode(KEY)).encrypt_at_time(t.encode(), 1_790_000_000).decode()), {}),
    Case("deterministic on what is unique", one("sealed", "id_number", siv), {}),
    Case("a counter that goes on", one("sealed", "id_number", counted(7)), {}),
    Case("a key's name before each", one("s", "id_number", lambda t: gcm(t, b"", SALT)), {}),
    Case("a row's number as the nonce of one column", lambda: {"sealed": [
        {"id_number": gcm(number, n.to_bytes(12, "big")), "home": gcm(number)}
        for n, number in enumerate(NUMBERS)
    ]}, {}),
    Case("measurements in bytes", lambda: {"sensors": [
        {"readings": struct.pack("<12f", *(DRAWN.random() * 40 for _ in range(12)))}
        for _ in range(60)
    ]}, {}),
    Case("a year of birth beside the sealed birthday", lambda: {"people": [
        {"birth_year": 1950 + n % 40, "birth_sealed": gcm("1990-01-01"), "name_hash": keyed(str(n)),
         "id": n} for n in range(60)]}, {}),
    Case("nonces apart", lambda: nonces_apart(lambda n: DRAWN.randbytes(12)), {}),
    Case("nonces apart, in hex", lambda: _in_hex(nonces_apart(lambda n: DRAWN.randbytes(12))), {}),
    Case("a code that is too short for a nonce", lambda: {"sealed": [
        {"iv": f"{n % 9:04x}", "id_sealed": gcm(number)} for n, number in enumerate(NUMBERS)
    ]}, {}),
    Case("a data key for each person", envelopes, {}),
    Case("a wrapped data key after each", lambda: {"envelopes": [
        {"visit": row["visit"][72:] + row["visit"][:72]} for row in envelopes()["envelopes"]]}, {}),
    Case("short secrets, sealed", one("pins", "secret_pin", gcm, ["1234"] * 60), {}),
    Case("wrapped keys of each person", lambda: {
        "sealed": column("id_number", gcm),
        "keys": [{"number": n, "data_key": gcm("k" * 32)} for n in range(60)],
    }, {}),
    Case("tokens and keys that are none", lambda: {"sessions": [
        {"session_key": DRAWN.randbytes(32).hex(), "key": f"page-{n}", "etag": DRAWN.randbytes(16)
         .hex(), "code": "SUMMER" if n % 3 else base64.b32encode(DRAWN.randbytes(15)).decode(),
         "password_algorithm": "argon2id", "password_changed": "2026-07-22"} for n in range(40)
    ]}, {}),
    Case("keyed pseudonyms", lambda: {
        "people": column("pseudonym", keyed),
        "events": column("pseudonym", keyed, NUMBERS[:6] * 20),
        "visits": [{"idNumber": number} for number in NUMBERS[:9]],
    }, {}),
    Case("references that are sealed", lambda: {
        "people": column("number_sealed", siv),
        "events": column("who", siv, NUMBERS[:6] * 20),
    }, {}),
    Case("Argon2id", lambda: accounts(argon()), {}),
    Case("PBKDF2 with enough rounds", lambda: accounts(pbkdf2(600_000)), {}),
    Case("bcrypt with cost 10", lambda: {"accounts": [
        {"login": "desk", "password": "$2b$10$" + "b" * 22 + "h" * 31}]}, {}),
    Case("a slow hash without a form", with_algorithm, {}),
    Case("checksums of files", lambda: {"files": [
        {"name": f"f{n}.png", "md5": hashlib.md5(b"x%d" % n).hexdigest(),
         "thumbnail": b"\x89PNG\r\n\x1a\n" + DRAWN.randbytes(80)} for n in range(30)]}, {}),
    Case("names, numbers and addresses", lambda: {"shop": [
        {"item": "AccessControlServiceName", "note": "base64", "url": "/api/v1/items/aBcD1234",
         "price": 12.5, "code": f"{n:032d}", "value": "dark" if n else "x" * 40} for n in range(30)
    ]}, {}),
    Case("a wrapped key and a public one", _beside(
        {"wrapped_key": gcm("k" * 32), "public_key": KEY, "key_id": "a4" * 16}), {}),
)  # fmt: skip
"""Each is right: none may be told of."""
