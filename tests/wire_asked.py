"""A question of exercise 12 with its server, for the tests of answers that nobody is shown."""

import pytest

from leftopen.checks.encrypt_the_wire import QUESTIONS
from leftopen.checks.question import Attempt
from leftopen.learner import Draw


class Asked:
    """A question with its server, and what a check says of it."""

    def __init__(self, number):
        self.question = QUESTIONS[number]
        self.task = self.question.task(Draw("ada", "12"))
        self.lab = self.question.lab(self.task)

    def told(self, *answer):
        self.at = Attempt(self.task)
        return self.question.check(self.at, self.lab, *answer)


def question(number):
    return pytest.mark.parametrize("asked", [number], indirect=True, scope="module")
