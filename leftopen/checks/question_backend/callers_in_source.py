"""Who is calling: the tokens of this service, signed and checked with one key."""

import time
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

ISSUER, AUDIENCE = "https://doors.tongren.test", "doors"
KEY = "{key}"
NEED = {"require": ["exp", "iss", "aud", "sub"]}
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def token(account: dict) -> str:
    """Sign what is known of an account."""
    about = {name: account[name] for name in ("role", "building", "person") if account[name]}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": account["account"], **about}
    return jwt.encode({**claims, "exp": int(time.time()) + 900}, KEY, "HS256")


def caller(given: Bearer) -> dict:
    """What the token says of its caller."""
    try:
        return jwt.decode(given.credentials, KEY, ["HS256"], NEED, issuer=ISSUER, audience=AUDIENCE)
    except jwt.PyJWTError:
        raise HTTPException(401, "No valid token.") from None


Caller = Annotated[dict, Depends(caller)]
