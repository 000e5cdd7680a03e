"""Tables and dumps with one fault of cryptography each, and right ones, for the auditor's tests.

A case is made of tables, so that the same one is planted in each engine and written as a dump.
Everything is drawn from one seed; the people are nobody.
"""

import base64
import gzip
import hashlib
import hmac
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import bcrypt
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

Rows = list[dict]
Tables = dict[str, Rows]
DRAWN = random.Random(20260722)
KEY, KEY2 = DRAWN.randbytes(32), DRAWN.randbytes(32)
PEOPLE = [
    {
        "id_number": f"00010119{n % 60 + 40:02}0{n % 9 + 1}01{n + 100:03}4",
        "sex": "F" if n % 5 < 3 else "M",
        "district": f"00010{n % 7}",
    }
    for n in range(60)
]
NUMBERS = [person["id_number"] for person in PEOPLE]


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


def column(name: str, seal: Callable[[str], object], values: list[str] | None = None) -> Rows:
    """A table with one sealed column, and what is in clear beside it: the district."""
    values = NUMBERS if values is None else values
    return [
        {"number": n, "area": person["district"], name: seal(value)}
        for n, (value, person) in enumerate(zip(values, PEOPLE * 9, strict=False))
    ]


def one(table: str, name: str, seal: Callable[[str], object], values: list[str] | None = None):
    """The tables of a case that has one of them."""
    return lambda: {table: column(name, seal, values)}


# -- ways to seal -----------------------------------------------------------------------------


def _padded(text: str) -> bytes:
    pad = padding.PKCS7(128).padder()
    return pad.update(text.encode()) + pad.finalize()


def ecb(text: str) -> bytes:
    """AES in the ECB mode."""
    return Cipher(algorithms.AES(KEY), modes.ECB()).encryptor().update(_padded(text))


def cbc_hmac(text: str) -> bytes:
    """AES-CBC with a drawn IV, and an HMAC over both."""
    iv = DRAWN.randbytes(16)
    sealed = iv + Cipher(algorithms.AES(KEY), modes.CBC(iv)).encryptor().update(_padded(text))
    return sealed + hmac.digest(KEY2, sealed, "sha256")


def gcm(text: str, nonce: bytes = b"", head: bytes = b"") -> bytes:
    """AES-GCM; with a drawn nonce unless one is given."""
    nonce = nonce or DRAWN.randbytes(12)
    return head + nonce + AESGCM(KEY).encrypt(nonce, text.encode(), None)


def chacha(text: str) -> bytes:
    """ChaCha20-Poly1305 with a drawn nonce."""
    nonce = DRAWN.randbytes(12)
    return nonce + ChaCha20Poly1305(KEY).encrypt(nonce, text.encode(), None)


def siv(text: str) -> bytes:
    """AES-SIV, which is deterministic."""
    return AESSIV(KEY + KEY2).encrypt(text.encode(), None)


def counted(start: int, every: int | None = None) -> Callable[[str], bytes]:
    """AES-GCM with a counter, set back after so many values."""
    state = {"n": 0}

    def seal(text: str) -> bytes:
        n = state["n"] % every if every else state["n"]
        state["n"] += 1
        return gcm(text, (start + n).to_bytes(12, "big"))

    return seal


def keyed(text: str) -> str:
    """A keyed pseudonym."""
    return hmac.new(KEY, text.encode(), "sha256").hexdigest()


def digest(name: str, salt: str = "") -> Callable[[str], str]:
    """A digest without a key."""
    return lambda text: hashlib.new(name, (salt + text).encode()).hexdigest()


def text64(seal: Callable[[str], bytes]) -> Callable[[str], str]:
    """The same as text."""
    return lambda text: base64.b64encode(seal(text)).decode()


def half_plain(seal: Callable[[str], object]) -> Callable[[str], object]:
    """Sealed for every second one alone."""
    return lambda text: seal(text) if int(text[-4:-1]) % 2 else text


def nonces_apart(nonce: Callable[[int], bytes]) -> Tables:
    """Nonces in a column of their own."""
    rows = []
    for n, number in enumerate(NUMBERS):
        drawn = nonce(n)
        rows.append({"number": n, "nonce": drawn, "sealed": gcm(number, drawn)[12:]})
    return {"apart": rows}


def envelopes() -> Tables:
    """A data key for each person, wrapped before each of their values."""
    rows = []
    for _ in range(12):
        wrapped = gcm("", DRAWN.randbytes(12)) + AESGCM(KEY).encrypt(bytes(12), bytes(32), None)
        rows += [
            {"number": n, "visit": gcm(f"Gate {n}, at noon, with others", head=wrapped)}
            for n in range(5)
        ]
    return {"envelopes": rows}


# -- passwords --------------------------------------------------------------------------------

WORDS = [f"a long word {n} that nobody guesses" for n in range(4)]


def accounts(make: Callable[[str], object], field: str = "password_hash") -> Tables:
    """A table of accounts."""
    return {"accounts": [{"login": f"desk{n}", field: make(word)} for n, word in enumerate(WORDS)]}


def argon(salt: bytes = b"", memory: int = 19_456) -> Callable[[str], str]:
    """Argon2id with OWASP's least parameters."""
    return lambda word: Argon2id(
        salt=salt or DRAWN.randbytes(16), length=32, iterations=2, lanes=1, memory_cost=memory
    ).derive_phc_encoded(word.encode())


def pbkdf2(rounds: int) -> Callable[[str], str]:
    """PBKDF2 as Django writes it; drawn, since nobody can tell from looking."""

    def make(word: str) -> str:
        salt, made = DRAWN.randbytes(12), DRAWN.randbytes(32)
        told = (base64.b64encode(raw).decode() for raw in (salt, made))
        return f"pbkdf2_sha256${rounds}${'$'.join(told)}"

    return make


def md5_crypt(word: str) -> str:
    """As an old Unix writes it; drawn."""
    return f"$1${DRAWN.randbytes(4).hex()}${DRAWN.randbytes(8).hex()}"


def with_algorithm() -> Tables:
    """Digests of a slow hash, whose parameters stand beside."""
    rows = accounts(lambda word: DRAWN.randbytes(32).hex())["accounts"]
    told = {"algorithm": "argon2id m=65536 t=3 p=4"}
    return {"accounts": [{**row, **told, "salt": DRAWN.randbytes(16)} for row in rows]}


def pem() -> str:
    """A private key, of this run alone."""
    key = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    ).decode()


def _hashed(seal: Callable[[str], object], more: Tables | None = None):
    """A table of hashes, and one with some of the values in clear."""
    visits = [{"number": n, "idNumber": number} for n, number in enumerate(NUMBERS[:9])]
    return lambda: {"hashed": column("id_hash", seal), "visits": visits, **(more or {})}


def _sexes(seal: Callable[[str], object], name: str = "sex"):
    return one("sexes", name, seal, [person["sex"] for person in PEOPLE])


def _beside(row: dict):
    return lambda: {"sealed": column("id_number", gcm), "settings": [row]}


FIXED = DRAWN.randbytes(12)
SALT = DRAWN.randbytes(16)
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
    Case("nonces apart", lambda: nonces_apart(lambda n: DRAWN.randbytes(12)), {}),
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


def packed(data: bytes) -> bytes:
    """With gzip, and no time in it."""
    return gzip.compress(data, mtime=0)
