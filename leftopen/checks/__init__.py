"""Exercises: questions whose answers are tried on the running server, not read."""

from leftopen.checks import start_here
from leftopen.checks.verdict import Verdict, error_in_cell
from leftopen.errors import LeftOpenError

_EXERCISES = {"00_start_here": start_here.QUESTIONS}


class Exercise:
    """The questions of one notebook.

    Args:
        name: the notebook's name without its ending, as ``"00_start_here"``.
    """

    def __init__(self, name: str) -> None:
        if name not in _EXERCISES:
            raise LeftOpenError(
                f"There is no exercise {name!r}. There is: {', '.join(_EXERCISES)}."
            )
        self.name = name
        self._questions = _EXERCISES[name]

    def check(self, number: int, *answer: object) -> Verdict:
        """Try an answer, and say what was found.

        Args:
            number: the number of the question, from 1.
            answer: what the question asks for.

        Raises:
            LeftOpenError: there is no such question.
        """
        if number not in self._questions:
            there_are = ", ".join(map(str, self._questions))
            named = number if isinstance(number, int) else f"of type {type(number).__name__}"
            raise LeftOpenError(f"There is no question {named} here. There is: {there_are}.")
        try:
            return self._questions[number](*answer)
        except Exception as error:  # a verdict of its own, never a traceback of the checker
            return error_in_cell(error)


def exercise(name: str) -> Exercise:
    """Open the exercise of a notebook by its name, as ``exercise("00_start_here")``."""
    return Exercise(name)
