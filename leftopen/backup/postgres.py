"""A dump of one PostgreSQL database with its own tools, pg_dump and pg_restore.

They stand beside ``postgres`` in the same folder, so that their version is the server's. A dump has
no roles: they belong to the whole cluster, and pg_dumpall writes them.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from leftopen import loopback
from leftopen.backup.files import inside, new_folder, reading
from leftopen.engines import postgres
from leftopen.errors import DataError, EngineMissing

ACCOUNTS = "accounts.sql"
_SECONDS = 3600.0
_HEAD = b"PGDMP"  # the first bytes of pg_dump's custom format
_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_'
AND n.nspname <> 'information_schema' ORDER BY 1
"""
_CREATE = re.compile(r'^CREATE ROLE ("(?:[^"]|"")*"|[^\s;"]+);$')


def dump_postgres(uri: str, folder: Path, accounts: bool = False, compress: bool = True) -> Path:
    """Dump a database: tables, indexes, views, functions, policies, grants.

    It is one transaction: the state of the moment in which it began.

    Args:
        uri: the connection string of who reads; row-level security must not hold for it, or
            pg_dump refuses. Accounts need the superuser.
        folder: the folder to make: ``NAME.dump`` in pg_dump's custom format.
        accounts: also write the cluster's roles and what is stored of their passwords.
        compress: whether pg_dump compresses the rows. That hides them from the eye, no more.

    Returns:
        The folder.

    Raises:
        DataError: there is no table, pg_dump refuses or is interrupted, or the disk is full;
            nothing is left behind.
        EngineMissing: there is no pg_dump.
    """
    name = _database(uri)
    with _connected(uri) as connection, new_folder(folder) as new:
        if not connection.execute(_TABLES).fetchall():
            raise DataError(
                f"There is nothing to dump: {name} has no table. A backup of nothing must not take "
                "the place of the last good one."
            )
        target = new / f"{name.replace('/', '_')}.dump"
        less = [] if compress else ["--compress=0"]
        _run("pg_dump", "--format=custom", *less, f"--file={target}", uri=uri)
        if accounts:
            _run("pg_dumpall", "--roles-only", f"--file={new / ACCOUNTS}", uri=uri)
    return Path(folder)


def restore_postgres(folder: Path, uri: str, accounts: bool = False) -> dict[str, int]:
    """Restore a dump into a database that has no tables, in one transaction.

    Args:
        folder: what :func:`dump_postgres` made.
        uri: the connection string of who writes, to the database to fill.
        accounts: restore the roles first; those that are there get the password of the dump.

    Returns:
        Table -> how many rows it has now.

    Raises:
        DataError: the dump is not whole, the database is not empty, or PostgreSQL refuses: then
            nothing of it was restored.
        EngineMissing: there is no pg_restore.
    """
    dump = _dump(Path(folder))
    name = _database(uri)
    with _connected(uri) as connection:
        if there := [row[0] for row in connection.execute(_TABLES).fetchall()]:
            raise DataError(
                f"{name} is not empty: it holds {', '.join(there)}. Restore into another "
                "database; or keep what is evidence, and drop it first."
            )
        if accounts:
            _restore_accounts(connection, Path(folder) / ACCOUNTS)
        _run("pg_restore", "--exit-on-error", "--single-transaction", str(dump), uri=uri)
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename), tablename FROM pg_tables "
            "WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema' ORDER BY 2"
        ).fetchall()
        return {
            short: connection.execute(f"SELECT count(*) FROM {full}").fetchone()[0]
            for full, short in tables
        }


def _dump(folder: Path) -> Path:
    found = [path for path in inside(folder) if path.suffix == ".dump"]
    if len(found) != 1:
        raise DataError(f"{folder} is not the dump of one database: {len(found)} files are dumps.")
    with reading(found[0]), found[0].open("rb") as file:
        if file.read(len(_HEAD)) != _HEAD:
            raise DataError(f"{found[0]} is not a dump in pg_dump's custom format.")
    # pg_restore reads the whole file when it writes a script; a cut one is found before the start.
    _run("pg_restore", "--file=-", str(found[0]), what=str(found[0]))
    return found[0]


def _restore_accounts(connection: psycopg.Connection, path: Path) -> None:
    """Run pg_dumpall's statements, one a line, without those that make a role that is there."""
    with reading(path):
        lines = path.read_text().splitlines()
    there = {row[0] for row in connection.execute("SELECT quote_ident(rolname) FROM pg_roles")}
    wanted = []
    for line in lines:
        made = _CREATE.match(line)
        if not line.startswith(("--", "\\", "SET ")) and not (made and made[1] in there):
            wanted.append(line)
    with connection.transaction():
        connection.execute("\n".join(wanted).encode())


def _database(uri: str) -> str:
    parts = _parts(uri)
    return str(parts.get("dbname") or parts.get("user") or "postgres")


def _parts(uri: str) -> dict:
    try:
        return conninfo_to_dict(uri)
    except (psycopg.Error, TypeError):
        raise DataError("This is not a connection string of PostgreSQL (postgresql://…).") from None


@contextlib.contextmanager
def _connected(uri: str) -> Iterator[psycopg.Connection]:
    parts = _parts(uri)
    for host in str(parts.get("hostaddr") or parts.get("host") or loopback.HERE).split(","):
        if not host.startswith("/"):  # the folder of a socket
            loopback.addresses(host)
    try:
        with psycopg.connect(uri, autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"PostgreSQL refuses: {words}.") from error


def _run(name: str, *words: str, uri: str = "", what: str = "") -> None:
    """Run one of PostgreSQL's tools; a password goes by its environment, not by its call, which
    everybody on the machine can list.
    """
    program = postgres.find() / (f"{name}.exe" if os.name == "nt" else name)
    if not program.exists():
        raise EngineMissing(
            f"There is no {name} beside PostgreSQL's server, in {program.parent}. "
            f"{postgres.how_to_install()}"
        )
    environment = postgres.environment()
    if uri:
        parts = _parts(uri)
        if password := parts.pop("password", None):
            environment["PGPASSWORD"] = str(password)
        words = (f"--dbname={make_conninfo(**parts)}", *words)
    try:
        # What a tool prints may be the rows themselves; they are not kept.
        done = subprocess.run(
            [program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{name} did not end within an hour, and was stopped.") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        words = (lines or done.stderr.splitlines() or ["it does not say why"])[0]
        words = words.partition("error: ")[2] or words
        raise DataError(f"{what or name} failed: {words.rstrip('.')}.")
