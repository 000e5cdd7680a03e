"""Exercise 05 for learners of its own, for the tests of answers that nobody is shown."""

from leftopen.checks import why_a_trace_identifies as exercise
from leftopen.checks.question import Attempt
from leftopen.learner import Draw

NAME = "05_why_a_trace_identifies"


def tasks(number):
    """The different tasks of a question, each of one learner."""
    question, found = exercise.QUESTIONS[number], {}
    for n in range(150):
        task = question.task(Draw(f"learner {n}", NAME))
        found.setdefault(repr(task), task)
    return list(found.values())


def told(number, task, *answer):
    """The outcome of a check by its name, in place of its sentence."""
    return exercise.QUESTIONS[number].check(Attempt(task), *answer)
