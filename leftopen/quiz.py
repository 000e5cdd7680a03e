"""A quiz of short statements, each sorted by one choice: a widget, and the same as text."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets
import pandas as pd

from leftopen.errors import LeftOpenError
from leftopen.ledger import Table

_RIGHT, _WRONG, _OPEN = "✓", "✗", "·"


@dataclass(frozen=True)
class Statement:
    """One statement of a quiz.

    Attributes:
        text: what is to be sorted.
        answer: where it belongs: one of the quiz's choices.
        why: what is said once an answer was given.
    """

    text: str
    answer: str
    why: str


class Quiz:
    """Statements to be sorted; nothing is stored, and every answer may be changed.

    In a notebook it shows itself as a widget: one row of buttons a statement, which Tab, the arrow
    keys and the space bar work. :meth:`mark` is its text twin.

    Args:
        choices: where a statement can belong.
        statements: what is to be sorted.
    """

    def __init__(self, choices: Sequence[str], statements: Sequence[Statement]) -> None:
        self.choices = tuple(choices)
        self.statements = tuple(statements)

    def mark(self, *answers: str) -> Table:
        """Say of each answer whether it is right, and why.

        Args:
            answers: for the statements in their order, each by a choice or the beginning of one,
                as ``"p"``; those that are left out stay open.

        Raises:
            LeftOpenError: an answer is none of the choices, or there are too many.
        """
        if len(answers) > len(self.statements):
            raise LeftOpenError(
                f"There are {len(self.statements)} statements, and these are {len(answers)} "
                "answers. Give one for each statement, in their order."
            )
        given = [self._choice(answer) for answer in answers]
        given += [""] * (len(self.statements) - len(given))
        rows = [
            {
                "no": number,
                "statement": statement.text,
                "": _mark(statement, choice),
                "your answer": choice,
                "why": statement.why if choice else "",
            }
            for number, (statement, choice) in enumerate(
                zip(self.statements, given, strict=True), 1
            )
        ]
        return Table(pd.DataFrame(rows))

    def _choice(self, answer: str) -> str:
        found = [c for c in self.choices if answer and c.startswith(str(answer).strip().lower())]
        if len(found) != 1:
            words = " or ".join(map(repr, self.choices))
            raise LeftOpenError(
                f"{answer!r} is none of the choices. Write {words}, or the first letter: one for "
                "each statement, with commas between them."
            )
        return found[0]

    def widget(self) -> ipywidgets.VBox:
        """The statements with their buttons, as one widget that can be worked by keyboard."""
        score = ipywidgets.HTML()
        rows: list[ipywidgets.VBox] = []
        buttons: list[ipywidgets.ToggleButtons] = []

        def count(_: object = None) -> None:
            right = sum(
                button.value == statement.answer
                for button, statement in zip(buttons, self.statements, strict=True)
            )
            score.value = f"<p role='status'>{right} of {len(self.statements)} are right.</p>"

        for number, statement in enumerate(self.statements, 1):
            button = ipywidgets.ToggleButtons(
                options=self.choices, value=None, style={"button_width": "9em"}
            )
            told = ipywidgets.HTML()
            button.observe(_tell(statement, told), "value")
            button.observe(count, "value")
            text = ipywidgets.HTML(f"<p>{number}. {html.escape(statement.text)}</p>")
            buttons.append(button)
            rows.append(ipywidgets.VBox([text, button, told]))
        count()
        return ipywidgets.VBox([*rows, score])

    def _repr_mimebundle_(self, **_: object) -> dict:
        bundle = self.widget()._repr_mimebundle_()
        bundle["text/plain"] = repr(self)  # what is seen where there is no kernel
        return bundle

    def __repr__(self) -> str:
        lines = [f"{number}. {s.text}" for number, s in enumerate(self.statements, 1)]
        return "\n".join([f"Which is it: {' or '.join(self.choices)}?", *lines])


def _mark(statement: Statement, choice: str) -> str:
    if not choice:
        return _OPEN
    return _RIGHT if choice == statement.answer else _WRONG


def _tell(statement: Statement, told: ipywidgets.HTML):
    """What happens when a button of a statement is pressed."""

    def show(change: dict) -> None:
        word = "Right." if change["new"] == statement.answer else "Not so."
        sign = _mark(statement, change["new"])
        told.value = f"<p>{sign} <b>{word}</b> {html.escape(statement.why)}</p>"

    return show
