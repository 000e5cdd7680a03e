"""What ciphertexts give away without any key.

Blocks that come again are the mark of the ECB mode (NIST SP 800-38A, section 6.1 and appendix A);
a nonce that is used twice takes the secrecy from CTR, GCM and ChaCha20-Poly1305, and from GCM the
authenticity too (NIST SP 800-38D, section 8; RFC 8439, section 4). Two values under one nonce show
the XOR of their plain texts, which is how a repeated nonce is told from a header here.
"""

import base64
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from leftopen.audit.crypto.encodings import decoded, is_encoding_of

__all__ = [
    "Counting",
    "clear_bytes",
    "common_prefix",
    "counter_nonces",
    "entropy",
    "equal_values",
    "is_encoding_of",
    "malleable",
    "repeated_blocks",
    "repeated_nonces",
]

_MOST_TRIED = 256  # bytes of a sealed value that malleable() changes, one after the other
_TAG = 16  # bytes of the authentication tag of GCM and of Poly1305


def equal_values(values: Iterable[bytes]) -> Counter[bytes]:
    """The values that occur more than once, each with how often."""
    return Counter({value: n for value, n in Counter(map(bytes, values)).items() if n > 1})


def repeated_blocks(values: Iterable[bytes], size: int = 16, header: int = 0) -> Counter[bytes]:
    """The blocks that occur more than once, each with how often: the mark of ECB.

    Values that are equal as a whole count once: that is :func:`equal_values`' business.

    Args:
        values: ciphertexts.
        size: bytes of a block: 16 for AES, 8 for DES and Blowfish.
        header: bytes before the first block of each value, as those of a key's name.
    """
    blocks = Counter(
        value[at : at + size]
        for value in {bytes(value) for value in values}
        for at in range(header, len(value) - size + 1, size)
    )
    return Counter({block: n for block, n in blocks.items() if n > 1})


def repeated_nonces(values: Iterable[bytes], size: int = 12, at: int = 0) -> Counter[bytes]:
    """The nonces that more than one value was sealed with, each with how many distinct values.

    Args:
        values: ciphertexts that carry their nonce.
        size: bytes of the nonce: 12 for GCM and ChaCha20-Poly1305, 16 for CBC and CTR, 24 for
            XChaCha20-Poly1305.
        at: where it begins.
    """
    distinct = {bytes(value) for value in values}
    nonces = Counter(v[at : at + size] for v in distinct if len(v) >= at + size)
    return Counter({nonce: n for nonce, n in nonces.items() if n > 1})


@dataclass(frozen=True)
class Counting:
    """Nonces that count.

    Attributes:
        values: how many distinct values were looked at.
        lowest, highest: the smallest and the largest number.
        repeated: how many numbers stand in more than one value: the counter began again.
    """

    values: int
    lowest: int
    highest: int
    repeated: int

    @property
    def restarts(self) -> bool:
        """Whether the counter began again, so that nonces were used twice."""
        return self.repeated > 0


def counter_nonces(values: Iterable[bytes], size: int = 12, at: int = 0) -> Counting | None:
    """Whether nonces are numbers that count up; ``None`` if they are not.

    They are where each is read as a number (either end first) and all of them lie closer together
    than drawn ones ever would: within a million times as many as there are values. A fixed nonce
    does not count: at least two numbers must be there.
    """
    distinct = {bytes(value) for value in values}
    nonces = [v[at : at + size] for v in distinct if len(v) >= at + size]
    for order in ("big", "little"):
        seen = Counter(int.from_bytes(nonce, order) for nonce in nonces)
        if len(seen) > 1 and max(seen) - min(seen) < min(len(nonces) * 10**6, 256**size >> 24):
            repeated = sum(n > 1 for n in seen.values())
            return Counting(len(nonces), min(seen), max(seen), repeated)
    return None


def common_prefix(values: Iterable[bytes]) -> int:
    """How many bytes all values begin with in common; 0 for fewer than two values."""
    distinct = sorted({bytes(value) for value in values})
    if len(distinct) < 2:
        return 0
    first, last = distinct[0], distinct[-1]
    pairs = enumerate(zip(first, last, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))


def clear_bytes(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[int, int]:
    """How many bytes of the XOR of such pairs have no high bit, and how many there are.

    The XOR of two values under one keystream is that of their texts, and most of its bytes have no
    high bit, since ASCII has none. Of values that have nothing in common half of the bytes have
    none.

    Args:
        pairs: ciphertexts; what two begin with in common is left out, as a nonce or the name of a
            key, and so are the last 16 bytes, where a tag may stand.
    """
    clear = total = 0
    for one, other in pairs:
        at = common_prefix([one, other])
        both = [a ^ b for a, b in zip(one[at:-_TAG], other[at:-_TAG], strict=False)]
        total += len(both)
        clear += sum(byte < 0x80 for byte in both)
    return clear, total


def entropy(data: bytes) -> float:
    """Bits of information in each byte, as the bytes' own shares tell (Shannon 1948): 0 to 8.

    A short text cannot reach 8: of n bytes it is at most log2(n).
    """
    shares = [n / len(data) for n in Counter(data).values()] if data else []
    return -sum(share * math.log2(share) for share in shares) or 0.0


def malleable(open_: Callable[[bytes | str], object], sealed: bytes | str) -> bool:
    """Whether a sealed value can be changed, and still opens to something else.

    Each byte is changed in turn, and each bit of the first and the last block; the value is cut
    and lengthened, and blocks of it change places. To refuse is to raise any exception, or to
    return nothing. A change that opens to the same text does no harm.

    Args:
        open_: opens a sealed value.
        sealed: a value that it opens; of a text in base64 or hex, the bytes under it are changed.

    Raises:
        Exception: whatever ``open_`` raises on the unchanged value.
    """
    plain = open_(sealed)
    for changed in _changes(sealed):
        try:
            opened = open_(changed)
        except Exception:
            continue
        if opened is not None and opened is not False and opened != plain:
            return True
    return False


def _changes(sealed: bytes | str) -> Iterator[bytes | str]:
    if isinstance(sealed, bytes | bytearray | memoryview):
        yield from _altered(bytes(sealed))
        return
    for name, inner in decoded(sealed.encode()):
        if name in _WRITERS:
            yield from (_WRITERS[name](value, sealed) for value in _altered(inner))
            return
    yield from (value.decode("latin-1") for value in _altered(sealed.encode("latin-1", "replace")))


def _altered(sealed: bytes) -> Iterator[bytes]:
    size = len(sealed)
    step = max(1, size // _MOST_TRIED)
    for at in range(0, size, step):
        for mask in (0x01, 0x80):
            yield _flipped(sealed, at, mask)
    for at in (*range(min(16, size)), *range(max(0, size - 16), size)):
        for bit in range(8):
            yield _flipped(sealed, at, 1 << bit)
    for cut in (1, 8, 16, 32):
        if cut < size:
            yield sealed[:-cut]
            yield sealed[cut:]
    yield sealed + b"\0"
    yield sealed + sealed[-16:]
    blocks = [sealed[at : at + 16] for at in range(0, size, 16)]
    for at in range(min(len(blocks) - 1, 64)):
        swapped = [*blocks[:at], blocks[at + 1], blocks[at], *blocks[at + 2 :]]
        yield b"".join(swapped)
        yield b"".join(blocks[: at + 1] + blocks[at + 2 :])


def _flipped(value: bytes, at: int, mask: int) -> bytes:
    return value[:at] + bytes([value[at] ^ mask]) + value[at + 1 :]


def _as_base64(value: bytes, like: str) -> str:
    url = "-" in like or "_" in like
    text = (base64.urlsafe_b64encode if url else base64.b64encode)(value).decode()
    return text if "=" in like or len(like) % 4 == 0 else text.rstrip("=")


def _as_hex(value: bytes, like: str) -> str:
    prefix = next((p for p in ("\\x", "0x") if like.startswith(p)), "")
    return prefix + (value.hex().upper() if like.isupper() else value.hex())


_WRITERS: dict[str, Callable[[bytes, str], str]] = {"hex": _as_hex, "base64": _as_base64}
