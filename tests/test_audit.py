"""The auditor on real servers: what is right stays unreported, what is unseen is never a pass."""

import html
import inspect
import re
import secrets
import time

import audits
import pytest
import seeded_servers as servers
from audits import ids, why
from bson import Binary
from conftest import needs
from pymongo import MongoClient
from pymongo.errors import OperationFailure

import leftopen
from leftopen.audit import Severity, look, run
from leftopen.errors import LeftOpenError, NotLoopback
from leftopen.lab_mongodb import MongoLab

pytestmark = pytest.mark.needs("mongodb")
COULD = "a password that nobody guesses"
whole = audits.stage_of("mongodb", servers)


@pytest.fixture
def stage(whole):
    """The right server, as it was made."""
    if not whole.lab.is_running:
        whole.lab.restart()
    whole.reset()
    return whole


@pytest.fixture(scope="module")
def open_lab():
    needs("mongodb")
    lab = MongoLab("open", "net:\n  bindIp: 0.0.0.0\n", servers.load)
    yield lab
    lab.close()


def bad(report):
    return ids(report, Severity.FIX, Severity.WARN)


# -- what is right ----------------------------------------------------------------------------


def test_both_ways_of_importing_give_the_auditor(stage):
    from leftopen import audit

    assert audit is leftopen.audit
    assert audit(stage.lab, user="ops", password=servers.OPS).exit_code == 0


def test_help_begins_with_the_purpose_and_every_argument():
    from leftopen import audit

    told = inspect.getdoc(audit)
    assert told.startswith("The auditor: ``audit(lab)`` looks at a server")
    listed = re.findall(r"^ {4}((?:\w+, )*\w+) {2,}\w", told, re.MULTILINE)
    assert ", ".join(listed).split(", ") == list(inspect.signature(run).parameters)


def test_a_private_authority_with_the_right_names_is_fine(stage):
    report = stage.audit(client_uri=f"mongodb://localhost/?tls=true&tlsCAFile={ca(stage)}")
    assert bad(report) == set()
    assert {"certificate-untrusted", "certificate-wrong-name", "client-no-ca"} <= set(report.passed)


def ca(stage):
    return stage.lab.certificates.ca


def test_scram_sha_256_alone_is_fine_and_an_administrator_with_root_too(stage):
    report = stage.audit(client_uri="mongodb://shop_app@localhost/?tls=true&tlsCAFile=/any")
    assert {"sha1-verifier", "broad-role", "shared-account"} <= set(report.passed)


def test_optional_client_certificates_beside_scram_are_fine(stage):
    assert "allowConnectionsWithoutCertificates" in stage.lab.config
    assert "allow-invalid-certificates" in stage.audit().passed


def test_the_default_port_on_loopback_is_fine():
    # 127.0.0.27 so that a server which is there already is not in the way.
    text = "net: {bindIp: 127.0.0.27, port: '27017'}\n"
    with servers.bare_mongod(text, host="127.0.0.27", port=27017) as port:
        default = run(f"mongodb://127.0.0.27:{port}")
    with servers.bare_mongod("net: {}") as port:
        other = run(f"mongodb://127.0.0.1:{port}")
    assert port != 27017
    assert ids(default) == ids(other)
    assert "bound-everywhere" in default.passed


@pytest.mark.parametrize(
    "roles",
    [
        [{"role": "backup", "db": "admin"}],
        [{"role": "clusterMonitor", "db": "admin"}],
        ["read"],
        ["readWrite"],
    ],
)
def test_roles_that_a_persona_needs_are_fine(stage, roles):
    with stage.admin() as client:
        stage.give(client, roles)
    assert "broad-role" not in ids(stage.audit())


def test_a_role_of_one_collection_may_change_that_collection(stage):
    part = [{"resource": {"db": "shop", "collection": "orders"}, "actions": ["collMod", "remove"]}]
    with stage.admin() as client:
        client.shop.command("createRole", "retention", privileges=part, roles=["read"])
        stage.give(client, ["retention"])
    assert bad(stage.audit()) == set()


def test_a_second_administrator_is_fine_once_named(stage):
    with stage.admin() as client:
        client.admin.command(
            "createUser", "boss", pwd=COULD, roles=["root"], mechanisms=["SCRAM-SHA-256"]
        )
    assert bad(stage.audit()) == {"broad-role"}
    assert bad(stage.audit(administrators=["boss"])) == set()


def test_the_application_may_not_use_the_administrators_account(stage):
    report = stage.audit(client_uri="mongodb://ops@localhost/?tls=true&tlsCAFile=/any")
    told = [f for f in report.findings if f.id == "broad-role"]
    assert [f.severity for f in told] == ["fix"]
    assert "an application uses it" in told[0].what


def test_a_reader_that_reads_and_a_writer_with_read_in_its_name(stage):
    with stage.admin() as client:
        for name, role in (("report", "read"), ("thread_app", "readWrite")):
            client.shop.command(
                "createUser", name, pwd=COULD, roles=[role], mechanisms=["SCRAM-SHA-256"]
            )
    assert "writer-for-reader" in stage.audit().passed


def test_an_address_that_is_wanted_is_no_finding(stage):
    stage.configure("net: {bindIp: 0.0.0.0}")
    assert "bound-everywhere" in bad(stage.audit())
    assert "bound-everywhere" in stage.audit(wanted=["0.0.0.0"]).passed


def test_people_behind_ciphertext_a_validator_and_an_end(stage):
    with stage.admin() as client:
        table = client.clinic.create_collection("visits", validator={"at": {"$type": "date"}})
        table.create_index("at", expireAfterSeconds=86400)
        sealed = {"patient": 1, "ssn": Binary(secrets.token_bytes(40), 6), "at": look_at()}
        table.insert_one(sealed)
    report = stage.audit()
    assert {"identifiers-in-clear", "no-validator", "no-retention"} <= set(report.passed)


def look_at():
    import datetime

    return datetime.datetime.now(datetime.UTC)


# -- severity ---------------------------------------------------------------------------------


def test_without_tls_the_network_decides(stage):
    stage.configure("net: {bindIp: 0.0.0.0}", without=("net.tls",))
    assert {"no-tls", "bound-everywhere"} <= ids(stage.audit(), "fix")
    stage.configure("", without=("net.tls",))
    assert "no-tls" in ids(stage.audit(), "note")


def test_the_open_server_is_told_at_both_addresses(open_lab):
    open_lab.configure("net: {bindIp: 0.0.0.0}", replace=True)
    report = run(open_lab)
    assert {"no-login", "anonymous-list", "anonymous-read", "bound-everywhere"} <= ids(
        report, "fix"
    )
    evidence = " ".join(f.evidence for f in report.findings)
    assert "shop.orders without login, at lab.outside.uri → a document, of 50" in evidence
    open_lab.configure("net: {bindIp: 127.0.0.1}")
    report = run(open_lab)
    assert "bound-everywhere" in report.passed
    assert "lab.inside.uri" in next(f.evidence for f in report.findings if f.id == "no-login")


def test_nothing_of_the_labs_own_part_is_told_as_a_finding(open_lab):
    report = run(open_lab)
    assert "root-process" not in ids(report)
    assert [f.severity for f in report.findings if f.id == "known-hole"] == ["note"]
    assert str(open_lab.inside.port) not in repr(report)
    assert str(open_lab.log.parent) not in repr(report)


def test_the_audit_writes_nothing(open_lab):
    with MongoClient(open_lab.inside.uri) as client:
        before = sorted(client.list_database_names()), client.shop.list_collection_names()
        run(open_lab)
        assert (sorted(client.list_database_names()), client.shop.list_collection_names()) == before


# -- what could not be looked at --------------------------------------------------------------


def test_without_a_login_much_is_not_looked_at_and_that_is_no_pass(stage):
    report = run(stage.lab)
    assert bad(report) == set()
    assert report.exit_code == 2
    unseen = {n.id for n in report.not_looked}
    assert {"broad-role", "sha1-verifier", "no-retention", "ransom-note"} <= unseen
    assert not unseen & set(report.passed)
    assert {"no-login", "anonymous-read", "old-tls", "open-key-file"} <= set(report.passed)


def test_a_wrong_password_and_a_login_that_may_little(stage):
    report = run(stage.lab, user="ops", password="not this one")
    assert "the login of 'ops' in 'admin' is refused" in why(report, "broad-role")
    first = repr(report).splitlines()[0]
    assert "without a login, because the login of 'ops' in 'admin' is refused" in first
    assert html.escape(first) in report._repr_html_().partition("</p>")[0]
    report = run(stage.lab, user="shop_app", password=servers.APP, auth_source="shop")
    assert report.login_refused == ""
    assert "refused" not in report.summary
    assert why(report, "broad-role") == "the login 'shop_app' may not run usersInfo"
    assert report.exit_code == 2


def test_a_login_that_an_open_server_refuses_is_told_too(open_lab):
    open_lab.configure("net: {bindIp: 127.0.0.1}", replace=True)
    report, without = run(open_lab, user="nobody", password="no"), run(open_lab)
    assert "the login of 'nobody' in 'admin' is refused" in repr(report).splitlines()[0]
    assert without.login_refused == ""
    assert bad(report) == bad(without) != set()
    assert report.not_looked == ()


def test_a_server_that_is_down_is_no_pass(stage):
    stage.lab._server.stop()
    report = run(stage.lab, user="ops", password=servers.OPS)
    assert report.exit_code == 2
    assert report.passed == report.findings == ()
    assert "lab.restart()" in why(report, "no-login")
    assert run("mongodb://127.0.0.1:1").exit_code == 2


def test_a_server_that_wants_a_clients_certificate(stage):
    server, authority = servers.short(30 * 86400, age_days=1)(stage.spare)
    text = f"net: {{tls: {{certificateKeyFile: {server}, CAFile: {authority}}}}}"
    stage.configure(text, without=("net.tls.allowConnectionsWithoutCertificates",))
    report = stage.audit()
    assert report.exit_code == 2
    assert "give cert" in why(report, "no-login")
    assert bad(stage.audit(cert=server)) == set()


def test_an_expired_certificate(stage):
    stage.configure("", without=("net.tls",))  # a restart that does not count against its seconds
    begun = time.monotonic()
    server, authority = servers.short(4)(stage.spare)
    stage.configure(f"net: {{tls: {{certificateKeyFile: {server}, CAFile: {authority}}}}}")
    time.sleep(max(0, 5 - (time.monotonic() - begun)))
    report = stage.audit()
    assert "certificate-expiry" in ids(report, "fix")
    assert "certificate-untrusted" not in ids(report)  # one fault, told once


def test_the_exception_is_closed_by_a_setting_too(open_lab):
    text = "security:\n  authorization: enabled\nsetParameter:\n  enableLocalhostAuthBypass: "
    open_lab.configure(text + "true", replace=True)
    assert "localhost-exception" in ids(run(open_lab), "fix")
    open_lab.configure(text + "false", replace=True)
    assert "localhost-exception" in run(open_lab).passed


# -- passwords and logins ---------------------------------------------------------------------


def test_a_password_is_guessed_without_a_login_and_its_traces_are_not_reported(open_lab):
    open_lab.configure("security: {authorization: enabled}", replace=True)
    with MongoClient(open_lab.inside.uri) as client:
        client.admin.command("createUser", "admin", pwd="changeme", roles=["root"])
    report = run(open_lab)
    told = next(f for f in report.findings if f.id == "weak-password")
    assert "'admin' is `changeme`" in told.what
    assert "failed-logins" in run(open_lab).passed
    somebody_fails(open_lab.inside.uri, "admin")
    told = next(f for f in run(open_lab).findings if f.id == "failed-logins")
    assert told.severity == "note"
    assert "admin from 127.0.0.1: 1" in told.evidence
    with MongoClient(open_lab.inside.uri, username="admin", password="changeme") as client:
        client.admin.command("dropUser", "admin")


def somebody_fails(uri, name):
    with pytest.raises(OperationFailure), MongoClient(uri, username=name, password="no") as client:
        client.admin.command("ping")


def test_with_a_login_no_password_is_tried_at_the_door(stage):
    before = len(stage.lab.log.read_text().split("Authentication failed"))
    with stage.admin() as client:
        stage.give(client, ["shop_part"], pwd="password", mechanisms=["SCRAM-SHA-1"])
    assert "weak-password" in ids(stage.audit(), "fix")
    assert len(stage.lab.log.read_text().split("Authentication failed")) == before


def test_an_empty_password_which_mongod_takes_for_scram_sha_1(stage):
    with stage.admin() as client:
        stage.give(client, ["shop_part"], pwd="", mechanisms=["SCRAM-SHA-1"])
    told = next(f for f in stage.audit().findings if f.id == "weak-password")
    assert told.what == "The password of 'shop_app' is empty."


# -- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "options", "error", "said"),
    [
        ("mongodb://192.168.1.4", {}, NotLoopback, "not an address of this machine"),
        ("mongodb://0.0.0.0", {}, NotLoopback, "every address"),
        ("mongodb+srv://cluster.example", {}, NotLoopback, "begin with mongodb://"),
        ("mongodb://ops:pw@127.0.0.1", {}, LeftOpenError, "holds a password"),
        ("mongodb://127.0.0.1,127.0.0.2", {}, LeftOpenError, "one at a time"),
        ("mongodb://127.0.0.1:http", {}, LeftOpenError, "not a port"),
        (27017, {}, LeftOpenError, "takes a lab or an address"),
        ("mongodb://127.0.0.1", {"user": "ops"}, LeftOpenError, "both user and password"),
        ("mongodb://127.0.0.1", {"ca": "/no/ca.pem"}, LeftOpenError, "no such file"),
        ("mongodb://127.0.0.1", {"client_uri": "localhost"}, LeftOpenError, "client's address"),
    ],
)
def test_arguments_that_cannot_be_used_are_said(server, options, error, said):
    with pytest.raises(error, match=said):
        run(server, **options)


def test_beyond():
    assert look.beyond(["127.0.0.1", "localhost", "::1", "/run/mongod.sock"]) == []
    assert look.beyond(["127.0.0.1", "*", "192.0.2.7"]) == ["*", "192.0.2.7"]
