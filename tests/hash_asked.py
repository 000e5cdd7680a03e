"""Exercise 14 for a learner of its own, for the tests of answers that nobody is shown."""

from leftopen import checks, learner
from leftopen.checks.question import Attempt

NAME = "14_hash_and_pseudonymise"


def exercise_of_someone(tmp_path, monkeypatch):
    monkeypatch.setenv("LEFTOPEN_PROGRESS", str(tmp_path / "progress.sqlite3"))
    monkeypatch.setenv(learner.VARIABLE, "someone")
    return checks.exercise(NAME)


def found(ex, number, *answer):
    """The outcome of a check by its name, in place of its sentence."""
    return ex._questions[number].check(Attempt(ex.task(number)), *answer)
