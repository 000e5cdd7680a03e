"""A search cluster dies with its notebook, and two notebooks have one each."""

import os
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from kernels import Notebook, folder_for_servers, is_clean, users_of
from waiting import wait_for

pytestmark = [
    pytest.mark.needs("opensearch"),
    pytest.mark.skipif(os.name != "posix", reason="signals to kernels are POSIX"),
]
SMALL = "from leftopen.cases import smart_city\nlab = smart_city.small_lab(1, people=10, days=2)\n"
TELL = "print(lab.server_pid, lab.outside.is_open)"
COUNT = (
    "from opensearchpy import OpenSearch\n"
    "print(OpenSearch(lab.outside.uri).count(index='residents')['count'])"
)


@pytest.fixture
def folder():
    with folder_for_servers("searches-") as folder:
        yield folder


@pytest.fixture
def notebook(folder):
    notebook = Notebook(folder)
    yield notebook
    notebook.end()


def java_runs(folder):
    return any("java" in process.name() for process in users_of(folder))


def test_killed_while_idle(notebook, folder):
    pid, is_open = notebook.run(SMALL + TELL).split()
    assert is_open == "True"
    assert java_runs(folder)
    notebook.kill()
    assert wait_for(lambda: is_clean(folder))
    assert not psutil.pid_exists(int(pid))


def test_killed_while_the_cluster_starts(notebook, folder):
    notebook.begin(SMALL)
    assert wait_for(lambda: java_runs(folder))
    notebook.kill()
    assert wait_for(lambda: is_clean(folder))


def test_killed_while_it_indexes(notebook, folder):
    slow = (
        "from leftopen.cases import smart_city\n"
        "def prepare(client):\n"
        f"    open('{folder}/indexing', 'w').close()\n"
        "    for number in range(100_000):\n"
        "        client.index(index='more', body={'number': number})\n"
        "smart_city.small_lab(1, prepare=prepare, people=10, days=2)"
    )
    notebook.begin(slow)
    assert wait_for((folder / "indexing").exists)
    notebook.kill()
    assert wait_for(lambda: is_clean(folder))


def test_an_interrupt_while_it_starts_leaves_nothing_and_the_next_try_works(notebook, folder):
    sent = notebook.begin(SMALL)
    assert wait_for(lambda: java_runs(folder))
    assert notebook.interrupt(sent) == "KeyboardInterrupt"
    assert wait_for(lambda: is_clean(folder))
    assert notebook.run(SMALL + TELL).split()[1] == "True"


def test_two_notebooks_have_a_cluster_each(folder):
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(Notebook, [folder, folder])
    try:
        sent = [one.begin(SMALL), two.begin(SMALL)]
        assert [one.result(sent[0]), two.result(sent[1])] == ["", ""]
        gone = "from opensearchpy import OpenSearch\nOpenSearch(lab.outside.uri).indices.delete("
        one.run(f"{gone}index='residents')")
        assert one.run(COUNT) == "NotFoundError"
        assert two.run(COUNT) == "10\n"
        one.kill()
        assert wait_for(lambda: len(list(folder.glob("leftopen-*"))) == 1)
        assert two.run(COUNT) == "10\n"
    finally:
        one.end()
        two.end()
