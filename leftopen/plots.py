"""The figures of the lessons. Each says one thing, and carries a text that says it without eyes."""

import base64
import html
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_STYLE = Path(__file__).with_name("leftopen.mplstyle")


class Picture:
    """A figure as a notebook shows it, with its alternative text.

    The text is made from the data, so that it cannot say anything else than the figure does.
    JupyterLab drops the alternative text of a plain PNG output, so the picture goes out as HTML.
    """

    def __init__(self, fig: Figure, alt: str) -> None:
        self.fig = fig
        self.alt = alt
        buffer = io.BytesIO()
        with plt.style.context(_STYLE):  # the palette's colours are looked up when it is drawn
            fig.savefig(buffer, format="png")
        plt.close(fig)
        self._png = base64.b64encode(buffer.getvalue()).decode()

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_html_(self) -> str:
        return f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{self._png}">'


def _axes(title: str) -> tuple[Figure, Axes]:
    fig, ax = plt.subplots()
    ax.set_title(title)
    return fig, ax


def day_on_map(trackers: pd.DataFrame, sightings: pd.DataFrame, title: str) -> Picture:
    """Draw one person's sightings on the map of the trackers, in order of time.

    Args:
        trackers: columns ``x`` and ``y``, metres on the town's grid.
        sightings: columns ``at`` (time), ``place``, ``x`` and ``y``, one row a sighting.
        title: what the figure says, as a sentence.
    """
    ordered = sightings.sort_values("at")
    with plt.style.context(_STYLE):
        fig, ax = _axes(title)
        ax.scatter(trackers.x / 1000, trackers.y / 1000, s=14, color="0.75")
        ax.plot(ordered.x / 1000, ordered.y / 1000, marker="o")
        middle = ordered[["x", "y"]].drop_duplicates().x.median()
        for (x, y, place), group in ordered.groupby(["x", "y", "place"], sort=False):
            times = ", ".join(group["at"].dt.strftime("%H:%M"))
            right = x >= middle  # away from the middle, where the lines are
            ax.annotate(
                f"{place}\n{times}",
                (x / 1000, y / 1000),
                (9 if right else -9, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
            )
        ax.set(xlabel="east (km)", ylabel="north (km)", aspect="equal")
        ax.margins(0.4, 0.1)  # room for the labels
    stops = ", ".join(f"{row.at:%H:%M} {row.place}" for row in ordered.itertuples())
    alt = f"Map of the town with {len(trackers)} trackers in grey. A line joins the sightings of "
    return Picture(fig, f"{alt}one person in order of time: {stops}.")


def by_hour(times: pd.Series, title: str, what: str = "positions") -> Picture:
    """Draw how many positions, or other events, fall into each hour of the day.

    Args:
        times: the time of each event.
        title: what the figure says, as a sentence.
        what: what the events are, in the plural.
    """
    counts = times.dt.hour.value_counts().reindex(range(24), fill_value=0)
    with plt.style.context(_STYLE):
        fig, ax = _axes(title)
        ax.bar(counts.index, counts.to_numpy())
        ax.set(xlabel="hour of the day", ylabel=what, xticks=range(0, 24, 3))
    bars = ", ".join(f"{hour} h: {count:,}" for hour, count in counts.items())
    return Picture(fig, f"Bar chart of {what} in each hour of the day. {bars}.")


def at_home(passages: pd.DataFrame, title: str) -> Picture:
    """Draw when each person of a flat is at home on one day, as the door of the house tells it.

    Whoever first goes out was at home before, and who last came in stays until midnight.

    Args:
        passages: columns ``who``, ``at`` (time) and ``direction`` (``in`` or ``out``), one row a
            passage of the house's own doors, all of one day.
        title: what the figure says, as a sentence.
    """
    people = passages.sort_values("at").groupby("who")
    lanes = {who: _inside(rows) for who, rows in people}
    with plt.style.context(_STYLE):
        fig, ax = _axes(title)
        for lane, spans in enumerate(lanes.values()):
            ax.broken_barh([(start, end - start) for start, end in spans], (lane - 0.3, 0.6))
        ax.set(xlabel="hour of the day (bar: at home)", xlim=(0, 24), xticks=range(0, 25, 3))
        ax.set_yticks(range(len(lanes)), list(lanes))
        ax.invert_yaxis()
    told = "; ".join(
        f"{who} " + ", ".join(f"{_clock(start)} to {_clock(end)}" for start, end in spans)
        for who, spans in lanes.items()
    )
    return Picture(fig, f"Chart of when each person of a flat is at home on one day: {told}.")


def _inside(passages: pd.DataFrame) -> list[tuple[float, float]]:
    """The spans of a day at home, in hours from midnight, from passages in order of time."""
    spans, since = [], 0.0 if passages["direction"].iloc[0] == "out" else None
    for at, direction in zip(passages["at"], passages["direction"], strict=True):
        hour = at.hour + at.minute / 60 + at.second / 3600
        if direction == "out" and since is not None:
            spans.append((since, hour))
        since = hour if direction == "in" else None
    return spans if since is None else [*spans, (since, 24.0)]


def _clock(hours: float) -> str:
    minutes = int(hours * 60 + 1e-6)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def timeline(
    events: pd.DataFrame, span: tuple[pd.Timestamp, pd.Timestamp], span_label: str, title: str
) -> Picture:
    """Draw dated events on one line, and one span of time on it.

    Args:
        events: columns ``date`` and ``label``, in order of time.
        span: first and last day of the span.
        span_label: what the span is.
        title: what the figure says, as a sentence.
    """
    with plt.style.context(_STYLE):
        fig, ax = _axes(title)
        ax.axhline(0, color="0.6", linewidth=1)
        for number, event in enumerate(events.itertuples()):
            height = (0.5, -0.5)[number % 2]
            ax.plot([event.date, event.date], [0, height], color="0.75", linewidth=1)
            ax.plot(event.date, 0, marker="o", color="C0")
            ax.annotate(
                event.label,
                (event.date, height),
                ha="center",
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
        ax.plot(span, [0, 0], color="C1", linewidth=9, solid_capstyle="butt")
        ax.annotate(
            span_label,
            (span[1], 0.1),
            (4, 4),
            textcoords="offset points",
            color="C1",
            weight="bold",
        )
        ax.set(ylim=(-1, 1), yticks=[], xlabel="year")
        ax.spines["left"].set_visible(False)
        ax.margins(x=0.1)
    told = "; ".join(
        f"{event.date:%B %Y}: {event.label}".replace("\n", " ") for event in events.itertuples()
    )
    marked = f"{span_label}: {span[0]:%B %Y} to {span[1]:%B %Y}"
    return Picture(fig, f"Timeline. {told}. Marked on it, {marked}.")


def recovery(columns: pd.DataFrame, published: pd.DataFrame, title: str) -> Picture:
    """Draw how much of each deterministic column is recovered, against its number of values.

    Args:
        columns: indexed by name; columns ``values`` (how many different ones), ``guessed`` and
            ``recovered`` (shares of the rows, 0 to 1).
        published: indexed by name; columns ``values`` and ``at_least`` (a lower bound for the
            share of the rows, 0 to 1).
        title: what the figure says, as a sentence.
    """
    sets = (
        (columns, "recovered", "o", "C0", "recovered, our districts"),
        (columns, "guessed", "_", "0.5", "guessed without any ciphertext"),
        (published, "at_least", "^", "C1", "the paper: at least"),
    )
    with plt.style.context(_STYLE):
        fig, ax = _axes(title)
        for table, column, marker, color, label in sets:
            points = table["values"], 100 * table[column]
            ax.scatter(*points, marker=marker, color=color, label=label)
            if column != "guessed":
                _name_points(ax, *points, color)
        ax.set(xscale="log", xlabel="different values in the column", ylabel="rows recovered (%)")
        ax.set(xlim=(1, 14_000), ylim=(-9, 110))
        ax.set_xticks(ticks := [2, 4, 10, 30, 100, 2000], [f"{tick:,}" for tick in ticks])
        ax.minorticks_off()
        ax.legend(loc="upper right", bbox_to_anchor=(1, 0.9))
    ours = "; ".join(
        f"{name}, {values:,} values: {100 * right:.0f} % recovered, {100 * guess:.0f} % guessed"
        for name, values, right, guess in columns[["values", "recovered", "guessed"]].itertuples()
    )
    theirs = "; ".join(f"{name} {100 * row.at_least:.0f} %" for name, row in published.iterrows())
    alt = f"Chart of the rows recovered of each column, by its number of values. {ours}. "
    return Picture(fig, f"{alt}The paper, at least: {theirs}.")


def _name_points(ax: Axes, x: pd.Series, y: pd.Series, color: str) -> None:
    """Write each point's name beside it, or above or below it where the next point is too close."""
    for name in x.index:
        near = (x > x[name]) & (x < 4 * x[name]) & ((y - y[name]).abs() < 5)
        crowded = (0, 9 if y[name] > 50 else -9), "center"
        place = crowded if near.any() else ((7, 0), "left")
        if color == "C1" and x[name] < 3:  # ours are on the other side
            place = ((-7, 0), "right")
        offset, side = place
        style = {"ha": side, "va": "center", "color": color, "fontsize": 9}
        ax.annotate(name, (x[name], y[name]), offset, textcoords="offset points", **style)


def unicity(ours: pd.DataFrame, published: pd.DataFrame, title: str) -> Picture:
    """Draw how many people are picked out, by the number of points that are known of them.

    Args:
        ours: indexed by the number of points; a column for each line, named as it is to be
            labelled, with shares from 0 to 1.
        published: columns ``points``, ``share`` (0 to 1) and ``label``.
        title: what the figure says, as a sentence.
    """
    with plt.style.context(_STYLE):
        fig, ax = _share_lines(ours, title)
        _published(ax, published.set_index("points"), ours.iloc[:, 0], "the paper")
        ax.set(xlabel="points known of a person", ylabel="people picked out (%)")
        ax.set(xlim=(0.8, 5.9), xticks=list(ours.index))
        ax.legend(loc="upper left")
    lines = "; ".join(f"{name}: {_shares(shares)}" for name, shares in ours.items())
    theirs = "; ".join(f"{row.points} points {row.label}" for row in published.itertuples())
    alt = "Chart of the people whom some points pick out, by the number of points"
    return Picture(fig, f"{alt}. {lines}. The paper: {theirs}.")


def _share_lines(ours: pd.DataFrame, title: str) -> tuple[Figure, Axes]:
    """A figure with a line for each column of shares, in percent."""
    fig, ax = _axes(title)
    for name, shares in ours.items():
        ax.plot(shares.index, 100 * shares, marker="o", label=name)
    ax.set(ylim=(-4, 108))
    return fig, ax


def _published(ax: Axes, published: pd.DataFrame, line: pd.Series, label: str) -> None:
    """Draw published shares as triangles, each with its name on the side where no line runs.

    Args:
        ax: where to.
        published: indexed by where it stands on the x axis; columns ``share`` and ``label``.
        line: our highest line, as it is drawn.
        label: what the triangles are.
    """
    style = {"marker": "^", "s": 60, "color": "black", "zorder": 3}
    ax.scatter(published.index, 100 * published["share"], label=label, **style)
    falls = line.iloc[-1] < line.iloc[0]
    for x, share, name in published[["share", "label"]].itertuples():
        left = falls and share < np.interp(x, line.index, line)  # else the line comes down there
        offset, side = ((-9, 0), "right") if left else ((9, 0), "left")
        style = {"ha": side, "va": "center", "textcoords": "offset points", "zorder": 3}
        blank = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.annotate(name, (x, 100 * share), offset, bbox=blank, **style)


def _steps_in_words(ax: Axes, steps: pd.Index, names: list[str]) -> None:
    """A logarithmic x axis on which the steps alone are marked, by their names."""
    ax.set(xscale="log")
    ax.set_xticks(steps, names)
    ax.minorticks_off()


def _shares(shares: pd.Series, unit: str = "") -> str:
    return ", ".join(f"{at}{unit} {100 * share:.0f} %" for at, share in shares.items())


def coarser(ours: pd.DataFrame, rule: pd.Series, title: str) -> Picture:
    """Draw how many people are picked out, by how coarse the time is, beside a rule.

    Args:
        ours: indexed by the length of a time step in minutes, rising; a column for each line,
            named as it is to be labelled, with shares from 0 to 1.
        rule: indexed in the same way; what the rule gives, 0 to 1.
        title: what the figure says, as a sentence.
    """
    with plt.style.context(_STYLE):
        fig, ax = _share_lines(ours, title)
        ax.plot(rule.index, 100 * rule, color="black", linestyle="--", label=rule.name)
        ax.set(xlabel="length of a time step", ylabel="people picked out (%)")
        _steps_in_words(ax, ours.index, [_step(minutes) for minutes in ours.index])
        ax.legend(loc="lower left")
    lines = [(name, shares) for name, shares in ours.items()] + [(rule.name, rule)]
    told = "; ".join(f"{name}: {_shares(shares, ' min')}" for name, shares in lines)
    return Picture(fig, f"Chart of the people picked out, by the length of a time step. {told}.")


def _step(minutes: int) -> str:
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"


def alone(places: pd.DataFrame, published: pd.DataFrame, title: str) -> Picture:
    """Draw how many people are alone with what is known of them, by the size of their place.

    Args:
        places: indexed by the people of a place; a column for each line, named as it is to be
            labelled, with shares from 0 to 1.
        published: columns ``people``, ``share`` (0 to 1) and ``label``.
        title: what the figure says, as a sentence.
    """
    with plt.style.context(_STYLE):
        fig, ax = _share_lines(places, title)
        _published(ax, published.set_index("people"), places.iloc[:, 0], "published")
        ax.set(xlabel="people in the place", ylabel="people who are alone (%)")
        _steps_in_words(ax, places.index, [f"{people:,}" for people in places.index])
        ax.legend(loc="upper right")
    lines = "; ".join(f"{name}: {_shares(shares, ' people')}" for name, shares in places.items())
    theirs = "; ".join(published["label"])
    alt = "Chart of the people who are alone with what is known, by the size of the place"
    return Picture(fig, f"{alt}. {lines}. Published: {theirs}.")


def removed(fixes: pd.DataFrame, title: str) -> Picture:
    """Draw what share of everything each fix removes, for each reader.

    Args:
        fixes: indexed by the fix; a column for each reader, with shares from 0 to 1.
        title: what the figure says, as a sentence.
    """
    height = 0.8 / len(fixes.columns)
    with plt.style.context(_STYLE):
        fig, ax = _axes(title)
        for lane, (reader, shares) in enumerate(fixes.items()):
            rows = [row + lane * height for row in range(len(fixes))]
            bars = ax.barh(rows, 100 * shares, height, label=f"for {reader}")
            ax.bar_label(bars, [f"{100 * share:.0f} %" for share in shares], padding=3)
        middle = (len(fixes.columns) - 1) * height / 2
        ax.set_yticks([row + middle for row in range(len(fixes))], list(fixes.index))
        ax.invert_yaxis()
        ax.set(xlabel="removed of all exposure (%)", xlim=(0, 112))
        ax.legend(loc="center right", bbox_to_anchor=(1, 0.58))
        fig.set_size_inches(7.2, 0.5 * len(fixes) + 1.2)
    told = "; ".join(
        f"{fix}: " + ", ".join(f"{100 * share:.0f} % for {who}" for who, share in row.items())
        for fix, row in fixes.iterrows()
    )
    return Picture(fig, f"Bar chart of the exposure that each fix removes. {told}.")
