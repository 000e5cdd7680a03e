"""The way to the database: each request in the role of its caller, in a transaction of its own."""

import os
from collections.abc import Iterator
from typing import Annotated

import psycopg
from callers import Caller
from fastapi import Depends, Path
from psycopg.rows import dict_row

DATABASE_URL = os.environ["DATABASE_URL"]
BECOME = """SELECT set_config('role', %(role)s, true),
                   set_config('doors.building', %(building)s, true),
                   set_config('doors.person', %(person)s, true)"""


def connect(server: Annotated[int, Path(ge=1, le=4)], who: Caller) -> Iterator[psycopg.Connection]:
    """Connect to the database of one server, as who is calling."""
    claims = {name: str(who.get(name, "")) for name in ("role", "building", "person")}
    with psycopg.connect(DATABASE_URL, dbname=f"doors_{server}", row_factory=dict_row) as db:
        db.execute(BECOME, claims)  # in a transaction, which ends with the request
        yield db


Connection = Annotated[psycopg.Connection, Depends(connect)]
