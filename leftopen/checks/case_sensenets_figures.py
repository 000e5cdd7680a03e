"""Which statements do not fit the claims of the ledger; the ledger is read when it is asked.

What newspapers and companies said is quoted from the ledger. The drafts are ours, half of them with
a mistake on purpose, and are marked as drafts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from leftopen import ledger
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.learner import Draw

ABOUT = 0.005
"""How far, as a part of it, a figure after "about" may be from what was computed."""


@dataclass(frozen=True)
class Statement:
    """One statement about a figure.

    Attributes:
        text: what is said, and by whom.
        claims: the claims of the ledger to compare with.
        found: computes the figure from the values of these claims.
        said: the figure that is stated.
        words: how it is stated: ``about``, ``more than``, ``nearly``.
        kind: of which misconception it is a trial.
    """

    text: str
    claims: str
    found: Callable[..., float]
    said: float
    words: str
    kind: str

    def computed(self, values: dict[str, float]) -> float:
        """The figure as it follows from the values of the claims."""
        return self.found(*(values[claim] for claim in self.claims.split()))

    def fits(self, values: dict[str, float]) -> bool:
        """Whether the claims support it."""
        found = self.computed(values)
        if self.words == "more than":
            return found > self.said
        if self.words == "nearly":
            return 0.99 * self.said <= found < self.said
        return abs(found / self.said - 1) <= ABOUT


def _whole(share: float, total: int) -> float:
    """The share, in per cent, of the whole number of things that comes closest to ``share``."""
    return 100 * round(share * total / 100) / total


def _millions(number: float) -> float:
    return number / 1e6


def _kind(kind: str, *statements: tuple) -> tuple[Statement, ...]:
    return tuple(Statement(*statement, kind) for statement in statements)


_DAY = "million positions in 24 hours"
# Too high by a little; the words stand in the ledger, at SN8.
_MORE_THAN = _kind(
    "more_than",
    (f"Associated Press: more than 6.7 {_DAY}", "SN8", _millions, 6.7, "more than"),
    (f"CNET: more than 6.8 {_DAY}", "SN8", _millions, 6.8, "more than"),
)
# Right when it is rounded.
_ROUNDED = _kind(
    "rounded",
    (f"ZDNet: nearly 6.7 {_DAY}", "SN8", _millions, 6.7, "nearly"),
    (f"Financial Times: nearly 6.7 {_DAY}", "SN8", _millions, 6.7, "nearly"),
    ("Unit 42: 96 % of 80 decoys were taken over", "TA3", lambda p: _whole(p, 80), 96, "about"),
)
# Something else was counted, or over another time.
_OTHER_MEASURE = _kind(
    "other_measure",
    (
        "VOA: more than 386 million objects in January 2019, if objects are positions",
        "SN8",
        lambda seen: _millions(31 * seen),
        386,
        "more than",
    ),
    (
        "Comparitech: 18 requests a day, and 175 in all from 11 to 22 May 2020",
        "TA4",
        lambda requests: requests / 12,
        18,
        "about",
    ),
)
_PLAIN = _kind(
    "plain",
    ("Associated Press: more than 2.5 million people", "SN7", _millions, 2.5, "more than"),
    ("this course: 2.604 positions a person", "SN7 SN8", lambda n, seen: seen / n, 2.604, "about"),
    ("this course: 77.3 positions a second", "SN8", lambda seen: seen / 86_400, 77.3, "about"),
)
# Our own: what is computed, and how it is written rightly and wrongly.
_DRAFTS = (
    _kind(
        "draft",
        ("a draft: 4,640 positions a minute", "SN8", lambda seen: seen / 1440, 4640, "about"),
        ("a draft: 4,640 positions an hour", "SN8", lambda seen: seen / 24, 4640, "about"),
    ),
    _kind(
        "draft",
        ("a draft: 278,000 positions an hour", "SN8", lambda seen: seen / 24, 278_000, "about"),
        ("a draft: 278,000 positions a minute", "SN8", lambda seen: seen / 1440, 278_000, "about"),
    ),
    _kind(
        "draft",
        ("a draft: 2,470 people for each camera", "SN7 SN9", lambda n, c: n / c, 2470, "about"),
        ("a draft: 24,700 people for each camera", "SN7 SN9", lambda n, c: n / c, 24_700, "about"),
    ),
    _kind(
        "draft",
        ("a draft: 6,430 positions a camera a day", "SN8 SN9", lambda s, c: s / c, 6430, "about"),
        ("a draft: 643 positions a camera a day", "SN8 SN9", lambda s, c: s / c, 643, "about"),
    ),
)


def _drawn(draw: Draw) -> list[Statement]:
    """Seven statements of this learner's own, in an order of their own; three or four misfit."""
    first, second, third = draw.shuffle("drafts", _DRAFTS)[:3]
    groups = (_MORE_THAN, _ROUNDED, _OTHER_MEASURE, _PLAIN)
    chosen = [draw.pick(group[0].kind, group) for group in groups]
    chosen += [first[0], second[1], third[draw.number("third", 2)]]
    return draw.shuffle("statements", chosen)


def task(draw: Draw) -> Task:
    """The statements under letters, each with the claims to compare it with."""
    statements = zip("ABCDEFG", _drawn(draw), strict=True)
    return Task(**{letter: (s.text, f"compare with {s.claims}") for letter, s in statements})


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.2f}"


def check(at: Attempt, wrong: set) -> str:
    """Exactly the letters of the statements that do not fit."""
    every = {s.text: s for g in (_MORE_THAN, _ROUNDED, _OTHER_MEASURE, _PLAIN, *_DRAFTS) for s in g}
    asked = {letter: every[text] for letter, text in at.task.items()}
    if strange := sorted(repr(letter) for letter in wrong if letter not in asked):
        raise BadAnswer(
            f"`wrong` holds {strange[0]}. Put letters of your task into it, from A to G."
        )
    claims = sorted({claim for s in asked.values() for claim in s.claims.split()})
    values = {claim: ledger.number(claim) for claim in claims}
    for claim, value in values.items():
        at.note("the ledger", claim, f"{value:,.0f}")
    right = {letter for letter, statement in asked.items() if not statement.fits(values)}
    missing, extra = right - wrong, wrong - right
    if not missing and not extra:
        for letter, s in asked.items():
            at.note(letter, f"stated {s.words} {s.said:,}, computed", _shown(s.computed(values)))
        return RIGHT
    at.values.update(missing=len(missing), extra=len(extra))
    if not wrong:
        return "nothing_wrong"
    if wrong == set(asked) - right:
        return "those_that_fit"
    kinds = {asked[letter].kind for letter in missing | extra}
    told = {"more_than": "little_excused", "rounded": "rounding_refused"}
    told |= {"other_measure": "other_measure_excused", "draft": "unit_believed"}
    if len(kinds) == 1 and not (missing and extra):
        return told.get(kinds.pop(), "other_letters")
    return "other_letters"
