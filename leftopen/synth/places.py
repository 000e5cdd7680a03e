"""An invented town on a square grid in metres, and the trackers that watch its places."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from leftopen.synth import text
from leftopen.synth.draws import Ints, Stream, below, words

SIDE_M = 12_000
"""Length of each side of the town, in metres. It lies nowhere: there is no latitude."""

KINDS = (
    "home street",
    "workplace",
    "place of prayer",
    "hotel",
    "restaurant",
    "station",
    "police post",
    "internet cafe",
)
"""What a tracker watches: the places that the sources name, and the streets between homes."""

HOME, WORK, PRAYER, HOTEL, RESTAURANT, STATION, POLICE, CAFE = range(len(KINDS))
STAY = len(KINDS)
"""In place of a kind: no stop, one stays where one is."""
MAX_TRACKERS = 9_999
"""The most trackers that a four-digit name can number; the fewest is one for each kind."""

_SHARES = (40, 24, 6, 5, 9, 6, 5, 5)


@dataclass(frozen=True)
class Town:
    """The trackers of one town; a tracker's number here is its `_id` less one."""

    kind: Ints
    x_m: Ints
    y_m: Ints
    homes: Ints
    """The trackers on home streets: one for each quarter of the town."""
    works: Ints
    """The trackers at workplaces."""
    nearest: Ints
    """The nearest tracker of kind k to tracker t, at k * trackers + t; under `STAY`, t itself."""
    nearest_m: Ints
    """The distance to it, in metres."""

    def distance_m(self, one: Ints, other: Ints) -> Ints:
        """Return the straight distance between trackers, in whole metres, rounded down."""
        return _distance_m(self.x_m, self.y_m, one, other)


def make_town(seed: int, trackers: int) -> Town:
    """Return the town with `trackers` trackers: a function of its two arguments alone."""
    order, first, second = words(seed, Stream.TRACKER, 0, 3 * trackers).reshape(3, trackers)
    kind = np.empty(trackers, dtype=np.int64)
    kind[np.argsort(order, kind="stable")] = np.repeat(np.arange(len(KINDS)), _counts(trackers))
    # Homes lie anywhere; all else is the mean of two draws, so denser towards the centre.
    x_m, y_m = (
        np.where(
            kind == HOME,
            below(first, SIDE_M, low=low),
            (below(first, SIDE_M, low=low) + below(second, SIDE_M, low=low)) // 2,
        )
        for low in (False, True)
    )
    homes, works = np.flatnonzero(kind == HOME), np.flatnonzero(kind == WORK)
    every = np.arange(trackers)
    nearest = [_nearest(x_m, y_m, np.flatnonzero(kind == each)) for each in range(len(KINDS))]
    nearest.append(every)
    nearest_m = [_distance_m(x_m, y_m, every, tracker) for tracker in nearest]
    near, near_m = np.concatenate(nearest), np.concatenate(nearest_m)
    return Town(kind, x_m, y_m, homes, works, near, near_m)


def _distance_m(x_m: Ints, y_m: Ints, one: Ints, other: Ints) -> Ints:
    # The square root alone of the floating-point functions is the same on every processor.
    squares = (x_m[one] - x_m[other]) ** 2 + (y_m[one] - y_m[other]) ** 2
    return np.sqrt(squares).astype(np.int64)


def _nearest(x_m: Ints, y_m: Ints, members: Ints) -> Ints:
    """Return, for each tracker, the nearest of `members`; of two as near, the first."""
    every = np.arange(len(x_m))
    best = np.full(len(x_m), members[0])
    least = _distance_m(x_m, y_m, every, best)
    for member in members:
        away = _distance_m(x_m, y_m, every, member)
        best[away < least] = member
        least = np.minimum(least, away)
    return best


def _counts(trackers: int) -> Ints:
    """Share the trackers between the kinds: one each, then by `_SHARES`."""
    ends = np.cumsum(_SHARES) * (trackers - len(KINDS)) // sum(_SHARES)
    return 1 + np.diff(ends, prepend=0)


def trackers_table(town: Town) -> pa.Table:
    """Return the town's trackers as the collection `trackers`."""
    number = np.arange(1, len(town.kind) + 1)
    name = text.rows(b"Tracker-0000", len(number))
    text.put_digits(name, 8, number)
    return text.table(
        {
            "_id": text.numbers(number),
            "name": text.to_arrow(name),
            "kind": text.choices(town.kind, text.strings(KINDS)),
            "x": text.numbers(town.x_m),
            "y": text.numbers(town.y_m),
        }
    )
