"""The guard: every address that the course opens passes here, and only this machine is let through.

Loopback is 127.0.0.0/8 (RFC 1122 section 3.2.1.3) and ::1 (RFC 4291 section 2.5.3). An IPv4-mapped
IPv6 address (RFC 4291 section 2.5.5.2) is judged by the IPv4 address inside it, here and not by
`ipaddress`, whose own verdict changed in Python 3.13.
"""

import asyncio
import contextlib
import errno
import ipaddress
import math
import os
import re
import socket
import sys

from leftopen.errors import LeftOpenError, NotLoopback

HERE = "127.0.0.1"

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

# Host names: RFC 1123 section 2.1, with the underscore that container tools put into names.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")

# What a resolver may read as a number: the "ends in a number" rule of the WHATWG URL Standard.
_ENDS_IN_NUMBER = re.compile(r"(.+\.)?([0-9]+|0[xX][0-9A-Fa-f]*)\.?")


def addresses(host: str) -> list[str]:
    """Resolve a host and return its addresses, all of them loopback.

    An address written out is judged as it stands, without a resolver. A name is resolved once, and
    every address that comes back must be loopback. Spellings that resolvers read differently
    (RFC 6943 section 3.1.1: 2130706433, 0x7f000001, 0177.0.0.1, 127.1) are refused, even where
    they happen to mean 127.0.0.1.

    Args:
        host: a host name, an IPv4 address or an IPv6 address, without brackets, port or scope.

    Returns:
        The addresses in the resolver's order, each once; an IPv4-mapped one as plain IPv4.

    Raises:
        NotLoopback: if the host is not a clear name or address, does not resolve, or has any
            address that is not loopback.
    """
    literal = _literal(host)
    found = [literal] if literal is not None else _resolve(host)
    return list(dict.fromkeys(str(_judge(address, host)) for address in found))


def connect(host: str, port: int, timeout: float) -> socket.socket:
    """Open a TCP connection to a port of this machine.

    The socket goes to an address that was checked; the name is not resolved a second time, so an
    answer that changes in between (DNS rebinding) leads nowhere.

    Args:
        host: as for `addresses`.
        port: 1 to 65535.
        timeout: seconds to wait for each address; it stays set on the socket.

    Raises:
        NotLoopback: if the host is not this machine.
        LeftOpenError: if the port or the timeout is not usable.
        OSError: if no address accepts, with the error of the first one.
    """
    check_port(port)
    _check_timeout(timeout)
    first_error: OSError | None = None
    for address in addresses(host):
        sock = socket.socket(_family(address), socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect((address, port))
            _refuse_itself(sock)
        except OSError as error:
            sock.close()
            first_error = first_error or error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise first_error


async def connect_async(
    host: str, port: int, timeout: float, source: str | None = None
) -> socket.socket:
    """Open a TCP connection to a port of this machine from within an event loop.

    Args:
        host: as for `addresses`; the first address is used.
        port: 1 to 65535.
        timeout: seconds to wait.
        source: the loopback address from which to come, of the same family as the host's; the
            system chooses it by itself when it is left out, or when it has no such address.

    Returns:
        A non-blocking socket.

    Raises:
        NotLoopback: if the host is not this machine.
        LeftOpenError: if the port or the timeout is not usable.
        OSError: if the address does not accept; TimeoutError if it does not answer.
    """
    check_port(port)
    _check_timeout(timeout)
    address = addresses(host)[0]
    sock = socket.socket(_family(address), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if source is not None:
            # Linux and Windows have all of 127.0.0.0/8; macOS has 127.0.0.1 alone.
            with contextlib.suppress(OSError):
                sock.bind((addresses(source)[0], 0))
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        _refuse_itself(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def reserve(port: int = 0) -> socket.socket:
    """Take a port of 127.0.0.1 without listening: connections to it are refused.

    Args:
        port: 0 to 65535; with 0 the system chooses a free one.

    Raises:
        LeftOpenError: if the port is not usable.
        OSError: if the system does not give the port.
    """
    check_port(port, lowest=0)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Elsewhere this option would let another program share the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HERE, port))
    except BaseException:
        sock.close()
        raise
    return sock


def listen_on(sock: socket.socket) -> None:
    """Let a socket of `reserve` accept connections.

    Raises:
        NotLoopback: if the socket is not bound to a loopback address.
        OSError: if the system does not let it listen.
    """
    addresses(sock.getsockname()[0])
    sock.listen()


def listen(port: int = 0) -> socket.socket:
    """Open a listening TCP socket on 127.0.0.1.

    Args:
        port: 0 to 65535; with 0 the system chooses a free one.

    Raises:
        LeftOpenError: if the port is not usable.
        OSError: if the system does not give the port.
    """
    sock = reserve(port)
    try:
        listen_on(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def check_port(port: object, *, lowest: int = 1) -> None:
    """Refuse what is not a whole number from `lowest` to 65535.

    Raises:
        LeftOpenError: if the port is not usable.
    """
    if isinstance(port, bool) or not isinstance(port, int) or not lowest <= port <= 65535:
        raise LeftOpenError(
            f"{port!r} is not a usable port. Give a whole number from {lowest} to 65535."
        )


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago.

    Another program can take it before the caller does; who needs certainty uses `reserve`.
    """
    with reserve() as sock:
        return sock.getsockname()[1]


class KeptPort:
    """A free port of 127.0.0.1 that stays a server's own while that server is down.

    Between the finding of a port and its use, and while a server restarts, the system could give
    the port to another program. On Linux a bound socket that does not listen keeps it, and a server
    listens beside that socket, where both set SO_REUSEADDR (socket(7)), as servers do. Elsewhere
    nothing is kept: the port was free a moment ago.

    Attributes:
        number: the port.

    Raises:
        OSError: if the system does not give one.
    """

    def __init__(self) -> None:
        self._held: socket.socket | None = reserve()
        self.number: int = self._held.getsockname()[1]
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        """Give the port back. Safe to call twice."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


def _literal(host: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that the text writes out, or None for a name; anything else is refused."""
    if not isinstance(host, str):
        raise NotLoopback(
            f"A host must be text, and this is {type(host).__name__}. "
            "Write for instance 'localhost' or '127.0.0.1'."
        )
    if not host:
        raise NotLoopback(
            "The host is empty, which many programs read as every address of the machine. "
            "Write 'localhost' or '127.0.0.1'."
        )
    if "%" not in host:
        try:
            return ipaddress.ip_address(host)
        except ValueError:
            pass
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise NotLoopback(
            f"{host!r} is neither a host name nor an address. "
            "Write 'localhost', '127.0.0.1' or '::1', without brackets, port, scope or spaces."
        )
    if _ENDS_IN_NUMBER.fullmatch(host):
        raise NotLoopback(
            f"{host!r} is a number that programs read in different ways, so it is not clear which "
            "machine it means. Write the address as four decimal numbers, such as 127.0.0.1."
        )
    return None


def _resolve(name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Ask the system's resolver, once."""
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        found = [ipaddress.ip_address(str(answer[4][0])) for answer in answers]
    except (OSError, ValueError):  # ValueError: a name or an answer that is none
        found = []
    if not found:
        raise NotLoopback(
            f"The name {name!r} does not resolve on this machine. "
            "Use 'localhost' or '127.0.0.1', or look at the machine's hosts file."
        )
    return found


def _judge(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, host: str
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address to use, if it is loopback."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in _LOOPBACK):
        return address
    if address.is_unspecified:
        raise NotLoopback(
            f"{host} means every address of this machine, also those that others can reach. "
            f"The course opens loopback alone: write {HERE}."
        )
    through = "" if str(address) == host else f", which leads to {address},"
    raise NotLoopback(
        f"{host}{through} is not an address of this machine's loopback. "
        f"The course connects to nothing else: write 'localhost' or '{HERE}'."
    )


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _refuse_itself(sock: socket.socket) -> None:
    """Refuse a socket that has met itself.

    TCP allows it (simultaneous open, RFC 9293 section 3.5), and it happens where nothing listens
    on a port that the system also hands out to clients.
    """
    if sock.getsockname() == sock.getpeername():
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Nothing listens on this port")


def _check_timeout(timeout: object) -> None:
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not 0 < timeout < math.inf:
        raise LeftOpenError(
            f"{timeout!r} is not a usable time limit. Give a number of seconds above 0."
        )
