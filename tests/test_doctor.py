"""The doctor: each part found, or missing with its next step; only lesson 01's can stop it."""

import os
import stat
import tempfile
from pathlib import Path

import psutil
import pytest

from leftopen import doctor
from leftopen.engines import keeper, mongodb, opensearch_home, postgres, process
from leftopen.errors import EngineFailed, EngineMissing


def program(folder: Path, name: str, script: str = "exit 0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


posix = pytest.mark.skipif(os.name != "posix", reason="stands in with shell scripts")


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine whose PATH is empty, on which no variable helps."""
    variables = (mongodb.VARIABLE, postgres.VARIABLE, opensearch_home.VARIABLE, "CONDA_PREFIX")
    for name in (*variables, "JAVA_HOME", "OPENSEARCH_JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor.sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.mark.needs("mongodb")
def test_this_machine_is_reported_in_full():
    rows = doctor.report()
    assert {"Python", "JupyterLab", "mongod", "PostgreSQL", "OpenSearch", "Java", "Maven"} <= {
        row.part for row in rows
    }
    assert not [row for row in rows if row.stops], doctor.text(rows)
    for row in rows:
        assert row.state in ("found", "missing", "low", "planned")
        assert row.next_step or row.state not in ("missing", "low"), row


@pytest.mark.needs("mongodb")
def test_mongod_is_started_for_real():
    row = doctor.mongod()
    assert row.state == "found"
    assert row.detail.startswith(mongodb.version(mongodb.find()))
    assert row.detail.endswith(", starts")
    assert "starts" not in doctor.mongod(start=False).detail


@pytest.mark.needs("mongodb")
def test_a_mongod_that_does_not_start_stops_lesson_01(monkeypatch):
    def refuse(_):
        raise EngineFailed("mongod did not start: no room. Make room.")

    monkeypatch.setattr(mongodb, "MongoServer", refuse)
    row = doctor.mongod()
    assert (row.state, row.stops) == ("missing", True)
    assert row.detail == "mongod did not start: no room"
    assert row.next_step == "Make room."


def test_a_missing_mongod_comes_with_the_command(monkeypatch):
    def missing():
        raise EngineMissing("mongod is not installed. Bring it with: the command --now")

    monkeypatch.setattr(mongodb, "find", missing)
    row = doctor.mongod()
    assert (row.detail, row.next_step) == ("mongod is not installed", "the command --now")
    assert row.stops
    assert "mongod" in doctor.verdict([row])
    assert "cannot" in doctor.verdict([row])


@posix
def test_a_missing_library_is_named(monkeypatch, tmp_path):
    words = "mongod: error while loading shared libraries: libcurl.so.4: cannot open"
    broken = program(tmp_path, "mongod", f"echo '{words}' >&2; exit 127")
    monkeypatch.setenv(mongodb.VARIABLE, str(broken))
    row = doctor.mongod()
    assert row.stops
    assert "libcurl.so.4" in row.detail
    assert row.next_step == "sudo apt-get install libcurl4"


@posix
def test_postgresql_is_found_or_comes_with_the_command(bare, monkeypatch):
    monkeypatch.setattr(postgres, "_DEBIAN", bare / "debian")
    row = doctor.postgresql()
    assert (row.state, row.detail) == ("missing", "PostgreSQL is not installed")
    assert row.next_step == "conda install -c conda-forge postgresql"
    assert not row.stops
    monkeypatch.setattr(postgres, "find", lambda: bare / "chosen")
    program(bare / "chosen", "postgres", "echo 'postgres (PostgreSQL) 17.2 (Debian)'")
    row = doctor.postgresql()
    assert (row.state, row.detail) == ("found", f"17.2, {bare / 'chosen'}")


@posix
@pytest.mark.parametrize(
    ("says", "state", "detail"),
    [
        ("17.0.12", "found", "17,"),
        ("21", "found", "21,"),
        ("1.8.0_402", "missing", "java is Java 8"),
        ("11.0.24", "missing", "java is Java 11"),
        ("24.0.1", "missing", "java is Java 24"),
    ],
)
def test_java_by_what_it_says(bare, says, state, detail):
    told = f"    java.home = /usr/lib/jvm\n    java.version = {says}"
    program(bare / "bin", "java", f"echo '{told}' >&2")
    row = next(row for row in doctor.opensearch() if row.part == "Java")
    assert row.state == state
    assert detail in row.detail
    assert not row.stops


@posix
def test_a_java_that_does_not_run_is_named(bare):
    program(bare / "bin", "java", "exit 1")
    row = next(row for row in doctor.opensearch() if row.part == "Java")
    assert row.state == "missing"
    assert "java does not run" in row.detail


@posix
def test_missing_java_and_maven_come_with_commands(bare):
    rows = {row.part: row for row in doctor.opensearch()}
    for part in ("Java", "Maven"):
        assert rows[part].state == "missing"
        assert rows[part].next_step == f"conda install -c conda-forge {CONDA[part]}"
    program(bare / "bin", "apt-get")
    program(bare / "bin", "mvn")
    rows = {row.part: row for row in doctor.opensearch()}
    assert rows["Java"].next_step.startswith("sudo apt-get install openjdk-")
    assert rows["Maven"].state == "found"


@posix
def test_opensearch_is_found_in_its_folder_or_comes_with_the_command(bare, monkeypatch):
    monkeypatch.setenv(opensearch_home.CACHE, str(bare / "cache"))
    row = doctor.opensearch()[0]
    assert row.state == "missing"
    assert not row.stops
    assert row.next_step.endswith(" && leftopen engines")  # first Java and Maven
    home = bare / "cache" / f"opensearch-{opensearch_home.VERSION}"
    plugin = home / "plugins" / "opensearch-security"
    for folder in (home / "lib", plugin):
        folder.mkdir(parents=True)
    (home / "lib" / "opensearch-2.19.4.jar").touch()
    assert doctor.opensearch()[0].state == "missing"  # no security plugin
    (plugin / "plugin-descriptor.properties").touch()
    row = doctor.opensearch()[0]
    assert (row.state, row.detail) == ("found", f"2.19.4, {home}")


def test_nothing_is_brought_without_java_or_maven(bare, monkeypatch):
    monkeypatch.setattr(opensearch_home, "install", lambda: pytest.fail("tried"))
    assert doctor.bring_opensearch() == ""


CONDA = {"Java": "'openjdk>=17,<24'", "Maven": "maven"}


def test_a_folder_that_cannot_be_written_stops_lesson_01(monkeypatch, tmp_path):
    assert doctor.temporary_folder().state in ("found", "low")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    row = doctor.temporary_folder()
    assert row.stops
    assert "TMPDIR" in row.next_step


@pytest.mark.parametrize(
    ("free", "state", "stops"),
    [(50 * 2**20, "low", True), (500 * 2**20, "low", False), (5 * 2**30, "found", False)],
)
def test_the_space_that_is_left(monkeypatch, free, state, stops):
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    row = doctor.temporary_folder()
    assert (row.state, row.stops) == (state, stops)


@pytest.mark.parametrize(("free", "state"), [(2**29, "low"), (2**31, "found")])
def test_the_memory_that_is_left(monkeypatch, free, state):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("M", (), {"available": free}))
    assert doctor.memory().state == state
    assert not doctor.memory().stops


@posix
def test_leftovers_are_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert doctor.leftovers() == []
    folder = tmp_path / f"{keeper.PREFIX}left"
    folder.mkdir()
    (folder / keeper.LOCK).touch()
    os.utime(folder / keeper.LOCK, (0, 0))
    assert process.leftovers() == [folder]
    (row,) = doctor.leftovers()
    assert row.detail == f"1 in {tmp_path}"
    assert not row.stops


def test_a_place_in_this_environment_is_not_spelt_out(monkeypatch):
    monkeypatch.setenv(mongodb.VARIABLE, doctor.sys.executable)
    monkeypatch.setattr(mongodb, "version", lambda _: "7.0.34")
    assert doctor.mongod(start=False).detail == "7.0.34, in this environment"
    monkeypatch.setattr(doctor.sys, "prefix", "/elsewhere")
    assert doctor.mongod(start=False).detail == f"7.0.34, {doctor.sys.executable}"


def test_text_and_table_say_the_same(monkeypatch):
    rows = [
        doctor.Row("this", "found", "1.0", "lesson 01"),
        doctor.Row("that", "missing", "not here", "lesson 02", "bring it"),
    ]
    text = doctor.text(rows)
    head, this, that = text.splitlines()[:3]
    assert head.index("detail") == this.index("1.0") == that.index("not here")
    assert "next: bring it" in text
    monkeypatch.setattr(doctor, "report", lambda: rows)
    table = doctor.table()
    assert list(table.index) == ["this", "that"]
    assert table.loc["that", "next step"] == "bring it"
    assert doctor.verdict(rows).endswith("can run on this machine.")
