"""Building access control: the service in front of the four door logs."""

import desk
from callers import caller
from fastapi import Depends
from fastapi_offline import FastAPIOffline  # FastAPI; /docs needs no network

import passages
import people
import stream

app = FastAPIOffline(title="Building access control", version="1.5")
app.include_router(people.router, dependencies=[Depends(caller)])
app.include_router(passages.router)
app.include_router(stream.router)
app.include_router(desk.router)


@app.get("/")
def about() -> dict:
    """Say what this is; the monitoring asks for it, without a login."""
    return {"service": app.title, "version": app.version}
