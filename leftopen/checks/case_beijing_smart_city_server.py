"""The cluster of exercise 02: the smart-city case again, with people of the learner's own.

It is drawn from one number, and so is what is asked about it: an estate, a place, and a phone.
"""

import functools
import itertools

import pandas as pd
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import TransportError

from leftopen.cases import smart_city
from leftopen.checks.probe import BadAnswer
from leftopen.lab import Lab
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.learner import Draw
from leftopen.synth.smart_city import kind_of, sample

EXERCISE = "02_case_beijing_smart_city"
PEOPLE, DAYS = 200, 60
"""Two months of events, so that each kind of event has two indices: March and April."""
OUT = "on the way out"
"""What is noted of somebody who leaves."""

# Clusters on which each mistake has an answer of its own, and no two have as many people at the
# place of question 2. So few that the suite can try them all.
_NUMBERS = (204, 233, 250, 274, 287, 347, 369, 444, 453, 458, 464, 480)
_BOUNDS = {"timeout": 15, "max_retries": 0}
_MOST = 10_000  # what one search returns at most (index.max_result_window)


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
        return cls(draw.pick("server", _NUMBERS))

    @property
    def row(self) -> tuple[int, str]:
        """How a task shows it."""
        return self.number, "the number of your cluster: it decides the people in it"

    @property
    def estate(self) -> str:
        """The estate that question 1 asks about."""
        return self.draw.pick("estate", sorted(set(_made(self.number)["residents"]["estate"])))

    @property
    def place(self) -> tuple[str, str]:
        """Estate and place of question 2: both estates have a place of that name."""
        return self.draw.pick("place", _places(self.number))

    @property
    def imsi(self) -> str:
        """The phone of question 3: of somebody on the watchlist, with habits that are clear."""
        return self.draw.pick("phone", _phones(self.number))

    def open(self) -> SearchLab:
        """Start it, as open as the case was found."""
        return smart_city.small_lab(self.number, people=PEOPLE, days=DAYS)


def counts_at(faces: pd.DataFrame, estate: str, place: str) -> dict[str, int]:
    """What can be counted of a place: the people, as ``"right"``, and what is mistaken for them."""
    there = faces[(faces["estate"] == estate) & (faces["place"] == place)]
    months = there.groupby(there["at"].str[:7])["idNumber"].nunique()
    return {
        "right": there["idNumber"].nunique(),
        "scans": len(there),
        "named_scans": int(there["idNumber"].notna().sum()),
        "nobody_counted": there["idNumber"].nunique() + 1,
        "ten_groups": 10,
        "both_estates": faces[faces["place"] == place]["idNumber"].nunique(),
        "whole_estate": faces[faces["estate"] == estate]["idNumber"].nunique(),
        "one_month": int(months.iloc[-1]),
        "first_month": int(months.iloc[0]),
    }


@functools.cache
def _places(number: int) -> list[tuple[str, str]]:
    """Estate and place, where no mistake gives the right number of people by chance."""
    faces = _made(number)["faces"]
    estates = faces.groupby("place")["estate"].nunique()
    options = itertools.product(sorted(faces["estate"].unique()), estates[estates == 2].index)
    return [where for where in options if _tells_apart(counts_at(faces, *where))]


def _tells_apart(counts: dict[str, int]) -> bool:
    return counts["right"] > 12 and len(set(counts.values())) == len(counts)


def hours(records: dict[str, pd.DataFrame], number: str, imsi: str) -> dict[str, int | None]:
    """The hour in which somebody is most often seen leaving, as ``"right"``, and other hours.

    Args:
        records: the tables of all kinds of index.
        number: the identity number.
        imsi: the number of the phone's SIM card.

    Returns:
        ``None`` for an hour where two are equally frequent.
    """
    faces, devices = records["faces"], records["devices"]
    scans, leaving = faces[faces["idNumber"] == number], faces[faces["note"] == OUT]
    return {
        "right": _most(scans[scans["note"] == OUT]),
        "coming_too": _most(scans),
        "phone_read": _most(devices[devices["imsi"] == imsi]),
        "everyone": _most(leaving),
    }


def _most(rows: pd.DataFrame) -> int | None:
    counts = pd.to_datetime(rows["at"]).dt.hour.value_counts()
    alone = len(counts) == 1 or (len(counts) > 1 and counts.iloc[0] > counts.iloc[1])
    return int(counts.index[0]) if alone else None


@functools.cache
def _phones(number: int) -> list[str]:
    """The phones of people on the watchlist whose habits are clear."""
    made = _made(number)
    listed = made["residents"]["idNumber"].isin(made["watchlist"]["idNumber"])
    owners = made["residents"][listed].itertuples()
    return [who.phoneImsi for who in owners if _is_clear(made, who)]


def _is_clear(made: dict[str, pd.DataFrame], who) -> bool:
    """Whether each mistake gives an hour of its own, and one other person lives in the flat."""
    found = list(hours(made, who.idNumber, who.phoneImsi).values())
    home = made["residents"][["estate", "flat"]] == [who.estate, who.flat]
    seen = (made["faces"]["idNumber"] == who.idNumber).sum()
    clear = None not in found and len(set(found)) == len(found)
    return bool(clear and home.all(axis=1).sum() == 2 and seen > 30)


@functools.cache
def _made(number: int) -> dict[str, pd.DataFrame]:
    """The records of a server as they are made, to choose what can be asked about them."""
    return _by_kind(sample(number, PEOPLE, DAYS))


def _by_kind(documents: dict[str, list[dict]]) -> dict[str, pd.DataFrame]:
    rows: dict[str, list[dict]] = {}
    for index, found in documents.items():
        rows.setdefault(kind_of(index), []).extend(found)
    return {kind: pd.DataFrame(found) for kind, found in rows.items()}


@quiet()
def read(lab: Lab) -> dict[str, pd.DataFrame]:
    """The records as a stranger reads them now, a table for each kind of index.

    Raises:
        BadAnswer: they are no longer those with which the question began.
    """
    again = "Run lab = ex.lab(…) of this question again for a fresh one; your answer can stay."
    found: dict[str, list[dict]] = {}
    with OpenSearch(lab.outside.uri, **_BOUNDS) as client:
        try:
            for kind in ("residents", "watchlist", "faces*", "devices*"):
                answer = client.search(index=kind, body={"size": _MOST, "sort": "_doc"})
                found[kind.rstrip("*")] = [hit["_source"] for hit in answer["hits"]["hits"]]
        except NoConnection:
            if not lab.is_running:
                raise
            raise BadAnswer(f"A stranger cannot reach this cluster any more. {again}") from None
        except TransportError as error:
            told = f"A stranger cannot read this cluster any more ({error.error}). {again}"
            raise BadAnswer(told) from None
    if gone := [kind for kind, rows in found.items() if not rows]:
        raise BadAnswer(f"The documents of `{gone[0]}` are gone from this cluster. {again}")
    return {kind: pd.DataFrame(rows) for kind, rows in found.items()}
