"""pg_hba.conf, judged as the server does: from the top, and the first line that fits decides.

A client is an address, in clear or inside TLS, an account and a database. Addresses are tried one
by one: this machine's, a stranger's, and wherever the network of a line begins or ends, since
between two such places all are treated alike (PostgreSQL manual, "The pg_hba.conf File").
"""

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from leftopen.outside import STRANGERS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HERE, NAMED, ANYWHERE = "this machine", "a named network", "any address"
ASKS_NOTHING, REFUSES = "trust", "reject"
SENT_IN_CLEAR = ("password", "ldap", "radius", "pam", "bsd")
"""Methods for which the client sends the password itself."""
_EVERY = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_THIS = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# Link-local addresses (RFC 3927, RFC 4291) stand for the neighbours, whom nobody can name here.
_NEIGHBOURS = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))
# A stranger has an address that no line was written for: one of documentation (RFC 5737, RFC 3849).
_STRANGE = ("192.0.2.9", "198.51.100.9", "203.0.113.9")
_STRANGE_6 = ("2001:db8::9", "2001:db8:ffff::9")
_FITS = {
    "host": ("tls", "clear"),
    "hostnogssenc": ("tls", "clear"),
    "hostssl": ("tls",),
    "hostnossl": ("clear",),
    "local": ("socket",),
}


@dataclass(frozen=True)
class Rule:
    """A line that the server can use, and its number in the file."""

    line: int
    kind: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    netmask: str
    method: str
    options: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The line, as it may be shown."""
        words = [self.kind, ",".join(self.databases), ",".join(self.users), self.place]
        return " ".join(word for word in (*words, self.method) if word)

    @property
    def place(self) -> str:
        """Its addresses, as people write them."""
        if self.netmask:
            return str(ipaddress.ip_network(f"{self.address}/{_bits(self.netmask)}", strict=False))
        return self.address

    @property
    def networks(self) -> tuple[Network, ...]:
        """Its addresses; none for a name, which leads to one host that cannot be known here."""
        words = {"all": _EVERY, "samehost": _THIS, "samenet": (*_THIS, *_NEIGHBOURS)}
        if self.address in words:
            return words[self.address]
        try:
            return (ipaddress.ip_network(self.place, strict=False),)
        except ValueError:
            return ()

    def is_for(self, way: str, role: str, groups: Iterable[str], database: str) -> bool:
        """Whether it fits this client, wherever that comes from."""
        return (
            way in _FITS.get(self.kind, ())
            and any(_is_database(word, role, groups, database) for word in self.databases)
            and any(_is_role(word, role, groups) for word in self.users)
        )

    def covers(self, other: "Rule") -> bool:
        """Whether every client that fits the other line fits this one."""
        return (
            set(_FITS.get(other.kind, ("?",))) <= set(_FITS.get(self.kind, ()))
            and ("all" in self.users or set(other.users) <= set(self.users))
            and (
                ("all" in self.databases and "replication" not in other.databases)
                or set(other.databases) <= set(self.databases)
            )
            and (self.kind == "local" or _inside(other.networks, self.networks))
        )


def _bits(netmask: str) -> int:
    return bin(int(ipaddress.ip_address(netmask))).count("1")


def _inside(small: Iterable[Network], large: Iterable[Network]) -> bool:
    return bool(small) and all(
        any(one.version == each.version and one.subnet_of(each) for each in large) for one in small
    )


def _is_database(word: str, role: str, groups: Iterable[str], database: str) -> bool:
    if database == "replication":
        return word == "replication"
    if word.startswith("/"):
        return _matches(word, database)
    if word == "sameuser":
        return database == role
    if word in ("samerole", "samegroup"):
        return database == role or database in groups
    return word in ("all", database)


def _is_role(word: str, role: str, groups: Iterable[str]) -> bool:
    if word.startswith("+"):
        return word[1:] == role or word[1:] in groups
    return _matches(word, role) if word.startswith("/") else word in ("all", role)


def _matches(word: str, name: str) -> bool:
    """Whether a regular expression of a line takes a name (since PostgreSQL 16)."""
    try:
        return re.search(word[1:], name) is not None
    except re.error:
        return False


@dataclass(frozen=True)
class Client:
    """A client that a line lets in or turns away: where from, how, as whom and where to."""

    place: str
    way: str
    role: str
    database: str


@dataclass(frozen=True)
class Reach:
    """A line, and all clients for which it is the first that fits."""

    rule: Rule
    clients: frozenset[Client] = field(repr=False)

    def those(self, *places: str, way: str = "") -> list[Client]:
        """Its clients from these places, in this way, in a fixed order."""
        return sorted(
            (c for c in self.clients if c.place in places and way in ("", c.way)),
            key=lambda c: (
                places.index(c.place),
                c.database == "replication",
                c.role,
                c.database,
                c.way,
            ),
        )

    @property
    def where(self) -> str:
        """Where its clients come from, in words, the widest first."""
        found = {client.place for client in self.clients}
        return next((place for place in (ANYWHERE, NAMED, HERE) if place in found), "the socket")


def reaches(
    rules: list[Rule],
    roles: Mapping[str, Iterable[str]],
    databases: Mapping[str, Iterable[str]],
    tls: bool,
    in_a_lab: bool,
) -> list[Reach]:
    """For each line the clients that it decides about.

    Args:
        rules: the lines, in their order.
        roles: the accounts that may log in, and the groups of each.
        databases: where each account may want to go.
        tls: whether the server speaks TLS.
        in_a_lab: there the stranger comes from an address of loopback's.
    """
    points = _points(rules, in_a_lab)
    found: dict[int, set[Client]] = {number: set() for number in range(len(rules))}
    deciding: dict[tuple[int, ...], set[tuple[int, str]]] = {}
    for role, groups in roles.items():
        for database in databases[role]:
            for way in ("tls", "clear", "socket") if tls else ("clear", "socket"):
                fitting = tuple(
                    n for n, rule in enumerate(rules) if rule.is_for(way, role, groups, database)
                )
                if way == "socket":
                    decided = {(fitting[0], "the socket")} if fitting else set()
                else:
                    if fitting not in deciding:
                        deciding[fitting] = _decide(rules, fitting, points)
                    decided = deciding[fitting]
                for number, place in decided:
                    found[number].add(Client(place, way, role, database))
    return [Reach(rules[number], frozenset(clients)) for number, clients in found.items()]


def _decide(
    rules: list[Rule], fitting: tuple[int, ...], points: Mapping[Address, str]
) -> set[tuple[int, str]]:
    decided = set()
    for address, place in points.items():
        for number in fitting:
            if any(address in network for network in rules[number].networks):
                decided.add((number, place))
                break
    return decided


def _points(rules: list[Rule], in_a_lab: bool) -> dict[Address, str]:
    """The addresses to try, and what each stands for."""
    networks = [n for rule in rules for n in rule.networks if n not in _EVERY]
    narrow = [network for network in networks if network.prefixlen >= network.max_prefixlen // 4]
    found: dict[Address, str] = {}
    for choice in (_STRANGE, _STRANGE_6):
        candidates = [ipaddress.ip_address(word) for word in choice]
        free = [a for a in candidates if not any(a in network for network in narrow)]
        found[(free or candidates)[0]] = ANYWHERE
    if in_a_lab:
        found[ipaddress.ip_address(STRANGERS)] = ANYWHERE
    here = (ipaddress.ip_network("127.0.0.1/32"), _THIS[1]) if in_a_lab else _THIS
    for network in (*here, *networks):
        for address in _ends(network):
            if any(address in this for this in here):
                found.setdefault(address, HERE)
            elif any(address in n for n in networks) and not (in_a_lab and address.is_loopback):
                found.setdefault(address, NAMED)
    return found


def _ends(network: Network) -> Iterator[Address]:
    """Where a network begins, and the first address that is no longer in it."""
    yield network.network_address
    with contextlib.suppress(ipaddress.AddressValueError):
        yield network.broadcast_address + 1
