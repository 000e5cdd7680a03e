"""People that are nobody, and right and wrong ways to seal what belongs to them.

Everything is drawn from one seed.
"""

import base64
import gzip
import hashlib
import hmac
import random
from collections.abc import Callable

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
FIXED, SALT = DRAWN.randbytes(12), DRAWN.randbytes(16)
NUMBERS = [person["id_number"] for person in PEOPLE]


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


def packed(data: bytes) -> bytes:
    """With gzip, and no time in it."""
    return gzip.compress(data, mtime=0)
