import asyncio
import ipaddress
import socket
import sys
import threading
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen import loopback
from leftopen.errors import LeftOpenError, NotLoopback

UNTIMED = settings(deadline=None)  # a busy machine is not a failure


def answer(*found: str):
    """A resolver that gives these addresses to whoever asks."""

    def getaddrinfo(host, port, *args, **kwargs):
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0))
            for a in found
        ]

    return getaddrinfo


@pytest.fixture
def no_resolver(monkeypatch):
    """Fails the test that asks a resolver; a driver's thread that an earlier test left may."""
    resolver, system, here = Mock(return_value=[]), socket.getaddrinfo, threading.get_ident()

    def ask(*place, **options):
        asked = resolver if threading.get_ident() == here else system
        return asked(*place, **options)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    yield
    resolver.assert_not_called()


# What is let through, and what is not

REFUSED = {
    # Public, private, link-local, mapped, otherwise wrapped, multicast and broadcast, just beside.
    "is not an address of this machine's loopback": """
        93.184.215.14 2606:2800:21f:cb07:6820:80da:af6b:8b2c
        10.0.0.1 172.16.0.1 192.168.1.1 fd00::1 169.254.169.254 fe80::1
        ::ffff:8.8.8.8 ::ffff:10.0.0.1 ::ffff:126.255.255.255
        ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1::
        224.0.0.1 ff02::1 255.255.255.255 126.255.255.255 128.0.0.0 ::2""",
    "every address of this machine": "0.0.0.0 :: 0:0:0:0:0:0:0:0 ::ffff:0.0.0.0",
    # Decimal, octal, hexadecimal, short, and what else some resolver reads as a number.
    "programs read in different ways": """
        2130706433 017700000001 0177.0.0.1 127.0.0.01 0x7f000001 0x7F.0.0.0x1
        127.1 127.0.1 0 127.0.0.1. 127.0.0.256""",
    "neither a host name nor an address": """
        [::1] ::1%lo fe80::1%1 127.0.0.1:80 http://127.0.0.1 localhost/x a@127.0.0.1 a,b *
        ::ffff:127.1 １２７.0.0.1 a..b .""",
}
CASES = [(host, why) for why, hosts in REFUSED.items() for host in hosts.split()]
CASES += [(host, "neither a host name") for host in ("127.0.0.1 ", " localhost", "127.0.0.1\n")]
CASES += [(host, "neither a host name") for host in ("a\0b", "local\u200bhost", "a" * 64)]
CASES += [(host, "must be text") for host in (None, 2130706433, True, b"::1", ["127.0.0.1"])]
CASES += [("", "empty")]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"])
def test_loopback_addresses_pass_without_a_resolver(host, no_resolver):
    assert loopback.addresses(host) == [host]


def test_an_address_is_returned_as_it_was_judged(no_resolver):
    assert loopback.addresses("0:0:0:0:0:0:0:1") == ["::1"]
    assert loopback.addresses("::FFFF:7f00:2") == ["127.0.0.2"]


def test_localhost_passes():
    assert set(loopback.addresses("localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize(("host", "reason"), CASES)
def test_all_else_is_refused_without_a_resolver(host, reason, no_resolver):
    with pytest.raises(NotLoopback, match=reason):
        loopback.addresses(host)


def test_every_address_of_a_name_must_be_loopback(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", answer("127.0.0.1", "::1", "127.0.0.1"))
    assert loopback.addresses("lab.test") == ["127.0.0.1", "::1"]
    for mixed in (["127.0.0.1", "93.184.215.14"], ["93.184.215.14", "127.0.0.1"]):
        monkeypatch.setattr(socket, "getaddrinfo", answer(*mixed))
        with pytest.raises(NotLoopback, match=r"lab\.test, which leads to 93\.184\.215\.14"):
            loopback.addresses("lab.test")


@pytest.mark.parametrize("bad", ["fe80::1%eth0", "::ffff:8.8.8.8", "0.0.0.0", "nonsense"])
def test_a_resolver_is_not_believed(monkeypatch, bad):
    monkeypatch.setattr(socket, "getaddrinfo", answer("127.0.0.1", bad))
    with pytest.raises(NotLoopback):
        loopback.addresses("lab.test")


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve_is_refused(monkeypatch, error):
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=error))
    with pytest.raises(NotLoopback, match="does not resolve"):
        loopback.addresses("lab.test")


def near(*centres: int):
    return st.sampled_from(centres).flatmap(lambda c: st.integers(max(0, c - 3), c + 3))


V4 = st.one_of(
    st.integers(0, 2**32 - 1), st.integers(127 << 24, (128 << 24) - 1), near(127 << 24, 128 << 24)
)
V6 = st.one_of(
    st.integers(0, 2**128 - 1),
    near(1, 0xFFFF << 32, 0xFFFF7F000000, 0xFFFF7FFFFFFF),
    V4,
    V4.map(lambda n: 0xFFFF << 32 | n),
)


@UNTIMED
@given(V4)
def test_the_verdict_on_ipv4_is_that_of_the_first_byte(number):
    host = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    assert passes(host) == (number >> 24 == 127)


@UNTIMED
@given(V6, st.sampled_from(["compressed", "exploded"]), st.booleans())
def test_the_verdict_on_ipv6_is_that_of_its_bytes(number, form, upper):
    host = getattr(ipaddress.IPv6Address(number), form)
    mapped = number >> 32 == 0xFFFF and number >> 24 & 0xFF == 127
    assert passes(host.upper() if upper else host) == (number == 1 or mapped)


@UNTIMED
@given(st.text(alphabet="0127xXaf.:%[] f", max_size=20))
def test_no_text_leads_outside(host):
    """With a resolver that calls everything public, only clear loopback literals are left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", answer("93.184.215.14"))
        if not passes(host):
            return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    raw = socket.inet_pton(family, host)  # takes the strict spellings alone
    assert raw[-4] == 127 or raw == bytes(15) + b"\1"


def passes(host: str) -> bool:
    try:
        return bool(loopback.addresses(host))
    except NotLoopback:
        return False


# Connections and listeners


def test_a_listener_is_on_loopback_and_connect_reaches_it():
    with loopback.listen() as listener:
        address, port = listener.getsockname()
        assert address == "127.0.0.1"
        for host in ("127.0.0.1", "localhost", "::ffff:127.0.0.1"):
            with loopback.connect(host, port, 10) as client, listener.accept()[0] as server:
                assert client.gettimeout() == 10
                client.sendall(b"seen")
                assert server.recv(10) == b"seen"


def test_a_reserved_port_refuses_until_it_listens():
    with loopback.reserve() as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            loopback.connect("127.0.0.1", port, 10)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        loopback.listen_on(sock)
        loopback.connect("127.0.0.1", port, 10).close()


def test_a_socket_of_the_wildcard_may_not_listen():
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        with pytest.raises(NotLoopback):
            loopback.listen_on(sock)
        with pytest.raises(ConnectionRefusedError):
            loopback.connect("127.0.0.1", sock.getsockname()[1], 10)


def test_a_free_port_can_be_taken():
    port = loopback.free_port()
    with loopback.listen(port) as listener:
        assert listener.getsockname() == ("127.0.0.1", port)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be kept")
def test_a_kept_port_is_the_servers_alone_also_while_it_is_down():
    kept = loopback.KeptPort()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            loopback.connect("127.0.0.1", kept.number, 10)
        with loopback.listen(kept.number), loopback.connect("127.0.0.1", kept.number, 10):
            pass
    for _ in range(20_000):  # the system has 14,000 ports to give, and 7,000 for these sockets
        with loopback.reserve() as other:
            assert other.getsockname()[1] != kept.number
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", kept.number))
    kept.close()
    kept.close()
    loopback.reserve(kept.number).close()


def test_connect_does_not_resolve_twice(monkeypatch):
    answers = iter([answer("127.0.0.1"), answer("93.184.215.14")])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **how: next(answers)(*asked))
    with loopback.listen() as listener:
        with loopback.connect("lab.test", listener.getsockname()[1], 10) as client:
            assert client.getpeername()[0] == "127.0.0.1"
        with pytest.raises(NotLoopback):
            loopback.connect("lab.test", listener.getsockname()[1], 10)


def test_connect_tries_each_address(monkeypatch):
    with loopback.listen() as listener:
        monkeypatch.setattr(socket, "getaddrinfo", answer("::1", "127.0.0.1"))
        with loopback.connect("lab.test", listener.getsockname()[1], 10) as client:
            assert client.getpeername()[0] == "127.0.0.1"


def test_connect_async_reaches_and_refuses():
    async def reach(host, port):
        with await loopback.connect_async(host, port, 10) as sock:
            return sock.getpeername()

    with loopback.listen() as listener, loopback.reserve() as closed:
        assert asyncio.run(reach("127.0.0.1", listener.getsockname()[1])) == listener.getsockname()
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(reach("127.0.0.1", closed.getsockname()[1]))
        with pytest.raises(NotLoopback):
            asyncio.run(reach("10.0.0.1", listener.getsockname()[1]))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a socket may not meet itself")
def test_a_socket_that_met_itself_is_refused():
    with loopback.reserve() as sock:
        sock.connect(sock.getsockname())
        with pytest.raises(ConnectionRefusedError):
            loopback._refuse_itself(sock)
    with loopback.listen() as listener, loopback.connect(*listener.getsockname(), 10) as sock:
        loopback._refuse_itself(sock)


@pytest.mark.parametrize("port", [-1, 65536, "27017", 27017.0, True, None])
def test_an_impossible_port_is_refused(port):
    for action in (loopback.listen, loopback.reserve, loopback.check_port):
        with pytest.raises(LeftOpenError, match="not a usable port"):
            action(port)
    for port_of_a_client in (port, 0):
        with pytest.raises(LeftOpenError, match="from 1 to 65535"):
            loopback.connect("127.0.0.1", port_of_a_client, 1)


@pytest.mark.parametrize("timeout", [0, -1, None, "1", float("inf"), float("nan"), True])
def test_an_impossible_timeout_is_refused(timeout):
    with pytest.raises(LeftOpenError, match="time limit"):
        loopback.connect("127.0.0.1", 1, timeout)
