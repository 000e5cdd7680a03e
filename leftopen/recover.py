"""Identity numbers recovered from their hashes, by hashing each number that there can be.

The numbers are those of `leftopen/synth/identifiers.py`, which no person can hold: the region
begins with 00, and the check character is wrong. Nothing here can make any other number, so that it
recovers what this course has invented, and nothing else.

SHA-256 (FIPS 180-4) is computed column by column by polars-hash, in batches on all cores: polars
lets go of Python's lock while it works.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date

import numpy as np
import polars as pl
import polars_hash  # noqa: F401  (gives columns their `chash`)
from tqdm import tqdm

from leftopen.errors import DataError
from leftopen.synth import identifiers, text

CANDIDATES = identifiers.DAYS * identifiers.SEQUENCES
"""The numbers of one district: each birth date of a hundred years, a thousand for each."""
FIRST = identifiers.FIRST_DATE
LAST = date.fromordinal(FIRST.toordinal() + identifiers.DAYS - 1)

_BATCH_DAYS = 250  # a quarter of a million numbers: some 30 MB while they are hashed
_HEX = re.compile(r"[0-9a-f]{64}")

Digest = Callable[[pl.Expr], pl.Expr]


def sha256(numbers: pl.Expr) -> pl.Expr:
    """SHA-256 of a column of texts, as hexadecimal digits."""
    return numbers.chash.sha2_256()


def numbers(district: int, first: date = FIRST, last: date = LAST) -> pl.Series:
    """Every identity number of a district with a birth date from ``first`` to ``last``.

    Args:
        district: the last four digits of the region, 0 to 9999; the first two are always 00.
        first: the first birth date, 1920-01-01 at the earliest.
        last: the last one, 2019-12-31 at the latest.

    Returns:
        1,000 texts of 18 characters for each day, in order. A whole district would take 2 GB:
        :func:`recover` goes through it in batches.

    Raises:
        DataError: there is no such district, or no such dates.
    """
    begin, end = _days(district, first, last)
    return _numbers(district, begin, end)


def recover(
    hashes: Iterable[str],
    district: int,
    *,
    first: date = FIRST,
    last: date = LAST,
    digest: Digest = sha256,
    cores: int | None = None,
    progress: bool = True,
) -> pl.DataFrame:
    """Hash every number of a district, and keep those whose hash is among the given ones.

    An interrupt ends it within a batch, which takes a fraction of a second.

    Args:
        hashes: SHA-256 as 64 hexadecimal digits.
        district: the last four digits of the region, 0 to 9999.
        first: the first birth date to try.
        last: the last birth date to try.
        digest: what is done to the column of numbers; a salt is put before them like this:
            ``lambda numbers: sha256(pl.lit(salt) + numbers)``.
        cores: how many batches are hashed at a time; by default one on each core.
        progress: whether a bar is shown, on stderr.

    Returns:
        A row for each number that was found: ``hash`` and ``number``, in order of birth date.

    Raises:
        DataError: a hash is none, there is no such district, or no such dates.
    """
    wanted = pl.Series("hash", _checked(hashes), dtype=pl.String).unique().implode()
    begin, end = _days(district, first, last)

    def batch(day: int) -> tuple[int, pl.DataFrame]:
        tried = _numbers(district, day, min(day + _BATCH_DAYS, end))
        frame = tried.to_frame("number").lazy().with_columns(hash=digest(pl.col("number")))
        found = frame.filter(pl.col("hash").is_in(wanted)).select("hash", "number")
        return len(tried), _apart(found.collect())

    total, found = (end - begin) * identifiers.SEQUENCES, []
    with tqdm(
        total=total,
        desc="hashed",
        unit=" numbers",
        unit_scale=True,
        leave=False,
        mininterval=1,
        disable=not progress,
    ) as bar:
        for tried, rows in _each(batch, range(begin, end, _BATCH_DAYS), cores or _cores()):
            bar.update(tried)
            found.append(rows)
    return pl.concat(found)


def _each(
    work: Callable[[int], tuple[int, pl.DataFrame]], starts: Iterable[int], cores: int
) -> Iterator[tuple[int, pl.DataFrame]]:
    """The results in their order, with at most one batch more under way than there are cores."""
    pool = ThreadPoolExecutor(cores, thread_name_prefix="leftopen-recover")
    under_way: deque[Future] = deque()
    try:
        for start in starts:
            under_way.append(pool.submit(work, start))
            if len(under_way) > cores:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _apart(found: pl.DataFrame) -> pl.DataFrame:
    """A copy that keeps nothing else alive: polars' texts point into the whole batch's memory."""
    return pl.DataFrame(found.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _numbers(district: int, begin: int, end: int) -> pl.Series:
    """The numbers of the days from ``begin`` up to ``end``, as :func:`resident_ids` makes them.

    The check character depends on the sum of the other characters, modulo 11. So days whose first
    number has the same check character have the same thousand endings: eleven lists of endings are
    all that there are, and a number is a beginning and an ending.
    """
    days = np.arange(begin, end)
    made = np.empty((len(days), identifiers.SEQUENCES, 18), dtype=np.uint8)
    firsts = identifiers.resident_ids(np.full(len(days), district), days, np.zeros_like(days))
    made[:, :, :14] = firsts[:, None, :14]
    sequences = np.arange(identifiers.SEQUENCES)
    for check in np.unique(firsts[:, 17]):
        alike = np.flatnonzero(firsts[:, 17] == check)
        day = np.full(identifiers.SEQUENCES, days[alike[0]])
        endings = identifiers.resident_ids(np.full(len(day), district), day, sequences)
        made[alike, :, 14:] = endings[None, :, 14:]
    return pl.Series(pl.from_arrow(text.to_arrow(made.reshape(-1, 18))))


def _days(district: int, first: date, last: date) -> tuple[int, int]:
    if not 0 <= district <= 9999:
        raise DataError(f"There is no district {district}. Give a number from 0 to 9999.")
    if not FIRST <= first <= last <= LAST:
        raise DataError(
            f"{first} to {last} are no birth dates of these numbers. "
            f"Give dates from {FIRST} to {LAST}, the earlier one first."
        )
    return (first - FIRST).days, (last - FIRST).days + 1


def _checked(hashes: Iterable[str]) -> list[str]:
    given = [hashes] if isinstance(hashes, str) else list(hashes)
    for each in given:
        if not isinstance(each, str) or not _HEX.fullmatch(each.lower()):
            raise DataError(
                f"{str(each)[:70]!r} is no SHA-256 in hexadecimal digits: there have to be 64."
            )
    return [each.lower() for each in given]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
