"""The Tongren service under the auditor: as it was found, and as lesson 11 closes it."""

import contextlib
import json

import httpx
import pytest
from seeded_backend import FIX, NOTE, WARN, found

from leftopen import audit
from leftopen.audit import backend
from leftopen.cases import tongren, tongren_api

pytestmark = pytest.mark.needs("postgres")
PASSWORD = "a password of api that nobody guesses"
KEY = "a key of this test, as long as it should be"
ACCOUNTS = (
    {"account": "ada", "password": "a word of ada's", "role": "resident", "person": 17},
    {"account": "bo", "password": "a word of bo's", "role": "manager", "building": "A01"},
)
# Every route is plain HTTP in a lab, which is a note there: nothing before the service ends TLS.
AS_FOUND = {
    "open-routes": FIX,
    "open-personal-data": FIX,
    "open-stream": FIX,
    "open-docs": WARN,
    "telling-errors": WARN,
    "unlimited-pages": WARN,
    "service-in-clear": NOTE,
}


@pytest.fixture(scope="module")
def open_lab():
    with contextlib.closing(tongren.small_lab(3, backend=tongren.backend_as_found())) as lab:
        yield lab


@pytest.fixture(scope="module")
def closed():
    def prepare(connect):
        tongren_api.prepare(connect, ["doors_1"], ACCOUNTS, PASSWORD)

    lab = tongren.small_lab(3, tongren.LOCKED, tongren_api.HBA, prepare, residents=120)
    with contextlib.closing(lab):
        environment = {
            "DATABASE_URL": lab.inside.uri_as("api", PASSWORD),
            "TOKEN_KEYS": json.dumps({"2026-1": KEY}),
        }
        lab.start_backend(tongren_api.closed_backend(), environment)
        yield lab.backend


def token(service, account, password):
    given = {"account": account, "password": password}
    answer = httpx.post(f"{service.uri}/login", json=given, trust_env=False)
    return answer.json()["access_token"]


def test_the_service_as_it_was_found(open_lab):
    report = backend.audit(backend.service(open_lab.backend))
    assert found(report) == AS_FOUND
    assert not report.not_looked
    (routes,) = [f for f in report.findings if f.id == "open-routes"]
    assert routes.what == "The service asks nobody for a login."
    (people,) = [f for f in report.findings if f.id == "open-personal-data"]
    for field in ("id_number", "born", "phone", "person"):
        assert f"{field}: " in people.evidence
    for told in ("id_number: an 18-place", "/visitors", "/passages"):
        assert told in people.evidence


def test_its_findings_stand_beside_those_of_the_database(open_lab):
    report = audit(open_lab)
    assert {**found(report), **AS_FOUND} == found(report)
    assert "no-login" in found(report)
    assert "the lab and its service" in report.summary
    alone = audit(backend=open_lab.backend.uri)
    assert set(found(alone)) == set(AS_FOUND) - {"service-in-clear"}


def test_what_the_audit_left_behind(open_lab):
    asked = open_lab.backend.log.read_text()
    assert not any(f'"{method} ' in asked for method in ("POST", "PUT", "PATCH", "DELETE"))


@pytest.mark.parametrize("account", [{}, *ACCOUNTS], ids=lambda a: a.get("account", "nobody"))
def test_the_closed_service_is_clean(closed, account):
    word = token(closed, account["account"], account["password"]) if account else ""
    report = backend.audit(backend.service(closed, word))
    # A manager is sent as many passages at once as there are in the building: a note too.
    assert {"service-in-clear": NOTE, "unlimited-pages": NOTE}.items() >= found(report).items()
    assert report.exit_code == (0 if account else 2)
    closed_routes = {"open-routes", "open-docs", "login-passed-by", "telling-errors"}
    assert closed_routes | {"unlimited-logins"} <= set(report.passed)
    if account:
        assert {"others-objects", "token-expired", "token-signature"} <= set(report.passed)
