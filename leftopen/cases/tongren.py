"""The Tongren case: PostgreSQL behind an HTTP service, both reachable without a login.

No source names the engine of the real system. PostgreSQL and the service stand in for it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from leftopen.engines.backend_code import read_code
from leftopen.lab_postgres import Connect, PostgresLab
from leftopen.synth.tongren import DATABASES, TABLES, Tables, read, sample

NAME = "tongren"
RECORDS = Path(__file__).resolve().parents[2] / "datasets" / "tongren"
BACKEND = Path(__file__).with_name("tongren_backend")
TIME_ZONE = "Asia/Shanghai"
"""The clocks of the doors: eight hours ahead of UTC, all year."""

AS_FOUND = """\
# Every address of the machine, so that the doors of all buildings can connect.
listen_addresses = '*'
# There is no line `ssl = on`: what is asked and answered crosses the network in plain text.
"""

HBA_AS_FOUND = """\
# TYPE  DATABASE  USER  ADDRESS       METHOD
local   all       all                 peer
# The service that shows the records runs on this machine.
host    all       all   127.0.0.1/32  trust
# The doors connect from many addresses, and these change. So every address is let in, as any
# account, and `trust` asks none of them for a password.
host    all       all   0.0.0.0/0     trust
"""

LOCKED = """\
listen_addresses = '*'
ssl = on
ssl_cert_file = 'pki/server.pem'
ssl_key_file = 'pki/server-key.pem'
ssl_ca_file = 'pki/ca.pem'
password_encryption = 'scram-sha-256'
"""
"""A server that clients reach by TLS, and that stores no password which can be sent again."""

HBA_LOCKED = f"""\
# TYPE  DATABASE  USER      ADDRESS       METHOD
local   all       all                     peer
# The administrator comes from this machine, or not at all.
hostssl all       postgres  127.0.0.1/32  scram-sha-256
host    all       postgres  all           reject
# Everybody else comes by TLS, with a password, and to the door logs alone.
hostssl {",".join(DATABASES)}  all  all   scram-sha-256
host    all       all       all           reject
"""

SCHEMA = """\
CREATE TABLE buildings (
    building text PRIMARY KEY,
    storeys integer NOT NULL,
    flats integer NOT NULL
);
CREATE TABLE residents (
    person integer PRIMARY KEY,
    name text NOT NULL,
    id_number text NOT NULL,
    born date NOT NULL,
    sex text NOT NULL,
    phone text NOT NULL,
    plate text,
    building text NOT NULL,
    flat text NOT NULL
);
CREATE TABLE visitors (
    visitor integer PRIMARY KEY,
    name text NOT NULL,
    id_number text NOT NULL,
    phone text NOT NULL,
    plate text
);
CREATE TABLE passages (
    passage bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    building text NOT NULL,
    door text NOT NULL CHECK (door IN ('main', 'garage')),
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    person integer,
    visitor integer,
    flat text,
    status text NOT NULL CHECK (status IN ('normal', 'abnormal')),
    CHECK (num_nonnulls(person, visitor) = 1)
);
"""
"""The tables of each of the four databases."""


def open_lab() -> PostgresLab:
    """Open the case on a real PostgreSQL, with the invented sample and the service as found.

    Raises:
        DataError: the records are not there.
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_postgres.PostgresLab`.
    """
    records = read(RECORDS)
    return PostgresLab(
        NAME,
        AS_FOUND,
        HBA_AS_FOUND,
        lambda connect: load(connect, records),
        backend_as_found(),
    )


def small_lab(
    seed: int,
    config: str = AS_FOUND,
    hba: str = HBA_AS_FOUND,
    prepare: Callable[[Connect], None] | None = None,
    residents: int = 240,
    days: int = 3,
    databases: Sequence[str] = DATABASES[:1],
    backend: Mapping[str, str] | None = None,
) -> PostgresLab:
    """Open a small Tongren server for an exercise, with people of its own.

    Args:
        seed: which people; the same seed gives the same ones.
        config: the postgresql.conf with which it begins: ``AS_FOUND``, ``LOCKED``, or another.
        hba: the pg_hba.conf with which it begins.
        prepare: what else to do once the records are there, as to make roles, given a function
            that connects to a database as the operator.
        residents: how many people live there.
        days: how many days, the last of which is Sunday, 16 August 2020.
        databases: which door logs there are.
        backend: the files of the service beside it, as of :func:`backend_as_found`; without it
            there is no service.

    Raises:
        DataError: impossible numbers.
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_postgres.PostgresLab`.
    """
    records = sample(seed, residents, days, databases)

    def fill(connect: Connect) -> None:
        load(connect, records)
        if prepare is not None:
            prepare(connect)

    return PostgresLab(NAME, config, hba, fill, backend)


def backend_as_found() -> dict[str, str]:
    """The code of the service in front of the database: file name -> text."""
    return read_code(BACKEND)


def load(connect: Connect, records: Tables) -> None:
    """Put records into a server: a database for each door log, and its four tables.

    Args:
        connect: connects to a database as the operator.
        records: database -> table -> rows, as :func:`leftopen.synth.tongren.sample` gives them.
    """
    with connect("postgres") as operator:
        for database in records:
            name = sql.Identifier(database)
            operator.execute(sql.SQL("CREATE DATABASE {}").format(name))
            clock = sql.SQL("ALTER DATABASE {} SET timezone TO {}")
            operator.execute(clock.format(name, TIME_ZONE))
    for database, tables in records.items():
        with connect(database) as operator, operator.transaction():
            operator.execute(SCHEMA)
            for table in TABLES:
                columns = sql.SQL(", ").join(map(sql.Identifier, tables[table].column_names))
                copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)")
                with operator.cursor().copy(copy.format(sql.Identifier(table), columns)) as rows:
                    rows.write(_csv(tables[table]))


def _csv(table: pa.Table) -> memoryview:
    """Rows as COPY reads them: a value that is missing is an empty one without quotes."""
    made = pa.BufferOutputStream()
    csv.write_csv(table, made, csv.WriteOptions(include_header=False))
    return memoryview(made.getvalue())


__all__ = [
    "AS_FOUND",
    "DATABASES",
    "HBA_AS_FOUND",
    "HBA_LOCKED",
    "LOCKED",
    "NAME",
    "backend_as_found",
    "load",
    "open_lab",
    "small_lab",
]
