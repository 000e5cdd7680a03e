"""What the checks look with: the doors of a server, a stranger's glimpse, an administrator's eye.

Everything is looked up once and kept, also the reason why it could not be. Nothing is written to
the server.
"""

import contextlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from leftopen import loopback
from leftopen.audit import wire
from leftopen.audit.shared import (
    CouldNotLook,
    Target,
    beyond,
    end_of,
    is_public,
    listening,
    once,
)
from leftopen.engines import config as conf
from leftopen.engines.mongodb import lab_settings

SYSTEM = ("admin", "config", "local")
"""Databases that mongod keeps for itself."""
NEEDS_LOGIN = "this needs the login of an administrator: give user and password"
_WAIT_MS = 3000
_UNAUTHORIZED = 13  # the code of MongoDB's error "Unauthorized"


@dataclass(frozen=True)
class Glimpse:
    """What a client without a login gets at one address of the server.

    Attributes:
        label: the address, as a learner writes it.
        clear: the server's answer to a hello in plain text, or ``None``.
        tls: the TLS handshake, or ``None``.
        hello: the answer to hello, over whichever of the two there is.
        version: what buildInfo tells.
        find: 0 if a find is answered, else the code of the error.
        names: the databases that are listed, or ``None`` where that is refused.
        sample: database, collection and number of documents of the first collection that could
            be read from; ``None`` if there is none.
    """

    label: str
    clear: dict | None
    tls: wire.Handshake | None
    hello: dict
    version: str
    find: int
    names: list[str] | None
    sample: tuple[str, str, int] | None


class Look:
    """One look at one server. Close it with :meth:`close`.

    Attributes:
        login_refused: in words, that the login of the target is refused; else empty.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lab = target.lab
        self.kept: dict[str, object] = {}
        self.login_refused = ""
        self._clients: list[MongoClient] = []
        # Before anything that the audit itself does can be logged.
        self.log_end: int | None = None
        with contextlib.suppress(OSError):
            self.log_end = self.lab.log.stat().st_size if self.lab else None

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()

    # -- a stranger's side --------------------------------------------------------------------

    @once
    def glimpses(self) -> list[Glimpse]:
        """What a stranger gets: through the Internet where it reaches, and on this machine."""
        seen = []
        if self.lab is not None and not self.lab.is_running:
            raise CouldNotLook(f"the server is not running. {self.lab.way_back}")
        if self.lab is not None and self.lab.outside.is_open:
            seen.append(self._glimpse("lab.outside.uri", "127.0.0.1", self.lab.outside.port))
        label = "lab.inside.uri" if self.lab else f'"{self.target.uri}"'
        seen.append(self._glimpse(label, self.target.host, self.target.port))
        return seen

    @property
    def inside(self) -> Glimpse:
        """What a stranger on this machine gets."""
        return self.glimpses[-1]

    @property
    def program(self) -> tuple[str, str]:
        """The program that answers, and its version."""
        return "mongod", self.inside.version

    def _glimpse(self, label: str, host: str, port: int) -> Glimpse:
        clear = tls = None
        with contextlib.suppress(OSError), wire.opened(host, port, None) as sock:
            clear = wire.ask(sock, wire.hello())
        with contextlib.suppress(OSError):
            tls = wire.handshake(host, port, wire.careless(self.target.cert))
        context = None if clear else wire.careless(self.target.cert)
        try:
            with wire.opened(host, port, context) as sock:
                return self._browse(sock, label, clear, tls)
        except OSError as error:
            if tls:
                raise CouldNotLook(
                    "the server wants a client's certificate before it answers: give cert"
                ) from None
            raise CouldNotLook(f"no server answers at {label}: {error}") from None

    def _browse(self, sock, label: str, clear: dict | None, tls: wire.Handshake | None) -> Glimpse:
        hello = wire.ask(sock, wire.hello(compression=["zlib", "snappy", "zstd"]))
        version = str(wire.ask(sock, {"buildInfo": 1, "$db": "admin"}).get("version", ""))
        nowhere = {"find": f"probe_{secrets.token_hex(4)}", "limit": 1, "$db": "leftopen_probe"}
        probe = wire.ask(sock, {**nowhere, "singleBatch": True})
        listed = wire.ask(sock, {"listDatabases": 1, "nameOnly": True, "$db": "admin"})
        names = [d["name"] for d in listed["databases"]] if listed.get("ok") else None
        code = 0 if probe.get("ok") else int(probe.get("code", -1))
        sample = _first_readable(sock, names or []) if code == 0 else None
        return Glimpse(label, clear, tls, hello, version, code, names, sample)

    @once
    def is_public(self) -> bool:
        """Whether a public authority made the server's certificate."""
        return is_public(self.target)

    def known_names(self, names: list[str]) -> list[str]:
        """Which of these account names exist, as hello tells anyone who asks."""
        context = None if self.inside.clear else wire.careless(self.target.cert)
        known = []
        with wire.opened(self.target.host, self.target.port, context) as sock:
            for name in names:
                answer = wire.ask(sock, wire.hello(saslSupportedMechs=f"admin.{name}"))
                if answer.get("saslSupportedMechs"):
                    known.append(name)
        return known

    # -- an administrator's side --------------------------------------------------------------

    def client(self, **login: object) -> MongoClient:
        """A driver's client to the server.

        It accepts any certificate: certificates are judged by checks of their own, and SCRAM
        proves to each side that the other knows the password without sending it.
        """
        tls = {} if self.inside.clear else {"tls": True, "tlsInsecure": True}
        if self.target.cert and tls:
            tls["tlsCertificateKeyFile"] = self.target.cert
        client = MongoClient(
            loopback.addresses(self.target.host)[0],
            self.target.port,
            directConnection=True,
            appname=wire.APP_NAME,
            serverSelectionTimeoutMS=_WAIT_MS,
            socketTimeoutMS=_WAIT_MS,
            readPreference="secondaryPreferred",
            **tls,
            **login,
        )
        self._clients.append(client)
        return client

    @once
    def eye(self) -> MongoClient:
        """The client that sees most: the administrator's, or on an open server anyone's."""
        target = self.target
        if not target.user:
            if self.inside.find != 0:
                raise CouldNotLook(NEEDS_LOGIN)
            return self.client()
        client = self.client(
            username=target.user, password=target.password, authSource=target.auth_source
        )
        try:
            client.admin.command("ping")
        except OperationFailure as error:
            self.login_refused = (
                f"the login of {target.user!r} in {target.auth_source!r} is refused: "
                f"{_words(error)}"
            )
            if self.inside.find == 0:
                return self.client()
            raise CouldNotLook(self.login_refused) from None
        except PyMongoError as error:
            raise CouldNotLook(f"the server does not answer: {error}") from None
        return client

    def run(self, database: str, command: str, value: object = 1, **more: object) -> dict:
        """Run one command as the administrator.

        Raises:
            CouldNotLook: it is refused, or there is no answer.
        """
        try:
            return self.eye[database].command(command, value, **more)
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                who = f"the login {self.target.user!r}" if self.target.user else "this client"
                raise CouldNotLook(f"{who} may not run {command}") from None
            raise CouldNotLook(f"{command} fails: {_words(error)}") from None
        except PyMongoError as error:
            raise CouldNotLook(f"{command} has no answer: {error}") from None

    @once
    def options(self) -> dict:
        """The options in force. Of a lab: those that mongod understood, without the lab's own."""
        if self.lab is not None:
            return self.lab.effective
        return self.run("admin", "getCmdLineOpts")["parsed"]

    def option(self, dotted: str, default: str = "") -> str:
        """One option in force, as text."""
        return conf.get(self.options, dotted, default)

    def is_on(self, dotted: str) -> bool:
        """Whether an option in force is true."""
        return self.option(dotted).lower() in ("true", "1", "enabled")

    @once
    def log(self) -> str:
        """The server's log as it stood before this audit; its last five megabytes."""
        return end_of(self.log_path, self.log_end)

    @property
    def log_path(self) -> Path:
        """Where the log is."""
        if self.lab is not None:
            return self.lab.log
        path = self.option("systemLog.path")
        if not path or not Path(path).is_file():
            raise CouldNotLook("the log is not a file that can be seen from here")
        return Path(path)

    def shown(self, path: str) -> str:
        """A path as it is told: in a lab, without its temporary folder."""
        if self.lab is None:
            return path
        folder = self.lab.log.parent
        return Path(path).relative_to(folder).as_posix() if folder in Path(path).parents else path

    def ours(self, dotted: str) -> bool:
        """Whether the lab keeps this option in its own hands, so that it says nothing."""
        return self.lab is not None and bool(conf.get(lab_settings(Path(), 0), dotted))

    @once
    def is_exposed(self) -> bool:
        """Whether the server listens beyond this machine."""
        return bool(beyond(self.listens_at))

    @once
    def listens_at(self) -> list[str]:
        """The addresses at which the server listens; of a lab, those that it is asked for."""
        self.inside  # noqa: B018 - a server that does not answer listens nowhere
        if self.lab is not None:
            return [a.strip() for a in self.option("net.bindIp", "localhost").split(",")]
        default = "localhost"  # since MongoDB 3.6
        entries = self.listeners or [
            (a, None) for a in self.option("net.bindIp", default).split(",")
        ]
        return sorted({address.strip() for address, _ in entries if address})

    @once
    def listeners(self) -> list[tuple[str, int | None]]:
        """Address and process of what listens on the port, as far as this machine tells."""
        return listening(self.target.port)


def _first_readable(sock, names: list[str]) -> tuple[str, str, int] | None:
    own = [name for name in names if name not in SYSTEM]
    for database in own:
        answer = wire.ask(sock, {"listCollections": 1, "nameOnly": True, "$db": database})
        listed = answer.get("cursor", {}).get("firstBatch", [])
        for name in sorted(c["name"] for c in listed if not c["name"].startswith("system.")):
            find = {"find": name, "limit": 1, "singleBatch": True, "$db": database}
            if wire.ask(sock, find).get("cursor", {}).get("firstBatch"):
                count = wire.ask(sock, {"count": name, "$db": database}).get("n", 1)
                return database, name, int(count)
    return None


def _words(error: OperationFailure) -> str:
    return str((error.details or {}).get("errmsg") or error)
