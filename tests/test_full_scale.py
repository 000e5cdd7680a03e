"""The full scale, made small: interrupted, killed, resumed, refused; the same results each time."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

import pandas as pd
import pytest
import trace_plain as plain
from small_disk import mount, unmount

from leftopen import trace
from leftopen.cases import full_scale as module
from leftopen.cases.full_scale import FullScale, full_scale
from leftopen.errors import DataError
from leftopen.synth.sensenets import sample

SIZE = {"people": 1_500, "positions": 6_000, "progress": False}
RESULTS = {
    "unicity_15_minutes_0_metres.json",
    "unicity_60_minutes_0_metres.json",
    "unicity_60_minutes_1000_metres.json",
    "dwell.json",
    "top_places.json",
    "linkage.json",
}
DATA = {"people.parquet", "positions.parquet", "trackers.parquet"}

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits are those of POSIX")


def names(folder):
    return {path.name for path in folder.iterdir()} - {"in_use.lock"}


def same(one, other):
    return all(left.equals(right) for left, right in zip(one, other, strict=True))


def told(*arguments, **more):
    """The sentence of the DataError that a call ends in."""
    with pytest.raises(DataError) as caught:
        full_scale(*arguments, **(SIZE | more))
    message = str(caught.value)
    assert message.endswith(".")
    assert message.count(". ") <= 1, "one or two sentences"
    assert "\n" not in message
    assert "--out" not in message, "a notebook has no command line"
    return message


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, full_scale(folder, **SIZE)


@pytest.fixture
def counted(monkeypatch):
    """Which analyses are made, in order."""
    made, analyses = [], module._analyses

    def watched(paths):
        for name, analyse in analyses(paths):
            yield name, lambda name=name, analyse=analyse: (made.append(name), analyse())[1]

    monkeypatch.setattr(module, "_analyses", watched)
    return made


# Right


def test_the_results_are_those_of_plain_pandas(whole):
    _, made = whole
    tables = [table.to_pandas() for table in sample(people=1_500, positions=6_000)]
    people, positions, trackers = tables
    people["quarter"] = people["homeAddress"].str[-12:]
    assert list(made.unicity["points"]) == [1, 2, 3, 4, 5] * 3
    for row in made.unicity.itertuples():
        kept = {"metres": row.metres, "trackers": trackers} if row.metres else {}
        found = plain.alone(trace.coarse(positions, row.minutes, **kept), row.points)
        assert (row.people, row.alone) == (len(found), sum(found.values()))
        assert row.share == row.alone / row.people
    assert plain.same(list(made.dwell.itertuples(index=False)), plain.dwell(positions))
    kinds = trackers.set_index("_id")["kind"].astype(str)
    places = [kinds[tracker] for _, _, tracker, _ in plain.top_places(positions, 1)]
    counts = pd.Series(places).value_counts().sort_index()
    assert dict(zip(made.top_places["place"], made.top_places["people"], strict=True)) == (
        counts.to_dict()
    )
    assert made.top_places["share"].sum() == pytest.approx(1)
    for row in made.linkage.itertuples():
        sizes = plain.group_sizes(people, row.known.split(", "))
        assert row.unique == sizes.count(1) / 1_500
        assert row.under_5 == sum(size < 5 for size in sizes) / 1_500


def test_what_is_kept_is_read_and_nothing_is_made_again(whole, counted):
    folder, made = whole
    assert names(folder) == RESULTS | DATA
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = full_scale(folder, **SIZE)
    assert isinstance(again, FullScale)
    assert same(again, made)
    assert counted == []
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_other_arguments_make_it_all_again(tmp_path, whole, counted):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    other = full_scale(tmp_path, **(SIZE | {"seed": 7}))
    assert len(counted) == len(RESULTS)
    assert not same(other, whole[1])
    assert same(full_scale(tmp_path, **SIZE), whole[1]), "and back again"


def test_a_missing_result_alone_is_made_again(tmp_path, whole, counted):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "dwell.json").unlink()
    assert same(full_scale(tmp_path, **SIZE), whole[1])
    assert counted == ["dwell"]


def test_results_of_other_data_are_not_taken(tmp_path, whole, counted):
    other = tmp_path / "other"
    full_scale(other, **(SIZE | {"positions": 5_000}))
    shutil.copytree(whole[0], tmp_path / "mixed")
    shutil.copy(other / "linkage.json", tmp_path / "mixed")
    shutil.copy(other / "dwell.json", tmp_path / "mixed")
    counted.clear()
    assert same(full_scale(tmp_path / "mixed", **SIZE), whole[1])
    assert counted == ["dwell", "linkage"]


def test_a_bar_says_what_is_being_made(tmp_path, capsys):
    full_scale(tmp_path, **(SIZE | {"progress": True}))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "the town" in printed.err


# Interrupted


@pytest.mark.parametrize("at", ["unicity_table", "dwell", "top_places", "linkage"])
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, whole, counted, monkeypatch, at):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trace, at, interrupted)
    with pytest.raises(KeyboardInterrupt):
        full_scale(tmp_path, **SIZE)
    monkeypatch.undo()
    first = list(counted)
    assert names(tmp_path) == DATA | {f"{name}.json" for name in first[:-1]}
    assert same(full_scale(tmp_path, **SIZE), whole[1])


_RUN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from leftopen import trace
from leftopen.cases.full_scale import full_scale
def wait(*_):
    print("there", flush=True)
    # Python sees a signal that comes just before a sleep only after it: hence short ones.
    for _ in range(2_400):
        time.sleep(0.05)
{patch}
full_scale(sys.argv[1], people=1_500, positions=6_000, progress=False)
"""


def start(folder, patch):
    """Start a run in a process of its own that waits somewhere, and wait until it is there."""
    command = [sys.executable, "-c", _RUN.format(patch=patch), str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "there\n", child.stderr.read()
    return child


def end(child, how):
    """Send a signal until the process ends; the first one is enough but once in some thousands."""
    for _ in range(20):
        child.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=5)
            return
    child.kill()
    pytest.fail("the process did not end")


@posix
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(
    ("patch", "kept"),
    [
        ("trace.dwell = wait", 3),
        ("from pathlib import Path; Path.replace = lambda part, to: wait()", 0),
    ],
)
def test_a_killed_kernel_leaves_what_is_whole(tmp_path, whole, counted, how, patch, kept):
    if kept == 0:  # the town is there, so that it is the first result that is not renamed
        for name in DATA:
            shutil.copy(whole[0] / name, tmp_path)
    child = start(tmp_path, patch)
    try:
        assert "Another notebook is at work" in told(tmp_path), "two notebooks at once"
    finally:
        end(child, how)
    assert child.returncode != 0
    assert len(RESULTS & names(tmp_path)) == kept
    assert same(full_scale(tmp_path, **SIZE), whole[1])
    assert len(counted) == len(RESULTS) - kept
    assert names(tmp_path) == RESULTS | DATA, "and no half of a file is left"


def test_two_at_once_are_both_right_or_told(tmp_path, whole):
    ends = []

    def run():
        try:
            ends.append(same(full_scale(tmp_path, **SIZE), whole[1]))
        except DataError as error:
            ends.append("Another notebook is at work" in str(error))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert ends == [True] * 3
    assert same(full_scale(tmp_path, **SIZE), whole[1])


# Refused in a sentence


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"stamp": "1 dwe'])
def test_a_result_that_is_damaged_or_not_ours_is_left_alone(tmp_path, whole, content):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "dwell.json").write_bytes(content)
    message = told(tmp_path)
    assert "dwell.json was not made by this course, or is damaged" in message
    assert (tmp_path / "dwell.json").read_bytes() == content


@pytest.mark.parametrize("cut", ["end", "middle"])
def test_a_damaged_file_of_the_town_is_told(tmp_path, whole, cut):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "positions.parquet"
    content = path.read_bytes()
    if cut == "end":
        path.write_bytes(content[:-100])
    else:
        path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    (tmp_path / "top_places.json").unlink()
    assert "damaged" in told(tmp_path)


def test_impossible_numbers_and_a_file_for_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is a file, not a folder" in told(tmp_path / "file")
    assert "is a file, not a folder" in told(tmp_path / "file" / "inside")
    assert "choose a whole number" in told(tmp_path / "new", people=0)
    assert "choose a whole number" in told(tmp_path / "new", positions="many")
    assert (tmp_path / "file").read_text() == "mine"


def test_too_little_memory_is_told_and_what_is_kept_needs_none(tmp_path, whole, monkeypatch):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(module, "NEEDED", 10**9)  # a billion bytes for each of 6,000 positions
    assert same(full_scale(tmp_path, **SIZE), whole[1])
    (tmp_path / "linkage.json").unlink()
    message = told(tmp_path)
    assert "takes about 6000.0 GB" in message
    monkeypatch.undo()
    assert same(full_scale(tmp_path, **SIZE), whole[1])


@pytest.fixture
def disk(tmp_path):
    """Mount a small disk with some options; it is gone after the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    yield lambda options: (mount(folder, options), folder)[1]
    unmount(folder)


def test_a_full_disk_while_the_town_is_made(disk, whole):
    folder = disk("size=64k")
    assert "is full" in told(folder)
    assert names(folder) == set()
    subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
    assert same(full_scale(folder, **SIZE), whole[1])


def test_a_full_disk_while_a_result_is_kept(disk, whole):
    folder = disk("size=4m")
    for name in DATA:
        shutil.copy(whole[0] / name, folder)
    (folder / "in_use.lock").touch()
    with contextlib.suppress(OSError), (folder / "filling").open("wb", buffering=0) as filling:
        while filling.write(bytes(1 << 12)):
            pass
    assert "is full" in told(folder)
    assert RESULTS & names(folder) == set()
    (folder / "filling").unlink()
    assert same(full_scale(folder, **SIZE), whole[1])


def test_a_folder_that_may_not_be_written(disk, tmp_path):
    if os.name == "posix" and os.geteuid() == 0:
        folder = disk("size=1m,ro")
    else:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o555)
    assert "Cannot use the folder" in told(folder)
    assert "Cannot use the folder" in told(folder / "inside")


@posix
def test_memory_stays_bounded(tmp_path):
    """At a tenth of the size: a fixed part for the libraries, and less than `NEEDED` a position."""
    code = (
        "import sys, resource; from leftopen.cases.full_scale import NEEDED, full_scale\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "full_scale(sys.argv[1] + '/small', people=2_000, positions=5_000, progress=False)\n"
        "before = peak()\n"
        "full_scale(sys.argv[1], people=256_000, positions=668_000, progress=False)\n"
        "print((peak() - before) / 668_000)"
    )
    # glibc's heaps, one a thread, each keep what was freed in them: 230 to 350 bytes a position,
    # as the threads happened to run, where one heap has 190 to 200 (mallopt(3), M_ARENA_MAX).
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    if sys.platform.startswith("linux"):
        assert float(run.stdout) < 2 * module.NEEDED
