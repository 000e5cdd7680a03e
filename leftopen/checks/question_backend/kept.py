"""Connections that are kept for the next request: to open one takes longer than to use it."""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import dict_row

DATABASE_URL = os.environ["DATABASE_URL"]
free: dict[str, list[psycopg.Connection]] = defaultdict(list)


@contextmanager
def connection(database: str) -> Iterator[psycopg.Connection]:
    """Lend a connection to a database; it is kept, and not closed, at the end."""
    kept = free[database].pop() if free[database] else open_one(database)
    try:
        yield kept
    finally:
        if not kept.closed:
            kept.rollback()  # as pools do with a transaction that was left open
            free[database].append(kept)


def open_one(database: str) -> psycopg.Connection:
    """Each statement is a transaction of its own (autocommit)."""
    kept = psycopg.connect(DATABASE_URL, dbname=database, autocommit=True, row_factory=dict_row)
    kept.prepare_threshold = None  # so that DISCARD ALL takes nothing that psycopg counts on
    return kept
