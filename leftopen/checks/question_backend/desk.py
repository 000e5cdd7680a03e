"""For the terminals at the doors: does this person live here? The status is the whole answer."""

from fastapi import APIRouter, HTTPException

from database import Connection

router = APIRouter(prefix="/servers/{server}", tags=["desk"])


@router.head("/residents/{person}")
def lives_here(db: Connection, person: int) -> None:
    """Answer 200 for a resident, and 404 for anybody else."""
    if not db.execute("SELECT 1 AS here FROM residents WHERE person = %s", [person]).fetchone():
        raise HTTPException(404)
