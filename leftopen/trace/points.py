"""Unicity: how many points of a trace pick out one person.

A point is a tracker and a time. The measure is that of de Montjoye, Hidalgo, Verleysen and
Blondel, "Unique in the Crowd: The privacy bounds of human mobility", Scientific Reports 3 (2013):
some points of a person's own are drawn at random, and all whose trace holds them are counted.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl

from leftopen.errors import DataError
from leftopen.synth.asked import whole
from leftopen.trace.frames import Frame, Ints, like, microseconds, read
from leftopen.trace.search import Search
from leftopen.trace.traces import Traces, lots, read_traces

MOST_POINTS = 100


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
        frame = frame.with_columns(_cut(frame["at"], whole("minutes", minutes, 1, 525_600)))
    if grouped:
        if trackers is None:
            raise DataError("To put trackers together, give the table of them as trackers=.")
        groups = _groups(trackers, metres, by).cast(frame.schema["tracker"])
        frame = frame.join(groups, on="tracker", how="left", maintain_order="left")
        unknown = frame.filter(pl.col("group").is_null())["tracker"]
        if len(unknown):
            raise DataError(
                f"Tracker {unknown.min()} is in the positions and not in the table of trackers. "
                "Give the trackers of the same town."
            )
        frame = frame.select("person", tracker="group", at="at")
    return like(frame, positions, same_rows=True)


def _cut(at: pl.Series, minutes: int) -> pl.Series:
    """Times cut to steps, of the same kind as before."""
    step = minutes * 60_000_000
    cut = microseconds(at) // step * step
    if not isinstance(at.dtype, pl.Datetime):
        return cut.cast(pl.Datetime("us"))
    return cut.cast(pl.Datetime("us", at.dtype.time_zone)).dt.cast_time_unit(at.dtype.time_unit)


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
    traces = read_traces(positions, seed)
    able = _able(traces, points, people, seed)
    return float(np.mean(~Search(traces).held_by_others(able, traces.drawn(able, points))))


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
    traces = read_traces(positions, seed)
    search, alone, rows = Search(traces), np.zeros(len(traces.length), dtype=bool), []
    for points in range(1, min(most, int(traces.length.max())) + 1):
        able = _able(traces, points, people, seed)
        open_ = able[~alone[able]]  # whom fewer points pick out alone, these do too
        alone[open_] = ~search.held_by_others(open_, traces.drawn(open_, points))
        count = int(alone[able].sum())
        rows.append((points, len(able), count, count / len(able)))
    return like(pl.DataFrame(rows, ["points", "people", "alone", "share"], orient="row"), positions)


def _able(traces: Traces, points: int, people: int | None, seed: int) -> Ints:
    """Whose points are drawn."""
    able = np.flatnonzero(traces.length >= points)
    if not len(able):
        raise DataError(
            f"Nobody here has {points} distinct points; the most that anyone has is "
            f"{traces.length.max()}. Ask for fewer."
        )
    if people is None:
        return able
    wanted = whole("people", people, 1, 2**31)
    drawn = np.argsort(lots(seed, traces.person[able]), kind="stable")
    return np.sort(able[drawn[:wanted]])


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
    held = frame.join(wanted, on=["tracker", "at"], how="semi").unique()
    counts = held.group_by("person").len().filter(pl.col("len") == len(wanted))
    return counts["person"].sort().to_list()


def _known(known: object, tracker: pl.DataType) -> pl.DataFrame:
    if isinstance(known, pl.DataFrame | pl.LazyFrame | pd.DataFrame):
        frame = read(known, "known points", ["tracker", "at"])
        return frame.select(_as_tracker(frame["tracker"], tracker), microseconds(frame["at"]))
    try:
        pairs = [(place, _moment(at)) for place, at in _pairs(known)]
    except (TypeError, ValueError) as error:
        raise DataError(
            "Give the known points as pairs of a tracker and a time, as "
            "[(7, datetime(2019, 2, 12, 8))]."
        ) from error
    if not pairs:
        raise DataError("No point is known, so everybody matches. Give at least one.")
    places, times = zip(*pairs, strict=True)
    return (
        _as_tracker(pl.Series("tracker", places, strict=False), tracker)
        .to_frame()
        .with_columns(pl.Series("at", times, pl.Int64))
    )


def _as_tracker(known: pl.Series, tracker: pl.DataType) -> pl.Series:
    try:
        return known.cast(tracker)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{known[0]!r} is no tracker here: the column tracker holds {tracker}. Name a tracker "
            "as the positions do."
        ) from error


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
