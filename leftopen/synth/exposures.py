"""An invented log of reports on servers that stood open: when each was found, told of, closed.

Nothing in it was measured; no server of it exists.
"""

from datetime import date, timedelta

import pandas as pd

from leftopen.learner import Draw

LAST = date(2031, 12, 31)
"""The day on which the log ends."""

OPEN = 7
"""Servers without a login that are still open on that day, each for longer than the median."""

COLUMNS = ("report", "server", "login", "open_since", "found", "told", "closed")
# Days open of those without a login that were closed, before scale and jitter: a few stay for long.
_DAYS = (4, 8, 12, 17, 22, 28, 34, 41, 49, 58, 69, 88, 120, 165, 230, 320)
_ASKED = 17  # servers that can be reached and ask for a login


def log(number: int) -> pd.DataFrame:
    """The reports, in the order in which the servers were found.

    A server may have several reports. ``closed`` is missing where it was open on the last day.

    Args:
        number: which of the logs; the same number gives the same log.

    Returns:
        One row a report, with `COLUMNS`; ``login`` is "none" or "asked", the last four are days.
    """
    draw = Draw(f"log {number}", "exposures")
    scale = 70 + draw.number("scale", 70)
    servers: list[tuple[str, int, bool]] = []
    for n, days in enumerate(_DAYS):
        servers.append(("none", days * scale // 100 + draw.number(f"days {n}", 4), True))
    servers += [("none", 140 + draw.number(f"open {n}", 260), False) for n in range(OPEN)]
    servers += [("asked", 1 + draw.number(f"asked {n}", 14), True) for n in range(_ASKED)]
    rows = [
        row
        for n, server in enumerate(draw.shuffle("servers", servers), 1)
        for row in _reports(draw, f"S{n:02}", *server)
    ]
    made = pd.DataFrame(rows, columns=COLUMNS[1:]).sort_values(["found", "server"])
    made.insert(0, "report", [f"R{n:02}" for n in range(1, len(made) + 1)])
    for column in COLUMNS[3:]:
        made[column] = pd.to_datetime(made[column])
    return made.reset_index(drop=True)


def _reports(draw: Draw, name: str, login: str, days: int, is_closed: bool) -> list[tuple]:
    """One report of a server, or two or three where it stood open for long."""
    end = LAST - timedelta(1 + draw.number(f"end of {name}", 300) if is_closed else 0)
    since = end - timedelta(days)
    rows, found = [], since
    for n in range(1 if days < 45 else 2 + draw.number(f"reports of {name}", 2)):
        later = timedelta(days // 5 + draw.number(f"{name} found {n}", days // 5 + 1))
        found = min(found + later, end)
        told = min(found + timedelta(2 + draw.number(f"{name} told {n}", 9)), end)
        rows.append((name, login, since, found, told, end if is_closed else None))
    return rows
