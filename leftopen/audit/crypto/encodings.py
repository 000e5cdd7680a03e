"""Encodings, which hide nothing: what a value says once it is read the other way round."""

import base64
import binascii
import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterator

_MOST = 4_000_000  # bytes that a packed value may come to
_DEEPEST = 3
_ENOUGH = 3  # bytes that must agree before a shift or a short key is called one
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_LONGEST_KEY = 8


def decoded(value: bytes) -> Iterator[tuple[str, bytes]]:
    """What a value holds in each encoding that it could be in, one layer deep.

    Yields:
        The name of the encoding, and the bytes under it. Nothing where no encoding fits.
    """
    for name, read in _READERS.items():
        try:
            inner = read(value)
        except (ValueError, OSError, EOFError, zlib.error, RecursionError):
            continue
        if inner and inner != value:
            yield name, inner


def layers(value: bytes, depth: int = _DEEPEST) -> Iterator[tuple[str, bytes]]:
    """As :func:`decoded`, and what lies under that again, as ``gzip in base64``."""
    for name, inner in decoded(value):
        yield name, inner
        if depth > 1:
            yield from ((f"{deeper} in {name}", last) for deeper, last in layers(inner, depth - 1))


def is_encoding_of(value: bytes, plain: bytes) -> str | None:
    """Which encoding turns a value into this plain text, without any key; ``None`` for none.

    Found are base64, base32, base85 and hex, gzip and zlib, UTF-16, the text reversed, rot13, every
    letter moved on, a byte added to each or XORed with each, a key of a few bytes that is XORed
    again and again, and up to three of them one in the other. A plain text of six bytes or more may
    also stand anywhere in what is decoded.

    Args:
        value: what is stored.
        plain: what it is meant to hide.
    """
    if not plain or not value:
        return None
    if value == plain or _holds(value, plain):
        return "plain text"
    if told := _turned(value, plain):
        return told
    for name, inner in layers(value):
        if _holds(inner, plain):
            return name
        if told := _turned(inner, plain):
            return f"{told} in {name}"
    return None


def _holds(text: bytes, plain: bytes) -> bool:
    return text == plain or (len(plain) >= 6 and plain in text)


def _turned(value: bytes, plain: bytes) -> str | None:
    """The change of each byte alone that turns one into the other."""
    if _holds(value[::-1], plain):
        return "reversed"
    if _holds(_rot13(value), plain):
        return "rot13"
    if len(value) != len(plain) or len(plain) < _ENOUGH:
        return None
    if shift := _letters_moved(value, plain):
        return f"letters moved by {shift}"
    if len({(a - b) % 256 for a, b in zip(value, plain, strict=True)}) == 1:
        return "one byte added to each"
    stream = bytes(a ^ b for a, b in zip(value, plain, strict=True))
    for size in range(1, min(_LONGEST_KEY, len(plain) - _ENOUGH) + 1):
        if stream == (stream[:size] * len(stream))[: len(stream)]:
            return "xor with one byte" if size == 1 else f"xor with {size} bytes"
    return None


def _letters_moved(value: bytes, plain: bytes) -> int:
    """By how many places letters and digits were moved, as in Caesar's cipher; 0 for not."""
    if value == plain or not any(_kind(byte) for byte in plain):
        return 0
    for shift in range(1, 26):
        if all(_moved(a, shift) == b for a, b in zip(plain, value, strict=True)):
            return shift
    return 0


def _kind(byte: int) -> tuple[int, int] | None:
    """First byte and size of the alphabet that a byte belongs to."""
    for first, size in ((65, 26), (97, 26), (48, 10)):
        if first <= byte < first + size:
            return first, size
    return None


def _moved(byte: int, shift: int) -> int:
    first, size = _kind(byte) or (byte, 1)
    return first + (byte - first + shift) % size


def _rot13(value: bytes) -> bytes:
    return codecs.encode(value.decode("latin-1"), "rot13").encode("latin-1")


def _base64(value: bytes) -> bytes:
    text = b"".join(value.splitlines()).strip()
    bare = text.rstrip(b"=")
    if len(bare) < 4 or not _BASE64.fullmatch(text) or len(bare) % 4 == 1:
        raise ValueError
    padded = bare + b"=" * (-len(bare) % 4)
    return base64.b64decode(padded.translate(bytes.maketrans(b"-_", b"+/")), validate=True)


def _hex(value: bytes) -> bytes:
    text = value.strip().removeprefix(b"\\x").removeprefix(b"0x")
    if len(text) < 4:
        raise ValueError
    return bytes.fromhex(text.decode("ascii"))


def _base32(value: bytes) -> bytes:
    text = value.strip()
    if len(text) < 8:
        raise ValueError
    bare = text.rstrip(b"=")
    return base64.b32decode(bare + b"=" * (-len(bare) % 8))


def _base85(value: bytes) -> bytes:
    if len(value.strip()) < 5:
        raise ValueError
    return base64.b85decode(value.strip())


def _ascii85(value: bytes) -> bytes:
    if len(value.strip()) < 5:
        raise ValueError
    return base64.a85decode(value.strip())


def _utf16(value: bytes) -> bytes:
    if len(value) < 4 or len(value) % 2 or b"\0" not in value:
        raise ValueError
    return value.decode("utf-16").encode()


def _unpacked(wbits: int) -> Callable[[bytes], bytes]:
    def read(value: bytes) -> bytes:
        return zlib.decompressobj(wbits).decompress(value, _MOST)

    return read


def _zlib(value: bytes) -> bytes:
    if value[:1] != b"\x78":
        raise ValueError
    return _unpacked(zlib.MAX_WBITS)(value)


def _gzip(value: bytes) -> bytes:
    if not value.startswith(b"\x1f\x8b"):
        raise gzip.BadGzipFile
    return _unpacked(zlib.MAX_WBITS | 16)(value)


def _quoted(value: bytes) -> bytes:
    if b"\\x" not in value[1:]:
        raise binascii.Error
    return value.decode("ascii").encode("latin-1").decode("unicode_escape").encode("latin-1")


_READERS: dict[str, Callable[[bytes], bytes]] = {
    "hex": _hex,
    "base64": _base64,
    "base32": _base32,
    "gzip": _gzip,
    "zlib": _zlib,
    "base85": _base85,
    "ascii85": _ascii85,
    "utf-16": _utf16,
    "escaped bytes": _quoted,
}
