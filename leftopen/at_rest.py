"""What a server's files show to who can read them, without asking the server.

Nothing is unpacked here: a value counts where it stands as it is, byte for byte. What a compressor
made of the others hides them from this search, and from nobody who has the compressor.
"""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from leftopen.engines.kept_folder import KeptFolder
from leftopen.errors import DataError
from leftopen.lab import Lab

# A page of PostgreSQL's write-ahead log, and its header; a file's first page has a longer one
# (xlog_internal.h: SizeOfXLogShortPHD and SizeOfXLogLongPHD, with the default page of 8 kB).
_WAL, _PAGE, _HEADER, _FIRST_HEADER = "pg_wal", 8192, 24, 40
_TRIES = 20  # to list the files of a server that goes on
_HEAD = 4  # bytes by which a value is looked for before it is compared whole

PLACES = {
    "mongod": {
        "collections": ("data/collection-*.wt",),
        "indexes": ("data/index-*.wt",),
        "journal": ("data/journal/*",),
        "log": ("mongod.log*",),
    },
    "PostgreSQL": {
        "tables and indexes": ("data/base/*/*",),
        "write-ahead log": ("data/pg_wal/*",),
        "log": ("postgresql.log*",),
    },
    "OpenSearch": {
        "segments": ("data/**/index/*",),
        "transaction log": ("data/**/translog/*",),
        "log": ("output.log", "logs/*"),
        "snapshots": ("snapshots/**/*",),
    },
}
"""Server -> kind of file -> patterns within its folder.

WiredTiger's manual ("File types"); PostgreSQL's ("Database File Layout"); OpenSearch's data folder.
"""


def traces(lab: Lab, values: Iterable[str]) -> dict[str, str]:
    """Which of a lab's files show these values, by kind of file.

    Args:
        lab: the server; let it write to its disk what it holds in memory before.
        values: what to look for.

    Returns:
        Kind of file -> ``"all"``, ``"some"`` or ``"none"`` of the values.

    Raises:
        DataError: there is no value, or one is too short to be looked for.
    """
    wanted = list(values)
    folder = lab.log.parent
    return {
        kind: share(shown(_files(folder, patterns), wanted), wanted)
        for kind, patterns in PLACES[lab.program].items()
    }


def shown(files: Path | Iterable[Path], values: Iterable[str]) -> set[str]:
    """The values that stand in files as they are.

    Args:
        files: the files; or a folder, and then all that are in it.
        values: what to look for, four bytes or more each.

    Raises:
        DataError: there is no value, or one is too short to be looked for.
    """
    if isinstance(files, Path):
        files = _files(files, ("**/*",)) if files.is_dir() else [files]
    by_head: dict[bytes, set[bytes]] = {}
    for value in values:
        raw = value.encode()
        if len(raw) < _HEAD:
            raise DataError(f"{value!r} is too short to look for; it would be found by chance.")
        by_head.setdefault(raw[:_HEAD], set()).add(raw)
    if not by_head:
        raise DataError("There is nothing to look for: no value was given.")
    found: set[bytes] = set()
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # a server removes files of its own
            if path.is_file() and not path.is_symlink():
                found |= _in(_read(path), by_head)
    return {raw.decode() for raw in found}


def share(found: Collection[str], values: Collection[str]) -> str:
    """``"all"``, ``"some"`` or ``"none"``: how many of the values were found, in a word."""
    if not found:
        return "none"
    return "all" if len(set(found)) == len(set(values)) else "some"


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if path.parent.name != _WAL:
        return data
    # A record goes on behind the header of the next page, which would tear values apart.
    pages = range(_PAGE, len(data), _PAGE)
    rest = [data[at + _HEADER : at + _PAGE] for at in pages]
    return b"".join([data[_FIRST_HEADER:_PAGE], *rest])


def _in(data: bytes, by_head: dict[bytes, set[bytes]]) -> set[bytes]:
    found = set()
    for head, wanted in by_head.items():
        lengths = {len(raw) for raw in wanted}
        at = data.find(head)
        while at >= 0:
            found |= {data[at : at + length] for length in lengths} & wanted
            at = data.find(head, at + 1)
    return found


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """What fits the patterns. A server may remove a folder while it is listed: then once more."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            return sorted({path for pattern in patterns for path in folder.glob(pattern)})
    raise DataError(f"The files below {folder} change all the time. Run the cell again.")


class Desk:
    """A folder to work in, gone with the notebook; each name in it is new each time."""

    def __init__(self) -> None:
        self._folder = KeptFolder()

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self._folder.path

    def new(self, name: str) -> Path:
        """A path of this name that is free, in a folder of its own."""
        return Path(tempfile.mkdtemp(prefix="leftopen-", dir=self.folder)) / name

    def clear(self) -> None:
        """Remove all that lies in it."""
        for place in self.folder.iterdir():
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink()


def tried(do: Callable, *arguments: Any) -> str:
    """Do something, and say in one line what came of it.

    Returns:
        ``"yes"``; or what is wrong, without the folders before the names.
    """
    try:
        do(*arguments)
    except DataError as error:
        return re.sub(r"\S*/leftopen-\w+/", "", str(error))
    return "yes"
