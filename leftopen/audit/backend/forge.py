"""Tokens taken apart and put together again: JSON Web Tokens in their compact form.

RFC 7519 (claims) and RFC 7515 (header, payload and signature, in base64url). A token is forged to
see whether a service on this machine accepts it, and for nothing else.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization

COMMON = (
    "secret", "password", "changeme", "jwt", "jwtsecret", "jwt_secret", "secretkey", "secret_key",
    "supersecret", "mysecret", "key", "test", "admin", "123456", "your-256-bit-secret",
    "your_jwt_secret", "a-string-secret-at-least-256-bits-long",
)  # fmt: skip
"""The guesses for the key of an HMAC: words that everyone tries first, and those of examples."""
HMAC = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """What was encoded.

    Raises:
        ValueError: it is not base64url.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Jwt:
    """A token in its parts: header, claims, and the signature as text."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signature: str = field(repr=False)

    @classmethod
    def read(cls, token: str) -> "Jwt":
        """Take a token apart; its signature is not looked at.

        Raises:
            ValueError: it is no JSON Web Token.
        """
        parts = token.split(".")
        if len(parts) != 3:
            raise ValueError("it has not three parts")
        header, claims = (json.loads(decoded(part)) for part in parts[:2])
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise ValueError("its parts are not objects")
        return cls(header, claims, parts[2])

    @property
    def algorithm(self) -> str:
        """As ``HS256``."""
        return str(self.header.get("alg", ""))

    def text(
        self,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        signature: str | None = None,
    ) -> str:
        """The token again, with another header, claims or signature; nothing is signed."""
        parts = [
            self.header if header is None else header,
            self.claims if claims is None else claims,
        ]
        body = ".".join(encoded(json.dumps(p, separators=(",", ":")).encode()) for p in parts)
        return f"{body}.{self.signature if signature is None else signature}"


def key_of(token: str, keys: Iterable[str]) -> str | None:
    """The key that signed a token, of some that may have; ``None`` where none did.

    Args:
        token: a JSON Web Token.
        keys: secrets of an HMAC, or private keys in PEM.
    """
    parts = Jwt.read(token)
    signed = token.rpartition(".")[0].encode()
    if parts.algorithm in HMAC:
        for key in keys:
            made = hmac.digest(key.encode(), signed, HMAC[parts.algorithm])
            if hmac.compare_digest(encoded(made), parts.signature):
                return key
        return None
    for key in keys:
        if "PRIVATE KEY" in key and _is_pair(token, key, parts.algorithm):
            return key
    return None


def _is_pair(token: str, key: str, algorithm: str) -> bool:
    try:
        private = jwt.get_algorithm_by_name(algorithm).prepare_key(key)
        jwt.decode(
            token, private.public_key(), algorithms=[algorithm],
            options={"verify_exp": False, "verify_aud": False, "verify_nbf": False},
        )  # fmt: skip
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError, AttributeError):
        return False
    return True


def public_of(key: str) -> str:
    """The public key that belongs to a private one, as PEM, which is how it is handed out."""
    private = serialization.load_pem_private_key(key.encode(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def signed(token: Jwt, claims: Mapping[str, Any], key: str, algorithm: str = "") -> str:
    """A token with these claims, signed with the key.

    Args:
        token: the token whose header it has.
        claims: what it says.
        key: a secret, or a private key as PEM.
        algorithm: by which it is signed; that of the token unless told.
    """
    header = {**token.header, "alg": algorithm or token.algorithm}
    if header["alg"] in HMAC:
        body = token.text(header, claims, "")
        made = hmac.digest(key.encode(), body[:-1].encode(), HMAC[header["alg"]])
        return body + encoded(made)
    return jwt.encode(dict(claims), key, header["alg"], headers=header)
