"""Exercise 01: read the exposure of a server of one's own, as a stranger who has an address."""

from math import isfinite
from numbers import Real

import pandas as pd

from leftopen.checks import case_sensenets_changes as changes
from leftopen.checks import case_sensenets_figures as figures
from leftopen.checks.case_sensenets_server import MIDNIGHT, Server, read
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.lab import Lab
from leftopen.learner import Draw

_WHO = "as the stranger"
DAY_SECONDS = 86_400
_HOME, _WORK = "home street", "workplace"
_NAMES = {
    "sightings": ("positions", "the collection of sightings"),
    "cameras": ("trackers", "the collection of cameras"),
    "person": ("positions.person", "in a sighting: the number of the person"),
    "camera": ("positions.tracker", "in a sighting: the number of the camera"),
    "time": ("positions.at", "in a sighting: when"),
    "place": ("positions.place", "in a sighting: what kind of place the camera watches"),
}


def _asks_with(*names: str):
    """A task that shows the number of the learner's server, and what some things are called."""

    def task(draw: Draw) -> Task:
        server = Server.of(draw)
        called = server.collections | server.fields
        rows = {name: (called[_NAMES[name][0]], _NAMES[name][1]) for name in names}
        return Task(server=server.row, **rows)

    return task


def _open(task: Task) -> Lab:
    return Server(task["server"]).open()


# -- 1: how many people ----------------------------------------------------------------------------


def _how_many(at: Attempt, lab: Lab, people: int) -> str:
    """The number of different identity numbers, and of nothing else."""
    server = Server(at.task["server"])
    records = read(lab, server)
    table = records["people"]
    for name, here in server.collections.items():
        at.note(_WHO, f"count the documents of {here}", str(len(records[name])))
    once = ~table["idNumber"].duplicated(keep=False)
    right = table["idNumber"].nunique()
    if people == right:
        number = server.here("people.idNumber")
        at.note(_WHO, f"count the different values of {number}", str(right))
        return RIGHT
    at.values.update(answer=people, collection=server.collections["people"])
    wrong = {
        "documents": len(table),
        "names": table["name"].nunique(),
        "recorded_once": int(once.sum()),
        "only_seen": records["positions"]["person"].nunique(),
        "another_collection": len(records["positions"]),
        "cameras_counted": len(records["trackers"]),
    }
    return next((name for name, value in wrong.items() if value == people), "another_number")


# -- 2: which fields are tier 0 --------------------------------------------------------------------


def _tier_0(at: Attempt, lab: Lab, tier_0: set) -> str:
    """Exactly the fields of tier 0, also the one that few documents have."""
    server = Server(at.task["server"])
    records = read(lab, server)
    _note_fields(at, server, records)
    unknown = tier_0 - set(server.tiers)
    lessons = {*server.fields, *(field.split(".")[1] for field in server.fields)}
    if unknown & lessons - {"_id"}:
        at.values["unknown"] = ", ".join(sorted(unknown & lessons))
        return "names_of_the_lesson"
    if unknown:
        raise BadAnswer(
            f"`tier_0` holds {', '.join(sorted(map(repr, unknown)))}, which is no field of your "
            "server. Write each as 'collection.field', with the names that your server uses."
        )
    right = {field for field, tier in server.tiers.items() if tier == "T0"}
    missing, extra = right - tier_0, tier_0 - right
    if not missing and not extra:
        at.note("your fields", "those of tier 0", ", ".join(sorted(right)))
        return RIGHT
    at.values.update(count=len(missing), extra=", ".join(sorted(extra)))
    alone = {
        "place_forgotten": server.here("positions.place"),
        "photo_forgotten": server.here("people.photo"),
        "rare_forgotten": server.here("people.rare"),
    }
    for name, field in alone.items():
        if missing == {field} and not extra:
            return name
    if extra == {server.here("trackers.kind")} and not missing:
        return "cameras_have_no_belief"
    if any(server.tiers[field] == "T1" for field in extra):
        return "tier_1_too"
    return "too_many_fields" if extra else "some_fields_missing"


def _note_fields(at: Attempt, server: Server, records: dict[str, pd.DataFrame]) -> None:
    for name, here in server.collections.items():
        one = records[name].iloc[0].notna().sum()
        every = len(records[name].columns)
        at.note(_WHO, f"the fields of {here}", f"{one} in the first document, {every} in all")


# -- 3: whose day can be followed ------------------------------------------------------------------


def _followed(at: Attempt, lab: Lab, followed: set) -> str:
    """The people with a sighting at home, a later one at work, and a later one at home again."""
    server = Server(at.task["server"])
    seen = read(lab, server)["positions"]
    given = _person_numbers(followed, server)
    days = Days(seen.sort_values("at", kind="stable"))
    at.note(_WHO, "count the people who were seen at a home street", str(len(days.at_home)))
    at.note(_WHO, "count the people who were seen at a workplace", str(len(days.at_work)))
    at.note("your answer", "count the people in it", str(len(given)))
    right = days.there_and_back()
    if given == right:
        return RIGHT
    at.values.update(missing=len(right - given), extra=len(given - right))
    wrong = {
        "order_ignored": days.at_home & days.at_work,
        "never_back": days.to_work(),
        "work_forgotten": days.home_twice(),
        "next_to_each_other": days.in_a_row(),
        "rows_not_sorted": Days(seen).there_and_back(),
    }
    return next((name for name, value in wrong.items() if value == given), "other_people")


class Days:
    """What each person's sightings tell, in the order of the rows.

    Args:
        seen: the sightings, with ``person`` and ``place``.
    """

    def __init__(self, seen: pd.DataFrame) -> None:
        self._places = seen.groupby("person")["place"].agg(list).to_dict()
        self.at_home = self._those(lambda places: _HOME in places)
        self.at_work = self._those(lambda places: _WORK in places)

    def _those(self, test) -> set[int]:
        return {person for person, places in self._places.items() if test(places)}

    def to_work(self) -> set[int]:
        """Those who were seen at home, and later at work."""
        return self._those(lambda p: _HOME in p and _WORK in p[p.index(_HOME) :])

    def there_and_back(self) -> set[int]:
        """Those who were seen at home, later at work, and still later at home."""

        def test(places: list[str]) -> bool:
            rest = iter(places)
            return all(any(place == wanted for place in rest) for wanted in (_HOME, _WORK, _HOME))

        return self._those(test)

    def home_twice(self) -> set[int]:
        """Those who were seen at home more than once."""
        return self._those(lambda places: places.count(_HOME) > 1)

    def in_a_row(self) -> set[int]:
        """Those with the three sightings one directly after the other."""
        wanted = [_HOME, _WORK, _HOME]
        return self._those(lambda p: any(p[n : n + 3] == wanted for n in range(len(p) - 2)))


def _person_numbers(given: set, server: Server) -> set[int]:
    strange = sorted(repr(value) for value in given if not _is_whole(value))
    if strange:
        raise BadAnswer(
            f"`followed` holds {strange[0]}. Put the people's numbers into it, as they stand in "
            f"{server.here('positions.person')}."
        )
    return {int(value) for value in given}


def _is_whole(value: object) -> bool:
    return isinstance(value, Real) and isfinite(value) and value == int(value)


# -- 4: how long until every camera has reported ---------------------------------------------------


def _every_camera(at: Attempt, lab: Lab, seconds: int) -> str:
    """Seconds from midnight to the first report of the camera that is the last to report."""
    server = Server(at.task["server"])
    records = read(lab, server)
    seen = records["positions"]
    first = seen.groupby("tracker")["at"].min()
    cameras = len(records["trackers"])
    here = server.collections["positions"]
    at.note(_WHO, f"count the documents of {server.collections['trackers']}", str(cameras))
    at.note(_WHO, f"the first report of all in {here}", _clock(seen["at"].min()))
    at.note(_WHO, f"the last report of all in {here}", _clock(seen["at"].max()))
    last = first.max()
    right = _seconds(last)
    if abs(seconds - right) <= 1:
        at.note(_WHO, f"the first report of camera {first.idxmax()}", _clock(last))
        return RIGHT
    at.values["answer"] = seconds
    wrong = {
        "mean_of_all": _seconds(first.mean()),
        "half_of_them": _seconds(first.median()),
        "last_report": _seconds(seen["at"].max()),
        "from_the_first_report": right - _seconds(seen["at"].min()),
        "reports_not_sorted": _seconds(seen.drop_duplicates("tracker")["at"].max()),
        "mean_gap": DAY_SECONDS * cameras / len(seen),
        "in_minutes": right / 60,
        "in_hours": right / 3600,
        "time_of_day": last.hour * 10_000 + last.minute * 100 + last.second,
    }
    return next((k for k, value in wrong.items() if abs(seconds - value) <= 1), "another_time")


def _seconds(moment: pd.Timestamp) -> float:
    return (moment - MIDNIGHT).total_seconds()


def _clock(moment: pd.Timestamp) -> str:
    return f"{moment:%H:%M:%S}"


QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "people": int},
        check=_how_many,
        task=_asks_with(),
        lab=_open,
        value=True,
    ),
    2: Question(
        asks={"lab": Lab, "tier_0": set},
        check=_tier_0,
        task=_asks_with(),
        lab=_open,
        value=True,
    ),
    3: Question(
        asks={"lab": Lab, "followed": set},
        check=_followed,
        task=_asks_with("sightings", "person", "time", "place"),
        lab=_open,
        value=True,
    ),
    4: Question(
        asks={"lab": Lab, "seconds": int},
        check=_every_camera,
        task=_asks_with("sightings", "cameras", "camera", "time"),
        lab=_open,
        value=True,
    ),
    5: Question(
        asks={"lab": Lab, "changes": set},
        check=changes.check,
        task=changes.task,
        lab=changes.open_lab,
        value=True,
    ),
    6: Question(
        asks={"wrong": set},
        check=figures.check,
        task=figures.task,
        value=True,
    ),
}
