"""The auditor of an HTTP service: real services with one fault each, and right ones."""

import functools
import json
import re

import jwt
import pytest
import seeded_backend as seeded
from seeded_backend import FAULTS, FIX, RIGHT

from leftopen import audit, cli
from leftopen.audit import backend
from leftopen.engines.backend import Backend
from leftopen.engines.pki import make_pki
from leftopen.errors import LeftOpenError, NotLoopback

OPEN = """
from fastapi import FastAPI
app = FastAPI(openapi_url=None)

@app.get("/")
def about(): return {"service": "small"}

@app.get("/hidden/people", include_in_schema=False)
def people(): return [{"person": 1, "phone": "+1-201-555-0101"}]
"""


@pytest.fixture(scope="module", autouse=True)
def who_listens_is_asked_once():
    """It reads the connections of every process, and the answer for one port stays the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend.door, "listening", functools.cache(backend.door.listening))
        yield


@pytest.fixture(scope="module")
def stage():
    stage = seeded.Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def small():
    with_login = Backend({"main.py": OPEN}, {})
    yield with_login
    with_login.close()


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_and_nothing_else(stage, tmp_path, fault):
    assert seeded.found(stage.audit(fault, tmp_path)) == fault.finds


@pytest.mark.parametrize("fault", RIGHT, ids=lambda fault: fault.name)
def test_a_right_service_is_clean(stage, tmp_path, fault):
    report = stage.audit(fault, tmp_path)
    assert seeded.found(report) == {}
    assert report.exit_code == (0 if fault.token else 2), report.not_looked
    assert {"open-docs", "telling-errors", "cors-open"} <= set(report.passed)
    if fault.token:
        assert {"open-routes", "others-objects", "token-expired"} <= set(report.passed)
    else:  # its description is behind the login, so it is not known what there is
        assert {"open-routes", "others-objects"} <= {missed.id for missed in report.not_looked}


def test_every_check_has_a_fault_and_a_right_service(stage, tmp_path):
    entered = {e.id for e in audit.checks.CHECKS if e.run.__module__.startswith(backend.__name__)}
    elsewhere = {"secret-in-source", "service-in-clear", "service-old-tls", "service-certificate"}
    assert {name for fault in FAULTS for name in fault.finds} == entered - elsewhere


def test_nothing_was_changed(stage, tmp_path):
    """In the order of this file: after all the audits above."""
    for fault in (FAULTS[0], RIGHT[0]):
        stage.audit(fault, tmp_path)
    asked = re.findall(r'"(\w+) (\S+) HTTP', stage.backend.log.read_text())
    assert {method for method, _ in asked} == {"GET", "HEAD", "OPTIONS", "POST"}
    assert all(path.endswith("/login") for method, path in asked if method == "POST")


def test_logins_are_tried_a_few_times_only(stage, tmp_path):
    fault = next(f for f in FAULTS if "unlimited-logins" in f.finds)
    before = stage.backend.log.read_text().count("POST /no_login_limit/login")
    stage.audit(fault, tmp_path)
    assert (
        stage.backend.log.read_text().count("POST /no_login_limit/login") - before == 13
    )  # one more, with a NUL in the name


def test_a_report_holds_neither_token_nor_key(stage, tmp_path):
    fault = RIGHT[0]
    word = fault.token
    service = backend.service(f"{stage.backend.uri}/right", word)
    told = repr(backend.audit(service)) + repr(service)
    assert word not in told
    assert seeded.KEY not in repr(stage.audit(fault, tmp_path))


def test_without_the_key_other_claims_are_not_a_pass(stage):
    report = backend.audit(backend.service(f"{stage.backend.uri}/right", RIGHT[0].token))
    missed = {m.id for m in report.not_looked if "needs the key" in m.why}
    assert missed == {
        "token-algorithm",
        "token-expired",
        "token-without-expiry",
        "token-audience",
        "token-issuer",
    }
    assert {"token-alg-none", "token-signature", "token-weak-key"} <= set(report.passed)


def test_a_refused_token_is_told_first(stage):
    word = seeded.token(seeded.RESIDENT, exp=1)
    report = backend.audit(backend.service(f"{stage.backend.uri}/right", word))
    assert "the token is refused: GET" in report.summary
    assert {"token-signature", "others-objects"} <= {m.id for m in report.not_looked}


def test_a_token_that_is_no_jwt_has_nothing_to_change(stage):
    report = backend.audit(backend.service(f"{stage.backend.uri}/right", "opaque-word"))
    assert "others-objects" in {m.id for m in report.not_looked}


def test_a_description_from_a_file_leads_to_closed_routes(stage, tmp_path):
    file = tmp_path / "openapi.json"
    paths = {"/rooms/{room}": {"get": {"parameters": [{"name": "room", "in": "path"}]}}}
    file.write_text(json.dumps({"openapi": "3.1.0", "paths": paths}))
    service = backend.service(f"{stage.backend.uri}/error_with_sql", RIGHT[0].token, config=file)
    assert "telling-errors" in seeded.found(backend.audit(service))
    file.write_text("not JSON")
    service = backend.service(f"{stage.backend.uri}/right", config=file)
    assert "openapi.json is no OpenAPI description" in repr(backend.audit(service))


def test_a_path_that_is_meant_to_be_open_is_no_finding(stage):
    place = f"{stage.backend.uri}/open_list"
    report = audit(backend=place, wanted=["/buildings"])
    assert "open-routes" not in seeded.found(report)
    assert "open-routes" in seeded.found(audit(backend=place))


def test_routes_that_the_code_hides_are_found_in_a_lab(small):
    report = backend.audit(backend.service(small))
    assert seeded.found(report)["open-personal-data"] is FIX
    assert "/hidden/people" in repr(report)
    assert "/hidden/people" not in repr(backend.audit(backend.service(small.uri)))


def test_a_secret_in_the_code_is_found(small):
    assert "secret-in-source" not in seeded.found(backend.audit(backend.service(small)))
    small.write("keys.py", 'import os\n\nTOKEN_KEY = os.environ.get("TOKEN_KEY", "a-word-of-ours")')
    report = backend.audit(backend.service(small))
    (finding,) = [f for f in report.findings if f.id == "secret-in-source"]
    assert finding.evidence == "keys.py, line 3: TOKEN_KEY = …"
    assert "a-word-of-ours" not in repr(report)


def test_plain_http_beyond_this_machine(small, monkeypatch):
    assert seeded.found(backend.audit(backend.service(small)))["service-in-clear"] == "note"
    clear = "leftopen.audit.backend.door.listening"
    for address, wanted in (("127.0.0.1", False), ("0.0.0.0", True)):
        monkeypatch.setattr(clear, lambda port, a=address: [(a, None)])
        found = seeded.found(backend.audit(backend.service(small.uri)))
        assert (found.get("service-in-clear") is FIX) is wanted


def test_a_service_that_listens_here_alone_is_asked_here(small):
    small.set_environment(UVICORN_HOST="127.0.0.1")
    report = backend.audit(backend.service(small))
    small.set_environment(UVICORN_HOST="0.0.0.0")
    assert "service-in-clear" in {left.id for left in report.left_out}
    assert "at lab.backend.uri: GET" in repr(report)


def test_a_name_of_this_machine_will_do(small):
    report = audit(backend=small.uri.replace("127.0.0.1", "localhost"))
    assert "open-docs" in report.passed
    (missed,) = report.not_looked
    assert (missed.id, "usual places alone" in missed.why) == ("open-routes", True)


def test_a_service_that_stands_still_is_not_a_pass(small):
    service = backend.service(small)
    small.stop()
    report = backend.audit(service)
    small.restart()
    assert set(report.passed) <= {"secret-in-source"}  # its code can be read all the same
    assert report.exit_code
    assert "lab.backend.restart()" in repr(report)


def test_a_slow_or_a_large_service_has_an_end(stage, monkeypatch):
    place = backend.service(f"{stage.backend.uri}/right")
    monkeypatch.setattr(backend.look, "MOST_ROUTES", 2)
    assert "further routes were not asked: this audit asks 2" in repr(backend.audit(place))
    monkeypatch.setattr(backend.look, "MOST_SECONDS", 0.0)
    report = backend.audit(place)
    assert "answers too slowly" in repr(report)
    assert "open-routes" in {missed.id for missed in report.not_looked}


def test_tls_and_its_certificate(tmp_path):
    pki = make_pki(tmp_path / "pki")
    environment = {
        "UVICORN_SSL_CERTFILE": str(pki.server_certificate),
        "UVICORN_SSL_KEYFILE": str(pki.server_key),
    }
    service = Backend({"main.py": OPEN}, environment)
    try:
        uri = service.uri.replace("http:", "https:")
        right = backend.audit(backend.service(uri, ca=pki.ca))
        assert {"service-certificate", "service-old-tls", "service-in-clear"} <= set(right.passed)
        other = make_pki(tmp_path / "other")
        wrong = backend.audit(backend.service(uri, ca=other.ca))
        assert seeded.found(wrong)["certificate-untrusted"] is FIX
    finally:
        service.close()


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ("http://192.0.2.7:8000", NotLoopback, "192.0.2.7"),
        ("http://0.0.0.0:8000", NotLoopback, "every address"),
        ("ftp://127.0.0.1", NotLoopback, "http://"),
        (8000, NotLoopback, "8000"),
        ("http://me:word@127.0.0.1:8000", LeftOpenError, "beside it: token"),
        ("http://127.0.0.1:99999", LeftOpenError, "no port"),
    ],
)
def test_an_address_elsewhere_is_refused(place, error, words):
    with pytest.raises(error, match=re.escape(words)):
        audit(backend=place)


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    here = "http://127.0.0.1:8000"
    for words, options in {
        "nothing to audit": {},
        "backend": {"server": "mongodb://127.0.0.1:27017", "token": "a.b.c"},
        "with a token": {"backend": here, "user": "ops", "password": "x"},
        "without the word Bearer": {"backend": here, "token": "Bearer a.b.c"},
        "no such file": {"backend": here, "key": tmp_path / "none"},
    }.items():
        with pytest.raises(LeftOpenError, match=words):
            audit(**options)


def test_the_command(stage, tmp_path, capsys):
    word, key = tmp_path / "token", tmp_path / "key"
    word.write_text(RIGHT[0].token + "\n")
    key.write_text(seeded.KEY + "\n")
    options = ["--token", str(word), "--key", str(key)]
    place = f"{stage.backend.uri}/right"
    assert cli.main(["audit", "--backend", place, *options]) == 0
    assert "every check could look" in capsys.readouterr().out
    assert cli.main(["audit", "--backend", place]) == 2
    capsys.readouterr()
    place = f"{stage.backend.uri}/open_people"
    assert cli.main(["audit", "--backend", place, "--format", "sarif"]) == 1
    results = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert {"open-routes", "open-personal-data"} <= {row["ruleId"] for row in results}
    assert cli.main(["audit", "--backend", place, "--token", str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert cli.main(["audit"]) == 2
    assert "nothing to audit" in capsys.readouterr().err


def test_the_tokens_of_these_tests_are_those_of_the_right_service():
    claims = jwt.decode(RIGHT[0].token, seeded.KEY, ["HS256"], audience="doors")
    assert claims["person"] == 17
