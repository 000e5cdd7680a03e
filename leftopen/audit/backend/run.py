"""The audit of a service: by itself, or beside that of the database behind it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from leftopen import loopback
from leftopen.audit.backend import access, answers, door, objects, tokens
from leftopen.audit.backend.look import BackendLook, Service
from leftopen.audit.checks import run_all
from leftopen.audit.report import Report
from leftopen.audit.shared import CouldNotLook
from leftopen.engines.backend import Backend
from leftopen.errors import LeftOpenError, NotLoopback

MODULES = (access, tokens, objects, answers, door)
"""The modules whose checks entered themselves into the list; their findings stand in this order.
The door comes last: it tries until it is held back."""
_OURS = "the lab's service"
_ALWAYS_BLIND = (
    "what the data mean, and whether they should be kept at all",
    "routes that no description names and no usual place has; WebSockets, GraphQL",
    "what routes that change something would do: they are never called",
    "what a caller with many rights may see and does not need",
    "whether a login tells which accounts exist: it is tried for one that does not",
    "logins by cookie or by a client's certificate: a bearer token is what this audit can send",
    "who has a token, and where it is kept; how a token is taken back",
    "the network before the service: proxies, firewalls, other machines",
    "a fault that this list of checks does not have",
)
_BLIND_OUTSIDE_A_LAB = (
    "secrets in the code of the service",
    "whether the address can be reached from elsewhere: this audit stands on the same machine",
)


def service(
    place: Backend | str,
    token: str = "",
    ca: str | Path | None = None,
    key: str | Path | None = None,
    config: str | Path | None = None,
    wanted: Iterable[str] = (),
) -> Service:
    """What is to be audited, past the guard.

    Args:
        place: a lab's service, or its address on this machine.
        token: a bearer token; empty for none.
        ca: a file of authorities.
        key: a file with what signs tokens.
        config: a file with the service's OpenAPI description.
        wanted: what is meant to be open; the paths among them are this service's.

    Raises:
        NotLoopback: it is not on this machine.
        LeftOpenError: an argument cannot be used.
    """
    backend = place if isinstance(place, Backend) else None
    uri = backend.uri if backend is not None else place
    parts = urlsplit(uri) if isinstance(uri, str) else None
    if parts is None or parts.scheme not in ("http", "https"):
        raise NotLoopback(
            f"{place!r} is not the address of a service on this machine; those begin with http:// "
            "or https://."
        )
    if parts.username or parts.query:
        raise LeftOpenError(
            "The address of a service is its beginning alone, as http://127.0.0.1:8000. Leave out "
            "a login and a query; a login is given beside it: token."
        )
    try:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise LeftOpenError(
            f"{uri!r} has no port from 1 to 65535. Write for instance http://127.0.0.1:8000."
        ) from None
    loopback.addresses(host)
    loopback.check_port(port)
    if not token.isascii() or any(c.isspace() for c in token):
        raise LeftOpenError(
            "The token has a space, or a letter that no token has. Give it as the login sent it, "
            "without the word Bearer before it."
        )
    for name, path in (("ca", ca), ("key", key), ("config", config)):
        if path is not None and not Path(path).is_file():
            raise LeftOpenError(
                f"{name} names {path}, and there is no such file. Correct the path."
            )
    return Service(
        host, port, uri.rstrip("/"), parts.path.rstrip("/"), backend, token, _text(key),
        str(ca) if ca else None, str(config) if config else None,
        frozenset(path for path in wanted if path.startswith("/")),
    )  # fmt: skip


def _text(key: str | Path | None) -> str:
    try:
        return Path(key).read_text(encoding="utf-8").strip() if key is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise LeftOpenError(f"key names {key}, which cannot be read: {error}.") from None


def audit(target: Service) -> Report:
    """Look at a service, and report what stands open."""
    look = BackendLook(target)
    try:
        outcome = run_all(look, MODULES)
        try:
            product, version = look.program
        except CouldNotLook:
            product, version = "", ""
    finally:
        look.close()
    ours = target.backend is not None
    return Report(
        _OURS if ours else target.uri,
        version,
        tuple(outcome.findings),
        tuple(outcome.not_looked),
        tuple(outcome.passed),
        tuple(outcome.left_out),
        _ALWAYS_BLIND + (() if ours else _BLIND_OUTSIDE_A_LAB),
        look.login_refused,
        product,
    )


def beside(database: Report, found: Report) -> Report:
    """One report of a database and of the service in front of it."""
    findings = sorted(database.findings + found.findings, key=lambda f: f.severity.rank)
    refused = [r.rstrip(".") for r in (database.login_refused, found.login_refused) if r]
    return replace(
        database,
        target="the lab and its service"
        if found.target == _OURS
        else f"{database.target} and {found.target}",
        findings=tuple(findings),
        not_looked=database.not_looked + found.not_looked,
        passed=database.passed + found.passed,
        left_out=database.left_out + found.left_out,
        blind_spots=tuple(dict.fromkeys(database.blind_spots + found.blind_spots)),
        login_refused=", and ".join(refused),
    )
