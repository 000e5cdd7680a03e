"""Exercise 13, question 4: functions that seal a value for one place in a table, and open it.

What is looked at are the sealed values. Two values under one nonce share their keystream: equal
texts then give equal bytes, and the XOR of two values is the XOR of their texts (NIST SP 800-38D,
section 8). A program that begins again is played by running the notebook's statements anew
(:mod:`leftopen.checks.encrypt_the_field_restart`).
"""

import secrets
from collections.abc import Sequence

from leftopen.audit.crypto import ciphertext
from leftopen.checks import encrypt_the_field_forged as forged
from leftopen.checks import encrypt_the_field_restart as restart
from leftopen.checks.encrypt_the_field_forged import REFUSED, Open, Seal
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw
from leftopen.sealing import xor

_KEY_BYTES = 32
_MANY = 300  # values that are sealed to see a nonce twice
_SHARED = 12  # equal bytes that two values do not have by chance
_KEYS = 6  # keys under which a text is sealed to see what no key changes
_OTHER_KEYS = 40  # if two keys are all that count, all of these open a value once in 10**12
_KEY_ENOUGH = 16  # bytes of a key that nobody guesses
_DRAWN_ENOUGH = 8  # bytes; with fewer, two nonces are equal among some million
_HOLDER = "as a program with the key"
_STRANGER = "as a stranger without a key"
_WRITER = "as a stranger who may write to the database"
_TEXT, _OTHER = "House 0012, Street 0007", "House 9955, Street 4321"
_UNLIKE = "".join(chr(ord(letter) ^ 5) for letter in _TEXT)


def task(draw: Draw) -> Task:
    """Which columns are sealed."""
    draw = variant(draw, "13", 4, 3)
    first, second = draw.shuffle("columns", ("phone", "plate", "house"))[:2]
    return Task(
        columns=([first, f"{first}1", second], "the columns of the table whose values are sealed"),
        key=(_KEY_BYTES, "bytes of the key with which make is called"),
    )


def sealed(at: Attempt, make: restart.Make) -> str:
    """What is sealed opens in its place alone, tells nothing, and cannot be changed unnoticed."""
    return judged(at, make, list(map(str, at.task["columns"])))


def judged(at: Attempt, make: restart.Make, columns: Sequence[str]) -> str:
    """The verdict on a function like ``make``: ``RIGHT``, or the name of a near miss.

    Args:
        at: takes the evidence and the values for the near miss's sentence.
        make: returns two functions for a key.
        columns: three columns; the second is called like the first with a 1 behind.
    """
    return _Sealed(at, make, columns).judged()


def pair(make: restart.Make, key: bytes, name: str = "make") -> tuple[Seal, Open]:
    """The two functions that ``make`` returns; neither of them ends the program.

    Args:
        make: the learner's function.
        key: what it is called with.
        name: what the question calls it.

    Raises:
        BadAnswer: it returns something else, or ends the program; and the functions raise it where
            they end the program, or where what is sealed is no bytes.
    """
    try:
        made = make(key)
    except SystemExit:
        raise BadAnswer(f"`{name}(key)` ended the program. Return seal, open_") from None
    if not isinstance(made, tuple | list) or len(made) != 2 or not all(map(callable, made)):
        raise BadAnswer(f"`{name}(key)` must return two functions: return seal, open_")
    seal, open_ = made

    def opens(value: bytes, column: str, row: int) -> object:
        try:
            return open_(value, column, row)
        except SystemExit:
            raise BadAnswer("open_ ended the program. It is to raise an exception.") from None

    def seals(text: str, column: str, row: int) -> bytes:
        try:
            value = seal(text, column, row)
        except SystemExit:
            raise BadAnswer("seal ended the program. It is to return bytes.") from None
        if not isinstance(value, bytes | bytearray):
            told = type(value).__name__
            raise BadAnswer(f"seal returned {told}. It is to return bytes, for a bytea column.")
        return bytes(value)

    return seals, opens


class _Sealed:
    def __init__(self, at: Attempt, make: restart.Make, columns: Sequence[str]) -> None:
        self.at, self.columns, self.column = at, columns, columns[0]
        self.key = secrets.token_bytes(_KEY_BYTES)
        self.program = restart.Program(make)
        self.make = make

    def judged(self) -> str:
        """The verdict: what must work, then what a stranger sees, then what one may change."""
        self.first = pair(self.make, self.key)
        return (
            self._opens()
            or self._is_hidden()
            or self._needs_the_key()
            or self._shows_no_blocks()
            or self._tells_nothing()
            or self._uses_no_nonce_twice()
            or self._cannot_be_changed()
            or self._stays_in_its_place()
            or self._cannot_be_put_together()
            or RIGHT
        )

    # -- what must work -------------------------------------------------------------------------

    def _opens(self) -> str | None:
        seal, open_ = self.first
        texts = [
            _TEXT,
            "",
            "Zoë Ø 上海",
            " in \n blanks \n",
            "a|b:c,d/e.f",
            secrets.token_hex(1_000),
        ]
        values = [(text, seal(text, self.column, row)) for row, text in enumerate(texts)]
        opened = [open_(values[0][1], self.column, 0)]
        if not isinstance(opened[0], str):
            told = type(opened[0]).__name__
            raise BadAnswer(f"open_ returned {told}. It is to return the text, a str.")
        for row, (_, value) in enumerate(values[1:], start=1):
            opened.append(forged.answer(open_, value, (self.column, row)))
        right = opened == texts
        self.at.note(_HOLDER, f"seal {len(texts)} texts and open them", _yes(right, "as before"))
        if not right:
            return "other_text"
        size, most = len(values[-1][1]), len(texts[-1])
        if size < most // 2:  # no packing makes drawn letters shorter than this
            self.at.note(_STRANGER, f"seal {most} letters and look how long it is", f"{size} bytes")
            self.at.values.update(size=size, most=f"{most:,}")
            return "kept_elsewhere"
        again = pair(self.program.begin(), self.key)
        same = forged.answer(again[1], values[0][1], (self.column, 0)) == texts[0]
        self.at.note("as the same program, begun again", "open what it sealed before", _yes(same))
        return None if same else "lost_at_restart"

    # -- what a stranger sees -------------------------------------------------------------------

    def _is_hidden(self) -> str | None:
        seal, text = self.first[0], "House 0012, Street 0007, Quarter 0003"
        value = seal(text, self.column, 12)
        how = ciphertext.is_encoding_of(value, text.encode())
        self.at.note(_STRANGER, "read a sealed value, in any encoding", how or "nothing readable")
        self.at.values["how"] = how
        if how:
            return "encoded"
        holds = forged.holds_key(value, self.key)
        self.at.note(
            _STRANGER, "look for the key in a sealed value", "found" if holds else "nothing"
        )
        return "key_inside" if holds else None

    def _needs_the_key(self) -> str | None:
        place = (self.column, 12)
        value = self.first[0](_TEXT, *place)

        def opens(key: bytes) -> bool:
            return forged.answer(pair(self.program.begin(), key)[1], value, place) == _TEXT

        # One other key may be the same in the part that counts, if that part is short.
        if all(opens(secrets.token_bytes(_KEY_BYTES)) for _ in range(_OTHER_KEYS)):
            self.at.note("as a stranger with another key", "open a value", "opened")
            return "own_key"
        many = forged.part_of_key(opens, self.key, _KEY_ENOUGH)
        told = f"{many} of {_KEY_BYTES} open it" if many else "refused"
        what = "open a value with keys that differ in one byte each"
        self.at.note("as a stranger with another key", "open a value", "refused")
        self.at.note("as a stranger with another key", what, told)
        self.at.values.update(many=many, keys=_KEY_BYTES)
        return "part_of_key" if many else None

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

    def _tells_nothing(self) -> str | None:
        """Whether bytes of a value follow from the text alone: letters of it, or a digest."""
        values: list[list[bytes]] = [[], []]
        for _ in range(_KEYS):
            key = secrets.token_bytes(_KEY_BYTES)
            for text, found in zip((_TEXT, _UNLIKE), values, strict=True):
                # Begun again for each, so that a counter stands where it stood for the other.
                found.append(pair(self.program.begin(), key)[0](text, self.column, 7))
        shown = forged.shown(*values)
        told = f"{shown} bytes follow from the text alone" if shown else "nothing"
        self.at.note(_STRANGER, "look for what no key changes, and the text does", told)
        self.at.values["shown"] = shown
        return "text_shown" if shown else None

    def _uses_no_nonce_twice(self) -> str | None:
        text = "House 0012, Street 0007, Quarter 0003"
        seal = pair(self.program.begin(), self.key)[0]
        few = restart.few_drawn(seal, _TEXT, _OTHER, self.column, 7, _DRAWN_ENOUGH)
        if few:
            what = "count the bytes that are drawn for a value"
            self.at.note(_HOLDER, what, f"{few}, and equal ones show the XOR of two texts")
            self.at.values.update(drawn=few, after=f"{2 ** (4 * few):,}")
            return "few_nonces"
        others = [secrets.token_hex(20)[: len(text)] for _ in range(40)]
        places = _places([seal(other, self.column, 7) for other in others])
        run = [seal(text, self.column, row) for row in range(_MANY)]
        if self._share(run, places, f"compare {_MANY} sealings of a text in other rows"):
            return "nonce_repeats"
        restarted = []
        for n in range(3):
            seal = pair(self.program.begin(), self.key)[0]
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
        seal = pair(self.program.begin(), self.key)[0]
        one, other = seal(_TEXT, self.column, 7), seal(_OTHER, self.column, 7)
        read = xor(_TEXT.encode(), _OTHER.encode()) in xor(one, other)
        said = "the XOR of the two texts" if read else "nothing"
        self.at.note(_STRANGER, "compare a row's old and new value", said)
        if (
            not read and seal(_TEXT, self.column, 7) == one
        ):  # SIV without a nonce: no fault, and a remark
            told = "equal: whoever has an old copy sees what did not change, or changed back"
            self.at.note(_STRANGER, "compare two sealings of one text in one row", told)
        return "row_as_nonce" if read else None

    # -- what a stranger may change ---------------------------------------------------------------

    def _cannot_be_changed(self) -> str | None:
        seal, open_ = self.first
        place = (self.column, 3)
        values = {text: seal(text, *place) for text in (_TEXT, "0" * 64, "1")}
        if fault := self._is_quiet(values, place):
            return fault
        for value in values.values():
            if ciphertext.malleable(lambda v: open_(v, *place) or None, value):
                self.at.note(_WRITER, "change a sealed value", "it opens to another text")
                return "malleable"
        value = values[_TEXT]
        loose = forged.unread(open_, value, place)
        told = f"{loose} of {len(value)} bytes may be anything" if loose else "refused"
        self.at.note(_WRITER, "change a sealed value, byte by byte", told)
        self.at.values.update(loose=loose, size=len(value))
        return "unread" if loose else None

    def _is_quiet(self, values: dict[str, bytes], place: tuple[str, int]) -> str | None:
        """The near miss of a function that answers, whatever was changed, with the same thing."""
        changed = [value[:-1] + bytes([value[-1] ^ 1]) for value in values.values()]
        said = [forged.answer(self.first[1], value, place) for value in changed]
        for text, told in zip(values, said, strict=True):
            same = all(told == other for other in said)
            if told is not REFUSED and told != text and (same or not told):
                return self._said_quietly("change a sealed value", told)
        return None

    def _said_quietly(self, what: str, told: object) -> str:
        self.at.note(_WRITER, what, f"no exception, but {told!r:.40}")
        self.at.values["told"] = f"{told!r:.40}"
        return "quiet"

    def _stays_in_its_place(self) -> str | None:
        seal, open_ = self.first
        first, longer, other = self.columns
        value = seal(_TEXT, first, 12)
        for column, row, how in ((first, 13, "another row"), (other, 12, "another column")):
            opened = forged.answer(open_, value, (column, row))
            if opened is not REFUSED and opened != _TEXT:
                return self._said_quietly(f"put a value into {how}", opened)
            self.at.note(_WRITER, f"put a value into {how}", _took(opened))
            self.at.values["how"] = how
            if opened is not REFUSED:
                return "swapped"
        # Without a sign between them, column and row read alike in two places.
        for column, row in ((longer, 2), (f"2{first}", 1), (first, 1)):
            opened = forged.answer(open_, value, (column, row))
            self.at.note(_WRITER, f"put {first}, row 12, into {column}, row {row}", _took(opened))
            self.at.values.update(column=first, other=column, row=row)
            if opened is not REFUSED:
                return "glued"
        return self._needs_all_of_its_place(first)

    def _needs_all_of_its_place(self, first: str) -> str | None:
        seal, open_ = self.first
        tried = 0
        for column in (first, forged.long_name(first)):
            try:
                value = seal(_TEXT, column, 12)
            except Exception:  # a column that this table does not have
                continue
            for place in forged.neighbours(column, 12):
                tried += 1
                if forged.answer(open_, value, place) is not REFUSED:
                    told = f"{column}, row 12, opened in {place[0]}, row {place[1]}"
                    self.at.note(_WRITER, "put a value where the place is nearly the same", told)
                    self.at.values.update(column=column, other=place[0], row=place[1])
                    return "part_of_place"
        what = f"put a value into {tried} places that differ little"
        self.at.note(_WRITER, what, "refused")
        return None

    def _cannot_be_put_together(self) -> str | None:
        seal, open_ = self.first
        first, _, other = self.columns
        for there in ((first, 13), (other, 12)):
            if forged.opens_elsewhere(seal, open_, (first, 12), there):
                told = f"{first}, row 12, opened in {there[0]}, row {there[1]}"
                self.at.note(_WRITER, "put a part of one value into another", told)
                self.at.values.update(column=first, other=there[0], row=there[1])
                return "place_in_front"
        self.at.note(_WRITER, "put each part of one value into another", "refused")
        digest = forged.forged(seal, open_, (first, 12))
        told = f"opened, with {digest} made anew" if digest else "refused"
        self.at.note(_WRITER, "change a value and make the usual digests anew", told)
        self.at.values["digest"] = digest
        return "unkeyed_tag" if digest else None


def _yes(same: bool, word: str = "opened") -> str:
    return word if same else "refused"


def _took(opened: object) -> str:
    return "refused" if opened is REFUSED else "opened"


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
