"""Where people are found, and for how long: top places and dwell times."""

import polars as pl

from leftopen.synth.asked import whole
from leftopen.trace.frames import Frame, like, microseconds, read

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
    frame = frame.with_columns(microseconds(frame["at"]).alias("at"))
    frame = frame.sort("person", "at", "tracker")
    new = (pl.col("person") != pl.col("person").shift()) | (
        pl.col("tracker") != pl.col("tracker").shift()
    )
    stays = (
        frame.lazy()
        .with_columns(stay=new.fill_null(True).cum_sum())
        .group_by("stay")
        .agg(
            pl.col("place").first(),
            sightings=pl.len(),
            lasts=pl.col("at").max() - pl.col("at").min(),
        )
    )
    long = pl.col("lasts").filter(pl.col("sightings") > 1)
    return like(
        stays.group_by("place")
        .agg(
            stays=long.len(),
            once=pl.len() - long.len(),
            median=long.median() / _MINUTE,
            mean=long.sum() / long.len() / _MINUTE,
            ninth_decile=long.quantile(0.9, "equiprobable") / _MINUTE,
        )
        .with_columns(pl.col("mean").fill_nan(None))
        .sort(pl.col("place").cast(pl.String))
        .collect(),
        positions,
    )


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
    made = (
        frame.lazy()
        .group_by("person", "tracker")
        .agg(sightings=pl.len())
        .sort("person", "sightings", "tracker", descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("person"))
        .filter(pl.col("rank") <= n)
        .select("person", "rank", "tracker", "sightings")
        .collect()
    )
    return like(made, positions)
