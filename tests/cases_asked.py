"""Exercise 04 for a learner of its own, for the tests of answers that nobody is shown."""

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
