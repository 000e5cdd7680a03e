"""Plain text searched for in files, also in those that are packed.

PostgreSQL's ``pg_dump -Fc`` packs each table on its own: the stream lies in chunks, each after its
length in five bytes (sign, then the number with its low byte first: ``WriteInt`` and
``_CustomWriteFunc`` of ``src/bin/pg_dump``, PostgreSQL 17).
"""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

_CHUNK = 4 << 20  # bytes that are read at a time
_MOST = 1 << 30  # bytes that are unpacked of one file
_DEEPEST = 3
_PIECE = 256  # bytes at a time, so that little is lost where a packed table is damaged
_BEGIN = (b"\x78\x9c", b"\x78\xda")  # what a stream begins with, and no text does
BROKEN = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, tarfile.TarError)
BROKEN += (zipfile.BadZipFile, RuntimeError, LookupError, ArithmeticError, struct.error)
"""What the readers of packed files raise where a file is damaged, cut or locked."""


def plain_in_folder(
    folder: str | Path, needles: Iterable[bytes | str]
) -> list[tuple[str, bytes | str, int]]:
    """Where these texts stand in the files of a folder, and how often.

    Files that are packed with gzip, zip, tar, bzip2, xz or pg_dump are looked into, also when one
    lies in the other. Nothing is decoded: what stands in base64 is not found.

    Args:
        folder: a folder, or a single file. What cannot be read is passed over.
        needles: what to look for; a text stands there in UTF-8.

    Returns:
        The file's path within the folder, the needle, and how often it stands there; for a file in
        an archive ``dump.tar.gz/people.bson``. In the order of the paths, then of the needles.
    """
    wanted = [needle for needle in needles if needle]
    raw = [needle.encode() if isinstance(needle, str) else bytes(needle) for needle in wanted]
    found = []
    for name, stream in streams(folder):
        counts = _counts(stream, raw)
        found += [(name, needle, n) for needle, n in zip(wanted, counts, strict=True) if n]
    return found


def streams(
    folder: str | Path, passed_over: Callable[[str], object] = str
) -> Iterator[tuple[str, IO[bytes]]]:
    """Every file of a folder, and every file within a packed one, open for reading.

    Args:
        folder: a folder, or a single file.
        passed_over: is told the path of each file that cannot be opened, or unpacked to its end.

    Yields:
        The path within the folder, and the stream, which is closed afterwards.
    """
    root = Path(folder)
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
        name = path.relative_to(root).as_posix() if root.is_dir() else path.name
        try:
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                yield name, file
                yield from _within(name, file, _DEEPEST, passed_over)
        except OSError:
            passed_over(name)


def _within(
    name: str, file: IO[bytes], depth: int, passed_over: Callable[[str], object]
) -> Iterator[tuple[str, IO[bytes]]]:
    """The files in a packed one. What is broken or locked is passed over from there on."""
    if depth == 0:
        return
    try:
        file.seek(0)
        head = file.read(512)
        file.seek(0)
        for inner, stream in _members(name, head, file, passed_over):
            with stream:
                yield inner, stream
                if stream.seekable():
                    yield from _within(inner, stream, depth - 1, passed_over)
    except BROKEN:
        passed_over(name)


def _members(
    name: str, head: bytes, file: IO[bytes], passed_over: Callable[[str], object]
) -> Iterator[tuple[str, IO[bytes]]]:
    if head.startswith(b"\x1f\x8b"):
        yield f"{name}/{_stem(name)}", gzip.open(file)  # noqa: SIM115 - its reader closes it
    elif head.startswith(b"BZh"):
        yield f"{name}/{_stem(name)}", bz2.open(file)  # noqa: SIM115 - its reader closes it
    elif head.startswith(b"\xfd7zXZ"):
        yield f"{name}/{_stem(name)}", lzma.open(file)  # noqa: SIM115 - its reader closes it
    elif head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:  # it has a password
                    passed_over(f"{name}/{info.filename}")
                elif not info.is_dir():
                    yield f"{name}/{info.filename}", archive.open(info)
    elif head[257:262] == b"ustar":
        with tarfile.open(fileobj=file) as archive:
            for member in archive:
                if member.isfile() and (inner := archive.extractfile(member)):
                    yield f"{name}/{member.name}", inner
    elif head.startswith(b"PGDMP"):
        tables = _pg_dump_tables(file.read(_MOST), lambda: passed_over(name))
        for number, data in enumerate(tables, start=1):
            yield f"{name}/data {number}", io.BytesIO(data)


def _stem(name: str) -> str:
    last = name.rpartition("/")[2]
    return last.rpartition(".")[0] or last


def _pg_dump_tables(data: bytes, is_cut: Callable[[], object]) -> Iterator[bytes]:
    """What the packed tables of a custom-format dump hold; of a damaged one what precedes it."""
    at = 5
    while (at := data.find(b"\x78", at)) >= 0:
        unpacked, end = _chunks(data, at - 5)
        if end is None and (unpacked or (data[at : at + 2] in _BEGIN and not data[at - 5])):
            is_cut()
        if unpacked:
            yield unpacked
        at = end or at + 1


def _chunks(data: bytes, at: int) -> tuple[bytes, int | None]:
    """A packed stream from its first chunk on, and where it ends; ``None`` where it does not."""
    unpack, found = zlib.decompressobj(), []
    while at + 5 <= len(data) and not unpack.eof:
        size = int.from_bytes(data[at + 1 : at + 5], "little")
        if data[at] or not size:
            break
        at += 5
        chunk = memoryview(data)[at : at + size]
        try:
            for first in range(0, len(chunk), _PIECE):
                found.append(unpack.decompress(chunk[first : first + _PIECE], _MOST))
        except zlib.error:
            break
        at += size
    return b"".join(found), at if unpack.eof else None


def _counts(stream: IO[bytes], needles: list[bytes]) -> list[int]:
    """How often each needle stands in a stream, also across the edges of what is read at a time."""
    counts, tail, total = [0] * len(needles), b"", 0
    keep = max((len(needle) for needle in needles), default=1) - 1
    try:
        while total < _MOST and (chunk := stream.read(_CHUNK)):
            total += len(chunk)
            data = tail + chunk
            for i, needle in enumerate(needles):
                counts[i] += data.count(needle, max(0, len(tail) - len(needle) + 1))
            tail = data[-keep:] if keep else b""
    except BROKEN:
        pass
    return counts
