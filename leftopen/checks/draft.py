"""Judging a draft: statements under letters, and for each the word that the ledger supports.

The statements are the course's own, in the words of a draft for a newspaper; the claims of the
ledger beside each say where it belongs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt, Task
from leftopen.learner import Draw

_LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Statement:
    """One statement of a draft.

    Attributes:
        text: what is said.
        claims: the claims of the ledger to read.
        word: where it belongs.
        kind: of which misconception it is a trial.
    """

    text: str
    claims: str
    word: str
    kind: str


def task(draw: Draw, chosen: Iterable[Statement]) -> Task:
    """Statements under letters, in an order of the learner's own."""
    shown = zip(_LETTERS, draw.shuffle("order", list(chosen)), strict=True)
    return Task(**{letter: (s.text, f"read {s.claims}") for letter, s in shown})


def judge(
    at: Attempt, judged: dict, every: Iterable[Statement], words: tuple[str, ...]
) -> dict[str, Statement]:
    """Note what was answered, and return the statements that got another word than theirs.

    Args:
        at: where the evidence goes; its task is one of :func:`task`.
        judged: letter -> word.
        every: all statements that a task can have.
        words: the words to choose from.

    Raises:
        BadAnswer: a letter is missing, or a word is none of these.
    """
    known = {s.text: s for s in every}
    asked = {letter: known[text] for letter, text in at.task.items()}
    _must_be_complete(judged, asked, words)
    for word in words:
        count = sum(given == word for given in judged.values())
        at.note("your answer", f"count the letters with {word!r}", str(count))
    wrong = {letter: s for letter, s in asked.items() if judged[letter] != s.word}
    if not wrong:
        for letter, s in asked.items():
            at.note(letter, f"read {s.claims.replace(' ', ', ')}", s.word)
    at.values["count"] = len(wrong)
    return wrong


def _must_be_complete(judged: dict, asked: Mapping[str, Statement], words: tuple[str, ...]) -> None:
    if set(judged) != set(asked):
        letters = f"{min(asked)} to {max(asked)}"
        missing = ", ".join(letter for letter in asked if letter not in judged)
        strange = ", ".join(repr(key) for key in judged if key not in asked)
        found = [f"without a word: {missing}"] * bool(missing)
        found += [f"no letter of the task: {strange}"] * bool(strange)
        raise BadAnswer(
            f"`judged` must have the letters {letters} as keys, and no others; {'; '.join(found)}"
        )
    if strange := [word for word in judged.values() if word not in words]:
        raise BadAnswer(
            f"`judged` holds {strange[0]!r}. Use the words {', '.join(map(repr, words))}"
        )
