"""Java, for the servers that need it: found, and of a version with which they run."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leftopen.errors import EngineMissing

LEAST, BELOW = 17, 24
"""OpenSearch 2.19 runs on 17 and 21; it needs the security manager, which Java 24 no longer has
(JEP 486)."""
_SECONDS = 60.0


@dataclass(frozen=True)
class Java:
    """A Java that can be used: its program, its home folder and its major version."""

    program: Path
    home: Path
    version: int


def find() -> Java:
    """Find Java: OPENSEARCH_JAVA_HOME, JAVA_HOME, the active environment, PATH.

    Raises:
        EngineMissing: there is none of a usable version; the message says what there is, and the
            command that brings one.
    """
    unfit = []
    for program in _candidates():
        java = _ask(program)
        if java is not None and LEAST <= java.version < BELOW:
            return java
        unfit.append(f"{program} is Java {java.version}" if java else f"{program} does not run")
    why = f" ({'; '.join(dict.fromkeys(unfit))})" if unfit else ""
    raise EngineMissing(
        f"Java {LEAST} to {BELOW - 1}, on which OpenSearch runs, is not installed{why}. "
        f"{how_to_install()}"
    )


def how_to_install() -> str:
    """The command that brings Java on this kind of machine."""
    if shutil.which("apt-get") and not os.environ.get("CONDA_PREFIX"):
        return f"Bring it with: sudo apt-get install {debian_package()}"
    return f"Bring it with: conda install -c conda-forge 'openjdk>={LEAST},<{BELOW}'"


def debian_package() -> str:
    """Debian's package: from Debian 13 on there is no Java 17 any more, and Java 21 instead."""
    import platform

    try:
        release = platform.freedesktop_os_release()
        newer = release["ID"] == "debian" and int(release["VERSION_ID"]) >= 13
    except (OSError, ValueError, KeyError):
        newer = False
    return f"openjdk-{21 if newer else LEAST}-jre-headless"


def _candidates() -> Iterator[Path]:
    name = "java.exe" if os.name == "nt" else "java"
    for variable in ("OPENSEARCH_JAVA_HOME", "JAVA_HOME"):
        if home := os.environ.get(variable):
            yield Path(home) / "bin" / name
    scripts = Path(sys.prefix) / ("Library/bin" if os.name == "nt" else "bin")
    if (scripts / name).exists():
        yield scripts / name
    if on_path := shutil.which(name):
        yield Path(on_path)


@functools.cache
def _ask(program: Path) -> Java | None:
    command = [program, "-XshowSettings:properties", "-version"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = told.stdout + told.stderr
    # Before Java 9 the version was written 1.8.0; since then it begins with the major number.
    version = re.search(r"java\.version = (?:1\.)?(\d+)", said)
    home = re.search(r"java\.home = (.+)", said)
    if not version or not home:
        return None
    return Java(program, Path(home[1].strip()), int(version[1]))
