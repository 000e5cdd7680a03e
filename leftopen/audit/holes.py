"""Versions with known holes, from a dated table in this package.

``known_holes.csv`` says for each release line which version closed a hole, when it was published,
what must be true for it to bite, and where that is written. It is a list of those that the course
speaks of, not of all.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leftopen.audit.checks import check
from leftopen.audit.look import Look
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook

TABLE = Path(__file__).with_name("known_holes.csv")
AS_OF = "21 Nov 2026"
"""The day up to which the table was brought."""


@dataclass(frozen=True)
class Hole:
    """A row of the table; ``fixed`` is empty where no version of the line was ever mended.

    The line is as long as it needs to be: ``6.0`` for MongoDB, ``2`` for OpenSearch, ``15``.
    """

    cve: str
    cwe: str
    engine: str
    line: str
    fixed: str
    published: str
    bites: str
    severity: str
    summary: str
    source: str
    confidence: str

    def is_in(self, version: str) -> bool:
        """Whether a version, as ``6.0.5``, has this hole."""
        there = _numbers(version)
        line = _numbers(self.line)
        if there[: len(line)] != line:
            return False
        return not self.fixed or there < _numbers(self.fixed)

    @property
    def newer(self) -> str:
        """What to install in its place."""
        return f"{self.fixed} or newer" if self.fixed else f"a line newer than {self.line}"


def holes(engine: str) -> list[Hole]:
    """The rows of one engine."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [hole for row in csv.DictReader(file) if (hole := Hole(**row)).engine == engine]


def _numbers(version: str) -> tuple[int, ...]:
    """``6.0.5-rc1`` as (6, 0, 5)."""
    plain = version.partition("-")[0].split(".")
    return tuple(int(part) for part in plain if part.isdigit())


@check("known-hole")
def known_hole(look: Look) -> Iterator[Finding]:
    """Is the version one with a known hole, and does that hole bite here?"""
    version = look.inside.version
    if not version:
        raise CouldNotLook("the server does not tell its version")
    quiet = []
    for hole in (h for h in holes("MongoDB") if h.is_in(version)):
        bites, seen = _bites(look, hole)
        if not bites or look.lab is not None:
            quiet.append((hole, seen))
            continue
        yield Finding(
            "known-hole",
            Severity(hole.severity),
            f"mongod {version} has {hole.cve}: {hole.summary}.",
            f"buildInfo without login → {version}; {seen}",
            _WHY,
            hole.cwe,
            f"# install {hole.newer}" + _UNTIL_THEN.get(hole.bites, ""),
            _retest(look),
        )
    if quiet:
        but = (
            "the lab brought this version."
            if look.lab
            else "as it is configured, they do not bite."
        )
        yield note(
            f"mongod {version}",
            f"buildInfo without login → {version}",
            quiet,
            but,
            _WHY,
            _retest(look),
        )


def note(
    program: str, told: str, quiet: list[tuple[Hole, str]], but: str, why: str, retest: str
) -> Finding:
    """The finding that tells of known holes which are nothing to mend now.

    A lab brought its version and keeps it on loopback: that is no fault of the learner's.

    Args:
        program: the program and its version.
        told: how the version was seen.
        quiet: the holes, each with what was seen of that which it needs.
        but: why they are nothing to mend now.
        why: why the version matters all the same.
        retest: how to see the version again.
    """
    return Finding(
        "known-hole",
        Severity.NOTE,
        f"{program} has known holes ({', '.join(hole.cve for hole, _ in quiet)}); {but}",
        f"{told}; " + "; ".join(f"{hole.cve}: {seen}" for hole, seen in quiet),
        why,
        quiet[0][0].cwe,
        "\n".join(f"# {hole.cve}: install {hole.newer}" for hole, _ in quiet),
        retest,
    )


def _retest(look: Look) -> str:
    return f'MongoClient({look.inside.label}).server_info()["version"]'


_WHY = (
    "Anyone can ask the version, before any login; servers before 8.1 cannot hide it. So it must "
    "be one without known holes."
)
_UNTIL_THEN = {
    "zlib": "; until then:\nnet:\n  compression:\n    compressors: snappy,zstd",
    "no-login": "; until then, ask for a document without a login after every start",
    "javascript": "; until then:\nsecurity:\n  javascriptEnabled: false",
    "tls-without-ca": "; until then:\nnet:\n  tls:\n    CAFile: /path/to/ca.pem",
}


def _bites(look: Look, hole: Hole) -> tuple[bool, str]:
    """Whether what the hole needs is so on this server, and what was seen of that.

    What could not be seen counts as so.
    """
    if hole.bites == "always":
        return True, "nothing else is needed"
    try:
        return _CONDITIONS[hole.bites](look)
    except CouldNotLook as why:
        return True, f"whether it bites could not be seen: {why}"


def _zlib(look: Look) -> tuple[bool, str]:
    if "zlib" in (look.inside.hello.get("compression") or []):
        return True, "hello that offers zlib → zlib agreed"
    whose = ", which the lab sees to" if look.ours("net.compression.compressors") else ""
    return False, f"hello that offers zlib → not agreed{whose}"


def _no_login(look: Look) -> tuple[bool, str]:
    is_open = look.inside.find == 0
    return is_open, f"find without login → {'answered' if is_open else 'refused'}"


def _javascript(look: Look) -> tuple[bool, str]:
    is_off = look.option("security.javascriptEnabled").lower() == "false"
    return not is_off, f"JavaScript is {'off' if is_off else 'on'}"


def _tls_without_ca(look: Look) -> tuple[bool, str]:
    if look.inside.tls is None:
        return False, "the server does not speak TLS"
    has_ca = bool(look.option("net.tls.CAFile"))
    return not has_ca, f"net.tls.CAFile is {'' if has_ca else 'not '}set"


_CONDITIONS = {
    "zlib": _zlib,
    "no-login": _no_login,
    "javascript": _javascript,
    "tls-without-ca": _tls_without_ca,
}
