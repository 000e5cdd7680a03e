"""A PostgreSQL lab dies with its notebook: real kernels, killed and interrupted."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from kernels import Notebook, folder_for_servers, is_clean, users_of
from waiting import wait_for

from leftopen.engines import opensearch_home, postgres

pytestmark = [
    pytest.mark.needs("postgres"),
    pytest.mark.skipif(os.name != "posix", reason="signals to kernels are POSIX"),
]
OPEN = "from postgres_labs import *\nlab = make()\n"
TELL = "print(lab.server_pid, lab.outside.is_open)"
COUNT = "print(ask(doors(lab)))"


@pytest.fixture
def folder():
    with folder_for_servers("sql-") as folder:
        yield folder


def begin(folder, **more):
    """A notebook that finds the tests' own modules."""
    return Notebook(folder, PYTHONPATH=str(Path(__file__).parent), **more)


@pytest.fixture
def notebook(folder):
    notebook = begin(folder)
    yield notebook
    notebook.end()


def family(pid):
    """A server and its processes, whose names do not tell the folder."""
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def has_gone(processes):
    return not psutil.wait_procs(processes, timeout=0)[1]


def test_killed_while_idle(notebook, folder):
    pid, is_open = notebook.run(OPEN + TELL).split()
    assert is_open == "True"
    processes = family(int(pid))
    assert len(processes) > 3
    notebook.kill()
    assert wait_for(lambda: is_clean(folder))
    assert wait_for(lambda: has_gone(processes))


def test_killed_with_its_keeper_the_server_ends_too(notebook, folder):
    processes = family(int(notebook.run(OPEN + TELL).split()[0]))
    keeper = processes[0].parent()
    assert "keeper.py" in " ".join(keeper.cmdline())
    notebook.kill()
    keeper.kill()
    assert wait_for(lambda: has_gone(processes))


def test_killed_the_service_beside_it_ends_too(notebook, folder):
    case = "from leftopen import open_case\nlab = open_case('tongren')\n"
    told = notebook.run(f"{case}print(lab.server_pid, lab.backend.server_pid)").split()
    processes = [process for pid in told for process in family(int(pid))]
    assert len(list(folder.glob("leftopen-*"))) == 2
    notebook.kill()
    assert wait_for(lambda: is_clean(folder))
    assert wait_for(lambda: has_gone(processes))


def test_killed_while_it_loads(notebook, folder):
    slow = (
        "from postgres_labs import *\n"
        "def load(connect):\n"
        f"    open('{folder}/loading', 'w').close()\n"
        "    with connect('postgres') as operator:\n"
        "        operator.execute('CREATE TABLE t AS SELECT generate_series(1, 100000000)')\n"
        "make(load=load)"
    )
    notebook.begin(slow)
    assert wait_for((folder / "loading").exists)
    notebook.kill()
    assert wait_for(lambda: is_clean(folder))


def test_killed_while_initdb_makes_the_template(folder):
    cache = folder / "cache"
    notebook = begin(folder, **{opensearch_home.CACHE: str(cache)})
    try:
        notebook.begin(OPEN)
        assert wait_for(lambda: any("initdb" in p.name() for p in users_of(folder)))
        notebook.kill()
        assert wait_for(lambda: is_clean(folder))
        assert not list(folder.glob("cache/*"))
    finally:
        notebook.end()


@pytest.fixture
def slow_programs(folder):
    """Variables for a PostgreSQL that takes its time before it starts, and makes a file before."""
    programs, told = folder / "slow" / "bin", folder / "told"
    programs.mkdir(parents=True)
    told.mkdir()
    told.chmod(0o777)
    (folder / "slow" / "lib").mkdir()
    (folder / "slow" / "lib" / "pgcrypto.so").touch()
    for name in ("initdb", "postgres"):
        path = programs / name
        path.write_text(
            f'#!/bin/sh\ncase "$*" in *port=*) touch {told}/begun; sleep 5;; esac\n'
            f'exec "{postgres.find() / name}" "$@"\n'
        )
        path.chmod(0o755)
    return {postgres.VARIABLE: str(programs), opensearch_home.CACHE: str(folder / "cache")}


def test_an_interrupt_while_it_starts_leaves_nothing_and_the_next_try_works(folder, slow_programs):
    notebook = begin(folder, **slow_programs)
    try:
        sent = notebook.begin(OPEN)
        assert wait_for((folder / "told" / "begun").exists)
        assert notebook.interrupt(sent) == "KeyboardInterrupt"
        assert wait_for(lambda: not list(folder.glob("leftopen-*")))
        assert notebook.run(OPEN + TELL).split()[1] == "True"
    finally:
        notebook.end()


def test_killed_while_it_starts(folder, slow_programs):
    notebook = begin(folder, **slow_programs)
    try:
        notebook.begin(OPEN)
        assert wait_for((folder / "told" / "begun").exists)
        notebook.kill()
        assert wait_for(lambda: is_clean(folder))
    finally:
        notebook.end()


def test_an_interrupt_leaves_an_open_lab_alone(notebook):
    pid = notebook.run(OPEN + TELL).split()[0]
    notebook.interrupt_a_sleep()
    assert notebook.run(TELL).split() == [pid, "True"]
    assert notebook.run(COUNT) == "50\n"


def test_two_notebooks_have_a_server_each_also_at_the_first_time(folder):
    cache = {opensearch_home.CACHE: str(folder / "cache")}  # both make the template
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: begin(folder, **cache), range(2))
    try:
        sent = [one.begin(OPEN), two.begin(OPEN)]
        assert [one.result(sent[0]), two.result(sent[1])] == ["", ""]
        one.run("psycopg.connect(doors(lab), autocommit=True).execute('DELETE FROM passages')")
        assert one.run(COUNT) == "0\n"
        assert two.run(COUNT) == "50\n"
        one.kill()
        assert wait_for(lambda: len(list(folder.glob("leftopen-*"))) == 1)
        assert two.run(COUNT) == "50\n"
        assert len(list(folder.glob("cache/*"))) == 1
    finally:
        one.end()
        two.end()


AS_A_LEARNER = (
    OPEN
    + """
import os, psutil
lab.configure(TLS)
lab.configure("hostssl all all all scram-sha-256", file="pg_hba.conf")
server = psutil.Process(lab.server_pid).uids().real
print(os.geteuid() != 0, server == os.geteuid(), ask(auditor(lab)), ask(lab.inside.uri, "SELECT 1"))
lab.close()
"""
)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="as another account than root's; elsewhere the other tests are that already",
)
def test_a_learner_who_is_not_root_has_the_same(folder):
    folder.chmod(0o777)
    own = {"HOME": str(folder), "TMPDIR": str(folder), opensearch_home.CACHE: str(folder / "cache")}
    # It may read what root reads, for this Python may lie in root's home.
    reading = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    account = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    ran = subprocess.run(
        ["setpriv", *account, *reading, sys.executable, "-B", "-c", AS_A_LEARNER],
        env={**os.environ, **own, "PYTHONPATH": str(Path(__file__).parent)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.stdout == "True True 50 1\n", ran.stderr[-2000:]
    assert [path.name for path in folder.iterdir()] == ["cache"]
