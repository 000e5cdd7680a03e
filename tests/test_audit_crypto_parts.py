"""What ciphertexts, keys and files say of themselves: the auditor's pure functions."""

import base64
import bz2
import gzip
import hashlib
import io
import linecache
import lzma
import os
import tarfile
import types
import zipfile
import zlib

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV, ChaCha20Poly1305

from leftopen.audit.crypto import ciphertext, encodings, keys, search
from leftopen.errors import LeftOpenError

KEY = bytes(range(100, 132))
NUMBERS = [f"990{i % 3:03d}19900101{i:04d}" for i in range(60)]  # a district 990 does not exist


def padded(text):
    pad = padding.PKCS7(128).padder()
    return pad.update(text.encode()) + pad.finalize()


def with_mode(text, mode):
    return Cipher(algorithms.AES(KEY), mode).encryptor().update(padded(text))


def ecb(text):
    return with_mode(text, modes.ECB())


def cbc(text):
    iv = os.urandom(16)
    return iv + with_mode(text, modes.CBC(iv))


def gcm(text, nonce=None):
    nonce = nonce or os.urandom(12)
    return nonce + AESGCM(KEY).encrypt(nonce, text.encode(), None)


def siv(text):
    return AESSIV(KEY * 2).encrypt(text.encode(), None)


# -- blocks, nonces, equal values -------------------------------------------------------------


def test_blocks_that_come_again_are_the_mark_of_ecb():
    assert ciphertext.repeated_blocks(map(ecb, NUMBERS))
    assert ciphertext.repeated_blocks([ecb("A" * 48)])
    header = [b"key one " + ecb(n) for n in NUMBERS]
    assert ciphertext.repeated_blocks(header, header=8)
    des = [b"12345678" + b"abcdefgh" + b"12345678"]
    assert ciphertext.repeated_blocks(des, size=8)[b"12345678"] == 2


@pytest.mark.parametrize("seal", [cbc, gcm, siv])
def test_no_other_mode_repeats_blocks_and_equal_values_are_not_blocks(seal):
    assert not ciphertext.repeated_blocks(map(seal, [*NUMBERS, *NUMBERS, "A" * 64]))


def test_a_nonce_that_is_used_twice_is_counted_by_the_values_that_it_sealed():
    fixed = [gcm(n, b"the same one") for n in NUMBERS]
    assert ciphertext.repeated_nonces(fixed) == {b"the same one": 60}
    assert not ciphertext.repeated_nonces(map(gcm, NUMBERS))
    assert not ciphertext.repeated_nonces([fixed[0], fixed[0]])  # one value, stored twice
    behind = [value[12:] + value[:12] for value in fixed]
    assert ciphertext.repeated_nonces(behind, at=len(behind[0]) - 12)


@pytest.mark.parametrize("order", ["big", "little"])
def test_nonces_that_count_are_seen_and_whether_they_began_again(order):
    once = [gcm(n, i.to_bytes(12, order)) for i, n in enumerate(NUMBERS)]
    counting = ciphertext.counter_nonces(once)
    assert (counting.lowest, counting.highest, counting.restarts) == (0, 59, False)
    again = [gcm(n, (i % 20).to_bytes(12, order)) for i, n in enumerate(NUMBERS)]
    assert ciphertext.counter_nonces(again).repeated == 20


def test_drawn_nonces_and_a_fixed_one_do_not_count():
    assert ciphertext.counter_nonces(map(gcm, NUMBERS)) is None
    assert ciphertext.counter_nonces([gcm(n, b"the same one") for n in NUMBERS]) is None
    assert ciphertext.counter_nonces([]) is None


def test_values_under_one_keystream_are_told_from_values_behind_one_header():
    fixed = [gcm(n, b"the same one") for n in NUMBERS]
    header = [b"the same one" + gcm(n) for n in NUMBERS]
    clear, total = ciphertext.clear_bytes((fixed[0], other) for other in fixed[1:])
    assert clear == total > 100  # digits, which differ from the sixth on
    clear, total = ciphertext.clear_bytes((header[0], other) for other in header[1:])
    assert 0.3 * total < clear < 0.7 * total
    assert ciphertext.clear_bytes([]) == (0, 0)
    assert ciphertext.common_prefix(fixed) == 12 + 5  # all numbers begin with 99000
    assert ciphertext.common_prefix(fixed[:1]) == 0


def test_equal_values_and_entropy():
    assert ciphertext.equal_values([siv("F"), siv("M"), siv("F")]) == {siv("F"): 2}
    assert not ciphertext.equal_values(map(siv, NUMBERS))
    assert ciphertext.entropy(b"") == ciphertext.entropy(b"aaaa") == 0
    assert ciphertext.entropy(bytes(range(256))) == 8
    assert ciphertext.entropy(b"abab") == 1


# -- encodings --------------------------------------------------------------------------------

PLAIN = "Wú Yī, 99000019900101001X".encode()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (PLAIN, "plain text"),
        (b"name=" + PLAIN, "plain text"),
        (base64.b64encode(PLAIN), "base64"),
        (base64.urlsafe_b64encode(PLAIN).rstrip(b"="), "base64"),
        (base64.b32encode(PLAIN), "base32"),
        (base64.b85encode(PLAIN), "base85"),
        (PLAIN.hex().encode(), "hex"),
        (b"\\x" + PLAIN.hex().upper().encode(), "hex"),
        (PLAIN[::-1], "reversed"),
        (gzip.compress(PLAIN, mtime=0), "gzip"),
        (zlib.compress(PLAIN), "zlib"),
        (PLAIN.decode().encode("utf-16"), "utf-16"),
        (bytes(b ^ 0x5A for b in PLAIN), "xor with one byte"),
        (bytes(b ^ b"key"[i % 3] for i, b in enumerate(PLAIN)), "xor with 3 bytes"),
        (bytes((b + 7) % 256 for b in PLAIN), "one byte added to each"),
        (base64.b64encode(gzip.compress(PLAIN, mtime=0)), "gzip in base64"),
        (base64.b64encode(PLAIN[::-1]).hex().encode(), "reversed in base64 in hex"),
    ],
)
def test_an_encoding_is_named(value, told):
    assert ciphertext.is_encoding_of(value, PLAIN) == told


def test_letters_that_were_moved_are_seen():
    assert ciphertext.is_encoding_of(b"Jh Lv", b"Wu Yi") == "rot13"
    assert ciphertext.is_encoding_of(b"Zx Bl", b"Wu Yi") == "letters moved by 3"


@pytest.mark.parametrize("seal", [ecb, cbc, gcm, siv])
def test_a_ciphertext_is_no_encoding(seal):
    for text in ("F", "Wu Yi", "99000019900101001X"):
        assert ciphertext.is_encoding_of(seal(text), text.encode()) is None
        assert ciphertext.is_encoding_of(base64.b64encode(seal(text)), text.encode()) is None
    assert ciphertext.is_encoding_of(b"", b"x") is ciphertext.is_encoding_of(b"x", b"") is None


def test_a_keystream_alone_is_no_short_key():
    stream = Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor().update(PLAIN)
    assert ciphertext.is_encoding_of(stream, PLAIN) is None
    assert list(encodings.decoded("Wú Yī".encode())) == []


def test_a_bomb_is_not_unpacked_as_a_whole():
    bomb = zlib.compress(bytes(50_000_000))
    assert max(len(inner) for _, inner in encodings.decoded(bomb)) <= 4_000_000


# -- what can be changed and still opens ------------------------------------------------------


def open_gcm(sealed):
    return AESGCM(KEY).decrypt(sealed[:12], sealed[12:], None)


def open_cbc(sealed):
    reader = Cipher(algorithms.AES(KEY), modes.CBC(sealed[:16])).decryptor()
    pad = padding.PKCS7(128).unpadder()
    return pad.update(reader.update(sealed[16:]) + reader.finalize()) + pad.finalize()


def open_ecb(sealed):
    reader = Cipher(algorithms.AES(KEY), modes.ECB()).decryptor()
    pad = padding.PKCS7(128).unpadder()
    return pad.update(reader.update(sealed) + reader.finalize()) + pad.finalize()


def open_ctr(sealed):
    return Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).decryptor().update(sealed)


@pytest.mark.parametrize("text", ["F", "99000019900101001X", "x" * 100])
def test_what_is_not_authenticated_can_be_changed(text):
    assert ciphertext.malleable(open_cbc, cbc(text))
    assert ciphertext.malleable(open_ecb, ecb(text))
    assert ciphertext.malleable(open_ctr, open_ctr(text.encode()))
    assert ciphertext.malleable(lambda s: open_cbc(base64.b64decode(s)), in_base64(cbc(text)))
    assert ciphertext.malleable(lambda s: open_cbc(bytes.fromhex(s)), cbc(text).hex())


def in_base64(value):
    return base64.b64encode(value).decode()


@pytest.mark.parametrize("text", ["F", "99000019900101001X", "x" * 100])
def test_what_is_authenticated_cannot(text):
    fernet = Fernet(base64.urlsafe_b64encode(KEY))
    nonce = os.urandom(12)
    chacha = ChaCha20Poly1305(KEY)
    assert not ciphertext.malleable(open_gcm, gcm(text))
    assert not ciphertext.malleable(lambda s: AESSIV(KEY * 2).decrypt(s, None), siv(text))
    sealed = chacha.encrypt(nonce, text.encode(), None)
    assert not ciphertext.malleable(lambda s: chacha.decrypt(nonce, s, None), sealed)
    assert not ciphertext.malleable(fernet.decrypt, fernet.encrypt(text.encode()))
    assert not ciphertext.malleable(fernet.decrypt, fernet.encrypt(text.encode()).decode())

    def or_nothing(sealed):
        try:
            return open_gcm(sealed)
        except (InvalidTag, ValueError):
            return None

    assert not ciphertext.malleable(or_nothing, gcm(text))


def test_a_value_that_does_not_open_at_all_is_an_error():
    with pytest.raises(InvalidTag):
        ciphertext.malleable(open_gcm, bytes(40))


# -- keys -------------------------------------------------------------------------------------

MASTER = bytes((7 * i + 131) % 256 for i in range(96))


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (MASTER.hex(), "hex"),
        (MASTER.hex().upper(), "hex, capitals"),
        (base64.b64encode(MASTER).decode(), "base64"),
        (base64.urlsafe_b64encode(MASTER).decode(), "base64 for addresses"),
        (repr(MASTER), "a Python literal"),
        (str(list(MASTER)), "numbers"),
        (MASTER.hex(":"), "hex with colons"),
    ],
)
def test_a_key_is_found_however_it_is_written(tmp_path, text, form):
    (tmp_path / "settings.py").write_text(f"key = {text!r}\n" if form != "numbers" else text)
    (tmp_path / "other.py").write_text("key = os.environ['KEY']")
    wanted = [f"settings.py: {form}"]
    if form == "a Python literal":
        (tmp_path / "settings.py").write_text(f"key = {text}\n")
    assert keys.in_folder(MASTER, tmp_path) == wanted
    assert keys.find(MASTER, {"people": [{"a": 1}, {"b": {"c": text}}]}) == [
        f"people[1].b.c: {form}"
    ]


def test_a_key_is_found_as_it_is_in_files_documents_rows_and_packed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "vault.bson").write_bytes(b"..." + MASTER + b"...")
    (tmp_path / "old.bz2").write_bytes(bz2.compress(MASTER))
    assert keys.in_folder(MASTER, tmp_path) == [
        "in/vault.bson: raw bytes",
        "old.bz2/old: raw bytes",
    ]
    assert keys.find(MASTER, [("a", 1), ("b", MASTER)]) == ["[1][1]: raw bytes"]
    assert keys.find(MASTER, list(MASTER)) == ["here: raw bytes"]
    assert keys.find(MASTER, {"a": {"key": list(MASTER)}}) == ["a.key: raw bytes"]
    assert keys.find(MASTER, {"x": MASTER[:-1], "y": None, "z": 3.5, "w": True}) == []


@pytest.mark.parametrize(
    "key",
    [
        hashlib.sha256(b"Spring2026").digest(),
        hashlib.sha256(b"Spring2026").digest() * 3,
        hashlib.md5(b"Spring2026").digest(),
        hashlib.sha512(b"Spring2026").digest()[:32],
        hashlib.sha512(b"Spring2026").digest() + hashlib.sha256(b"Spring2026").digest(),
        b"Spring2026".ljust(32, b"\0"),
    ],
)
def test_the_password_of_a_key_is_found_in_its_stead(tmp_path, key):
    (tmp_path / "app.py").write_text('password = "Spring2026"  # for the key\n')
    assert keys.in_folder(key, tmp_path) == ["app.py: the password that it is made from"]
    assert keys.made_from(key, ["123456", "Spring2026"]) == "Spring2026"
    assert keys.made_from(key, ["123456"]) is None


def test_a_key_that_is_nowhere_is_not_found_and_a_short_one_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(os.urandom(1000))
    assert keys.in_folder(MASTER, tmp_path) == []
    with pytest.raises(LeftOpenError, match="7 bytes"):
        keys.find(b"1234567", "1234567")


def test_cells_of_a_notebook_are_looked_through(monkeypatch):
    names = {"In": ["", "import os", f"key = {MASTER!r}"], "Out": {3: {"key": MASTER}}}
    fake = types.SimpleNamespace(user_ns=names)
    monkeypatch.setattr(keys, "_shell", lambda: fake)
    assert keys.in_cells(MASTER) == ["In [2]: a Python literal", "Out [3]: a Python literal"]
    # Two halves that Python puts together; and a cell of which there is no history.
    halves = f"key = (\n    {MASTER[:20]!r}\n    {MASTER[20:]!r}\n)\n"
    names["In"], names["Out"] = ["", halves], {}
    assert keys.in_cells(MASTER) == ["In [1]: raw bytes"]
    names["In"] = []
    cell = (len(halves), None, halves.splitlines(keepends=True), "a")
    monkeypatch.setitem(linecache.cache, "/tmp/ipykernel_12/34.py", cell)
    assert keys.in_cells(MASTER) == ["a cell: raw bytes"]
    monkeypatch.setattr(keys, "_shell", lambda: None)
    assert keys.in_cells(MASTER) == []


# -- plain text in files ----------------------------------------------------------------------

NEEDLE = "99000019900101001X"


def tar_of(name, data):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zip_of(name, data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def pg_dump_of(data, size=40):
    """A table as pg_dump -Fc packs it: chunks with their length before them."""
    packed = zlib.compress(data)
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    told = b"".join(b"\0" + len(c).to_bytes(4, "little") + c for c in chunks)
    return b"PGDMP\x01\x10x\x9c" + told + bytes(5)


LINE = f"1,{NEEDLE},F\n2,{NEEDLE},M\n".encode()


@pytest.mark.parametrize(
    ("name", "data", "inside"),
    [
        ("a.csv", LINE, "a.csv"),
        ("a.csv.gz", gzip.compress(LINE, mtime=0), "a.csv.gz/a.csv"),
        ("a.bz2", bz2.compress(LINE), "a.bz2/a"),
        ("a.xz", lzma.compress(LINE), "a.xz/a"),
        ("a.zip", zip_of("in/b.csv", LINE), "a.zip/in/b.csv"),
        ("a.tar", tar_of("b.csv.gz", gzip.compress(LINE, mtime=0)), "a.tar/b.csv.gz/b.csv"),
        ("a.tgz", gzip.compress(tar_of("b.csv", LINE), mtime=0), "a.tgz/a/b.csv"),
        ("a.dump", pg_dump_of(LINE), "a.dump/data 1"),
    ],
)
def test_plain_text_is_found_in_files_and_in_packed_ones(tmp_path, name, data, inside):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).write_bytes(data)
    (tmp_path / "broken.gz").write_bytes(gzip.compress(LINE, mtime=0)[:20] + b"no")
    found = set(search.plain_in_folder(tmp_path, [NEEDLE, b"nowhere"]))
    assert (f"sub/{inside}", NEEDLE, 2) in found
    assert {n for n, _, _ in found} <= {f"sub/{inside}", "sub/a.tgz/a"}  # a tar is plain, too


def test_the_edge_of_what_is_read_at_a_time_hides_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "_CHUNK", 7)
    (tmp_path / "a").write_bytes(b"abcdefgh" * 50)
    assert search.plain_in_folder(tmp_path / "a", ["abcdefgh", "h"]) == [
        ("a", "abcdefgh", 50),
        ("a", "h", 50),
    ]


def test_encoded_text_is_not_plain_and_links_are_not_followed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(base64.b64encode(LINE))
    (tmp_path / "c").write_bytes(LINE)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "c")
    assert search.plain_in_folder(tmp_path / "a", [NEEDLE]) == []
