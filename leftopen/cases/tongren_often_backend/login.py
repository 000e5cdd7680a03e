"""The login, as it is often written: an account and its password against a token."""

from typing import Annotated

import bcrypt
import psycopg
from callers import token
from fastapi import APIRouter, Body, HTTPException, Request
from psycopg.rows import dict_row

from database import DATABASE_URL

router = APIRouter(tags=["login"])

FIND = "SELECT * FROM accounts WHERE account = %s"
Text = Annotated[str, Body()]


@router.post("/login")
def login(account: Text, password: Text, request: Request) -> dict:
    """Give a token for an account and its password."""
    with psycopg.connect(DATABASE_URL, dbname="accounts", row_factory=dict_row) as db:
        found = db.execute(FIND, [account]).fetchone()
    if found is None:
        raise HTTPException(404, f"There is no account {account}.")
    if not bcrypt.checkpw(password.encode()[:72], found["password_hash"].encode()):
        raise HTTPException(401, "The password is wrong.")
    return {"access_token": token(found), "token_type": "bearer"}
