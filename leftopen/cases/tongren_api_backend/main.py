"""Building access control: the service in front of the four door logs, closed."""

import counts
import login
import psycopg
from callers import caller
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

import passages
import people
import stream

app = FastAPI(title="Building access control", version="2.0", openapi_url=None)
app.include_router(login.router)
for part in (people, passages, stream, counts):
    app.include_router(part.router, dependencies=[Depends(caller)])


@app.get("/")
def about() -> dict:
    """Say what this is."""
    return {"service": app.title}


@app.exception_handler(psycopg.errors.InsufficientPrivilege)
def not_yours(request: Request, error: Exception) -> JSONResponse:
    """Say that the database refused, and no more."""
    return JSONResponse({"detail": "Not for this account."}, 403)
