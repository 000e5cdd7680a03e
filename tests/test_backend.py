"""The service in front of a database: its code, its variables, and what it says of an error."""

import sys
import time

import httpx
import psutil
import pytest
import services
from services import FILES, MAIN, PARTS, word
from waiting import until

from leftopen.engines.backend import Backend
from leftopen.errors import ConfigRefused, LeftOpenError, NotLoopback

kept, service = services.kept, services.service


# -- the two sides --------------------------------------------------------------------------------


def test_it_answers_inside_and_outside_and_listens_on_loopback_alone(service):
    assert word(service) == "one"
    assert httpx.get(service.outside.uri).json()["word"] == "one"
    assert service.uri.startswith("http://127.0.0.1:")
    sockets = psutil.Process(service.server_pid).net_connections("inet")
    assert {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.3")
def test_a_second_stranger_comes_from_another_address(service):
    before = len(service.log.read_text())
    for source in ("127.0.0.3", None):
        service.outside.source = source
        httpx.get(f"{service.outside.uri}/{source}")
    until(lambda: "/None" in service.log.read_text()[before:])
    lines = [line for line in service.log.read_text()[before:].splitlines() if "GET" in line]
    assert [line.split(" ")[1].split(":")[0] for line in lines] == ["127.0.0.3", "127.0.0.2"]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no 127.0.0.2")
def test_the_log_has_each_request_with_its_time_and_its_client(service):
    before = len(service.log.read_text())
    httpx.get(f"{service.uri}/a?b=c")
    httpx.get(f"{service.outside.uri}/d", headers={"X-Forwarded-For": "192.0.2.7"})
    until(lambda: "/d" in service.log.read_text()[before:])
    lines = [line for line in service.log.read_text()[before:].splitlines() if "GET" in line]
    assert [line.split(" ", 2)[2] for line in lines] == [
        '"GET /a?b=c HTTP/1.1" 404 Not Found',
        '"GET /d HTTP/1.1" 404 Not Found',
    ]
    clients = [line.split(" ")[1].split(":")[0] for line in lines]
    assert clients == ["127.0.0.1", "127.0.0.2"]
    assert all(time.strptime(line.split(" ")[0], "%Y-%m-%dT%H:%M:%S%z") for line in lines)


HANGS_UP_AFTER = """
import gc
import uvicorn
WORD = next(o for o in gc.get_objects() if isinstance(o, uvicorn.Config)).timeout_keep_alive
"""


def test_a_client_that_rests_between_two_cells_is_not_hung_up_on(service):
    service.write("parts.py", HANGS_UP_AFTER)
    assert word(service) >= 600


# -- its code -------------------------------------------------------------------------------------


def test_what_is_written_runs_at_the_same_address(service):
    uri, outside, pid = service.uri, service.outside.uri, service.server_pid
    service.write("parts.py", PARTS.replace("one", "two"))
    assert word(service) == "two"
    assert (service.uri, service.outside.uri) == (uri, outside)
    assert service.server_pid != pid
    assert 'WORD = "two"' in service.read("parts.py")
    assert (service.folder / "parts.py").read_text() == service.read("parts.py")


def test_a_change_within_the_same_second_and_of_the_same_size_is_seen(service):
    for new in ("two", "six", "ten"):
        service.write("parts.py", PARTS.replace("one", new))
        assert word(service) == new


def test_a_new_file_can_be_imported_and_several_come_at_once():
    service = Backend(FILES, {})
    try:
        service.write("more.py", "WORD = 'more'")
        assert service.files == ["main.py", "more.py", "parts.py"]
        pid = service.server_pid
        service.write_files({"parts.py": "from more import TEXT as WORD", "more.py": "TEXT = 'a'"})
        assert service.server_pid != pid
        assert word(service) == "a"
    finally:
        service.close()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("main.py", "app = (\n", r"main.py, line 1 \(`app = \(`\): SyntaxError: '\(' was never"),
        ("main.py", MAIN + "\nnope\n", r"main.py, line \d+ \(`nope`\): NameError: name 'nope'"),
        ("parts.py", "x = 1 / 0", r"parts.py, line 1 \(`x = 1 / 0`\): ZeroDivisionError"),
        ("parts.py", "import no_such", r"No module named 'no_such'\. Nothing has changed"),
        ("main.py", "x = 1", 'Attribute "app" not found in module "main"'),
        ("main.py", MAIN + "\n@app.on_event('startup')\ndef up():\n    1 / 0\n", r"\(`1 / 0`\)"),
        ("parts.py", "import os\nos._exit(3)", "it ended, and printed nothing"),
        ("parts.py", "WORD = '\0'", "null"),
        ("../main.py", "x = 1", "cannot be the name of a file of the service"),
        ("notes.txt", "x = 1", "cannot be the name of a file of the service"),
        ("main.py", None, r"must be text \(str\), but it is NoneType"),
        ("main.py", ..., r"must be text \(str\), but it is ellipsis"),
    ],
)
def test_code_that_does_not_run_is_refused_and_the_earlier_runs_on(service, file, text, says):
    with pytest.raises(ConfigRefused, match=says):
        service.write(file, text)
    assert word(service) == "one"
    assert {name: service.read(name) for name in service.files} == FILES
    assert sorted(p.name for p in service.folder.iterdir()) == ["main.py", "parts.py"]


def test_code_that_never_comes_up_is_refused_too(service, monkeypatch):
    wait = service._process.wait_until_accepting
    asked = []

    def impatient(port, seconds, is_ours):
        asked.append(seconds)
        return wait(port, 2 if len(asked) == 1 else seconds, is_ours)

    monkeypatch.setattr(service._process, "wait_until_accepting", impatient)
    with pytest.raises(ConfigRefused, match="did not accept a connection within 2 s"):
        service.write("parts.py", "while True: pass")
    assert word(service) == "one"


def test_code_that_is_not_python_never_stops_the_service(service):
    pid = service.server_pid
    with pytest.raises(ConfigRefused):
        service.write("main.py", "def")
    assert service.server_pid == pid


def test_a_file_that_is_not_there_is_named_with_those_that_are(service):
    with pytest.raises(LeftOpenError, match=r"no file 'auth\.py'\. It has: main\.py, parts\.py"):
        service.read("auth.py")


# -- its environment ------------------------------------------------------------------------------


def test_it_has_its_own_variables_and_none_that_would_change_it(service, monkeypatch):
    for name in ("PGPASSWORD", "PGHOST", "HTTPS_PROXY", "OTEL_EXPORTER_OTLP_ENDPOINT", "SECRET"):
        monkeypatch.setenv(name, "from the notebook")
    service.set_environment(KEY="k")
    seen = httpx.get(service.uri).json()["environment"]
    assert (seen["WORD"], seen["KEY"]) == ("x", "k")
    assert service.environment == {"WORD": "x", "KEY": "k", "UVICORN_HOST": "0.0.0.0"}
    assert "from the notebook" not in seen.values()


@pytest.mark.parametrize(
    ("values", "kind", "says"),
    [
        ({"KEY": 3}, ConfigRefused, "KEY must be text"),
        ({"KEY": None}, ConfigRefused, "KEY must be text"),
        ({"a key": "k"}, ConfigRefused, "'a key' cannot be the name of a variable"),
        ({"DATABASE_URL": "postgresql://a@192.0.2.1/d"}, NotLoopback, "192.0.2.1"),
        ({"DATABASE_URL": "host=127.0.0.1 hostaddr=192.0.2.1"}, NotLoopback, "192.0.2.1"),
        ({"DATABASE_URL": "postgresql://127.0.0.1,192.0.2.1/d"}, NotLoopback, "192.0.2.1"),
        ({"DATABASE_URL": "a word"}, ConfigRefused, "DATABASE_URL cannot be read"),
        ({"KEY": "wrong"}, ConfigRefused, r"main.py, line 9 .*: AssertionError\."),
    ],
)
def test_variables_that_cannot_be_leave_the_earlier_ones(service, values, kind, says):
    before = service.environment
    with pytest.raises(kind, match=says):
        service.set_environment(**values)
    assert service.environment == before
    assert word(service) == "one"


def test_what_is_given_in_the_wrong_form_is_said_and_changes_nothing(service):
    pid = service.server_pid
    with pytest.raises(ConfigRefused, match=r"set_environment\(\*\*variables\)"):
        service.set_environment({"KEY": "k"})
    with pytest.raises(ConfigRefused, match=r"The name comes first, then the text\.") as told:
        service.write(service.read("parts.py") + 500 * "# more\n", "parts.py")
    assert len(str(told.value)) < 300
    assert service.server_pid == pid


def test_its_own_variable_decides_whether_it_is_reached_from_outside(service):
    uri = service.outside.uri
    service.set_environment(UVICORN_HOST="127.0.0.1")
    assert word(service) == "one"
    with pytest.raises(httpx.ConnectError):
        httpx.get(uri)
    with pytest.raises(ConfigRefused, match=r"192\.0\.2\.1.*earlier environment"):
        service.set_environment(UVICORN_HOST="192.0.2.1")
    assert not service.outside.is_open
    service.set_environment(UVICORN_HOST="0.0.0.0")
    assert httpx.get(uri).status_code == 200


def test_a_variable_that_uvicorn_does_not_know_is_said(service, capsys):
    service.set_environment(UVICORN_HSOT="127.0.0.1")
    assert (
        "no UVICORN_HSOT: it has no effect. Did you mean UVICORN_HOST?" in capsys.readouterr().out
    )
    service.set_environment(UVICORN_HOST="0.0.0.0", UVICORN_LOG_LEVEL="info", KEY="k")
    assert capsys.readouterr().out == ""


def test_the_environment_is_there_to_read(service):
    with pytest.raises(TypeError):
        service.environment["UVICORN_HOST"] = "127.0.0.1"


@pytest.mark.parametrize(
    "uri", ["postgresql://a@127.0.0.1:5432/d?sslmode=require", "host=/tmp port=5432", "dbname=d"]
)
def test_a_database_of_this_machine_is_taken(service, uri):
    service.set_environment(DATABASE_URL=uri)
    assert httpx.get(service.uri).json()["environment"]["DATABASE_URL"] == uri


# -- errors ---------------------------------------------------------------------------------------


def test_the_last_words_name_the_error_and_its_line(service):
    service.restart()
    assert service.last_words() == ""
    assert httpx.get(f"{service.uri}/fail").status_code == 500
    assert service.last_words() == (
        "main.py, line 19 (`return [][parts.WORD]`): "
        "TypeError: list indices must be integers or slices, not str"
    )
    service.write("parts.py", PARTS.replace('"one"', "1"))
    assert service.last_words() == ""
    httpx.get(f"{service.uri}/fail")
    assert service.last_words().endswith("IndexError: list index out of range")


LOGS_LATE = """
import logging, time
late = lambda entry: entry.levelno < logging.ERROR or time.sleep(1) is None
logging.getLogger("uvicorn.error").addFilter(late)
"""


def test_the_last_words_are_those_of_an_error_that_is_logged_late(service):
    service.write("parts.py", PARTS + LOGS_LATE)
    assert httpx.get(f"{service.uri}/fail").status_code == 500
    assert "list indices must be integers" in service.last_words()
