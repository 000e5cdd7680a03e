"""Tokens as a sign-in service gives them, and as somebody would write them who may not.

A token is a JSON Web Token: RFC 7519, signed as in RFC 7515. What may be wrong with one, and must
be looked for, is in RFC 8725 (JSON Web Token Best Current Practices).
"""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

_HOUR = 3600


def pair(secret: str) -> tuple[str, str]:
    """A private and a public key of Ed25519 (RFC 8032), as PEM, that follow from a text."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public


@dataclass(frozen=True)
class SignIn:
    """A sign-in service: whom it says it is, for whom its tokens are, and its key.

    Args:
        issuer: the claim iss.
        audience: the claim aud.
        key: with which it signs: a text for HS256, a private key as PEM for EdDSA.
        algorithm: of RFC 7518 or RFC 8037.
        kid: the name of the key, in the header; or none.
    """

    issuer: str
    audience: str
    key: str = field(repr=False)
    algorithm: str = "HS256"
    kid: str | None = None

    def claims(self, about: Mapping[str, object]) -> dict:
        """The claims of a token that is good for an hour."""
        now = int(time.time())
        times = {"iat": now - 60, "exp": now + _HOUR}
        return {"iss": self.issuer, "aud": self.audience, "sub": "check", **times, **about}

    def token(
        self, about: Mapping[str, object], without: str = "", algorithm: str = "", key: str = ""
    ) -> str:
        """A signed token.

        Args:
            about: what it says of the caller; a claim in it replaces the usual one.
            without: a claim to leave out.
            algorithm: another than the service's own.
            key: another than the service's own.
        """
        claims = {name: value for name, value in self.claims(about).items() if name != without}
        headers = {"kid": self.kid} if self.kid else None
        return jwt.encode(claims, key or self.key, algorithm or self.algorithm, headers)

    def unsigned(self, about: Mapping[str, object]) -> str:
        """A token with the algorithm none, and nothing where the signature would be."""
        header = {"alg": "none", "typ": "JWT"} | ({"kid": self.kid} if self.kid else {})
        return f"{_part(header)}.{_part(self.claims(about))}."

    def changed(self, before: Mapping[str, object], after: Mapping[str, object]) -> str:
        """A token about one caller, with another written over it, and the old signature."""
        header, _, signature = self.token(before).split(".")
        return f"{header}.{_part(self.claims(after))}.{signature}"


def _part(content: dict) -> str:
    text = json.dumps(content, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
