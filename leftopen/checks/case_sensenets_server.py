"""The server of exercise 01: the SenseNets case again, with people and names of the learner's own.

It is drawn from one number. The people are others than in the lesson, collections and fields have
other names, some people are recorded twice, some share a name, and two fields are in few documents.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import pandas as pd
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, OperationFailure

from leftopen.cases import sensenets
from leftopen.cases.sensenets_schema import FIELDS
from leftopen.checks.probe import BadAnswer
from leftopen.lab import Lab
from leftopen.learner import Draw
from leftopen.synth.people import TODAY

EXERCISE = "01_case_sensenets"
POSITIONS_A_PERSON = 2.604  # SN30: 6,680,348 / 2,565,724
MIDNIGHT = datetime.combine(TODAY, time())
"""When the day of the records begins."""

_FIRST_NUMBER, _NUMBERS = 101, 30  # so few that the suite can try them all
_SEEN_AT_ONCE = 40  # the rare fields are not in the first documents
_BOUNDS = {"serverSelectionTimeoutMS": 4000, "connectTimeoutMS": 4000, "timeoutMS": 20_000}

_COLLECTIONS = {
    "people": ("residents", "persons", "register"),
    "positions": ("passages", "seen", "events"),
    "trackers": ("devices", "points", "sensors", "stations"),
}
_NAMES = {
    "people.name": ("fullName", "called", "personName"),
    "people.idNumber": ("cardNo", "identityNo", "documentNo"),
    "people.idIssued": ("cardFrom", "validFrom"),
    "people.idExpires": ("cardTo", "validTo"),
    "people.sex": ("gender", "mf"),
    "people.group": ("nation", "community", "category"),
    "people.homeAddress": ("livesAt", "address", "home"),
    "people.birthday": ("born", "birthDate"),
    "people.photo": ("cardPhoto", "portrait", "face"),
    "people.employer": ("worksFor", "company"),
    "positions.person": ("who", "personNo", "subject"),
    "positions.tracker": ("device", "point", "sensor"),
    "positions.at": ("seenAt", "moment", "clock"),
    "positions.place": ("site", "where", "spot"),
    "trackers.name": ("label", "code"),
    "trackers.kind": ("watches", "type"),
    "trackers.x": ("east", "gridX"),
    "trackers.y": ("north", "gridY"),
}


@dataclass(frozen=True)
class Rare:
    """A field that few documents have: its names, its tier, and what it holds for a number."""

    names: tuple[str, ...]
    tier: str
    value: Callable[[int], object]


_RARE_TIER_0 = (
    Rare(("congregation", "prayerHouse"), "T0", lambda n: f"Prayer house {n % 6 + 1:02}"),
    Rare(("faceTemplate", "faceVector"), "T0", lambda n: f"face-{n * 2654435761 % 2**32:08x}"),
)
_RARE_OTHER = (
    Rare(("plate", "carPlate"), "T1", lambda n: f"Plate-{n:05}"),
    Rare(("school", "learnsAt"), "T2", lambda n: f"School-{n % 30 + 1:03}"),
    Rare(("height", "heightCm"), "T3", lambda n: 150 + n % 41),
)
_RARE = {"people.rare": (_RARE_TIER_0, 4), "people.other": (_RARE_OTHER, 8)}  # of 100 people


class Server:
    """What one number decides: how many people, and what everything is called.

    Args:
        number: the number of the server, as in the learner's task.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.draw = Draw(f"server {number}", EXERCISE)
        self.people = 300 + self.draw.number("people", 401)
        self.collections = {c: self.draw.pick(c, names) for c, names in _COLLECTIONS.items()}
        self.rare: dict[str, Rare] = {}
        self.fields = {f"{c}._id": "_id" for c in _COLLECTIONS}
        self.fields |= {field: self.draw.pick(field, names) for field, names in _NAMES.items()}
        for field, (options, _) in _RARE.items():
            self.rare[field] = self.draw.pick(field, options)
            self.fields[field] = self.draw.pick(f"{field} name", self.rare[field].names)

    @classmethod
    def of(cls, draw: Draw) -> "Server":
        """The server of a learner."""
        return cls(_FIRST_NUMBER + draw.number("server", _NUMBERS))

    @property
    def row(self) -> tuple[int, str]:
        """How a task shows it."""
        return self.number, "the number of your server: it decides the people and the names on it"

    @property
    def tiers(self) -> dict[str, str]:
        """The tier of each field, as ``collection.field`` in the names of this server."""
        known = {f"{field.collection}.{field.field}": field.tier for field in FIELDS}
        known |= {field: rare.tier for field, rare in self.rare.items()}
        return {self.here(field): tier for field, tier in known.items()}

    def here(self, field: str) -> str:
        """``collection.field`` of the lesson in the names of this server."""
        return f"{self.collections[field.split('.')[0]]}.{self.fields[field]}"

    def open(self, prepare: Callable[[Database], None] | None = None) -> Lab:
        """Start it, as open as the case was found; ``prepare`` may add to its database."""

        def fill(client: MongoClient) -> None:
            database = client[sensenets.DATABASE]
            self._rewrite(database)
            if prepare is not None:
                prepare(database)

        positions = round(self.people * POSITIONS_A_PERSON)
        return sensenets.small_lab(
            self.number, prepare=fill, people=self.people, positions=positions
        )

    # -- how the lesson's records become those of this server --------------------------------------

    def _rewrite(self, database: Database) -> None:
        old = {name: list(database[name].find()) for name in _COLLECTIONS}
        seen = {position["tracker"] for position in old["positions"]}
        order = [self.draw.number(f"order {n}", 2**32) for n in range(len(old["positions"]))]
        shuffled = sorted(range(len(order)), key=order.__getitem__)
        new = {
            "people": self._people(old["people"]),
            "positions": [old["positions"][n] for n in shuffled],
            # Every tracker that is listed has reported at least once.
            "trackers": [tracker for tracker in old["trackers"] if tracker["_id"] in seen],
        }
        for name, documents in new.items():
            database.drop_collection(name)
            names = {f.split(".")[1]: n for f, n in self.fields.items() if f.startswith(f"{name}.")}
            database[self.collections[name]].insert_many(
                {names[field]: value for field, value in document.items()} for document in documents
            )

    def _people(self, people: list[dict]) -> list[dict]:
        """The people with namesakes, rare fields, and a second record of those with a new card."""
        order = self.draw.shuffle("people", range(len(people)))
        twice = sorted(order[: 15 + self.draw.number("twice", 40)])
        rest = order[len(twice) :]
        for place in range(6 + self.draw.number("namesakes", 12)):
            one, other = rest[2 * place], rest[2 * place + 1]
            people[other]["name"] = people[one]["name"]
        for field, (_, percent) in _RARE.items():
            for place, person in enumerate(people):
                if place >= _SEEN_AT_ONCE and self.draw.number(f"{field} {place}", 100) < percent:
                    person[field.split(".")[1]] = self.rare[field].value(person["_id"])
        again = [self._renewed(people[n], len(people) + k) for k, n in enumerate(twice, 1)]
        return people + again

    def _renewed(self, person: dict, number: int) -> dict:
        days = timedelta(days=1 + self.draw.number(f"renewed {number}", 200))
        lasts = person["idExpires"] - person["idIssued"]
        issued = MIDNIGHT - days
        token = f"token-{self.draw.number(f'photo {number}', 2**64):016x}"
        changed = {"idIssued": issued, "idExpires": issued + lasts, "photo": token}
        return {**person, "_id": number, **changed}


def read(lab: Lab, server: Server) -> dict[str, pd.DataFrame]:
    """The records as a stranger reads them now, with the lesson's names of collections and fields.

    Raises:
        BadAnswer: they are no longer those with which the question began.
    """
    again = "Run lab = ex.lab(…) of this question again for a fresh one; your answer can stay."
    found = {}
    try:
        with MongoClient(lab.outside.uri, **_BOUNDS) as client:
            database = client[sensenets.DATABASE]
            for name, here in server.collections.items():
                back = {n: f.split(".")[1] for f, n in server.fields.items() if f.startswith(name)}
                found[name] = pd.DataFrame(database[here].find()).rename(columns=back)
    except (ConnectionFailure, OperationFailure):
        if not lab.is_running:
            raise
        raise BadAnswer(f"A stranger cannot read this server any more. {again}") from None
    for field in server.fields:
        collection, name = field.split(".")
        if name not in found[collection]:
            here = server.collections[collection]
            lost = here if found[collection].empty else server.here(field)
            raise BadAnswer(f"`{lost}` is gone from this server. {again}")
    return found
