"""The way to the database: a connection that is kept, lent to each request."""

from collections.abc import Iterator
from typing import Annotated

import psycopg
from callers import Caller
from fastapi import Depends, Path
from kept import connection


def connect(server: Annotated[int, Path(ge=1, le=4)], who: Caller) -> Iterator[psycopg.Connection]:
    """Lend a connection to the database of one server."""
    with connection(f"doors_{server}") as db:
        yield db


Connection = Annotated[psycopg.Connection, Depends(connect)]
