"""The keeper: one folder and one process, both gone when their owner is gone."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from leftopen.engines import keeper, process
from leftopen.engines.process import ServerProcess
from leftopen.errors import EngineFailed

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True);"
    "time.sleep(60)",
]


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def kept():
    server = ServerProcess()
    yield server
    server.close()


def test_it_starts_stops_and_starts_again(kept):
    assert not kept.is_running()
    kept.start(SLEEP, kept.folder / "out")
    first = kept.pid
    assert kept.is_running()
    assert psutil.pid_exists(first)
    assert kept.stop() == -signal.SIGTERM
    assert not kept.is_running()
    assert not psutil.pid_exists(first)
    kept.start(SLEEP, kept.folder / "out")
    assert kept.is_running()
    assert kept.pid != first


def test_the_folder_is_private_and_goes_with_close(kept):
    folder = kept.folder
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("x")
    kept.start(SLEEP, folder / "out")
    pid = kept.pid
    kept.close()
    kept.close()
    assert not folder.exists()
    assert not psutil.pid_exists(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be kept")
def test_ports_are_kept_until_others_are_wanted_or_it_is_closed(kept):
    def is_kept(port):
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", port))
            except OSError:
                return True
            return False

    first = kept.new_ports(2)
    assert len(set(first)) == 2
    assert all(map(is_kept, first))
    (second,) = kept.new_ports(1)
    assert not any(map(is_kept, set(first) - {second}))
    assert is_kept(second)
    kept.close()
    assert not is_kept(second)


def test_a_server_that_will_not_end_is_killed(kept):
    out = kept.folder / "out"
    kept.start(DEAF, out)
    assert wait_for(lambda: out.read_text() == "deaf\n")
    assert kept.stop(grace=0.1) == -signal.SIGKILL


def test_a_program_that_is_not_there_is_one_sentence(kept):
    with pytest.raises(EngineFailed, match="No such file or directory") as caught:
        kept.start(["/nowhere/mongod"], kept.folder / "out")
    assert "/nowhere/mongod" in str(caught.value)
    kept.start(SLEEP, kept.folder / "out")  # the keeper itself goes on
    assert kept.is_running()


def test_a_folder_that_cannot_be_made_names_the_next_step(monkeypatch, tmp_path):
    nowhere = tmp_path / "nowhere"
    orders = []

    def ask_elsewhere(self, **order):
        orders.append(order)
        return ask(self, **order)

    ask = ServerProcess._ask
    monkeypatch.setattr(ServerProcess, "_ask", ask_elsewhere)
    monkeypatch.setattr(process.tempfile, "gettempdir", lambda: str(nowhere))
    with pytest.raises(EngineFailed, match="No such file or directory") as caught:
        ServerProcess()
    assert orders == [{"do": "folder", "where": str(nowhere)}]
    assert "set TMPDIR to a folder that you can write to" in str(caught.value)


def test_no_temporary_folder_at_all_is_one_sentence(monkeypatch):
    def none():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(process.tempfile, "gettempdir", none)
    with pytest.raises(EngineFailed, match="Set TMPDIR"):
        ServerProcess()


def test_an_interrupted_call_does_not_confuse_the_next(kept):
    kept.start(SLEEP, kept.folder / "out")
    kept._send({"do": "stop", "grace": 1})  # as if KeyboardInterrupt came before the reply
    assert kept.exit_code() == -signal.SIGTERM


def test_a_dead_keeper_is_one_sentence_and_takes_the_server_along(kept):
    kept.start(SLEEP, kept.folder / "out")
    pid = kept.pid
    os.kill(kept._keeper.pid, signal.SIGKILL)
    if sys.platform == "linux":
        assert wait_for(lambda: not psutil.pid_exists(pid))
    with pytest.raises(EngineFailed, match="Open the case again"):
        kept.stop()
    assert not kept.is_running()


@pytest.mark.skipif(os.name != "posix", reason="the lock on the folder is flock(2), POSIX alone")
def test_what_a_killed_keeper_leaves_is_swept_later_and_nothing_else_is(tmp_path, monkeypatch):
    # A folder of its own: another test's keeper may be about to lock what this one sweeps.
    monkeypatch.setattr(process.tempfile, "tempdir", str(tmp_path))
    dead, kept = ServerProcess(), ServerProcess()
    left = dead.folder
    os.kill(dead._keeper.pid, signal.SIGKILL)
    dead.close()
    assert left.exists()
    assert left not in process.leftovers()  # too young: it could be about to be locked
    monkeypatch.setattr(process, "_SWEEP_AGE_SECONDS", -1.0)
    assert left in process.leftovers()
    assert kept.folder not in process.leftovers()
    assert process.sweep() == [left]
    assert not left.exists()
    assert kept.folder.exists()
    kept.close()


def test_a_forked_child_that_holds_the_pipe_does_not_keep_the_server(tmp_path):
    """The kernel forks (multiprocessing), is killed, and its child lives on with the pipe."""
    code = f"""
import os, time
from leftopen.engines.process import ServerProcess
s = ServerProcess()
s.start({SLEEP!r}, s.folder / "out")
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(s.pid, child, s.folder, flush=True)
time.sleep(60)
"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    server, child, folder = owner.stdout.readline().split()
    owner.kill()
    owner.wait()
    try:
        assert psutil.pid_exists(int(child))
        assert wait_for(lambda: not psutil.pid_exists(int(server)))
        assert wait_for(lambda: not Path(folder).exists())
    finally:
        os.kill(int(child), signal.SIGKILL)
        owner.stdout.close()


def test_a_server_started_in_a_thread_outlives_the_thread(kept):
    import threading

    thread = threading.Thread(target=kept.start, args=(SLEEP, kept.folder / "out"))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert kept.is_running()


def test_the_keeper_runs_without_our_package():
    """It is started with -I -S, so it may import the standard library alone."""
    code = f"import runpy, sys; runpy.run_path({keeper.__file__!r}); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert "leftopen" not in ran.stdout
