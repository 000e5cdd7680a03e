"""The command line: help, exit codes, and the options that JupyterLab gets."""

import os
import re
import subprocess
import sys
import threading
import time
import urllib.request

import psutil
import pytest

from leftopen import build, cli, course, doctor, jupyter, loopback
from leftopen.errors import LeftOpenError, NotLoopback

COMMANDS = ("doctor", "engines", "lab", "data", "build", "learner", "audit")


def test_without_a_command_help_is_printed(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^    {command} ", printed, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert f"example:\n  leftopen {command}" in printed


@pytest.mark.parametrize(
    "words",
    [
        ["unknown"],
        ["doctor", "--unknown"],
        ["data"],
        ["data", "unknown"],
        ["data", "sensenets", "--people", "-1"],
        ["data", "sensenets", "--people", "many"],
        ["build", "--che"],
        ["learner", "two", "names"],
    ],
)
def test_what_is_not_understood_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: leftopen" in capsys.readouterr().err


def test_an_error_is_one_line_and_ends_with_2(monkeypatch, capsys):
    def fail(**_):
        raise LeftOpenError("The cause.\nThe next step.")

    monkeypatch.setattr(build, "build", fail)
    assert cli.main(["build"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "leftopen: The cause. The next step.\n"
    assert printed.out == ""


def test_an_error_that_nobody_expected_is_not_hidden(monkeypatch):
    def fail(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(build, "build", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["build"])


def test_ctrl_c_ends_with_130(monkeypatch, capsys):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "build", interrupt)
    assert cli.main(["build"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("stops", "code"), [(True, 1), (False, 0)])
def test_doctor_and_engines_end_with_1_only_where_lesson_01_cannot_run(
    monkeypatch, capsys, stops, code
):
    rows = [
        doctor.Row("mongod", "missing" if stops else "found", "why", "lesson 01", "do", stops),
        doctor.Row("PostgreSQL", "missing", "not there", "lesson 03, planned", "bring it"),
    ]
    monkeypatch.setattr(doctor, "report", lambda: rows)
    monkeypatch.setattr(doctor, "engines", lambda start: rows)
    assert cli.main(["doctor"]) == code
    assert cli.main(["engines"]) == code
    printed = capsys.readouterr().out
    assert printed.count("next: bring it") == 2
    assert ("Lesson 01 cannot run yet, because of: mongod." in printed) is stops


def test_build_check_ends_with_1_when_stale(monkeypatch, capsys):
    monkeypatch.setattr(build, "build", lambda **_: [course.ROOT / "README.md"])
    assert cli.main(["build", "--check"]) == 1
    assert "README.md is stale: run `make build`" in capsys.readouterr().out
    assert cli.main(["build"]) == 0
    monkeypatch.setattr(build, "build", lambda **_: [])
    assert cli.main(["build", "--check"]) == 0


def test_data_writes_what_was_asked_for(tmp_path, capsys):
    import pyarrow.parquet as pq

    out = tmp_path / "here"
    words = ["data", "sensenets", "--people", "300", "--positions", "700", "--out", str(out)]
    assert cli.main([*words, "--seed", "5"]) == 0
    rows = {path.stem: pq.read_metadata(path).num_rows for path in out.glob("*.parquet")}
    assert (rows["people"], rows["positions"]) == (300, 700)
    assert str(out / "people.parquet") in capsys.readouterr().out


def test_data_tells_an_impossible_wish_in_one_line(tmp_path, capsys):
    assert cli.main(["data", "sensenets", "--people", "0", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_defaults_of_data_are_those_of_the_committed_sample(monkeypatch, capsys):
    from leftopen.synth import sensenets

    asked = []
    monkeypatch.setattr(
        sensenets, "write", lambda out, people, positions, seed: asked.append((people, seed)) or []
    )
    assert cli.main(["data", "sensenets"]) == 0
    assert asked == [(sensenets.SAMPLE_PEOPLE, sensenets.DEFAULT_SEED)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / jupyter.FIRST).write_text("{}")
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_jupyterlab_gets_loopback_the_first_notebook_and_no_network(project):
    argv = jupyter.arguments([], project)
    assert "--ServerApp.ip=127.0.0.1" in argv
    assert f"--ServerApp.root_dir={project}" in argv
    assert f"--LabApp.default_url=/lab/tree/{jupyter.FIRST}" in argv
    assert "--LabApp.news_url=None" in argv
    assert "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate" in argv
    assert "--LabApp.extension_manager=readonly" in argv


def test_the_settings_are_ones_that_jupyterlab_knows(project):
    from jupyterlab import NeverCheckForUpdate
    from jupyterlab.labapp import LabApp

    app = LabApp()
    app.parse_command_line(jupyter.arguments([], project))
    lab = LabApp(config=app.config)
    assert lab.news_url is None
    assert lab.check_for_updates_class is NeverCheckForUpdate
    assert lab.extension_manager == "readonly"


@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_a_browser_is_opened_where_there_is_a_display(project, monkeypatch, display):
    assert "--no-browser" in jupyter.arguments([], project)
    monkeypatch.setenv(display, "somewhere")
    assert "--no-browser" not in jupyter.arguments([], project)


def test_root_is_allowed_and_nobody_else_needs_to_be(project, monkeypatch):
    monkeypatch.setattr(jupyter.os, "geteuid", lambda: 0, raising=False)
    assert "--allow-root" in jupyter.arguments([], project)
    monkeypatch.setattr(jupyter.os, "geteuid", lambda: 1000)
    assert "--allow-root" not in jupyter.arguments([], project)


@pytest.mark.parametrize(
    "extra",
    [
        ["--ip=0.0.0.0"],
        ["--ip", "0.0.0.0"],
        ["--ip=*"],
        ["--ip="],
        ["--ip"],
        ["--ServerApp.ip=0.0.0.0"],
        ["--ServerApp.ip", "192.168.1.7"],
        ["--NotebookApp.ip=::"],
        ["--port=9999", "--ip=127.0.0.1", "--ServerApp.ip=0.0.0.0"],
    ],
)
def test_an_address_beyond_loopback_is_refused(project, extra):
    with pytest.raises(NotLoopback, match="JupyterLab stays on this machine"):
        jupyter.arguments(extra, project)


@pytest.mark.parametrize(
    "extra", [["--ip=127.0.0.1"], ["--ip", "::1"], ["--ServerApp.ip=127.0.0.9"]]
)
def test_an_address_on_loopback_is_taken_as_it_is(project, extra):
    argv = jupyter.arguments(extra, project)
    assert argv[-len(extra) :] == extra
    assert "--ServerApp.ip=127.0.0.1" not in argv[: -len(extra)]


def test_an_option_of_the_learner_takes_the_place_of_ours(project):
    argv = jupyter.arguments(["--LabApp.default_url=/lab", "--port=9999"], project)
    assert [word for word in argv if "default_url" in word] == ["--LabApp.default_url=/lab"]
    assert argv[-1] == "--port=9999"


def test_kernels_get_tcp_where_a_socket_path_would_be_too_long(project, monkeypatch):
    ipc = "--KernelManager.transport=ipc"
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", "/tmp/short")
    assert (ipc in jupyter.arguments([], project)) is (jupyter.os.name == "posix")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", "/tmp/" + "long" * 20)
    assert ipc not in jupyter.arguments([], project)


def test_without_notebooks_lab_says_what_to_do(tmp_path):
    with pytest.raises(LeftOpenError, match="make lab"):
        jupyter.arguments([], tmp_path)


def test_lab_passes_every_option_on(monkeypatch):
    got = []
    monkeypatch.setattr(jupyter, "run", got.append)
    words = ["--port", "9999", "--ip=127.0.0.1", "--LabApp.expose_app_in_browser=True", "-y"]
    assert cli.main(["lab", *words]) == 0
    assert got == [words]


@pytest.mark.skipif(os.name != "posix", reason="is ended with SIGTERM")
def test_jupyterlab_answers_on_loopback_and_steps_aside_where_a_port_is_taken(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    for name in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{name}_DIR"] = str(tmp_path / name)
    with loopback.listen() as taken:
        busy = taken.getsockname()[1]
        lab = subprocess.Popen(
            [sys.executable, "-m", "leftopen.cli", "lab", f"--port={busy}", "--no-browser"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        stop = threading.Timer(120, lab.kill)  # so that no line is waited for without end
        stop.start()
        try:
            told = next(found for found in map(ADDRESS.search, lab.stderr) if found)
            threading.Thread(target=lab.stderr.read, daemon=True).start()
            assert told["host"] == "127.0.0.1"
            assert int(told["port"]) != busy
            wait_until_accepting(int(told["port"]))  # the address is told a moment before
            with urllib.request.urlopen(told["url"], timeout=60) as page:
                assert page.status == 200
                assert re.search(r'"news": *{"disabled": true}', page.read().decode())
            sockets = psutil.Process(lab.pid).net_connections(kind="tcp")
            listening = {s.laddr for s in sockets if s.status == psutil.CONN_LISTEN}
            assert ("127.0.0.1", int(told["port"])) in listening
            assert {address for address, _ in listening} == {"127.0.0.1"}
        finally:
            lab.terminate()
            lab.wait(60)
            stop.cancel()


def wait_until_accepting(port, seconds=60.0):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return loopback.connect(loopback.HERE, port, timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


ADDRESS = re.compile(r"(?P<url>http://(?P<host>[^:/]+):(?P<port>\d+)/\S+)")


def test_start_up_imports_nothing_heavy():
    code = "import sys; from leftopen import cli; cli.main([]); print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    loaded = set(told.stdout.split())
    assert "leftopen.cli" in loaded
    assert not {"pandas", "numpy", "pyarrow", "pymongo", "matplotlib", "jupyterlab"} & loaded


def test_the_exit_code_reaches_the_shell(tmp_path):
    program = [sys.executable, "-m", "leftopen.cli", "data", "sensenets", "--out", str(tmp_path)]
    for words, code in ((["--people", "0"], 2), (["--people", "50", "--positions", "100"], 0)):
        told = subprocess.run([*program, *words], capture_output=True, text=True, timeout=120)
        assert told.returncode == code, told.stderr
        assert "Traceback" not in told.stderr
