"""What every test has: engines that it needs or is skipped without, and the socket watch."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import nbval.kernel
import prose_rules
import pytest
import socket_watch
import waiting
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import BrowserContext, Page, sync_playwright

from leftopen import course, learner, progress
from leftopen.engines import java, mongodb, opensearch_home, postgres
from leftopen.errors import EngineMissing

REQUIRE = "LEFTOPEN_REQUIRE"
BROWSER_MS = 180_000
ROOT = Path(__file__).resolve().parents[1]
LONGEST = [
    "solutions/",
    "tests/test_browser.py",
    "tests/test_learners.py",
    "tests/test_audit_crypto",
    "tests/test_audit_search.py",
    "tests/test_audit_postgres.py",
    "tests/test_audit_backend.py",
    "tests/test_postgres_life.py",
    "tests/test_close_the_back_end",
    "tests/test_case_tongren_doors.py",
    "tests/test_lab_opensearch.py",
    "tests/test_life_and_death.py",
    "tests/test_exercises.py",
    "tests/test_impostor",
    "tests/test_backup",
    "tests/test_encrypt_",
    "tests/test_search_life.py",
    "tests/test_lab.py",
    "notebooks/",
    "exercises/",
]


def _mongodb() -> None:
    mongodb.version(mongodb.find())


def _opensearch() -> None:
    java.find()
    opensearch_home.find()


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
    "opensearch": _opensearch,
    "postgres": postgres.find,
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


def _start_kernel(start: Callable, *args: object, **options: object) -> tuple:
    """Start a notebook's kernel, and once more where it dies before its first word.

    Its five TCP ports are chosen before it is started; another program may take one in between.
    """
    try:
        return start(*args, **options)
    except RuntimeError:
        return start(*args, **options)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the course's own option."""
    parser.addoption(
        "--all-tasks",
        action="store_true",
        help="try the reference on every task of 200 learners, and run every lesson in Chromium",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check LEFTOPEN_REQUIRE, keep the learner's own record out of it, start the socket watch."""
    required()
    private = tempfile.TemporaryDirectory(prefix="leftopen-tests-")
    config.add_cleanup(private.cleanup)
    os.environ[progress.VARIABLE] = str(Path(private.name) / "progress.sqlite3")
    os.environ[learner.VARIABLE] = learner.DEFAULT
    nbval.kernel.start_new_kernel = functools.partial(_start_kernel, nbval.kernel.start_new_kernel)
    socket_watch.pytest_configure(config)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Obey the marker."""
    for mark in item.iter_markers("needs"):
        needs(*mark.args)


@functools.cache
def servers_of(notebook: str) -> tuple[str, ...]:
    """The servers that a notebook needs, by its lesson's line in the manifest."""
    names = {"OpenSearch": "opensearch", "PostgreSQL": "postgres", "MongoDB": "mongodb"}
    lessons = {lesson.name: lesson.servers for lesson in course.load().lessons}
    return tuple(names[server] for server in lessons.get(notebook, ()))


def _place(item: pytest.Item) -> int:
    return next((n for n, begin in enumerate(LONGEST) if item.nodeid.startswith(begin)), 99)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first, so that all workers end at about the same time.

    A notebook is skipped without its server; with LEFTOPEN_REQUIRE it runs and fails.
    """
    items.sort(key=_place)
    for item in items:
        if item.path.suffix != ".ipynb":
            continue
        for server in servers_of(item.path.stem):
            if server not in required() and (why := why_missing(server)):
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


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab as `leftopen lab` starts it, on a copy of the lessons and exercises."""
    folder = tmp_path_factory.mktemp("j")
    # Saving in the browser must not touch the committed notebooks.
    for name in ("notebooks", "exercises"):
        shutil.copytree(ROOT / name, folder / name)
    runtime = folder / "r"
    environment = {
        **os.environ,
        progress.VARIABLE: str(folder / "progress.sqlite3"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "leftopen.cli", "lab", "--no-browser", "--ServerApp.port=0",
             f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            told = waiting.written(runtime, "jpserver-*.json")
            yield f"{told['url']}lab/tree/{{}}?token={told['token']}&reset"
        finally:
            server.terminate()
            server.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """A Chromium, which keeps what it has read of JupyterLab from one page to the next."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                  "--disable-background-networking", "--disable-component-update"],
        )  # fmt: skip
        yield chromium.new_context(viewport={"width": 1280, "height": 1600})
        chromium.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page that waits for three minutes at most."""
    page = browser.new_page()
    page.set_default_timeout(BROWSER_MS)
    yield page
    page.close()
