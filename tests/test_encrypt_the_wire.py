"""Exercise 12: wrong answers that nobody is shown, each told its fault; and some right ones."""

import time

import psycopg
import pytest
from pymongo import MongoClient, common
from pymongo.errors import ServerSelectionTimeoutError
from wire_asked import Asked, question

from leftopen.checks import encrypt_the_wire_clients
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, UNTOUCHED
from leftopen.engines.pki import Authority

mongodb = pytest.mark.needs("mongodb")
postgres = pytest.mark.needs("postgres")


@pytest.fixture(scope="module")
def asked(request):
    found = Asked(request.param)
    yield found
    found.lab.close()


# -- 1: the server ------------------------------------------------------------------------------


def tls(lab, mode="requireTLS", more="allowConnectionsWithoutCertificates: true"):
    pki = lab.certificates
    files = f"certificateKeyFile: '{pki.server}', CAFile: '{pki.ca}'"
    return f"net: {{bindIp: 0.0.0.0, tls: {{mode: {mode}, {files}, {more}}}}}\n"


LOGIN = "security: {authorization: enabled}\n"


@mongodb
@question(1)
def test_the_mode_can_be_raised_step_by_step_while_the_server_runs(asked):
    lab = asked.lab
    assert asked.told() == UNTOUCHED
    lab.configure(tls(lab, "preferTLS") + "setParameter: {enableLocalhostAuthBypass: false}\n")
    assert asked.told() == "optional"
    lab.configure(tls(lab, "preferTLS"), replace=True)  # for a moment nobody has to log in
    with MongoClient(lab.inside.uri) as operator:
        operator.admin.command("setParameter", 1, tlsMode="requireTLS")
    assert asked.told() == "login_off"
    lab.configure(tls(lab) + LOGIN, replace=True)
    assert asked.told() == RIGHT


@mongodb
@question(1)
def test_other_certificates_and_protocols(asked):
    lab, pki = asked.lab, asked.lab.certificates
    one_name = pki.ca.parent / "one.pem"
    one_name.write_bytes(Authority("Mine").server(["localhost"], []))
    for text, wanted in (
        (tls(lab, more="allowConnectionsWithoutCertificates: false"), "clients_shut_out"),
        (tls(lab).replace(str(pki.ca), str(pki.server)), RIGHT),  # whom it trusts is not asked
        (tls(lab).replace(f"'{pki.server}'", f"'{one_name}'"), "not_trusted"),
        (
            tls(lab, more="allowConnectionsWithoutCertificates: true, disabledProtocols: TLS1_0")
            + "setParameter: {opensslCipherConfig: 'ALL:@SECLEVEL=0'}\n",
            "old_protocol",
        ),
    ):
        lab.configure(text + LOGIN, replace=True)
        assert asked.told() == wanted, text
    assert asked.at.values["protocol"] == "TLS 1.1"


# -- 2: a client of MongoDB -----------------------------------------------------------------------


def mongo(asked, **how):
    """A client as a learner would write it, with other options."""
    login = {"username": asked.task["account"], "password": asked.task["password"]}
    options = {"tls": True, "tlsCAFile": str(asked.lab.certificates.ca)}
    return lambda host, port: MongoClient(host, port, **options, **login, **how)


@mongodb
@question(2)
def test_clients_of_mongodb_that_are_right(asked):
    verifies = mongo(asked)

    def by_its_name(_, port):
        return verifies("localhost", port)

    def patient(host, port):
        client = mongo(asked, serverSelectionTimeoutMS=1500)(host, port)
        for _ in range(2):
            try:
                client.admin.command("ping")
            except ServerSelectionTimeoutError:
                continue
            break
        return client

    for connect in (by_its_name, patient):
        assert asked.told(connect) == RIGHT, asked.at.tried


@mongodb
@question(2)
def test_clients_of_mongodb_that_try_again_without_looking(asked):
    verifies = mongo(asked)

    def then_anybody(host, port):
        client = verifies(host, port)
        try:
            client.admin.command("ping")
        except ServerSelectionTimeoutError:
            client.close()
            return mongo(asked, tlsAllowInvalidCertificates=True)(host, port)
        return client

    def then_any_name(host, port):
        client = verifies(host, port)
        try:
            client.sensenets.trackers.find_one()
        except ServerSelectionTimeoutError:
            return mongo(asked, tlsAllowInvalidHostnames=True)(host, port)
        return client

    assert asked.told(then_anybody) == "any_certificate"
    assert asked.told(then_any_name) == "any_name"


@mongodb
@question(2)
def test_one_client_for_all_places_is_elsewhere(asked):
    kept = mongo(asked)("127.0.0.1", asked.lab.inside.port)
    assert asked.told(lambda host, port: kept) in ("elsewhere", RIGHT)  # it is closed after a call
    kept = []

    def connect(host, port):
        if not kept:
            kept.append(port)
        return mongo(asked)(host, kept[0])

    assert asked.told(connect) == "elsewhere"


@mongodb
@question(2)
def test_mistakes_in_a_function_are_the_cell_s(asked, monkeypatch):
    monkeypatch.setattr(encrypt_the_wire_clients, "_PATIENCE", 0.5)

    def hangs(host, port):
        time.sleep(60)

    for connect, words in (
        (lambda host, port: None, "returned a NoneType"),
        (lambda host, port: "mongodb://", "returned a str"),
        (lambda host: None, "TypeError"),
        (lambda host, port: undefined, "NameError"),  # noqa: F821
        (hangs, "did not come to an end"),
    ):
        with pytest.raises(BadAnswer, match=words):
            asked.told(connect)
    assert common.SERVER_SELECTION_TIMEOUT == 30


# -- 3: a client of PostgreSQL --------------------------------------------------------------------


def sql(asked, password=None, **how):
    login = {"user": asked.task["account"], "password": password or asked.task["password"]}
    where = {"dbname": "doors_1", **login, **how}
    return lambda host, port: psycopg.connect(host=host, port=port, **where)


@postgres
@question(3)
def test_clients_of_postgresql(asked):
    ca = {"sslrootcert": str(asked.lab.certificates.ca)}
    bound = {"channel_binding": "require"}
    for how, wanted in (
        ({"sslmode": "verify-full", **ca, "hostaddr": "127.0.0.1"}, RIGHT),
        ({"sslmode": "verify-full", **ca, **bound}, RIGHT),
        ({"sslmode": "verify-ca", **ca, **bound}, RIGHT),
        ({"sslmode": "require", **ca}, "any_name"),
        ({"sslmode": "allow"}, "falls_back"),
        ({"sslmode": "prefer", **ca}, "falls_back"),
        ({"sslmode": "require", "channel_binding": "disable"}, "any_certificate"),
        ({"sslmode": "verify-full"}, "trusts_nobody"),
        ({"sslmode": "verify-full", **ca, "password": "another"}, "no_login"),
        ({"sslmode": "verify-full", **ca, "dbname": "postgres"}, "no_login"),
    ):
        assert asked.told(sql(asked, **how)) == wanted, (how, asked.at.tried)


@postgres
@question(3)
def test_a_name_that_is_always_the_same_is_looked_at(asked):
    """Whoever writes the impostor's name into the client is told so by the true server."""
    ca = str(asked.lab.certificates.ca)

    def connect(_, port):
        place = {"host": "warehouse.localhost", "hostaddr": "127.0.0.1", "port": port}
        login = {"user": asked.task["account"], "password": asked.task["password"]}
        how = {"sslmode": "verify-full", "sslrootcert": ca, "dbname": "doors_1"}
        return psycopg.connect(**place, **login, **how)

    assert asked.told(connect) in ("trusts_nobody", "any_name")
