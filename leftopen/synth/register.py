"""The invented people of the smart city: their papers, homes, phones, habits, and a watchlist.

What is drawn for a person depends on the seed and the person's number alone, so that the first 120
people are the same whether 120 or 400 are asked for.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from leftopen.synth import estates, text
from leftopen.synth.draws import Ints, Stream, Words, below, words
from leftopen.synth.identifiers import (
    FIRST_DATE,
    imeis,
    imsis,
    macs,
    resident_ids,
    unique_bodies,
)
from leftopen.synth.people import GROUP_PERCENT, GROUPS

MAX_PEOPLE = 5_000
"""The most people that the two estates can house."""
VISITORS = 200
"""Phones that belong to nobody in the register."""

REASONS = (
    "unpaid parking fine",
    "signed a petition about the lift",
    "released prisoner",
    "complained about the cameras",
    "guest stayed overnight without notice",
    "late with the service charge",
    "did not come to an appointment",
    "moved in without a permit",
)
"""Why somebody is on the watchlist: invented. Only "released prisoner" is a reported kind."""

# Numbers that no person of the other case has, so that nobody is in both.
_FIRST_BODY = 10_000_000
_FIRST_VISITOR = 1_000_000
_LAST_BIRTHDAY = (date(2001, 2, 1) - FIRST_DATE).days  # 18 years old on the first day
_GROUP = np.repeat(np.arange(len(GROUPS)), GROUP_PERCENT)

# Of each 50 people by lot: how many thousandths of their days they are seen; and who is listed.
_LOT = 50
_SEEN = np.repeat([580, 258, 86, 25], [2, 6, 17, 25])
_LISTED = (0, 12, 30)

_HOUSEHOLD = np.array([0, 1, 1, 2, 2])  # of five people, one lives alone
_BUILDINGS, _DOORS = 12, 4
_FIRST_ENTRY, _ENTRY_DAYS = datetime(2017, 3, 1, tzinfo=UTC), 690
_CLERKS = 5

INSIDE, WAY, OTHER_WAY, SHOP, YARD = range(5)
"""The places of one person: the stairs or lift, the way out, another one, a shop, a courtyard."""


@dataclass(frozen=True)
class Register:
    """Everybody who lives on the estates; each array has one entry a person."""

    seed: int
    residents: list[dict]
    watchlist: list[dict]
    group: list[str]
    reason: list[str | None]
    """Why the person is on the watchlist, or None."""
    phones: list[dict]
    """The phones: those of the residents in their order, then `VISITORS` others."""
    seen: Ints
    """In how many of a thousand days the person is seen."""
    works: Ints
    """1 if the person goes out to work, else 0."""
    leaves: Ints
    """When the person leaves home on a working day, in seconds after midnight."""
    away: Ints
    """How long the person then stays away, in seconds."""
    cameras: Ints
    """For each place of a person (a row each), which camera watches it."""
    wifi: Ints
    """For each place of a person (a row each), which Wi-Fi sensor is the nearest."""


def instant(when: datetime) -> str:
    """Return a time in UTC as it stands in a document: 2019-04-30T07:12:05Z."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def make_register(seed: int, people: int) -> Register:
    """Return the register of `people` people."""
    drawn = words(seed, Stream.REGISTER, 0, people * 8).reshape(people, 8).T
    lot = _lots(seed, people)
    estate, flat = _homes(seed, people)
    phones = _phones(seed, people)
    numbers = _id_numbers(seed, people, below(drawn[0], 2))
    residents = [
        {
            "_id": n + 1,
            "name": f"Person-{n + 1:04}",
            "idNumber": numbers[n],
            "estate": estates.ESTATES[estate[n]],
            "flat": flat[n],
            "phoneImsi": phones[n]["imsi"],
            "phoneImei": phones[n]["imei"],
        }
        for n in range(people)
    ]
    watchlist, reason = _watchlist(residents, lot, drawn[2])
    works = (below(drawn[3], 100) < 75).astype(np.int64)
    cameras, wifi = _places(estate, drawn[4:7])
    return Register(
        seed=seed,
        residents=residents,
        watchlist=watchlist,
        group=[GROUPS[code] for code in _GROUP[below(drawn[1], 100)]],
        reason=reason,
        phones=phones,
        seen=_SEEN[lot],
        works=works,
        leaves=np.where(works, 6 * 3600 + 45 * 60, 9 * 3600) + below(drawn[7], 2 * 3600),
        away=np.where(works, 9 * 3600 + 30 * 60, 5400) + below(drawn[7], 9000, low=True),
        cameras=cameras,
        wifi=wifi,
    )


def _lots(seed: int, people: int) -> Ints:
    """Return each person's place, by lot, among the fifty people around."""
    blocks = range(-(-people // _LOT))
    drawn = [words(seed, Stream.RANK, block, _LOT) for block in blocks]
    return np.concatenate([np.argsort(each, kind="stable") for each in drawn])[:people]


def _homes(seed: int, people: int) -> tuple[Ints, list[str]]:
    """Return each person's estate and flat; two of a household have the same."""
    index = np.arange(people)
    home = 3 * (index // 5) + _HOUSEHOLD[index % 5]
    drawn = words(seed, Stream.HOUSEHOLD, 0, home[-1] + 1)
    estate = below(drawn[home], 3) // 2
    building, rest = home % _BUILDINGS + 1, home // _BUILDINGS
    flats = zip(building, rest // _DOORS + 1, rest % _DOORS + 1, strict=True)
    return estate, [f"{building}-{floor:02}{door:02}" for building, floor, door in flats]


def _phones(seed: int, people: int) -> list[dict]:
    index = np.append(np.arange(people), _FIRST_VISITOR + np.arange(VISITORS))
    columns = [text.to_arrow(make(index, seed)).to_pylist() for make in (macs, imsis, imeis)]
    return [
        {"mac": mac, "imsi": imsi, "imei": imei} for mac, imsi, imei in zip(*columns, strict=True)
    ]


def _id_numbers(seed: int, people: int, female: Ints) -> list[str]:
    """Return impossible identity numbers of adults."""
    index = _FIRST_BODY + np.arange(2 * people + 20)  # more than half of all bodies are adults
    region, day, sequence = unique_bodies(index, np.zeros_like(index), seed)
    adult = np.flatnonzero(day <= _LAST_BIRTHDAY)[:people]
    made = resident_ids(region[adult], day[adult], sequence[adult] + female)
    return text.to_arrow(made).to_pylist()


def _watchlist(
    residents: list[dict], lot: Ints, drawn: Words
) -> tuple[list[dict], list[str | None]]:
    """Return the watchlist in order of time, and for each resident the reason or None."""
    entries, reasons = [], [None] * len(residents)
    why, day = below(drawn, len(REASONS)), below(drawn, _ENTRY_DAYS, low=True)
    for n in np.flatnonzero(np.isin(lot, _LISTED)):
        reasons[n] = REASONS[why[n]]
        added = _FIRST_ENTRY + timedelta(days=int(day[n]))
        entries.append(
            {
                "_id": f"entry-{n + 1:04}",
                "name": residents[n]["name"],
                "idNumber": residents[n]["idNumber"],
                "reason": reasons[n],
                "addedOn": instant(added),
                "addedBy": f"Clerk-{day[n] % _CLERKS + 1:02}",
            }
        )
    return sorted(entries, key=lambda entry: (entry["addedOn"], entry["_id"])), reasons


def _places(estate: Ints, drawn: Words) -> tuple[Ints, Ints]:
    """Return the camera and the Wi-Fi sensor at each place of each person."""
    inside = np.where(below(drawn[0], 2), estates.LIFT, estates.STAIRWELL)
    way = np.where(below(drawn[0], 4, low=True), estates.GATE, estates.PARKING)
    kinds = np.stack(
        [
            inside,
            way,
            np.full_like(way, estates.GATE),
            np.full_like(way, estates.SHOP),
            np.full_like(way, estates.COURTYARD),
        ]
    )
    lots = np.stack([drawn[1], drawn[2], drawn[1], drawn[2], drawn[1]])
    count = estates.PLACES[estate, kinds]
    which = np.stack([below(lots[n], count[n], low=n in (OTHER_WAY, SHOP)) for n in range(5)])
    cameras = estates.FIRST_CAMERA[estate, kinds] + which
    wifi = estates.FIRST_WIFI[estate, kinds] + which
    wifi[INSIDE] = wifi[YARD]
    return cameras, wifi
