"""The server of exercise 03: two door logs of the Tongren case, with people of the learner's own.

It is drawn from one number, and so is what is asked about it: a house, and a flat.
"""

import functools
import itertools
from collections.abc import Callable, Mapping
from datetime import date

import httpx
import pandas as pd

from leftopen.cases import tongren
from leftopen.checks.probe import BadAnswer
from leftopen.lab import Lab
from leftopen.lab_postgres import Connect, PostgresLab
from leftopen.learner import Draw
from leftopen.synth.tongren import sample

EXERCISE = "03_case_tongren_doors"
SERVERS = (1, 2)
DATABASES = tuple(f"doors_{server}" for server in SERVERS)
RESIDENTS, DAYS = 400, 3
SUNDAY = date(2020, 8, 16)
TABLES = ("residents", "visitors", "passages")

# Servers on which each mistake has an answer of its own. So few that the suite can try them all.
_NUMBERS = (101, 120, 132, 138, 177, 194)
_PAGE = 100  # rows of a page of residents, unless more are asked for
_ALL = 1_000_000  # rows of a page, more than there are
_SECONDS = 20.0

Records = Mapping[int, Mapping[str, pd.DataFrame]]
"""Number of the server -> table -> rows."""


class Server:
    """What one number decides: the people, and what is asked about them.

    Args:
        number: the number of the server, as in the learner's task.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.draw = Draw(f"server {number}", EXERCISE)

    @classmethod
    def of(cls, draw: Draw) -> "Server":
        """The server of a learner."""
        return cls(draw.pick("number", _NUMBERS))

    @property
    def row(self) -> tuple[int, str]:
        """How a task shows it."""
        return self.number, "the number of your lab: it decides the people in it"

    @property
    def house(self) -> tuple[int, str]:
        """Server and house of question 1."""
        return self.draw.pick("house", _houses(self.number))

    @property
    def flat(self) -> tuple[int, str]:
        """Server and flat of question 2: somebody comes each morning."""
        return self.draw.pick("flat", _flats(self.number))

    def open(self, prepare: Callable[[Connect], None] | None = None) -> PostgresLab:
        """Start it, as open as the case was found.

        Args:
            prepare: what else to do, as for :func:`leftopen.cases.tongren.small_lab`.
        """
        return tongren.small_lab(
            self.number,
            prepare=prepare,
            residents=RESIDENTS,
            days=DAYS,
            databases=DATABASES,
            backend=tongren.backend_as_found(),
        )


# -- what the records say --------------------------------------------------------------------------


def counts(tables: Mapping[str, pd.DataFrame], house: str) -> dict[str, int]:
    """What can be counted of a house: the visitors' passages, as ``"right"``, and other things.

    Args:
        tables: the tables of its server.
        house: its name.
    """
    passages = tables["passages"]
    here = passages[passages["building"] == house]
    guests = here[here["visitor"].notna()]
    page = here.head(100)
    return {
        "right": len(guests),
        "first_page": int(page["visitor"].notna().sum()),
        "page_counted": len(page),
        "all_passages": len(here),
        "residents_counted": int(here["person"].notna().sum()),
        "flats_counted": int(here["flat"].notna().sum()),
        "people_counted": guests["visitor"].nunique(),
        "one_direction": int((guests["direction"] == "in").sum()),
        "whole_server": int(passages["visitor"].notna().sum()),
        "visitors_listed": len(tables["visitors"]),
    }


def on_days(tables: Mapping[str, pd.DataFrame], house: str) -> dict[int, int]:
    """The visitors' passages of a house, where one day or two days are left out.

    Args:
        tables: the tables of its server.
        house: its name.

    Returns:
        Number -> on how many days that many were counted.
    """
    passages = tables["passages"]
    guests = passages[(passages["building"] == house) & passages["visitor"].notna()]
    by_day = guests["at"].dt.date.value_counts().to_list()
    return {
        sum(chosen): days
        for days in range(1, len(by_day))
        for chosen in itertools.combinations(by_day, days)
    }


@functools.cache
def _houses(number: int) -> list[tuple[int, str]]:
    """Server and house, where no mistake gives the right number by chance."""
    return [
        (server, house)
        for server, tables in _made(number).items()
        for house in sorted(tables["passages"]["building"].unique())
        if _tells_apart(counts(tables, house))
        and counts(tables, house)["right"] not in map(len, tables.values())
    ]


def _tells_apart(found: dict[str, int]) -> bool:
    apart = len(set(found.values())) == len(found) and 0 not in found.values()
    return found["all_passages"] > 300 and apart


def morning(tables: Mapping[str, pd.DataFrame], flat: str) -> dict[str, object]:
    """Who comes to a flat each day, how old the oldest resident is, how long Sunday's visit took.

    Args:
        tables: the tables of its server.
        flat: its name.

    Returns:
        ``visitor``, ``number``, ``age``, ``year_age`` (years without regard to the birthday),
        ``younger`` (the age of another resident, or ``None``), ``strangers`` (the age of the
        oldest on the server, and on its first page), ``minutes`` and ``others`` (the minutes of
        the other days).
    """
    passages = tables["passages"]
    here = passages[(passages["flat"] == flat) & passages["visitor"].notna()]
    days = here.groupby("visitor")["at"].agg(lambda at: at.dt.date.nunique())
    (number,) = days[days == DAYS].index
    visits = here[here["visitor"] == number].sort_values("at")
    spans = visits.groupby(visits["at"].dt.date)["at"].agg(lambda at: at.max() - at.min())
    minutes = {day: int(span.total_seconds() // 60) for day, span in spans.items()}
    visitors, residents = tables["visitors"], tables["residents"]
    born = sorted(pd.to_datetime(residents[residents["flat"] == flat]["born"]).dt.date)
    ages = [_age(day) for day in born]
    return {
        "visitor": visitors[visitors["visitor"] == number].iloc[0]["name"],
        "number": int(number),
        "age": ages[0],
        "year_age": SUNDAY.year - born[0].year,
        "younger": ages[-1] if len(ages) > 1 else None,
        "strangers": tuple(_age(_oldest(rows)) for rows in (residents, residents.head(_PAGE))),
        "minutes": minutes.pop(SUNDAY),
        "others": tuple(minutes.values()),
    }


def _oldest(residents: pd.DataFrame) -> date:
    return pd.to_datetime(residents["born"]).dt.date.min()


def _age(born: date) -> int:
    """Whole years on the Sunday."""
    return SUNDAY.year - born.year - ((SUNDAY.month, SUNDAY.day) < (born.month, born.day))


@functools.cache
def _flats(number: int) -> list[tuple[int, str]]:
    """Server and flat to which one visitor came each day, where each mistake shows itself."""
    found = []
    for server, tables in _made(number).items():
        guests = tables["passages"].dropna(subset=["visitor", "flat"])
        by_day = guests.groupby(["flat", "visitor"])["at"].agg(lambda at: at.dt.date.nunique())
        daily = by_day[by_day == DAYS].reset_index()["flat"]
        for flat in daily[~daily.duplicated(keep=False)]:
            if _is_clear(morning(tables, flat)):
                found.append((server, flat))
    return found


def _is_clear(found: dict) -> bool:
    """Whether two people of different ages live there, and no mistake gives a right answer."""
    ages = (found["age"], found["year_age"], found["younger"])
    if found["age"] in found["strangers"]:
        return False
    spans = (found["minutes"], *found["others"])
    apart = all(abs(found["minutes"] - other) > 3 for other in found["others"])
    apart &= all(abs(sum(spans) / len(spans) - each) > 2 for each in spans)
    return None not in ages and len(set(ages)) == len(ages) and apart


@functools.cache
def _made(number: int) -> dict[int, dict[str, pd.DataFrame]]:
    """The records of a server as they are made, to choose what can be asked about them."""
    made = sample(number, RESIDENTS, DAYS, DATABASES)
    found = {}
    for server, database in zip(SERVERS, DATABASES, strict=True):
        tables = {name: made[database][name].to_pandas() for name in TABLES}
        at = pd.to_datetime(tables["passages"]["at"], utc=True)
        tables["passages"]["at"] = at.dt.tz_convert(tongren.TIME_ZONE)
        found[server] = tables
    return found


def expected(number: int) -> int:
    """How many passages there are on both servers together."""
    return sum(len(tables["passages"]) for tables in _made(number).values())


# -- what a stranger reads -------------------------------------------------------------------------


def ask(uri: str, path: str, **wanted: object) -> httpx.Response:
    """Ask the service one thing, whatever the environment says of proxies.

    Raises:
        httpx.HTTPError: there was no answer.
    """
    with httpx.Client(base_url=uri, timeout=_SECONDS, trust_env=False) as service:
        return service.get(path, params=wanted)


def read(lab: Lab) -> dict[int, dict[str, pd.DataFrame]]:
    """The records as a stranger reads them now, through the service.

    Raises:
        BadAnswer: they are no longer those with which the question began.
    """
    again = "Run lab = ex.lab(…) of this question again for a fresh one; your answer can stay"
    found: dict[int, dict[str, pd.DataFrame]] = {}
    try:
        for server in SERVERS:
            found[server] = {}
            for table in TABLES:
                answer = ask(lab.backend.outside.uri, f"/servers/{server}/{table}", limit=_ALL)
                rows = answer.raise_for_status().json()
                if not rows:
                    raise BadAnswer(f"The {table} of server {server} are gone. {again}")
                found[server][table] = pd.DataFrame(rows)
    except (httpx.HTTPError, ValueError):
        if not lab.is_running:
            raise
        raise BadAnswer(f"A stranger cannot read this service any more. {again}") from None
    for tables in found.values():
        tables["passages"]["at"] = pd.to_datetime(tables["passages"]["at"])
    return found
