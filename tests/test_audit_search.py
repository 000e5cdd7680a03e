"""The auditor on a real search cluster: each planted fault is found, and a right one is left be."""

import html
import json
import logging

import audits
import pytest
import seeded_search as servers
import seeded_search_faults as seeded
from audits import ids, why
from planted import found

from leftopen import cli
from leftopen.audit import command, run
from leftopen.audit.sarif import to_sarif
from leftopen.errors import LeftOpenError, NotLoopback

pytestmark = pytest.mark.needs("opensearch")
BAD = ("fix", "warn")
stage = audits.stage_of("opensearch", servers)
right = audits.right


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """opensearch-py logs each refused request."""
    log = logging.getLogger("opensearch")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)


def admin(stage):
    files = stage.lab.certificates
    return {"cert": files.admin, "key": files.admin_key}


# -- the right cluster ------------------------------------------------------------------------


def test_the_right_cluster_has_nothing_to_fix(right):
    assert right.findings == ()
    assert right.not_looked == ()
    assert right.exit_code == 0
    assert right.product == "OpenSearch"
    assert len(right.passed) > 20


def test_the_admin_certificate_is_a_login_too(stage, right):
    report = run(stage.lab, **admin(stage))
    assert (report.findings, report.not_looked, report.passed) == ((), (), right.passed)
    assert "(OpenSearch " in report.summary


def test_without_a_login_much_is_not_looked_at_and_that_is_no_pass(stage):
    report = run(stage.lab)
    assert report.exit_code == 2
    unseen = {n.id for n in report.not_looked}
    assert {"broad-role", "dangerous-right", "audit-bodies", "demo-accounts"} <= unseen
    assert not unseen & set(report.passed)
    assert {"security-off", "anonymous-read", "weak-password", "old-tls"} <= set(report.passed)


def test_a_wrong_password_and_a_login_that_may_little(stage):
    report = run(stage.lab, user="ops", password="not this one")
    assert "the login of 'ops' is refused: 401" in why(report, "broad-role")
    assert "without a login, because the login of 'ops' is refused" in report.summary
    word = "a password of reviewer that nobody guesses"
    report = run(stage.lab, user="reviewer", password=word)
    assert report.login_refused == ""
    assert "'reviewer' may not ask for" in why(report, "broad-role")


def test_an_address_shows_the_same_as_the_lab(stage, right):
    uri, ca = stage.lab.inside.uri, stage.lab.certificates.ca
    report = run(uri, user="ops", password=servers.OPS, ca=ca)
    assert [f for f in report.findings if f.severity in BAD] == []
    assert "admin-dn" in report.passed  # the configuration file was found by the node's own words
    assert "passwords are tried on a lab's own server" in why(report, "weak-password")
    public = run(uri, user="ops", password=servers.OPS)
    assert "name your own: ca" in why(public, "certificate-untrusted")


def test_the_command_says_the_same(stage, capsys, monkeypatch):
    monkeypatch.setenv(command.VARIABLE, servers.OPS)
    files = stage.lab.certificates
    words = ["audit", "--opensearch", stage.lab.inside.uri, "--ca", str(files.ca)]
    assert cli.main([*words, "--user", "ops"]) == 0
    told = capsys.readouterr().out
    assert "0 to fix, 0 warnings" in told
    assert "every check could look" in told
    assert servers.OPS not in told
    more = ["--client-uri", "https://app@127.0.0.1", "--client-option", "verify_certs=false"]
    admin = ["--cert", str(files.admin), "--key", str(files.admin_key)]
    assert cli.main([*words, *admin, *more, "--format", "json"]) == 1
    assert {f["id"] for f in json.loads(capsys.readouterr().out)["findings"]} == {"client-insecure"}
    assert cli.main([*words, "--client-option", "verify_certs"]) == 2
    assert "Write name=value" in capsys.readouterr().err


def test_the_audit_changes_nothing(stage):
    def state():
        with stage.client() as client:
            names = [row["index"] for row in client.cat.indices(format="json")]
            own = [name for name in names if not name.startswith("security-auditlog")]
            return (
                sorted(own),
                client.cluster.get_settings(),
                client.count(index="faces-*")["count"],
            )

    before = state()
    stage.audit()
    assert state() == before


# -- each fault -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", seeded.LIVE, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(stage, right, fault):
    assert not found(right, fault.finds)
    try:
        fault.plant(stage)
        report = stage.audit(**fault.more)
    finally:
        fault.mend(stage)
    assert found(report, fault.finds), report
    assert report.not_looked == ()
    for finding in report.findings:
        assert all((finding.what, finding.evidence, finding.why, finding.fix, finding.retest))
        assert finding.cwe.startswith("CWE-")
        assert html.escape(finding.what) in report._repr_html_()
    assert {r["id"] for r in to_sarif(report)["runs"][0]["tool"]["driver"]["rules"]} == ids(report)


def test_each_has_its_own_name():
    names = [fault.name for fault in seeded.LIVE + seeded.RESTARTS]
    assert len(set(names)) == len(names)


def test_after_all_of_them_the_cluster_is_right_again(stage, right):
    assert stage.audit().table().equals(right.table())


def test_a_second_administrator_is_fine_once_named(stage):
    fault = next(f for f in seeded.LIVE if f.name == "application with all_access")
    try:
        fault.plant(stage)
        assert "broad-role" in ids(stage.audit(), "warn")
        assert stage.audit(administrators=["board"]).findings == ()
    finally:
        fault.mend(stage)


def test_a_guess_leaves_no_failed_login_where_the_stored_passwords_can_be_read(stage):
    before = stage.lab.log.read_text().count("Authentication finally failed")
    fault = seeded.LIVE[0]
    try:
        fault.plant(stage)
        assert "weak-password" in ids(stage.audit(), "fix")
    finally:
        fault.mend(stage)
    assert stage.lab.log.read_text().count("Authentication finally failed") == before


def test_a_careful_client_is_fine(stage):
    options = {"ca_certs": str(stage.lab.certificates.ca), "verify_certs": True}
    report = stage.audit(client_uri="https://sensors@127.0.0.1:9200", client_options=options)
    assert report.findings == ()
    assert {"client-insecure", "client-no-ca", "client-no-tls"} <= set(report.passed)
    other = stage.audit(client_uri="https://db.example:9200", client_options=options)
    assert ids(other) == {"certificate-wrong-name"}


# -- faults that a restart brings -------------------------------------------------------------


@pytest.mark.parametrize("fault", seeded.RESTARTS, ids=lambda fault: fault.name)
def test_what_a_configuration_does_wrong_is_found(stage, right, fault):
    assert not found(right, fault.finds)
    fault.plant(stage)
    report = stage.audit()
    assert found(report, fault.finds), report
    assert set(fault.finds) >= ids(report, *BAD), "one fault, told once"


def test_the_open_cluster_is_told_at_the_address_of_the_stranger(stage):
    assert "security-off" in ids(run(stage.lab)), "the last configuration is the one as found"
    report = run(stage.lab)
    evidence = " ".join(f.evidence for f in report.findings)
    assert "GET /faces-2019.04/_search without login, at lab.outside.uri" in evidence
    assert "a document, of 30" in evidence
    assert str(stage.lab.inside.port) not in repr(report)
    assert str(stage.lab.config_folder) not in repr(report)
    assert "bound-everywhere" not in ids(run(stage.lab, wanted=["0.0.0.0"]))
    assert "the security plugin is off" in why(report, "broad-role")
    assert report.exit_code == 1


def test_a_cluster_that_is_down_is_no_pass(stage):
    stage.lab._server.stop()
    report = stage.audit()
    assert report.exit_code == 2
    assert report.passed == report.findings == ()
    assert "lab.restart()" in why(report, "security-off")


# -- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "options", "error", "said"),
    [
        ("https://192.168.1.4:9200", {}, NotLoopback, "not an address of this machine"),
        ("http://0.0.0.0:9200", {}, NotLoopback, "every address"),
        ("https://ops:pw@127.0.0.1:9200", {}, LeftOpenError, "holds a login"),
        ("http://127.0.0.1:99999", {}, LeftOpenError, "no port"),
        ("http://127.0.0.1", {"client_uri": "mongodb://x"}, LeftOpenError, "client's address"),
        ("http://127.0.0.1", {"client_options": {"a": 1}}, LeftOpenError, "client_uri too"),
        ("http://127.0.0.1", {"key": __file__}, LeftOpenError, "cert and key"),
        ("http://127.0.0.1", {"config": __file__}, LeftOpenError, "cannot be read"),
        ("mongodb://127.0.0.1", {"config": __file__}, LeftOpenError, "for a search cluster"),
    ],
)
def test_arguments_that_cannot_be_used_are_said(server, options, error, said):
    with pytest.raises(error, match=said):
        run(server, **options)
