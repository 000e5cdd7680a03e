"""Exercise 14, question 3: a function for pseudonyms, called with keys that the check sets.

What a function does shows in what it returns: whether it asks for the key, how much of it, and
whether people stay apart. Its code is not read.
"""

import base64
import contextlib
import hashlib
import hmac
import io
import math
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np

from leftopen import recover
from leftopen.audit.crypto import keys
from leftopen.checks import hash_and_pseudonymise_keys, hash_and_pseudonymise_leaks
from leftopen.checks.hash_and_pseudonymise_keys import bits_of, elsewhere, text_of
from leftopen.checks.hash_and_pseudonymise_machine import on_another_machine
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

_VARIABLES = ("PSEUDONYM_KEY", "REGISTER_KEY", "RESEARCH_KEY")
_PEOPLE = 300
_ENOUGH_BITS = 55.5  # 56 bits: in 36.5 million pseudonyms a pair is alike once in 100 districts
_MANY_KEYS = 1500  # tried for one number; of 100,000 keys that count, two are alike for certain
_MORE_KEYS = 40  # where two gave the same: of two keys that count, all 40 are alike once in 10**12
_SOME = 40  # people; of so many, two keys give all the same pseudonym if they are as good as one
_LONGEST = 3.0  # seconds of the processor for them
_MOST_ALIKE = 0.5
_MOVING = 0.55  # two people taken at random have less than that in common at a place
_TOGETHER = 0.6  # of the way from chance to certainty; two of one day, at a place
_PIECE_BITS = 40  # of 300 people two have such a piece in common once in 10**7
_OWN_PIECE = 0.9  # so many different ones at least, of the people
_HASHES = ("sha256", "sha512", "sha1", "md5", "sha3_256", "sha224", "sha384", "blake2b", "blake2s")


def _task(draw: Draw) -> Task:
    draw = variant(draw, "14", 3, of=6)
    return Task(
        variable=(draw.pick("variable", _VARIABLES), "the environment variable with the key"),
        salt=(draw.password("salt", 12), "a salt that is printed in the description of the data"),
        district=(101 + draw.number("district", 7), "the district of the people"),
    )


@contextlib.contextmanager
def _environment(variable: str, key: str | None) -> Iterator[None]:
    """The variable as it is given, or without it; afterwards it is as it was."""
    before = os.environ.get(variable)
    try:
        os.environ.pop(variable, None)
        if key is not None:
            os.environ[variable] = key
        yield
    finally:
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before


def _numbers(task: Task) -> list[str]:
    """Numbers of one district, in pairs of the same day that differ in little."""
    year = recover.numbers(task["district"], date(1971, 1, 1), date(1971, 12, 31))
    step = len(year) // (_PEOPLE // 2)
    return [year[at + beside] for at in range(0, step * (_PEOPLE // 2), step) for beside in (3, 4)]


def _of_all_ages(task: Task) -> list[str]:
    """Numbers of twenty years of birth, a woman's and a man's each."""
    found = []
    for place in range(20):
        day = date.fromordinal(recover.FIRST.toordinal() + 200 + 1_801 * place)
        numbers = recover.numbers(task["district"], day, day)
        found += [numbers[37 * place], numbers[37 * place + 201]]
    return found


def _pseudonyms(at: Attempt, pseudonym: Callable, new_key: Callable) -> str:
    """New keys cannot be guessed; pseudonyms hang on the whole key, and keep people apart."""
    variable, numbers = at.task["variable"], _numbers(at.task)

    def key() -> str:
        with _environment(variable, None):  # what it sets there is not kept
            return text_of(new_key, "new_key")

    def of(number: str, key: str | None) -> str:
        with _environment(variable, key):
            return text_of(lambda: pseudonym(number), "pseudonym")

    if _says(key, lambda drawn: drawn):
        at.note("new_key", "look for the key in what it prints", "there it is")
        return "key_shown"
    if wrong := hash_and_pseudonymise_keys.judge(at, key):
        return wrong
    first, second = key(), key()
    if _says(lambda: of(numbers[0], first), lambda _: first):
        at.note("the function", "look for the key in what it prints", "there it is")
        return "key_shown"
    one = of(numbers[0], first)
    at.note("the function", "the same number twice", _same(one == of(numbers[0], first)))
    if one != of(numbers[0], first):
        return "random_each_time"
    changed = one != of(numbers[0], second) or _changes(of, key, numbers[0], one)
    at.note("the function", "the same number, another key", _same(not changed))
    if not changed:
        return _without_key(at.task["salt"], numbers[0], one)
    if wrong := _without_variable(at, of, numbers[0]):
        return wrong
    if wrong := _few_keys(at, of, key, numbers):
        return wrong
    for place, near in _nearly(first, second):
        if _are_one(of, numbers, first, near):
            at.values["place"] = place
            at.note("the function", f"a key with another character {place}", "the same")
            return "part_of_the_key"
    made = [of(number, first) for number in numbers]
    if wrong := _apart(at, numbers, made):
        return wrong
    if wrong := _in_another_process(at, of, first, numbers):
        return wrong
    if wrong := hash_and_pseudonymise_leaks.judge(at, of, key, _of_all_ages(at.task)):
        return wrong
    if _in_pieces(made):
        at.note("the function", "pieces that people have in common", "more than by chance")
        return "in_pieces"
    mine = os.environ.get(variable, "")
    if len(mine) >= keys.SHORTEST and keys.in_cells(mine.encode()):
        at.note("your notebook", "look for the key in its cells", "there it is")
        return "key_in_a_cell"
    return RIGHT


def _in_another_process(at: Attempt, of: Callable, key: str, numbers: list[str]) -> str:
    """Whether two other processes agree, one as on another machine, the people in another order."""
    unseen = [_sibling(number) for number in numbers[:2]]
    one = elsewhere(lambda: {n: of(n, key) for n in unseen})
    other = on_another_machine(lambda: {n: of(n, key) for n in reversed(unseen)})
    if one is None or other is None:  # no such process here: then it cannot be told
        return ""
    told = f"raises {other}" if isinstance(other, str) else _same(one == other)
    at.note("two other machines", "the same numbers, the same key", told)
    return "" if one == other else "another_in_another_process"


def _says(call: Callable[[], str], key_of: Callable[[str], str]) -> bool:
    """Whether a call prints the key; if it does not, what it prints is shown."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        key = key_of(call())
    text = said.getvalue()
    if len(key) >= keys.SHORTEST and text and keys.find(key.encode(), text):
        return True
    sys.stdout.write(text)
    return False


def _sibling(number: str) -> str:
    """Another number of the same day, that was not tried before."""
    return number[:14] + f"{(int(number[14:17]) + 500) % 1000:03d}" + number[17]


def _changes(of: Callable, key: Callable[[], str], number: str, made: str) -> bool:
    """Whether any of some more keys gives another pseudonym: of few keys, two may be alike."""
    begin = time.thread_time()
    for _ in range(_MORE_KEYS):
        if of(number, key()) != made:
            return True
        if time.thread_time() - begin > _LONGEST:
            break
    return False


def _few_keys(at: Attempt, of: Callable, key: Callable[[], str], numbers: list[str]) -> str:
    """Whether two of many keys give the same pseudonyms."""
    begin, seen, alike = time.thread_time(), {}, ""
    for _ in range(_MANY_KEYS):
        new = key()
        made = of(numbers[0], new)
        if made in seen:
            if _are_one(of, numbers, seen[made], new):
                at.note("the function", "one number, many keys", "two give the same pseudonym")
                return "few_keys"
            alike = ", or are the same for this number alone"
        seen[made] = new
        if time.thread_time() - begin > _LONGEST:
            break
    at.note("the function", "one number, many keys", f"all pseudonyms differ{alike}")
    return ""


def _are_one(of: Callable, numbers: list[str], one: str, other: str) -> bool:
    """Whether two keys are as good as one; of short pseudonyms, a single one is so by chance."""
    return all(of(number, one) == of(number, other) for number in numbers[:_SOME])


def _same(same: bool) -> str:
    return "the same" if same else "another pseudonym"


def _without_key(salt: str, number: str, made: str) -> str:
    """Why a pseudonym does not hang on the key: known hashes are tried, without and with salt."""
    plain, salted = number.encode(), salt.encode()
    for name in _HASHES:
        if _begins(hashlib.new(name, plain).digest(), made):
            return "unkeyed"
        joined = [salted + plain, plain + salted]
        joined += [mark.join(pair) for mark in (b":", b"$", b"|", b"-", b" ", b"_", b".")
                   for pair in ((salted, plain), (plain, salted))]  # fmt: skip
        digests = [hashlib.new(name, each).digest() for each in joined]
        digests.append(hmac.digest(salted, plain, name))
        if any(_begins(digest, made) for digest in digests):
            return "public_salt"
    return "key_in_the_code"


def _begins(digest: bytes, made: str) -> bool:
    """Whether a text is the beginning of a digest, as it is usually written.

    In the last character, bits may be filled up.
    """
    written = {digest.hex(), base64.b64encode(digest).decode(), base64.b32encode(digest).decode()}
    written.add(base64.urlsafe_b64encode(digest).decode())
    return len(made) >= 8 and any(
        form.lower().startswith(made.lower().rstrip("=")[:-1]) for form in written
    )


def _without_variable(at: Attempt, of: Callable[[str, str | None], str], number: str) -> str:
    try:
        of(number, None)
    except BadAnswer:
        pass
    except Exception as error:  # any error is what is asked for
        at.note("the function", "without the variable", f"raises {type(error).__name__}")
        return ""
    at.note("the function", "without the variable", "a pseudonym, or nothing, and no error")
    return "falls_back"


_PARTS = {
    "at its beginning": 0.02,
    "in its first half": 0.3,
    "in its middle": 0.55,
    "in its second half": 0.8,
    "near its end": 0.93,
}


def _nearly(first: str, second: str) -> Iterator[tuple[str, str]]:
    """A key with one character of another one: where, and the key."""
    width = min(len(first), len(second))
    for where, share in _PARTS.items():
        differing = [n for n in range(int(share * width), width) if first[n] != second[n]]
        if differing and differing[0] < width - 2:  # the last ones may be padding
            place = differing[0]
            yield where, first[:place] + second[place] + first[place + 1 :]


def _apart(at: Attempt, numbers: list[str], made: list[str]) -> str:
    """Whether people stay apart, and whether a number shows in its pseudonym."""
    telling = {
        "year of birth": lambda number: number[6:10],
        "date of birth": lambda number: number[6:14],
        "last four characters": lambda number: number[14:],
    }
    for what, part in telling.items():
        pairs = zip(numbers, made, strict=True)
        shows = [part(n) in text or part(n) in re.sub(r"\W", "", text) for n, text in pairs]
        if np.mean(shows) > 0.9:
            at.values["what"] = f"the {what}"
            at.note("the function", f"look for the {what} in the pseudonym", "there it is")
            return "shines_through"
    bits, different = bits_of(made), len(set(made))
    if different == len(made) and (alike := _alike(made)) > _MOST_ALIKE:
        at.values["what"] = "most of what two numbers have in common"
        at.note("two numbers that hardly differ", "characters that are the same", f"{alike:.0%}")
        return "shines_through"
    at.note("the function", f"{len(made)} people", f"{different} pseudonyms, {_told(bits)}")
    if bits < _ENOUGH_BITS or different < len(made):
        at.values.update(bits=round(bits), different=different, people=len(made))
        return "people_collide"
    return ""


def _told(bits: float) -> str:
    return "enough bits" if bits >= _ENOUGH_BITS else f"{bits:.0f} bits"


def _alike(made: list[str]) -> float:
    """The share of the places that are the same in the two of a pair, of those that ever differ."""
    width = min(map(len, made))
    moving = [n for n in range(width) if len({text[n] for text in made}) > 1]
    pairs = list(zip(made[::2], made[1::2], strict=True))
    return float(np.mean([[a[n] == b[n] for n in moving] for a, b in pairs])) if moving else 0.0


def _in_pieces(made: list[str]) -> bool:
    """Whether a piece of the pseudonym hangs on a part of the number.

    Then some place is the same in nearly all pairs of one day, though it has many values; or a
    piece that could tell all people apart is often that of several. By chance, of 150 pairs, a
    place of two values is the same in 120 once in 10**13.
    """
    width, pairs = min(map(len, made)), len(made) // 2
    bits = []
    for place in range(width):
        letters = [text[place] for text in made]
        count = Counter(letters)
        bits.append(math.log2(len(count)))
        chance = sum((times / len(made)) ** 2 for times in count.values())
        same = sum(a == b for a, b in zip(letters[::2], letters[1::2], strict=True)) / pairs
        if chance < _MOVING and (same - chance) / (1 - chance) > _TOGETHER:
            return True
    for begin in range(width):
        ends = [n + 1 for n in range(begin, width) if sum(bits[begin : n + 1]) >= _PIECE_BITS]
        if ends and len({text[begin : ends[0]] for text in made}) < _OWN_PIECE * len(made):
            return True
    return False


QUESTION = Question(
    asks={"pseudonym": Callable, "new_key": Callable}, check=_pseudonyms, task=_task
)
