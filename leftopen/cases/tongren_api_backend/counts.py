"""How many passages each building had: for the auditor, who needs no names."""

from fastapi import APIRouter

from database import Connection

router = APIRouter(prefix="/servers/{server}", tags=["counts"])

COUNT = """
    SELECT building, count(*) AS passages, count(*) FILTER (WHERE status = 'abnormal') AS abnormal
    FROM passages GROUP BY building ORDER BY building"""


@router.get("/counts")
def counts(db: Connection) -> list[dict]:
    """Count the passages of each building."""
    return db.execute(COUNT).fetchall()
