"""A lab dies with its notebook: real Jupyter kernels, killed, interrupted, restarted."""

import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from jupyter_client import KernelManager
from kernels import Notebook, is_clean
from waiting import WAIT, wait_for, written

from leftopen.engines import mongodb

pytestmark = [
    pytest.mark.needs("mongodb"),
    pytest.mark.skipif(os.name != "posix", reason="signals to kernels are POSIX"),
]
OPEN = "from leftopen import open_case\nlab = open_case('sensenets')\n"
TELL = "print(lab.server_pid, lab.outside.is_open)"


@pytest.fixture
def folder(tmp_path):
    # A short path: the folder of a kernel's sockets must stay short too.
    folder = tmp_path / "t"
    folder.mkdir()
    return folder


@pytest.fixture
def notebook(folder):
    notebook = Notebook(folder)
    yield notebook
    notebook.end()


def kill_one(number, base, delay):
    folder = base / str(number)
    folder.mkdir()
    notebook = Notebook(folder)
    try:
        if delay is None:
            pid, is_open = notebook.run(OPEN + TELL).split()
            assert psutil.pid_exists(int(pid))
            assert is_open == "True"
            assert list(folder.glob("leftopen-*"))
        else:
            notebook.begin(OPEN)
            time.sleep(delay)
        notebook.kill()
        return wait_for(lambda: is_clean(folder))
    finally:
        notebook.end()


def test_twenty_kernels_killed_leave_nothing(tmp_path):
    """Half with an open lab, half at some moment of importing, starting or loading."""
    draw = random.Random(20)
    delays = [None if n % 2 else draw.uniform(0, 2) for n in range(20)]
    with ThreadPoolExecutor(3) as pool:
        clean = list(pool.map(lambda n: kill_one(n, tmp_path, delays[n]), range(20)))
    assert clean == [True] * 20


def test_the_test_above_can_fail(folder):
    """A process that outlives its kernel is found by the same search."""
    left = folder / "leftopen-planted"
    left.mkdir()
    code = "import sys, time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code, str(left)])
    try:
        assert not is_clean(folder)
        left.rmdir()
        assert not is_clean(folder)
    finally:
        child.kill()
        child.wait()
    assert is_clean(folder)


def test_interrupt_leaves_an_open_lab_alone(notebook):
    pid = notebook.run(OPEN + TELL).split()[0]
    notebook.interrupt_a_sleep()
    assert notebook.run(TELL).split() == [pid, "True"]


def slow_mongod(folder):
    """A mongod that takes its time before it starts."""
    path = folder / "slow_mongod"
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *dbPath*|*mongod.conf*) touch {folder}/begun; sleep 5;; esac\n'
        f'exec "{mongodb.find()}" "$@"\n'
    )
    path.chmod(0o700)
    return path


def test_interrupt_while_starting_leaves_nothing_and_the_next_try_works(folder):
    notebook = Notebook(folder, LEFTOPEN_MONGOD=str(slow_mongod(folder)))
    try:
        sent = notebook.begin(OPEN)
        assert wait_for((folder / "begun").exists)
        assert notebook.interrupt(sent) == "KeyboardInterrupt"
        assert wait_for(lambda: is_clean(folder))
        assert notebook.run(OPEN + TELL).split()[1] == "True"
    finally:
        notebook.end()


def test_interrupt_while_loading_leaves_nothing(notebook, folder):
    slow = (
        "import time\nfrom leftopen.lab_mongodb import MongoLab\n"
        f"def load(client):\n    open('{folder}/loading', 'w').close()\n    time.sleep(60)\n"
        "MongoLab('test', 'net: {bindIp: 0.0.0.0}', load)"
    )
    sent = notebook.begin(slow)
    assert wait_for((folder / "loading").exists)
    assert not is_clean(folder)
    assert notebook.interrupt(sent) == "KeyboardInterrupt"
    assert wait_for(lambda: is_clean(folder))


def test_restart_leaves_nothing(notebook, folder):
    assert notebook.run(OPEN + TELL).split()[1] == "True"
    notebook.manager.restart_kernel(now=False)
    notebook.client.wait_for_ready(timeout=WAIT)
    assert wait_for(lambda: is_clean(folder))
    assert notebook.run(OPEN + TELL).split()[1] == "True"


def test_opening_again_closes_the_earlier_lab(notebook, folder):
    first = notebook.run(OPEN + TELL).split()[0]
    second = notebook.run(OPEN + TELL).split()[0]
    assert first != second
    assert not psutil.pid_exists(int(first))
    assert len(list(folder.glob("leftopen-*"))) == 1


def test_two_notebooks_at_once_do_not_meet(tmp_path):
    folder = tmp_path / "both"
    folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(Notebook, [folder, folder])
    try:
        sent = [one.begin(OPEN), two.begin(OPEN)]
        assert [one.result(sent[0]), two.result(sent[1])] == ["", ""]
        drop = (
            "from pymongo import MongoClient\n"
            "MongoClient(lab.outside.uri).drop_database('sensenets')"
        )
        count = (
            "from pymongo import MongoClient\n"
            "print(MongoClient(lab.outside.uri).sensenets.people.count_documents({}))"
        )
        one.run(drop)
        assert one.run(count) == "0\n"
        assert two.run(count) == "2000\n"
        one.kill()
        assert wait_for(lambda: len(list(folder.glob("leftopen-*"))) == 1)
        assert two.run(count) == "2000\n"
    finally:
        one.end()
        two.end()


def test_a_busy_machine_only_takes_longer(folder):
    load = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(3 * (os.cpu_count() or 1))
    ]
    try:
        notebook = Notebook(folder)
        try:
            assert notebook.run(OPEN + TELL).split()[1] == "True"
        finally:
            notebook.end()
    finally:
        for process in load:
            process.kill()
            process.wait()
    assert wait_for(lambda: is_clean(folder))


def test_jupyter_killed_takes_its_kernels_and_their_servers_along(folder, tmp_path):
    runtime = folder / "r"
    runtime.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder), "JUPYTER_RUNTIME_DIR": str(runtime)}
    server = subprocess.Popen(
        [sys.executable, "-m", "leftopen.cli", "lab", "--no-browser", "--ServerApp.port=0",
         "--IdentityProvider.token=t", "--ServerApp.disable_check_xsrf=True"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        told = written(runtime, "jpserver-*.json")
        ask = urllib.request.Request(
            f"{told['url']}api/kernels", data=b"{}", headers={"Authorization": "token t"}
        )
        assert told["url"].startswith("http://127.0.0.1:")
        assert wait_for(lambda: answers(told["url"]))
        with urllib.request.urlopen(ask, timeout=WAIT) as reply:
            kernel = json.load(reply)["id"]
        client = KernelManager(connection_file=str(runtime / f"kernel-{kernel}.json"))
        assert wait_for(Path(client.connection_file).exists)
        client.load_connection_file()
        channels = client.client()
        channels.start_channels()
        assert wait_for(lambda: is_ready(channels))
        reply = channels.execute_interactive(OPEN, timeout=WAIT, output_hook=lambda _: None)
        assert reply["content"]["status"] == "ok"
        assert not is_clean(folder)
        channels.stop_channels()
    finally:
        server.kill()
        server.wait()
    assert wait_for(lambda: is_clean(folder))


def is_ready(client):
    try:
        client.wait_for_ready(timeout=WAIT)
    except RuntimeError:  # the heartbeat of a kernel that is still starting has not begun
        return False
    return True


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}api?token=t", timeout=WAIT) as reply:
            return reply.status == 200
    except OSError:
        return False
