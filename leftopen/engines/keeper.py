"""The keeper: a small process that holds one server and one folder for one notebook.

It is started as ``python -I -S keeper.py PARENT_PID`` with pipes on stdin and stdout, and it
imports the standard library alone, so that it is up in some 20 ms. It makes a private folder,
starts a server when told to, and when stdin ends it kills the server and removes the folder.
Stdin ends when the notebook's kernel ends, however it ends: SIGKILL leaves no time for any
clean-up inside the kernel itself, so the clean-up must live in another process.

Commands are JSON objects, one a line; each gets one JSON object back, with the same number::

    {"n": 1, "do": "folder", "where": "/tmp"}                 -> {"n": 1, "folder": "..."}
    {"n": 2, "do": "start", "argv": [...], "output": "...",
     "account": [65534, 65534], "environment": {...},
     "signals": [2, 3], "inside": "..."}                      -> {"n": 2, "pid": 123}
    {"n": 3, "do": "poll"}                                    -> {"n": 3, "code": null}
    {"n": 4, "do": "stop", "grace": 10}                       -> {"n": 4, "code": 0}
    {"n": 5, "do": "quit"}                                    (no reply: the keeper ends)

Two nets are stretched below it. On Linux the server asks for a signal when the keeper dies: SIGKILL
unless it was told another (PR_SET_PDEATHSIG, prctl(2)). The keeper forks from its only thread,
because that signal comes when the forking *thread* ends. And the folder holds a lock (flock(2))
that dies with the keeper, so that a later lab can tell a leftover folder from one in use.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile

PREFIX = "leftopen-"
LOCK = "keeper.lock"
_POLL_SECONDS = 0.5  # how often the parent's life is looked at, beside the end of stdin
_PR_SET_PDEATHSIG = 1
_END_SECONDS = 5  # for a server that ends by a signal of its own, at the very end


def _death_signal(number):
    """What the server calls before it is one: made before the fork, when Python can be read.

    The server's account may have no access to this Python's own files.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, number)


class Keeper:
    """The state of this process: its folder, its lock, its server."""

    def __init__(self, parent):
        self.parent = parent
        self.folder = None
        self.lock = None
        self.server = None
        self.signals = None

    def do_folder(self, order):
        """Make the private folder, and lock it."""
        self.folder = tempfile.mkdtemp(prefix=PREFIX, dir=order["where"])
        self.lock = os.open(os.path.join(self.folder, LOCK), os.O_CREAT | os.O_RDWR, 0o600)  # noqa: PTH118
        if os.name == "posix":
            import fcntl

            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return {"folder": self.folder}

    def do_start(self, order):
        """Start the server.

        ``account`` names the user and the group that it is to run under, ``signals`` the one that
        asks it to end and the one that makes it end at once, where these are not SIGTERM and
        SIGKILL, ``inside`` the folder in which it starts.
        """
        other = {"env": order["environment"]} if order.get("environment") else {}
        other |= {"cwd": order["inside"]} if order.get("inside") else {}
        self.signals = order.get("signals") if os.name == "posix" else None
        if order.get("account"):
            user, group = order["account"]
            # The notebook's folder may be closed to that account: it starts in its own.
            other |= {"user": user, "group": group, "extra_groups": [], "cwd": self.folder}
        with open(order["output"], "ab") as output:  # noqa: PTH123
            self.server = subprocess.Popen(
                order["argv"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_death_signal(self.signals[1] if self.signals else 9),
                **other,
            )
        return {"pid": self.server.pid}

    def do_stop(self, order):
        """Ask the server to end, and kill it if it does not."""
        if self.server is None:
            return {"code": None}
        if self.server.poll() is None:
            if self.signals:
                self.server.send_signal(self.signals[0])
            else:
                self.server.terminate()
            try:
                self.server.wait(order.get("grace", 10))
            except subprocess.TimeoutExpired:
                self.end()
        return {"code": self.server.wait()}

    def do_quit(self, _):
        """End; the clean-up follows."""
        raise SystemExit

    def do_poll(self, _):
        """Tell whether the server runs."""
        return {"code": self.server.poll() if self.server else None}

    def answer(self, line):
        """One command in, one reply out; an error is a reply too, never the end."""
        order = json.loads(line)
        try:
            reply = getattr(self, "do_" + order["do"])(order)
        except OSError as error:
            reply = {"error": error.strerror or str(error), "path": str(error.filename or "")}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}", "path": ""}
        os.write(1, json.dumps({"n": order["n"], **reply}).encode() + b"\n")

    def parent_is_alive(self):
        """Whether the process that this keeper serves is still there."""
        return os.name != "posix" or os.getppid() == self.parent

    def lines(self):
        """Commands as they come, until stdin ends or the parent is gone.

        The parent's id is looked at as well, because a process that the kernel forked may still
        hold the other end of stdin open.
        """
        waiting = b""
        while self.parent_is_alive():
            # select() does not take pipes on Windows; there the blocking read ends with the parent.
            if os.name == "posix" and not select.select([0], [], [], _POLL_SECONDS)[0]:
                continue
            chunk = os.read(0, 65536)
            if not chunk:
                return
            *complete, waiting = (waiting + chunk).split(b"\n")
            yield from complete

    def end(self):
        """Make the server end at once."""
        if self.signals:
            self.server.send_signal(self.signals[1])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(_END_SECONDS)
        self.server.kill()
        self.server.wait()

    def close(self):
        """The server is killed, not asked: its data goes with it."""
        if self.server is not None and self.server.poll() is None:
            self.end()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def main():
    """Serve one notebook until it is gone."""
    keeper = Keeper(int(sys.argv[1]))

    def leave(*_):
        raise SystemExit

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    try:
        for line in keeper.lines():
            keeper.answer(line)
    except OSError:
        pass  # the other end of a pipe is gone: the same as the end of stdin
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
