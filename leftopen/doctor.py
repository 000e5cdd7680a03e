"""What this machine has, what is missing, and the exact next step.

Only what lesson 01 needs can fail the examination. What the other lessons need is named, so that
nobody meets it as a surprise.
"""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leftopen import course
from leftopen.errors import EngineMissing, LeftOpenError

if TYPE_CHECKING:
    import pandas as pd

LEAST_PYTHON = (3, 11)
LEAST_DISK = 100 * 2**20
MUCH_DISK = 2**30
MUCH_MEMORY = 2**30


@dataclass(frozen=True)
class Row:
    """One thing that was looked at.

    ``state`` is ``"found"``, ``"missing"`` or ``"low"``; ``needed`` says by which
    lessons; ``next_step`` is a command or a sentence, empty where there is nothing to do;
    ``stops`` is true where lesson 01 cannot run because of it.
    """

    part: str
    state: str
    detail: str
    needed: str
    next_step: str = ""
    stops: bool = False


def report() -> list[Row]:
    """Look at this machine; mongod is started once and stopped again.

    Takes a second or two. Opens nothing but loopback, and changes nothing.
    """
    return [python(), jupyterlab(), *engines(), memory(), temporary_folder(), *leftovers()]


def engines(start: bool = True) -> list[Row]:
    """The database servers, and what they need.

    Args:
        start: start mongod once, and stop it again, to know that it works.
    """
    return [mongod(start), postgresql(), *opensearch()]


def table() -> "pd.DataFrame":
    """The report as a table, for a notebook."""
    import pandas as pd

    rows = report()
    return pd.DataFrame(
        {
            "part": [row.part for row in rows],
            "state": [row.state for row in rows],
            "detail": [row.detail for row in rows],
            "needed for": [row.needed for row in rows],
            "next step": [row.next_step for row in rows],
        }
    ).set_index("part")


def text(rows: list[Row]) -> str:
    """Rows as plain text: one line each, and one more for a next step."""
    cells = [("part", "state", "needed for", "detail")]
    for row in rows:
        cells.append((row.part, row.state, row.needed, row.detail))
        if row.next_step:
            cells.append(("", "", "", f"next: {row.next_step}"))
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = [
        "  ".join(f"{word:{width}}" for word, width in zip(line[:3], widths, strict=True))
        + f"  {line[3]}"
        for line in cells
    ]
    return "\n".join(lines)


def verdict(rows: list[Row]) -> str:
    """Whether lesson 01 can run, in one sentence."""
    stops = [row.part for row in rows if row.stops]
    if stops:
        return f"Lesson 01 cannot run yet, because of: {', '.join(stops)}."
    return "Lesson 01 can run on this machine."


def python() -> Row:
    """The Python that runs this."""
    found = platform.python_version()
    if sys.version_info >= LEAST_PYTHON:
        return Row("Python", "found", found, "every lesson")
    wanted = ".".join(map(str, LEAST_PYTHON))
    return Row(
        "Python",
        "missing",
        f"{found} is older than {wanted}",
        "every lesson",
        "conda env create -f environment.yml && conda activate leftopen",
        stops=True,
    )


def jupyterlab() -> Row:
    """JupyterLab in this environment."""
    try:
        version = importlib.metadata.version("jupyterlab")
    except importlib.metadata.PackageNotFoundError:
        step = f"{_python()} -m pip install jupyterlab"
        return Row("JupyterLab", "missing", "not installed", "every lesson", step, stops=True)
    return Row("JupyterLab", "found", version, "every lesson")


def mongod(start: bool = True) -> Row:
    """MongoDB's server."""
    from leftopen.engines import mongodb

    needed = course.load().on("MongoDB")
    try:
        path = mongodb.find()
        detail = f"{mongodb.version(path)}, {_place(path)}"
        if start:
            mongodb.MongoServer({}).close()
            detail += ", starts"
    except LeftOpenError as error:
        why, step = _split(str(error))
        return Row("mongod", "missing", why, needed, step, stops=True)
    return Row("mongod", "found", detail, needed)


def postgresql() -> Row:
    """PostgreSQL's programs."""
    from leftopen.engines import postgres

    needed = course.load().on("PostgreSQL")
    try:
        folder = postgres.find()
        return Row("PostgreSQL", "found", f"{postgres.version(folder)}, {_place(folder)}", needed)
    except EngineMissing as error:
        why, step = _split(str(error))
        return Row("PostgreSQL", "missing", why, needed, step)


def opensearch() -> list[Row]:
    """OpenSearch with its security plugin, the Java that it runs on, and Maven, which brings it."""
    from leftopen.engines import java, opensearch_home

    needed = course.load().on("OpenSearch")

    def look(part: str, find: Callable[[], str]) -> Row:
        try:
            return Row(part, "found", find(), needed)
        except EngineMissing as error:
            why, step = _split(str(error))
            return Row(part, "missing", why, needed, step)

    def server() -> str:
        home = opensearch_home.find()
        return f"{opensearch_home.version(home)}, {home}"

    def runtime() -> str:
        found = java.find()
        return f"{found.version}, {found.program}"

    return [look("OpenSearch", server), look("Java", runtime), _maven(needed)]


def bring_opensearch() -> str:
    """Bring OpenSearch where it is not and can be brought; return what went wrong, if anything.

    Where Java or Maven is missing nothing is tried: the row of each says how to get it.
    """
    from leftopen.engines import java, opensearch_home, opensearch_prepare

    try:
        java.find()
    except EngineMissing:
        return ""
    if shutil.which("mvn") is None:
        return ""
    try:
        opensearch_home.install()
    except LeftOpenError as error:
        return str(error)
    with contextlib.suppress(LeftOpenError, OSError):  # it saves time, and nothing needs it
        opensearch_prepare.prepare()
    return ""


def _maven(needed: str) -> Row:
    if path := shutil.which("mvn"):
        return Row("Maven", "found", path, needed)
    return Row("Maven", "missing", "not installed", needed, _system("maven", "maven"))


def memory() -> Row:
    """Memory that programs can have now."""
    import psutil

    free = psutil.virtual_memory().available
    enough = free >= MUCH_MEMORY
    step = "" if enough else "Close other programs; each lab takes some 130 MB."
    state = "found" if enough else "low"
    return Row("memory", state, f"{_size(free)} available", "every lesson", step)


def temporary_folder() -> Row:
    """The folder in which each server keeps its data, and the space in it."""
    step = "Set TMPDIR to a folder that you can write to, with 1 GB free, and try again."
    try:
        folder = Path(tempfile.gettempdir())
        with tempfile.TemporaryDirectory(prefix="doctor-") as trial:
            (Path(trial) / "trial").write_bytes(b"written")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        why = f"cannot be written: {error.strerror or error}"
        return Row("temporary folder", "missing", why, "every lesson", step, stops=True)
    detail = f"{_size(free)} free in {folder}"
    if free >= MUCH_DISK:
        return Row("temporary folder", "found", detail, "every lesson")
    return Row("temporary folder", "low", detail, "every lesson", step, stops=free < LEAST_DISK)


def leftovers() -> list[Row]:
    """Folders of labs that were killed together with their keeper, if there are any."""
    from leftopen.engines import process

    found = process.leftovers()
    if not found:
        return []
    detail = f"{len(found)} in {found[0].parent}"
    step = "Nothing: the next lab removes them."
    return [Row("folders of killed labs", "found", detail, "information", step)]


def _place(path: Path) -> str:
    """A path, kept short where it is this environment's own."""
    return "in this environment" if path.is_relative_to(sys.prefix) else str(path)


def _python() -> str:
    return sys.executable or "python3"


def _split(message: str) -> tuple[str, str]:
    """A message of this package into its cause and its next step."""
    for mark in (" Bring it with: ", " Bring the library with: "):
        cause, found, command = message.partition(mark)
        if found:
            return cause.rstrip("."), command.rstrip(".")
    cause, _, step = message.partition(". ")
    return cause.rstrip("."), step or "Read the sentence on the left, then run this again."


def _system(debian: str, conda: str) -> str:
    """The command that brings a package of the system."""
    if shutil.which("apt-get") and not os.environ.get("CONDA_PREFIX"):
        return f"sudo apt-get install {debian}"
    return f"conda install -c conda-forge {conda}"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
