"""Exercise 03, question 4: what the report says, what speaks against it, what only somebody claims.

All of it rests on one report and its copies, so that nothing here is agreed by several sources.
"""

from leftopen.checks import draft
from leftopen.checks.draft import Statement
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.learner import Draw

REPORTED, CONTRADICTED, CLAIMED, NOT_STATED = WORDS = (
    "reported",
    "contradicted",
    "claimed",
    "not stated",
)

_REPORTED = tuple(
    Statement(*each, REPORTED, "reported")
    for each in (
        ("The system monitored about 110,000 people.", "TG4"),
        ("There were more than 1 million records, on four servers.", "TG5"),
        ("When the report came out, the system was still live.", "TG8"),
        ("Government agencies had been told before the report came out.", "TG9"),
        ("Names, identity numbers and licence plates were in the records.", "TG20"),
        ("There were images of the faces of children.", "TG21"),
    )
)
_BREACH = tuple(
    Statement(*each, CONTRADICTED, "breach")
    for each in (
        ("Activists broke into the system.", "TG3"),
        ("The records became known because the system was hacked.", "TG3"),
    )
)
_FULL_LOG = tuple(
    Statement(*each, CONTRADICTED, "full_log")
    for each in (
        ("The records are a log of every passage from May to August.", "TG25 TG34"),
        ("Each of the monitored people left two records a day, from May on.", "TG33 TG34"),
    )
)
_CLAIMED = tuple(
    Statement(*each, CLAIMED, "claimed")
    for each in (
        ("The people monitored were disproportionately Christian.", "TG24"),
        ("The system held people's social relations.", "TG23"),
        ("It had a blacklist, and gave alerts.", "TG23"),
    )
)
_ENGINE = tuple(
    Statement(*each, NOT_STATED, "engine")
    for each in (
        ("The records were kept in PostgreSQL.", "TG2"),
        ("The database behind the back end could be reached directly.", "TG2 TG3"),
    )
)
_END = tuple(
    Statement(*each, NOT_STATED, "end")
    for each in (
        ("It was closed in the week after the report.", "TG8 TG10"),
        ("The police of the county were told first.", "TG9"),
        ("An entry late at night was marked as abnormal.", "TG22"),
    )
)
_ABOUT = {
    "breach": "what is said of a break-in",
    "full_log": "how much was recorded",
    "claimed": "what somebody claims",
    "engine": "the technology",
    "end": "what nobody has told",
    "reported": "what the report says plainly",
}
_ALL = (*_REPORTED, *_BREACH, *_FULL_LOG, *_CLAIMED, *_ENGINE, *_END)


def task(draw: Draw) -> Task:
    """Eight statements under letters, two for each word."""
    chosen = draw.shuffle("reported", _REPORTED)[:2] + draw.shuffle("claimed", _CLAIMED)[:2]
    chosen += [draw.pick(group[0].kind, group) for group in (_BREACH, _FULL_LOG, _ENGINE, _END)]
    return draft.task(draw, chosen)


def check(at: Attempt, judged: dict) -> str:
    """For each letter the right word."""
    wrong = draft.judge(at, judged, _ALL, WORDS)
    kinds = {s.kind for s in wrong.values()}
    at.values["about"] = ", ".join(text for kind, text in _ABOUT.items() if kind in kinds)
    return _verdict(judged, wrong) if wrong else RIGHT


def _verdict(judged: dict, wrong: dict[str, Statement]) -> str:
    if len(set(judged.values())) == 1:
        return "one_word_for_all"
    kinds = {s.kind for s in wrong.values()}
    if len(kinds) > 1:
        return "several_words"
    (kind,) = kinds
    given = {judged[letter] for letter in wrong}
    if kind == "claimed":
        return {frozenset({REPORTED}): "claim_printed_as_fact"}.get(frozenset(given), "claim_lost")
    return {
        "reported": "report_doubted",
        "breach": "breach_believed",
        "full_log": "arithmetic_forgotten",
        "engine": "lesson_taken_for_the_case",
        "end": "end_invented",
    }[kind]
