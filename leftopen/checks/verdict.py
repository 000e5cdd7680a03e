"""The five verdicts, each in colour, with a symbol, and in words."""

import html
from dataclasses import dataclass
from enum import Enum

from leftopen.errors import LeftOpenError


class Kind(Enum):
    """The five verdicts: symbol, words, colour (Okabe and Ito, dark enough on white)."""

    NOT_ATTEMPTED = ("○", "Not attempted.", "#595959")
    RIGHT = ("✓", "Right.", "#006B4D")
    NOT_YET = ("✗", "Not yet.", "#A34700")
    BLOCKED = ("■", "Blocked.", "#005A8C")
    ERROR = ("‼", "An error in your cell.", "#8A3A6B")


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Args:
        kind: one of the five.
        text: what it means for the learner, in a sentence or two.
        tried: what was tried, and what came back, one line each.
    """

    kind: Kind
    text: str
    tried: tuple[str, ...] = ()

    def __repr__(self) -> str:
        symbol, words, _ = self.kind.value
        return "\n".join([f"{symbol} {words} {self.text}", *(f"  · {line}" for line in self.tried)])

    def _repr_html_(self) -> str:
        symbol, words, colour = self.kind.value
        tried = "".join(f"<li>{html.escape(line)}</li>" for line in self.tried)
        return (
            f'<div style="border-left:4px solid {colour};padding:0.2em 0.8em">'
            f'<b style="color:{colour}">{symbol} {words}</b> {html.escape(self.text)}'
            f"{f'<ul>{tried}</ul>' if tried else ''}</div>"
        )


def error_in_cell(error: Exception) -> Verdict:
    """The verdict on an answer that could not even be looked at."""
    if isinstance(error, LeftOpenError):  # its message names the next step
        return Verdict(Kind.ERROR, f"Nothing could be checked. {str(error).rstrip('.')}.")
    return Verdict(
        Kind.ERROR,
        f"Nothing could be checked: {type(error).__name__}: {error}. "
        "Correct the cell that makes the answer, and run both again.",
    )
