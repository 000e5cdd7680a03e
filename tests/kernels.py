"""Real Jupyter kernels for the tests of life and death, and what is looked for after their end."""

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
from jupyter_client import KernelManager
from waiting import WAIT, until


def users_of(folder):
    """The processes whose command line or working files name this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        dead = process.info["status"] == psutil.STATUS_ZOMBIE
        if not dead and any(str(folder) in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found


def is_clean(folder):
    return not users_of(folder) and not list(folder.glob("leftopen-*"))


class Notebook:
    """A kernel whose labs live in a folder of their own, so that nothing can hide."""

    def __init__(self, folder, **environment):
        self.folder = folder
        # Spoken to over files: five TCP ports, free when they are chosen, another program may take
        # before the kernel listens on them, and then it ends.
        self.sockets = tempfile.TemporaryDirectory(prefix="k-")
        file = str(Path(self.sockets.name) / "k.json")
        ways = {"transport": "ipc", "ip": file.removesuffix(".json"), "connection_file": file}
        self.manager = KernelManager(kernel_name="python3", **ways)
        self.manager.start_kernel(
            env={**os.environ, "TMPDIR": str(folder), **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=WAIT)

    def run(self, code):
        """Run a cell; return what it printed, or the name of its exception."""
        printed = []

        def keep(message):
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])

        # For a moment after an error the kernel puts off what it is asked next.
        status = "aborted"
        while status == "aborted":
            reply = self.client.execute_interactive(code, timeout=WAIT, output_hook=keep)
            status = reply["content"]["status"]
        return "".join(printed) or reply["content"].get("ename", "")

    def begin(self, code):
        """Send a cell and do not wait for it."""
        return self.client.execute(code)

    def result(self, sent):
        """The exception of a cell that was begun, or nothing."""
        while True:
            reply = self.client.get_shell_msg(timeout=WAIT)
            if reply["parent_header"]["msg_id"] == sent:
                return reply["content"].get("ename", "")

    def kill(self):
        """End the kernel with SIGKILL."""
        os.kill(self.manager.provisioner.pid, signal.SIGKILL)

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.sockets.cleanup()

    def interrupt(self, sent):
        """Interrupt a cell that was begun; return the name of its exception."""
        self.manager.interrupt_kernel()
        return self.result(sent)

    def interrupt_a_sleep(self):
        """Interrupt a cell that does nothing, beside whatever runs."""
        asleep = Path(self.sockets.name) / "asleep"
        # Python sees a signal that comes just before a sleep only after it: hence short ones.
        sent = self.begin(
            f"import pathlib, time\npathlib.Path({str(asleep)!r}).touch()\n"
            "for _ in range(1_200):\n    time.sleep(0.05)"
        )
        until(asleep.exists)
        assert self.interrupt(sent) == "KeyboardInterrupt"


@contextlib.contextmanager
def folder_for_servers(prefix):
    """A folder that root's servers can enter, for they run as another account.

    pytest's own folders are closed to that.
    """
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
