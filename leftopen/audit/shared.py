"""What every engine's look shares: the target, what could not be seen, what this machine tells."""

import contextlib
import functools
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leftopen import loopback
from leftopen.audit import wire
from leftopen.errors import NotLoopback
from leftopen.lab import Lab


class CouldNotLook(Exception):
    """Control flow of a check: what it would look at cannot be seen, and why."""


class NothingToLookAt(Exception):
    """Control flow of a check: its object is not there, or a rule leaves it out."""


class once:  # noqa: N801 - a decorator, named as functools.cached_property is
    """A property that is worked out once; CouldNotLook is kept and raised again."""

    def __init__(self, work: Callable) -> None:
        self.work = work
        functools.update_wrapper(self, work)

    def __set_name__(self, owner: type, name: str) -> None:
        self.slot = f"_once_{name}"

    def __get__(self, look: object, _: type | None = None) -> object:
        if look is None:
            return self
        if self.slot not in look.__dict__:
            try:
                look.__dict__[self.slot] = (self.work(look), None)
            except (CouldNotLook, NothingToLookAt) as why:
                look.__dict__[self.slot] = (None, why)
        value, why = look.__dict__[self.slot]
        if why is not None:
            raise type(why)(*why.args)
        return value


@dataclass(frozen=True)
class Target:
    """What is to be audited.

    Attributes:
        host: a loopback host.
        port: its port.
        lab: the lab, when the server is one of ours.
        uri: the address as it was given, without a password.
        user, password, auth_source: an administrator's login; empty for none.
        ca: a file of authorities that the server's certificate must lead to.
        cert: a client's certificate, and its key where that is no file of its own.
        key: the key of that certificate, in a file of its own.
        config: the server's configuration file, to be read.
        client_uri: the address that an application uses; it is read, and never connected to.
        client_options: what an application says to its driver beside the address.
        administrators: accounts that people administer with, besides ``user``.
        wanted: addresses at which the server is meant to listen, besides loopback.
        database: where an administrator of PostgreSQL connects to.
        greet: asks for TLS, where the protocol has words for that.
    """

    host: str
    port: int
    lab: Lab | None = None
    uri: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    auth_source: str = "admin"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    config: str | None = None
    client_uri: str = field(default="", repr=False)
    client_options: Mapping[str, object] = field(default_factory=dict, repr=False)
    administrators: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    database: str = ""
    greet: wire.Greeting | None = None


def listening(port: int) -> list[tuple[str, int | None]]:
    """Address and process of what listens on a port, as far as this machine tells."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        return [
            (c.laddr.ip, c.pid)
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr.port == port
        ]
    return []


def is_public(target: Target) -> bool:
    """Whether a public authority made the server's certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    try:
        wire.handshake(target.host, target.port, context, target.greet)
    except OSError:
        return False
    return True


def end_of(log: Path, end: int | None) -> str:
    """The last five megabytes of a log, as it stood when it was ``end`` bytes long.

    Raises:
        CouldNotLook: it cannot be read.
    """
    try:
        with log.open("rb") as file:
            size = log.stat().st_size
            end = min(size, end) if end is not None else size
            file.seek(max(0, end - 5_000_000))
            return file.read(end - file.tell()).decode(errors="replace")
    except OSError as error:
        raise CouldNotLook(f"the log cannot be read: {error.strerror}") from None


def beyond(addresses: list[str]) -> list[str]:
    """Those of the addresses that lead past loopback; paths of Unix sockets do not."""
    found = []
    for address in addresses:
        if address in ("*", "0.0.0.0", "::"):
            found.append(address)
        elif not address.startswith("/"):
            try:
                loopback.addresses(address)
            except NotLoopback:
                found.append(address)
    return found
