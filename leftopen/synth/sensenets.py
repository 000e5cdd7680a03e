"""The invented data of the SenseNets case: people, positions, trackers.

`sample` makes them in memory, `write` as Parquet files of any size. Run as a module, it writes the
committed sample again: ``python -m leftopen.synth.sensenets datasets/sensenets``.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from leftopen.synth.asked import whole
from leftopen.synth.draws import BLOCK
from leftopen.synth.movement import MAX_MEAN, positions_block
from leftopen.synth.parquet import File, write_set
from leftopen.synth.people import MAX_PEOPLE, Population, make_population, people_block
from leftopen.synth.places import KINDS, MAX_TRACKERS, trackers_table

DEFAULT_SEED = 2019
SAMPLE_PEOPLE, SAMPLE_POSITIONS, SAMPLE_TRACKERS = 2_000, 5_208, 52
"""Size of the committed sample."""
FULL_PEOPLE, FULL_POSITIONS, FULL_TRACKERS = 2_565_724, 6_680_348, 1_039
"""Size that was reported for the real database in February 2019."""

_FORMAT = 1  # to be raised whenever the same parameters come to give other rows
_GROUP_ROWS = 131_072
_GROUP_BLOCKS = _GROUP_ROWS // BLOCK


class Tables(NamedTuple):
    """The three collections as Arrow tables; `.to_pandas()` makes a frame of each."""

    people: pa.Table
    positions: pa.Table
    trackers: pa.Table


def sample(
    seed: int = DEFAULT_SEED,
    people: int = SAMPLE_PEOPLE,
    positions: int = SAMPLE_POSITIONS,
    trackers: int | None = SAMPLE_TRACKERS,
) -> Tables:
    """Return the three collections in memory: the same arguments give the same rows.

    `trackers` is chosen to fit `people` if it is None. Raises DataError for impossible numbers.
    """
    population = _population(seed, people, positions, trackers)
    return Tables(
        _joined(people_block, population, population.blocks),
        _joined(positions_block, population, population.blocks),
        trackers_table(population.town),
    )


def write(
    folder: str | Path,
    people: int = FULL_PEOPLE,
    positions: int = FULL_POSITIONS,
    trackers: int | None = None,
    seed: int = DEFAULT_SEED,
    *,
    threads: int = 2,
    progress: bool = True,
) -> tuple[Path, Path, Path]:
    """Write people.parquet, positions.parquet and trackers.parquet, and return their paths.

    `trackers` is chosen to fit `people` if it is None. `threads` is how many files are written at
    once; it does not change a byte. `progress` shows a bar if standard error is a terminal.
    A set that is there already, made with the same arguments, is kept; a run that was interrupted
    leaves no file, and can be started again at once.

    Raises DataError for impossible numbers, a folder that cannot be written or holds files of
    these names that are not ours, and a full disk.
    """
    population = _population(seed, people, positions, trackers)
    count = len(population.town.kind)
    stamp = {
        "command": "leftopen data sensenets",
        "format": _FORMAT,
        "seed": population.seed,
        "people": population.people,
        "positions": population.positions,
        "trackers": count,
    }
    mean_rows = population.positions // len(population.blocks)
    blocks = max(1, min(_GROUP_BLOCKS, 2 * _GROUP_ROWS // max(1, mean_rows)))
    files = [
        File("people.parquet", population.people, _groups(people_block, population, _GROUP_BLOCKS)),
        File(
            "positions.parquet", population.positions, _groups(positions_block, population, blocks)
        ),
        File("trackers.parquet", count, [trackers_table(population.town)]),
    ]
    return write_set(Path(folder), files, json.dumps(stamp), threads=threads, progress=progress)


def _population(seed: int, people: int, positions: int, trackers: int | None) -> Population:
    """Check the numbers, and return the population that they describe."""
    people = whole("people", people, 1, MAX_PEOPLE)
    if trackers is None:
        trackers = max(SAMPLE_TRACKERS, people * FULL_TRACKERS // FULL_PEOPLE)
    return make_population(
        whole("as a seed", seed, 0, 2**64 - 1),
        people,
        whole(f"positions of {people} people", positions, 0, people * MAX_MEAN),
        whole("trackers", trackers, len(KINDS), MAX_TRACKERS),
    )


def _joined(
    make: Callable[[Population, int], pa.Table], population: Population, blocks: range
) -> pa.Table:
    return pa.concat_tables([make(population, block) for block in blocks])


def _groups(
    make: Callable[[Population, int], pa.Table], population: Population, size: int
) -> Iterator[pa.Table]:
    """Yield the table in row groups of `size` blocks."""
    every = population.blocks
    for first in range(0, len(every), size):
        yield _joined(make, population, every[first : first + size])


if __name__ == "__main__":
    for path in write(sys.argv[1], SAMPLE_PEOPLE, SAMPLE_POSITIONS, SAMPLE_TRACKERS):
        print(path)
