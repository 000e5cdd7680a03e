"""For the monitoring, which has no login: does the database answer, and to whom?"""

from fastapi import APIRouter
from kept import connection

router = APIRouter(tags=["health"])


@router.get("/health")
def health() -> dict:
    """Say as which role the service's next request would begin."""
    with connection("doors_1") as db:
        return db.execute("SELECT current_user AS role").fetchone()
