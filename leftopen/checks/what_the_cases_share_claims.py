"""Exercise 04, question 2: which figures do not follow from the numbers beside them.

All figures are invented. Each claim states numbers, which are right, and a figure made from them.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw

_VARIANTS = 40
_LETTERS = "ABCDEFGH"
_RISES = ((20, 25), (12, 15), (30, 42), (16, 24), (25, 35), (40, 46))
_NEAR = 0.01  # of the figure, or half of one where that is more


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        text: numbers, and the figure made from them, which stands last.
        said: the figure as it is claimed.
        right: the figures that follow from the numbers; several where the words allow them.
        kind: the mistake that it was made with; empty where the figure follows.
        wrong: figures that are easily put in its place, with the name of their near miss.
    """

    text: str
    said: float
    right: tuple[float, ...]
    kind: str = ""
    wrong: dict[str, float] = field(default_factory=dict)


def _base(draw: Draw) -> Claim:
    """A share taken from more than the words say."""
    share = draw.pick("share", (23, 34, 38, 46, 62))
    if draw.number("base", 2):
        seen = 1_000 * (30 + draw.number("seen", 60))
        part = seen * (12 + draw.number("part", 15)) // 100
        text = (f"A scan reached {seen:,} servers. {part:,} of them asked for no login, and "
                f"{share} % of those without a login had been wiped")  # fmt: skip
        thing = "servers"
    else:
        seen = 100 * (31 + draw.number("seen", 50))
        part = seen * (35 + draw.number("part", 15)) // 100
        text = (f"{seen:,} owners got a notice. {part:,} of them answered, and {share} % of those "
                "who answered did so within a day")  # fmt: skip
        thing = "owners"
    said = round(seen * share / 100)
    right = part * share / 100
    return Claim(f"{text}: {said:,} {thing}.", said, (right,), "base")


def _double(draw: Draw) -> Claim:
    """Two lists added, though they share a part."""
    first, second = (100 * (28 + draw.number(name, 40)) + 37 for name in ("first", "second"))
    both = min(first, second) * (31 + draw.number("both", 30)) // 100
    text = draw.pick(
        "double",
        (
            f"A scan found {first:,} open servers in March and {second:,} in April, {both:,} of "
            "which had been found in March already. Different open servers in the two months",
            f"One list of leaks has {first:,} entries, another one {second:,}, and {both:,} leaks "
            "stand in both. Different leaks in the two lists",
        ),
    )
    total = first + second
    wrong = {"both_left_out": total - 2 * both, "both_alone": both}
    return Claim(f"{text}: {total:,}.", total, (total - both,), "double", wrong)


def _days(draw: Draw) -> list[int]:
    """Seven different numbers of days, one of them very large; the fourth is not the median."""
    days, step = [], 0
    for n in range(5):
        step += 1 + draw.number(f"day {n}", 5)
        days.append(step)
    days += [40 + draw.number("long", 60), 250 + draw.number("longest", 150)]
    shown = draw.shuffle("days", days)
    if shown[3] == sorted(days)[3]:
        shown[3], shown[6] = shown[6], shown[3]
    return shown


def _mean(draw: Draw) -> Claim:
    """A mean that is called a median."""
    days = _days(draw)
    mean = round(statistics.mean(days), 1)
    text = f"Seven databases were closed after {', '.join(map(str, days))} days. Median, in days"
    wrong = {"middle_of_the_list": days[3]}
    return Claim(f"{text}: {mean}.", mean, (statistics.median(days),), "mean", wrong)


def _points(draw: Draw) -> Claim:
    """A difference of percentages that is called a rise in per cent."""
    before, after = draw.pick(
        "points", ((20, 25), (12, 15), (30, 42), (16, 24), (25, 35), (40, 46))
    )
    text = draw.pick(
        "rise",
        (
            f"In one year {before} % of the owners answered a notice, in the next {after} %. Rise "
            "of this share over that of the first year, in per cent",
            f"The share of servers with a login went from {before} % to {after} %. Rise, as a "
            "percentage of the earlier share",
        ),
    )
    right = 100 * (after - before) / before
    wrong = {"rise_of_the_later": 100 * (after - before) / after}
    wrong["rise_and_all"] = 100 * after / before
    return Claim(f"{text}: {after - before} %.", after - before, (right,), "points", wrong)


def _rate(draw: Draw) -> Claim:
    """A rate over fewer days than the words say."""
    first, days = 2 + draw.number("first", 6), 12 + draw.number("span", 8)
    count = days * (14 + draw.number("count", 20)) + 1 + draw.number("more", 6)
    said = round(count / (days - 4))
    text = (f"A decoy ran from {first} to {first + days - 1} May, both days included, and got "
            f"{count} requests in all. Requests a day, on average")  # fmt: skip
    wrong = {"days_between": count / (days - 1), "days_between ": count / (days + 1)}
    return Claim(f"{text}: {said}.", said, (count / days,), "rate", wrong)


def _sound_share(draw: Draw) -> Claim:
    sent = 400 + draw.number("sent", 300)
    answered = sent * (31 + draw.number("answered", 30)) // 100
    said = round(100 * answered / sent)
    text = f"Of {sent} owners who got a notice, {answered} answered, rounded to whole per cent"
    return Claim(f"{text}: {said} %.", said, (100 * answered / sent,))


def _sound_sum(draw: Draw) -> Claim:
    first, second = (1_000 + draw.number(name, 6_000) for name in ("one", "other"))
    text = (f"A scan found {first:,} open servers in one country and {second:,} in another. In "
            "both countries together")  # fmt: skip
    return Claim(f"{text}: {first + second:,}.", first + second, (first + second,))


def _sound_median(draw: Draw) -> Claim:
    days = _days(Draw(f"sound {draw.number('sound', 10**6)}", "04 question 2"))[:5]
    median = statistics.median(days)
    text = f"Five databases were closed after {', '.join(map(str, days))} days. Median, in days"
    return Claim(f"{text}: {median}.", median, (median,))


def _sound_times(draw: Draw) -> Claim:
    before = 150 + draw.number("before", 200)
    after = before * (21 + draw.number("after", 20)) // 10
    text = (f"There were {before} leaks in the first half of the year and {after} in the second. "
            "So many times as many, to one decimal")  # fmt: skip
    return Claim(f"{text}: {after / before:.1f}.", round(after / before, 1), (after / before,))


def _sound_size(draw: Draw) -> Claim:
    records, each = 1_000_000 * (3 + draw.number("records", 60)), 1_000 + draw.number("each", 3_000)
    size = round(records * each / 1e9, 1)
    text = (f"{records:,} records take up {size:,} GB (1 GB is 1,000,000,000 bytes). Bytes a "
            "record, rounded to ten")  # fmt: skip
    mean = size * 1e9 / records
    return Claim(f"{text}: {round(mean, -1):,.0f}.", round(mean, -1), (mean,))


_FAILING: tuple[Callable[[Draw], Claim], ...] = (_base, _double, _mean, _points, _rate)
_SOUND = (_sound_share, _sound_sum, _sound_median, _sound_times, _sound_size)


def claims(number: int) -> dict[str, Claim]:
    """A learner's eight claims under letters: five fail, three hold."""
    draw = Draw(f"set {number}", "04 question 2")
    chosen = [make(draw) for make in (*_FAILING, *draw.shuffle("sound", _SOUND)[:3])]
    return dict(zip(_LETTERS, draw.shuffle("order", chosen), strict=True))


def _task(draw: Draw) -> Task:
    number = draw.number("claims", _VARIANTS)
    rows = {letter: (claim.text, "invented") for letter, claim in claims(number).items()}
    return Task(number=(number, "the number of your claims"), **rows)


def _check(at: Attempt, corrected: dict) -> str:
    """Exactly the letters of the claims that fail, each with the figure that follows."""
    asked = claims(at.task["number"])
    _must_be_figures(corrected, asked)
    letters = ", ".join(sorted(corrected)) or "none"
    at.note("your answer", "letters of claims that fail", letters)
    if not corrected:
        return "nothing_wrong"
    for letter in sorted(corrected):
        claim = asked[letter]
        if not claim.kind:
            at.values.update(letter=letter, said=f"{claim.said:,.10g}")
            return "all_listed" if len(corrected) == len(asked) else "sound_accused"
    believed = [letter for letter, claim in asked.items() if claim.kind and (
        letter not in corrected or _is(corrected[letter], claim.said))]  # fmt: skip
    if believed:
        at.values.update(letter=believed[0], count=len(believed))
        if len(believed) > 1:
            return "several_believed"
        return f"{asked[believed[0]].kind}_believed"
    for letter, given in sorted(corrected.items()):
        claim = asked[letter]
        if not _follows(given, claim):
            at.note("your answer", f"figure for {letter}", f"{given:,.6g}")
            at.values.update(letter=letter, answer=f"{given:,.6g}")
            return _which(given, claim)
        at.note(letter, f"claimed {claim.said:,.10g}, computed", f"{claim.right[0]:,.6g}")
    return RIGHT


def _follows(given: float, claim: Claim) -> bool:
    """Whether a figure is right, or the right one rounded as the claim prints its own."""
    half = 0.5 if float(claim.said).is_integer() and claim.kind != "mean" else 0.05
    rounded = float(given / (2 * half)).is_integer() or half < 0.5
    return any(
        _is(given, right) or (rounded and abs(given - right) <= half) for right in claim.right
    )


def _which(given: float, claim: Claim) -> str:
    if claim.kind == "points" and _is(given, claim.right[0] / 100):
        return "not_in_per_cent"
    named = (name.strip() for name, value in claim.wrong.items() if _is(given, value))
    return next(named, "other_figure")


def _must_be_figures(corrected: dict, asked: dict[str, Claim]) -> None:
    if strange := [key for key in corrected if key not in asked]:
        raise BadAnswer(f"`corrected` has the key {strange[0]!r}. Its keys are letters from A to H")
    for letter, given in corrected.items():
        if isinstance(given, bool) or not isinstance(given, Real) or given != given:
            raise BadAnswer(f"`corrected` has {given!r} for {letter}. Give a number, as 12.5")


def _is(given: float, value: float) -> bool:
    return abs(given - value) <= max(_NEAR * abs(value), 0.05)


QUESTION = Question(asks={"corrected": dict}, check=_check, task=_task, value=True)
