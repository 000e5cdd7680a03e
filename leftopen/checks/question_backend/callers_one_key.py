"""Who is calling: what the token says, once it has been checked."""

import os
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

KEY, ISSUER, AUDIENCE = (os.environ[name] for name in ("TOKEN_KEY", "ISSUER", "AUDIENCE"))
NEED = {"require": ["exp", "iss", "aud", "sub"]}
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def caller(given: Bearer) -> dict:
    """What the token says of its caller."""
    try:
        return jwt.decode(given.credentials, KEY, ["HS256"], NEED, issuer=ISSUER, audience=AUDIENCE)
    except jwt.PyJWTError:
        raise HTTPException(401, "No valid token.") from None


Caller = Annotated[dict, Depends(caller)]
