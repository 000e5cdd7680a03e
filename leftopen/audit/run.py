"""One audit from its arguments to its report, whichever engine it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any
from urllib.parse import urlsplit

from leftopen import loopback
from leftopen.audit import access, accounts, data, holes, opensearch, postgres, tls, traces
from leftopen.audit import backend as services
from leftopen.audit import client_uri as app
from leftopen.audit.checks import run_all
from leftopen.audit.crypto.run import MODULES as CRYPTO
from leftopen.audit.crypto.run import audit_dump, blind
from leftopen.audit.look import Look
from leftopen.audit.opensearch import client as search_app
from leftopen.audit.opensearch import settings as search_settings
from leftopen.audit.postgres import client as postgres_app
from leftopen.audit.postgres import startup
from leftopen.audit.report import Report
from leftopen.audit.shared import CouldNotLook, Target
from leftopen.engines.backend import Backend
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


@dataclass(frozen=True)
class _Engine:
    """What an audit needs to know of an engine."""

    look: type
    modules: tuple[ModuleType, ...]
    blind: tuple[str, ...]


_MONGODB = _Engine(Look, (*MODULES, *CRYPTO), _ALWAYS_BLIND)
_SEARCH = _Engine(opensearch.SearchLook, (*opensearch.MODULES, *CRYPTO), opensearch.ALWAYS_BLIND)
_POSTGRES = _Engine(postgres.PostgresLook, (*postgres.MODULES, *CRYPTO), postgres.ALWAYS_BLIND)
_NO_OPTIONS: Mapping[str, object] = MappingProxyType({})


def run(
    server: Lab | str | None = None,
    *,
    backend: Backend | str | None = None,
    dump: str | Path | None = None,
    token: str = "",
    user: str = "",
    password: str = "",
    auth_source: str = "admin",
    client_uri: str = "",
    client_options: Mapping[str, object] = _NO_OPTIONS,
    ca: str | Path | None = None,
    cert: str | Path | None = None,
    key: str | Path | None = None,
    config: str | Path | None = None,
    administrators: Iterable[str] = (),
    wanted: Iterable[str] = (),
) -> Report:
    """Look at a server on this machine, and report what stands open.

    Args:
        server: a lab, or the address of a server on this machine, as ``mongodb://127.0.0.1:27017``,
            ``https://127.0.0.1:9200`` or ``postgresql://127.0.0.1:5432``. It may be left out where
            ``backend`` or ``dump`` is given.
        backend: an HTTP service in front of a database, as ``http://127.0.0.1:8000``; that of a lab
            is looked at without being named. Its findings stand beside those of the database.
        dump: a folder with a dump or a backup, or one file of it. It is read, and nothing is
            connected to; it is looked at alone.
        token: a bearer token that this service gave to somebody with few rights. Without one, what
            needs a login there is told as not looked at.
        user: an administrator's account. Without one, what needs a login is told as not looked at.
        password: its password.
        auth_source: the database in which the account is; MongoDB alone has that.
        client_uri: the address that an application uses; it is read, and never connected to.
        client_options: what an application of a search cluster says to its driver beside the
            address, as ``{"verify_certs": False}``; read too, and never used.
        ca: the authority that the server's certificate must lead to, as a PEM file.
        cert: a client's certificate, as a PEM file, with its key in it or in ``key``. For a search
            cluster it is the admin certificate, which stands in for a login.
        key: the key of that certificate; where a service alone is audited, a file with the key that
            signs its tokens.
        config: the configuration file of a search cluster, opensearch.yml or elasticsearch.yml; it
            is read, also where nobody answers at the address. Where a service alone is audited, its
            OpenAPI description, in JSON.
        administrators: further accounts that people administer with.
        wanted: addresses beyond loopback at which the server is meant to listen; paths that a
            service is meant to answer for everyone, as ``"/news"``.

    Raises:
        NotLoopback: the server is not on this machine.
        LeftOpenError: an argument cannot be used; the message says which, and what to give.
    """
    if dump is not None:
        others = (server, backend, token, user, password, client_uri, client_options, ca, cert)
        others += (key, config, administrators, wanted, auth_source != "admin")
        if any(others):
            raise LeftOpenError("A dump is looked at alone. Give dump, and nothing else.")
        return audit_dump(dump)
    alone = server is None
    front = _front(server, backend, token, ca, (key, config) if alone else (), wanted)
    if alone:
        if user or password or cert or client_uri or client_options or administrators:
            raise LeftOpenError("A service is asked with a token. Give token, and no other login.")
        return services.audit(front)
    if bool(user) != bool(password):
        raise LeftOpenError("A login is a name and a password. Give both user and password.")
    engine = _engine(server)
    place = _place(server, engine)
    target = Target(
        user=user,
        password=password,
        auth_source=auth_source,
        ca=_file(ca, "ca") or place.pop("ca", None),
        cert=_file(cert, "cert"),
        key=_file(key, "key"),
        config=_file(config, "config"),
        client_uri=client_uri,
        client_options=dict(client_options),
        administrators=frozenset(administrators),
        wanted=frozenset(wanted),
        **place,
    )
    _check_arguments(target, engine)
    look = engine.look(target)
    try:
        outcome = run_all(look, engine.modules)
        product, version = _program(look)
    finally:
        look.close()
    report = Report(
        "the lab" if target.lab else target.uri,
        version,
        tuple(outcome.findings),
        tuple(outcome.not_looked),
        tuple(outcome.passed),
        tuple(outcome.left_out),
        engine.blind + blind(look) + (() if target.lab else _BLIND_OUTSIDE_A_LAB),
        look.login_refused,
        product,
    )
    return report if front is None else services.beside(report, services.audit(front))


def _front(
    server: Lab | str | None,
    backend: Backend | str | None,
    token: str,
    ca: str | Path | None,
    files: tuple[str | Path | None, ...],
    wanted: Iterable[str],
) -> services.Service | None:
    """The service in front, past the guard, if there is one."""
    place = backend or getattr(server, "backend", None)
    if place is not None:
        return services.service(place, token, ca, *files, wanted=wanted)
    if server is None:
        raise LeftOpenError(
            "There is nothing to audit. Give a lab, the address of a server, backend, the address "
            "of a service, or dump, a folder."
        )
    if token:
        raise LeftOpenError("A token is for a service. Give its address too: backend.")
    return None


_POSTGRES_SCHEMES = ("postgresql", "postgres")


def refuse_elsewhere(server: str) -> None:
    """Refuse an address that cannot be audited, as before a password for it is asked for.

    Raises:
        NotLoopback: it is not of this machine.
        LeftOpenError: it holds a login, or is no address.
    """
    _place(server, _engine(server))


def _engine(server: Lab | str) -> _Engine:
    """Which engine it is, as its address tells."""
    uri = server.inside.uri if isinstance(server, Lab) else server
    if isinstance(uri, str) and uri.startswith(("http://", "https://")):
        return _SEARCH
    if isinstance(uri, str) and urlsplit(uri).scheme in _POSTGRES_SCHEMES:
        return _POSTGRES
    return _MONGODB


def _check_arguments(target: Target, engine: _Engine) -> None:
    """Refuse what cannot be used, before anything is asked of a server."""
    if engine is _SEARCH:
        if target.client_options and not target.client_uri:
            raise LeftOpenError("client_options belong to an address. Give client_uri too.")
        if target.key and not target.cert:
            raise LeftOpenError("A key belongs to a certificate. Give cert and key.")
        if target.client_uri:
            search_app.parse(target)
        if target.config:
            search_settings.from_file(target.config)
        return
    if engine is _POSTGRES:
        if target.config or target.client_options:
            raise LeftOpenError(
                "config and client_options are for a search cluster. For PostgreSQL, client_uri "
                "holds what an application says, and the server shows its own settings."
            )
        if target.key and not target.cert:
            raise LeftOpenError("A key belongs to a certificate. Give cert and key.")
        if target.client_uri:
            postgres_app.parse(target)
        return
    if target.key or target.config or target.client_options:
        raise LeftOpenError(
            "key, config and client_options are for a search cluster. For MongoDB, cert is one "
            "file with certificate and key, and client_uri holds the driver's options."
        )
    if target.client_uri:
        app.parse(target.client_uri)


def _place(server: Lab | str, engine: _Engine) -> dict:
    """Where the server is, past the guard."""
    more = {"greet": startup.ask_for_tls} if engine is _POSTGRES else {}
    if isinstance(server, Lab):
        return {"host": loopback.HERE, "port": server.inside.port, "lab": server, **more}
    if engine is _MONGODB:
        return _mongodb_place(server)
    default = 9200 if engine is _SEARCH else 5432
    place, path = _url_place(server, default)
    return {**place, **more, "database": path} if engine is _POSTGRES else place


def _url_place(server: str, default: int) -> tuple[dict, str]:
    """Where an address leads that has the form of a URL, and the path in it."""
    parts = urlsplit(server)
    # PostgreSQL's addresses usually have a name in them, and without a password it tells nothing.
    if parts.password or (parts.username and parts.scheme not in _POSTGRES_SCHEMES):
        raise LeftOpenError(
            "The address holds a login. Leave it out of the address, and give it beside: user and "
            "password, or --user on the command line, which then asks."
        )
    try:
        host, port = parts.hostname or "", parts.port or default
    except ValueError:
        raise LeftOpenError(
            f"{server!r} has no port from 1 to 65535. "
            f"Write for instance {parts.scheme}://127.0.0.1:{default}."
        ) from None
    loopback.addresses(host)
    loopback.check_port(port)
    uri = f"{parts.scheme}://{_bracketed(host)}:{port}"
    return {"host": host, "port": port, "uri": uri}, parts.path.strip("/")


def _mongodb_place(server: str) -> dict:
    if not isinstance(server, str):
        raise LeftOpenError(
            f"audit() takes a lab or an address as text, and this is {type(server).__name__}. "
            "Write audit(lab)."
        )
    if not server.startswith("mongodb://"):
        # mongodb+srv:// would ask the DNS for hosts before the guard could see one.
        raise NotLoopback(
            f"{server.partition('@')[2] or server!r} is not an address of this machine; "
            "those begin with mongodb://, postgresql://, http:// or https://."
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


def _program(look: Any) -> tuple[str, str]:
    """The program that answers, and its version; empty where neither can be seen."""
    try:
        return look.program
    except CouldNotLook:
        return "", ""
