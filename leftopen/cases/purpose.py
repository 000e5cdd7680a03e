"""What keeping less buys, and what it costs a purpose: how full are the stations in each hour?

The invented town of the SenseNets case wants to plan its trains. For that it needs to know how many
people are at each station in each hour, and nothing else.
"""

import secrets

import pandas as pd

from leftopen import trace
from leftopen.synth.places import KINDS, STATION

POINTS = 4
"""How many points somebody knows of a person."""
LEAST = 5
"""The smallest count that is kept where counts alone are kept."""
STEP, SIDE = 180, 4_000
"""How coarse a coarse time is, in minutes, and a coarse place, in metres."""


def crowd(points: pd.DataFrame) -> pd.Series:
    """How many different people were at each tracker at each time: ``tracker, at -> people``.

    Args:
        points: columns ``person``, ``tracker`` and ``at``, as exact as they are to be counted.
    """
    once = points.drop_duplicates(["person", "tracker", "at"])
    return once.groupby(["tracker", "at"]).size().rename("people")


def off(answer: pd.Series, true: pd.Series) -> float:
    """By how much an answer is off: all differences together, as a share of all people counted.

    Args:
        answer: ``tracker, at -> people``; what is missing counts as 0.
        true: the same, as it really was.
    """
    return float((answer.reindex(true.index, fill_value=0) - true).abs().sum() / true.sum())


def new_pseudonyms(points: pd.DataFrame) -> pd.DataFrame:
    """The same rows, with a new pseudonym for each person at each time.

    It is drawn, not computed: what is computed from the number of a person, whoever knows the
    numbers computes too. The rows are put in the order of time and pseudonym, and numbered anew, as
    their order would tell which pseudonyms belong together.

    Args:
        points: ``person`` and ``at``, no more exact than they are to be kept.
    """
    pair = points.groupby(["person", "at"], sort=False).ngroup()
    drawn = pd.Series([secrets.token_hex(8) for _ in range(pair.nunique())])
    made = points.assign(person=pair.map(drawn))
    return made.sort_values(["at", "person"], ignore_index=True)


def trains(positions: pd.DataFrame, trackers: pd.DataFrame) -> pd.DataFrame:
    """Ways to keep less, beside what is picked out and by how much the answer is off.

    Args:
        positions: a row for each sighting: ``person``, ``tracker``, ``at`` of one day.
        trackers: the trackers: ``_id``, ``kind``, ``x`` and ``y`` in metres.

    Returns:
        A row for each way, indexed by its name: the ``rows`` that are kept; how many people have
        ``POINTS`` different points in them; how many of these are ``picked out`` by so many; and
        how far the answer on the stations is ``off``, as a share.
    """
    stations = trackers.loc[trackers["kind"] == KINDS[STATION], "_id"]
    hour = trace.coarse(positions, minutes=60)
    true = crowd(hour[hour["tracker"].isin(stations)])
    steps = trace.coarse(positions, minutes=STEP)
    squares = trace.coarse(positions, minutes=60, metres=SIDE, trackers=trackers)
    anew = new_pseudonyms(hour)
    busiest = hour[hour["at"] == hour["at"].mode()[0]]
    counted = true[true >= LEAST]
    ways = {
        "as recorded": (positions, true),
        "time cut to an hour": (hour, true),
        "time cut to three hours": (steps, _over_time(steps, true)),
        "squares of four kilometres": (squares, _over_space(squares, trackers, true)),
        "a new pseudonym each hour": (anew, crowd(anew[anew["tracker"].isin(stations)])),
        "counted, then the last hour kept": (busiest, true),
        "counts alone, none below five": (None, counted),
    }
    rows = {
        name: [*(_picked(kept) if kept is not None else (len(counted), 0, 0)), off(answer, true)]
        for name, (kept, answer) in ways.items()
    }
    columns = ["rows", "four points", "picked out", "off"]
    made = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return made.astype(dict.fromkeys(columns[:3], int))


def _picked(kept: pd.DataFrame) -> tuple[int, int, int]:
    """How many rows there are, how many people have `POINTS` points, and how many are alone."""
    table = trace.unicity_table(kept, most=POINTS)
    last = table[table["points"] == POINTS]
    return len(kept), last["people"].sum(), last["alone"].sum()


def _over_time(steps: pd.DataFrame, true: pd.Series) -> pd.Series:
    """People of a step of time, spread evenly over its hours."""
    seen = crowd(steps)
    hours = STEP // 60
    return pd.Series(
        [seen[tracker, at.floor(f"{STEP}min")] / hours for tracker, at in true.index], true.index
    )


def _over_space(squares: pd.DataFrame, trackers: pd.DataFrame, true: pd.Series) -> pd.Series:
    """People of a square, spread evenly over its trackers."""
    every = trackers.rename(columns={"_id": "tracker"}).assign(person=0, at=true.index[0][1])
    wide = trace.coarse(every, metres=SIDE, trackers=trackers)["tracker"]
    square = dict(zip(trackers["_id"], wide, strict=True))
    inside, seen = wide.value_counts(), crowd(squares)
    shares = [seen[square[tracker], at] / inside[square[tracker]] for tracker, at in true.index]
    return pd.Series(shares, true.index)
