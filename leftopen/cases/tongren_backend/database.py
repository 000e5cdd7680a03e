"""The way to the database: one connection for each request.

Played as it was found: DATABASE_URL names the superuser, and no password.
"""

import os
from collections.abc import Iterator
from typing import Annotated

import psycopg
from fastapi import Depends, Path
from psycopg.rows import dict_row

DATABASE_URL = os.environ["DATABASE_URL"]


def connect(server: Annotated[int, Path(ge=1, le=4)]) -> Iterator[psycopg.Connection]:
    """Connect to the database of one server, until the request is answered."""
    with psycopg.connect(
        DATABASE_URL, dbname=f"doors_{server}", autocommit=True, row_factory=dict_row
    ) as connection:
        yield connection


Connection = Annotated[psycopg.Connection, Depends(connect)]
