"""The live stream: each passage as soon as it is written.

Played as it was found: nobody has to log in. It speaks server-sent events.
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse

from database import Connection

router = APIRouter(prefix="/servers/{server}", tags=["passages"])

SECONDS = 0.5  # between two looks at the database
LAST = "SELECT coalesce(max(passage), 0) AS passage FROM passages"
NEW = "SELECT * FROM passages WHERE passage > %s ORDER BY passage"


@router.get("/passages/stream", response_class=EventSourceResponse)
async def stream(db: Connection) -> AsyncIterator[dict]:
    """Send each new passage, as long as the client listens."""
    found = await run_in_threadpool(db.execute, LAST)
    last = found.fetchone()["passage"]
    while True:
        found = await run_in_threadpool(db.execute, NEW, [last])
        for passage in found.fetchall():
            last = passage["passage"]
            yield passage
        await asyncio.sleep(SECONDS)
