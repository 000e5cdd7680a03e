"""The parts of PostgreSQL's auditor that need no server: lines, stored passwords, strings."""

import contextlib
import socket
import struct
import threading

import pytest
from audits import ids

from leftopen import loopback
from leftopen.audit import holes, run
from leftopen.audit.look import Target
from leftopen.audit.postgres import accounts, client, grants, hba, rows, startup, traces

NOBODY = "postgresql://127.0.0.1:1"  # nothing listens there
BOSS, DOOR, GUARD = "postgres", "door_service", "guard"
ROLES = {BOSS: [], DOOR: [], GUARD: ["people"]}
GOALS = {role: ["doors_1", "doors_2"] for role in ROLES}


# -- pg_hba.conf, in the order of its lines ---------------------------------------------------


def rule(text, number=1):
    kind, databases, users, *rest = text.split()
    address, method = ("", rest[0]) if kind == "local" else rest
    network, _, mask = address.partition("/")
    masks = {"0": "0.0.0.0", "8": "255.0.0.0", "24": "255.255.255.0", "32": "255.255.255.255",
             "128": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}  # fmt: skip
    if network == "::" and mask:
        masks = {"0": "::"}
    return hba.Rule(number, kind, tuple(databases.split(",")), tuple(users.split(",")), network,
                    masks.get(mask, ""), method)  # fmt: skip


def rules(text):
    return [rule(line, n) for n, line in enumerate(text.strip().splitlines(), start=1)]


def reached(text, tls=True, in_a_lab=False):
    """Line -> where, how, who: what the line decides about."""
    found = hba.reaches(rules(text), ROLES, GOALS, tls, in_a_lab)
    return {r.rule.line: {(c.place, c.way, c.role) for c in r.clients} for r in found}


def places(text, line, **more):
    return {place for place, _, _ in reached(text, **more)[line]}


EVERY = {(place, way, role) for place in (hba.HERE, hba.ANYWHERE) for way in ("tls", "clear")
         for role in ROLES}  # fmt: skip


def test_the_first_line_that_fits_decides():
    found = reached("host all all all trust\nhostssl all all all scram-sha-256")
    assert found == {1: EVERY, 2: set()}
    found = reached("hostssl all all all scram-sha-256\nhost all all all trust")
    assert {way for _, way, _ in found[2]} == {"clear"}
    assert {way for _, way, _ in found[1]} == {"tls"}


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("host all all 0.0.0.0/0 trust", 1, {hba.HERE, hba.ANYWHERE}),
        ("host all all ::/0 trust", 1, {hba.HERE, hba.ANYWHERE}),
        ("host all all all trust", 1, {hba.HERE, hba.ANYWHERE}),
        ("host all all 127.0.0.1/32 trust", 1, {hba.HERE}),
        ("host all all samehost trust", 1, {hba.HERE}),
        ("host all all samenet trust", 1, {hba.HERE, hba.NAMED}),
        ("host all all 10.0.0.0/8 trust", 1, {hba.NAMED}),
        ("host all all db.example trust", 1, set()),
        ("host all all 10.0.0.0/8 reject\nhost all all all trust", 2, {hba.HERE, hba.ANYWHERE}),
        ("host all all all reject\nhost all all 10.0.0.0/8 trust", 2, set()),
        # what is left of a network between two others that were taken out of it
        ("host all all 10.0.0.0/24 reject\nhost all all 10.255.255.0/24 reject\n"
         "host all all 10.0.0.0/8 trust", 3, {hba.NAMED}),
        # an example's own network does not make a stranger of it
        ("host all all 192.0.2.0/24 trust", 1, {hba.NAMED}),
    ],
)  # fmt: skip
def test_where_the_clients_of_a_line_come_from(text, line, expected):
    assert places(text, line) == expected


def test_in_a_lab_the_internet_has_an_address_of_loopback():
    text = "host all all 127.0.0.1/32 reject\nhost all all 127.0.0.0/8 trust"
    assert places(text, 2, in_a_lab=True) == {hba.ANYWHERE}
    assert places(text, 2) == {hba.HERE}
    assert places("host all all 127.0.0.2/32 trust", 1, in_a_lab=True) == {hba.ANYWHERE}
    assert places("host all all 127.0.0.1/32 trust", 1, in_a_lab=True) == {hba.HERE}


@pytest.mark.parametrize(
    ("kind", "tls", "ways"),
    [
        ("host", True, {"tls", "clear"}),
        ("host", False, {"clear"}),
        ("hostssl", True, {"tls"}),
        ("hostssl", False, set()),
        ("hostnossl", True, {"clear"}),
        ("hostgssenc", True, set()),
        ("hostnogssenc", True, {"tls", "clear"}),
        ("local", True, {"socket"}),
    ],
)
def test_the_kind_of_a_line(kind, tls, ways):
    text = f"{kind} all all {'' if kind == 'local' else 'all '}trust"
    assert {way for _, way, _ in reached(text, tls)[1]} == ways


@pytest.mark.parametrize(
    ("databases", "users", "roles"),
    [
        ("all", "all", {BOSS, DOOR, GUARD}),
        ("all", DOOR, {DOOR}),
        ("all", "+people", {GUARD}),
        ("all", "+guard", {GUARD}),
        ("all", "/^door", {DOOR}),
        ("doors_1", "all", {BOSS, DOOR, GUARD}),
        ("/^doors", "all", {BOSS, DOOR, GUARD}),
        ("other", "all", set()),
        ("sameuser", "all", set()),
        ("replication", "all", set()),
    ],
)
def test_for_whom_a_line_is(databases, users, roles):
    found = reached(f"host {databases} {users} all trust")[1]
    assert {role for _, _, role in found} == roles


def test_all_is_not_for_copies_of_the_server():
    assert rule("host replication all all trust").is_for("clear", BOSS, [], "replication")
    assert not rule("host all all all trust").is_for("clear", BOSS, [], "replication")


@pytest.mark.parametrize(
    ("above", "below", "covers"),
    [
        ("host all all all", "hostssl doors_1 guard 10.0.0.0/8", True),
        ("hostssl all all all", "host all all all", False),
        ("host doors_1 all all", "host doors_1,doors_2 all all", False),
        ("host all guard all", "host all all all", False),
        ("host all all 10.0.0.0/8", "host all all 10.0.0.0/24", True),
        ("host all all 10.0.0.0/24", "host all all 10.0.0.0/8", False),
        ("host all all 0.0.0.0/0", "host all all all", False),  # IPv6 is left
        ("host all all all", "host replication all all", False),
        ("host all all all", "host all all db.example", False),
    ],
)
def test_a_line_that_hides_another(above, below, covers):
    assert rule(f"{above} trust").covers(rule(f"{below} scram-sha-256")) is covers


def test_a_line_is_shown_as_people_write_it():
    assert rule("host all all 10.0.0.0/8 trust").text == "host all all 10.0.0.0/8 trust"
    assert rule("local all all peer").text == "local all all peer"


# -- stored passwords -------------------------------------------------------------------------

# RFC 7677, section 3: the password pencil, 4096 rounds, this salt. Keys by RFC 5802, section 3.
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
STORED = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
SERVER = "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
PENCIL = f"SCRAM-SHA-256$4096:{SALT}${STORED}:{SERVER}"


@pytest.mark.parametrize(
    ("name", "word", "stored", "fits"),
    [
        ("user", "pencil", PENCIL, True),
        ("user", "pencils", PENCIL, False),
        ("other", "pencil", PENCIL, True),  # SCRAM leaves the name out
        ("user", "pencil", PENCIL.replace("4096", "4095"), False),
        ("user", "pencil", "", False),
        ("user", "pencil", "something else", False),
    ],
)
def test_a_word_is_held_against_what_is_stored(name, word, stored, fits):
    assert accounts.fits(name, word, stored) is fits


# -- policies, functions, settings ------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "always"),
    [
        ("true", True),
        ("(true)", True),
        ("(1 = 1)", True),
        ("(building = building)", True),
        ("(building = 'B01'::text)", False),
        ("false", False),
        ("", False),
        ("(pg_has_role(CURRENT_USER, building, 'member'::text))", False),
        ("((a = b) OR (b = a))", False),
    ],
)
def test_a_condition_that_is_always_true(condition, always):
    assert rows.is_always_true(condition) is always


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("pg_catalog, pg_temp", True),
        ("public, pg_temp", True),
        ('"", pg_temp', True),
        ('""', True),
        ("pg_catalog", True),
        ("public", False),
        ("pg_temp, public", False),
    ],
)
def test_a_search_path_that_is_closed(path, closed):
    assert grants._is_closed(path) is closed


@pytest.mark.parametrize(
    ("name", "value", "writes"),
    [
        ("log_statement", "all", True),
        ("log_statement", "mod", True),
        ("log_statement", "ddl", False),
        ("log_statement", "none", False),
        ("log_min_duration_statement", "0", True),
        ("log_min_duration_statement", "-1", False),
        ("log_parameter_max_length_on_error", "-1", True),
        ("log_parameter_max_length_on_error", "0", False),
        ("log_transaction_sample_rate", "0.01", True),
        ("log_transaction_sample_rate", "0", False),
        ("work_mem", "0", False),
    ],
)
def test_a_setting_that_writes_statements_down(name, value, writes):
    assert traces._writes(name, value) is writes


# -- what an application says -----------------------------------------------------------------

RIGHT = "sslmode=verify-full&sslrootcert=ca.pem"
CLIENTS = [
    (f"postgresql://app@db.example/doors_1?{RIGHT}", set()),
    ("host=db.example user=app sslmode=verify-full sslrootcert=ca.pem", set()),
    ("postgresql://app@db.example/doors_1", set()),  # in clear, and no server here has TLS
    (f"postgresql://app:pw@db.example/doors_1?{RIGHT}", {"client-password"}),
    (f"host=db.example password=pw {RIGHT.replace('&', ' ')}", {"client-password"}),
    ("postgresql://app@db.example/?sslmode=require", {"client-insecure"}),
    ("postgresql://app@db.example/?sslmode=require&sslrootcert=ca.pem", {"client-any-host"}),
    ("postgresql://app@db.example/?sslmode=verify-ca&sslrootcert=ca.pem", {"client-any-host"}),
    ("postgresql://app@db.example/?sslmode=verify-full", {"client-no-ca"}),
    ("postgresql://app@/doors_1?host=/run/postgresql&sslmode=disable", set()),
]


@pytest.mark.parametrize(("uri", "expected"), CLIENTS)
def test_the_applications_string_is_judged(uri, expected):
    assert ids(run(NOBODY, client_uri=uri)) == expected


def test_the_account_and_the_hosts_of_an_application():
    told = client.parse(Target("127.0.0.1", 1, client_uri="postgresql://a%40b:p@x,y:6000/d"))
    assert (told.user, told.hosts, told.has_password) == ("a@b", ("x", "y"), True)
    assert told.sslmode == "prefer"
    assert not told.by_socket


def test_a_password_in_the_string_is_never_told():
    report = run(NOBODY, client_uri="postgresql://shop:sesame-open@db.example/d")
    assert "sesame-open" not in repr(report) + report._repr_html_()


# -- the server's first answer ----------------------------------------------------------------


def answered(reply):
    """What a client makes of a server that gives this answer and hangs up."""
    with loopback.listen() as server:

        def serve():
            sock, _ = server.accept()
            with sock, contextlib.suppress(OSError):  # the client may be gone
                sock.recv(1000)
                sock.sendall(reply)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1000)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            return startup.begin("127.0.0.1", server.getsockname()[1], False, "app", "doors_1")
        finally:
            thread.join(5)


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


@pytest.mark.parametrize(
    ("number", "method"), [(0, "none"), (3, "password"), (5, "md5"), (10, "scram-sha-256")]
)
def test_a_method_is_read_from_the_first_answer(number, method):
    told = answered(message(b"R", struct.pack("!i", number)))
    assert (told.method, told.let_in) == (method, number == 0)


def test_a_refusal_is_read_and_what_says_nothing_is_none():
    refused = answered(message(b"E", b"SFATAL\0C28000\0Mno entry\0\0"))
    assert (refused.method, refused.code, refused.words) == ("", "28000", "no entry")
    for reply in (
        message(b"E", b"SFATAL\0C57P03\0Mstarting up\0\0"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"R",
    ):
        with pytest.raises(ConnectionError):
            answered(reply)


# -- versions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "name", "has"),
    [
        ("15.19", "CVE-2026-6460", True),
        ("15.20", "CVE-2026-6460", False),
        ("18.6", "CVE-2026-14680", False),
        ("18.5", "CVE-2026-14680", True),
        ("15.8", "CVE-2024-10976", True),
        ("15.9", "CVE-2024-10976", False),
        ("17.12", "", False),
        ("19.0", "", False),
    ],
)
def test_a_version_and_its_holes(version, name, has):
    found = {hole.cve for hole in holes.holes("PostgreSQL") if hole.is_in(version)}
    assert (name in found) is has if name else not found
    assert all(h.source and h.published and h.confidence for h in holes.holes("PostgreSQL"))
