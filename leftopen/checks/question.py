"""What every question is made of: the learner's task, the lab it begins with, the check."""

import html
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from leftopen.lab import Lab
from leftopen.learner import Draw

RIGHT = "right"
UNTOUCHED = "untouched"


class Task(Mapping[str, object]):
    """What is asked of this learner: names and values, each with its meaning.

    It shows itself as a table, and ``task["account"]`` is a value of it.

    Args:
        rows: for each name its value and what it means.
    """

    def __init__(self, **rows: tuple[object, str]) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> object:
        if name not in self._rows:
            raise KeyError(
                f"{name!r} is not in this task; it has: {', '.join(self._rows)}. If it is another "
                "question's, run `task = ex.task(n)` of yours again"
            )
        return self._rows[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return "\n".join(
            f"{f'task[{name!r}]':<22} {_shown(value)}   ({meaning})"
            for name, (value, meaning) in self._rows.items()
        )

    def _repr_html_(self) -> str:
        left = "style='text-align:left;vertical-align:top'"
        rows = "".join(
            f"<tr><td {left}><code>task[{html.escape(repr(name))}]</code></td>"
            f"<td {left}><code>{html.escape(_shown(value))}</code></td>"
            f"<td {left}>{html.escape(meaning)}</td></tr>"
            for name, (value, meaning) in self._rows.items()
        )
        return f"<table><caption style='text-align:left'>Your task</caption>{rows}</table>"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(part)}" for name, part in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(sorted(map(str, value)) if isinstance(value, set) else map(str, value))
    return str(value)


@dataclass
class Attempt:
    """One run of a check: the learner's task, what was tried, and what was measured.

    Attributes:
        task: the learner's values.
        tried: the evidence, one line for each thing that was tried.
        values: what the sentences of the manifest have in braces.
        interrupted: set when the learner stops the check, for a check that waits long.
    """

    task: Task
    tried: list[str] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)
    interrupted: threading.Event = field(default_factory=threading.Event)

    def note(self, who: str, what: str, answer: str) -> None:
        """Add a line of evidence, as ``as the stranger: read one document → refused``."""
        self.tried.append(f"{who}: {what} → {answer}")


@dataclass(frozen=True)
class Question:
    """One question as it is tried; its texts are in the manifest.

    Args:
        asks: the names and types of what it wants, in order.
        check: takes an :class:`Attempt` and the answers; returns ``RIGHT``, ``UNTOUCHED``, or the
            name of a near miss. What it raises is the learner's error.
        task: draws the learner's values.
        lab: opens the server as the question begins, or ``None`` where it needs none. It may
            depend on the task alone, so that equal tasks are equal questions.
        value: whether an answer is a value that another learner's must differ from.
    """

    asks: dict[str, type]
    check: Callable[..., str]
    task: Callable[[Draw], Task] = lambda _: Task()
    lab: Callable[[Task], Lab] | None = None
    value: bool = False
