"""Checks of what is built into the server: extensions, languages, and its version."""

from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.holes import Hole, holes, note
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook

_BEYOND = {
    "file_fdw": "reads files of the server",
    "adminpack": "writes and removes files of the server",
    "dblink": "connects from the server to others",
    "postgres_fdw": "connects from the server to others",
    "plpython3u": "runs anything, as the server",
    "plperlu": "runs anything, as the server",
    "pltclu": "runs anything, as the server",
}
_ONLY_OUT = ("dblink", "postgres_fdw")
_LANGUAGES = (
    "SELECT lanname FROM pg_language WHERE NOT lanpltrusted "
    "AND lanname NOT IN ('internal', 'c') ORDER BY 1"
)
_MAPPINGS = (
    "SELECT s.srvname, CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(m.umuser) END "
    "FROM pg_user_mapping m JOIN pg_foreign_server s ON s.oid = m.umserver "
    "WHERE EXISTS (SELECT 1 FROM unnest(m.umoptions) o WHERE o LIKE 'password=%') ORDER BY 1, 2"
)


@check("extension")
def extension(look: PostgresLook) -> Iterator[Finding]:
    """Is something installed that leads out of the database?"""
    found: dict[str, list[str]] = {}
    for database in look.databases:
        installed = [name for (name,) in look.rows("SELECT extname FROM pg_extension", database)]
        languages = [name for (name,) in look.rows(_LANGUAGES, database)]
        for name in dict.fromkeys([*installed, *languages]):
            if name in _BEYOND or name in languages:
                found.setdefault(name, []).append(database)
    for name, where in found.items():
        does = _BEYOND.get(name, "runs anything, as the server")
        yield Finding(
            "extension",
            Severity.NOTE if name in _ONLY_OUT else Severity.WARN,
            f"The extension {name} is there: it {does}.",
            f"pg_extension, pg_language → {name} in {', '.join(where)}",
            "What leads out of the database leads an intruder out of it too. Keep it where it is "
            "used, and nowhere else.",
            "CWE-1125",
            f"DROP EXTENSION {name}",
            f"SELECT extname FROM pg_extension WHERE extname = '{name}'  -- wanted: no row",
        )


@check("stored-foreign-password")
def stored_foreign_password(look: PostgresLook) -> Iterator[Finding]:
    """Does the server keep the password of another server, for more than one account?"""
    for database in look.databases:
        for server, whom in look.rows(_MAPPINGS, database):
            everyone = whom == "PUBLIC"
            yield Finding(
                "stored-foreign-password",
                Severity.FIX if everyone else Severity.NOTE,
                f"The password of another server is kept here, for {whom}.",
                f"pg_user_mapping in {database} → {server}: a password, for {whom}",
                "Everyone who may use the foreign server is that account there. It lies here in "
                "clear, and in every dump.",
                "CWE-522",
                f"DROP USER MAPPING FOR {whom} SERVER {server};\n"
                "-- one mapping for each account, of an account there that may little",
                "SELECT srvname, usename FROM pg_user_mappings",
            )


@check("known-hole")
def known_hole(look: PostgresLook) -> Iterator[Finding]:
    """Is the version one with a known hole, and does that hole bite here?"""
    product, version = look.program
    quiet = []
    for hole in (h for h in holes(product) if h.is_in(version)):
        bites, seen = _bites(look, hole)
        if not bites or look.lab is not None:
            quiet.append((hole, seen))
            continue
        yield Finding(
            "known-hole",
            Severity(hole.severity),
            f"{product} {version} has {hole.cve}: {hole.summary}.",
            f"server_version → {version}; {seen}",
            _WHY,
            hole.cwe,
            f"# install {hole.newer}",
            "SHOW server_version",
        )
    if quiet:
        yield note(
            f"{product} {version}",
            f"server_version → {version}",
            quiet,
            "the lab brought this version." if look.lab else "they do not bite here.",
            _WHY,
            "SHOW server_version",
        )


_WHY = (
    "Everyone with a login is told the version. PostgreSQL mends what becomes known every three "
    "months, in each line that it still keeps; a line is kept for five years."
)


def _bites(look: PostgresLook, hole: Hole) -> tuple[bool, str]:
    """Whether what the hole needs is so here. What could not be seen counts as so."""
    queries = {
        "row-security": ("SELECT 1 FROM pg_class WHERE relrowsecurity", "row security is {}used"),
        "pgcrypto": ("SELECT 1 FROM pg_extension WHERE extname = 'pgcrypto'",
                     "pgcrypto is {}installed"),
    }  # fmt: skip
    if hole.bites not in queries:
        return True, "nothing else is needed"
    query, told = queries[hole.bites]
    try:
        used = any(look.rows(f"{query} LIMIT 1", name) for name in look.databases)
    except CouldNotLook as why:
        return True, f"whether it bites could not be seen: {why}"
    return used, told.format("" if used else "not ")
