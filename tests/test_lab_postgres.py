"""A lab on a real PostgreSQL: its two sides, its two files, its last good state."""

import re

import postgres_labs
import psycopg
import pytest
from postgres_labs import HBA, TLS, ask, auditor, doors, make, refusal

from leftopen.errors import ConfigRefused, EngineFailed, EngineMissing

pytestmark = pytest.mark.needs("postgres")
shared, lab = postgres_labs.shared, postgres_labs.lab


def test_the_stranger_reads_then_is_refused_then_cannot_connect(lab):
    assert ask(lab.outside.uri, "SELECT current_user::text") == "postgres"
    assert ask(doors(lab)) == 50
    lab.configure("host all all 0.0.0.0/0 scram-sha-256", file="pg_hba.conf")
    assert "no password supplied" in refusal(doors(lab))
    assert ask(auditor(lab)) == 50
    lab.configure("listen_addresses = 'localhost'")
    assert "refused" in refusal(auditor(lab))
    assert ask(auditor(lab, "inside")) == 50
    assert ask(lab.inside.uri_of("doors_1")) == 50


def test_the_server_can_tell_outside_from_inside(lab):
    lab.configure(
        "host all all 127.0.0.1/32 trust\nhost all all 127.0.0.2/32 scram-sha-256",
        file="pg_hba.conf",
    )
    assert ask(doors(lab, "inside")) == 50
    assert "no password supplied" in refusal(doors(lab))
    assert ask(auditor(lab), "SELECT host(inet_client_addr())") == "127.0.0.2"


def test_the_first_line_that_matches_holds(lab):
    lab.configure("host all all all reject\nhost all all all trust", file="pg_hba.conf")
    assert "pg_hba.conf rejects connection" in refusal(doors(lab))
    lab.configure("host all all all trust\nhost all all all reject", file="pg_hba.conf")
    assert ask(doors(lab)) == 50


@pytest.mark.parametrize("hba", ["", "local all all reject\nhost all all all reject", "# nothing"])
def test_the_operator_gets_in_whatever_the_file_says(lab, hba):
    lab.configure(hba, file="pg_hba.conf")
    assert lab.hba == hba
    assert ask(lab.inside.uri_of("doors_1")) == 50
    assert refusal(doors(lab, "inside"))
    lab.configure(HBA, file="pg_hba.conf")
    assert lab.is_as_found
    assert ask(doors(lab)) == 50


def test_a_change_of_pg_hba_does_not_restart_the_server(lab):
    pid = lab.server_pid
    lab.configure("host all all all scram-sha-256", file="pg_hba.conf")
    assert lab.server_pid == pid
    lab.configure("log_connections = off")
    assert lab.server_pid != pid


@pytest.mark.parametrize(
    ("addresses", "is_open"),
    [
        ("'0.0.0.0'", True),
        ("'localhost, *'", True),
        ("'::'", True),
        ("'127.0.0.1'", False),
        ("localhost", False),
        ("'127.0.0.2,::1'", False),
        ("''", False),
    ],
)
def test_listen_addresses_decides_about_the_internet(lab, addresses, is_open):
    lab.configure(f"listen_addresses = {addresses}")
    assert lab.outside.is_open is is_open


def test_the_default_is_this_machine_and_alter_system_counts_too(lab):
    lab.configure("log_connections = on", replace=True)
    assert not lab.outside.is_open
    with psycopg.connect(lab.inside.uri, autocommit=True) as operator:
        operator.execute("ALTER SYSTEM SET listen_addresses = '*'")
        lab.restart()
        assert lab.outside.is_open
    with psycopg.connect(lab.inside.uri, autocommit=True) as operator:
        operator.execute("ALTER SYSTEM RESET ALL")


REFUSED = [
    ("listen_adresses = '*'", 'Line 1 (`listen_adresses = \'*\'`): PostgreSQL refuses this: unrec'),
    ("\n\nssl = off\nport = many", 'Line 2 (`port = many`): PostgreSQL refuses this: invalid val'),
    ("ssl = on\nssl = ...", "Line 2 (`ssl = ...`): PostgreSQL refuses this: syntax error"),
    ("log_statement = al", "Available values: none, ddl, mod, all. Nothing has changed"),
    ("max_connections: 10", "Line 1 (`max_connections: 10`): PostgreSQL refuses this: syntax err"),
    ("ssl = 'on", "Line 1 (`ssl = 'on`): PostgreSQL refuses this: syntax error"),
    ("port = 99999", "99999 is outside the valid range"),
    ("listen_addresses = 'db.example'", "`db.example` is not an address of this lab's machine"),
    ("# a\nlisten_addresses = '192.0.2.7'", "Line 2 (`listen_addresses = '192.0.2.7'`): `192.0.2"),
    ("ssl = on", "could not load server certificate file"),
    ("ssl=on\nssl_cert_file='/no/server.pem'", "Line 2 (`ssl_cert_file='/no/server.pem'`): Postgr"),
    ("host all all all trust", 'a line of pg_hba.conf, which takes file="pg_hba.conf"'),
    ("shared_preload_libraries = 'nosuch'", "Line 1 (`shared_preload_libraries = 'nosuch'`): Post"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_a_refused_postgresql_conf_is_one_sentence_and_changes_nothing(lab, text, said):
    before = lab.config
    with pytest.raises(ConfigRefused) as caught:
        lab.configure(text)
    message = str(caught.value)
    assert said in message
    assert message.endswith("runs with its last good configuration.")
    assert "\n" not in message
    assert str(lab.config_folder) not in message
    assert lab.config == before
    assert lab.is_as_found
    assert ask(doors(lab)) == 50


REFUSED_HBA = [
    ("host all all all scramm", 'Line 1 (`host all all all scramm`): PostgreSQL refuses this: inv'),
    ("# a\n\nhost all all", "Line 3 (`host all all`): PostgreSQL refuses this: end-of-line before"),
    ("host all all 10.0.0.0/99 trust", "Line 1 (`host all all 10.0.0.0/99 trust`): PostgreSQL"),
    ("\nhosts all all all trust\n", "Line 1 (`hosts all all all trust`): PostgreSQL refuses this"),
    ("local all all md5x\nhost all all all trust", "Line 1 (`local all all md5x`): PostgreSQL re"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED_HBA)
def test_a_refused_pg_hba_is_one_sentence_and_changes_nothing(lab, text, said):
    with pytest.raises(ConfigRefused) as caught:
        lab.configure(text, file="pg_hba.conf")
    message = str(caught.value)
    assert said in message
    assert message.endswith("runs with its last good configuration.")
    assert "\n" not in message
    assert lab.is_as_found
    assert ask(doors(lab)) == 50
    lab.restart()  # the file is the earlier one too
    assert ask(doors(lab)) == 50


def test_what_is_no_text_and_no_file_of_its_is_said(lab):
    with pytest.raises(ConfigRefused, match=r"must be text \(str\), but it is dict"):
        lab.configure({"ssl": "on"})
    with pytest.raises(ConfigRefused, match=r"There is: postgresql\.conf, pg_hba\.conf"):
        lab.configure("lab a b", file="pg_ident.conf")


def test_lines_that_match_nobody_are_told_and_taken(lab, capsys):
    lab.configure("# with TLS\nhostssl all all all trust", file="pg_hba.conf")
    assert capsys.readouterr().out == (
        "Line 2 (`hostssl all all all trust`): hostssl record cannot match because SSL is "
        "disabled.\n"
    )
    assert refusal(doors(lab))


def test_a_setting_replaces_the_earlier_one_of_its_name_and_the_others_stay(lab):
    lab.configure("# quieter\nLOG_CONNECTIONS = off # for now\nwork_mem '8MB'")
    assert lab.config == (
        "listen_addresses = '*'\n# quieter\nLOG_CONNECTIONS = off # for now\nwork_mem '8MB'"
    )
    assert ask(lab.inside.uri, "SHOW work_mem") == "8MB"
    assert ask(lab.inside.uri, "SHOW log_connections") == "off"
    lab.configure("work_mem=1MB")
    assert lab.config.count("work_mem") == 1
    lab.configure("work_mem = 2MB", replace=True)
    assert lab.config == "work_mem = 2MB"
    assert not lab.is_as_found


def test_the_same_cell_twice_is_safe(lab):
    for _ in range(2):
        lab.configure(TLS)
        lab.configure("hostssl all all all trust", file="pg_hba.conf")
    assert lab.config.count("ssl_key_file") == 1
    assert ask(doors(lab)) == 50


def test_a_setting_without_effect_is_said_and_others_are_not(lab, capsys):
    lab.configure("port = 5432\nhba_file = '/etc/pg_hba.conf'\nfsync = on")
    said = capsys.readouterr().out
    assert "its own port, hba_file, fsync: what you wrote has no effect here" in said
    assert "port = 5432" in lab.config
    lab.configure("listen_addresses = localhost\nmax_connections = 30")
    assert capsys.readouterr().out == ""


def test_tls_is_verified_with_the_labs_own_authority(lab):
    lab.configure(TLS)
    lab.configure("hostssl all all all scram-sha-256", file="pg_hba.conf")
    ca = f"sslrootcert={lab.certificates.ca}"
    for side in ("inside", "outside"):
        assert ask(auditor(lab, side, f"sslmode=verify-full&{ca}")) == 50
        assert "no encryption" in refusal(auditor(lab, side, "sslmode=disable"))
    assert "certificate verify failed" in refusal(
        auditor(
            lab, options=f"sslmode=verify-full&sslrootcert={lab.certificates.server_certificate}"
        )
    )
    assert ask(lab.inside.uri_of("doors_1")) == 50


def test_a_client_certificate_lets_in_whom_it_names(lab):
    lab.configure(TLS)
    lab.configure("hostssl all all all cert", file="pg_hba.conf")
    with psycopg.connect(lab.inside.uri, autocommit=True) as operator:
        operator.execute("CREATE ROLE admin LOGIN")
    pki = lab.certificates
    own = f"sslmode=verify-full&sslrootcert={pki.ca}&sslcert={pki.admin}&sslkey={pki.admin_key}"
    uri = lab.outside.uri_as("admin", "", options=own)
    assert ask(uri, "SELECT current_user::text") == "admin"
    assert "certificate authentication failed" in refusal(doors(lab, options=own))


def test_what_the_lab_added_is_shown(lab):
    assert "listen_addresses = '127.0.0.1'" in lab.added
    assert f"port = '{lab.inside.port}'" in lab.added
    assert "local all postgres peer map=lab" in lab.added
    assert "peer" not in lab.hba
    assert "port" not in lab.config
    for name in re.findall(r"^(\w+) = ", lab.added, re.MULTILINE):
        assert name in lab.added.partition(f"\n{name} = ")[0] or name.startswith("unix_socket")


def test_without_a_restart_the_file_has_changed_and_the_server_has_not(lab):
    lab.configure("max_connections = 33\nlisten_addresses = localhost", restart=False)
    assert "max_connections = 33" in lab.config
    assert "max_connections = 33" in (lab.config_folder / "postgresql.conf").read_text()
    assert ask(lab.inside.uri, "SHOW max_connections") == "100"
    assert lab.outside.is_open
    lab.restart()
    assert ask(lab.inside.uri, "SHOW max_connections") == "33"
    assert not lab.outside.is_open
    with pytest.raises(ConfigRefused):
        lab.configure("max_connections = few", restart=False)


def test_records_that_cannot_be_loaded_are_one_sentence():
    def wrong(connect):
        with connect("postgres") as operator:
            operator.execute("SELECT * FROM nowhere")

    with pytest.raises(
        EngineFailed, match='of test could not be loaded: relation "nowhere"'
    ) as told:
        make(load=wrong)
    assert "\n" not in str(told.value)


def test_a_case_with_files_that_do_not_work_does_not_open():
    with pytest.raises(ConfigRefused, match="Line 2"):
        make(conf="ssl = off\nwork_mem = much")
    with pytest.raises(EngineFailed, match='invalid authentication method "open"'):
        make(hba="host all all all open")


def test_a_locked_case_is_loaded_all_the_same():
    lab = make(conf=TLS, hba="hostssl all all all scram-sha-256")
    try:
        assert lab.is_as_found
        assert not lab.outside.is_open
        assert ask(auditor(lab, "inside", "sslmode=require")) == 50
    finally:
        lab.close()


def test_what_a_notebook_shows(lab):
    shown = repr(lab)
    for words in (lab.outside.uri, lab.inside.uri, "host all all 0.0.0.0/0 trust", "PostgreSQL"):
        assert words in shown
    assert "lab.backend" not in shown
    assert "<table>" in lab._repr_html_()
    lab.configure("listen_addresses = localhost")
    assert "nothing answers there" in repr(lab)
    assert "connection received: host=127.0.0" in lab.log.read_text()


VARIABLES = {
    "PGPASSWORD": "wrong",
    "PGSSLMODE": "verify-full",
    "PGSERVICE": "work",
    "PGHOST": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "me",
    "PGOPTIONS": "-c nonsense=1",
    "PGDATA": "/nowhere",
    "LC_ALL": "xx_XX",
    "LANGUAGE": "de",
}


def test_a_learners_own_variables_change_nothing(monkeypatch, capsys):
    for name in ("PGPASSFILE", "PGGSSENCMODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    lab = make()
    try:
        said = capsys.readouterr().out
        assert said.startswith("Taken out of this notebook's environment: PGDATA, PGHOST, ")
        assert ask(lab.inside.uri_of("doors_1")) == 50
        assert ask(lab.outside.uri, "SELECT current_user::text") == "postgres"
        lab.configure("host all all all scram-sha-256", file="pg_hba.conf")
        assert "no password supplied" in refusal(lab.outside.uri)
        with pytest.raises(ConfigRefused, match="invalid value for parameter"):
            lab.configure("work_mem = viel")
    finally:
        lab.close()


def test_stored_passwords_are_left_out(monkeypatch, tmp_path):
    stored = tmp_path / ".pgpass"
    stored.write_text("*:*:*:*:a b/c@d?\n")
    stored.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(stored))
    lab = make(hba="host all all all scram-sha-256")
    try:
        assert "no password supplied" in refusal(doors(lab, account="city auditor"))
        assert ask(auditor(lab)) == 50
    finally:
        lab.close()


def test_without_postgresql_one_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(EngineMissing, match="PG_BIN names"):
        make()
