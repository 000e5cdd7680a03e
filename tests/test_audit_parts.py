"""The parts of the auditor that need no server: addresses, identifiers, log lines, forms."""

import json

import pytest
from bson import Binary

from leftopen.audit import client_uri, holes, run, sarif, traces
from leftopen.audit.personal import identifiers, kind_of
from leftopen.audit.report import Finding, NotLooked, Report, Severity
from leftopen.audit.roles import Grant
from leftopen.errors import LeftOpenError

NOBODY = "mongodb://127.0.0.1:1"  # nothing listens there


# -- the application's address ----------------------------------------------------------------

CLIENT = [
    ("mongodb://shop@db.example/?tls=true&tlsCAFile=ca.pem", set()),
    ("mongodb://shop@db.example/?TLS=true&tlscafile=ca.pem&tlsInsecure=false", set()),
    ("mongodb://db.example", set()),  # in clear, and there is no server here that speaks TLS
    ("mongodb://shop:pw@db.example/?tls=true&tlsCAFile=ca.pem", {"client-password"}),
    ("mongodb://db.example/?tls=true&tlsInsecure=true", {"client-insecure"}),
    ("mongodb://db.example/?tls=true&tlsAllowInvalidCertificates=true", {"client-insecure"}),
    ("mongodb://db.example/?ssl=true&ssl_cert_reqs=CERT_NONE&ssl_ca_certs=a", {"client-insecure"}),
    (
        "mongodb://db.example/?tls=true&tlsCAFile=a&tlsAllowInvalidHostnames=true",
        {"client-any-host"},
    ),
    ("mongodb://db.example/?ssl=true&ssl_match_hostname=false&ssl_ca_certs=a", {"client-any-host"}),
    ("mongodb://db.example/?tls=true", {"client-no-ca"}),
    ("mongodb+srv://db.example/", {"client-no-ca"}),  # TLS is on by default there
]


@pytest.mark.parametrize(("uri", "expected"), CLIENT)
def test_the_applications_address_is_judged_and_never_asked_for(uri, expected):
    assert {f.id for f in run(NOBODY, client_uri=uri).findings} == expected


def test_an_address_in_its_parts():
    client = client_uri.parse("mongodb://a%40b:p%3Aw@[::1]:27018,db.example/shop?tls=true")
    assert (client.user, client.has_password) == ("a@b", True)
    assert client.places == (("::1", 27018), ("db.example", 27017))
    assert not client_uri.parse("mongodb://ops@127.0.0.1").has_password
    for wrong in ("http://db.example", "mongodb://", "mongodb://h:port"):
        with pytest.raises(LeftOpenError):
            client_uri.parse(wrong)


def test_a_password_in_the_address_is_never_told():
    report = run(NOBODY, client_uri="mongodb://shop:sesame-open@db.example/?tls=true")
    for told in (repr(report), report._repr_html_(), json.dumps(sarif.to_sarif(report))):
        assert "client-password" in told
        assert "sesame-open" not in told


# -- identifiers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("00010119900101123X", "an 18-place identity number"),
        ("000101199013011234", ""),  # there is no 13th month
        ("someone@post.example", "an e-mail address"),
        ("@someone", ""),
        ("+49 30 1234567", "a phone number"),
        ("078-05-1120", "a social security number"),
        ("2019-02-1120", ""),
        ("GB82WEST12345698765432", "a bank account"),
        ("GB82WEST12345698765433", ""),
        ("4111111111111111", "a payment card"),
        ("4111111111111112", ""),
        (4111111111111111, ""),  # a number that counts something
        (True, ""),
        ("Person-7", ""),
    ],
)
def test_kind_of(value, kind):
    assert kind_of(value) == kind


def test_identifiers_are_told_by_value_and_by_name_but_not_when_encrypted():
    documents = [
        {
            "contact": {"eMail": f"p{n}@post.example"},
            "passport_number": f"X{n}",
            "ssn": Binary(b"sealed", 6),
            "amount": n,
            "note": "someone@post.example" if n == 0 else "",
        }
        for n in range(4)
    ]
    found = {i.field: (i.kind, i.hits) for i in identifiers(documents)}
    assert found == {
        "contact.eMail": ("an e-mail address", 4),
        "passport_number": ("a passport number", 4),
    }


# -- the log ----------------------------------------------------------------------------------


def failed(name, remote, ctx, speculative=False):
    attr = {"principalName": name, "remote": remote, "speculative": speculative}
    return json.dumps({"id": 20249, "ctx": ctx, "attr": attr}, separators=(",", ":"))


def metadata(app, remote, ctx):
    attr = {"remote": remote, "doc": {"application": {"name": app}}}
    return json.dumps({"id": 51800, "ctx": ctx, "attr": attr}, separators=(",", ":"))


def test_failed_logins_are_counted_once_and_the_audits_own_left_out():
    log = "\n".join(
        [
            failed("ops", "127.0.0.1:1", "conn1", speculative=True),
            failed("ops", "127.0.0.1:1", "conn1"),
            failed("gate", "127.0.0.2:1", "conn2", speculative=True),
            failed("ops", "127.0.0.1:3", "conn3"),
            metadata("leftopen audit", "127.0.0.1:3", "conn3"),
            metadata("shop", "127.0.0.1:1", "conn1"),
            'not JSON, with "id":20249, in it',
        ]
    )
    assert traces._failures(log) == {("ops", "127.0.0.1"): 1, ("gate", "127.0.0.2"): 1}


# -- versions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "cve", "has"),
    [
        ("6.0.5", "CVE-2025-14847", True),
        ("6.0.26", "CVE-2025-14847", True),
        ("6.0.27", "CVE-2025-14847", False),
        ("6.0.100", "CVE-2025-14847", False),
        ("4.2.24", "CVE-2025-14847", True),  # never mended
        ("7.0.40", "CVE-2026-82067", True),
        ("7.0.41", "CVE-2026-82067", False),
        ("6.0.5", "CVE-2026-82067", False),
        ("8.0.30-rc0", "CVE-2026-82067", False),
    ],
)
def test_a_version_and_its_holes(version, cve, has):
    assert any(h.cve == cve and h.is_in(version) for h in holes.holes("MongoDB")) is has


def test_each_row_of_the_table_says_where_it_is_from():
    rows = holes.holes("MongoDB")
    assert all(row.source and row.published and row.confidence and row.cwe for row in rows)
    assert {row.bites for row in rows} <= {*holes._CONDITIONS, "always"}
    assert {row.severity for row in rows} <= {"fix", "warn", "note"}


# -- roles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "actions", "broad"),
    [
        ({"db": "shop", "collection": "orders"}, ["find", "collMod"], False),
        ({"db": "shop", "collection": ""}, ["find", "insert", "dropCollection"], False),
        ({"db": "shop", "collection": ""}, ["dropDatabase"], True),
        ({"db": "", "collection": ""}, ["listCollections"], False),
        ({"db": "", "collection": ""}, ["update"], True),
        ({"db": "shop", "collection": ""}, ["createUser"], True),
        ({"anyResource": True}, ["find"], True),
        ({"cluster": True}, ["serverStatus"], False),
    ],
)
def test_what_a_custom_role_amounts_to(resource, actions, broad):
    grant = Grant("own", "shop", (), ({"resource": resource, "actions": actions},))
    assert bool(grant.too_broad) is broad


# -- forms ------------------------------------------------------------------------------------


def finding(severity, name="a-fault"):
    words = {"what": "What <b>.", "evidence": "tried → got", "why": "Because.", "cwe": "CWE-306"}
    return Finding(id=name, severity=severity, fix="net:\n  x: 1", retest="again()", **words)


def report(*findings, missed=()):
    rows = tuple(NotLooked(name, "no login") for name in missed)
    return Report("the lab", "6.0.5", findings, rows, ("fine",), (), ("the data",))


@pytest.mark.parametrize(
    ("findings", "missed", "code"),
    [
        ((), (), 0),
        ((finding(Severity.NOTE),), (), 0),
        ((finding(Severity.WARN),), (), 1),
        ((finding(Severity.FIX), finding(Severity.NOTE)), ("x",), 1),
        ((), ("x",), 2),
        ((finding(Severity.NOTE),), ("x",), 2),
    ],
)
def test_the_exit_code(findings, missed, code):
    assert report(*findings, missed=missed).exit_code == code


def test_the_text_and_the_html_say_the_same_without_colour_alone():
    told = report(finding(Severity.FIX), missed=("unseen",))
    text, html = repr(told), told._repr_html_()
    for word in ("a-fault", "tried → got", "Because.", "CWE-306", "again()", "unseen", "fine"):
        assert word in text
        assert word in html
    assert "✗ FIX  a-fault: What <b>." in text
    assert "What &lt;b&gt;." in html
    assert "✗ fix" in html
    assert list(told.table().columns) == ["severity", "id", "what", "evidence"]
    assert told.table().iloc[0].tolist() == ["fix", "a-fault", "What <b>.", "tried → got"]


def test_sarif_has_what_its_standard_requires():
    """SARIF 2.1.0, sections 3.13 to 3.58: the properties that "SHALL" be there."""
    faults = finding(Severity.FIX), finding(Severity.WARN, "b"), finding(Severity.NOTE, "b")
    log = json.loads(json.dumps(sarif.to_sarif(report(*faults, missed=("unseen",)))))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == ["a-fault", "b"]
    assert [result["level"] for result in one["results"]] == ["error", "warning", "note"]
    for result in one["results"]:
        assert result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        assert location["logicalLocations"][0]["fullyQualifiedName"] == "the lab"
    (invocation,) = one["invocations"]
    assert invocation["executionSuccessful"] is False
    (notice,) = invocation["toolExecutionNotifications"]
    assert notice["descriptor"]["id"] == "unseen"
    assert notice["message"]["text"] == "Could not look: no login"
    assert sarif.to_sarif(report())["runs"][0]["invocations"][0]["executionSuccessful"] is True
