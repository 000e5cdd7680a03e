"""A lab on a real mongod: its two sides, its configuration, its last good state."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from trouble import interrupt_the_next_start, kill

from leftopen import lab_mongodb, stranger
from leftopen.errors import ConfigRefused, EngineFailed
from leftopen.lab_mongodb import MongoLab

pytestmark = pytest.mark.needs("mongodb")
OPEN = "net:\n  bindIp: 0.0.0.0\n"


def load(client):
    client.sensenets.people.insert_many([{"_id": i, "name": f"Person-{i}"} for i in range(50)])


def make():
    return MongoLab("test", OPEN, load)


@pytest.fixture(scope="module")
def shared():
    lab = make()
    yield lab
    lab.close()


@pytest.fixture
def lab(shared):
    """The shared lab, running and as it was found."""
    if not shared.is_running:
        shared.restart()
    shared.configure(OPEN, replace=True)
    return shared


def count(uri, **login):
    with MongoClient(uri, **login) as client:
        return client.sensenets.people.count_documents({})


def is_refused(uri):
    told = nothing_yet = "No servers found yet"  # a busy machine may take half a second to try
    while nothing_yet in told:
        with MongoClient(uri, serverSelectionTimeoutMS=500) as client:
            try:
                client.admin.command("ping")
            except ConnectionFailure as error:
                told = str(error)
            else:
                return False
    return "refused" in told


def allowed(uri):
    return {a.tried for a in stranger.look(uri) if a.allowed}


def test_the_stranger_reads_then_is_refused_then_cannot_connect():
    """The third "done when" of the foundation, in its own words."""
    lab = make()
    try:
        with MongoClient(lab.outside.uri) as client:
            assert "sensenets" in client.list_database_names()
            assert client.sensenets.people.find_one()["name"].startswith("Person-")
        lab.configure("security:\n  authorization: enabled")
        with MongoClient(lab.inside.uri) as client:
            client.admin.command("createUser", "admin", pwd="s3cret-of-mine", roles=["root"])
        with MongoClient(lab.outside.uri) as client:
            with pytest.raises(OperationFailure, match="requires authentication"):
                client.sensenets.people.find_one()
            with pytest.raises(OperationFailure, match="requires authentication"):
                client.list_database_names()
        assert count(lab.outside.uri, username="admin", password="s3cret-of-mine") == 50
        lab.configure("net:\n  bindIp: 127.0.0.1")
        assert is_refused(lab.outside.uri)
        assert count(lab.inside.uri, username="admin", password="s3cret-of-mine") == 50
    finally:
        lab.close()


def test_one_client_object_sees_the_door_open_and_shut(lab):
    with MongoClient(lab.outside.uri) as client:
        assert client.sensenets.people.count_documents({}) == 50
        lab.configure("net: {bindIp: localhost}")
        with pytest.raises(ConnectionFailure):
            client.sensenets.people.count_documents({})
        lab.configure(OPEN)
        assert client.sensenets.people.count_documents({}) == 50


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("0.0.0.0", True),
        ("127.0.0.1,0.0.0.0", True),
        ("127.0.0.1", False),
        ("localhost,127.0.0.2", False),
        ("'::1'", False),
    ],
)
def test_bind_ip_decides_about_the_internet(lab, address, is_open):
    lab.configure(f"net:\n  bindIp: {address}")
    assert lab.outside.is_open is is_open


def test_bind_ip_all_and_no_bind_ip_at_all(lab):
    lab.configure("net:\n  bindIpAll: true", replace=True)
    assert lab.outside.is_open
    lab.configure("security:\n  javascriptEnabled: false", replace=True)
    assert not lab.outside.is_open  # mongod's own default since 3.6


REFUSED = [
    ("net:\n  bindIpp: 0.0.0.0", "Line 2 (`bindIpp: 0.0.0.0`): mongod refuses this: Unrecognized"),
    ("security:\n  authorization: on", "Line 2 (`authorization: on`): mongod refuses this"),
    ("net:\n  maxIncomingConnections: many", "Line 2 (`maxIncomingConnections: many`)"),
    ("net: [", "is not YAML"),
    ("net:\n  port: 99999", "Line 2 (`port: 99999`): 99999 is not a port"),
    ("net:\n  bindIp: db.example", "Line 2 (`bindIp: db.example`): `db.example` is not an address"),
    ("net:\n  bindIp: 192.168.1.4", "`192.168.1.4` is not an address of this lab's machine"),
    ("net:\n  bindIp: 127.0.0.1;", "`127.0.0.1;` is not an address of this lab's machine"),
    ("net:\nbindIp: 127.0.0.1", "Line 1 (`net:`): `net` is a section"),
    ("net:\n  bindIp:127.0.0.1", "Line 1 (`net:`): `net` is a section"),
    ("net:\n  bindIp:", "Line 2 (`bindIp:`) has no value"),
    ("net:\n\tport: 1", "YAML takes no tabs there"),
    (
        "net:\n  tls:\n    mode: requireTLS\n    certificateKeyFile: /no/server.pem",
        "Line 4 (`certificateKeyFile: /no/server.pem`): mongod refuses this: Cannot read "
        "certificate file: /no/server.pem: No such file or directory",
    ),
    ("net:\n  tls:\n    mode: requireTLS", "need tlsCertificateKeyFile"),
    ("security:\n  keyFile: /no/key", "Line 2 (`keyFile: /no/key`)"),
    ("setParameter:\n  nosuch: 1", "Line 2 (`nosuch: 1`)"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_a_refused_configuration_is_one_sentence_and_changes_nothing(lab, text, said):
    before = lab.config
    with pytest.raises(ConfigRefused) as caught:
        lab.configure(text)
    message = str(caught.value)
    assert said in message
    assert message.endswith("runs with its last good configuration.")
    assert "\n" not in message
    assert lab.config == before
    assert lab.is_running
    assert count(lab.outside.uri) == 50
    assert count(lab.inside.uri) == 50


def test_the_old_names_of_tls_are_understood_and_their_warning_is_no_setting(lab):
    """mongod prints a line of its log above what it understood (`Given key is deprecated`)."""
    with pytest.raises(ConfigRefused, match="need tlsCertificateKeyFile"):
        lab.configure("net:\n  ssl:\n    mode: requireSSL")
    files = lab.certificates
    lab.configure(f"net: {{ssl: {{mode: preferSSL, PEMKeyFile: '{files.server}'}}}}")
    assert lab.effective["net"]["tls"]["mode"] == "preferTLS"
    lab.configure(OPEN, replace=True)


def test_bind_ip_after_bind_ip_all_is_the_one_that_counts(lab):
    lab.configure("net: {bindIpAll: true}")
    lab.configure("net: {bindIp: 127.0.0.1}")
    assert not lab.outside.is_open
    with pytest.raises(ConfigRefused):
        lab.configure("net: {bindIp: 198.51.100.1}")


def test_a_setting_without_effect_is_said_and_others_are_not(lab, capsys):
    lab.configure("net: {port: 80}\nstorage: {dbPath: /srv/x}\nprocessManagement: {fork: true}")
    said = capsys.readouterr().out
    assert "its own net.port, storage.dbPath, processManagement.fork" in said
    assert "port: 80\n" in lab.config
    lab.configure("net: {bindIp: localhost, maxIncomingConnections: 100}")
    assert capsys.readouterr().out == ""


def test_settings_that_are_not_named_stay(lab):
    lab.configure("security:\n  javascriptEnabled: false")
    assert "bindIp: 0.0.0.0" in lab.config
    assert lab.outside.is_open
    assert not lab.is_as_found


def test_the_same_cell_twice_is_safe(lab):
    for _ in range(2):
        lab.configure("security:\n  javascriptEnabled: false")
    assert count(lab.inside.uri) == 50


def test_tls_shuts_out_plain_text_and_the_operator_goes_on(lab):
    pki = lab.certificates
    lab.configure(
        f"net:\n  tls:\n    mode: requireTLS\n    certificateKeyFile: {pki.server}\n"
        f"    CAFile: {pki.ca}\n    allowConnectionsWithoutCertificates: true"
    )
    assert count(lab.inside.uri) == 50
    with (
        MongoClient(lab.outside.uri, serverSelectionTimeoutMS=500) as client,
        pytest.raises(ConnectionFailure),
    ):
        client.admin.command("ping")
    attempts = stranger.look(lab.outside.uri)
    assert attempts[0].answer == "connected, over TLS"
    assert stranger.is_let_in(attempts)  # encryption alone asks nobody who they are


def test_what_the_lab_added_is_shown(lab):
    assert "compressors: disabled" in lab.added
    assert "bindIp: 127.0.0.1" in lab.added
    assert "compressors" not in lab.config


def test_a_killed_server_is_said_and_brought_back_with_its_data(lab):
    kill(lab)
    assert "lab.restart()" in repr(lab)
    lab.restart()
    assert count(lab.outside.uri) == 50


def test_configure_brings_back_a_server_that_was_killed(lab):
    os.kill(lab.server_pid, signal.SIGKILL)
    lab.configure("security:\n  javascriptEnabled: false")
    assert count(lab.inside.uri) == 50


def test_an_interrupt_while_it_restarts_leaves_a_server_that_runs(lab, monkeypatch):
    interrupt_the_next_start(monkeypatch, lab)
    with pytest.raises(KeyboardInterrupt):
        lab.configure("security:\n  javascriptEnabled: false")
    assert count(lab.outside.uri) == 50
    assert lab.is_as_found


def test_an_interrupt_while_loading_leaves_nothing():
    seen = []

    def interrupted(client):
        seen.append(client.admin.command("getCmdLineOpts")["parsed"]["storage"]["dbPath"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MongoLab("test", OPEN, interrupted)
    assert not Path(seen[0]).parent.exists()


def test_close_leaves_nothing_and_says_so():
    lab = make()
    folder, uri = lab.log.parent, lab.outside.uri
    lab.close()
    lab.close()
    assert not folder.exists()
    assert not lab.is_running
    assert is_refused(uri)
    with pytest.raises(EngineFailed, match="lab = open_case"):
        lab.configure(OPEN)


def test_what_a_notebook_shows(lab):
    assert lab.outside.uri in repr(lab)
    assert "<table>" in lab._repr_html_()
    lab.configure("net:\n  bindIp: 127.0.0.1")
    assert "nothing answers there" in repr(lab)


@pytest.mark.skipif(os.name != "posix", reason="the modes of a folder are POSIX's")
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Root may write anywhere but on a read-only file system.
    root = os.geteuid() == 0
    if root:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", tmp_path], check=True)
    else:
        tmp_path.chmod(0o500)
    try:
        with pytest.raises(
            EngineFailed, match="set TMPDIR to a folder that you can write"
        ) as caught:
            make()
        assert ("Read-only file system" if root else "Permission denied") in str(caught.value)
    finally:
        if root:
            subprocess.run(["umount", tmp_path], check=True)


FULL_DISK = f"""
import os
from leftopen.errors import EngineFailed
from leftopen.lab_mongodb import MongoLab

def load(client):
    for _ in range(2_000):
        client.sensenets.people.insert_one({{"block": os.urandom(100_000)}})

try:
    MongoLab("test", {OPEN!r}, load)
except EngineFailed as error:
    print(error)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="a full disk is made with a small tmpfs, which only root on Linux can mount",
)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "none", tmp_path], check=True)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", FULL_DISK],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
        assert ran.stdout.count("\n") == 1
        assert "no space is left on the disk" in ran.stdout
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize(("is_full", "said"), [(True, "no space is left"), (False, "cut o. Then")])
def test_a_reason_that_a_full_disk_cut_off_is_told_from_the_disk(monkeypatch, is_full, said):
    def load(client):
        raise PyMongoError("the reason is cut o")

    monkeypatch.setattr(lab_mongodb, "has_room", lambda folder: not is_full)
    with pytest.raises(EngineFailed, match=said):
        MongoLab("test", OPEN, load)


def test_without_a_restart_the_file_has_changed_and_the_server_has_not(lab):
    lab.configure("security: {authorization: enabled}", restart=False)
    assert "authorization: enabled" in lab.config
    with MongoClient(lab.inside.uri) as client:
        client.sensenets.people.find_one()
        told = client.admin.command("getCmdLineOpts")["parsed"]
    assert "security" not in told
    lab.restart()
    with MongoClient(lab.inside.uri) as client, pytest.raises(OperationFailure):
        client.sensenets.people.find_one()


def test_without_a_restart_the_relay_stays_as_it_is_until_there_is_one(lab):
    lab.configure("net: {bindIp: 127.0.0.1}", restart=False)
    assert lab.outside.is_open
    lab.restart()
    assert not lab.outside.is_open


def test_a_refused_configuration_is_refused_without_a_restart_too(lab):
    with pytest.raises(ConfigRefused):
        lab.configure("security: {authorization: perhaps}", restart=False)
    assert lab.is_as_found


def test_a_case_that_was_found_with_a_login_gets_its_records_before_it():
    def load(client):
        client.t.c.insert_one({"_id": 1})
        client.admin.command("createUser", "boss", pwd="a b", roles=["root"])

    lab = MongoLab("t", "net: {bindIp: 0.0.0.0}\nsecurity: {authorization: enabled}", load)
    try:
        with MongoClient(lab.outside.uri) as client, pytest.raises(OperationFailure):
            client.t.c.find_one()
        with MongoClient(lab.outside.uri, username="boss", password="a b") as client:
            assert client.t.c.find_one() == {"_id": 1}
        assert lab.is_as_found
    finally:
        lab.close()


def caller(uri):
    with MongoClient(uri) as client:
        return client.admin.command("whatsmyuri")["you"].split(":")[0]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.2")
def test_the_server_can_tell_outside_from_inside(lab):
    assert caller(lab.inside.uri) == "127.0.0.1"
    assert caller(lab.outside.uri) == "127.0.0.2"


def test_where_the_system_lacks_the_strangers_address_the_relay_still_works(lab, monkeypatch):
    monkeypatch.setattr("leftopen.outside.STRANGERS", "::1")  # no IPv4 socket can have it
    assert caller(lab.outside.uri) == "127.0.0.1"
