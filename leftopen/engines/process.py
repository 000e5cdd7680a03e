"""A server as a child that cannot outlive its notebook.

Between the notebook's kernel and the server stands the keeper (``keeper.py``): it starts the
server, and when the kernel ends, in whatever way, it kills the server and removes its folder.
"""

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from leftopen import loopback
from leftopen.engines import keeper as keeper_module
from leftopen.engines.account import Account
from leftopen.errors import EngineFailed

KEEPER_REPLY_SECONDS = 60.0  # a busy machine may take long to start even a small process
_LOOK_SECONDS = 0.01  # between two looks at a server that starts
_LOOKS_FOR_ONE_QUESTION = 4
_LEAST_DISK = 2**20  # bytes
_SWEEP_AGE_SECONDS = 60.0  # a younger folder may belong to a keeper that has yet to lock it


class ServerProcess:
    """One private folder and one server process, both gone when this Python process is gone.

    The folder is made at once; the server is started with :meth:`start`. Safe to close twice.

    Raises:
        EngineFailed: the keeper could not start, or no private folder could be made.
    """

    def __init__(self) -> None:
        where = temporary_folder()
        sweep()
        self._lock = threading.RLock()
        self._ports: list[loopback.KeptPort] = []
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper_module.__file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Its own session: Ctrl-C and "Interrupt Kernel" go to the kernel's group alone.
            start_new_session=True,
        )
        self._unread = b""
        self._orders = 0
        self.pid: int | None = None
        try:
            self.folder = Path(self._ask(do="folder", where=where)["folder"])
        except BaseException:
            self.close()
            raise

    def _ask(self, **order: object) -> dict:
        with self._lock:
            try:
                self._send(order)
                # An interrupted call may have left its reply unread: skip to our own number.
                while (reply := json.loads(self._read_line()))["n"] != self._orders:
                    pass
            except (OSError, ValueError) as error:
                raise EngineFailed(
                    "The process that keeps this server has ended. "
                    "Open the case again to get a new server."
                ) from error
        if "error" in reply:
            where = f" ({reply['path']})" if reply["path"] else ""
            raise EngineFailed(
                f"The lab could not {order['do']}: {reply['error']}{where}. It works in a private "
                f"folder under {temporary_folder()}; set TMPDIR to a folder that you can write "
                "to and that has some 100 MB free, then run this cell again."
            )
        return reply

    def _send(self, order: dict) -> None:
        self._orders += 1
        self._keeper.stdin.write(json.dumps({"n": self._orders, **order}).encode() + b"\n")
        self._keeper.stdin.flush()

    def _read_line(self) -> bytes:
        deadline = time.monotonic() + KEEPER_REPLY_SECONDS
        out = self._keeper.stdout.fileno()
        with selectors.DefaultSelector() as replies:
            if os.name == "posix":  # Windows waits for sockets alone, not for pipes
                replies.register(out, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                left = max(deadline - time.monotonic(), 0)
                if os.name == "posix" and not replies.select(left):
                    raise OSError("the keeper does not answer")
                chunk = os.read(out, 65536)
                if not chunk:
                    raise OSError("the keeper has ended")
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def start(
        self,
        argv: Sequence[str | Path],
        output: Path,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        signals: tuple[int, int] | None = None,
        inside: Path | None = None,
    ) -> None:
        """Start the server in its folder; what it prints goes to the file ``output``.

        Args:
            argv: the program and its arguments.
            output: the file.
            account: under which to run it, in place of the notebook's own.
            environment: all its environment variables; without, the notebook's own.
            signals: what asks it to end, and what makes it end at once, where that is not SIGTERM
                and SIGKILL (POSIX).
            inside: the folder in which it starts; without, the notebook's own.

        Raises:
            EngineFailed: the program cannot be run.
        """
        who = [account.uid, account.gid] if account else None
        told = self._ask(
            do="start",
            argv=[str(a) for a in argv],
            output=str(output),
            account=who,
            environment=dict(environment) if environment else None,
            signals=signals,
            inside=str(inside) if inside else None,
        )
        self.pid = told["pid"]

    def stop(self, grace: float = 10.0) -> int | None:
        """Ask the server to end, wait ``grace`` seconds, then kill it; return its exit code."""
        self.pid = None
        return self._ask(do="stop", grace=grace)["code"]

    def exit_code(self) -> int | None:
        """The server's exit code, or ``None`` while it runs."""
        return self._ask(do="poll")["code"]

    def is_running(self) -> bool:
        """Whether the server runs."""
        try:
            return self.pid is not None and self.exit_code() is None
        except EngineFailed:
            return False

    def wait_until_accepting(self, port: int, seconds: float, is_ours: Callable[[], bool]) -> bool:
        """Wait until the server accepts connections on a loopback port.

        Args:
            port: the port on 127.0.0.1.
            seconds: how long to wait at most.
            is_ours: whether it is this server that accepts; another program may hold the port.

        Returns:
            ``True`` as soon as it accepts, ``False`` if it ended instead.

        Raises:
            EngineFailed: it neither accepted nor ended in time.
        """

        def accepts() -> bool:
            with contextlib.suppress(OSError):
                loopback.connect("127.0.0.1", port, timeout=1).close()
                return is_ours()
            return False

        return self.wait_until(accepts, seconds)

    def wait_until(self, is_up: Callable[[], bool], seconds: float) -> bool:
        """Wait until the server is up.

        Args:
            is_up: whether it is, as far as can be seen without the keeper.
            seconds: how long to wait at most.

        Returns:
            ``True`` as soon as it is up, ``False`` if it ended instead.

        Raises:
            EngineFailed: it neither came up nor ended in time.
        """
        deadline = time.monotonic() + seconds
        looks = 0
        while time.monotonic() < deadline:
            if is_up():
                return self.exit_code() is None
            # The keeper is asked less often: it must wake for it, and take a core from the server.
            if looks % _LOOKS_FOR_ONE_QUESTION == 0 and self.exit_code() is not None:
                return False
            looks += 1
            time.sleep(_LOOK_SECONDS)
        raise EngineFailed(
            f"The server did not accept a connection within {seconds:.0f} s. The machine may be "
            "too busy: close other programs and run this cell again."
        )

    def new_ports(self, count: int) -> list[int]:
        """Keep this many free ports for the server until it is closed; earlier ones are given back.

        Raises:
            OSError: if the system does not give them.
        """
        self._give_ports_back()
        self._ports += [loopback.KeptPort() for _ in range(count)]
        return [port.number for port in self._ports]

    def _give_ports_back(self) -> None:
        while self._ports:
            self._ports.pop().close()

    def close(self) -> None:
        """End the server and remove its folder. Safe to call twice, and at any moment."""
        with contextlib.suppress(OSError, ValueError):
            # The end of stdin would do, unless a process that the kernel forked holds it open.
            self._send({"do": "quit"})
        with contextlib.suppress(OSError):
            self._keeper.stdin.close()
        try:
            self._keeper.wait(timeout=KEEPER_REPLY_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        self._keeper.stdout.close()
        self.pid = None
        self._give_ports_back()


def temporary_folder() -> str:
    """The folder in which labs live: TMPDIR, or what Python finds in its place.

    Raises:
        EngineFailed: there is none that can be written to.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        raise EngineFailed(
            "No folder for temporary files can be written to. "
            "Set TMPDIR to one that can, then restart the notebook's kernel."
        ) from error


def leftovers() -> list[Path]:
    """Folders in the temporary folder whose keeper is gone (killed together with its notebook)."""
    if os.name != "posix":
        return []
    import fcntl

    found = []
    for lock in Path(temporary_folder()).glob(f"{keeper_module.PREFIX}*/{keeper_module.LOCK}"):
        with contextlib.suppress(OSError):
            old_enough = time.time() - lock.stat().st_mtime > _SWEEP_AGE_SECONDS
            if lock.stat().st_uid != os.getuid() or not old_enough:
                continue
            with lock.open() as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(lock.parent)
    return found


def sweep() -> list[Path]:
    """Remove what killed keepers left behind; return the folders that were removed."""
    found = leftovers()
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def has_room(folder: Path) -> bool:
    """Whether a disk has a mebibyte left: when it is full, a log's last line may lack its reason.

    Args:
        folder: any folder on it; for one that is gone the answer is yes.
    """
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free > _LEAST_DISK
    return True


@contextlib.contextmanager
def disk() -> Iterator[None]:
    """Turn an error of the file system into one sentence."""
    try:
        yield
    except OSError as error:
        raise EngineFailed(
            f"The lab could not write to its folder: {error}. Free some disk space, or set TMPDIR "
            "to another folder, then run this cell again."
        ) from error
