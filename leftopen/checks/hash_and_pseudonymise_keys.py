"""Exercise 14, question 3: whether new keys can be guessed, and what another process makes.

Where the system can split a process (`os.fork`: not on Windows), the learner's function is called
in copies of this one. In them the clock stands still, and what is asked of the system's random
numbers is counted. Where it cannot, or such a copy does not answer, nothing is said about it.
"""

import builtins
import contextlib
import io
import json
import math
import os
import random
import select
import signal
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from numbers import Number

import numpy as np

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt

_DRAWN = 300
_CALLS = 20
_KEY_BITS = 109.7  # 110: of 32 letters one may not have come at a place, in 300 keys
_FEW = 20  # one text of so many may be short
_PATIENCE = 15.0  # seconds for what another process does, also on a busy machine
_MOMENT = 1_700_000_000
SEEDED = "`random` and of NumPy"
"""What :func:`seed` gives a seed, as part of a sentence."""


def judge(at: Attempt, new_key: Callable[[], str]) -> str:
    """What is wrong with new keys, or nothing."""
    made = [new_key() for _ in range(_DRAWN)]
    different = len(set(made))
    bits = bits_of(made) if different == len(made) else math.log2(different)
    at.note("new_key", f"call it {_DRAWN} times", f"{different} different keys")
    if different == 1:
        return "same_key_each_time"
    if _follows_a_seed(new_key):
        at.note("new_key", f"call it twice from the same seed of {SEEDED}", "the same key")
        return "guessable_key"
    drawn = [elsewhere(lambda: _counted(new_key)) for _ in range(2)]
    if None not in drawn:
        if drawn[0]["keys"] == drawn[1]["keys"]:
            at.note("new_key", "in two processes, at one time of the clock", "the same keys")
            return "counted_key"
        least = 8 * min(drawn[0]["bytes"])
        if least:  # none at all: it has another source, which is not seen
            bits = min(bits, least)
    if bits < _KEY_BITS:
        at.values["bits"] = round(bits)
        at.note("new_key", "what is random in it", f"about {bits:.0f} bits")
        return "small_key"
    return ""


def text_of(function: Callable[[], object], name: str) -> str:
    """What a learner's function returns, which has to be a text."""
    made = function()
    if not isinstance(made, str):
        raise BadAnswer(f"`{name}` returned a {type(made).__name__}, and it has to return a str")
    return made


def bits_of(texts: list[str]) -> float:
    """The bits in which texts differ, at most: different characters at each place, as logarithm.

    The few that are shorter than all others, as a drawn number may be, do not count.
    """
    shortest = sorted(map(len, texts))[len(texts) // _FEW]
    long = [text for text in texts if len(text) >= shortest]
    return sum(math.log2(len({text[place] for text in long})) for place in range(shortest))


def seed() -> None:
    """Give the random numbers that follow from a seed the same one each time."""
    random.seed(14)
    np.random.seed(14)


@contextlib.contextmanager
def seeds_kept() -> Iterator[None]:
    """Afterwards the random numbers that follow from a seed go on as if nothing had been."""
    state, other = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(other)


def _follows_a_seed(new_key: Callable[[], str]) -> bool:
    made = []
    with seeds_kept():
        for _ in range(2):
            seed()
            made.append([new_key() for _ in range(_CALLS)])
    return made[0] == made[1]


# -- in a copy of this process -------------------------------------------------------------------


def _counted(new_key: Callable[[], str]) -> dict[str, list]:
    """Keys of a process whose clock stands, and the bytes that each asked the system for."""
    stop_the_clock()
    seed()
    asked = bytes_asked()
    made, counts = [], []
    for _ in range(_CALLS):
        asked[0] = 0
        made.append(new_key())
        counts.append(asked[0])
    return {"keys": made, "bytes": counts}


def bytes_asked() -> list[int]:
    """From now on, how many bytes this process asks the system for; for a copy of it alone."""
    asked, real = [0], os.urandom

    def urandom(size: int) -> bytes:
        asked[0] += size
        return real(size)

    put_in_place({real: urandom})
    random._urandom = urandom
    return asked


def stop_the_clock() -> None:
    """From now on it is the same moment; for a copy of this process alone."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.fromtimestamp(_MOMENT, tz)

        @classmethod
        def utcnow(cls) -> datetime:
            return datetime(2023, 11, 14)

        @classmethod
        def today(cls) -> datetime:
            return cls.now()

    class StoppedDate(date):
        @classmethod
        def today(cls) -> date:
            return date(2023, 11, 14)

    names = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
    stopped: dict[object, object] = {datetime: Stopped, date: StoppedDate, os.getpid: lambda: 14}
    for name in names:
        stopped[getattr(time, name)] = lambda: float(_MOMENT)
        stopped[getattr(time, f"{name}_ns")] = lambda: _MOMENT * 10**9
    put_in_place(stopped)


def put_in_place(new: dict[object, object], modules: Iterable[str] = ()) -> None:
    """Replace what is named here in its own module, and in what the learner has imported."""
    names = {"os", "time", "datetime", "__main__", *modules}
    places = [sys.modules[name] for name in sorted(names) if name in sys.modules]
    spaces = [vars(place) for place in places]
    for space in spaces:
        for name, value in list(space.items()):
            if isinstance(value, types.BuiltinFunctionType | types.FunctionType | type):
                with contextlib.suppress(TypeError):
                    if value in new:
                        space[name] = new[value]


def _salted_hash(value: object, real: Callable = hash) -> int:
    """`hash` as another process has it, which salts texts in another way; numbers stay."""
    if isinstance(value, Number):
        return real(value)
    return real(value) ^ 0x14C0FFEE


def elsewhere(work: Callable[[], object], salted_hash: bool = False) -> object | None:
    """What some work returns in a copy of this process, as JSON has it; nothing if it cannot.

    Args:
        work: what to do there; nothing of what it changes is seen here.
        salted_hash: whether the copy has another salt for `hash`, as a new process has.
    """
    if not hasattr(os, "fork"):
        return None
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the copy has not
        child = os.fork()
    if child == 0:
        _in_the_copy(work, salted_hash, writes)
    os.close(writes)
    told, ends = b"", time.monotonic() + _PATIENCE
    try:
        while select.select([reads], [], [], max(0.0, ends - time.monotonic()))[0]:
            if not (part := os.read(reads, 65_536)):
                break
            told += part
    finally:
        os.close(reads)
        os.kill(child, signal.SIGKILL)  # it has said all it has to say, or hangs
        os.waitpid(child, 0)
    try:
        return json.loads(told)
    except ValueError:
        return None


def _in_the_copy(work: Callable[[], object], salted_hash: bool, writes: int) -> None:
    """Do the work, write what it returns, and end, whatever happens."""
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.stdout = sys.stderr = io.StringIO()  # a notebook's would go to its front end
        if salted_hash:
            builtins.hash = _salted_hash
        told = json.dumps(work()).encode()
        while told:
            told = told[os.write(writes, told) :]
    finally:
        os._exit(0)
