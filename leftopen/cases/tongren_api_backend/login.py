"""The login: an account and its password against a token."""

from typing import Annotated

import bcrypt
import limits
import psycopg
from callers import token
from fastapi import APIRouter, Body, HTTPException, Request
from psycopg.rows import dict_row

from database import DATABASE_URL

router = APIRouter(tags=["login"])

FIND = "SELECT * FROM accounts WHERE account = %s"
NOBODY = bcrypt.hashpw(b"nobody has this password", bcrypt.gensalt(10)).decode()
Text = Annotated[str, Body()]


@router.post("/login")
def login(account: Text, password: Text, request: Request) -> dict:
    """Give a token for an account and its password."""
    who = {"account": account, "address": request.client.host}
    limits.check(**who)
    with psycopg.connect(DATABASE_URL, dbname="accounts", row_factory=dict_row) as db:
        found = db.execute(FIND, [account]).fetchone()
    stored = found["password_hash"] if found else NOBODY
    if not bcrypt.checkpw(password.encode()[:72], stored.encode()) or not found:
        limits.note(**who)
        raise HTTPException(401, "Account or password is wrong.")
    return {"access_token": token(found), "token_type": "bearer"}
