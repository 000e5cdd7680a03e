"""Exercise 02, question 5: what sources agree on, what they dispute, and what nobody shows."""

from leftopen.checks import draft
from leftopen.checks.draft import Statement
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.learner import Draw

AGREED, DISPUTED, NOT_SHOWN = WORDS = ("agreed", "disputed", "not shown")


_AGREED = tuple(
    Statement(*each, AGREED, "agreed")
    for each in (
        ("The database was an Elasticsearch server.", "BJ2"),
        ("It could be read in a web browser, without a password.", "BJ3"),
        ("It stood on machines of Alibaba Cloud.", "BJ4"),
        ("It stood open for weeks.", "BJ8"),
        ("TechCrunch told Alibaba of it, and soon after it was offline.", "BJ9"),
        ("Names and identity numbers stood in it.", "BJ20"),
    )
)
_DISPUTED = tuple(
    Statement(*each, DISPUTED, "disputed")
    for each in (
        ("The customer ran Alibaba's City Brain.", "BJ30 AL2"),
        ("City Brain computed what was written about the faces.", "BJ31 BJ30"),
        ("Alibaba itself pulled the data offline.", "BJ32 BJ9"),
    )
)
_WHO = tuple(
    Statement(*each, NOT_SHOWN, "who")
    for each in (
        ("The police of Beijing ran the database.", "BJ4 BJ10"),
        ("An employee of the customer opened the port.", "BJ4 AL7"),
        ("Alibaba Cloud opened the port by mistake.", "AL1 AL7"),
    )
)
_MONTHS = tuple(
    Statement(*each, NOT_SHOWN, "months")
    for each in (
        ("Strangers could read it for several months.", "BJ5 BJ8"),
        ("It had stood open since its first record.", "BJ5 BJ8"),
    )
)
_ELSEWHERE = tuple(
    Statement(*each, NOT_SHOWN, "elsewhere")
    for each in (
        ("It held 56 GB in 22 indices.", "BJ5 AL4"),
        ("It recorded the licence plates of cars.", "BJ28"),
        ("It was offline within hours of the notice.", "BJ9 AL4"),
    )
)
_ALL = (*_AGREED, *_DISPUTED, *_WHO, *_MONTHS, *_ELSEWHERE)


def task(draw: Draw) -> Task:
    """Eight statements under letters: three agreed, two disputed, three that nobody shows."""
    chosen = draw.shuffle("agreed", _AGREED)[:3] + draw.shuffle("disputed", _DISPUTED)[:2]
    chosen += [draw.pick(group[0].kind, group) for group in (_WHO, _MONTHS, _ELSEWHERE)]
    return draft.task(draw, chosen)


def check(at: Attempt, judged: dict) -> str:
    """For each letter the right word."""
    wrong = draft.judge(at, judged, _ALL, WORDS)
    return _verdict(judged, wrong) if wrong else RIGHT


def _verdict(judged: dict, wrong: dict[str, Statement]) -> str:
    if len(set(judged.values())) == 1:
        return "all_alike"
    kinds = {s.kind for s in wrong.values()}
    if len(kinds) > 1:
        return "several_kinds"
    (kind,) = kinds
    if kind == "disputed":
        given = {judged[letter] for letter in wrong}
        return {AGREED: "denial_left_out", NOT_SHOWN: "said_by_one"}.get(
            given.pop() if len(given) == 1 else "", "several_kinds"
        )
    return {
        "agreed": "doubted_too_much",
        "who": "guess_printed",
        "months": "data_are_not_exposure",
        "elsewhere": "another_story",
    }[kind]
