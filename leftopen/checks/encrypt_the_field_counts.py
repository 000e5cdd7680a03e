"""Exercise 13, question 3: what a deterministic column tells to whoever counts it.

The attack is frequency analysis, as on encrypted columns in Naveed, Kamara and Wright, "Inference
Attacks on Property-Preserving Encrypted Databases", CCS 2015: the most frequent ciphertext is
taken for the most frequent value of a public statistic, the next for the next.
"""

from collections import Counter

from pymongo import MongoClient

from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

COLUMN = "quarter"
_SEED, _SETS = 15, 24
_PEOPLE = 60  # of the lab beside the residents
# Residents in the database for each quarter, from the largest to the smallest; and how many people
# of the town stand behind each of them, on average.
_RESIDENTS = (148, 109, 81, 60, 45, 33, 24)
_BEHIND_EACH = 96
_MOST_OFF = 5  # by how many people for each resident the statistic may differ from that


def task(draw: Draw) -> Task:
    """Public statistics of a town, and the people whose quarter is asked for."""
    town = f"Town {draw.number('question 3', _SETS) + 1}"
    by_size, truth = _by_size(town), _truth(town)
    mine = Draw(town, "13 question 3 task")
    statistic = {
        name: residents * (_BEHIND_EACH + mine.number(name, 2 * _MOST_OFF + 1) - _MOST_OFF)
        for name, residents in zip(by_size, _RESIDENTS, strict=True)
    }
    asked = [
        mine.pick(f"somebody of {name}", [n for n, quarter in truth.items() if quarter == name])
        for name in by_size
    ]
    return Task(
        town=(town, "where the residents live"),
        statistic=(dict(sorted(statistic.items())), "inhabitants, as the town publishes them"),
        people=(sorted(asked), "the _id of the residents whose quarter is asked for"),
    )


def _by_size(town: str) -> list[str]:
    """The quarters of a town, the largest first."""
    names = [f"Quarter {n}" for n in range(1, len(_RESIDENTS) + 1)]
    return Draw(town, "13 question 3").shuffle("quarters", names)


def _truth(town: str) -> dict[int, str]:
    """Each resident's quarter, in the order in which they stand in the database."""
    pairs = zip(_by_size(town), _RESIDENTS, strict=True)
    every = [name for name, residents in pairs for _ in range(residents)]
    return dict(enumerate(Draw(town, "13 question 3").shuffle("residents", every), start=1))


def open_lab(task: Task) -> MongoLab:
    """Residents whose quarter is encrypted deterministically; and the same at random."""
    rows = list(_truth(str(task["town"])).items())

    def prepare(client: MongoClient) -> None:
        client.drop_database("encryption")
        with vault.with_key(client, vault.fresh()) as encryption:
            encryption.create_data_key("local", key_alt_names=[COLUMN])
            for name, how in (("residents", vault.FIXED), ("residents_random", vault.RANDOM)):
                sealed = [
                    {"_id": n, COLUMN: encryption.encrypt(q, how, key_alt_name=COLUMN)}
                    for n, q in rows
                ]
                client["sensenets"][name].insert_many(sealed)

    return vault.open_lab(_SEED, _PEOPLE, prepare)


def recovered(at: Attempt, lab: Lab, found: dict) -> str:
    """The quarter of each person asked for; what went wrong is seen from what was answered."""
    found, truth = _plain(at.task, found), _truth(str(at.task["town"]))
    with vault.operator(lab) as client:
        columns = {name: _column(client, name, truth) for name in ("residents", "residents_random")}
    if len(set(columns["residents"])) != len(_RESIDENTS):
        raise _changed("residents")
    for name, column in columns.items():
        many = Counter(column)
        most = max(many.values())
        often = "each of them once" if most == 1 else f"the most frequent one {most} times"
        shown = f"{len(many)} different ones, {often}"
        at.note("as a stranger without a key", f"count the values of {name}", shown)
    right = sum(found[person] == truth[person] for person in found)
    at.note(
        "beside the records", "compare the people that you recovered", f"{right} of {len(found)}"
    )
    at.values.update(right=right, asked=len(found))
    if right == len(found):
        return RIGHT
    wrong = _mistakes(at.task, columns["residents"])
    for name, told in wrong.items():
        if found == {person: told[person] for person in found}:
            return name
    return "one_for_all" if len(set(found.values())) == 1 else "some_wrong"


def _column(client: MongoClient, name: str, truth: dict[int, str]) -> list[bytes]:
    """The encrypted quarters of a collection, in the order of the residents' numbers.

    Raises:
        BadAnswer: somebody is missing or was added, or a value is not encrypted.
    """
    rows = [(row["_id"], row.get(COLUMN)) for row in client["sensenets"][name].find().sort("_id")]
    if [number for number, _ in rows] != list(truth):
        raise _changed(name)
    if not all(vault.is_encrypted(value) for _, value in rows):
        raise _changed(name)
    return [bytes(value) for _, value in rows]


def _changed(name: str) -> BadAnswer:
    return BadAnswer(
        f"The collection {name} is not as it was, so it cannot be counted any more. "
        "Run ex.lab(3) again."
    )


def _plain(task: Task, found: dict) -> dict[int, str]:
    """The answer, if it holds one quarter for each person.

    Raises:
        BadAnswer: somebody is missing, or a quarter is none.
    """
    asked, names = list(task["people"]), set(task["statistic"])
    if missing := [str(person) for person in asked if person not in found]:
        raise BadAnswer(
            f"`recovered` has no entry for {', '.join(missing)}. Its keys are the numbers in "
            "task['people'], as int, and its values names of quarters."
        )
    given = {person: found[person] for person in asked}
    if strange := sorted({repr(name) for name in given.values() if name not in names}):
        raise BadAnswer(
            f"`recovered` holds {', '.join(strange)}, which is no quarter of task['statistic']."
        )
    return given


def _mistakes(task: Task, column: list[bytes]) -> dict[str, dict[int, str]]:
    """What comes out when the ciphertexts and the quarters are put in another order."""
    statistic: dict[str, int] = task["statistic"]
    many = Counter(column)  # it keeps the order in which they appear
    ranked = [value for value, _ in many.most_common()]
    largest = sorted(statistic, key=statistic.get, reverse=True)
    tables = {
        "order_of_appearance": dict(zip(many, largest, strict=True)),
        "reversed_ranks": dict(zip(ranked[::-1], largest, strict=True)),
        "by_name": dict(zip(ranked, sorted(statistic), strict=True)),
    }
    return {
        mistake: {number: table[value] for number, value in enumerate(column, start=1)}
        for mistake, table in tables.items()
    }
