"""Java's class data sharing: the classes that a program loads at its start, ready in a file.

A start of a node loads some 15,000 classes. From an archive of the last run (JEP 350, "Dynamic CDS
Archives") it needs half of the processor time. Java passes over an archive that does not fit.
"""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from leftopen.engines import opensearch_home
from leftopen.engines.java import Java

NODE, TOOL = "node", "securityadmin"
_PREFIX = "classes-"


def path(home: Path, java: Java, program: str) -> Path:
    """Where the archive of a program stands, for this OpenSearch and this Java.

    Args:
        home: the home folder of OpenSearch.
        java: the Java on which it runs.
        program: ``NODE`` or ``TOOL``.
    """
    release = java.home / "release"  # names the exact build
    build = release.read_text(errors="replace") if release.is_file() else str(java.version)
    key = hashlib.sha256(f"{home}\n{java.program}\n{build}".encode()).hexdigest()[:12]
    return opensearch_home.cache() / f"{_PREFIX}{program}-{key}.jsa"


def options(home: Path, java: Java, program: str) -> list[str]:
    """The options of a call of Java that is to use the archive, if there is one."""
    archive = path(home, java, program)
    if not archive.is_file():
        return []
    return [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off,cds+dynamic=off"]


def keep(made: Path, home: Path, java: Java, program: str) -> None:
    """Move an archive that was made into its place, and remove those of other builds.

    Raises:
        OSError: the cache folder cannot be written.
    """
    place = path(home, java, program)
    place.parent.mkdir(parents=True, exist_ok=True)
    for old in place.parent.glob(f"{_PREFIX}{program}-*.jsa"):
        with contextlib.suppress(OSError):
            old.unlink()
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.copyfile(made, beside)
    beside.chmod(0o644)  # a node of root runs under another account
    beside.replace(place)
