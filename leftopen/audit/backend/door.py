"""Checks of the door itself: the wire to it, and how often a login may be tried."""

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

from cryptography import x509

from leftopen.audit import certificates, wire
from leftopen.audit.backend.look import BackendLook
from leftopen.audit.backend.routes import Route, login_fields
from leftopen.audit.backend.web import Answer
from leftopen.audit.checks import check
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt, Target, beyond, listening

TRIES = 12
"""Wrong logins that are tried, at most, with an account that does not exist."""
_SLOWER = 1.0  # seconds: a login that is held back that much longer is limited too
_LOGINS = ("/login", "/token", "/auth/login", "/api/login", "/auth/token", "/session")
_FIELDS = ("username", "account", "user", "email", "password")
_CERTIFICATE = (
    "uvicorn main:app --ssl-certfile server.pem --ssl-keyfile server-key.pem  # {}\n"
    "# or the same in the proxy before it"
)


@check("service-in-clear")
def service_in_clear(look: BackendLook) -> Iterator[Finding]:
    """Do requests, and the tokens in them, cross a network in clear?

    In a lab that is a note: nothing there stands before the service that could end TLS, and the
    lesson on the wire comes later.
    """
    look.web  # noqa: B018 - first: does it answer at all
    if look.target.uri.startswith("https"):
        return
    if look.backend is not None:
        exposed = ["lab.backend.outside"] if look.is_outside else []
    else:
        exposed = beyond(sorted({address for address, _ in listening(look.target.port)}))
    if not exposed:
        raise NothingToLookAt(
            "the service speaks HTTP to this machine alone; whether a proxy before it speaks TLS "
            "cannot be seen from here"
        )
    yield Finding(
        "service-in-clear",
        Severity.NOTE if look.backend is not None else Severity.FIX,
        "The service speaks plain HTTP beyond this machine.",
        f"GET / in plain HTTP → answered; it is reached by {', '.join(exposed)}",
        "Whoever sits on the way reads each record that passes, and each token, and can use the "
        "token as its owner does until it expires.",
        "CWE-319",
        "UVICORN_HOST=127.0.0.1  # and before it a proxy that speaks TLS\n"
        "# or: uvicorn main:app --ssl-certfile server.pem --ssl-keyfile server-key.pem",
        f"{look.curl('/')}  # wanted: no answer in clear",
    )


def _tls(look: BackendLook) -> Target:
    look.web  # noqa: B018 - first: does it answer at all
    if not look.target.uri.startswith("https"):
        raise NothingToLookAt("the service is asked in plain HTTP")
    return Target(look.target.host, look.target.port)


def _s_client(look: BackendLook) -> str:
    return f"openssl s_client -connect {urlsplit(look.target.uri).netloc} -CAfile ca.pem"


def _certificate(look: BackendLook) -> x509.Certificate:
    target = _tls(look)
    shown = wire.handshake(target.host, target.port, wire.careless()).certificate
    return x509.load_der_x509_certificate(shown)


@check("service-old-tls")
def service_old_tls(look: BackendLook) -> Iterator[Finding]:
    """Does the service accept TLS 1.0 or 1.1?"""
    if accepted := certificates.old_versions(_tls(look)):
        yield Finding(
            "service-old-tls",
            Severity.FIX,
            f"The service accepts TLS {' and '.join(accepted)}.",
            f"handshake with TLS {' and '.join(accepted)} alone → accepted",
            "Both are withdrawn since 2021 (RFC 8996): they rest on MD5 and SHA-1.",
            "CWE-327",
            "# the proxy's own setting, in nginx: ssl_protocols TLSv1.2 TLSv1.3;",
            f"{_s_client(look)} -tls1_1  # wanted: alert protocol version",
        )


@check("service-certificate")
def service_certificate(look: BackendLook) -> Iterator[Finding]:
    """Is the certificate worth checking: its chain, its name, its end?"""
    target, again = _tls(look), _s_client(look)
    shown = wire.handshake(target.host, target.port, wire.careless()).certificate
    certificate = x509.load_der_x509_certificate(shown)
    host = target.host
    with_name = _CERTIFICATE.format(f"with subjectAltName {host}")
    yield from certificates.wrong_name(
        certificate, [host], with_name, f"{again} -verify_hostname {host}"
    )
    yield from certificates.running_out(
        certificate,
        "Clients that check do not connect any more, and people turn the check off to go on.",
        _CERTIFICATE.format("a new one, then a restart"),
        f"{again} | openssl x509 -noout -enddate",
    )
    signed = _CERTIFICATE.format("signed by your authority")
    yield from certificates.untrusted(target, look.target.ca, signed, again)


@check("unlimited-logins")
def unlimited_logins(look: BackendLook) -> Iterator[Finding]:
    """May somebody guess passwords as long as they like?

    A few wrong logins are tried, for an account that does not exist. It comes last: a service that
    counts by address may afterwards refuse this machine for a while.
    """
    route, body = where_to_log_in(look, f"nobody-{secrets.token_hex(4)}")
    answers = []
    for _ in range(TRIES):
        answer = look.ask(route.path, "POST", **body)
        if answer is not None and _is_slower([*answers, answer]):  # the machine may be busy
            answer = look.ask(route.path, "POST", **body)
        if answer is None:
            raise CouldNotLook(f"{route.name} has no answer")
        answers.append(answer)
        if _held_back(answers):
            return
        if answer.ok or answer.status not in (400, 401, 403, 404):
            raise CouldNotLook(
                f"{route.name} answers a wrong login with {answer.status}, so it is not known what "
                "it asks for"
            )
    yield Finding(
        "unlimited-logins",
        Severity.WARN,
        "A login may be tried again and again.",
        f"{route.name}, {TRIES} wrong logins of an account that does not exist, one after the "
        f"other → each {answers[-1].status}, none held back",
        "A program tries thousands of passwords in a minute. A few tries for each account and "
        "address are enough for a person who mistyped.",
        "CWE-307",
        'raise HTTPException(429, "Too many tries.", {"Retry-After": "60"})\n'
        "# after five wrong logins of one account, or twenty from one address",
        f"{look.curl(route.path, '-X POST -d …')}  # wanted, at the sixth: 429",
    )


def _held_back(answers: list[Answer]) -> bool:
    last = answers[-1]
    told = last.status in (423, 429, 503) or "retry-after" in last.headers
    return told or _is_slower(answers)


def _is_slower(answers: list[Answer]) -> bool:
    return answers[-1].seconds > answers[0].seconds + _SLOWER


def where_to_log_in(look: BackendLook, nobody: str) -> tuple[Route, dict[str, dict]]:
    """Where people log in, and the body of a wrong login, by its form.

    Args:
        look: the service.
        nobody: the name of an account that does not exist.

    Raises:
        CouldNotLook: the place is there, and does not say what it asks for.
        NothingToLookAt: there is no such place.
    """
    for route in look.routes:
        if route.is_login and not route.places:
            fields, form = login_fields(look.description, route)
            if not fields:
                raise CouldNotLook(f"{route.name} does not say what it asks for")
            return route, {form: {name: _value(name, s, nobody) for name, s in fields.items()}}
    for path in _LOGINS if not look.description else ():
        answer = look.ask(path)
        if (
            answer is not None
            and answer.status == 405
            and "POST" in answer.headers.get("allow", "")
        ):
            kind = "form" if "token" in path else "json"  # OAuth 2 asks for a form
            asked = {name: _value(name, {}, nobody) for name in _FIELDS}
            return Route("POST", path), {kind: asked}
    raise NothingToLookAt("no place to log in is known")


def _value(name: str, schema: dict, nobody: str) -> object:
    if name == "grant_type":
        return "password"
    if schema.get("type") in ("integer", "number"):
        return 0
    if "mail" in name.lower():
        return f"{nobody}@nowhere.example"
    return secrets.token_hex(8) if "pass" in name.lower() else nobody
