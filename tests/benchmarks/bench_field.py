"""How many values a second are encrypted and decrypted, beside `openssl speed` on the same machine.

Run by `make bench`, or by itself: ``python tests/benchmarks/bench_field.py [--values N]``.
CSFLE is MongoDB's client-side field level encryption (explicit): AES-256-CBC and HMAC-SHA-512. It
needs a mongod for its key vault, and asks it once: the data key is then in memory. One thread each.
Between OpenSSL's bare ciphers and the rest lie Python's calls, nonces and, for CSFLE, BSON.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence

from bson import CodecOptions
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from pymongo import MongoClient
from pymongo.encryption import Algorithm, ClientEncryption

from leftopen.cases import sensenets
from leftopen.sealing import KeyFolder

TEXT_BYTES = 18  # an identity number
OPENSSL_BYTES = (16, 256)  # whole blocks, as CBC needs them
SECONDS = 1
Pair = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]


def a_second(action: Callable[[bytes], object], values: Sequence[bytes]) -> float:
    """Values a second, the median of five runs."""
    rates = []
    for _ in range(5):
        begun = time.perf_counter()
        for value in values:
            action(value)
        rates.append(len(values) / (time.perf_counter() - begun))
    return statistics.median(rates)


def gcm() -> Pair:
    """AES-256-GCM with a random nonce in front and associated data."""
    cipher, about = AESGCM(AESGCM.generate_key(256)), b"residents.phone 1"

    def seal(text: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + cipher.encrypt(nonce, text, about)

    return seal, lambda sealed: cipher.decrypt(sealed[:12], sealed[12:], about)


def siv() -> Pair:
    """AES-256-SIV (a key of 512 bits) with associated data."""
    cipher, about = AESSIV(AESSIV.generate_key(512)), [b"residents.id_number"]
    return lambda text: cipher.encrypt(text, about), lambda sealed: cipher.decrypt(sealed, about)


def openssl(cipher: str, size: int) -> str:
    """What `openssl speed` says of a cipher, in messages a second; or why it does not."""
    program = shutil.which("openssl")
    if not program:
        return "there is no openssl here"
    ask = [program, "speed", "-elapsed", "-seconds", str(SECONDS), "-bytes", str(size)]
    told = subprocess.run(
        [*ask, "-evp", cipher], capture_output=True, text=True, timeout=60, check=False
    )
    found = re.search(r": (\d+) .* in ([\d.]+)s", told.stderr)
    if not found:
        return "openssl speed does not measure it"
    return f"{int(found[1]) / float(found[2]):,.0f}"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--values", type=int, default=20_000, help="how many values in a run")
    values = [os.urandom(TEXT_BYTES // 2).hex().encode() for _ in range(parser.parse_args().values)]
    lab, keys = sensenets.small_lab(13, people=10, positions=10), KeyFolder()
    try:
        keys.new("bench")
        with MongoClient(lab.inside.uri) as client:
            box = ClientEncryption(keys.masters("bench"), "vault.keys", client, CodecOptions())
            key = box.create_data_key("local:bench")
            ways: dict[str, Pair] = {
                f"CSFLE, {name}": (
                    lambda text, way=way: box.encrypt(text.decode(), way, key_id=key),
                    box.decrypt,
                )
                for name, way in (
                    ("random", Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Random),
                    ("deterministic", Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Deterministic),
                )
            }
            ways |= {"AES-256-GCM": gcm(), "AES-256-SIV": siv()}
            print(f"texts of {TEXT_BYTES} bytes, values a second; encrypt, decrypt")
            for name, (seal, unseal) in ways.items():
                rate = a_second(seal, values)
                sealed = [seal(value) for value in values]
                print(f"{name:22} {rate:12,.0f} {a_second(unseal, sealed):12,.0f}")
    finally:
        lab.close()
    print("openssl speed, messages a second")
    for cipher in ("aes-256-gcm", "aes-256-siv", "aes-256-cbc"):
        for size in OPENSSL_BYTES:
            print(f"{cipher:15} {size:4} bytes {openssl(cipher, size):>14}")


if __name__ == "__main__":
    main()
