"""PostgreSQL: found, tested, started, refused, restarted, against the real server."""

import os
import stat
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest
from kernels import folder_for_servers

from leftopen import loopback
from leftopen.engines import opensearch_home, postgres, postgres_server, postgres_template
from leftopen.engines.postgres_server import CONF, HBA, PostgresServer
from leftopen.errors import EngineFailed, EngineMissing

pytestmark = pytest.mark.needs("postgres")
posix = pytest.mark.skipif(os.name != "posix", reason="stands in with shell scripts")
OPEN = {CONF: "listen_addresses = '*'", HBA: "host all all all trust"}


@pytest.fixture
def server():
    running = PostgresServer()
    try:
        running.start(OPEN)
        yield running
    finally:
        running.close()


def ask(server, query):
    with server.connect("postgres") as connection:
        return connection.execute(query).fetchone()[0]


# -- finding it -------------------------------------------------------------------------------


def programs(folder, version="16.4", tls="OpenSSL", pgcrypto=True):
    """Programs that answer as a PostgreSQL of this kind does."""
    folder.mkdir(parents=True, exist_ok=True)
    says = f'case "$1" in --version) echo "postgres (PostgreSQL) {version}";; -C) echo {tls};; esac'
    for name in ("initdb", "postgres"):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{says}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    if pgcrypto:
        library = folder.parent / "lib" / "postgresql" / "pgcrypto.so"
        library.parent.mkdir(parents=True, exist_ok=True)
        library.touch()
    return folder


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with a PATH of its own, and no PostgreSQL of Debian's."""
    for name in (postgres.VARIABLE, "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path / "debian")
    return tmp_path


@posix
def test_the_order_of_search(bare, monkeypatch):
    with pytest.raises(EngineMissing, match=r"not installed\. Bring it with: conda install"):
        postgres.find()
    old, new = (programs(bare / "debian" / version / "bin", version) for version in ("16.1", "18"))
    assert postgres.find() == new
    programs(bare / "path" / "bin")
    assert postgres.find() == bare / "path" / "bin"
    programs(bare / "environment" / "bin")
    assert postgres.find() == bare / "environment" / "bin"
    monkeypatch.setenv(postgres.VARIABLE, str(old))
    assert postgres.find() == old


@posix
def test_on_debian_the_command_leaves_no_server_running(bare):
    (bare / "path" / "bin").mkdir(parents=True)
    apt = bare / "path" / "bin" / "apt-get"
    apt.touch()
    apt.chmod(0o700)
    with pytest.raises(EngineMissing, match=r"apt-get install postgresql && .*disable --now"):
        postgres.find()


@posix
def test_initdb_alone_is_no_server(bare):
    (programs(bare / "path" / "bin") / "postgres").unlink()
    with pytest.raises(EngineMissing, match="not installed"):
        postgres.find()


def test_a_variable_that_names_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv(postgres.VARIABLE, str(tmp_path))
    with pytest.raises(EngineMissing, match=r"PG_BIN names .* unset it"):
        postgres.find()


@posix
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"version": "14.9"}, "is version 14.9, and the lessons need 15 or newer"),
        ({"version": "9.6.24"}, "is version 9.6.24, and the lessons need 15 or newer"),
        ({"tls": "''"}, "was built without TLS"),
        ({"pgcrypto": False}, "lacks the extension pgcrypto"),
    ],
)
def test_one_that_the_lessons_cannot_use_is_said_and_passed_over(bare, kind, said):
    folder = programs(bare / "path" / "bin", **kind)
    with pytest.raises(EngineMissing) as caught:
        postgres.find()
    assert f"The PostgreSQL in {folder} {said}. Bring it with: " in str(caught.value)
    good = programs(bare / "debian" / "17" / "bin")
    assert postgres.find() == good


@posix
def test_one_that_does_not_run_is_one_sentence(bare):
    broken = programs(bare / "path" / "bin") / "postgres"
    broken.write_text("#!/bin/sh\necho 'postgres: libicu.so.72: cannot open' >&2; exit 127\n")
    with pytest.raises(EngineMissing, match=r"does not run: postgres: libicu\.so\.72: cannot open"):
        postgres.find()


def test_the_version_is_what_the_server_says(server):
    assert ask(server, "SHOW server_version").split()[0] == postgres.version(server.bin)


def test_its_own_variables_are_taken_out_and_the_courses_stay(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    chosen = {"PGPASSWORD": "x", "PGSSLMODE": "verify-full", "PG_BIN": "/opt", "PGSERVICE": "work"}
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGPASSFILE", "mine")  # so that monkeypatch puts these two back
    monkeypatch.setenv("PGGSSENCMODE", "prefer")
    taken = postgres.take_out_variables()
    assert taken == ["PGGSSENCMODE", "PGPASSFILE", "PGPASSWORD", "PGSERVICE", "PGSSLMODE"]
    assert os.environ["PG_BIN"] == "/opt"
    assert "PGSERVICE" not in os.environ
    assert postgres.take_out_variables() == []


# -- the template -----------------------------------------------------------------------------


def place():
    return postgres_template.place(postgres.find(), postgres.version(postgres.find()))


def test_initdb_runs_once_and_a_half_made_template_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv(opensearch_home.CACHE, str(tmp_path))
    first = PostgresServer()
    try:
        first.start(OPEN)
        template = place()
        assert list(tmp_path.iterdir()) == [template]
        made = (template / "global" / "pg_control").stat().st_mtime_ns
        assert not (template / "pki").exists()
        second = PostgresServer()
        try:
            assert (template / "global" / "pg_control").stat().st_mtime_ns == made
            for name in ("base", "PG_VERSION"):
                assert (second.data / name).exists()
        finally:
            second.close()
    finally:
        first.close()
    (template / "PG_VERSION").unlink()
    assert not postgres_template.copy(template, tmp_path / "copy")


def test_without_a_cache_folder_it_only_takes_longer(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv(opensearch_home.CACHE, str(tmp_path / "file" / "cache"))
    server = PostgresServer()
    try:
        server.start(OPEN)
        assert ask(server, "SELECT 1") == 1
    finally:
        server.close()


def test_two_builds_have_a_template_each(monkeypatch, tmp_path):
    one, other = (postgres_template.place(Path(name), "15.1") for name in ("/one", "/other"))
    assert one != other
    assert one.name.startswith("postgres-15.1-")


@posix
def test_an_initdb_that_fails_is_one_sentence_with_its_words(monkeypatch):
    # Not in pytest's folder: whoever runs pytest at the same time closes that to other accounts.
    with folder_for_servers("initdb-") as place:
        folder, cache = programs(place / "bin"), place / "cache"
        monkeypatch.setenv(opensearch_home.CACHE, str(cache))
        monkeypatch.setenv(postgres.VARIABLE, str(folder))
        (folder / "initdb").write_text("#!/bin/sh\necho 'initdb: error: no luck today'; exit 1\n")
        for path in (folder, folder / "initdb"):
            path.chmod(0o755)
        with pytest.raises(
            EngineFailed, match="initdb could not make a cluster: no luck today"
        ) as told:
            PostgresServer()
        assert "\n" not in str(told.value)
        assert not list(cache.glob("*"))


# -- the server -------------------------------------------------------------------------------


def test_it_listens_on_loopback_alone_whatever_is_configured(server):
    listening = {
        c.laddr.ip
        for c in psutil.Process(server.process.pid).net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    with server.connect("postgres") as operator:
        operator.execute("ALTER SYSTEM SET listen_addresses = '*'")
    server.stop()
    server.start(OPEN)
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"


def test_the_operator_comes_in_by_the_socket_alone(server):
    with server.connect("postgres") as operator:
        told = operator.execute("SELECT current_user::text, inet_client_addr()").fetchone()
    assert told == ("postgres", None)
    folder = server.folder
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root has it otherwise")
def test_under_root_the_server_and_its_files_belong_to_nobody(server):
    assert psutil.Process(server.process.pid).username() == "nobody"
    owner = (server.data / CONF).stat().st_uid
    assert owner != 0
    assert {path.stat().st_uid for path in server.data.rglob("*")} == {owner}
    assert (server.folder / "keeper.lock").stat().st_uid == 0


def test_a_busy_port_is_left_to_its_owner_and_another_taken(server):
    with loopback.listen() as taken:
        busy = taken.getsockname()[1]
        server.stop()
        server.port = busy
        server.start(OPEN)
        assert server.port != busy
        assert ask(server, "SELECT 1") == 1


def test_data_stay_over_a_restart_that_a_client_does_not_hold_up(server):
    client = server.connect("postgres")
    client.execute("CREATE TABLE t AS SELECT 1 AS a")
    client.execute("BEGIN")  # a smart shutdown would wait for it
    server.stop()
    client.close()
    assert "database system is shut down" in server.log.read_text()
    server.start(OPEN)
    assert ask(server, "SELECT a FROM t") == 1
    folder = server.folder
    server.close()
    assert not folder.exists()


def segments(pid):
    """Shared memory of System V that this process made (proc(5): /proc/sysvipc/shm)."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return [row for row in rows if row[4] == str(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_close_leaves_no_shared_memory(server):
    pid = server.process.pid
    assert segments(pid)
    shared = [part.path for part in psutil.Process(pid).memory_maps()]
    assert [path for path in shared if path.startswith(str(server.data / "pg_dynshmem"))]
    elsewhere = [path for path in shared if not path.startswith(str(server.folder))]
    assert not [path for path in elsewhere if path.startswith("/dev/shm")]
    server.close()
    assert segments(pid) == []
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listen_adresses = '*'", 'unrecognized configuration parameter "listen_adresses"'),
        ("max_connections = many", 'invalid value for parameter "max_connections": "many"'),
        ("log_statement = al", "Available values: none, ddl, mod, all"),
        ("ssl on off", 'line 1, near token "off"'),
    ],
)
def test_postgres_refuses_in_its_own_words_before_it_is_restarted(server, text, said):
    with pytest.raises(EngineFailed) as caught:
        server.ask("listen_addresses", text)
    assert said in str(caught.value)
    assert "contains errors" not in str(caught.value)
    assert ask(server, "SELECT 1") == 1
    assert not (server.data / "candidate.conf").exists()


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", "localhost"),
        ("listen_addresses = '*'", "*"),
        ("listen_addresses='127.0.0.1, ::1'\n", "127.0.0.1, ::1"),
        ("listen_addresses = ''", ""),
    ],
)
def test_what_postgres_understood(server, text, addresses):
    assert server.ask("listen_addresses", text) == addresses


def test_a_start_that_fails_gives_the_reason_of_this_start_alone(server):
    server.stop()
    with pytest.raises(EngineFailed, match=r'certificate file "no\.pem": No such file'):
        server.start({**OPEN, CONF: "ssl = on\nssl_cert_file = 'no.pem'"})
    with pytest.raises(EngineFailed, match='invalid authentication method "sesame"') as caught:
        server.start({**OPEN, HBA: "host all all all sesame"})
    assert "no.pem" not in str(caught.value)
    server.start(OPEN)
    assert server.is_running()


def test_keys_are_for_the_servers_account_alone_and_tls_works_with_them(server):
    assert server.certificates.server_key.stat().st_mode & 0o077 == 0
    files = "ssl_cert_file = 'pki/server.pem'\nssl_key_file = 'pki/server-key.pem'"
    server.stop()
    server.start({**OPEN, CONF: f"ssl = on\nssl_ca_file = 'pki/ca.pem'\n{files}"})
    uri = f"postgresql://postgres@127.0.0.1:{server.port}/postgres?sslmode=verify-full&sslrootcert="
    with psycopg.connect(f"{uri}{server.certificates.ca}") as client:
        assert client.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()


def test_a_folder_whose_name_is_too_long_for_a_socket_is_one_sentence(monkeypatch):
    with tempfile.TemporaryDirectory() as short:
        deep = Path(short) / ("d" * 90)
        deep.mkdir()
        for path in (Path(short), deep):
            path.chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", str(deep))
        with pytest.raises(EngineFailed, match=r"too long for PostgreSQL's socket\. Set TMPDIR"):
            PostgresServer()
        assert list(deep.iterdir()) == []


def test_a_folder_on_a_full_disk_is_one_sentence(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(postgres_server.Path, "write_text", full)
    with pytest.raises(EngineFailed, match=r"No space left on device.* Free some disk space"):
        PostgresServer()


def test_refusal_keeps_reasons_and_drops_the_rest():
    started = "2026-11-22 GMT [1] LOG:  starting PostgreSQL 15.18\n"
    assert postgres_server.refusal(
        f'{started}[1] FATAL:  could not load server certificate file "x.pem": No such file\n'
        "[1] LOG:  database system is shut down\n"
    ) == ('could not load server certificate file "x.pem": No such file')
    assert (
        postgres_server.refusal(
            '[1] LOG:  invalid value for parameter "a": "b"\n[1] HINT:  Use c.\n'
            '[1] FATAL:  configuration file "f" contains errors\n'
        )
        == 'invalid value for parameter "a": "b". Use c'
    )
    assert postgres_server.refusal("postgres: libicu.so: cannot open\n").endswith("cannot open")
    assert postgres_server.refusal("") == "it ended without a reason"
