"""PostgreSQL: where its programs are found, what they can do, and with which environment they run.

The server itself is in ``postgres_server.py``.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from leftopen.errors import EngineMissing

VARIABLE = "PG_BIN"
LEAST = 15
_TOOL_SECONDS = 60.0
_DEBIAN = Path("/usr/lib/postgresql")
_APT = "sudo apt-get install postgresql && sudo systemctl disable --now postgresql"
_OWN = re.compile("PG[A-Z]+")  # PostgreSQL manual, "Environment Variables"; PG_BIN is ours


def find() -> Path:
    """Find the folder with PostgreSQL's initdb and postgres.

    Looked for, in this order: the variable PG_BIN, the active environment, PATH, and the folders
    of Debian and Ubuntu, the newest version first.

    Raises:
        EngineMissing: there is none, it is too old, or it was built without TLS or pgcrypto; the
            message carries the command that brings one.
    """
    if chosen := os.environ.get(VARIABLE):
        if not _complete(Path(chosen)):
            raise EngineMissing(
                f"{VARIABLE} names {chosen}, which holds no initdb and postgres that can be run. "
                "Correct the variable, or unset it to let the course look for PostgreSQL itself."
            )
        folders = [Path(chosen)]
    else:
        folders = [folder for folder in _candidates() if _complete(folder)]
    if not folders:
        raise EngineMissing(f"PostgreSQL is not installed. {how_to_install()}")
    lacks = {folder: _lack(folder, _changed(folder)) for folder in folders}
    for folder, lack in lacks.items():
        if not lack:
            return folder
    folder, lack = next(iter(lacks.items()))
    raise EngineMissing(f"The PostgreSQL in {folder} {lack}. {how_to_install()}")


def _program(folder: Path, name: str) -> Path:
    return folder / (f"{name}.exe" if os.name == "nt" else name)


def _complete(folder: Path) -> bool:
    return all(os.access(_program(folder, name), os.X_OK) for name in ("initdb", "postgres"))


def _candidates() -> list[Path]:
    folders = [Path(sys.prefix) / ("Library/bin" if os.name == "nt" else "bin")]
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).parent)
    packaged = _DEBIAN.glob("*/bin")
    return folders + sorted(packaged, key=lambda p: _number(p.parent.name), reverse=True)


def _number(name: str) -> float:
    with contextlib.suppress(ValueError):
        return float(name)
    return 0.0


def how_to_install() -> str:
    """The command that brings PostgreSQL on this kind of machine.

    Debian's package starts a server of its own, which the lessons do not need: it is stopped.
    """
    if shutil.which("apt-get") and not os.environ.get("CONDA_PREFIX"):
        return f"Bring it with: {_APT}"
    return "Bring it with: conda install -c conda-forge postgresql"


def version(folder: Path) -> str:
    """The version that the postgres in a folder states, as in ``"15.18"``.

    Raises:
        EngineMissing: the program does not run.
    """
    return _version(folder, _changed(folder))


def _changed(folder: Path) -> int:
    """When the program was changed, so that what it said before is not taken for its word now."""
    with contextlib.suppress(OSError):
        return _program(folder, "postgres").stat().st_mtime_ns
    return 0


@functools.lru_cache(maxsize=8)
def _version(folder: Path, _: int) -> str:
    told = _ask(folder, "--version")
    if found := re.search(r"\(PostgreSQL\) (\d[\w.]*)", told.stdout):
        return found[1]
    reason = (told.stderr.strip() or told.stdout.strip() or "it says nothing").splitlines()[0]
    raise EngineMissing(f"The postgres in {folder} does not run: {reason}. {how_to_install()}")


@functools.lru_cache(maxsize=8)
def _lack(folder: Path, changed: int) -> str:
    """What the lessons need and this PostgreSQL does not have, as the end of a sentence."""
    try:
        found = _version(folder, changed)
    except EngineMissing as error:
        return "does not run" + str(error).partition("does not run")[2].partition(". Bring")[0]
    major = re.match(r"\d+", found)
    if int(major[0]) < LEAST:
        return f"is version {found}, and the lessons need {LEAST} or newer"
    told = _ask(folder, "-C", "ssl_library", "-D", folder, "-c", f"config_file={os.devnull}")
    if not told.stdout.strip():
        return "was built without TLS"
    libraries = (f"{lib}{inner}/pgcrypto.*" for lib in ("lib", "lib64") for inner in ("", "/*"))
    if not any(any(folder.resolve().parent.glob(pattern)) for pattern in libraries):
        return "lacks the extension pgcrypto"
    return ""


def _ask(folder: Path, *words: str | Path) -> subprocess.CompletedProcess:
    """Let postgres answer a question, without a server."""
    try:
        return subprocess.run(
            [_program(folder, "postgres"), *words],
            capture_output=True,
            text=True,
            timeout=_TOOL_SECONDS,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineMissing(
            f"The postgres in {folder} does not run: {error}. {how_to_install()}"
        ) from error


def environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs: the notebook's, in English, without PostgreSQL's
    own variables (PGDATA, PGPORT).
    """
    ours = {k: v for k, v in os.environ.items() if not _OWN.fullmatch(k)}
    return {k: v for k, v in ours.items() if not k.startswith(("LC_", "LANG"))} | {"LC_ALL": "C"}


def take_out_variables() -> list[str]:
    """Take PostgreSQL's variables out of this process, and return the names of those that were set.

    Each would change every connection that a notebook makes, as PGSSLMODE and PGSERVICE do. The
    stored passwords of ``~/.pgpass`` are left out as well.
    """
    ours = {"PGPASSFILE": f"{os.sep}no-stored-passwords", "PGGSSENCMODE": "disable"}
    names = [k for k in os.environ if _OWN.fullmatch(k) and os.environ[k] != ours.get(k)]
    for name in names:
        del os.environ[name]
    os.environ.update(ours)
    return sorted(names)
