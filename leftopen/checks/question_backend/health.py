"""For the monitoring, which has no login: does the database answer, and to whom?"""

from fastapi import APIRouter
from kept import connection

router = APIRouter(tags=["health"])
WHOM = """SELECT current_user AS role, current_setting('doors.building', true) AS building,
                 current_setting('doors.person', true) AS person"""


@router.get("/health")
def health() -> dict:
    """Say as whom the service's next request would begin."""
    with connection("doors_1") as db:
        return db.execute(WHOM).fetchone()
