"""The auditor on a real PostgreSQL: each planted fault is found, and a right server is left be."""

import contextlib
import html
import json
import subprocess

import audits
import psycopg
import pytest
import seeded_postgres as servers
import seeded_postgres_faults as seeded
from audits import why
from planted import found

from leftopen import audit, cli
from leftopen.audit import command, run
from leftopen.audit.sarif import to_sarif
from leftopen.cases.tongren import HBA_LOCKED, small_lab
from leftopen.errors import LeftOpenError, NotLoopback

pytestmark = pytest.mark.needs("postgres")
BAD = ("fix", "warn")
UNSEEN = {"personal-data-in-log", "failed-logins"}  # a lab's log is known to the lab alone
OLD = "known-hole"  # a lab's version is no fault of the learner's, so this is a note there
stage = audits.stage_of("postgres", servers)
right = audits.right


@contextlib.contextmanager
def planted(stage, fault):
    try:
        fault.plant(stage)
        yield
    finally:
        fault.mend(stage)


def named(name):
    return next(f for f in (*seeded.LIVE, *seeded.RESTARTS) if f.name == name)


def ids(report, *severities):
    found = (f for f in report.findings if f.id != OLD)
    return {f.id for f in found if not severities or f.severity in severities}


def address(stage, path=""):
    return f"postgresql://127.0.0.1:{stage.lab.inside.port}{path}"


# -- the right server -------------------------------------------------------------------------


def test_the_right_server_has_nothing_to_fix(right):
    assert ids(right) == set()
    assert [f.severity for f in right.findings] in ([], ["note"])
    assert right.not_looked == ()
    assert right.exit_code == 0
    assert right.product == "PostgreSQL"
    assert len(right.passed) > 30


def test_an_address_and_a_login_show_the_same_as_the_lab(stage, right):
    ca = stage.lab.certificates.ca
    report = run(address(stage), user="postgres", password=servers.OPS, ca=ca)
    assert ids(report) == set()
    assert {n.id for n in report.not_looked} == UNSEEN
    assert {"no-login", "hba-wide", "md5-verifier", "policy-true"} <= set(report.passed)
    assert "passwords are tried on a lab's own server" in why(report, "weak-password")
    public = run(address(stage), user="postgres", password=servers.OPS)
    assert "name your own: ca" in why(public, "certificate-untrusted")


def test_without_a_login_much_is_not_looked_at_and_that_is_no_pass(stage):
    before = stage.lab.log.read_text().count("authentication failed")
    report = run(address(stage), ca=stage.lab.certificates.ca)
    assert stage.lab.log.read_text().count("authentication failed") == before
    assert report.exit_code == 2
    unseen = {n.id for n in report.not_looked}
    assert {"no-login", "hba-wide", "broad-role", "policy-true", "statements-in-log"} <= unseen
    assert not unseen & set(report.passed)
    assert {"certificate-untrusted", "certificate-expiry", "no-tls"} <= set(report.passed)


def test_the_command_says_the_same(stage, capsys, monkeypatch):
    monkeypatch.setenv(command.VARIABLE, servers.OPS)
    ca = str(stage.lab.certificates.ca)
    words = ["audit", "--postgres", address(stage), "--ca", ca, "--user", "postgres"]
    cli.main(words)
    told = capsys.readouterr().out
    assert "0 to fix" in told
    assert "2 could not look" in told
    uri = "postgresql://app@127.0.0.1/doors_1?sslmode=require"
    assert cli.main([*words, "--client-uri", uri, "--format", "json"]) == 1
    told = capsys.readouterr().out
    assert "client-insecure" in {f["id"] for f in json.loads(told)["findings"]}
    assert servers.OPS not in told


def test_the_audit_changes_nothing_and_fails_no_login(stage):
    query = (
        "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_authid), "
        "(SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables)"
    )

    def state():
        with psycopg.connect(stage.lab.inside.uri_of("doors_1")) as operator:
            failed = stage.lab.log.read_text().count("authentication failed")
            return operator.execute(query).fetchone(), failed

    before = state()
    stage.audit()
    assert state() == before
    with planted(stage, named("password equal to the name")):
        before = state()
        assert "weak-password" in ids(stage.audit(), "fix")
        assert state() == before


# -- each fault, and what is none -------------------------------------------------------------


@pytest.mark.parametrize("fault", seeded.LIVE, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(stage, right, fault):
    assert not found(right, fault.finds)
    with planted(stage, fault):
        report = stage.audit(**fault.more)
    assert found(report, fault.finds), report
    assert report.not_looked == ()
    for finding in report.findings:
        assert all((finding.what, finding.evidence, finding.why, finding.fix, finding.retest))
        assert finding.cwe.startswith("CWE-")
        assert html.escape(finding.what) in report._repr_html_()
    assert {r["id"] for r in to_sarif(report)["runs"][0]["tool"]["driver"]["rules"]} == {
        f.id for f in report.findings
    }


@pytest.mark.parametrize("fault", seeded.QUIET, ids=lambda fault: fault.name)
def test_what_is_no_fault_is_told_as_none(stage, right, fault):
    with planted(stage, fault):
        report = stage.audit(**fault.more)
    assert {f.id: f.severity for f in report.findings if f.id != OLD} == fault.finds, report
    assert report.not_looked == ()


def test_each_has_its_own_name():
    names = [fault.name for fault in (*seeded.LIVE, *seeded.RESTARTS, *seeded.QUIET)]
    assert len(set(names)) == len(names)


def test_a_check_has_a_fault_or_a_test_of_its_own(right):
    told = {name for fault in (*seeded.LIVE, *seeded.RESTARTS) for name in fault.finds}
    mine = {"hba-unread", "failed-logins", "personal-data-in-log", "certificate-untrusted", OLD}
    assert set(right.passed) - told - mine == set()


def test_after_all_of_them_the_server_is_right_again(stage, right):
    assert stage.audit().table().equals(right.table())


def test_the_first_line_that_fits_is_named_and_its_login_tried(stage):
    with planted(stage, named("trust for one account and one database")):
        evidence = next(f.evidence for f in stage.audit().findings if f.id == "no-login")
    assert "login as auditor to doors_1 with a wrong password, in clear, at lab.outside" in evidence
    assert "line 1 → host doors_1 auditor all trust, the first line for auditor" in evidence


def test_the_application_that_is_the_superuser_is_told_apart(stage):
    fault = named("application that logs in as postgres")
    told = next(f for f in stage.audit(**fault.more).findings if f.id == "broad-role")
    assert "'postgres' is a superuser, and an application uses it" in told.what


def test_a_file_that_cannot_be_read_is_told(stage):
    path = stage.lab.config_folder / "pg_hba.conf"
    before = path.read_text()
    try:
        path.write_text(f"{before}hostssl all all\n")
        report = stage.audit()
    finally:
        path.write_text(before)
    told = next(f for f in report.findings if f.id == "hba-unread")
    line = len(HBA_LOCKED.splitlines()) + 1
    assert told.severity == "warn"
    assert f"line {line} → end-of-line before IP address" in told.evidence


def test_failed_logins_and_peoples_data_in_the_log_are_told(stage):
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(stage.lab.inside.uri_as("manager", "no", "doors_1", "sslmode=require"))
    with pytest.raises(psycopg.errors.UndefinedTable):
        stage.do("SELECT * FROM nowhere WHERE id_number = '00000019900101001X'")
    report = stage.audit()
    assert ids(report, *BAD) == {"personal-data-in-log"}
    assert "an 18-place identity number" in repr(report)
    assert "00000019900101001X" not in repr(report)
    assert "manager: 1" in next(f.evidence for f in report.findings if f.id == "failed-logins")


def test_a_wrong_password_and_a_login_that_may_little(stage):
    report = run(address(stage), user="postgres", password="not this one")
    assert "the login of 'postgres' is refused: password auth" in why(report, "broad-role")
    assert "without a login, because the login of 'postgres' is refused" in report.summary
    report = run(address(stage, "/doors_1"), user="manager", password=servers.WORDS["manager"])
    assert report.login_refused == ""
    assert "'manager' may not look" in why(report, "md5-verifier")
    assert "'manager' may not look" in why(report, "hba-wide")
    assert "broad-role" in report.passed


# -- faults that a restart brings -------------------------------------------------------------


def speaks_old_tls(stage):
    port, said = stage.lab.inside.port, "-tls1 -cipher ALL:@SECLEVEL=0 -starttls postgres"
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *said.split()]
    told = subprocess.run(words, input="", capture_output=True, text=True, timeout=30)
    return "Protocol  : TLSv1\n" in told.stdout and "Cipher is (NONE)" not in told.stdout


@pytest.mark.parametrize("fault", seeded.RESTARTS, ids=lambda fault: fault.name)
def test_what_a_configuration_does_wrong_is_found(stage, right, fault):
    assert not found(right, fault.finds)
    fault.plant(stage)
    report = stage.audit(**fault.more)
    if fault.finds == {"old-tls": "fix"} and not speaks_old_tls(stage):
        fault.mend(stage)
        pytest.skip("the TLS library of this PostgreSQL does not speak TLS 1.0 at all")
    assert found(report, fault.finds), report
    if fault is not seeded.RESTARTS[-1]:
        fault.mend(stage)


def test_the_open_server_is_told_at_the_address_of_the_stranger(stage):
    report = run(stage.lab)  # the last configuration is the one as found
    evidence = " ".join(f.evidence for f in report.findings)
    assert (
        "login as postgres to doors_1 with a wrong password, in clear, at lab.outside" in evidence
    )
    assert "SELECT from public.passages in doors_1 as postgres" in evidence
    assert str(stage.lab.inside.port) not in repr(report)
    assert str(stage.lab.config_folder) not in repr(report)
    assert "bound-everywhere" not in ids(run(stage.lab, wanted=["*"]))
    assert report.exit_code == 1


def test_an_open_server_needs_no_login_to_be_seen(stage):
    report = run(address(stage))
    assert {"no-login", "anonymous-read"} <= ids(report, "fix")
    assert {n.id for n in report.not_looked} == UNSEEN


def test_a_server_that_is_down_is_no_pass(stage):
    stage.lab._server.stop()
    report = stage.audit()
    assert report.exit_code == 2
    assert report.passed == report.findings == ()
    assert "lab.restart()" in why(report, "no-login")


def test_the_address_that_a_lab_shows_can_be_given_as_it_is():
    with contextlib.closing(small_lab(1)) as lab:
        report = audit(lab.outside.uri)
    assert "no-login" in ids(report)


# -- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "options", "error", "said"),
    [
        ("postgresql://192.168.1.4", {}, NotLoopback, "not an address of this machine"),
        ("postgresql://0.0.0.0:5432", {}, NotLoopback, "every address"),
        ("postgresql:///doors_1", {}, NotLoopback, "host is empty"),
        ("postgres://ops:pw@127.0.0.1", {}, LeftOpenError, "holds a login"),
        ("postgresql://127.0.0.1:99999", {}, LeftOpenError, "no port"),
        ("postgresql://127.0.0.1", {"client_uri": "mongodb://x"}, LeftOpenError, "client's addr"),
        ("postgresql://127.0.0.1", {"client_options": {"a": 1}}, LeftOpenError, "search cluster"),
        ("postgresql://127.0.0.1", {"config": __file__}, LeftOpenError, "search cluster"),
        ("postgresql://127.0.0.1", {"key": __file__}, LeftOpenError, "cert and key"),
        ("postgresql://127.0.0.1", {"user": "ops"}, LeftOpenError, "both user and password"),
    ],
)
def test_arguments_that_cannot_be_used_are_said(server, options, error, said):
    with pytest.raises(error, match=said):
        run(server, **options)
