"""Exercise 04, question 3: what of a leak goes into a score, and what does not.

The metrics are those of FIRST's "Common Vulnerability Scoring System version 3.1: Specification
Document", sections 2 and 4. That an open database keeps its scope, and that deleting counts as
availability, is how this course reads them.
"""

import itertools
from collections.abc import Callable, Mapping

from leftopen import cvss
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw

REACHED = {"anywhere": "N", "the same network": "A", "the same machine": "L"}
ASKED = {"nothing": "N", "any account": "L", "an administrator": "H"}
AMOUNTS = {"all": "H", "some": "L", "none": "N"}
MATTERS = {"much": "H", "as usual": "M", "little": "L"}
DEEDS = {"read": "C", "change": "I", "delete": "A"}
_VARIANTS = 24
_DRAWN = 24
# Leaks in which what matters goes against the number of people, so that taking it from that shows.
_AGAINST = {1: (4_000_000, "little"), 2: (0, "much")}
_LOSS, _DEMANDS = frozenset("CIA"), frozenset({"CR", "IR", "AR"})
_ONE_METRIC = {
    "AV": "neighbour_or_anywhere",
    "AC": "luck_taken_for_difficulty",
    "PR": "account_or_none",
    "UI": "somebody_has_to_help",
    "S": "scope_of_the_people",
}

Seen = Mapping[str, object]


def metrics(seen: Seen, deeds: str = "can") -> dict[str, str]:
    """The metrics of a vector for what was seen.

    Args:
        seen: as :func:`leaks` gives it.
        deeds: of which key the loss is taken; another one than "can" is a mistake.
    """
    found = {"AV": REACHED[seen["reached_from"]], "AC": "L", "PR": ASKED[seen["asked_for"]]}
    found |= {"UI": "N", "S": "U"}
    for deed, letter in DEEDS.items():
        found[letter] = AMOUNTS[seen[deeds][deed]]
        found[f"{letter}R"] = MATTERS[seen["matters"][deed]]
    return found


def text(found: Mapping[str, str]) -> str:
    """Metrics as a vector."""
    return "/".join(["CVSS:3.1", *(f"{name}:{letter}" for name, letter in found.items())])


def leaks(number: int) -> list[dict[str, object]]:
    """What was seen of a learner's leaks; the first is the one of the task."""
    draw = Draw(f"set {number}", "04 question 3")
    return [_leak(draw, n) for n in range(_DRAWN)]


def _leak(draw: Draw, n: int) -> dict[str, object]:
    can = {deed: draw.pick(f"{deed} {n}", ("all", "all", "some", "none")) for deed in DEEDS}
    can["read"] = draw.pick(f"sure {n}", ("all", "some"))  # nobody sees what nobody may read
    kept = {deed: (amount, amount, "none") for deed, amount in can.items()}
    done = {deed: draw.pick(f"done {deed} {n}", amounts) for deed, amounts in kept.items()}
    if n == 0:
        can, done = {**can, "change": "all"}, {**done, "change": "none"}
    people = draw.pick(f"people {n}", (0, 40, 3_000, 250_000, 4_000_000))
    matters = {deed: draw.pick(f"matters {deed} {n}", tuple(MATTERS)) for deed in DEEDS}
    if n in _AGAINST:
        people, matters = _AGAINST[n][0], dict.fromkeys(DEEDS, _AGAINST[n][1])
    return {
        "reached_from": draw.pick(f"from {n}", (*REACHED, "anywhere")),
        "asked_for": draw.pick(f"asked {n}", (*ASKED, "nothing")),
        "can": can,
        "was_done": done,
        "listed": bool(draw.number(f"listed {n}", 2)),
        "people": people,
        "matters": matters,
    }


def _task(draw: Draw) -> Task:
    number = draw.number("leaks", _VARIANTS)
    means = {
        "reached_from": 'from where it can be reached: "anywhere", "the same network", or "the '
        'same machine"',
        "asked_for": 'what it asks for first: "nothing", "any account", or "an administrator"',
        "can": 'how much who gets in can do: "all", "some" or "none"',
        "was_done": "how much of it strangers have done, as far as the log goes",
        "listed": "whether a search engine for devices lists it",
        "people": "how many people are in the records",
        "matters": 'how much the operator says each would matter: "much", "as usual", "little"',
    }
    leak = leaks(number)[0]
    rows = {name: (leak[name], meaning) for name, meaning in means.items()}
    return Task(number=(number, "the number of your leaks; not a part of them"), **rows)


def _check(at: Attempt, vector: Callable[[dict], str]) -> str:
    """Each leak's vector has the right letter for each metric; their order does not count."""
    asked = leaks(at.task["number"])
    given = [_read(vector(_copy(leak)), leak) for leak in asked]
    wrong = {}
    for leak, found in zip(asked, given, strict=True):
        for name, letter in metrics(leak).items():
            if found[name] != letter:
                wrong.setdefault(name, []).append((leak, found))
    at.note("your function", f"call it for {len(asked)} leaks", f"{_count(wrong)} wrong")
    if not wrong:
        for leak in asked[:3]:
            made = metrics(leak)
            at.note("a leak", text(made), f"a score of {cvss.score(text(made))}")
        return RIGHT
    name = next(iter(wrong))
    leak, found = wrong[name][0]
    at.note("a leak", _told(leak), f"{name}:{found[name]}")
    at.values.update(metric=name, letter=found[name], count=len(wrong))
    return _verdict(asked, given, set(wrong))


def _count(wrong: dict[str, list]) -> str:
    return "1 letter is" if len(wrong) == 1 else f"{len(wrong) or 'no'} letters are"


def _told(leak: dict) -> str:
    parts = {
        name: ", ".join(f"{deed} {word}" for deed, word in value.items())
        for name, value in leak.items()
        if isinstance(value, dict)
    }
    return "; ".join(f"{name}: {value}" for name, value in (leak | parts).items())


def _copy(leak: dict) -> dict:
    return {name: dict(v) if isinstance(v, dict) else v for name, v in leak.items()}


def _read(given: object, leak: dict) -> dict[str, str]:
    """The metrics of a vector; a requirement that is not given is M, as one that is X."""
    if not isinstance(given, str):
        raise BadAnswer(f"`vector` must return a str; for {leak} it returned {given!r}")
    cvss.score(given)  # says what is wrong with it
    if not given.startswith("CVSS:3.1/"):
        raise BadAnswer(f"`vector` returned {given!r}. A vector of version 3.1 is asked for")
    found = dict(part.split(":") for part in given.split("/")[1:])
    required = {name: found.get(name, "M").replace("X", "M") for name in _DEMANDS}
    modified = [name for name in found if name.startswith("M") and found[name] != "X"]
    if modified:
        raise BadAnswer(f"`vector` returned {given!r}. {modified[0]} is none of the metrics here")
    return found | required


def _verdict(asked: list[dict], given: list[dict], wrong: set[str]) -> str:
    """Name the mistake by the metrics that are wrong, and by what would explain the letters."""
    if len(wrong) == 1 and (name := next(iter(wrong))) in _ONE_METRIC:
        return _ONE_METRIC[name]
    none_given = all(found[name] == "M" for found in given for name in _DEMANDS)
    if wrong <= _LOSS:
        if _all_as(given, [metrics(leak, "was_done") for leak in asked]):
            return "done_for_possible"
        if _all_as(given, [_deleting_changes(leak) for leak in asked]):
            return "deleting_is_no_change"
        if wrong == {"C"} and _hangs_on_people(asked, given, "C"):
            return "people_counted"
        return "another_loss"
    if wrong <= _DEMANDS:
        if none_given:
            return "matters_left_out"
        by_people = all(_matters_by_people(asked, given, name) for name in wrong)
        return "people_for_matters" if by_people else "matters_mixed_up"
    if wrong <= _DEMANDS | _LOSS and none_given:
        return "matters_in_the_loss"
    return "several_metrics"


def _all_as(given: list[dict], mistaken: list[dict]) -> bool:
    return all(
        found[name] == letters[name]
        for found, letters in zip(given, mistaken, strict=True)
        for name in _LOSS
    )


def _deleting_changes(leak: dict) -> dict[str, str]:
    """Deleting taken for a change, and availability for the server's answering alone."""
    found = metrics(leak)
    return found | {"I": max(found["I"], found["A"], key="NLH".index), "A": "N"}


def _hangs_on_people(asked: list[dict], given: list[dict], name: str) -> bool:
    """Whether a metric's letters differ, and fewer people never have a higher one."""
    letters = ["NLMH".index(found[name]) for found in given]
    pairs = sorted(zip((leak["people"] for leak in asked), letters, strict=True))
    if len(set(letters)) == 1:
        return False
    return all(a[1] <= b[1] for a, b in itertools.pairwise(pairs))


def _matters_by_people(asked: list[dict], given: list[dict], name: str) -> bool:
    """Whether a requirement hangs on the people, in all leaks, or from one number of them on."""
    if _hangs_on_people(asked, given, name):
        return True
    pairs = [(leak["people"], metrics(leak)[name], found[name])
             for leak, found in zip(asked, given, strict=True)]  # fmt: skip
    wrong = [people for people, right, letter in pairs if letter != right]
    many = {letter for people, _, letter in pairs if people >= min(wrong)}
    few = {letter for people, _, letter in pairs if people <= max(wrong)}
    differ = len({letter for _, _, letter in pairs}) > 1
    return differ and (many == {"H"} or few == {"L"})


QUESTION = Question(asks={"vector": Callable}, check=_check, task=_task)
