"""The door log: who went in or out, when, and by which door.

Played as it was found: nobody has to log in.
"""

from datetime import datetime

from fastapi import APIRouter

from database import Connection

router = APIRouter(prefix="/servers/{server}", tags=["passages"])

WANTED = """
    SELECT * FROM passages
    WHERE (%(building)s::text IS NULL OR building = %(building)s)
      AND (%(flat)s::text IS NULL OR flat = %(flat)s)
      AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
    ORDER BY at, passage LIMIT %(limit)s OFFSET %(offset)s"""


@router.get("/passages")
def passages(
    db: Connection,
    building: str | None = None,
    flat: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[dict]:
    """List passages, in their order: of a building, to a flat, in a span of time."""
    wanted = {"building": building, "flat": flat, "since": since, "until": until}
    return db.execute(WANTED, wanted | {"limit": limit, "offset": offset}).fetchall()
