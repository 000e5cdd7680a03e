"""Every test of the project, in one run, where it can with loopback as the only network.

Usage: ``python tests/run_suite.py [options of pytest]``
"""

import ctypes
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "LEFTOPEN_NAMESPACE"
LIMIT_SECONDS = 60 * 60
# On two cores: each worker waits for servers and time limits a good part of its time.
WORKERS = 4
_IN_MEMORY = Path("/dev/shm")
_LEAST_MEMORY = 8 * 2**30
_CLONE_NEWNET = 0x40000000  # unshare(2)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # netdevice(7)


def leave_network() -> str:
    """Move this process into a network namespace that has loopback alone; needs root on Linux.

    Returns:
        Nothing where that worked, else why not.
    """
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "that needs root"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        return os.strerror(ctypes.get_errno())
    _bring_up("lo")
    return ""


def _bring_up(interface: str) -> None:
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        ask = struct.pack("16sh14x", interface.encode(), 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, ask))[1]
        fcntl.ioctl(
            sock, _SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | _IFF_UP)
        )


@contextmanager
def temporary_folder(memory: Path = _IN_MEMORY) -> Iterator[str]:
    """A folder for the servers of the suite: in memory where there is room, since it spares time.

    Args:
        memory: a file system that is in memory, if this machine has it.

    Yields:
        Its path; nothing where the machine's own folder for temporary files is the better one.
    """
    try:
        found = os.statvfs(memory)
        fits = found.f_bavail * found.f_frsize >= _LEAST_MEMORY and _available() >= _LEAST_MEMORY
        programs_run = not found.f_flag & os.ST_NOEXEC
    except (OSError, AttributeError):
        fits = programs_run = False
    if not (fits and programs_run):
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="leftopen-suite-", dir=memory) as folder:
        Path(folder).chmod(0o711)  # servers that refuse root run under another account
        yield folder


def _available() -> int:
    """The memory that programs can have now, in bytes."""
    import psutil

    return psutil.virtual_memory().available


def pytest_command(extra: list[str]) -> list[str]:
    """The one call of pytest: the tests; lessons, exercises and solutions cell by cell."""
    folders = ["tests"]
    notebooks = ("notebooks", "exercises", "solutions")
    folders += [folder for folder in notebooks if any((ROOT / folder).glob("*.ipynb"))]
    command = [sys.executable, "-m", "pytest", *folders, "-n", str(WORKERS)]
    # In the order of conftest.py: the longest files first, each on one worker.
    command += ["--dist", "loadscope", "--no-loadscope-reorder"]
    command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
    sanitize = ROOT / "tests" / "nbval_sanitize.cfg"
    if sanitize.exists():
        command += ["--nbval-sanitize-with", str(sanitize)]
    return command + extra


def main(extra: list[str]) -> int:
    """Run the suite and return pytest's exit code."""
    begun = time.monotonic()
    why_not = leave_network()
    environment = dict(os.environ)
    if why_not:
        print(f"The suite runs with this machine's network, not with loopback alone: {why_not}.")
    else:
        environment[NAMESPACE] = "1"
        print("The suite runs in a network namespace that has loopback alone.")
    sys.stdout.flush()
    with temporary_folder() as folder:
        if folder:
            environment["TMPDIR"] = folder
        code = _run(extra, environment)
    print(f"The suite took {time.monotonic() - begun:.0f} s.")
    return code


def _run(extra: list[str], environment: dict[str, str]) -> int:
    suite = subprocess.Popen(pytest_command(extra), cwd=ROOT, env=environment)
    try:
        return suite.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        suite.terminate()
        try:
            suite.wait(30)
        except subprocess.TimeoutExpired:
            suite.kill()
        print(f"The suite was stopped after {LIMIT_SECONDS // 60} minutes.")
        return 1
    except KeyboardInterrupt:
        return suite.wait() or 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
