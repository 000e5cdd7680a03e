"""Unicity: how many points of a trace pick out one person.

A point is a tracker and a time. The measure is that of de Montjoye, Hidalgo, Verleysen and
Blondel, "Unique in the Crowd: The privacy bounds of human mobility", Scientific Reports 3 (2013):
some points of a person's own are drawn at random, and all whose trace holds them are counted.

How it is computed here is our own. Somebody who holds all of some points has been at the one where
fewest were. So those who were there are looked through, some at first, then more, until one is
found; 64 bits that say roughly where a person was spare most comparisons.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl

from leftopen.errors import DataError
from leftopen.synth.asked import whole
from leftopen.trace.frames import Axis, Frame, Ints, axis, dense, like, microseconds, read, starts

MOST_POINTS = 100
_PRIME = 2**31 - 1
# Multipliers for which multiplying modulo that prime mixes well: Fishman and Moore, "An
# Exhaustive Analysis of Multiplicative Congruential Random Number Generators with Modulus
# 2^31-1", SIAM J. Sci. Stat. Comput. 7 (1986).
_MULTIPLIERS = (742_938_285, 950_706_376, 1_226_874_159, 62_089_911)
_FIRST_LOOK, _LOOKS_GROW, _PAIRS = 16, 8, 1 << 20
_WORD = 63  # bits of a whole number that is not negative


def coarse(
    positions: Frame,
    minutes: int | None = None,
    *,
    metres: int | None = None,
    by: str | None = None,
    trackers: Frame | None = None,
) -> Frame:
    """Positions at a lower resolution: times cut to steps, trackers put together to groups.

    Args:
        positions: a row for each sighting, with ``person``, ``tracker``, ``at``.
        minutes: times are cut to steps of so many minutes since midnight of 1 January 1970, UTC;
            without it they stay as they are.
        metres: trackers in one square of so many metres become one.
        by: trackers with the same value in this column of ``trackers`` become one.
        trackers: the trackers, with ``_id``, and ``x`` and ``y`` in metres for ``metres``.

    Returns:
        The same rows, in the same order. A group of trackers goes by its lowest number. Where
        trackers were put together there is no column ``place``: a square has several kinds.

    Raises:
        DataError: a column is missing, a number is below 1, or a tracker is not in ``trackers``.
    """
    names = ["person", "tracker", "at"]
    have = getattr(positions, "columns", ())
    grouped = metres is not None or by is not None
    frame = read(positions, "positions", [*names, *(["place"] * ("place" in have and not grouped))])
    if minutes is not None:
        step = whole("minutes", minutes, 1, 525_600) * 60_000_000
        kind = frame.schema["at"]
        cut = microseconds(frame["at"]) // step * step
        made = cut.cast(pl.Datetime("us"))
        if isinstance(kind, pl.Datetime):
            made = made.dt.replace_time_zone("UTC").dt.cast_time_unit(kind.time_unit)
            made = (
                made.dt.convert_time_zone(kind.time_zone)
                if kind.time_zone
                else made.dt.replace_time_zone(None)
            )
        frame = frame.with_columns(made.alias("at"))
    if grouped:
        if trackers is None:
            raise DataError("To put trackers together, give the table of them as trackers=.")
        groups = _groups(trackers, metres, by)
        frame = frame.join(groups, on="tracker", how="left", maintain_order="left")
        unknown = frame.filter(pl.col("group").is_null())["tracker"]
        if len(unknown):
            raise DataError(
                f"Tracker {unknown.min()} is in the positions and not in the table of trackers. "
                "Give the trackers of the same town."
            )
        frame = frame.with_columns(tracker="group").select(names)
    return like(frame, positions)


def _groups(trackers: object, metres: int | None, by: str | None) -> pl.DataFrame:
    """For each tracker the lowest number in its group."""
    if metres is not None and by is not None:
        raise DataError("Put trackers together by metres= or by a column, not by both at once.")
    if by is None:
        side = whole("metres", metres, 1, 10_000_000)
        table = read(trackers, "trackers", ["_id", "x", "y"])
        keys = [pl.col("x") // side, pl.col("y") // side]
    else:
        table = read(trackers, "trackers", ["_id", by])
        keys = [pl.col(by)]
    return table.select(tracker="_id", group=pl.col("_id").min().over(keys))


@dataclass(frozen=True)
class Traces:
    """The distinct points of each person: a trace each.

    People and points are numbered from 0. The points of all people stand one after another, those
    of a person in the order of tracker, then time.
    """

    person: Axis
    """Of the people's numbers: what they stand for."""
    who: Ints
    """For each trace its person's number."""
    start: Ints
    """Where each trace begins."""
    length: Ints
    """How many points it has."""
    order: Ints
    """All points, in each trace in the order in which they are drawn."""
    cell: Ints
    """For each point what it is: the number of a tracker and time."""


def _traces(positions: object, seed: int) -> Traces:
    frame = read(positions, "positions", ["person", "tracker", "at"])
    person, tracker = axis(frame["person"]), axis(frame["tracker"])
    at = axis(microseconds(frame["at"]))
    if tracker.bits + at.bits > _WORD:
        values, code = dense(at.code)
        at = Axis(code, len(values).bit_length(), values=at.of(values))
    cell, bits, names = (tracker.code << at.bits) | at.code, tracker.bits + at.bits, None
    if person.bits + bits > _WORD:
        names, cell = dense(cell)
        bits = len(names).bit_length()
    key = np.sort((person.code << bits) | cell)
    key = key[starts(key)]
    who, cell = key >> bits, key & ((1 << bits) - 1)
    point = cell if names is None else names[cell]
    where, when = tracker.number(point >> at.bits), at.number(point & ((1 << at.bits) - 1))
    lot = _lots(seed, person.number(who), where, when)
    start = starts(who)
    length = np.diff(start, append=len(who))
    # A tie of two lots falls to the lower tracker, as the points stand in that order.
    order = np.argsort((who << 31) | lot, kind="stable")
    return Traces(person, who[start], start, length, order, cell)


def _lots(seed: int, *columns: Ints) -> Ints:
    """A number from 0 to 2**31 - 2 for each row, that looks drawn: a function of its values alone.

    Whole numbers of 64 bits are enough, so that it can be written in any engine.
    """
    drawn = np.full(1, seed % _PRIME, dtype=np.int64)
    for column, factor in zip(columns, _MULTIPLIERS, strict=False):
        drawn = ((drawn ^ (drawn >> 15)) + column % _PRIME) * factor % _PRIME
    return (drawn ^ (drawn >> 15)) * _MULTIPLIERS[-1] % _PRIME


def unicity(positions: Frame, points: int, people: int | None = None, seed: int = 0) -> float:
    """The share of people whom some points of their trace pick out alone.

    For each person with at least so many distinct points, that many are drawn; the person is alone
    if nobody else was at all of them. The draw of one point more holds those of before.

    Args:
        positions: a row for each sighting, with ``person``, ``tracker``, ``at``, as exact as
            :func:`coarse` leaves them.
        points: how many points are known of a person, from 1.
        people: how many of the people are drawn; without it, all who have that many points.
        seed: another one draws other points, and other people.

    Returns:
        A share, from 0 to 1.

    Raises:
        DataError: the frame is empty or lacks a column, or nobody has that many points.
    """
    points = whole("points", points, 1, MOST_POINTS)
    traces = _traces(positions, seed)
    return float(np.mean(_alone(traces, points, people, seed)[1]))


def unicity_table(
    positions: Frame, most: int = 5, people: int | None = None, seed: int = 0
) -> Frame:
    """Unicity for 1 point to ``most``, as far as anybody has so many.

    Args:
        positions: as for :func:`unicity`.
        most: up to how many points.
        people: as for :func:`unicity`.
        seed: as for :func:`unicity`.

    Returns:
        A row for each number of points: ``points``, ``people`` who have that many, how many of
        them are ``alone``, and the ``share`` that this is.

    Raises:
        DataError: as for :func:`unicity`.
    """
    most = whole("points", most, 1, MOST_POINTS)
    traces, rows = _traces(positions, seed), []
    for points in range(1, min(most, int(traces.length.max())) + 1):
        _, alone = _alone(traces, points, people, seed)
        rows.append((points, len(alone), int(alone.sum()), float(np.mean(alone))))
    return like(pl.DataFrame(rows, ["points", "people", "alone", "share"], orient="row"), positions)


def _alone(traces: Traces, points: int, people: int | None, seed: int) -> tuple[Ints, np.ndarray]:
    """Whose points were drawn, and of each whether nobody else holds them."""
    able = np.flatnonzero(traces.length >= points)
    if not len(able):
        raise DataError(
            f"Nobody here has {points} distinct points; the most that anyone has is "
            f"{traces.length.max()}. Ask for fewer."
        )
    if people is not None:
        wanted = whole("people", people, 1, 2**31)
        lots = _lots(seed, traces.person.number(traces.who[able]))
        able = np.sort(able[np.argsort(lots, kind="stable")[:wanted]])
    drawn = traces.order[traces.start[able][:, None] + np.arange(points)]
    return able, ~_held_by_others(traces, able, traces.cell[drawn])


def _held_by_others(traces: Traces, able: Ints, cells: Ints) -> np.ndarray:
    """For each row whether anybody but its person was at all of its points."""
    count = len(traces.who)
    trace = np.repeat(np.arange(count), traces.length)
    names, cell = dense(traces.cell)
    inverse = np.sort((cell << 32) | trace)
    first = np.searchsorted(inverse, np.arange(len(names)) << 32)
    size = np.diff(first, append=len(inverse))
    cells = np.searchsorted(names, cells)
    cells = np.take_along_axis(cells, np.argsort(size[cells], axis=1, kind="stable"), axis=1)
    crowd = size[cells[:, 0]]
    if cells.shape[1] == 1:
        return crowd > 1
    bit = np.left_shift(np.uint64(1), (np.arange(len(names)) * 40_503 >> 4 & 63).astype(np.uint64))
    rough = np.bitwise_or.reduceat(bit[cell], traces.start)
    there = inverse & 0xFFFFFFFF
    rough_there = rough[there]
    need = np.bitwise_or.reduce(bit[cells[:, 1:]], axis=1)
    found = np.zeros(len(able), dtype=bool)
    left = np.argsort(cells[:, 0], kind="stable")
    left = left[crowd[left] > 1]
    begin, width = 0, _FIRST_LOOK
    while len(left):
        rows = max(1, _PAIRS // width)
        for at in range(0, len(left), rows):
            some = left[at : at + rows]
            looks = np.minimum(crowd[some] - begin, width)
            row = np.repeat(some, looks)
            seen = np.arange(len(row)) - np.repeat(np.cumsum(looks) - looks, looks)
            seen += np.repeat(first[cells[some, 0]] + begin, looks)
            likely = np.flatnonzero(rough_there[seen] & need[row] == need[row])
            row, other = row[likely], there[seen[likely]]
            keep = other != able[row]
            row, other = row[keep], other[keep]
            for column in range(1, cells.shape[1]):
                key = (cells[row, column] << 32) | other
                spot = np.minimum(np.searchsorted(inverse, key), len(inverse) - 1)
                keep = inverse[spot] == key
                row, other = row[keep], other[keep]
            found[row] = True
        begin, width = begin + width, min(width * _LOOKS_GROW, _PAIRS)
        left = left[~found[left] & (crowd[left] > begin)]
    return found


def matches(positions: Frame, known: object) -> list:
    """Whose trace holds all the known points.

    Args:
        positions: a row for each sighting, with ``person``, ``tracker``, ``at``.
        known: points at the same resolution: rows with ``tracker`` and ``at`` of a frame, or pairs
            of a tracker and a time, as ``[(7, datetime(2019, 2, 12, 8))]``. A time without a zone
            is UTC, and may be a text.

    Returns:
        The people, in order; an empty list if nobody was at all of these points.

    Raises:
        DataError: the frame is empty or lacks a column, or no point is given.
    """
    frame = read(positions, "positions", ["person", "tracker", "at"])
    frame = frame.with_columns(microseconds(frame["at"]).alias("at"))
    wanted = _known(known, frame.schema["tracker"]).unique()
    held = frame.unique().join(wanted, on=["tracker", "at"], how="semi")
    counts = held.group_by("person").len().filter(pl.col("len") == len(wanted))
    return counts["person"].sort().to_list()


def _known(known: object, tracker: pl.DataType) -> pl.DataFrame:
    if isinstance(known, pl.DataFrame | pl.LazyFrame | pd.DataFrame):
        frame = read(known, "known points", ["tracker", "at"])
        return frame.select(pl.col("tracker").cast(tracker), microseconds(frame["at"]).alias("at"))
    try:
        pairs = [(place, _moment(at)) for place, at in _pairs(known)]
    except (TypeError, ValueError) as error:
        raise DataError(
            "Give the known points as pairs of a tracker and a time, as "
            "[(7, datetime(2019, 2, 12, 8))]."
        ) from error
    if not pairs:
        raise DataError("No point is known, so everybody matches. Give at least one.")
    return pl.DataFrame(pairs, {"tracker": tracker, "at": pl.Int64}, orient="row")


def _pairs(known: object) -> Iterable[tuple]:
    if isinstance(known, str | Mapping) or not isinstance(known, Iterable):
        raise TypeError
    return known


def _moment(at: object) -> int:
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if isinstance(at, np.datetime64):
        at = pd.Timestamp(at)
    if not isinstance(at, datetime):
        raise TypeError
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
