"""The parts of the auditor of services: descriptions, values, tokens, answers, code."""

import json
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from leftopen.audit.backend import door, forge, objects, source
from leftopen.audit.backend.answers import _TELLS
from leftopen.audit.backend.door import _held_back
from leftopen.audit.backend.routes import Param, Pool, Route, fill, login_fields, read, subjects
from leftopen.audit.backend.web import Answer, Web
from leftopen.errors import NotLoopback

KEY = "a key of this test, as long as it should be"


def answer(status=200, text="", kind="application/json", **headers):
    return Answer("GET /x", status, {"content-type": kind, **headers}, text)


# -- descriptions --------------------------------------------------------------------------------

OPENAPI = {
    "openapi": "3.1.0",
    "servers": [{"url": "/api"}],
    "paths": {
        "/people/{person}": {
            "parameters": [{"$ref": "#/components/parameters/person"}],
            "get": {"security": [{"bearer": []}], "responses": {"200": {}}},
            "delete": {"responses": {"204": {}}},
            "summary": "no method",
        },
        "/live": {"get": {"responses": {"200": {"content": {"text/event-stream": {}}}}}},
        "/login": {
            "post": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/L"}}}
                }
            }
        },
    },
    "components": {
        "parameters": {"person": {"name": "person", "in": "path", "schema": {"type": "integer"}}},
        "schemas": {
            "L": {
                "required": ["account", "password"],
                "properties": {
                    "account": {"type": "string"},
                    "password": {"type": "string"},
                    "device": {"type": "string"},
                },
            }
        },
    },
}


def test_openapi_3_is_read_with_its_references_and_its_base():
    routes = {route.name: route for route in read(OPENAPI)}
    assert set(routes) == {
        "GET /api/people/{person}",
        "DELETE /api/people/{person}",
        "GET /api/live",
        "POST /api/login",
    }
    person = routes["GET /api/people/{person}"]
    assert person.secured
    assert not routes["DELETE /api/people/{person}"].secured
    assert [(p.name, p.kind) for p in person.places] == [("person", "integer")]
    assert routes["GET /api/live"].streams
    assert routes["POST /api/login"].is_login
    fields, form = login_fields(OPENAPI, routes["POST /api/login"])
    assert (set(fields), form) == ({"account", "password"}, "json")


def test_a_base_that_the_address_holds_is_left_out():
    assert {route.path for route in read(OPENAPI, "/api")} == {
        "/people/{person}",
        "/live",
        "/login",
    }


def test_swagger_2_is_read():
    told = {
        "swagger": "2.0",
        "basePath": "/v1",
        "security": [{"key": []}],
        "paths": {
            "/a": {"get": {"parameters": [{"name": "limit", "in": "query", "type": "integer"}]}}
        },
    }
    (route,) = read(told)
    assert route.name == "GET /v1/a"
    assert route.secured
    assert route.query[0].kind == "integer"


@pytest.mark.parametrize(
    "broken", [{}, {"paths": []}, {"paths": {"/a": None}}, {"paths": {"a": {"get": {}}}}]
)
def test_what_is_no_description_has_no_routes(broken):
    assert read(broken) == []


# -- values --------------------------------------------------------------------------------------


def number(name):
    return Param(name, {"type": "integer"})


def test_values_come_from_the_claims_then_from_answers_then_from_the_description():
    pool = Pool({"person": 17, "sub": "r-17"})
    pool.add(Route("GET", "/people"), [{"person": 3, "flat": "A"}, {"person": 4}])
    route = Route("GET", "/people/{person}", (number("person"),))
    assert pool.addresses(route)[:3] == ["/people/17", "/people/3", "/people/4"]


@pytest.mark.parametrize(
    ("path", "param", "seen", "wanted"),
    [
        ("/items", number("item_id"), [{"id": 8}], "/items/8"),
        ("/", number("server"), {"servers": [5, 6]}, "/items/5"),
        (
            "/items",
            Param("name", {"type": "string"}),
            {"data": [{"name": "a/b ?"}]},
            "/items/a%2Fb%20%3F",
        ),
        ("/other", number("item_id"), [{"id": 8}], "/items/1"),  # another route's id is no item's
    ],
)
def test_a_path_is_filled_from_what_other_routes_answer(path, param, seen, wanted):
    pool = Pool({})
    pool.add(Route("GET", path), seen)
    assert pool.addresses(Route("GET", f"/items/{{{param.name}}}", (param,)))[0] == wanted


def test_a_query_that_is_needed_is_given():
    needed, other = Param("day", {"type": "string", "format": "date-time"}), Param("x", {}, False)
    (path, *_) = Pool({}).addresses(Route("GET", "/log", (), (needed, other)))
    assert path == "/log?day=2020-08-15T00%3A00%3A00Z"


def test_fill_keeps_the_order_of_the_places():
    assert fill(Route("GET", "/a/{x}/b/{y}"), (1, 2)) == "/a/1/b/2"


def test_a_subject_may_end_in_the_number_of_a_person():
    assert subjects("resident-17") == ["resident-17", 17]
    assert subjects("ada") == ["ada"]


def test_others_are_those_that_were_seen_and_those_beside():
    assert objects._neighbours(2, [2, 9]) == [9, 3, 1, 12, 102]
    assert objects._neighbours("B01", ["B01", "B02"]) == ["B02"]


# -- tokens --------------------------------------------------------------------------------------


def test_a_token_is_taken_apart_and_put_together_again():
    word = jwt.encode({"sub": "7", "exp": 1}, KEY, "HS256", {"kid": "k"})
    token = forge.Jwt.read(word)
    assert token.claims == {"sub": "7", "exp": 1}
    assert token.header["kid"] == "k"
    assert forge.Jwt.read(token.text()) == token


@pytest.mark.parametrize("word", ["", "opaque", "a.b", "a.b.c", "W10.W10.x"])
def test_another_word_is_no_token(word):
    with pytest.raises(ValueError, match=r"."):
        forge.Jwt.read(word)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_secret_is_known_by_its_signature_and_signs_again(algorithm):
    word = jwt.encode({"sub": "7"}, KEY, algorithm)
    assert forge.key_of(word, ["secret", KEY]) == KEY
    assert forge.key_of(word, ["secret"]) is None
    again = forge.signed(forge.Jwt.read(word), {"sub": "8"}, KEY)
    assert jwt.decode(again, KEY, [algorithm]) == {"sub": "8"}


def pem(key):
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def test_a_private_key_is_known_by_its_signature_and_signs_again():
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    word = jwt.encode({"sub": "7", "exp": 1}, key, "ES256")
    assert forge.key_of(word, [KEY, pem(other)]) is None
    assert forge.key_of(word, [KEY, pem(other), pem(key)]) == pem(key)
    again = forge.signed(forge.Jwt.read(word), {"sub": "8"}, pem(key))
    assert jwt.decode(again, key.public_key(), ["ES256"]) == {"sub": "8"}


# -- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "ok", "refused"),
    [
        (answer(200, "[]"), True, False),
        (answer(401), False, True),
        (answer(403), False, True),
        (answer(404), False, False),
        (answer(302, location="/login?next=/x"), False, True),
        (answer(307, location="/x/"), False, False),
        (answer(200, "<form><input type='password'></form>", "text/html"), False, True),
        (answer(200, "<h1>Hello</h1>", "text/html; charset=utf-8"), True, False),
    ],
)
def test_an_answer_is_granted_or_refused(given, ok, refused):
    assert (given.ok, given.refused) == (ok, refused)


def test_records_are_found_wherever_they_stand():
    rows = [{"a": 1}, {"a": 2}]
    for body in (rows, {"total": 2, "items": rows}):
        assert answer(text=json.dumps(body)).records == rows
    assert answer(text='{"a": 1}').records == [{"a": 1}]
    assert answer(text="nothing").records == []
    events = 'event: p\ndata: {"a": 1}\n\n: a comment\n\ndata: {"a": 2}\n\n'
    assert answer(text=events, kind="text/event-stream").records == rows


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"detail": "There is no resident 5."}', ""),
        ('{"detail": [{"loc": ["path", "person"], "msg": "Input should be an integer"}]}', ""),
        ('{"detail": "Select one of the servers from 1 to 4."}', ""),
        ('{"see": "https://docs.example/usr/guide.html"}', ""),
        ("Traceback (most recent call last):\n", "a traceback"),
        ("\tat org.example.Doors.open(Doors.java:12)\n", "a traceback"),
        ('{"error": "SELECT * FROM people WHERE id = x"}', "SQL, or the database's own words"),
        ("psycopg.errors.UndefinedTable", "SQL, or the database's own words"),
        ("cannot read /srv/doors/list.csv", "the server's own paths"),
        (r"cannot read C:\doors\list.csv", "the server's own paths"),
        ("no connection to postgresql://api:word@db:5432", "a login of the database"),
    ],
)
def test_what_an_error_tells(text, kind):
    assert {what for what, form in _TELLS.items() if form.search(text)} == ({kind} - {""})


def test_a_login_is_held_back_by_a_status_a_header_or_a_wait():
    def tried(status=401, seconds=0.1, **headers):
        return Answer("POST /login", status, headers, "", seconds)

    assert not _held_back([tried(), tried(seconds=0.4)])
    assert _held_back([tried(), tried(429)])
    assert _held_back([tried(), tried(**{"retry-after": "9"})])
    assert _held_back([tried(), tried(seconds=3.0)])


@pytest.mark.parametrize(
    ("waits", "found"),
    [
        ([0.1] * 12, ["unlimited-logins"]),
        ([0.1] * 3 + [3.0] + [0.1] * 9, ["unlimited-logins"]),  # a busy moment of the machine
        ([0.1] * 3 + [3.0, 3.0], []),
    ],
)
def test_one_slow_answer_is_no_limit_and_a_second_one_is(monkeypatch, waits, found):
    def ask(*_, **__):
        return Answer("POST /login", 401, {}, "", waits.pop(0))

    login = Route("POST", "/login"), {}
    monkeypatch.setattr(door, "where_to_log_in", lambda *_: login)
    look = SimpleNamespace(ask=ask, curl=lambda *_: "")
    assert [finding.id for finding in door.unlimited_logins(look)] == found
    assert waits == []


def test_only_this_machine_is_asked():
    with pytest.raises(NotLoopback):
        Web("192.0.2.7", 80, tls=False)


# -- code ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ('SECRET = "open-sesame"', ["SECRET"]),
        ('KEYS: dict = {"k1": "open-sesame"}', ["KEYS"]),
        ('KEY = os.environ.get("KEY", "open-sesame")', ["KEY"]),
        ('KEY = os.environ.get("KEY") or "open-sesame"', ["KEY"]),
        ('connect(password="open-sesame")', ["password"]),
        ('URL = "postgresql://api:open-sesame@127.0.0.1"', ["URL"]),
        ('KEY = os.environ["TOKEN_KEY"]', []),
        ('KEY_NAME = "TOKEN_KEY"', []),
        ('URL = "postgresql://api@127.0.0.1"', []),
        ('monkey = "a small animal"', []),
        ('message = "The password is wrong."', []),
    ],
)
def test_secrets_in_code(code, names):
    assert [row[2] for row in source.written({"main.py": code})] == names


def test_values_of_an_environment_and_those_inside_json():
    told = source.values({"A": "plain", "KEYS": '{"k1": "one", "k2": {"key": "two"}}'})
    assert {"plain", "one", "two"} <= set(told)
