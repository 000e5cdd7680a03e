"""Exercise 13, question 4: functions that seal a value for one place in a table, and open it.

What is looked at are the sealed values. Two values under one nonce share their keystream: equal
texts then give equal bytes, and the XOR of two values is the XOR of their texts (NIST SP 800-38D,
section 8). A program that begins again is played by calling the learner's ``make`` anew, with its
variables as they were before (:func:`_begun_again`).
"""

import copy
import random
import secrets
from collections.abc import Callable
from types import FunctionType, ModuleType

from leftopen.audit.crypto import ciphertext
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

_KEY_BYTES = 32
_MANY = 300  # values that are sealed to see a nonce twice
_SHARED = 12  # equal bytes that two values do not have by chance
_HOLDER = "as a program with the key"
_STRANGER = "as a stranger without a key"
_WRITER = "as a stranger who may write to the database"

Seal = Callable[[str, str, int], bytes]
Open = Callable[[bytes, str, int], str]


def task(draw: Draw) -> Task:
    """Which columns are sealed."""
    draw = variant(draw, "13", 4, 3)
    first, second = draw.shuffle("columns", ("phone", "plate", "house"))[:2]
    return Task(
        columns=([first, f"{first}1", second], "the columns of the table whose values are sealed"),
        key=(_KEY_BYTES, "bytes of the key with which make is called"),
    )


def sealed(at: Attempt, make: FunctionType) -> str:
    """What is sealed opens in its place alone, tells nothing, and cannot be changed unnoticed."""
    return _Sealed(at, make).judged()


class _Sealed:
    def __init__(self, at: Attempt, make: FunctionType) -> None:
        self.at, self.column = at, str(at.task["columns"][0])
        self.key = secrets.token_bytes(_KEY_BYTES)
        self.begins = [_begun_again(make) for _ in range(3)]
        self.make = make

    def _pair(self, make: FunctionType, key: bytes) -> tuple[Seal, Open]:
        pair = make(key)
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(map(callable, pair)):
            raise BadAnswer("`make(key)` must return two functions: return seal, open_")
        seal, open_ = pair

        def seals(text: str, column: str, row: int) -> bytes:
            made = seal(text, column, row)
            if not isinstance(made, bytes | bytearray):
                told = type(made).__name__
                raise BadAnswer(f"seal returned {told}. It is to return bytes, for a bytea column.")
            return bytes(made)

        return seals, open_

    def judged(self) -> str:
        """The verdict: what must work, then what a stranger sees, then what one may change."""
        self.first = self._pair(self.begins[0], self.key)
        self.again = self._pair(self.begins[1], self.key)
        return (
            self._opens()
            or self._is_hidden()
            or self._needs_the_key()
            or self._shows_no_blocks()
            or self._uses_no_nonce_twice()
            or self._cannot_be_changed()
            or self._stays_in_its_place()
            or RIGHT
        )

    # -- what must work -------------------------------------------------------------------------

    def _opens(self) -> str | None:
        seal, open_ = self.first
        texts = ["House 0012, Street 0007", "", "Zoë Ø 上海", "x" * 5_000]
        values = [(text, seal(text, self.column, row)) for row, text in enumerate(texts)]
        right = [open_(value, self.column, row) == text for row, (text, value) in enumerate(values)]
        self.at.note(
            _HOLDER, f"seal {len(texts)} texts and open them", _yes(all(right), "as before")
        )
        if not all(right):
            return "other_text"
        try:
            later = self.again[1](values[0][1], self.column, 0)
        except Exception:
            later = None
        same = later == texts[0]
        self.at.note("as the same program, begun again", "open what it sealed before", _yes(same))
        return None if same else "lost_at_restart"

    # -- what a stranger sees -------------------------------------------------------------------

    def _is_hidden(self) -> str | None:
        seal, text = self.first[0], "House 0012, Street 0007, Quarter 0003"
        how = ciphertext.is_encoding_of(seal(text, self.column, 12), text.encode())
        self.at.note(_STRANGER, "read a sealed value, in any encoding", how or "nothing readable")
        self.at.values["how"] = how
        return "encoded" if how else None

    def _needs_the_key(self) -> str | None:
        value = self.first[0]("House 0012", self.column, 12)
        other = self._pair(self.begins[2], secrets.token_bytes(_KEY_BYTES))
        opened = _answer(other[1], value, self.column, 12)
        self.at.note("as a stranger with another key", "open a value", _yes(opened == "House 0012"))
        return "own_key" if opened == "House 0012" else None

    def _shows_no_blocks(self) -> str | None:
        values = [self.first[0]("0" * 320, self.column, row) for row in range(4)]
        # A header may stand before the first block, so that each beginning is tried.
        found = [
            max(ciphertext.repeated_blocks([value], header=n).values(), default=0)
            for value in values
            for n in range(16)
        ]
        most = max(found)
        self.at.note(_STRANGER, "look for blocks that come again in a value", f"{most or 'none'}")
        self.at.values["blocks"] = most
        return "ecb" if most else None

    def _uses_no_nonce_twice(self) -> str | None:
        text = "House 0012, Street 0007, Quarter 0003"
        seal = self._pair(self.begins[0], self.key)[0]
        others = [secrets.token_hex(20)[: len(text)] for _ in range(40)]
        places = _places([seal(other, self.column, 7) for other in others])
        run = [seal(text, self.column, row) for row in range(_MANY)]
        if self._share(run, places, f"compare {_MANY} sealings of a text in other rows"):
            return "nonce_repeats"
        begun = _begun_again(self.make)
        restarted = []
        for n in range(3):
            seal = self._pair(_begun_again(begun), self.key)[0]
            restarted += [seal(text, self.column, _MANY + 8 * n + row) for row in range(8)]
        if self._share(restarted, places, "compare what was sealed after each of three restarts"):
            return "counter_restarts"
        return self._row_as_nonce()

    def _share(self, values: list[bytes], places: list[int], what: str) -> int:
        sharing = _sharing(values, places)
        told = f"{sharing} of {len(values)} have bytes in common with another"
        self.at.note(_STRANGER, what, told if sharing else "nothing in common")
        self.at.values.update(sharing=sharing, sealed=len(values))
        return sharing

    def _row_as_nonce(self) -> str | None:
        old, new = "House 0012, Street 0007", "House 9955, Street 4321"
        seal = self._pair(self.begins[0], self.key)[0]
        one, other = seal(old, self.column, 7), seal(new, self.column, 7)
        wanted = _xor(old.encode(), new.encode())
        read = wanted in _xor(one, other)
        said = "the XOR of the two texts" if read else "nothing"
        self.at.note(_STRANGER, "compare a row's old and new value", said)
        return "row_as_nonce" if read else None

    # -- what a stranger may change ---------------------------------------------------------------

    def _stays_in_its_place(self) -> str | None:
        seal, open_ = self.first
        first, longer, other = map(str, self.at.task["columns"])
        value = seal("House 0012", first, 12)
        for column, row, how in ((first, 13, "another row"), (other, 12, "another column")):
            opened = _answer(open_, value, column, row)
            self.at.note(_WRITER, f"put a value into {how}", _took(opened))
            if opened is not _REFUSED:
                self.at.values["how"] = how
                return "quiet" if not opened else "swapped"
        opened = _answer(open_, value, longer, 2)  # without a sign between them they read alike
        self.at.values.update(column=first, longer=longer)
        self.at.note(_WRITER, f"put {first}, row 12, into {longer}, row 2", _took(opened))
        return None if opened is _REFUSED else "glued"

    def _cannot_be_changed(self) -> str | None:
        seal, open_ = self.first
        for text in ("House 0012, Street 0007", "0" * 64, "1"):
            value = seal(text, self.column, 3)
            if ciphertext.malleable(lambda v: open_(v, self.column, 3) or None, value):
                self.at.note(_WRITER, "change a sealed value", "it opens to another text")
                return "malleable"
            last = value[:-1] + bytes([value[-1] ^ 1])
            opened = _answer(open_, last, self.column, 3)
            if opened is not _REFUSED and opened != text:
                self.at.note(_WRITER, "change a sealed value", "no exception")
                return "quiet"
        self.at.note(_WRITER, "change a sealed value, byte by byte", "refused")
        return None


class _Refused:
    pass


_REFUSED = _Refused()


def _answer(open_: Open, value: bytes, column: str, row: int) -> object:
    """What a value opens to, or ``_REFUSED``."""
    try:
        return open_(value, column, row)
    except Exception:
        return _REFUSED


def _yes(same: bool, word: str = "opened") -> str:
    return word if same else "refused"


def _took(opened: object) -> str:
    return "refused" if opened is _REFUSED else "opened" if opened else "no exception"


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def _sharing(values: list[bytes], places: list[int]) -> int:
    """How many values have a run of bytes in common with another, at the same one of the places."""
    seen: dict[tuple[int, bytes], set[int]] = {}
    for number, value in enumerate(values):
        for at in places:
            if at + _SHARED <= len(value):
                seen.setdefault((at, value[at : at + _SHARED]), set()).add(number)
    return len({n for numbers in seen.values() if len(numbers) > 1 for n in numbers})


def _places(values: list[bytes]) -> list[int]:
    """Where runs of bytes begin that depend on the text: not in a header that all values have."""
    size = min(map(len, values))
    fixed = {at for at in range(size) if len({value[at] for value in values}) == 1}
    runs = (range(at, at + _SHARED) for at in range(size - _SHARED + 1))
    return [run.start for run in runs if not fixed & set(run)]


def _begun_again(make: FunctionType) -> FunctionType:
    """The function as a program has it that begins again: with its variables as they are now.

    What it counts in a variable of the notebook is counted in a copy, so that two programs that
    begin alike go on alike.
    """
    own = make.__globals__
    names: dict = dict(own)
    memo: dict = {}
    for name in _used(make, own):
        value = own[name]
        if isinstance(value, FunctionType) and value.__globals__ is own:
            names[name] = _moved(value, names)
        elif not isinstance(value, ModuleType | type | random.Random) and not callable(value):
            try:
                names[name] = copy.deepcopy(value, memo)
            except Exception:
                continue
    return _moved(make, names)


def _moved(function: FunctionType, names: dict) -> FunctionType:
    moved = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    moved.__kwdefaults__ = function.__kwdefaults__
    return moved


def _used(make: FunctionType, names: dict) -> set[str]:
    """The notebook's names that a function uses, itself or through those that it calls."""
    found: set[str] = set()
    waiting = [make.__code__]
    while waiting:
        code = waiting.pop()
        waiting += [part for part in code.co_consts if isinstance(part, type(code))]
        for name in set(code.co_names) & set(names) - found:
            found.add(name)
            if isinstance(names[name], FunctionType):
                waiting.append(names[name].__code__)
    return found
