"""The buildings, who lives in them, and who came to visit.

Played as it was found: nobody has to log in.
"""

from fastapi import APIRouter, HTTPException

from database import Connection

router = APIRouter(prefix="/servers/{server}", tags=["people"])


@router.get("/buildings")
def buildings(db: Connection) -> list[dict]:
    """List the buildings of one server."""
    return db.execute("SELECT * FROM buildings ORDER BY building").fetchall()


@router.get("/residents")
def residents(
    db: Connection, building: str | None = None, limit: int = 100, offset: int = 0
) -> list[dict]:
    """List residents, of one building or of all."""
    sql = """SELECT * FROM residents
             WHERE %(building)s::text IS NULL OR building = %(building)s
             ORDER BY person LIMIT %(limit)s OFFSET %(offset)s"""
    wanted = {"building": building, "limit": limit, "offset": offset}
    return db.execute(sql, wanted).fetchall()


@router.get("/residents/{person}")
def resident(db: Connection, person: int) -> dict:
    """Show one resident."""
    found = db.execute("SELECT * FROM residents WHERE person = %s", [person]).fetchone()
    if found is None:
        raise HTTPException(404, f"There is no resident {person}.")
    return found


@router.get("/visitors")
def visitors(db: Connection, limit: int = 100, offset: int = 0) -> list[dict]:
    """List visitors."""
    sql = "SELECT * FROM visitors ORDER BY visitor LIMIT %s OFFSET %s"
    return db.execute(sql, [limit, offset]).fetchall()
