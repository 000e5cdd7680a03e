"""Sets of Parquet files that are whole or absent, never half."""

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from leftopen.errors import DataError

COMPRESSION = "snappy"
"""The compression of all columns; fast, and the default of most writers."""

_STAMP = b"leftopen"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_NUMBERS = ("_id", "person", "tracker", "at", "x", "y", "visitor", "passage")
_UNIQUE = ("name", "idNumber", "homeAddress", "photo", "id_number")


@dataclass(frozen=True)
class File:
    """One file of a set: its name, its rows in all, and its row groups in order."""

    name: str
    rows: int
    groups: Iterable[pa.Table]


def write_set(
    folder: Path, files: list[File], stamp: str, *, threads: int = 2, progress: bool = True
) -> tuple[Path, ...]:
    """Write `files` into `folder`, made if need be, and return their paths.

    Each file is written under a name that ends in `.part`, and all are renamed once all are
    complete and on the disk. `stamp` says what the set holds and is kept in each file: a set
    that is there already with the same stamp is left as it is, one with another stamp is
    replaced when the new one is complete. After an error or Ctrl-C no `.part` file is left; those
    of a killed run are removed by the next one. `threads` files are written at once.

    Raises DataError when the folder cannot be written, the disk is full, or a file of the same
    name is not one of ours.
    """
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        paths = tuple(folder / file.name for file in files)
        stamps = [_stamp_of(path) for path in paths]
        if all(found == stamp for found in stamps):
            return paths
        for path in paths:
            _remove_abandoned(path)
        parts = [path.with_name(f"{path.name}.{os.getpid()}.part") for path in paths]
        try:
            _write_all(files, parts, stamp, threads, progress)
            # The old set goes first, so that a crash here cannot leave files of two sets.
            for path in paths:
                path.unlink(missing_ok=True)
            for part, path in zip(parts, paths, strict=True):
                part.replace(path)
            _sync_folder(folder)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
    return paths


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn the system's errors into one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        elsewhere = "choose another folder with --out"
        if error.errno in _FULL:
            message = f"The disk of {folder} is full, and the files were not written"
            raise DataError(f"{message}: free some space, or {elsewhere}.") from error
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise DataError(f"{folder} is a file, not a folder: {elsewhere}.") from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DataError(f"Cannot write into {folder} ({reason}): {elsewhere}.") from error


def _stamp_of(path: Path) -> str | None:
    """Return the stamp of a file of ours, or None if there is no file."""
    if not path.exists():
        return None
    try:
        return pq.read_metadata(path).metadata[_STAMP].decode()
    except (pa.ArrowException, OSError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} was not made by this command, or is damaged: move it away, "
            "or choose another folder with --out."
        ) from error


def _remove_abandoned(path: Path) -> None:
    """Remove what a killed run left: its `.part` files carry the number of its process."""
    for part in path.parent.glob(f"{path.name}.*.part"):
        number = part.suffixes[-2].removeprefix(".")
        if not (number.isdigit() and psutil.pid_exists(int(number))):
            part.unlink(missing_ok=True)


def _write_all(
    files: list[File], parts: list[Path], stamp: str, threads: int, progress: bool
) -> None:
    _keep_freed_memory()
    total = sum(file.rows for file in files)
    stop, lock = threading.Event(), threading.Lock()
    with (
        tqdm(total=total, unit=" rows", unit_scale=True, disable=None if progress else True) as bar,
        ThreadPoolExecutor(threads) as makers,
        ThreadPoolExecutor(threads) as writers,
    ):

        def report(rows: int) -> bool:
            with lock:
                bar.update(rows)
            return stop.is_set()

        pending = {
            writers.submit(_write_one, _ahead(file.groups, makers), part, stamp, report)
            for file, part in zip(files, parts, strict=True)
        }
        try:
            while pending:
                # A bounded wait, because Windows does not let Ctrl-C interrupt any other.
                done, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        finally:
            stop.set()


def _keep_freed_memory() -> None:
    """Let glibc keep the memory of freed arrays, for the next ones; elsewhere this does nothing.

    Otherwise each array of some size costs page faults anew: a tenth of the time. The threshold
    rises when a large block is freed (mallopt(3), M_MMAP_THRESHOLD).
    """
    np.empty(31 * 2**20, dtype=np.uint8)


def _ahead(groups: Iterable[pa.Table], makers: ThreadPoolExecutor) -> Iterator[pa.Table]:
    """Yield the row groups, while the next one is being made."""
    left = iter(groups)
    coming = makers.submit(next, left, None)
    while (group := coming.result()) is not None:
        coming = makers.submit(next, left, None)
        yield group


def _write_one(
    groups: Iterator[pa.Table], part: Path, stamp: str, report: Callable[[int], bool]
) -> None:
    """Write one file and flush it to the disk; give up when `report` returns True."""
    group = next(groups)
    names = group.schema.names
    numbers = [
        field.name
        for field in group.schema
        if field.name in _NUMBERS and not pa.types.is_string(field.type)
    ]
    # A file of our own, because the writer does not close its own when the disk is full.
    with pa.OSFile(str(part), "wb") as sink:
        with pq.ParquetWriter(
            sink,
            group.schema,
            compression=COMPRESSION,
            use_dictionary=[name for name in names if name not in _NUMBERS + _UNIQUE],
            column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
            write_statistics=numbers,
            store_schema=False,
        ) as writer:
            writer.add_key_value_metadata({_STAMP: stamp})
            while group is not None:
                writer.write_table(group, row_group_size=max(1, len(group)))
                if report(len(group)):
                    return
                group = next(groups, None)
        os.fsync(sink.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the new names last; elsewhere than on POSIX a folder cannot be flushed."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
