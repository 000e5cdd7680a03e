"""The command ``leftopen audit``, on a real server."""

import io
import json

import pytest
import seeded_servers as servers
from pymongo import MongoClient

from leftopen import cli
from leftopen.audit import command

pytestmark = pytest.mark.needs("mongodb")
WORD = "a password that nobody guesses"


@pytest.fixture(scope="module")
def port():
    text = "security: {authorization: enabled, javascriptEnabled: 'false'}"
    with servers.bare_mongod(text) as port:
        with MongoClient("127.0.0.1", port) as client:
            client.admin.command(
                "createUser", "ops", pwd=WORD, roles=["root"], mechanisms=["SCRAM-SHA-256"]
            )
        yield port


@pytest.fixture(autouse=True)
def not_root_and_not_old(monkeypatch):
    """These tests are about the command: the owner and the age of this mongod are others'."""
    monkeypatch.setattr("leftopen.audit.access._owner", lambda look: "mongod")
    monkeypatch.setattr("leftopen.audit.holes.holes", lambda engine: [])


def audit(capsys, port, *words):
    code = cli.main(["audit", "--mongodb", f"mongodb://127.0.0.1:{port}", *words])
    return code, capsys.readouterr()


def test_its_help_has_an_example_and_says_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["audit", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "example: leftopen audit --mongodb" in printed
    assert "Ends with 0 if nothing is to be fixed" in printed


def test_with_a_login_a_right_server_is_clean(capsys, port, monkeypatch):
    monkeypatch.setenv(command.VARIABLE, WORD)
    code, told = audit(capsys, port, "--user", "ops")
    assert code == 0, told.out
    assert "0 to fix, 0 warnings" in told.out
    assert "every check could look" in told.out
    assert "weak passwords: they are tried on a lab's own server" in told.out
    assert WORD not in told.out


def test_without_a_login_it_ends_with_2(capsys, port):
    code, told = audit(capsys, port)
    assert code == 2
    assert "Could not look, which is not a pass" in told.out


def test_an_open_server_ends_with_1(capsys):
    with servers.bare_mongod("net: {}") as port:
        code, told = audit(capsys, port, "--format", "json")
    assert code == 1
    report = json.loads(told.out)
    assert {"no-login"} <= {f["id"] for f in report["findings"]}
    assert report["exit_code"] == 1


def test_sarif_is_what_ci_reads(capsys, port, monkeypatch):
    monkeypatch.setenv(command.VARIABLE, WORD)
    uri = "mongodb://ops:sesame@localhost/?tls=true&tlsInsecure=true"
    code, told = audit(capsys, port, "--user", "ops", "--client-uri", uri, "--format", "sarif")
    assert code == 1
    results = json.loads(told.out)["runs"][0]["results"]
    assert {"client-insecure", "broad-role"} <= {r["ruleId"] for r in results}
    assert "sesame" not in told.out


def test_the_password_is_asked_for_at_a_terminal(capsys, port, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv(command.VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, told = audit(capsys, port, "--user", "ops")
    assert code == 2
    assert (
        f"no terminal to ask for the password of ops. Put it into the variable {command.VARIABLE}"
        in told.err
    )
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: WORD)
    assert audit(capsys, port, "--user", "ops")[0] == 0


def test_a_password_is_no_option_and_other_machines_are_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["audit", "--mongodb", "mongodb://127.0.0.1", "--password", "x"])
    capsys.readouterr()
    for uri in ("mongodb://192.0.2.1", "mongodb+srv://cluster.example", "mongodb://a:b@127.0.0.1"):
        assert cli.main(["audit", "--mongodb", uri]) == 2
        assert capsys.readouterr().err.startswith("leftopen: ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--dump", "."], "A dump is looked at alone"),
        (["--backend", "http://127.0.0.1:9"], "A service is asked with a token"),
        (["--mongodb", "mongodb://192.0.2.1"], "192.0.2.1"),
        (["--postgres", "postgresql://192.0.2.1/shop"], "192.0.2.1"),
        (["--opensearch", "https://ops:x@127.0.0.1"], "The address holds a login"),
        (["--mongodb", "mongodb://127.0.0.1", "--client-option", "x"], "no option of a driver"),
    ],
)
def test_no_password_is_asked_for_where_it_is_of_no_use(capsys, monkeypatch, words, why):
    asked = []
    monkeypatch.setattr(command, "_password", lambda user: asked.append(user) or "x")
    assert cli.main(["audit", *words, "--user", "ops"]) == 2
    assert why in capsys.readouterr().err
    assert asked == []
