"""Exercise 04, question 5: what can be judged of a text with certainty.

Four things, and no others: whether a piece of a value that was planted stands in it; whether a step
that was given does; which moments it names; and whether one of a few plain words of a demand is in
it. It reads no sentence.
"""

import base64
import binascii
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

PIECE = 6
"""Characters in a row that count as a piece of a value."""

_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[\s:]?){6,}")
_MONEY = re.compile(
    r"\b(rewards?|bounty|bounties|payment|donations?|fee|gifts?|bitcoins?|BTC|euros|dollars)\b"
    r"|[€$£]\s?\d+|\b\d+\s?(?:EUR|USD|GBP)\b|\b(?:EUR|USD|GBP)\s?\d+",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:no|not|nothing|never|none|neither|nor|without)|n['’]t)\W+(?:[\w'’]+,?\s+){0,5}$",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(
    r"(?:\b(?:not|never|neither|nor)|n['’]t)"
    r"(?: (?!(?:but|instead|only|just)\b)[\w'’]+){0,3}:? [\"“'‘]?$",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(if|unless|until|else|but)\b", re.IGNORECASE)
_CLAUSE = re.compile(r",|\b(?:unless|until|else|but)\b", re.IGNORECASE)
_NUMBER = r"(?:\d+|one|two|three|four|five|six|seven|ten)"
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_DEADLINE = re.compile(
    rf"\bdeadline\b|\bwithin {_NUMBER} (?:hours?|days?|weeks?)\b"
    rf"|\b(?:you have|you get) {_NUMBER} (?:hours?|days?|weeks?)\b|\b(?:by|before|until) {_DAY}\b"
    r"|\bor else\b|\botherwise (?:the|we|I)\b|\bthe world will know\b"
    r"|(?<!nor do )(?<!nor will )\b(?:we|I)(?: will|'ll|’ll)? publish (?!no\b|nothing\b)\w+",
    re.IGNORECASE,
)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
           "october", "november", "december")  # fmt: skip
_NAMES = "|".join(sorted({m[:n] for m in _MONTHS for n in (3, len(m))}, key=len, reverse=True))
_DATES = re.compile(
    r"(?P<y1>\d{4})[-/.]?(?P<m1>\d{2})[-/.]?(?P<d1>\d{2})(?!\d)"
    r"|(?<!\d)(?P<a>\d{1,2})[./](?P<b>\d{1,2})[./](?P<y2>\d{4}|\d{2})(?!\d)"
    rf"|(?<!\d)(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\.?(?: of)?[ -](?P<n3>{_NAMES})\b\.?,?"
    r"(?:[ -](?P<y3>\d{4})\b)?"
    rf"|\b(?P<n4>{_NAMES})\.? (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:])(?:,? (?P<y4>\d{{4}})\b)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\d:.+-])(?P<h>\d{1,2})[:.](?P<m>\d{2})(?:[:.]\d{2}(?:\.\d+)?)?(?!\d)"
    r"(?:\s?(?P<half>[ap])\.?m\b)?|T(?P<h2>\d{2})(?P<m2>\d{2})(?:\d{2})?(?=Z|[+-]|\b)",
    re.IGNORECASE,
)
_ZONE = re.compile(
    r"\b(?:UTC|GMT)\b(?!\s?[+-]\s?0*[1-9])|[+-]00:?00\b|(?<=\d)\s?Z\b", re.IGNORECASE
)


def bare(text: str) -> str:
    """Small letters and digits, and nothing else."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in plain if sign.isascii() and sign.isalnum())


def readings(text: str) -> Iterator[str]:
    """The text, and what stands in it in base64 or as hexadecimal digits; all of them bare."""
    yield bare(text)
    for token in _TOKEN.findall(text):
        plain = token.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            found = base64.b64decode(plain[: len(plain) // 4 * 4 + len(plain) % 4] + "=" * 3)
        except (binascii.Error, ValueError):
            continue
        yield bare(found.decode("latin-1"))
    for token in _HEX.findall(text):
        digits = re.sub(r"[\s:]", "", token)
        yield bare(bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("latin-1"))


def pieces(value: str, size: int = PIECE) -> set[str]:
    """All pieces of a bare value that have this many characters in a row."""
    plain = bare(value)
    return {plain[n : n + size] for n in range(len(plain) - size + 1)}


def piece_in(text: str, some: Iterable[str]) -> str:
    """One of the pieces that stands in the text, however it is written, or nothing."""
    read = list(readings(text))
    return next((piece for piece in sorted(some) if any(piece in each for each in read)), "")


def demand(text: str) -> str:
    """The plain words of a demand or of a deadline that stand in the text, or nothing.

    A word of money is none where a denial stands not more than five words before it, in the same
    sentence; where the sentence has a condition, in the same clause.
    """
    if found := _DEADLINE.search(text):
        return found[0]
    plain = re.sub(r"\bnot later than\b", "", text, flags=re.IGNORECASE)
    for sentence in re.split(r"[.;:!?\n]+(?!\d)", plain):
        for clause in _CLAUSE.split(sentence) if _CONDITION.search(sentence) else [sentence]:
            for found in _MONEY.finditer(clause):
                if not _DENIED.search(clause[: found.start()]):
                    return found[0]
    return ""


def tells(text: str, step: str) -> bool:
    """Whether a step stands in the text word for word, and is not forbidden just before it."""
    words = r"\W+".join(re.findall(r"\w+", step))
    found = re.finditer(rf"\b{words}\b", text, re.IGNORECASE)
    return any(not _FORBIDDEN.search(text[: each.start()]) for each in found)


def moment(text: str, utc: datetime, here: datetime) -> str:
    """What is wrong with the one moment that a text should name, or nothing.

    Args:
        text: with a day, an hour and a minute; the year may be left out.
        utc: the moment, in UTC.
        here: the same moment by the clock of whoever saw it.

    Returns:
        The name of a near miss, or "".
    """
    days, rest = _days(text)
    clocks = _clocks(rest)
    if not days or not clocks:
        return "no_time"
    if len(clocks) > 1 or len({tuple(sorted(day)) for day in days}) > 1:
        return "two_times"
    clock, day = clocks.pop(), days[0]
    offset = here.utcoffset() or timedelta()
    turned = here.replace(tzinfo=None) + offset
    if clock == (utc.hour, utc.minute):
        if not _is_day(day, utc):
            return "day_of_here" if _is_day(day, here) else "another_time"
        return "" if _ZONE.search(text) else "no_zone"
    if clock == (here.hour, here.minute):
        return "local_time"
    return "clock_turned" if clock == (turned.hour, turned.minute) else "another_time"


def _days(text: str) -> tuple[list[set[tuple[int, int, int]]], str]:
    """Each day of a text in all its readings as year, month, day; and the text without them."""
    found = []
    for match in _DATES.finditer(text):
        parts = {name: value for name, value in match.groupdict().items() if value}
        year = next((int(v) for name, v in parts.items() if name[0] == "y"), 0)
        year += 2000 if 0 < year < 100 else 0
        if "a" in parts:
            pairs = set(itertools.permutations((int(parts["a"]), int(parts["b"])), 2))
        else:
            month = next((v for name, v in parts.items() if name[0] in "mn"), "")
            number = int(month) if month.isdigit() else _month(month)
            pairs = {(number, next(int(v) for name, v in parts.items() if name[0] == "d"))}
        found.append({(year, *pair) for pair in pairs})
    return found, _DATES.sub(" ", text)


def _month(name: str) -> int:
    return 1 + next(n for n, month in enumerate(_MONTHS) if month.startswith(name.lower()))


def _is_day(readings_of_day: set[tuple[int, int, int]], moment: datetime) -> bool:
    months = (moment.month, moment.day)
    return any(day[1:] == months and day[0] in (0, moment.year) for day in readings_of_day)


def _clocks(text: str) -> set[tuple[int, int]]:
    """Each hour and minute that stands in a text without days."""
    found = set()
    for match in _CLOCK.finditer(text):
        hour, minute = int(match["h"] or match["h2"]), int(match["m"] or match["m2"])
        if half := (match["half"] or "").lower():
            hour = hour % 12 + (12 if half == "p" else 0)
        found.add((hour, minute))
    return found
