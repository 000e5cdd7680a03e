"""The SenseNets case at the size that was reported: the town, and four analyses of it.

Each result is kept on disk as soon as it is there, so a run that was interrupted goes on where it
stopped. On two cores it takes about a minute, 200 MB of disk, and memory as `NEEDED` says.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import polars as pl
import psutil
import pyarrow.parquet as pq
from tqdm import tqdm

from leftopen import trace
from leftopen.course import ROOT
from leftopen.errors import DataError
from leftopen.synth.sensenets import DEFAULT_SEED, FULL_PEOPLE, FULL_POSITIONS, write

FOLDER = ROOT / "data" / "full_scale"
"""Where the town and the results are kept, if no other folder is named."""
RESOLUTIONS = ((15, 0), (60, 0), (60, 1_000))
"""For unicity: steps of time in minutes, sides of squares in metres; 0 is the tracker itself."""
KNOWN = (["birthday", "sex"], ["quarter", "sex"], ["quarter", "birthday", "sex"])
"""For linkage: what somebody may know of a person."""
MOST_POINTS = 5
NEEDED = 180
"""Bytes of memory for each position, about."""

_FORMAT = 1  # to be raised whenever the same data come to give other results
_LOCK = "in_use.lock"
_QUARTER = 12  # characters at the end of an address, as in "Quarter 0123"
_BUSY = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}

Paths = dict[str, Path]


class FullScale(NamedTuple):
    """What the four analyses say of the whole town."""

    unicity: pd.DataFrame
    """For each resolution and number of points: how many people have that many, and are alone."""
    dwell: pd.DataFrame
    """For each kind of place: how many stays, and how long, in minutes."""
    top_places: pd.DataFrame
    """For each kind of place: how many people have the tracker there that saw them most often."""
    linkage: pd.DataFrame
    """For each set of known columns: how many share them, and the share who are alone."""


def full_scale(
    folder: str | Path | None = None,
    *,
    people: int = FULL_PEOPLE,
    positions: int = FULL_POSITIONS,
    seed: int = DEFAULT_SEED,
    progress: bool = True,
) -> FullScale:
    """Make the town, analyse it, and keep both; what is kept already is read.

    Args:
        folder: where to keep them; by default `data/full_scale` in the course's folder. Delete it
            to have its room again.
        people: how many people the town has.
        positions: how often all of them were seen.
        seed: another one makes another town.
        progress: whether a bar is shown, on stderr.

    Raises:
        DataError: impossible numbers, too little memory, a full disk, a folder that cannot be
            written or is in use by another notebook, or a file in it that is damaged or not ours.
    """
    folder = FOLDER if folder is None else Path(folder)
    with (
        _told(folder),
        _held(folder),
        tqdm(total=2 + len(RESOLUTIONS) + 2, leave=False, disable=not progress) as bar,
    ):
        bar.set_description("the town")
        made = write(folder, people, positions, seed=seed, progress=False)
        paths = {path.stem: path for path in made}
        data = pq.read_metadata(paths["positions"]).metadata[b"leftopen"].decode()
        bar.update()
        results = {}
        for name, analyse in _analyses(paths):
            bar.set_description(name.replace("_", " "))
            stamp = f"{_FORMAT} {name} {data}"
            results[name] = _kept(folder / f"{name}.json", stamp, analyse, positions)
            bar.update()
    unicity = [table for name, table in results.items() if name.startswith("unicity")]
    others = (results[name] for name in FullScale._fields[1:])
    return FullScale(pd.concat(unicity, ignore_index=True), *others)


def _analyses(paths: Paths) -> Iterator[tuple[str, Callable[[], pl.DataFrame]]]:
    """The name of each result, and what makes it."""
    for minutes, metres in RESOLUTIONS:
        name = f"unicity_{minutes}_minutes_{metres}_metres"
        yield name, partial(_unicity, paths, minutes, metres)
    yield "dwell", partial(_dwell, paths)
    yield "top_places", partial(_top_places, paths)
    yield "linkage", partial(_linkage, paths)


def _unicity(paths: Paths, minutes: int, metres: int) -> pl.DataFrame:
    where = {"metres": metres, "trackers": pl.read_parquet(paths["trackers"])} if metres else {}
    positions = pl.read_parquet(paths["positions"], columns=["person", "tracker", "at"])
    table = trace.unicity_table(trace.coarse(positions, minutes, **where), MOST_POINTS)
    return table.select(pl.lit(minutes).alias("minutes"), pl.lit(metres).alias("metres"), pl.all())


def _dwell(paths: Paths) -> pl.DataFrame:
    return trace.dwell(pl.read_parquet(paths["positions"]))


def _top_places(paths: Paths) -> pl.DataFrame:
    positions = pl.read_parquet(paths["positions"], columns=["person", "tracker"])
    kinds = pl.read_parquet(paths["trackers"], columns=["_id", "kind"])
    top = trace.top_places(positions).join(kinds, left_on="tracker", right_on="_id")
    counts = top.group_by(pl.col("kind").alias("place")).agg(people=pl.len())
    return counts.with_columns(share=pl.col("people") / pl.col("people").sum()).sort("place")


def _linkage(paths: Paths) -> pl.DataFrame:
    columns = ["homeAddress", "birthday", "sex"]
    frame = pl.read_parquet(paths["people"], columns=columns)
    frame = frame.select("birthday", "sex", quarter=pl.col("homeAddress").str.slice(-_QUARTER))
    rows = []
    for known in KNOWN:
        found = trace.linkage(frame, known)
        rows.append((", ".join(known), found.groups, found.unique, found.under_5))
    return pl.DataFrame(rows, ["known", "groups", "unique", "under_5"], orient="row")


def _kept(
    path: Path, stamp: str, analyse: Callable[[], pl.DataFrame], positions: int
) -> pd.DataFrame:
    """The result that is kept with this stamp; if there is none, it is made and kept first."""
    if (content := _content(path)) is None or content["stamp"] != stamp:
        _enough_memory(positions)
        try:
            table = analyse()
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"A file of the town in {path.parent} is damaged. Delete that folder, then run "
                "this cell again."
            ) from error
        content = {"stamp": stamp, "columns": table.columns, "rows": table.rows()}
        part = path.with_name(f"{path.name}.part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    return pd.DataFrame(content["rows"], columns=content["columns"])


def _content(path: Path) -> dict | None:
    """What is in a file of ours; None if there is no file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if {"stamp", "columns", "rows"} <= content.keys():
            return content
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        pass
    raise DataError(
        f"{path} was not made by this course, or is damaged. Move it away, then run this cell "
        "again."
    )


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder, so that no other notebook works in it; the end of the process frees it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+") as lock:
        try:
            _lock(lock.fileno())
        except OSError as error:
            if error.errno not in _BUSY:
                raise
            raise DataError(
                f"Another notebook is at work in {folder}. Run this cell again when it has "
                "finished, and what it made is read."
            ) from error
        for part in folder.glob("*.json.part"):
            part.unlink()  # of a run that was killed
        yield


def _lock(descriptor: int) -> None:
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn the system's errors into one sentence, and name the argument, not the command line."""
    elsewhere = "name another folder with folder="
    try:
        yield
    except DataError as error:
        told = str(error).replace("choose another folder with --out", elsewhere)
        raise DataError(told.replace("by this command", "by this course")) from error
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise DataError(f"{folder} is a file, not a folder: {elsewhere}.") from error
        if error.errno == errno.ENOSPC:
            raise DataError(
                f"The disk of {folder} is full: free some space, or {elsewhere}. What was made "
                "before is kept."
            ) from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DataError(f"Cannot use the folder {folder} ({reason}): {elsewhere}.") from error


def _enough_memory(positions: int) -> None:
    free = psutil.virtual_memory().available
    if positions * NEEDED > free:
        raise DataError(
            f"This takes about {positions * NEEDED / 1e9:.1f} GB of memory, and {free / 1e9:.1f} "
            "GB are free. Close other notebooks and programs, or ask for fewer positions."
        )
