"""The service in front of a database starts, stops, and leaves nothing, whatever happens."""

import os
import subprocess
import sys
import tempfile
import threading
from unittest.mock import Mock

import httpx
import psutil
import pytest
import services
from kernels import Notebook, is_clean, users_of
from services import FILES, MAIN, PARTS, word
from waiting import WAIT, until, wait_for

from leftopen import loopback
from leftopen.engines import backend as backend_module
from leftopen.engines.backend import Backend
from leftopen.errors import EngineFailed, EngineMissing

kept, service = services.kept, services.service


# -- the stream -----------------------------------------------------------------------------------


def test_a_stream_ends_when_its_client_leaves(service):
    before = service.log.read_text().count("the stream has ended")
    with httpx.stream("GET", f"{service.outside.uri}/stream", timeout=WAIT) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: 0"
        assert service.log.read_text().count("the stream has ended") == before
    until(lambda: service.log.read_text().count("the stream has ended") == before + 1)


def test_a_stream_ends_with_the_service_which_ends_in_good_order(service):
    before = service.log.read_text().count("Finished server process")
    seen, ended = [], threading.Event()

    def listen():
        try:
            with httpx.stream("GET", f"{service.uri}/stream", timeout=WAIT) as answer:
                seen.extend(answer.iter_lines())
        except httpx.HTTPError:
            pass
        ended.set()

    listener = threading.Thread(target=listen)
    listener.start()
    until(lambda: "GET /stream" in service.log.read_text()[-300:])
    service.stop()
    assert ended.wait(WAIT)
    listener.join()
    assert service.log.read_text().count("Finished server process") == before + 1  # not killed
    service.restart()
    assert word(service) == "one"


# -- life -----------------------------------------------------------------------------------------


def test_stopped_it_answers_on_neither_side_until_it_is_started_again(service):
    service.stop()
    assert not service.is_running
    assert service.server_pid is None
    for uri in (service.uri, service.outside.uri):
        with pytest.raises(httpx.ConnectError):
            httpx.get(uri)
    service.restart()
    assert word(service) == "one"
    assert httpx.get(service.outside.uri).status_code == 200


def test_a_service_that_ended_by_itself_is_seen_and_comes_back(service):
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{service.uri}/end")
    until(lambda: not service.is_running)
    assert "not running" in repr(service)
    service.restart()
    assert word(service) == "one"


def test_another_program_on_its_port_sends_it_to_another(monkeypatch):
    with loopback.listen() as other:
        taken = other.getsockname()[1]
        offered, another = [Mock(number=taken)], loopback.KeptPort
        monkeypatch.setattr(loopback, "KeptPort", lambda: offered.pop() if offered else another())
        service = Backend(FILES, {})
        try:
            assert not service.uri.endswith(f":{taken}")
            assert httpx.get(service.outside.uri).json()["word"] == "one"
        finally:
            service.close()


def test_two_do_not_meet(service):
    other = Backend({**FILES, "parts.py": PARTS.replace("one", "two")}, {})
    try:
        assert (word(service), word(other)) == ("one", "two")
        service.stop()
        assert word(other) == "two"
    finally:
        other.close()
    service.restart()
    assert word(service) == "one"


@pytest.mark.parametrize("when", ["put_in_place", "keep"])
def test_an_interrupt_in_a_change_leaves_the_earlier_code_running(service, monkeypatch, when):
    def interrupted(*_):
        raise KeyboardInterrupt

    if when == "put_in_place":
        monkeypatch.setattr(service._code, when, interrupted)
    else:
        first = [interrupted, service._process.wait_until_accepting]
        monkeypatch.setattr(service._process, "wait_until_accepting", lambda *a: first.pop(0)(*a))
    with pytest.raises(KeyboardInterrupt):
        service.write("parts.py", PARTS.replace("one", "two"))
    monkeypatch.undo()
    assert word(service) == "one"
    assert service.read("parts.py") == PARTS


def test_without_uvicorn_one_sentence_says_how_to_bring_it(monkeypatch):
    monkeypatch.setattr(backend_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match="make setup"):
        Backend(FILES, {})


def test_a_service_that_cannot_begin_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(EngineFailed, match=r"did not start: main.py, line 1 \(`nope`\): NameError"):
        Backend({"main.py": "nope"}, {})
    assert list(tmp_path.iterdir()) == []


def test_close_leaves_nothing_and_says_so():
    service = Backend(FILES, {})
    folder, pid = service.folder, service.server_pid
    service.close()
    service.close()
    assert not folder.parent.exists()
    assert not psutil.pid_exists(pid)
    assert not service.outside.is_open
    for change in (service.restart, lambda: service.write("main.py", MAIN)):
        with pytest.raises(EngineFailed, match="Open the case again"):
            change()


@pytest.mark.skipif(os.name != "posix", reason="accounts are POSIX's")
def test_it_runs_under_the_notebooks_own_account(service):
    assert psutil.Process(service.server_pid).uids().real == os.getuid()


ALONE = f"""
import os, sys, tempfile
import httpx
from pathlib import Path
from leftopen.engines.backend import Backend
from leftopen.errors import EngineFailed

FILES = {FILES!r}
"""
ORDINARY = "s = Backend(FILES, {}); print(httpx.get(s.outside.uri).json()['word'], os.getuid())"
FULL = """
service = Backend(FILES, {})
try:
    with open(Path(tempfile.gettempdir()) / "filler", "wb") as filler:
        while True:
            filler.write(bytes(4096))
            filler.flush()
except OSError:
    pass
for change in (lambda: service.write("parts.py", "#" * 100_000), lambda: Backend(FILES, {})):
    try:
        change()
    except EngineFailed as error:
        print(error)
print(httpx.get(service.outside.uri).json()["word"])
service.restart()
print(httpx.get(service.outside.uri).json()["word"])
os.unlink(Path(tempfile.gettempdir()) / "filler")
"""


def run_alone(code, folder, *before):
    return subprocess.run(
        [*before, sys.executable, "-c", ALONE + code],
        env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


SLOW = f"""
from leftopen.engines.backend import Backend
FILES = {FILES!r}
SLOW = {{**FILES, "parts.py": "import time\\ntime.sleep(20)\\n" + FILES["parts.py"]}}
"""


@pytest.fixture
def notebook(tmp_path):
    folder = tmp_path / "t"  # a short path, for the kernel's sockets
    folder.mkdir()
    notebook = Notebook(folder)
    notebook.run(SLOW)
    yield notebook
    notebook.end()


def starts(notebook):
    return any("uvicorn" in process.cmdline() for process in users_of(notebook.folder))


posix = pytest.mark.skipif(os.name != "posix", reason="signals to kernels are POSIX")


@posix
def test_an_interrupt_while_it_starts_leaves_nothing_and_the_next_try_works(notebook):
    sent = notebook.begin("Backend(SLOW, {})")
    assert wait_for(lambda: starts(notebook))
    assert notebook.interrupt(sent) == "KeyboardInterrupt"
    assert wait_for(lambda: is_clean(notebook.folder))
    assert notebook.run("print(Backend(FILES, {}).is_running)") == "True\n"


@posix
def test_killed_while_it_starts_nothing_is_left(notebook):
    notebook.begin("Backend(SLOW, {})")
    assert wait_for(lambda: starts(notebook))
    notebook.kill()
    assert wait_for(lambda: is_clean(notebook.folder))


needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can set this up"
)


@needs_root
def test_an_ordinary_account_has_a_service_of_its_own(tmp_path):
    """In a user namespace (user_namespaces(7)) root is somebody else, and may read the course."""
    somebody = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*somebody, "true"], capture_output=True, timeout=60).returncode:
        pytest.skip("this machine allows no user namespaces")
    ran = run_alone(ORDINARY, tmp_path, *somebody)
    assert ran.stdout.split() == ["one", "1000"], ran.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_a_full_disk_is_one_sentence_and_the_service_runs_on(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", tmp_path], check=True)
    try:
        ran = run_alone(FULL, tmp_path)
        assert ran.returncode == 0, ran.stderr[-2000:]
        changed, opened, *words = ran.stdout.splitlines()
        assert "No space left on device" in changed
        assert "Free some disk space, or set TMPDIR" in changed
        assert "set TMPDIR" in opened
        assert words == ["one", "one"]
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
