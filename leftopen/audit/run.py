"""One audit from its arguments to its report."""

from collections.abc import Iterable
from pathlib import Path

from leftopen import loopback
from leftopen.audit import access, accounts, data, holes, tls, traces
from leftopen.audit import client_uri as app
from leftopen.audit.checks import run_all
from leftopen.audit.look import CouldNotLook, Look, Target
from leftopen.audit.report import Report
from leftopen.errors import LeftOpenError, NotLoopback
from leftopen.lab import Lab

MODULES = (access, accounts, tls, app, data, traces, holes)
"""The modules whose checks entered themselves into the list; their findings stand in this order."""

_ALWAYS_BLIND = (
    "what the data mean, and whether they should be kept at all",
    "who knows a password, and where it is written down",
    "backups, copies and exports: where they are, and who can read them",
    "the network before the server: firewalls, tunnels, other machines",
    "what was done before the log begins; mongod does not log who is refused without a login",
    "a fault that this list of checks does not have",
)
_BLIND_OUTSIDE_A_LAB = (
    "weak passwords: they are tried on a lab's own server, and on no other",
    "whether the address can be reached from elsewhere: this audit stands on the same machine",
)


def run(
    server: Lab | str,
    *,
    user: str = "",
    password: str = "",
    auth_source: str = "admin",
    client_uri: str = "",
    ca: str | Path | None = None,
    cert: str | Path | None = None,
    administrators: Iterable[str] = (),
    wanted: Iterable[str] = (),
) -> Report:
    """Look at a server on this machine, and report what stands open.

    Args:
        server: a lab, or the address of a server on this machine, as ``mongodb://127.0.0.1:27017``.
        user: an administrator's account. Without one, what needs a login is told as not looked at.
        password: its password.
        auth_source: the database in which the account is.
        client_uri: the address that an application uses; it is read, and never connected to.
        ca: the authority that the server's certificate must lead to, as a PEM file.
        cert: a client's certificate and key in one PEM file, for a server that wants one.
        administrators: further accounts that people administer with.
        wanted: addresses beyond loopback at which the server is meant to listen.

    Raises:
        NotLoopback: the server is not on this machine.
        LeftOpenError: an argument cannot be used; the message says which, and what to give.
    """
    if bool(user) != bool(password):
        raise LeftOpenError("A login is a name and a password. Give both user and password.")
    if client_uri:
        app.parse(client_uri)
    place = _place(server)
    target = Target(
        user=user,
        password=password,
        auth_source=auth_source,
        ca=_file(ca, "ca") or place.pop("ca", None),
        cert=_file(cert, "cert"),
        client_uri=client_uri,
        administrators=frozenset(administrators),
        wanted=frozenset(wanted),
        **place,
    )
    look = Look(target)
    try:
        outcome = run_all(look, MODULES)
        version = _version(look)
    finally:
        look.close()
    return Report(
        "the lab" if target.lab else target.uri,
        version,
        tuple(outcome.findings),
        tuple(outcome.not_looked),
        tuple(outcome.passed),
        tuple(outcome.left_out),
        _ALWAYS_BLIND + (() if target.lab else _BLIND_OUTSIDE_A_LAB),
        look.login_refused,
    )


def _place(server: Lab | str) -> dict:
    """Where the server is, past the guard."""
    if isinstance(server, Lab):
        return {"host": loopback.HERE, "port": server.inside.port, "lab": server}
    if not isinstance(server, str):
        raise LeftOpenError(
            f"audit() takes a lab or an address as text, and this is {type(server).__name__}. "
            "Write audit(lab)."
        )
    if not server.startswith("mongodb://"):
        # mongodb+srv:// would ask the DNS for hosts before the guard could see one.
        raise NotLoopback(
            f"{server.partition('@')[2] or server!r} is not an address of this machine; "
            "those begin with mongodb://."
        )
    parts = app.parse(server)
    if parts.has_password:
        raise LeftOpenError(
            "The address holds a password. Leave it out of the address, and give the login beside "
            "it: user and password, or --user on the command line, which then asks."
        )
    if len(parts.places) != 1:
        raise LeftOpenError("The address names several servers. Audit one at a time.")
    host, port = parts.places[0]
    loopback.addresses(host)
    loopback.check_port(port)
    place = {"host": host, "port": port, "uri": f"mongodb://{_bracketed(host)}:{port}"}
    return place | ({"ca": parts.ca} if parts.ca else {})


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _file(path: str | Path | None, name: str) -> str | None:
    if path is not None and not Path(path).is_file():
        raise LeftOpenError(f"{name} names {path}, and there is no such file. Correct the path.")
    return str(path) if path is not None else None


def _version(look: Look) -> str:
    try:
        return look.inside.version
    except CouldNotLook:
        return ""
