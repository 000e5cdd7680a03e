"""What a learner sees of hints and of progress: in colour, with symbols, and in words."""

import html
from dataclasses import dataclass

from leftopen.checks.verdict import Kind
from leftopen.course import Question
from leftopen.progress import Record

_STATES = {"RIGHT": "right", "NOT_YET": "not yet", "ERROR": "an error in your cell"}


@dataclass(frozen=True)
class Hints:
    """The hints of one question that were taken so far, of ``most``."""

    texts: tuple[str, ...]
    most: int

    def _head(self, place: int) -> str:
        return f"Hint {place} of {self.most}."

    def __repr__(self) -> str:
        return "\n".join(f"{self._head(n)} {text}" for n, text in enumerate(self.texts, 1))

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<p style='margin:0.3em 0'><b>{self._head(n)}</b> {html.escape(text)}</p>"
            for n, text in enumerate(self.texts, 1)
        )
        return f"<div style='border-left:4px solid #5A5A00;padding:0.2em 0.8em'>{rows}</div>"


@dataclass(frozen=True)
class Reason:
    """Why a question matters."""

    text: str

    def __repr__(self) -> str:
        return f"Why it matters. {self.text}"

    def _repr_html_(self) -> str:
        return (
            "<div style='border-left:4px solid #006B4D;padding:0.2em 0.8em'>"
            f"<b>Why it matters.</b> {html.escape(self.text)}</div>"
        )


@dataclass(frozen=True)
class Board:
    """The progress of one learner in one exercise."""

    exercise: str
    learner: str
    questions: tuple[Question, ...]
    records: dict[int, Record]

    @property
    def points(self) -> int:
        """The points of the questions that were solved."""
        return sum(q.points for q in self.questions if self._record(q).solved)

    def _record(self, question: Question) -> Record:
        return self.records.get(question.number, Record())

    def _state(self, question: Question) -> tuple[str, str, str]:
        """Symbol, words and colour of a question's state."""
        record = self._record(question)
        name = "RIGHT" if record.solved else record.last
        kind = Kind[name] if name in Kind.__members__ else Kind.NOT_ATTEMPTED
        return kind.value[0], _STATES.get(kind.name, "not attempted"), kind.value[2]

    def _head(self) -> str:
        solved = sum(self._record(q).solved for q in self.questions)
        most = sum(q.points for q in self.questions)
        return (
            f"{self.exercise}: {solved} of {len(self.questions)} right, "
            f"{self.points} of {most} points (learner: {self.learner})"
        )

    def __repr__(self) -> str:
        lines = [self._head()]
        for q in self.questions:
            symbol, words, _ = self._state(q)
            record = self._record(q)
            lines.append(
                f"{symbol} {q.number}. {q.title}: {words}; {q.points} points, "
                f"{record.tries} tries, {record.hints} hints"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = ""
        for q in self.questions:
            symbol, words, colour = self._state(q)
            record = self._record(q)
            cells = (q.number, html.escape(q.title), q.points, record.tries, record.hints)
            state = f"<td style='text-align:left;color:{colour}'><b>{symbol} {words}</b></td>"
            rows += (
                "<tr>" + "".join(f"<td style='text-align:left'>{c}</td>" for c in cells) + state
            ) + "</tr>"
        heads = ("", "question", "points", "tries", "hints", "state")
        head = "".join(f"<th style='text-align:left'>{h}</th>" for h in heads)
        caption = f"<caption style='text-align:left'>{html.escape(self._head())}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
