"""Exercise 04, question 3: CVSS 3.1, the base score and what the requirements make of it.

The equations and the weights are those of FIRST's "Common Vulnerability Scoring System version 3.1:
Specification Document", sections 7.1, 7.3, 7.4 and appendix A; the wrong ones are ours.
"""

import math
from collections.abc import Callable
from numbers import Real

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw

WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "CIA": {"H": 0.56, "L": 0.22, "N": 0.0},
    "requirement": {"H": 1.5, "M": 1.0, "L": 0.5},
}
_CHANGED = {"N": 0.85, "L": 0.68, "H": 0.5}  # PR where the scope changes
_MOST = 0.915
_VARIANTS = 24
_DRAWN = 60

Rounding = Callable[[float], float]


def roundup(score: float) -> float:
    """The smallest number with one decimal that is not below the score (appendix A)."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10


def score(
    vector: str,
    *,
    rounding: Rounding = roundup,
    scope: bool = True,
    changed_pr: bool = True,
    requirements: bool = True,
    most: float = _MOST,
    no_impact_is_zero: bool = True,
) -> float:
    """The score of a vector; with CR, IR and AR the environmental one, else the base score.

    Args:
        vector: as ``"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/CR:L"``.
        rounding: what makes one decimal of it; another one is a mistake, as is each that follows.
        scope: whether the scope counts.
        changed_pr: whether PR has other weights where the scope changes.
        requirements: whether CR, IR and AR count.
        most: what the impact stops at where they stand.
        no_impact_is_zero: whether nothing done is the score 0.
    """
    metrics = dict(part.split(":") for part in vector.split("/")[1:])
    changed = scope and metrics["S"] == "C"
    required = requirements and any(f"{name}R" in metrics for name in "CIA")
    left = 1.0
    for name in "CIA":
        demand = WEIGHTS["requirement"][metrics.get(f"{name}R", "M")] if required else 1.0
        left *= 1 - WEIGHTS["CIA"][metrics[name]] * demand
    share = min(1 - left, most) if required else 1 - left
    impact = 7.52 * (share - 0.029) - 3.25 * (share - 0.02) ** 15 if changed else 6.42 * share
    if impact <= 0 and no_impact_is_zero:
        return 0.0
    privileges = _CHANGED if changed and changed_pr else WEIGHTS["PR"]
    ease = 8.22 * privileges[metrics["PR"]]
    for name in ("AV", "AC", "UI"):
        ease *= WEIGHTS[name][metrics[name]]
    return rounding(min((1.08 if changed else 1) * (impact + ease), 10))


def _down(value: float) -> float:
    return math.floor(value * 10 + 1e-6) / 10


def _nearest(value: float) -> float:
    return round(value, 1)


def _plain(value: float) -> float:
    return value


# In this order a mistake is looked for: whose scores all of the learner's are.
_MISTAKES: dict[str, Callable[[str], float]] = {
    "not_rounded": lambda v: score(v, rounding=_plain),
    "rounded_down": lambda v: score(v, rounding=_down),
    "rounded_to_nearest": lambda v: score(v, rounding=_nearest),
    "scope_ignored": lambda v: score(v, scope=False),
    "privileges_as_before": lambda v: score(v, changed_pr=False),
    "requirements_ignored": lambda v: score(v, requirements=False),
    "impact_not_held": lambda v: score(v, most=math.inf),
    "nothing_done_scores": lambda v: score(v, no_impact_is_zero=False),
}


def vectors(number: int) -> list[str]:
    """The vectors of a learner: every kind of them, so that each mistake shows."""
    draw = Draw(f"set {number}", "04 question 3")
    found = []
    for n in range(_DRAWN):
        metrics = [
            f"{name}:{draw.pick(f'{name} {n}', options)}"
            for name, options in (
                ("AV", "NNAL"), ("AC", "LLH"), ("PR", "NLH"), ("UI", "NNR"), ("S", "UUC"),
                ("C", "HHLN"), ("I", "HLN"), ("A", "HLN"),
            )
        ]  # fmt: skip
        if n % 2 and metrics[4] == "S:U":
            metrics += [f"{name}R:{draw.pick(f'{name}R {n}', 'HML')}" for name in "CIA"]
        found.append("/".join(["CVSS:3.1", *metrics]))
    full = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    found += [full, f"{full}/CR:H/IR:H/AR:H", f"{full}/CR:L/IR:L/AR:L"]
    found += [full.replace("S:U/C:H/I:H/A:H", f"S:{scope}/C:N/I:N/A:N") for scope in "UC"]
    found += [full.replace("PR:N", "PR:L").replace("S:U", "S:C")]
    found += [full.replace("AC:L/PR:N", "AC:H/PR:L").replace("I:H/A:H", "I:H/A:N") + "/CR:H"]
    return found


def _task(draw: Draw) -> Task:
    number = draw.number("vectors", _VARIANTS)
    drawn = vectors(number)
    base = next(v for v in drawn if "CR:" not in v and "S:C" in v and 0 < score(v) < 9)
    more = next(v for v in drawn if "CR:" in v and score(v) not in (0, score(v[: v.index("/CR")])))
    return Task(
        number=(number, "the number of your vectors"),
        base=(base, f"a vector to try; its score is {score(base)}"),
        required=(more, f"another one, with requirements; its score is {score(more)}"),
    )


def _check(at: Attempt, given: Callable[[str], float]) -> str:
    """The function gives the score of each vector, to one decimal."""
    asked = vectors(at.task["number"])
    found = {}
    for vector in asked:
        found[vector] = given(vector)
        if isinstance(found[vector], bool) or not isinstance(found[vector], Real):
            raise BadAnswer(f"`score` returned {found[vector]!r} for {vector}. Return a number")
    wrong = [v for v in asked if not _same(found[v], score(v))]
    at.note("your function", f"score {len(asked)} vectors", f"{len(wrong)} wrong")
    if not wrong:
        return RIGHT
    for vector in wrong[:3]:
        at.note("your function", vector, f"{found[vector]:.6g}, and not {score(vector)}")
    at.values.update(count=len(wrong), total=len(asked))
    for name, mistaken in _MISTAKES.items():
        if all(_same(found[vector], mistaken(vector)) for vector in asked):
            return name
    return _in_common(wrong)


def _in_common(wrong: list[str]) -> str:
    """What all vectors with a wrong score have in common, where no known mistake explains them."""
    if all("S:C" in vector for vector in wrong):
        return "changed_scope_wrong"
    if all("CR:" in vector for vector in wrong):
        return "requirements_wrong"
    return "another_formula"


def _same(given: float, value: float) -> bool:
    return abs(given - value) < 1e-6


QUESTION = Question(asks={"score": Callable}, check=_check, task=_task)
