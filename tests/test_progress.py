"""The learner's record: kept, never lost in silence, and safe with two notebooks at once."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from leftopen import cli, learner, progress
from leftopen.errors import DataError, LeftOpenError


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "mine" / "progress.sqlite3"
    path.parent.mkdir()
    monkeypatch.setenv(progress.VARIABLE, str(path))
    monkeypatch.delenv(learner.VARIABLE)
    return path


def note(number=1, verdict="NOT_YET", right=False, name="ada"):
    progress.note_verdict(name, "e", number, verdict, right)


def test_tries_are_counted_and_success_stays(file):
    note()
    note(verdict="RIGHT", right=True)
    note()
    assert progress.read("ada", "e") == {1: progress.Record(3, 0, True, "NOT_YET")}
    assert progress.read("bob", "e") == {}
    assert progress.read("ada", "f") == {}


def test_hints_rise_by_one_up_to_the_most_and_stop_at_success(file):
    assert [progress.take_hint("ada", "e", 1, 3) for _ in range(5)] == [1, 2, 3, 3, 3]
    assert progress.take_hint("ada", "e", 2, 3) == 1
    note(2, "RIGHT", True)
    assert progress.take_hint("ada", "e", 2, 3) == 1


def test_a_question_can_be_forgotten_alone(file):
    note(1)
    note(2)
    progress.forget("ada", "e", 1)
    assert list(progress.read("ada", "e")) == [2]


def test_nothing_is_written_before_there_is_something_to_keep(file):
    assert progress.read("ada", "e") == {}
    assert learner.current() == learner.DEFAULT
    assert not file.exists()


def test_the_name_of_the_learner_is_kept_and_the_variable_goes_before_it(file, monkeypatch, capsys):
    assert cli.main(["learner"]) == 0
    assert cli.main(["learner", "  Ada  "]) == 0
    assert cli.main(["learner"]) == 0
    assert capsys.readouterr().out.split() == [learner.DEFAULT, "Ada", "Ada"]
    monkeypatch.setenv(learner.VARIABLE, "class-7")
    assert learner.current() == "class-7"


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 81])
def test_an_unusable_name_is_refused_and_the_old_one_kept(file, name, capsys):
    assert cli.main(["learner", "Ada"]) == 0
    assert cli.main(["learner", name]) == 2
    assert "cannot be a learner's name" in capsys.readouterr().err
    assert learner.current() == "Ada"


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.write_bytes(b"not a database at all, but long enough to look" * 40),
        lambda f: f.write_bytes(f.read_bytes()[:5000]),
        lambda f: f.write_bytes(f.read_bytes()[:2000] + b"\0" * 4000 + f.read_bytes()[6000:]),
    ],
    ids=["another file", "cut short", "overwritten inside"],
)
def test_a_damaged_file_is_set_aside_with_a_sentence(file, damage, capsys):
    for number in range(1, 300):
        note(number)
    damage(file)
    before = file.read_bytes()
    note(7)
    assert list(progress.read("ada", "e")) == [7]
    (kept,) = file.parent.glob("progress.damaged-*.sqlite3")
    assert kept.read_bytes() == before
    told = capsys.readouterr().err
    assert "was damaged" in told
    assert kept.name in told


def test_two_damaged_files_are_both_kept(file):
    for _ in range(2):
        file.write_bytes(b"x" * 4096)
        note()
    assert len(list(file.parent.glob("progress.damaged-*"))) == 2


def test_a_file_of_another_program_is_set_aside_too(file):
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE question (x)")
    other.close()
    note()
    assert list(progress.read("ada", "e")) == [1]
    assert len(list(file.parent.glob("progress.damaged-*"))) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "no" / "such" / "folder" / "p.sqlite3"))
    with pytest.raises(DataError, match=r"could not be read or saved .* Make that folder writable"):
        note()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_a_read_only_folder_is_one_sentence_and_loses_nothing(monkeypatch):
    script = textwrap.dedent("""
        import os
        from leftopen import progress
        if os.geteuid() == 0:
            os.setuid(65534)  # root may write everywhere
        progress.note_verdict("ada", "e", 1, "RIGHT", True)
    """)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "progress.sqlite3"
        monkeypatch.setenv(progress.VARIABLE, str(file))
        note()
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        told = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
        )
        Path(folder).chmod(0o755)
        assert told.returncode == 1
        assert "Nothing else is lost" in told.stderr
        assert progress.read("ada", "e")[1].tries == 1


def test_two_notebooks_that_write_at_once_lose_nothing(file):
    script = textwrap.dedent("""
        import sys
        from leftopen import progress
        for n in range(100):
            progress.note_verdict("ada", "e", n % 5, "NOT_YET", False)
            progress.take_hint("ada", "e", 9, 1000)
    """)
    writers = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    records = progress.read("ada", "e")
    assert [records[n].tries for n in range(5)] == [60] * 5
    assert records[9].hints == 300


def test_a_notebook_killed_while_it_writes_leaves_a_record_that_reads(file):
    script = textwrap.dedent("""
        from leftopen import progress
        print("writes", flush=True)
        while True:
            progress.note_verdict("ada", "e", 1, "NOT_YET", False)
    """)
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            earlier = progress.read("ada", "e")
            writer.kill()
        assert len(earlier) <= len(progress.read("ada", "e")) <= 1
    note()
    assert not list(file.parent.glob("*damaged*"))


def test_names_are_checked_by_themselves():
    assert learner.check_name(" Ünal ") == "Ünal"
    with pytest.raises(LeftOpenError):
        learner.check_name("\x07")
