"""Watches, through a whole test session, that nothing listens but on loopback.

A thread samples the TCP sockets in the state LISTEN, every 200 ms: one that listens for less may
be missed. In a network namespace that `run_suite.py`
made for the session, every socket there is the session's. Elsewhere those of this process and of
its descendants are, also of descendants that have since lost their parent.
"""

import contextlib
import ipaddress
import os
import socket
import struct
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

NAMESPACE = "LEFTOPEN_NAMESPACE"  # set by run_suite.py inside a network namespace of its own
IGNORED = "LEFTOPEN_WATCH_IGNORED"  # a file: ports of listeners that a test plants on purpose
SECONDS = 0.2
_FAMILY_SECONDS = 1.0
_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h of the Linux kernel
# include/uapi/linux/netlink.h and sock_diag.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP = 4, 20, 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3


@dataclass(frozen=True)
class Listener:
    """A listening socket, and the command that owned it when it was seen."""

    address: str
    port: int
    program: str

    def __str__(self) -> str:
        return f"{self.address} port {self.port} ({self.program or 'a program that is gone'})"


def is_loopback(address: str) -> bool:
    """Whether an address of a socket is loopback, as 127.0.0.1, ::1 or ::ffff:127.0.0.1."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def listening() -> set[tuple[str, int, str]]:
    """Address, port and inode of each listening TCP socket of this network namespace (Linux).

    The kernel is asked for those sockets alone (sock_diag(7)). /proc/net/tcp has them too, and is
    read where that does not work; to write it, the kernel goes through its whole table of
    connections, which takes some 10 ms of a core. Asking psutil for the sockets of every process
    would take several times as long.
    """
    try:
        return _asked(socket.AF_INET) | _asked(socket.AF_INET6)
    except OSError:
        return listed()


def _asked(family: int) -> set[tuple[str, int, str]]:
    """What sock_diag(7) answers: struct inet_diag_msg for each socket, in netlink(7) messages."""
    found = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_FAMILY_SECONDS)
        states = 1 << int(_LISTEN, 16)
        head = struct.pack("=LHHLL", 72, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
        question = struct.pack("=BBBBL48x", family, socket.IPPROTO_TCP, 0, 0, states)
        kernel.sendto(head + question, (0, 0))
        while True:
            answer, at = kernel.recv(1 << 16), 0
            while at < len(answer):
                length, kind = struct.unpack_from("=LH", answer, at)
                if kind == _NLMSG_DONE:
                    return found
                if kind == _NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=l", answer, at + 16)[0], "sock_diag")
                (port,) = struct.unpack_from("!H", answer, at + 20)
                size = 4 if family == socket.AF_INET else 16
                address = ipaddress.ip_address(answer[at + 24 : at + 24 + size])
                (inode,) = struct.unpack_from("=L", answer, at + 84)
                found.add((str(address), port, str(inode)))
                at += (length + 3) & ~3


def listed() -> set[tuple[str, int, str]]:
    """The same out of /proc/net/tcp and tcp6 (proc(5)).

    They print an address as 32-bit words in the machine's byte order.
    """
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    words, port = fields[1].split(":")
                    found.add((_address(words), int(port, 16), fields[9]))
    return found


def _address(words: str) -> str:
    raw = bytes.fromhex(words)
    if sys.byteorder == "little":
        raw = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    return str(ipaddress.ip_address(raw))


def ignore(port: int) -> None:
    """Tell the session's watch that a test will plant a listener on this port."""
    if path := os.environ.get(IGNORED):
        with Path(path).open("a") as file:
            file.write(f"{port}\n")


class Watch(threading.Thread):
    """Samples from :meth:`start` to :meth:`stop`.

    Args:
        everywhere: every socket of this network namespace counts (Linux), not only the family's.
        ignored: a file of ports that do not count, one a line.
    """

    def __init__(self, everywhere: bool = False, ignored: Path | None = None) -> None:
        super().__init__(daemon=True, name="socket watch")
        self.everywhere = everywhere
        self.ignored = ignored
        self._seen: dict[tuple[str, int], str] = {}
        self.samples = 0
        self.failure: Exception | None = None
        self._family: dict[int, psutil.Process] = {os.getpid(): psutil.Process()}
        self._family_at = 0.0
        self._foreign: set[str] = set()
        self._over = threading.Event()

    @property
    def seen(self) -> list[Listener]:
        """What listened beyond loopback, each address and port once."""
        return [Listener(*place, program) for place, program in sorted(self._seen.items())]

    def run(self) -> None:
        """Sample until stopped."""
        try:
            while not self._over.wait(SECONDS):
                self.sample()
        except Exception as error:
            self.failure = error

    def stop(self) -> None:
        """Sample once more, and end."""
        self._over.set()
        if self.is_alive():
            self.join()
        self.sample()

    def sample(self) -> None:
        """Look once."""
        self.samples += 1
        now = time.monotonic()
        if not self.everywhere and now - self._family_at > _FAMILY_SECONDS:
            self._meet_family()
            self._family_at = now
        if sys.platform != "linux":
            self._look_at_family({})
            return
        suspects = {
            (address, port): inode
            for address, port, inode in listening()
            if not is_loopback(address) and inode not in self._foreign
        }
        if suspects:
            self._meet_family()
            self._look_at_family(suspects)

    def _meet_family(self) -> None:
        """Who runs now and descends from this process, or did before it lost its parent."""
        running, parent = {}, {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                parent[process.pid] = process.ppid()
                running[process.pid] = process
        # Equal processes have the same id and the same time of creation.
        family = {pid: p for pid, p in self._family.items() if running.get(pid) == p}
        grown = True
        while grown:
            children = {
                pid: process
                for pid, process in running.items()
                if parent[pid] in family and pid not in family
            }
            family |= children
            grown = bool(children)
        self._family = family

    def _look_at_family(self, suspects: dict[tuple[str, int], str]) -> None:
        owners = {}
        for process in self._family.values():
            with contextlib.suppress(psutil.Error):
                for sock in process.net_connections(kind="tcp"):
                    if sock.status == psutil.CONN_LISTEN and not is_loopback(sock.laddr.ip):
                        owners[sock.laddr.ip, sock.laddr.port] = process
        if self.everywhere:
            owners = {**dict.fromkeys(suspects), **owners}
        else:
            self._foreign |= {i for place, i in suspects.items() if place not in owners}
        ports = self._ignored_ports()
        for (address, port), process in owners.items():
            if port not in ports:
                self._seen[address, port] = _program(process) or self._seen.get((address, port), "")

    def _ignored_ports(self) -> set[int]:
        if self.ignored is None or not self.ignored.exists():
            return set()
        return {int(word) for word in self.ignored.read_text().split()}


def _program(process: psutil.Process | None) -> str:
    with contextlib.suppress(psutil.Error):
        if process is not None:
            return " ".join(process.cmdline())[:120]
    return ""


class SessionWatch:
    """The pytest plugin: one watch for the session, and an error in the summary if it saw any."""

    def __init__(self) -> None:
        handle, path = tempfile.mkstemp(prefix="watch-ignored-")
        os.close(handle)
        self.ignored = Path(path)
        os.environ[IGNORED] = path
        self.watch = Watch(bool(os.environ.get(NAMESPACE)), self.ignored)
        self.watch.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn what was seen, or a watch that failed, into an error of the session."""
        self.watch.stop()
        told = "\n".join(f"  {listener}" for listener in self.watch.seen)
        if self.watch.failure:
            told += f"\n  unknown: the watch itself failed: {self.watch.failure!r}"
        if not told:
            return
        report = pytest.TestReport(
            nodeid="loopback only",
            location=("loopback only", None, "loopback only"),
            keywords={},
            outcome="failed",
            longrepr=f"During the session something listened beyond loopback:\n{told}",
            when="teardown",
        )
        session.config.hook.pytest_runtest_logreport(report=report)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say that the watch took place."""
        whose = "all of this network namespace" if self.watch.everywhere else "the session's own"
        terminalreporter.write_line(
            f"sockets watched ({whose}): {self.watch.samples} samples, "
            f"{len(self.watch.seen)} listeners beyond loopback"
        )

    def pytest_unconfigure(self) -> None:
        """Remove the list of planted ports."""
        self.ignored.unlink(missing_ok=True)


def pytest_configure(config: pytest.Config) -> None:
    """Start the watch, once, in the process that directs the session and not in its workers."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(SessionWatch(), "leftopen-socket-watch")
