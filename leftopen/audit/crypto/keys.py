"""A key searched for beside the data: as it is, written as text, or made from a short password."""

import ast
import base64
import contextlib
import hashlib
import json
import linecache
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from leftopen.audit.crypto.search import plain_in_folder
from leftopen.errors import LeftOpenError

SHORTEST = 8
"""Bytes below which a key would be found everywhere by chance."""
_WORD = re.compile(r"[^\s\"'`<>(){}\[\],;]{1,64}")
_QUOTED = re.compile(r"\"([^\"\n]{1,64})\"|'([^'\n]{1,64})'")
_CELL = re.compile(r"ipykernel_\d|<ipython-input")  # the names of cells
_MOST_WORDS = 20_000
_DIGESTS = ("sha256", "sha512", "sha1", "md5", "sha3_256", "blake2b")


def forms(key: bytes) -> dict[str, bytes]:
    """The ways in which a key is written, by their names, each as the bytes to look for."""
    std = base64.b64encode(key)
    url = base64.urlsafe_b64encode(key)
    numbers = [str(byte) for byte in key]
    found = {
        "raw bytes": key,
        "hex": key.hex().encode(),
        "hex, capitals": key.hex().upper().encode(),
        "base64": std.rstrip(b"="),
        "base64 for addresses": url.rstrip(b"="),
        "a Python literal": repr(key)[2:-1].encode(),
        "escaped bytes": "".join(f"\\x{byte:02x}" for byte in key).encode(),
        "hex with colons": key.hex(":").encode(),
        "hex with spaces": key.hex(" ").encode(),
        "numbers": ", ".join(numbers).encode(),
        "numbers without spaces": ",".join(numbers).encode(),
        "reversed": key[::-1],
        "base32": base64.b32encode(key).rstrip(b"="),
        "a JSON text": json.dumps(key.decode("latin-1"))[1:-1].encode(),
    }
    unique: dict[bytes, str] = {}
    for name, form in found.items():
        unique.setdefault(form, name)
    return {name: form for form, name in unique.items()}


def find(key: bytes, places: object) -> list[str]:
    """Where a key stands, in any of its :func:`forms`, or the password that it was made from.

    Args:
        key: the key, of 8 bytes or more.
        places: where to look: a ``Path`` of a folder or a file, a text, bytes, a document, a row;
            or a list of such, or a mapping from their names to them.

    Returns:
        Each place once, as ``settings.py: base64``; in order. Empty if it stands nowhere.

    Raises:
        LeftOpenError: the key is shorter than 8 bytes, and would be found anywhere.
    """
    if len(key) < SHORTEST:
        raise LeftOpenError(
            f"A key of {len(key)} bytes is found everywhere by chance. Give {SHORTEST} or more."
        )
    return list(dict.fromkeys(_found(bytes(key), places, "")))


def in_folder(key: bytes, folder: str | Path) -> list[str]:
    """Where a key stands in the files of a folder, also in packed ones: ``path: form``."""
    return find(key, Path(folder))


def in_cells(key: bytes) -> list[str]:
    """Where a key stands in the cells that were run in this notebook, and in what they showed.

    IPython gives each cell to ``linecache``, for tracebacks, also where it keeps no history of
    them; what stands there alone is named ``a cell``. Empty where no IPython runs.
    """
    shell = _shell()
    if shell is None:
        return []
    names = shell.user_ns
    run = [(f"In [{n}]", cell) for n, cell in enumerate(names.get("In", [])) if n and cell]
    kept = {cell.strip() for _, cell in run}
    run += [("a cell", cell) for cell in cells() if cell.strip() not in kept]
    run += [(f"Out [{n}]", repr(shown)) for n, shown in sorted(names.get("Out", {}).items())]
    found = [told for name, text in run for told in _in_cell(key, name, text)]
    return list(dict.fromkeys(found))


def _in_cell(key: bytes, name: str, text: str) -> list[str]:
    if told := find(key, {name: text}):
        return told
    return [f"{name}: {told.partition(': ')[2]}" for told in find(key, _literals(text, len(key)))]


def cells() -> list[str]:
    """The text of each cell that was run, as ``linecache`` has it."""
    entries = list(linecache.cache.items())
    return ["".join(entry[2]) for name, entry in entries if _CELL.search(name) and len(entry) > 2]


def _literals(cell: str, least: int) -> list[str | bytes]:
    """The texts and bytes in a cell, as Python reads them: also over two lines."""
    with contextlib.suppress(SyntaxError, ValueError):
        values = [n.value for n in ast.walk(ast.parse(cell)) if isinstance(n, ast.Constant)]
        return [v for v in values if isinstance(v, str | bytes) and len(v) >= least]
    return []


def made_from(key: bytes, words: Iterable[str]) -> str | None:
    """Which of these words the key is a plain digest of; ``None`` for none.

    A digest that is too short for the key is taken again and again, or followed by the others; a
    key shorter than its digest is its beginning. The word itself, filled up, counts too.
    """
    for word in words:
        raw = word.encode()
        if raw and (raw.ljust(len(key), b"\0") == key or raw.ljust(len(key)) == key):
            return word
        digests = {name: hashlib.new(name, raw).digest() for name in _DIGESTS}
        digests["sha512, sha256"] = digests["sha512"] + digests["sha256"]
        digests["hex"] = digests["sha256"].hex().encode()
        digests["md5, in hex"] = digests["md5"].hex().encode()
        if any((d * (len(key) // len(d) + 1))[: len(key)] == key for d in digests.values()):
            return word
    return None


def _shell():
    module = sys.modules.get("IPython")
    return module.get_ipython() if module else None


def _found(key: bytes, place: object, name: str) -> Iterable[str]:
    if isinstance(place, Path):
        yield from _in_files(key, place, name)
    elif isinstance(place, bytes | bytearray | memoryview | str):
        raw = place.encode() if isinstance(place, str) else bytes(place)
        yield from (f"{name or 'here'}: {form}" for form in _in_bytes(key, raw))
    elif isinstance(place, Mapping):
        for inner, value in place.items():
            if isinstance(inner, str | bytes):
                yield from _found(key, inner, f"{name or 'here'}, a name")
            yield from _found(key, value, f"{name}.{inner}" if name else str(inner))
    elif isinstance(place, Iterable):
        each = list(place)
        if each and all(isinstance(v, int) and 0 <= v < 256 for v in each):
            yield from _found(key, bytes(each), name)
        for number, value in enumerate(each):
            if not isinstance(value, int | float):
                yield from _found(key, value, f"{name}[{number}]")


def _in_bytes(key: bytes, raw: bytes) -> Iterable[str]:
    if told := [name for name, form in forms(key).items() if form in raw]:
        yield told[0]
    elif made_from(key, words_in(raw)) is not None:
        yield "the password that it is made from"


def words_in(raw: bytes) -> list[str]:
    """The words of a text, and what stands in quotes; none of what is no text."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return []
    quoted = [a or b for a, b in _QUOTED.findall(text)]
    return list(dict.fromkeys([text, *quoted, *_WORD.findall(text)]))[:_MOST_WORDS]


def _in_files(key: bytes, folder: Path, name: str) -> Iterable[str]:
    wanted = {form: kind for kind, form in forms(key).items()}
    before = f"{name}/" if name else ""
    seen = set()
    for path, form, _ in plain_in_folder(folder, list(wanted)):
        if path not in seen:
            seen.add(path)
            yield f"{before}{path}: {wanted[form]}"
    for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
        told = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
        words = words_in(_small(path)) if told not in seen else []
        if made_from(key, words) is not None:
            yield f"{before}{told}: the password that it is made from"


def _small(path: Path) -> bytes:
    """What a file of less than a megabyte holds; nothing of what is larger or cannot be read."""
    with contextlib.suppress(OSError):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1_000_000:
            return path.read_bytes()
    return b""
