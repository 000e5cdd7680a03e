"""Exercise 04 for a learner of its own, for the tests of answers that nobody is shown."""

from datetime import UTC, datetime

from leftopen import checks, learner
from leftopen.checks.question import Attempt

NAME = "04_what_the_cases_share"


def exercise_of_someone(tmp_path, monkeypatch):
    monkeypatch.setenv("LEFTOPEN_PROGRESS", str(tmp_path / "progress.sqlite3"))
    monkeypatch.setenv(learner.VARIABLE, "someone")
    return checks.exercise(NAME)


def task_of(name, number):
    """What a learner of this name is asked."""
    return checks.Exercise(NAME, name).task(number)


def found(ex, number, *answer):
    """The outcome of a check by its name, in place of its sentence."""
    return ex._questions[number].check(Attempt(ex.task(number)), *answer)


def utc(leak):
    return datetime.fromisoformat(leak["seen"]).astimezone(UTC)


def here(leak):
    return datetime.fromisoformat(leak["seen"])


def letter(leak, **instead):
    """A right letter; each of its parts can be another one, or a function of the leak."""
    parts = {
        "to": [leak["owner"] or leak["provider"]],
        "What": f"A {leak['engine']} is open",
        "Where": f"{leak['address']}, port {leak['port']}",
        "Tables": leak["tables"],
        "Seen": f"{utc(leak):%Y-%m-%d %H:%M} UTC",
        "First": next(s for s in leak["steps"].values() if s.startswith("Close port")),
        "Check": leak["command"],
        "We kept": leak["kept"],
        "Contact": leak["finder"],
    }
    new = {name.replace("_", " "): part for name, part in instead.items()}
    return parts | {name: part(leak) if callable(part) else part for name, part in new.items()}


def told(ex, **instead):
    return found(ex, 5, lambda leak: letter(leak, **instead))
