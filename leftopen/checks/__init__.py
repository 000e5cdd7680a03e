"""The exercises: questions whose answers are tried on the learner's own server, not read."""

import functools
import importlib
import numbers
import sys
import threading
from collections.abc import Callable

import numpy as np

from leftopen import course, learner, progress
from leftopen.checks.board import Board, Hints, Reason
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.verdict import Kind, Verdict, error_in_cell
from leftopen.engines import kept
from leftopen.errors import DataError, LeftOpenError
from leftopen.lab import Lab

CHECK_SECONDS = 60.0
_PUT_BACK_SECONDS = 15.0
_KINDS = {Callable: "`function`", float: "a number"}
_RIGHT_TEXT = "Each thing that was tried came out as it should."


@functools.cache
def _lessons() -> dict[str, course.Lesson]:
    """The lessons that have questions, by name."""
    return {lesson.name: lesson for lesson in course.load().lessons if lesson.questions}


class Exercise:
    """The questions of one notebook.

    Args:
        name: the notebook's name without its ending, as ``"07_require_a_login"``.
        learner_name: whose values are drawn; by default the current learner's.

    Raises:
        LeftOpenError: there is no such exercise.
    """

    def __init__(self, name: str, learner_name: str | None = None) -> None:
        lessons = _lessons()
        if name not in lessons:
            raise LeftOpenError(f"There is no exercise {name!r}. There is: {', '.join(lessons)}.")
        module = importlib.import_module(f"leftopen.checks.{lessons[name].slug}")
        self.name = name
        self.learner = learner_name or learner.current()
        self._questions: dict[int, Question] = module.QUESTIONS
        self._texts = {text.number: text for text in lessons[name].questions}
        self._lab: Lab | None = None

    # -- what a question gives ----------------------------------------------------------------

    def task(self, number: int) -> Task:
        """What question ``number`` asks of this learner: names, values, a policy."""
        return self._question(number).task(learner.Draw(self.learner, self.name))

    def lab(self, number: int) -> Lab:
        """A server in the state in which question ``number`` begins; an earlier one is closed.

        Run it again to begin the question again: answers that were right stay right.

        Raises:
            LeftOpenError: there is no such question, or it needs no server.
            EngineMissing, EngineFailed: as for :func:`leftopen.open_case`.
        """
        question = self._question(number)
        if question.lab is None:
            raise LeftOpenError(f"Question {number} needs no server of its own.")
        if self._lab is not None:
            self._lab.retire()
            self._lab = None
        task = self.task(number)
        # Equal tasks are equal questions: see Question.lab.
        with kept.same(f"{self.name}, question {number}: {dict(task)!r}"):
            self._lab = question.lab(task)
        self._lab.belongs_to(f"{self.name}, question {number}", f"lab = ex.lab({number})")
        return self._lab

    def close(self) -> None:
        """Close the server that :meth:`lab` opened. Safe to call twice."""
        if self._lab is not None:
            self._lab.close()
            self._lab = None

    # -- what a learner asks for --------------------------------------------------------------

    def check(self, number: int, *answer: object) -> Verdict:
        """Try an answer, say what was found, and note it in the learner's own record.

        Args:
            number: the number of the question, from 1.
            answer: what the question asks for, in its order.

        Raises:
            LeftOpenError: there is no such question.
        """
        question = self._question(number)
        wanted = [*question.asks.values(), *[None] * len(answer)]
        answer = tuple(_plain(*each) for each in zip(answer, wanted, strict=False))
        if refused := self._refuse(number, question, answer):
            return refused  # nothing was tried, so it is no try
        verdict = self._try(number, question, answer)
        if verdict.kind not in (Kind.NOT_ATTEMPTED, Kind.BLOCKED):
            right = verdict.kind is Kind.RIGHT
            _save(progress.note_verdict, self.learner, self.name, number, verdict.kind.name, right)
        return verdict

    def hint(self, number: int) -> Hints:
        """The hints of a question: one more each time, up to three; once it is solved, all."""
        hints = self._text(number).hints
        taken = _save(progress.take_hint, self.learner, self.name, number, len(hints))
        shown = len(hints) if taken is None or self._is_solved(number) else taken
        return Hints(hints[:shown], len(hints))

    def _is_solved(self, number: int) -> bool:
        records = _save(progress.read, self.learner, self.name) or {}
        return number in records and records[number].solved

    def reason(self, number: int) -> Reason | Verdict:
        """Why a question matters; told once its answer was right."""
        text = self._text(number)
        if self._is_solved(number):
            return Reason(text.reason)
        return Verdict(Kind.NOT_ATTEMPTED, "The reason is told once the answer was right.")

    def progress(self) -> Board:
        """Each question with its state, the tries and the hints; the learner's own record."""
        records = _save(progress.read, self.learner, self.name) or {}
        return Board(self.name, self.learner, tuple(self._texts.values()), records)

    def reset(self, number: int) -> None:
        """Forget the tries, hints and success of a question, and close its server."""
        self._text(number)
        _save(progress.forget, self.learner, self.name, number)
        self.close()
        again = f" lab = ex.lab({number}) begins it again." if self._question(number).lab else ""
        print(f"Question {number} is as if it had never been tried.{again}")

    # -- how an answer is tried ---------------------------------------------------------------

    def _question(self, number: int) -> Question:
        self._text(number)
        return self._questions[number]

    def _text(self, number: int) -> course.Question:
        if isinstance(number, bool) or number not in self._texts:
            there_are = ", ".join(map(str, self._texts))
            named = number if isinstance(number, int) else f"of type {type(number).__name__}"
            raise LeftOpenError(f"There is no question {named} here. There is: {there_are}.")
        return self._texts[number]

    def _refuse(self, number: int, question: Question, answer: tuple) -> Verdict | None:
        """The verdict on what cannot be tried, or ``None``."""
        asks = question.asks
        call = f"ex.check({', '.join([str(number), *asks])})"
        if len(answer) != len(asks):
            wanted = f"takes {', '.join(asks)}"
            return Verdict(Kind.ERROR, f"This question {wanted}: {call}. Nothing was tried.")
        for name, given in zip(asks, answer, strict=True):
            if given is ...:
                text = f"`{name}` is still `...`. Set it, then run this cell again."
                return Verdict(Kind.NOT_ATTEMPTED, text)
        for (name, wanted), given in zip(asks.items(), answer, strict=True):
            if not isinstance(given, wanted) or (wanted is not bool and isinstance(given, bool)):
                named = _KINDS.get(wanted) or f"`{wanted.__name__}`"
                return Verdict(
                    Kind.ERROR,
                    f"The type of `{name}` is `{type(given).__name__}`, and the question asks for "
                    f"{named}. Nothing was tried. The call is {call}.",
                )
            if isinstance(given, Lab) and not given.is_running:
                return _blocked(given)
            mine = f"{self.name}, question {number}"
            if isinstance(given, Lab) and question.lab and given.purpose != mine:
                return Verdict(
                    Kind.ERROR,
                    f"This lab is not the one of question {number}, so nothing was tried. "
                    f"Run lab = ex.lab({number}) and the cells below it.",
                )
        return None

    def _try(self, number: int, question: Question, answer: tuple) -> Verdict:
        at = Attempt(self.task(number))
        outcome: list[str | BaseException] = []

        def run() -> None:
            try:
                outcome.append(question.check(at, *answer))
            except BaseException as error:  # told below, in the learner's own thread
                outcome.append(error)
            finally:
                done.set()

        # No join(): Python 3.11 takes a thread whose join() was interrupted for one that ended.
        done = threading.Event()
        threading.Thread(target=run, name="leftopen-check", daemon=True).start()
        try:
            done.wait(CHECK_SECONDS)
        except KeyboardInterrupt:  # what the check has changed is put back first
            at.interrupted.set()
            done.wait(_PUT_BACK_SECONDS)
            raise
        labs = [given for given in answer if isinstance(given, Lab)]
        if not outcome:
            return Verdict(
                Kind.ERROR,
                f"The answer was not finished after {CHECK_SECONDS:.0f} s, and the check stopped "
                "waiting. Look for a loop that does not end.",
                tuple(at.tried),
            )
        found = outcome[0]
        if isinstance(found, Exception) and any(not lab.is_running for lab in labs):
            return _blocked(next(lab for lab in labs if not lab.is_running))
        if isinstance(found, Exception):
            return error_in_cell(found)
        if isinstance(found, BaseException):
            raise found
        return self._verdict(number, found, at)

    def _verdict(self, number: int, found: str, at: Attempt) -> Verdict:
        tried = tuple(at.tried)
        if found == RIGHT:
            return Verdict(
                Kind.RIGHT, f"{_RIGHT_TEXT} ex.reason({number}) says why it matters.", tried
            )
        if found == UNTOUCHED:
            text = "All is still as the question found it. Answer it, then run this cell again."
            return Verdict(Kind.NOT_ATTEMPTED, text, tried)
        sentence = self._texts[number].near_misses[found]
        return Verdict(Kind.NOT_YET, sentence.format(**{**at.task, **at.values}), tried)


def _plain(given: object, wanted: type | None) -> object:
    """A number of NumPy or pandas as Python's own, and a whole one as a ``float`` where that is
    asked for; anything else as it is.
    """
    if isinstance(given, numbers.Integral) and not isinstance(given, bool):
        return float(given) if wanted is float else int(given)
    return float(given) if isinstance(given, np.floating) else given


def _blocked(lab: Lab) -> Verdict:
    return Verdict(
        Kind.BLOCKED,
        "Your server is not running, so nothing could be tried; this says nothing about your "
        f"answer. {lab.way_back}",
    )


def _save(action, *args: object):
    """Read or write the learner's record; where that fails, say so and go on."""
    try:
        return action(*args)
    except DataError as error:
        print(error, file=sys.stderr)
        return None


def exercise(name: str) -> Exercise:
    """Open the exercise of a notebook by its name, as ``exercise("07_require_a_login")``."""
    return Exercise(name)
