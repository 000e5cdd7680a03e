"""A service with one fault each, and what the auditor must say of it; for tests and benchmark."""

import time
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from leftopen.audit import Report, Severity, backend
from leftopen.engines.backend import Backend

KEY = "the key of these tests, which signs nothing else"
_PAIR = ec.generate_private_key(ec.SECP256R1())
PRIVATE = _PAIR.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    _PAIR.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
CODE = Path(__file__).with_name("seeded_service.py")
FIX, WARN, NOTE = Severity.FIX, Severity.WARN, Severity.NOTE
RESIDENT = {"sub": "resident-17", "role": "resident", "person": 17}
MANAGER = {"sub": "manager-1", "role": "manager", "building": "B01"}
FOR_EVER = {**RESIDENT, "exp": None}
BY_SUBJECT = {"sub": "17"}


def token(claims: dict, key: str = KEY, **more: object) -> str:
    """A token as the right service takes it; a claim that is ``None`` is left out."""
    now = int(time.time())
    whole = {"iss": "https://sign-in.test", "aud": "doors", "exp": now + 900, **claims, **more}
    algorithm = "ES256" if key == PRIVATE else "HS256"
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, key, algorithm)


@dataclass(frozen=True)
class Fault:
    """A fault: what is wrong, where, who is logged in, and what must be found."""

    name: str
    path: str
    finds: dict[str, Severity]
    claims: dict | None = None
    key: str = KEY

    @property
    def token(self) -> str:
        """The token with which to audit; empty for none."""
        return "" if self.claims is None else token(self.claims, self.key)


FAULTS = (
    Fault("nobody is asked", "all_open", {
        "open-routes": FIX, "open-personal-data": FIX, "open-stream": FIX, "open-docs": WARN,
        "changing-routes": WARN,
    }),
    Fault("a list without a login", "open_list", {"open-routes": FIX}, RESIDENT),
    Fault("a figure without a login", "open_count", {"open-routes": WARN}, RESIDENT),
    Fault("people without a login", "open_people", {
        "open-routes": FIX, "open-personal-data": FIX,
    }, RESIDENT),
    Fault("a table as CSV without a login", "open_export", {
        "open-routes": FIX, "open-personal-data": FIX,
    }, RESIDENT),
    Fault("the stream without a login", "open_stream", {
        "open-stream": FIX, "open-routes": FIX, "open-personal-data": FIX,
    }, RESIDENT),
    Fault("HEAD without a login", "head_unchecked", {"login-passed-by": WARN}, RESIDENT),
    Fault("HEAD of its own", "head_beside", {"login-passed-by": WARN}, RESIDENT),
    Fault("a header instead of a login", "proxy_trusted", {"login-passed-by": FIX}, RESIDENT),
    Fault("docs for everyone", "open_docs", {"open-docs": WARN}, RESIDENT),
    Fault("a change without a login", "change_unasked", {"changing-routes": WARN}, RESIDENT),
    Fault("debug mode", "debug", {"telling-errors": WARN}, RESIDENT),
    Fault("an error with SQL", "error_with_sql", {"telling-errors": WARN}, RESIDENT),
    Fault("an error with a path", "error_with_path", {"telling-errors": WARN}, RESIDENT),
    Fault("an error with a password", "error_with_login", {"telling-errors": FIX}, RESIDENT),
    Fault("an error with a traceback", "error_with_trace", {"telling-errors": WARN}, RESIDENT),
    Fault("an error of the login", "login_that_tells", {"telling-errors": WARN}, RESIDENT),
    Fault("a version in each answer", "version_header", {"telling-headers": NOTE}),
    Fault("any site, with a login", "cors_any_with_login", {"cors-open": FIX}),
    Fault("any site, without a login", "cors_star", {"cors-open": WARN}),
    Fault("pages of any length", "any_limit", {"unlimited-pages": NOTE}, RESIDENT),
    Fault("logins without an end", "no_login_limit", {"unlimited-logins": WARN}, RESIDENT),
    Fault("alg none", "alg_none", {"token-alg-none": FIX}, RESIDENT),
    # PyJWT looks at nothing else either where it is told not to look at the signature.
    Fault("signature not looked at", "signature_unchecked", {
        "token-signature": FIX, "token-alg-none": FIX, "token-algorithm": WARN,
        "token-expired": FIX, "token-audience": WARN, "token-issuer": WARN,
    }, RESIDENT),
    Fault("any algorithm", "any_algorithm", {"token-algorithm": WARN}, RESIDENT),
    Fault("a public key as secret", "key_confused", {"token-algorithm": FIX}, RESIDENT, PRIVATE),
    Fault("expired", "expired_accepted", {"token-expired": FIX}, RESIDENT),
    Fault("expiry not asked for", "no_expiry", {"token-without-expiry": WARN}, RESIDENT),
    Fault("no expiry given", "no_expiry", {"token-without-expiry": WARN}, FOR_EVER),
    Fault("any audience", "any_audience", {"token-audience": WARN}, RESIDENT),
    Fault("any issuer", "any_issuer", {"token-issuer": WARN}, RESIDENT),
    Fault("a key to guess", "weak_key", {"token-weak-key": FIX}, RESIDENT, "secret"),
    Fault("a short key", "short_key", {"token-weak-key": WARN}, RESIDENT, "only eleven"),
    Fault("others by number", "others_by_id", {"others-objects": FIX}, RESIDENT),
    Fault("others by number, the subject", "others_by_id", {"others-objects": FIX}, BY_SUBJECT),
    Fault("others in the list", "others_in_list", {"others-objects": FIX}, RESIDENT),
    Fault("others in the stream", "others_in_stream", {"others-objects": FIX}, RESIDENT),
    Fault("another building", "others_by_query", {"others-objects": FIX}, MANAGER),
)  # fmt: skip
RIGHT = (
    Fault("right, a resident", "right", {}, RESIDENT),
    Fault("right, a subject alone", "right", {}, BY_SUBJECT),
    Fault("right, a manager", "right", {}, MANAGER),
    Fault("right, without a token", "right", {}),
    Fault("right, a household", "household", {}, RESIDENT),
    Fault("right, a pair of keys", "pair", {}, RESIDENT, PRIVATE),
    Fault("right, with a front page", "front_page", {}, RESIDENT),
    Fault("right, one other site", "cors_one", {}, RESIDENT),
)
"""Services in which nothing is wrong, each right in another way."""


class Stage:
    """All these services, in one process."""

    def __init__(self) -> None:
        paths = dict.fromkeys(fault.path for fault in (*FAULTS, *RIGHT))
        environment = {"TOKEN_KEY": KEY, "PUBLIC_KEY": PUBLIC, "FAULTS": ",".join(paths)}
        self.backend = Backend({"main.py": CODE.read_text()}, environment)

    def audit(self, fault: Fault, folder: Path) -> Report:
        """Audit one of them by its address.

        Args:
            fault: which.
            folder: where the key may be written.
        """
        key = folder / "key"
        key.write_text(fault.key)
        place = f"{self.backend.uri}/{fault.path}"
        return backend.audit(backend.service(place, fault.token, key=key))

    def close(self) -> None:
        """End the process."""
        self.backend.close()


def found(report: Report) -> dict[str, Severity]:
    """What a report holds, the worst of each kind."""
    worst: dict[str, Severity] = {}
    for finding in report.findings:
        worst.setdefault(finding.id, finding.severity)
    return worst
