"""Setting up and running: what make says when something is missing, the namespace, the engines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import conftest
import pytest
import run_suite

from leftopen.course import ROOT
from leftopen.errors import EngineMissing

make = pytest.mark.skipif(
    os.name != "posix" or not shutil.which("make"), reason="make is not installed"
)


@pytest.fixture
def project(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def stand_in(folder: Path, cases: str) -> Path:
    """A Python whose answers are a shell's: `cases` are branches of a case on its -c argument."""
    path = folder / "a python"
    path.write_text(f'#!/bin/sh\necho "$*" >> "{folder}/asked"\ncase "$*" in\n{cases}\nesac\n')
    path.chmod(0o755)
    return path


def run_make(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, timeout=60)


@make
def test_an_old_python_is_told(project):
    old = stand_in(project, "*version_info*) exit 1;;")
    told = run_make(project, "setup", f"PYTHON={old}")
    assert told.returncode != 0
    assert "Python 3.11 or newer is needed" in told.stderr
    assert not (project / ".venv").exists()


@make
def test_no_python_at_all_is_told(project):
    told = run_make(project, "setup", "PYTHON=no-such-python")
    assert told.returncode != 0
    assert "Python 3.11 or newer is needed, and no-such-python is not that" in told.stderr


@make
def test_a_missing_venv_is_told_with_debians_package(project):
    bare = stand_in(project, "*version_info*) exit 0;;\n*ensurepip*) exit 1;;")
    told = run_make(project, "setup", f"PYTHON={bare}")
    assert told.returncode != 0
    assert "sudo apt-get install python3-venv" in told.stderr
    assert not (project / ".venv").exists()


@make
def test_a_python_that_will_do_is_put_to_work_from_an_empty_folder(project):
    good = stand_in(project, "*version_info*) exit 0;;\n*ensurepip*) exit 0;;\n*) exit 7;;")
    told = run_make(project, "setup", f"PYTHON={good}")
    assert told.returncode != 0  # the stand-in cannot go on from here
    assert (project / "asked").read_text().splitlines()[-1] == "-m venv --clear .venv"


@make
def test_a_complete_environment_is_left_alone_until_the_lock_changes(project):
    good = stand_in(project, "*) exit 0;;")
    (project / ".venv" / "bin").mkdir(parents=True)
    stamp = project / ".venv" / ".complete"
    stamp.touch()
    assert run_make(project, "setup", f"PYTHON={good}").returncode == 0
    assert not (project / "asked").exists()
    os.utime(project / "requirements.lock", (2**32, 2**32))
    assert run_make(project, "setup", f"PYTHON={good}").returncode != 0  # no pip in there
    assert not stamp.exists()  # so that the next set-up begins again
    assert "--clear" not in (project / "asked").read_text()


@make
def test_clean_leaves_what_is_the_learners(project):
    for name in ("notebooks/mine.ipynb", "data/people.parquet", "leftopen/__pycache__/x.pyc"):
        (project / name).parent.mkdir(parents=True)
        (project / name).touch()
    (project / ".venv").mkdir()
    assert run_make(project, "clean").returncode == 0
    assert not (project / ".venv").exists()
    assert not (project / "leftopen/__pycache__").exists()
    assert (project / "notebooks/mine.ipynb").exists()
    assert (project / "data/people.parquet").exists()


IN_NAMESPACE = """
import socket, sys
sys.path.insert(0, sys.argv[1])
import run_suite
why_not = run_suite.leave_network()
print(why_not or "inside")
print([name for _, name in socket.if_nameindex()])
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), timeout=10).close()
    print("loopback works")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    try:
        sock.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737; connecting UDP sends nothing
    except OSError as error:
        print("no way out:", error.errno)
"""


def test_the_namespace_has_loopback_alone():
    told = subprocess.run(
        [sys.executable, "-c", IN_NAMESPACE, str(Path(run_suite.__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    assert "loopback works" in told
    if told[0] != "inside":
        pytest.skip(f"no network namespace can be made here: {told[0]}")
    assert told[1] == "['lo']"
    assert told[-1].startswith("no way out")


def test_where_no_namespace_can_be_made_it_says_why(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert run_suite.leave_network() == "network namespaces are Linux's"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert run_suite.leave_network() == "that needs root"


def test_the_suites_folder_is_in_memory_where_there_is_room(monkeypatch, tmp_path):
    monkeypatch.setattr(run_suite, "_LEAST_MEMORY", 1)
    with run_suite.temporary_folder(tmp_path) as folder:
        assert Path(folder).parent == tmp_path
        assert Path(folder).stat().st_mode & 0o777 == 0o711
    assert list(tmp_path.iterdir()) == []
    with run_suite.temporary_folder(tmp_path / "none") as folder:
        assert folder == ""
    monkeypatch.setattr(run_suite, "_LEAST_MEMORY", 2**60)
    with run_suite.temporary_folder(tmp_path) as folder:
        assert folder == ""


def test_the_suite_is_one_call_of_pytest_over_everything():
    command = run_suite.pytest_command(["-k", "x"])
    assert command[1:4] == ["-m", "pytest", "tests"]
    assert "notebooks" in command
    for option in ("--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"):
        assert option in command
    assert command[-2:] == ["-k", "x"]


@pytest.fixture
def missing(monkeypatch):
    """An engine that is missing, and one that is there."""

    def gone():
        raise EngineMissing("It is gone. Bring it with: a command")

    monkeypatch.setitem(conftest.ENGINES, "gone", gone)
    monkeypatch.setitem(conftest.ENGINES, "there", lambda: None)
    yield
    conftest.why_missing.cache_clear()


def test_a_test_without_its_engine_is_skipped_with_the_sentence(missing, monkeypatch):
    monkeypatch.delenv(conftest.REQUIRE, raising=False)
    conftest.needs("there")
    with pytest.raises(pytest.skip.Exception, match="Bring it with: a command"):
        conftest.needs("there", "gone")


def test_a_required_engine_fails_the_test_instead(missing, monkeypatch):
    monkeypatch.setenv(conftest.REQUIRE, "there, gone")
    conftest.needs("there")
    with pytest.raises(pytest.fail.Exception, match=r"asks for gone\. It is gone"):
        conftest.needs("gone")
    monkeypatch.setenv(conftest.REQUIRE, "there")
    with pytest.raises(pytest.skip.Exception):
        conftest.needs("gone")


def test_an_unknown_engine_is_told(monkeypatch):
    monkeypatch.setenv(conftest.REQUIRE, "mongodb,oracle")
    with pytest.raises(pytest.UsageError, match="names oracle; known are mongodb"):
        conftest.required()
