"""Files that are there whole or not at all: written under another name, and renamed at the end."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from leftopen.engines.waiting import Waiting
from leftopen.errors import DataError

PIECE = 1 << 20
"""Bytes that are read at a time."""
_SHOWN_FROM = 16 << 20  # bytes; below, a bar would be gone before it is seen


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, which has its name only when all went well.

    Args:
        target: the name that it is to have; its parent must be there.

    Raises:
        DataError: the name is taken, or the disk does not take it; nothing is left behind.
    """
    target = _free(target)
    with _told(target):
        new = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        try:
            yield new
            _free(target)
            new.rename(target)
        finally:
            shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """A file to write, which has its name only when all went well; its owner alone reads it.

    Args:
        target: the name that it is to have; its folder must be there.

    Raises:
        DataError: the name is taken, or the disk does not take it; nothing is left behind.
    """
    target = _free(target)
    with _told(target):
        number, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
        try:
            with os.fdopen(number, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _free(target)
            Path(name).rename(target)
        finally:
            Path(name).unlink(missing_ok=True)


def _free(target: Path) -> Path:
    target = Path(target)
    if target.exists() or target.is_symlink():
        raise DataError(
            f"{target} is there already, and a backup is never written over. Choose another name, "
            "or move the old one away."
        )
    return target


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "Free some space, or choose another folder"
        if isinstance(error, FileNotFoundError):
            advice = "The folder that it was to be in is not there; make it first"
        raise DataError(
            f"{target} could not be written: {error.strerror or error}. {advice}; nothing was left "
            "behind."
        ) from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a file into one sentence.

    Args:
        path: the file, or the folder, that is read.

    Raises:
        DataError: it cannot be read.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise DataError(
            f"{where} cannot be read: {error.strerror or error}. Look at the name, and whether the "
            "file is yours to read."
        ) from error


def inside(folder: Path) -> list[Path]:
    """All files of a folder and of those below it, in order of name; links and others are none.

    Raises:
        DataError: there is no such folder, or something in it is neither file nor folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Look at the name.")
    found = []
    with reading(folder):
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise DataError(f"{path} is a link or a device, which no backup holds. Remove it.")
            if path.is_file():
                found.append(path)
    return found


class Bar:
    """A progress bar over bytes, for work that takes long enough to see it.

    Args:
        what: what is done, as ``"Sealed:"``.
        total: how many bytes there are, as far as is known.
    """

    def __init__(self, what: str, total: int) -> None:
        self._bar = Waiting(what, total) if total >= _SHOWN_FROM else None
        self._done = self._shown = 0

    def __enter__(self) -> "Bar":
        if self._bar:
            self._bar.__enter__()
        return self

    def add(self, count: int) -> None:
        """Say that so many bytes more are done."""
        self._done += count
        if self._bar and self._done - self._shown >= PIECE:
            self._shown = self._done
            self._bar.reach(self._done)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.__exit__(kind, error, traceback)
