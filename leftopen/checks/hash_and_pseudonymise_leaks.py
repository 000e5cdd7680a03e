"""Exercise 14, question 3: what a pseudonym tells without the key, or tells about the key.

What is the same under every key, and another for another number, is told by the number alone.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Callable

from leftopen.audit.crypto.encodings import decoded
from leftopen.checks.question import Attempt

_KEYS = 8
_MOST = 0.9  # the share of people for whom something stays: chance gives next to none
_COMMON = 0.95  # what so many people have in common is a mark of the method
_LENGTH = 4  # characters of a part that may stand anywhere
_RARE = 100  # a part of a text is as long as chance has it in one of so many texts
_OF_THE_KEY = 8  # characters of the key that are looked for

Of = Callable[[str, str], str]


def judge(at: Attempt, of: Of, key: Callable[[], str], numbers: list[str]) -> str:
    """Whether a part hangs on the number alone, or the key stands in it; or nothing."""
    keys = [key() for _ in range(_KEYS)]
    made = [[of(number, each) for each in keys] for number in numbers]
    if any(_shows(each, [row[n] for row in made]) for n, each in enumerate(keys)):
        at.note("the function", "look for the key in what it returns", "there it is")
        return "key_in_the_pseudonym"
    stays = _stays(made) or _by_reckoning(made)
    told = f"{_KEYS} keys for each of {len(numbers)} people"
    at.note("the function", told, stays or "nothing stays that hangs on the number")
    if stays:
        at.values["stays"] = stays
        return "a_part_without_key"
    return ""


def _stays(made: list[list[str]]) -> str:
    """What is the same under all keys for nearly everybody, and not the same for all people."""
    for what, look in (("one character", _characters), ("a part", _parts), ("the length", _length)):
        found = [look(row) for row in made]
        count = Counter(each for row in found for each in row)
        common = {each for each, times in count.items() if times > _COMMON * len(made)}
        own = [set(row) - common for row in found]
        if what != "one character":
            if sum(map(bool, own)) > _MOST * len(made):
                return f"{what} stays"
            continue
        places = Counter(place for row in own for place, _ in row)
        if any(times > _MOST * len(made) for times in places.values()):
            return f"{what} stays"
    return ""


def _characters(row: list[str]) -> set[tuple[int, str]]:
    """Places, from the beginning and from the end, with the character that all have there."""
    width = min(map(len, row))
    both = [*range(width), *range(-width, 0)]
    return {(n, row[0][n]) for n in both if len({text[n] for text in row}) == 1}


def _parts(row: list[str]) -> set[str]:
    """Short parts that all have somewhere; of few letters they have to be longer."""
    letters, width = len(set("".join(row))), max(map(len, row))
    by_chance = math.log(max(1, _RARE * width)) / math.log(max(2, letters))
    size = max(_LENGTH, math.ceil(by_chance))
    return set.intersection(
        *({text[n : n + size] for n in range(len(text) - size + 1)} for text in row)
    )


def _length(row: list[str]) -> set[int]:
    return {len(row[0])} if len({len(text) for text in row}) == 1 else set()


def _by_reckoning(made: list[list[str]]) -> str:
    """Whether two people are in the same relation under every key, as numbers."""
    for read in (int, lambda text: int(text, 16)):
        with contextlib.suppress(ValueError):
            first, *others = [[read(text) for text in row] for row in made[:6]]
            for row in others:
                if len({a ^ b for a, b in zip(first, row, strict=True)}) == 1:
                    return "two people differ in the same bits"
                if len({a - b for a, b in zip(first, row, strict=True)}) == 1:
                    return "two people differ by the same number"
                if any(row) and all(
                    a * row[0] == b * first[0] for a, b in zip(first, row, strict=True)
                ):
                    return "two people stand in the same ratio"
    return ""


def _shows(key: str, made: list[str]) -> bool:
    """Whether the key, or a part of it, stands in every one of these pseudonyms."""
    if len(key) < _OF_THE_KEY:
        return False
    raw = [key.encode(), key[::-1].encode(), *(inner for _, inner in decoded(key.encode()))]
    parts = {each[n : n + _OF_THE_KEY] for each in raw
             for n in range(len(each) - _OF_THE_KEY + 1)}  # fmt: skip
    for text in made[:5]:
        places = [text.encode(), text.lower().encode()]
        places += [inner for _, inner in decoded(text.encode())]
        if not any(part in place for place in places for part in parts):
            return False
    return True
