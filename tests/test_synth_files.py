"""The files: the same bytes whoever writes them, whole or absent, and errors in one sentence."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_disk import mount, unmount

from leftopen.errors import DataError
from leftopen.synth import sensenets, smart_city, tongren
from leftopen.synth.draws import BLOCK
from leftopen.synth.movement import positions_block
from leftopen.synth.people import make_population, people_block

COMMITTED = Path(__file__).resolve().parents[1] / "datasets" / "sensenets"
NAMES = ["people.parquet", "positions.parquet", "trackers.parquet"]
# Three blocks and a bit, so that there are several row groups of positions.
PEOPLE, POSITIONS = 3 * BLOCK + 100, 900_000

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits are those of POSIX")


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def stamps(folder):
    return {pq.read_metadata(path).metadata[b"leftopen"] for path in folder.glob("*.parquet")}


def told(folder, people=2_000, positions=5_208, **more):
    """The sentence of the DataError that a wish ends in."""
    with pytest.raises(DataError) as caught:
        sensenets.write(folder, people, positions, progress=False, **more)
    message = str(caught.value)
    assert message.endswith(".")
    assert message.count(". ") <= 1, "one or two sentences"
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    sensenets.write(folder, PEOPLE, POSITIONS, threads=1, progress=False)
    return folder


# The same bytes


def test_the_paths_come_back_and_the_numbers_are_right(tmp_path):
    paths = sensenets.write(tmp_path / "new" / "folder", 300, 700, progress=False)
    assert [path.name for path in paths] == NAMES
    assert [pq.read_metadata(path).num_rows for path in paths] == [300, 700, 52]


def test_the_trackers_grow_with_the_people(tmp_path):
    asked = sensenets._population(1, sensenets.FULL_PEOPLE, sensenets.FULL_POSITIONS, None)
    assert len(asked.town.kind) == sensenets.FULL_TRACKERS == 1_039
    assert len(sensenets._population(1, 2_000, 5_208, None).town.kind) == 52


def test_threads_do_not_change_a_byte(tmp_path, written):
    sensenets.write(tmp_path, PEOPLE, POSITIONS, threads=2, progress=False)
    assert digests(tmp_path) == digests(written)
    other = tmp_path / "other"
    sensenets.write(other, PEOPLE, POSITIONS, seed=1, progress=False)
    assert not digests(other).items() & digests(written).items()


def part_of(first, last):
    """Make some blocks in a process of their own; Arrow's file format carries them back."""
    population = make_population(sensenets.DEFAULT_SEED, PEOPLE, POSITIONS, 52)
    made = []
    for make in (people_block, positions_block):
        table = pa.concat_tables([make(population, block) for block in range(first, last)])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        made.append(sink.getvalue().to_pybytes())
    return made


@pytest.mark.parametrize("cuts", [[0, 4], [0, 1, 4], [0, 2, 3, 4]])
def test_processes_and_partitions_do_not_change_a_row(written, cuts):
    spawn = get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        waiting = [pool.submit(part_of, *pair) for pair in pairwise(cuts)]
        parts = [each.result(timeout=120) for each in waiting]
    for name, which in zip(NAMES, zip(*parts, strict=True), strict=False):
        joined = pa.concat_tables([pa.ipc.open_file(part).read_all() for part in which])
        assert joined.cast(pq.read_schema(written / name)).equals(pq.read_table(written / name))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), threads=st.integers(1, 2))
def test_any_seed_gives_the_same_bytes_again(tmp_path_factory, seed, threads):
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    sensenets.write(one, 500, 1_300, seed=seed, threads=1, progress=False)
    sensenets.write(other, 500, 1_300, seed=seed, threads=threads, progress=False)
    assert digests(one) == digests(other)


def test_the_files_and_the_tables_in_memory_agree(tmp_path):
    sensenets.write(tmp_path, 3_000, 8_000, 60, seed=9, progress=False)
    for name, table in zip(NAMES, sensenets.sample(9, 3_000, 8_000, 60), strict=True):
        found = pq.read_table(tmp_path / name)
        assert table.cast(found.schema).equals(found)


def test_the_committed_sample_is_what_the_generator_makes():
    for name, table in sensenets.sample()._asdict().items():
        committed = pq.read_table(COMMITTED / f"{name}.parquet")
        assert committed.equals(table.cast(committed.schema)), (
            f"{name} differs: run python -m leftopen.synth.sensenets datasets/sensenets"
        )
        other = sensenets.sample(seed=sensenets.DEFAULT_SEED + 1)._asdict()[name]
        assert not committed.equals(other.cast(committed.schema))


@pytest.mark.parametrize(
    ("folder", "names", "most"),
    [
        ("sensenets", NAMES, 300_000),
        ("smart_city", sorted(f"{kind}.parquet" for kind in smart_city.MAPPINGS), 400_000),
        ("tongren", sorted(f"{table}.parquet" for table in tongren.TABLES), 250_000),
    ],
)
def test_the_committed_samples_are_small_and_hold_no_picture(folder, names, most):
    paths = sorted((COMMITTED.parent / folder).iterdir())
    assert [path.name for path in paths] == names
    assert sum(path.stat().st_size for path in paths) < most
    for path in paths:
        assert not any(column.type == pa.binary() for column in pq.read_schema(path))
        content = path.read_bytes()
        for start_of_picture in (
            b"\xff\xd8\xff",
            b"\x89PNG",
            b"GIF8",
            b"WEBP",
            b"\x00\x00\x00\x0cjP",
        ):
            assert start_of_picture not in content


def test_pandas_is_not_loaded_to_write(tmp_path):
    code = (
        "import sys; from leftopen.synth.sensenets import write; "
        f"write({str(tmp_path)!r}, 100, 200); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


# Whole or absent


def test_a_whole_set_is_kept_and_another_one_replaced(tmp_path):
    paths = sensenets.write(tmp_path, 400, 900, progress=False)
    before = [path.stat().st_mtime_ns for path in paths]
    sensenets.write(tmp_path, 400, 900, progress=False)
    assert [path.stat().st_mtime_ns for path in paths] == before
    sensenets.write(tmp_path, 400, 901, progress=False)
    assert pq.read_metadata(tmp_path / "positions.parquet").num_rows == 901
    (told_of,) = stamps(tmp_path)
    assert json.loads(told_of)["positions"] == 901


def test_a_missing_file_brings_the_set_again(tmp_path):
    paths = sensenets.write(tmp_path, 400, 900, progress=False)
    before = digests(tmp_path)
    paths[1].unlink()
    sensenets.write(tmp_path, 400, 900, progress=False)
    assert digests(tmp_path) == before


def start_a_long_run(folder):
    """Start a run that lasts long enough to be stopped, and wait until it writes."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from leftopen.synth.sensenets import write\n"
        f"write({str(folder)!r}, 5_000_000, 20_000_000)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob("*.part")):
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return child


@posix
def test_ctrl_c_leaves_nothing_and_the_next_run_succeeds(tmp_path):
    child = start_a_long_run(tmp_path)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=120)
    assert child.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert not list(tmp_path.iterdir())
    sensenets.write(tmp_path, 200, 500, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES


@posix
def test_a_killed_run_leaves_the_old_set_whole_and_the_next_one_clears_up(tmp_path):
    sensenets.write(tmp_path, 200, 500, progress=False)
    before = digests(tmp_path)
    child = start_a_long_run(tmp_path)
    child.kill()
    child.communicate(timeout=120)
    left = digests(tmp_path)
    parts = {name for name in left if name.endswith(".part")}
    assert parts, "a killed run cannot clear up"
    assert {name: left[name] for name in left.keys() - parts} == before
    sensenets.write(tmp_path, 201, 500, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    assert len(stamps(tmp_path)) == 1


def test_a_damaged_part_is_not_taken_for_a_file(tmp_path):
    whole = tmp_path / "whole"
    sensenets.write(whole, 400, 900, progress=False)
    again = tmp_path / "again"
    again.mkdir()
    # No process has number 0 or a word for a number; our own is that of a run before this one.
    for mark in ("0", "abc", str(os.getpid())):
        (again / f"people.parquet.{mark}.part").write_bytes(b"PAR1 and then nothing")
    sensenets.write(again, 400, 900, progress=False)
    assert digests(again) == digests(whole)


def test_the_part_of_a_run_that_lives_is_left_alone(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        theirs = tmp_path / f"people.parquet.{other.pid}.part"
        theirs.write_bytes(b"still being written")
        sensenets.write(tmp_path, 400, 900, progress=False)
        assert theirs.read_bytes() == b"still being written"
    finally:
        other.communicate(timeout=60)


@pytest.mark.parametrize("failing", ["people", "positions"])
def test_an_error_while_making_leaves_nothing(tmp_path, monkeypatch, failing):
    make = getattr(sensenets, f"{failing}_block")

    def fails_later(population, block):
        if block == 2:
            raise OSError(5, "Input/output error")
        return make(population, block)

    monkeypatch.setattr(sensenets, f"{failing}_block", fails_later)
    assert "Input/output error" in told(tmp_path, PEOPLE, POSITIONS)
    assert not list(tmp_path.iterdir())


# Errors in one sentence


@pytest.mark.parametrize(
    ("people", "positions", "more"),
    [
        (0, 0, {}),
        (0, 100, {}),
        (-1, 0, {}),
        (10, -1, {}),
        (10, 501, {}),
        (10_000_000, 0, {}),
        (10**30, 0, {}),
        (2.5, 0, {}),
        ("many", 0, {}),
        (10, 10, {"trackers": 7}),
        (10, 10, {"trackers": 10_000}),
        (10, 10, {"seed": -1}),
        (10, 10, {"seed": 2**64}),
    ],
)
def test_impossible_numbers(tmp_path, people, positions, more):
    assert "choose a whole number from" in told(tmp_path / "out", people, positions, **more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("people", "positions", "more"),
    [(1, 0, {}), (1, 50, {}), (10, 10, {"trackers": 8}), (10, 10, {"seed": 2**64 - 1})],
)
def test_the_outermost_possible_numbers(tmp_path, people, positions, more):
    paths = sensenets.write(tmp_path, people, positions, progress=False, **more)
    assert pq.read_metadata(paths[1]).num_rows == positions


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is a file, not a folder" in told(tmp_path / "file")
    assert "is a file, not a folder" in told(tmp_path / "file" / "inside")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("damage", ["other", "text", "empty", "cut", "turned"])
def test_a_file_that_is_not_ours_is_not_overwritten(tmp_path, damage):
    path = tmp_path / "positions.parquet"
    sensenets.write(tmp_path, 200, 500, progress=False)
    content = path.read_bytes()
    if damage == "other":
        pq.write_table(pa.table({"mine": [1, 2, 3]}), path)
    elif damage == "turned":
        path.write_bytes(
            content[:-40] + bytes(byte ^ 0xFF for byte in content[-40:-8]) + content[-8:]
        )
    else:
        path.write_bytes({"text": b"mine", "empty": b"", "cut": content[:-100]}[damage])
    before = path.read_bytes()
    message = told(tmp_path, 200, 600)
    assert str(path) in message
    assert "was not made by this command, or is damaged" in message
    assert path.read_bytes() == before


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount(folder, "size=2m")
    yield folder
    unmount(folder)


def test_a_full_disk(small_disk):
    sensenets.write(small_disk / "data", 2_000, 5_208, progress=False)
    before = digests(small_disk / "data")
    assert "is full" in told(small_disk / "data", 200_000, 500_000)
    assert digests(small_disk / "data") == before, "the old set is whole, and no part is left"
    assert "is full" in told(small_disk / "other", 200_000, 500_000)
    assert not list((small_disk / "other").iterdir())
    sensenets.write(small_disk / "other", 2_000, 5_208, progress=False)
    assert digests(small_disk / "other") == before


@posix
def test_a_limit_on_the_size_of_files_is_told_as_a_full_disk(tmp_path):
    code = (
        "import sys; from leftopen.errors import DataError; "
        "from leftopen.synth.sensenets import write\n"
        f"try: write({str(tmp_path)!r}, 50_000, 100_000)\n"
        "except DataError as error: sys.exit(f'{error}')"
    )

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    run = subprocess.run(
        [sys.executable, "-c", code], preexec_fn=limit, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 1
    assert "is full" in run.stderr
    assert run.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_not_be_written(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    if os.name == "posix" and os.geteuid() == 0:
        mount(folder, "size=1m,ro")
    else:
        folder.chmod(0o555)
    try:
        assert "Cannot write into" in told(folder)
        assert "Cannot write into" in told(folder / "inside")
        assert not list(folder.iterdir())
    finally:
        unmount(folder)
        folder.chmod(0o755)
