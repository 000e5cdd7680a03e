"""Where people are found, and for how long: top places and dwell times."""

import numpy as np
import polars as pl

from leftopen.synth.asked import whole
from leftopen.trace.frames import (
    Axis,
    Frame,
    Ints,
    axis,
    bits_for,
    joined,
    like,
    microseconds,
    parted,
    read,
    starts,
)

_MINUTE = 60_000_000  # in microseconds


def dwell(positions: Frame) -> Frame:
    """How long people stay, for each kind of place.

    A stay is a row of sightings of one person at one tracker, with none at another tracker between
    them; of two sightings at the same time, the lower tracker's comes first. It lasts from its
    first sighting to its last. Of a stay with one sighting nothing is known but that it was.

    Args:
        positions: a row for each sighting, with ``person``, ``tracker``, ``at``, ``place``.

    Returns:
        A row for each place, in order: ``place``, how many ``stays`` have two sightings or more,
        how many were seen ``once``, and ``median``, ``mean`` and ``ninth_decile`` of the first, in
        minutes; nothing where there is no such stay. The ninth decile is the least duration that
        nine stays in ten do not exceed.

    Raises:
        DataError: the frame is empty or lacks a column.
    """
    frame = read(positions, "positions", ["person", "tracker", "at", "place"])
    person, tracker = axis(frame["person"]), axis(frame["tracker"])
    at, place = axis(microseconds(frame["at"])), axis(frame["place"])
    order = _order(person, at, tracker)
    who, where = person.code[order], tracker.code[order]
    new = np.concatenate(([True], (who[1:] != who[:-1]) | (where[1:] != where[:-1])))
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(order)) - 1
    lasts = at.of(at.code[order[last]]) - at.of(at.code[order[first]])
    seen_there, seen_often = place.code[order[first]], last > first
    rows = []
    for number in range(int(place.code.max()) + 1):
        here = seen_there == number
        long = np.sort(lasts[here & seen_often])
        once = int(np.count_nonzero(here)) - len(long)
        rows.append((place.of(np.array([number]))[0], len(long), once, *_summary(long)))
    names = ["place", "stays", "once", "median", "mean", "ninth_decile"]
    kinds = dict.fromkeys(names[1:3], pl.Int64) | dict.fromkeys(names[3:], pl.Float64)
    return like(pl.DataFrame(rows, names, schema_overrides=kinds, orient="row"), positions)


def _order(person: Axis, at: Axis, tracker: Axis) -> Ints:
    """The rows in the order of person, time, tracker."""
    key = joined(person, at, tracker)
    if key is None:
        return np.lexsort((tracker.code, at.code, person.code))
    if np.all(key[1:] >= key[:-1]):
        return np.arange(len(key))
    return np.argsort(key, kind="stable")


def _summary(lasts: Ints) -> tuple[float | None, float | None, float | None]:
    """Median, mean and ninth decile in minutes of durations in microseconds, in order."""
    count = len(lasts)
    if not count:
        return None, None, None
    median = int(lasts[(count - 1) // 2]) + int(lasts[count // 2])
    ninth = int(lasts[-(-9 * count // 10) - 1])
    return median / 2 / _MINUTE, int(lasts.sum()) / count / _MINUTE, ninth / _MINUTE


def top_places(positions: Frame, n: int = 1) -> Frame:
    """Each person's most visited trackers; of two that are visited as often, the lower first.

    Args:
        positions: a row for each sighting, with ``person`` and ``tracker``.
        n: how many trackers of each person, at most.

    Returns:
        A row for each: ``person``, ``rank`` from 1, ``tracker``, and its ``sightings``; in order
        of person, then rank.

    Raises:
        DataError: the frame is empty or lacks a column, or ``n`` is below 1.
    """
    n = whole("places", n, 1, 1_000_000)
    frame = read(positions, "positions", ["person", "tracker"])
    person, tracker = axis(frame["person"]), axis(frame["tracker"])
    seen = np.sort(joined(person, tracker))
    first = starts(seen)
    who, where = parted(seen[first], person, tracker)
    count = np.diff(first, append=len(seen))
    most = int(count.max())
    ranked = (
        person._replace(code=who),
        Axis(most - count, bits_for(most)),
        tracker._replace(code=where),
    )
    if (key := joined(*ranked)) is None:
        order = np.lexsort((where, -count, who))
        who, where, count = who[order], where[order], count[order]
    else:
        key.sort()
        who, fewer, where = parted(key, *ranked)
        count = most - fewer
    begin = starts(who)
    rank = np.arange(len(who)) - np.repeat(begin, np.diff(begin, append=len(who))) + 1
    kept = rank <= n
    made = {
        "person": pl.Series(person.of(who[kept])).cast(frame.schema["person"]),
        "rank": rank[kept],
        "tracker": pl.Series(tracker.of(where[kept])).cast(frame.schema["tracker"]),
        "sightings": count[kept],
    }
    return like(pl.DataFrame(made), positions)
