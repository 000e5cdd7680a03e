"""The two figures of lesson 04: defaults beside exposures, and attacks beside fixes."""

from pathlib import Path

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from leftopen.plots import Picture

_STYLE = Path(__file__).with_name("leftopen.mplstyle")
_HOURS = {"1 hour": 1, "1 day": 24, "1 week": 168, "1 month": 730, "6 months": 4383}


def timeline(events: pd.DataFrame, title: str) -> Picture:
    """Draw events in lanes over the years; a default that protects in part is a hollow point.

    Args:
        events: as :func:`leftopen.incidents.events` gives them.
        title: what the figure says, as a sentence.
    """
    rows = events.sort_values(["lane", "began"], kind="stable")
    lane = rows["lane"].cat.codes
    height = -(pd.Series(range(len(rows)), index=rows.index) + lane)  # one row free between lanes
    with plt.style.context(_STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 6.4))
        fig.suptitle(title, x=0.01, ha="left", fontsize=12)
        for event, at, number in zip(rows.itertuples(), height, lane, strict=True):
            _event(ax, event, at, f"C{number}")
        middle = height.groupby(rows["lane"], observed=True).mean()
        ax.set_yticks(middle, middle.index)
        ax.set(xlabel="year", ylim=(height.min() - 1, 1))
        ax.set_xlim(pd.Timestamp("2013-06-01"), pd.Timestamp("2028-10-01"))
        ax.xaxis.set_major_locator(mdates.YearLocator(2, month=1, day=1))
        for border in height.groupby(lane).max()[1:]:
            ax.axhline(border + 1, color="0.85", linewidth=1)
    told = "; ".join(
        f"{name}: " + ", ".join(f"{_name(event)} {event.when}" for event in group.itertuples())
        for name, group in rows.groupby("lane", observed=True)
    )
    return Picture(fig, f"Timeline in {len(middle)} lanes. {told}.")


def _name(event) -> str:
    return event.label if event.whole else f"{event.label} (in part)"


def _event(ax: Axes, event, height: float, color: str) -> None:
    ends = [event.began, event.ended]
    face = color if event.whole else "white"
    ax.plot(ends, [height, height], color=color, linewidth=5, solid_capstyle="butt")
    ax.plot(event.began, height, "o", markeredgecolor=color, markerfacecolor=face)
    ax.annotate(
        _name(event),
        (event.ended, height),
        (7, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def attack_and_fix(times: pd.DataFrame, title: str) -> Picture:
    """Draw how long an attack, and a fix, took, on one axis of hours.

    Args:
        times: columns ``label``, ``hours`` and ``fix`` (True where it is the time to a fix).
        title: what the figure says, as a sentence.
    """
    ordered = times.sort_values("hours", ascending=False, kind="stable")
    with plt.style.context(_STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 0.42 * len(ordered) + 1.4))
        fig.suptitle(title, x=0.01, ha="left", fontsize=12)
        for height, row in enumerate(ordered.itertuples()):
            style = {"color": "C1", "marker": "s"} if row.fix else {"color": "C0", "marker": "o"}
            ax.plot([0.5, row.hours], [height, height], color="0.85", linewidth=1)
            ax.plot(row.hours, height, **style)
            ax.annotate(
                _spoken(row.hours),
                (row.hours, height),
                (8, 0),
                textcoords="offset points",
                va="center",
                color=style["color"],
            )
        ax.set_yticks(range(len(ordered)), ordered["label"])
        ax.set(xscale="log", xlim=(0.5, 40_000), xlabel="time (circle: attack; square: fix)")
        ax.set_xticks(list(_HOURS.values()), list(_HOURS))
        ax.minorticks_off()
    told = "; ".join(f"{row.label}: {_spoken(row.hours)}" for row in ordered[::-1].itertuples())
    return Picture(fig, f"Chart of times on one axis, from an hour to a year. {told}.")


def _spoken(hours: float) -> str:
    return f"{hours:g} h" if hours < 48 else f"{hours / 24:g} days"
