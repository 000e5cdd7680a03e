"""Who is calling: what a token says, once its signature and its dates have been checked."""

import json
import os
import time
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

ISSUER, AUDIENCE, SECONDS = "https://sign-in.tongren.test", "doors", 900
KEYS = json.loads(os.environ["TOKEN_KEYS"])  # kid -> key; the first one signs
KID = next(iter(KEYS))
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def token(account: dict) -> str:
    """Sign what is known of an account: its role, and what it is about."""
    about = {name: account[name] for name in ("role", "building", "person") if account[name]}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": account["account"]}
    claims |= {"exp": int(time.time()) + SECONDS, **about}
    return jwt.encode(claims, KEYS[KID], "HS256", {"kid": KID})


def caller(given: Bearer) -> dict:
    """Check the token of a request, and return what it says."""
    need = {"require": ["exp", "iss", "aud", "sub"]}
    try:
        key = KEYS[jwt.get_unverified_header(given.credentials)["kid"]]
        return jwt.decode(given.credentials, key, ["HS256"], need, issuer=ISSUER, audience=AUDIENCE)
    except (jwt.PyJWTError, KeyError):
        raise HTTPException(401, "No valid token.", {"WWW-Authenticate": "Bearer"}) from None


Caller = Annotated[dict, Depends(caller)]
