"""What the checks of a search cluster look with: its doors, and an administrator's eye.

Everything is looked up once and kept, also the reason why it could not be. Only GET requests are
made, so nothing is written to the server.
"""

import contextlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leftopen import loopback
from leftopen.audit import wire
from leftopen.audit.opensearch import settings as conf
from leftopen.audit.opensearch.rest import Answer, Rest
from leftopen.audit.shared import (
    CouldNotLook,
    NothingToLookAt,
    Target,
    beyond,
    is_public,
    listening,
    once,
)
from leftopen.errors import LeftOpenError
from leftopen.lab import Lab

API = "/_plugins/_security/api"
WHO = "/_plugins/_security/authinfo"
NEEDS_LOGIN = (
    "this needs an administrator: give user and password, or cert and key of the admin certificate"
)
AUDIT_LOG = "security-auditlog-"
ELSEWHERE = "https://elsewhere.example"
"""An origin that no server has reason to trust (RFC 2606 keeps the name free)."""
_MOST_INDICES = 60


def is_system(index: str) -> bool:
    """Whether an index belongs to the server or its plugins, and not to an application."""
    return index.startswith((".", AUDIT_LOG))


@dataclass(frozen=True)
class Door:
    """What a client without a login gets at one address of the server.

    Attributes:
        label: the address, as a learner writes it.
        clear: the status of an answer in plain HTTP, or ``None``.
        tls: the TLS handshake, or ``None``.
        status: the status of ``GET /`` without a login; 0 where the server hangs up.
        root: what it tells of itself.
        who: whom the security plugin takes the client for, or ``None`` where it asks for a login.
        has_plugin: whether the security plugin answers.
        indices: the names of the indices that are listed, or ``None`` where that is refused.
        sample: the first index that could be read from and its number of documents, or ``None``.
        cors: the headers that answer a page of another site.
        client: the client that asked.
    """

    label: str
    clear: int | None
    tls: wire.Handshake | None
    status: int = 0
    root: dict = field(default_factory=dict, repr=False)
    who: dict | None = None
    has_plugin: bool = False
    indices: list[str] | None = None
    sample: tuple[str, int] | None = None
    cors: dict = field(default_factory=dict, repr=False)
    client: Rest | None = field(default=None, repr=False)

    @property
    def is_off(self) -> bool:
        """Whether nobody is asked for a login."""
        return self.status == 200 and not self.has_plugin


class SearchLook:
    """One look at one search cluster. Close it with :meth:`close`.

    Attributes:
        login_refused: in words, that the login of the target is refused; else empty.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lab: Lab | None = target.lab
        self.kept: dict[str, Any] = {}
        self.login_refused = ""
        self._clients: list[Rest] = []

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()

    # -- a stranger's side --------------------------------------------------------------------

    @once
    def doors(self) -> list[Door]:
        """What a stranger gets: through the Internet where it reaches, and on this machine."""
        if self.lab is not None and not self.lab.is_running:
            raise CouldNotLook(f"the server is not running. {self.lab.way_back}")
        seen = []
        if self.lab is not None and self.lab.outside.is_open:
            seen.append(self._door("lab.outside.uri", loopback.HERE, self.lab.outside.port))
        label = "lab.inside.uri" if self.lab else f'"{self.target.uri}"'
        seen.append(self._door(label, self.target.host, self.target.port))
        return seen

    @property
    def inside(self) -> Door:
        """What a stranger on this machine gets."""
        return self.doors[-1]

    @once
    def program(self) -> tuple[str, str]:
        """The program that answers, and its version, which a locked cluster tells after a login.

        OpenSearch says which distribution it is; Elasticsearch has no need to.
        """
        told = (self.inside.root or self.ask("/")).get("version", {})
        product = "OpenSearch" if told.get("distribution") == "opensearch" else "Elasticsearch"
        return product, str(told.get("number", ""))

    def _door(self, label: str, host: str, port: int) -> Door:
        clear = tls = None
        with contextlib.suppress(OSError):
            tls = wire.handshake(host, port, wire.careless())
        with contextlib.suppress(OSError):
            clear = self._rest(host, port, None).get("/").status
        if tls is None and clear is None:
            raise CouldNotLook(f"no search cluster answers at {label}")
        client = self._rest(host, port, None if tls is None else wire.careless())
        try:
            root = client.get("/")
        except OSError:
            return Door(label, clear, tls)  # it wants a client's certificate
        if root.status == 503:
            raise CouldNotLook(
                f"the server answers 503 to everyone ({root.words}): the security plugin has no "
                "configuration yet. Wait some seconds, or run its securityadmin tool"
            )
        return Door(label, clear, tls, root.status, client=client, **_browse(client, root))

    def readable(self, door: Door) -> tuple[str, int] | None:
        """The first index that a stranger could read from, and its number of documents.

        A stranger who is not told the names may still guess them; here the administrator says
        them, where one has logged in.
        """
        if door.sample or door.who is None or door.client is None:
            return door.sample
        with contextlib.suppress(CouldNotLook):
            return _first_readable(door.client, self.indices)
        return None

    def _rest(self, host: str, port: int, context: ssl.SSLContext | None, **login: str) -> Rest:
        client = Rest(host, port, context, **login)
        self._clients.append(client)
        return client

    @once
    def is_public(self) -> bool:
        """Whether a public authority made the server's certificate."""
        return is_public(self.target)

    # -- an administrator's side --------------------------------------------------------------

    def client(
        self, user: str = "", password: str = "", cert: tuple[str | None, str | None] = (None, None)
    ) -> Rest:
        """A client to the server. It accepts any certificate: those are judged by other checks."""
        target, context = self.target, None
        if self.inside.tls is not None:
            try:
                context = wire.careless(*cert)
            except OSError as error:
                raise CouldNotLook(f"cert and key cannot be used: {error}") from None
        return self._rest(target.host, target.port, context, user=user, password=password)

    @once
    def eye(self) -> Rest:
        """The client that sees most: the administrator's, or on an open server anyone's."""
        target = self.target
        if self.inside.is_off:
            return self.client()
        if not (target.user or target.cert):
            raise CouldNotLook(NEEDS_LOGIN)
        client = self.client(target.user, target.password, (target.cert, target.key))
        try:
            answer = client.get(WHO)
        except OSError as error:
            raise CouldNotLook(f"the server does not answer: {error}") from None
        if not answer.ok:
            who = repr(target.user) if target.user else f"the certificate {Path(target.cert).name}"
            self.login_refused = f"the login of {who} is refused: {answer.status} {answer.words}"
            raise CouldNotLook(self.login_refused)
        return client

    def ask(self, path: str) -> Any:
        """Ask for a path as the administrator.

        Raises:
            CouldNotLook: it is refused, or there is no answer.
        """
        try:
            answer = self.eye.search(path)
        except OSError as error:
            raise CouldNotLook(f"GET {path} has no answer: {error}") from None
        if answer.status in (401, 403):
            who = f"the login {self.target.user!r}" if self.target.user else "this certificate"
            raise CouldNotLook(f"{who} may not ask for {path.partition('?')[0]}")
        if not answer.ok:
            raise CouldNotLook(f"GET {path} fails: {answer.words}")
        return answer.body

    def api(self, what: str) -> dict:
        """A part of the security plugin's configuration, as its REST API gives it.

        Raises:
            NothingToLookAt: the plugin is off.
            CouldNotLook: it is refused.
        """
        if self.inside.is_off:
            raise NothingToLookAt("the security plugin is off, so it has no accounts and no roles")
        if what not in self.kept:
            self.kept[what] = self.ask(f"{API}/{what}")
        return self.kept[what]

    @once
    def node(self) -> dict:
        """What the first node says of itself: settings, addresses, the call of Java."""
        told = self.ask("/_nodes/_all/settings,http,transport,jvm?flat_settings=true")
        return next(iter(told["nodes"].values()), {})

    @once
    def indices(self) -> list[str]:
        """The names of all indices."""
        told = self.ask("/_cat/indices?format=json&h=index&expand_wildcards=all")
        return sorted(row["index"] for row in told)

    # -- settings -----------------------------------------------------------------------------

    @once
    def file(self) -> conf.Settings:
        """The configuration file: the one that was given, the lab's, or the node's own.

        Raises:
            CouldNotLook: none of them can be read from here.
        """
        try:
            if self.target.config:
                return conf.from_file(self.target.config)
            if self.lab is not None:
                return conf.from_text(self.lab.config, "opensearch.yml")
            return conf.from_file(self.folder / "opensearch.yml")
        except LeftOpenError as error:
            raise CouldNotLook(str(error)) from None

    @once
    def folder(self) -> Path:
        """The server's configuration folder, where it is on this machine and can be read."""
        if self.lab is not None:
            return Path(self.lab.config_folder)
        if self.target.config:
            return Path(self.target.config).parent
        for argument in self.node.get("jvm", {}).get("input_arguments", []):
            name, _, path = argument.partition("=")
            if name in ("-Dopensearch.path.conf", "-Des.path.conf") and Path(path).is_dir():
                return Path(path)
        raise CouldNotLook("the configuration file cannot be seen from here: give config")

    def said(self, what: str) -> conf.Said | None:
        """What the configuration says of something; ``None`` if nothing, or if it cannot be seen.

        The file is asked first. What the node shows of its settings comes after; those of the
        security plugin are not among them.
        """
        with contextlib.suppress(CouldNotLook):
            if found := self.file.said(what):
                return found
        if self.lab is not None and what in ("host", "transport-host"):
            return None  # the lab has its own
        with contextlib.suppress(CouldNotLook):
            return conf.Settings("_nodes/settings", self.node.get("settings", {})).said(what)
        return None

    @property
    def off(self) -> conf.Said | None:
        """The setting that switches all logins off, where one is seen."""
        with contextlib.suppress(CouldNotLook):
            return self.file.off
        return None

    @once
    def is_exposed(self) -> bool:
        """Whether the server listens beyond this machine."""
        return bool(beyond(self.listens_at))

    @once
    def listens_at(self) -> list[str]:
        """The addresses at which the server listens; of a lab, those that it is asked for."""
        if self.target.config or self.lab is not None:
            return self._addresses("host")
        self.inside  # noqa: B018 - a server that does not answer listens nowhere
        heard = listening(self.target.port)
        if found := sorted({address.removeprefix("::ffff:") for address, _ in heard}):
            return found
        return self._bound("http")

    @once
    def transport_listens_at(self) -> list[str]:
        """The addresses of the door for other nodes, seen as those of :attr:`listens_at`."""
        if self.target.config or self.lab is not None:
            return self._addresses("transport-host")
        return self._bound("transport")

    def _addresses(self, what: str) -> list[str]:
        said = self.said(what)
        return [_plain(v) for v in said.values] if said else ["127.0.0.1"]

    def _bound(self, door: str) -> list[str]:
        told = self.node.get(door, {}).get("bound_address", [])
        return sorted({address.rpartition(":")[0].strip("[]") for address in told})


def _plain(host: str) -> str:
    """An address of the configuration; the words for groups of addresses are those of OpenSearch's
    manual, "Network settings"."""
    return {"_local_": "127.0.0.1", "_site_": "0.0.0.0", "_global_": "0.0.0.0"}.get(host, host)


def _browse(client: Rest, root: Answer) -> dict:
    """What the server gives to this client, as the rest of a :class:`Door`."""
    who, health = client.get(WHO), client.get("/_plugins/_security/health")
    if root.ok and not who.ok:  # Elasticsearch's own way to ask
        who = client.get("/_security/_authenticate")
    listed = client.get("/_cat/indices?format=json&h=index")
    names = None
    if listed.ok and isinstance(listed.body, list):
        names = sorted(row["index"] for row in listed.body)
    from_a_page = client.get("/", {"Origin": ELSEWHERE}).headers
    return {
        "root": root.body if root.ok and isinstance(root.body, dict) else {},
        "who": who.body if who.ok and isinstance(who.body, dict) else None,
        # Without the plugin these paths have no handler, and the answer is 400.
        "has_plugin": health.status not in (400, 404, 405) or who.ok or not root.ok,
        "indices": names,
        "sample": _first_readable(client, names),
        "cors": {k: v for k, v in from_a_page.items() if k.startswith("access-control-")},
    }


def _first_readable(client: Rest, names: list[str] | None) -> tuple[str, int] | None:
    own = ["_all"] if names is None else [n for n in names if not is_system(n)]
    for name in own[:_MOST_INDICES]:
        answer = client.search(f"/{name}/_search?size=1&track_total_hits=true")
        hits = _inner(answer.body, "hits", "hits") if answer.ok else []
        if hits:
            total = _inner(answer.body, "hits", "total")
            count = total.get("value", 1) if isinstance(total, dict) else int(total or 1)
            return str(hits[0].get("_index", name)), count
    return None


def _inner(document: Any, *names: str) -> Any:
    """A value from nested dictionaries, or an empty text."""
    for name in names:
        document = document.get(name, "") if isinstance(document, dict) else ""
    return document
