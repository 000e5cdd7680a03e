"""A PostgreSQL lab in trouble: its server killed, its disk full, its port taken, itself closed."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import postgres_labs
import psutil
import psycopg
import pytest
from kernels import folder_for_servers
from postgres_labs import CONF, HBA, ask, doors, make, refusal
from trouble import interrupt_the_next_start, kill

from leftopen import loopback
from leftopen.engines.postgres_server import PostgresServer
from leftopen.errors import EngineFailed

pytestmark = [
    pytest.mark.needs("postgres"),
    pytest.mark.skipif(os.name != "posix", reason="signals to servers are POSIX"),
]
shared, lab = postgres_labs.shared, postgres_labs.lab


def test_a_killed_server_is_said_and_brought_back_with_its_data(lab):
    kill(lab)
    assert "lab.restart()" in repr(lab)
    port = lab.inside.port
    lab.restart()
    assert lab.inside.port == port
    assert ask(doors(lab)) == 50


@pytest.mark.parametrize(
    ("text", "file"), [("work_mem = 2MB", "postgresql.conf"), (HBA + "\n# more", "pg_hba.conf")]
)
def test_configure_brings_back_a_server_that_was_killed(lab, text, file):
    kill(lab)
    lab.configure(text, file=file)
    assert ask(doors(lab)) == 50


def test_an_interrupt_while_it_restarts_leaves_a_server_that_runs(lab, monkeypatch):
    interrupt_the_next_start(monkeypatch, lab)
    with pytest.raises(KeyboardInterrupt):
        lab.configure("listen_addresses = localhost")
    assert ask(doors(lab)) == 50
    assert lab.is_as_found


def test_an_interrupt_while_it_reads_pg_hba_leaves_the_earlier_one(lab, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lab._server, "_reload", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lab.configure("host all all all reject", file="pg_hba.conf")
    assert lab.is_as_found
    lab.restart()
    assert ask(doors(lab)) == 50


def test_an_operator_that_was_shut_out_is_one_sentence():
    lab = make()
    try:
        with psycopg.connect(lab.inside.uri, autocommit=True) as operator:
            operator.execute("ALTER ROLE postgres NOLOGIN")
        with pytest.raises(EngineFailed, match="does not let the operator in") as caught:
            lab.configure("host all all all trust", file="pg_hba.conf")
        assert "not permitted to log in" in str(caught.value)
        assert "lab = open_case('test') opens a new one" in str(caught.value)
        lab.configure("work_mem = 2MB")  # the server itself goes on
    finally:
        lab.close()


def test_an_interrupt_while_loading_leaves_nothing():
    seen = []

    def interrupted(connect):
        with connect("postgres") as operator:
            seen.append(operator.execute("SHOW data_directory").fetchone()[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(load=interrupted)
    assert not Path(seen[0]).parent.exists()


def test_close_leaves_nothing_and_says_so():
    lab = make()
    folder, uri = lab.log.parent, lab.outside.uri
    client = psycopg.connect(lab.inside.uri)
    lab.close()
    lab.close()
    client.close()
    assert not folder.exists()
    assert not lab.is_running
    assert "refused" in refusal(uri)
    for file in ("postgresql.conf", "pg_hba.conf"):
        with pytest.raises(EngineFailed, match="lab = open_case"):
            lab.configure(HBA, file=file)
    with pytest.raises(EngineFailed, match="lab = open_case"):
        lab.restart()
    assert "not running" in repr(lab)


@pytest.fixture
def small_disk():
    """A folder on a disk of its own; everybody can enter it, for root's servers are nobody's."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small disk is made with tmpfs, which only root on Linux can mount")
    with folder_for_servers("disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=0711", "none", folder]
        subprocess.run(mount, check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)


FULL_DISK = f"""
from leftopen.errors import EngineFailed
from leftopen.lab_postgres import PostgresLab

def load(connect):
    with connect("postgres") as operator:
        operator.execute("CREATE TABLE t (block text)")
        for _ in range(200):
            operator.execute(
                "INSERT INTO t SELECT string_agg(gen_random_uuid()::text, '') "
                "FROM generate_series(1, 20000)"
            )

try:
    PostgresLab("test", {CONF!r}, {HBA!r}, load)
except EngineFailed as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("taken_mb", "said"),
    [
        (0, "no space is left on the disk. Free some"),  # by the records
        (40, "No space left on device. Free some disk space"),  # by the copy of the template
    ],
)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(small_disk, taken_mb, said):
    (small_disk / "taken").write_bytes(b"x" * taken_mb * 2**20)
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK],
        env={**os.environ, "TMPDIR": str(small_disk)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.count("\n") == 1
    assert said in ran.stdout
    assert [path.name for path in small_disk.iterdir()] == ["taken"]


def fill(path):
    """Write until the disk takes no more."""
    with contextlib.suppress(OSError), path.open("wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()


def test_a_full_disk_while_configuring_is_one_sentence(small_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    lab = make()
    try:
        filler = small_disk / "filler"
        fill(filler)
        with pytest.raises(EngineFailed, match=r"No space left on device.* Free some disk space"):
            lab.configure(f"# {'x' * 100_000}")
        with pytest.raises(EngineFailed, match=r"No space left on device.* Free some disk space"):
            lab.configure(f"# {'x' * 100_000}", file="pg_hba.conf")
        filler.unlink()
        lab.restart()
        assert ask(doors(lab)) == 50
    finally:
        lab.close()


@contextlib.contextmanager
def port_lost_at_the_next_stop(lab, monkeypatch):
    """Another program takes the server's port in the moment in which it is free."""
    stop, taken = lab._server.stop, []

    def stop_and_lose_the_port():
        port = lab._server.port
        stop()
        if not taken:
            taken.append(loopback.reserve(port))
            loopback.listen_on(taken[0])

    monkeypatch.setattr(lab._server, "stop", stop_and_lose_the_port)
    yield
    with taken[0]:
        assert lab.inside.port != taken[0].getsockname()[1]


def test_a_port_that_is_taken_while_it_restarts_is_left_to_its_owner(lab, monkeypatch):
    with port_lost_at_the_next_stop(lab, monkeypatch):
        lab.configure("work_mem = 2MB")
        assert ask(doors(lab)) == 50
        assert ask(doors(lab, "inside")) == 50


SERVICE = """
import os, fastapi, psycopg
app = fastapi.FastAPI()

@app.get("/")
def count():
    with psycopg.connect(os.environ["DATABASE_URL"], dbname="doors_1") as connection:
        return connection.execute("SELECT count(*) FROM passages").fetchone()[0]
"""


def test_the_service_finds_the_database_again_and_goes_with_it(monkeypatch):
    lab = make(backend={"main.py": SERVICE})
    try:
        service, uri = lab.backend.server_pid, lab.backend.outside.uri
        assert httpx.get(uri).json() == 50
        assert lab.backend.uri in repr(lab)
        assert uri in repr(lab)
        lab.restart()
        assert httpx.get(uri).json() == 50
        assert lab.backend.server_pid == service  # the same port, so it need not be told
        with port_lost_at_the_next_stop(lab, monkeypatch):
            lab.configure("work_mem = 2MB")
            assert httpx.get(uri).json() == 50
        lab.configure("host all all all reject", file="pg_hba.conf")
        assert httpx.get(uri).status_code == 500
        service, folder = lab.backend.server_pid, lab.backend.folder
    finally:
        lab.close()
    assert not psutil.pid_exists(service)
    assert not folder.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(uri)


def test_a_service_that_does_not_start_leaves_no_database_behind(monkeypatch):
    servers, start = [], PostgresServer.start
    monkeypatch.setattr(PostgresServer, "start", lambda s, f: (servers.append(s), start(s, f)))
    with pytest.raises(EngineFailed, match="The service did not start"):
        make(backend={"main.py": "import nothing_of_this_name"})
    assert not servers[0].folder.exists()
