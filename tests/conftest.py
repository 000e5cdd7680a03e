"""What every test has: engines that it needs or is skipped without, and the socket watch."""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import prose_rules
import pytest
import socket_watch
from playwright._impl._driver import compute_driver_executable

from leftopen import doctor, learner, progress
from leftopen.engines import mongodb
from leftopen.errors import EngineMissing

REQUIRE = "LEFTOPEN_REQUIRE"
ROOT = Path(__file__).resolve().parents[1]


def _mongodb() -> None:
    mongodb.version(mongodb.find())


def find_chromium() -> str:
    """The path of Chromium; raises EngineMissing with the command that brings it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise EngineMissing("Chromium is not installed. Bring it with: sudo apt-get install chromium")


def _chromium() -> None:
    find_chromium()
    node, _ = compute_driver_executable()
    told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60)
    if told.returncode:
        raise EngineMissing(
            f"Playwright's driver does not run: {told.stderr.strip()}. "
            "Bring what it lacks, on Debian and Ubuntu with: sudo apt-get install libatomic1"
        )


ENGINES: dict[str, Callable[[], object]] = {
    "mongodb": _mongodb,
    "postgres": doctor.find_postgres,
    "chromium": _chromium,
}


@functools.cache
def why_missing(engine: str) -> str:
    """The sentence of EngineMissing, or nothing when the engine is there."""
    try:
        ENGINES[engine]()
    except EngineMissing as error:
        return str(error)
    return ""


def required() -> set[str]:
    """The engines that LEFTOPEN_REQUIRE names: without them a test fails, and is not skipped."""
    words = {word.strip() for word in os.environ.get(REQUIRE, "").split(",")} - {""}
    if unknown := words - set(ENGINES):
        raise pytest.UsageError(
            f"{REQUIRE} names {', '.join(sorted(unknown))}; known are {', '.join(ENGINES)}."
        )
    return words


def needs(*engines: str) -> None:
    """Skip the test that runs now, or fail it, unless these engines are there.

    For fixtures; a test says ``@pytest.mark.needs("mongodb")``.
    """
    for engine in engines:
        if why := why_missing(engine):
            if engine in required():
                pytest.fail(f"{REQUIRE} asks for {engine}. {why}", pytrace=False)
            pytest.skip(why)


def pytest_configure(config: pytest.Config) -> None:
    """Check LEFTOPEN_REQUIRE, keep the learner's own record out of it, start the socket watch."""
    required()
    private = tempfile.TemporaryDirectory(prefix="leftopen-tests-")
    config.add_cleanup(private.cleanup)
    os.environ[progress.VARIABLE] = str(Path(private.name) / "progress.sqlite3")
    os.environ[learner.VARIABLE] = learner.DEFAULT
    socket_watch.pytest_configure(config)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Obey the marker."""
    for mark in item.iter_markers("needs"):
        needs(*mark.args)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A notebook is skipped where mongod is missing; with LEFTOPEN_REQUIRE it runs and fails."""
    for item in items:
        in_notebook = item.path.suffix == ".ipynb"
        if in_notebook and "mongodb" not in required() and (why := why_missing("mongodb")):
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much of the lessons is compared; a worker's own print would not be seen."""
    for folder in ("notebooks", "exercises", "solutions"):
        paths = sorted((ROOT / folder).glob("*.ipynb"))
        if paths:
            share = prose_rules.strict_share([nbformat.read(p, as_version=4) for p in paths])
            terminalreporter.write_line(
                f"nbval compares the outputs of {share:.0%} of the code cells of the "
                f"{len(paths)} notebooks in {folder}/"
            )
