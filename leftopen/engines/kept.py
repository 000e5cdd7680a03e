"""The files of a stopped server, kept so that a question is begun again with one start, not two.

A lab that begins locked starts its server once to put the records and accounts in, and once more
with the login on. When the same question is begun again, that first part would come out the same:
what it left in the server's folder is taken from memory instead. Memory, because a folder on disk
would outlive a notebook that is killed.
"""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Files = dict[Path, tuple[int, bytes]]
"""By its path in the server's folder: a file's size, and its bytes without the zeros at the end."""

_MOST = 12  # kept beginnings; the oldest goes: each takes about half a megabyte of memory

_beginning: contextvars.ContextVar[str] = contextvars.ContextVar("beginning", default="")
_kept: dict[tuple[str, ...], Files] = {}


@contextmanager
def same(beginning: str) -> Iterator[None]:
    """The one lab that is opened in this block begins like those in other blocks of this name.

    Args:
        beginning: what decides all that the lab begins with, as a question and its task.
    """
    token = _beginning.set(beginning)
    try:
        yield
    finally:
        _beginning.reset(token)


def recall(*more: str) -> Files | None:
    """What was kept here before of a lab that begins like this one, if anything.

    Args:
        more: what else must be equal, as the program and its configuration.
    """
    return _kept.get((_beginning.get(), *more))


def keep(folder: Path, names: tuple[str, ...], *more: str) -> None:
    """Keep these files and folders of a stopped server; outside of :func:`same`, nothing.

    Args:
        folder: the server's folder.
        names: files and folders in it.
        more: as for :func:`recall`.

    Raises:
        OSError: one cannot be read.
    """
    if _beginning.get():
        paths = [path for name in names for path in (folder / name, *(folder / name).rglob("*"))]
        contents = {p.relative_to(folder): p.read_bytes() for p in paths if p.is_file()}
        files = {path: (len(data), data.rstrip(b"\0")) for path, data in contents.items()}
        _kept[_beginning.get(), *more] = files
        while len(_kept) > _MOST:
            _kept.pop(next(iter(_kept)))


def put_back(files: Files, folder: Path) -> None:
    """Write kept files into the folder of a server that is yet to start.

    Raises:
        OSError: the disk does not take them.
    """
    for path, (size, data) in files.items():
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(data)
            file.truncate(size)
        target.chmod(0o600)
