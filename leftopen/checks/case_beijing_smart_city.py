"""Exercise 02: an open search cluster of one's own, read as a stranger, and then closed."""

import pandas as pd

from leftopen.checks import case_beijing_smart_city_claims as claims
from leftopen.checks import case_beijing_smart_city_door as door
from leftopen.checks import case_beijing_smart_city_growing as growing
from leftopen.checks.case_beijing_smart_city_server import OUT, Server, counts_at, hours, read
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.lab import Lab
from leftopen.lab_opensearch import SearchLab
from leftopen.learner import Draw

_WHO = "as the stranger"


def _open(task: Task) -> SearchLab:
    return Server(task["server"]).open()


# -- 1: how many scans belong to nobody ------------------------------------------------------------


def _nobody_task(draw: Draw) -> Task:
    server = Server.of(draw)
    return Task(server=server.row, estate=(server.estate, "the estate that you count for"))


def _nobody(at: Attempt, lab: Lab, scans: int) -> str:
    """The scans of one estate without a person, in both months."""
    faces = read(lab)["faces"]
    here = faces["estate"] == at.task["estate"]
    nobody = faces["idNumber"].isna()
    at.note(_WHO, "count the face scans of all months", str(len(faces)))
    at.note(_WHO, f"count those of {at.task['estate']}", str(here.sum()))
    right = int((here & nobody).sum())
    if scans == right:
        at.note(_WHO, "count those of them without an identity number", str(right))
        return RIGHT
    at.values["answer"] = scans
    month = faces["at"].str[:7]
    wrong = {
        "nothing_found": [0],
        "one_month": [int((here & nobody & (month == m)).sum()) for m in month.unique()],
        "ten_came_back": [10],
        "all_scans": [int(here.sum())],
        "those_with_a_name": [int((here & ~nobody).sum())],
        "both_estates": [int(nobody.sum())],
        "other_estate": [int((~here & nobody).sum())],
    }
    return next((name for name, values in wrong.items() if scans in values), "another_number")


# -- 2: how many people were seen ------------------------------------------------------------------


def _seen_task(draw: Draw) -> Task:
    server = Server.of(draw)
    estate, place = server.place
    return Task(
        server=server.row,
        estate=(estate, "the estate"),
        place=(place, "the place on that estate"),
    )


def _seen(at: Attempt, lab: Lab, people: int) -> str:
    """The different people whom the system recognised at one place of one estate."""
    faces = read(lab)["faces"]
    counts = counts_at(faces, at.task["estate"], at.task["place"])
    right = counts.pop("right")
    at.note(_WHO, f"count the scans at {at.task['place']} of this estate", str(counts["scans"]))
    at.note(_WHO, "count those of them with an identity number", str(counts["named_scans"]))
    if people == right:
        at.note(_WHO, "count the different identity numbers among them", str(right))
        return RIGHT
    at.values["answer"] = people
    first, last = counts.pop("first_month"), counts["one_month"]
    counts |= {"one_month": people if people == first else last, "months_added": first + last}
    return next((name for name, value in counts.items() if value == people), "other_people")


# -- 3: whose phone it is --------------------------------------------------------------------------

_KEYS = {"name": str, "flatmate": str, "reason": str, "hour": int}


def _phone_task(draw: Draw) -> Task:
    server = Server.of(draw)
    return Task(
        server=server.row, imsi=(server.imsi, "the number of a SIM card, heard by a Wi-Fi sensor")
    )


def _profile(at: Attempt, lab: Lab, profile: dict) -> str:
    """What four indices say of the owner of one phone."""
    _must_be_complete(profile)
    records = read(lab)
    residents, watchlist = records["residents"], records["watchlist"]
    heard = (records["devices"]["imsi"] == at.task["imsi"]).sum()
    at.note(_WHO, "count the sightings of the phone in devices-*", str(heard))
    who = residents[residents["phoneImsi"] == at.task["imsi"]].iloc[0]
    scans = records["faces"][records["faces"]["idNumber"] == who["idNumber"]]
    at.note(_WHO, "count the scans of its owner's face in faces-*", str(len(scans)))
    at.note(_WHO, f"count those of them noted {OUT!r}", str((scans["note"] == OUT).sum()))
    home = residents[(residents["estate"] == who["estate"]) & (residents["flat"] == who["flat"])]
    found = hours(records, who["idNumber"], at.task["imsi"])
    right = {
        "name": who["name"],
        "flatmate": home[home["name"] != who["name"]].iloc[0]["name"],
        "reason": watchlist[watchlist["idNumber"] == who["idNumber"]].iloc[0]["reason"],
        "hour": found.pop("right"),
    }
    wrong = [key for key, value in right.items() if profile[key] != value]
    if not wrong:
        at.note("your profile", "compare it with the four indices", "the same")
        return RIGHT
    at.values.update(wrong=", ".join(wrong), hour=profile["hour"])
    if wrong == ["hour"]:
        return _which_hour(profile["hour"], right["hour"], found)
    if set(wrong) == {"name", "flatmate"} and profile["name"] == right["flatmate"]:
        return "flatmate_taken"
    if profile["name"] == right["name"] == profile["flatmate"] and wrong == ["flatmate"]:
        return "lives_with_oneself"
    return "not_on_the_list" if wrong == ["reason"] else "other_parts"


def _which_hour(given: int, right: int, found: dict[str, int | None]) -> str:
    if given == (right + 8) % 24:
        return "beijing_time"
    named = [name for name, hour in found.items() if hour == given]
    return named[0] if len(named) == 1 else "another_hour"


def _must_be_complete(profile: dict) -> None:
    asked = ", ".join(map(repr, _KEYS))
    if set(profile) != set(_KEYS):
        raise BadAnswer(f"`profile` must have the keys {asked}, and no others")
    for key, wanted in _KEYS.items():
        value = profile[key]
        if pd.api.types.is_integer(value) and not isinstance(value, bool):
            value = int(value)
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            told = f"`profile[{key!r}]` is of type {type(value).__name__}"
            raise BadAnswer(f"{told}, and the question asks for {wanted.__name__}")


QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "scans": int},
        check=_nobody,
        task=_nobody_task,
        lab=_open,
        value=True,
    ),
    2: Question(
        asks={"lab": Lab, "people": int},
        check=_seen,
        task=_seen_task,
        lab=_open,
        value=True,
    ),
    3: Question(
        asks={"lab": Lab, "profile": dict},
        check=_profile,
        task=_phone_task,
        lab=_open,
        value=True,
    ),
    4: growing.QUESTION,
    5: Question(asks={"judged": dict}, check=claims.check, task=claims.task, value=True),
    6: door.QUESTION,
}
