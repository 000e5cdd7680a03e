"""Exercise 12, questions 2 to 4: clients as people write them, wrong ones and right ones."""

import contextlib
import functools
import socket
import ssl
import threading
import time

import psycopg
import pytest
from pymongo import MongoClient, common
from pymongo.errors import ServerSelectionTimeoutError
from wire_asked import Asked, question

from leftopen import loopback
from leftopen.checks import encrypt_the_wire_calls
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT
from leftopen.impostor import Impostor

mongodb = pytest.mark.needs("mongodb")
postgres = pytest.mark.needs("postgres")


@pytest.fixture(scope="module")
def asked(request):
    found = Asked(request.param)
    yield found
    found.lab.close()


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

    for connect in (by_its_name, patient, functools.partial(verifies)):
        assert asked.told(connect) == RIGHT, asked.at.tried


@mongodb
@question(2)
def test_a_login_that_is_refused_hides_nothing(asked):
    wrong = {"authSource": "sensenets"}
    lax = {"tlsAllowInvalidCertificates": True}
    assert asked.told(mongo(asked, **wrong)) == "no_login"
    assert len(asked.at.tried) == 4, "no impostor heard a word: each was tried"
    assert asked.told(mongo(asked, **wrong, **lax)) == "two_faults"
    assert asked.told(lambda host, port: MongoClient(host, port, tls=True, **lax)) == "two_faults"


def looks_first(ca, then):
    """Look at the certificate on a connection of its own."""

    def connect(host, port):
        trusts = ssl.create_default_context(cafile=ca)
        with socket.create_connection((host, port), 4) as plain:
            trusts.wrap_socket(plain, server_hostname=host).close()
        return then(host, port)

    return connect


@mongodb
@question(2)
def test_who_looks_on_another_connection_is_told_so(asked):
    ca = str(asked.lab.certificates.ca)
    lax = mongo(asked, tlsAllowInvalidCertificates=True)
    assert asked.told(looks_first(ca, lax)) == "another_connection"
    assert asked.told(looks_first(ca, mongo(asked))) == RIGHT


@mongodb
@question(2)
def test_whatever_looked_first_the_client_that_is_returned_has_to_look(asked):
    lax = mongo(asked, tlsInsecure=True)
    again = mongo(asked, tlsInsecure=True, retryReads=False, serverSelectionTimeoutMS=1000)
    kept = []

    def looks(host, port):
        kept.append(mongo(asked, serverSelectionTimeoutMS=1500)(host, port))
        kept[-1].admin.command("ping")

    def looked(then, times):
        def connect(host, port):
            for _ in range(times):
                looks(host, port)
            client = then(host, port)
            if times > 1:
                client.admin.command("ping")
            return client

        return connect

    for then, times in ((lax, 1), (again, 3)):
        assert asked.told(looked(then, times)) == "another_connection", (times, asked.at.tried)
        assert asked.at.tried[-1].endswith("(SCRAM exchange)")
    assert asked.told(looked(mongo(asked), 2)) == RIGHT
    for client in kept:
        client.close()


@mongodb
@question(2)
def test_who_looks_for_one_of_the_two_names_alone_is_told_so(asked):
    def numbers_alone(host, port):
        return mongo(asked, tlsAllowInvalidHostnames=host != "127.0.0.1")(host, port)

    assert asked.told(numbers_alone) == "any_name"


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
    for how in ({}, {"tlsAllowInvalidCertificates": True}):
        one = mongo(asked, **how)("127.0.0.1", asked.lab.inside.port)
        told = asked.told(lambda host, port: one)  # noqa: B023
        assert told == "elsewhere"  # although it is closed after its first call
    one = mongo(asked)("127.0.0.1", asked.lab.inside.port)
    by_number = mongo(asked)

    def for_a_name(host, port):
        return one if host == "localhost" else by_number(host, port)

    assert asked.told(for_a_name) == "elsewhere"
    kept = []

    def connect(host, port):
        if not kept:
            kept.append(port)
        return mongo(asked)(host, kept[0])

    assert asked.told(connect) == "elsewhere"


@mongodb
@question(2)
def test_mistakes_in_a_function_are_the_cell_s(asked, monkeypatch):
    monkeypatch.setattr(encrypt_the_wire_calls, "_PATIENCE", 0.5)

    def hangs(host, port):
        time.sleep(60)

    def closed(client):
        client.close()
        return client

    def stopped(host, port):
        raise KeyboardInterrupt

    for connect, words in (
        (lambda host, port: None, "is NoneType. It is to be MongoClient"),
        (lambda host, port: "mongodb://", "is str"),
        (lambda host, port: MongoClient(host, port, tsl=True), "Unknown option"),
        (lambda host, port: closed(mongo(asked)(host, port)), "after close"),
        (stopped, "It raised KeyboardInterrupt$"),
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
    bound, scram = {"channel_binding": "require"}, {"require_auth": "scram-sha-256"}
    dicts = {"row_factory": psycopg.rows.dict_row}
    for how, wanted in (
        ({"sslmode": "verify-full", **ca, "hostaddr": "127.0.0.1"}, RIGHT),
        ({"sslmode": "verify-full", **ca, **bound}, RIGHT),
        ({"sslmode": "verify-full", **ca, **dicts, "autocommit": True}, RIGHT),
        ({"sslmode": "verify-ca", **ca, **bound}, "bound_alone"),
        (bound, "bound_alone"),
        ({"sslmode": "require", **scram}, "bound_alone"),
        (scram, "falls_back"),
        ({"sslmode": "require", **dicts}, "any_certificate"),
        ({"sslmode": "require", **ca}, "any_name"),
        ({"sslmode": "allow"}, "falls_back"),
        ({"sslmode": "prefer", **ca}, "falls_back"),
        ({"sslmode": "require", "channel_binding": "disable"}, "any_certificate"),
        ({"sslmode": "verify-full"}, "trusts_nobody"),
        ({"sslmode": "verify-full", **ca, "password": "another"}, "no_login"),
        ({"sslmode": "verify-full", **ca, "dbname": "postgres"}, "no_login"),
        ({"sslmode": "verify-full", **ca, "dbname": "doors_2"}, "no_login"),
        ({"sslmode": "require", "password": "another"}, "two_faults"),
        ({"dbname": "postgres"}, "two_faults"),
    ):
        assert asked.told(sql(asked, **how)) == wanted, (how, asked.at.tried)


@postgres
@question(3)
def test_clients_of_postgresql_that_look_elsewhere_or_not_at_all(asked):
    ca = str(asked.lab.certificates.ca)
    full = {"sslmode": "verify-full", "sslrootcert": ca}

    def looks_and_goes(host, port):
        sql(asked, **full)(host, port).close()
        return sql(asked, sslmode="require")(host, port)

    def numbers_alone(host, port):
        return sql(asked, **(full if host == "127.0.0.1" else {"sslmode": "require"}))(host, port)

    def looks(times, **then):
        def connect(host, port):
            for _ in range(times):
                sql(asked, **full)(host, port).close()
            return sql(asked, **then)(host, port)

        return connect

    def goes_between(host, port):
        sql(asked, **full)(host, port).close()
        sql(asked, sslmode="require")(host, port).close()
        return sql(asked, **full)(host, port)

    assert asked.told(looks_and_goes) == "another_connection"
    for times in (2, 3, 7):
        assert asked.told(looks(times, sslmode="require")) == "another_connection", times
        assert len(asked.at.tried) == 7 + min(times, 5)
    assert asked.told(goes_between) == "another_connection"
    assert asked.told(looks(2, **full)) == RIGHT
    assert asked.told(numbers_alone) == "any_certificate"
    kept = sql(asked, sslmode="require")("127.0.0.1", asked.lab.inside.port)
    assert asked.told(lambda host, port: kept) == "elsewhere"


class Kept(Impostor):
    """An impostor whose port no later one gets: by chance one does in some 700 runs."""

    def close(self):
        super().close()
        with contextlib.suppress(OSError):  # another program has it
            held.append(loopback.reserve(self.port))


held = []


@postgres
@question(3)
def test_a_call_that_hangs_is_not_made_again(asked, monkeypatch):
    monkeypatch.setattr(encrypt_the_wire_calls, "_SHORT", 0.2)
    monkeypatch.setattr(encrypt_the_wire_calls, "Impostor", Kept)
    full = {"sslmode": "verify-full", "sslrootcert": str(asked.lab.certificates.ca)}
    true, called, enough = asked.lab.inside.port, [], threading.Event()

    def connect(host, port):
        if port != true:
            called.append(port)
            enough.wait(30)
            raise ConnectionError
        return sql(asked, **full)(host, port)

    try:
        asked.told(connect)
    finally:
        enough.set()
        while held:
            held.pop().close()
    assert len(called) == len(set(called)) == 6


@postgres
@question(3)
def test_mistakes_that_are_none_of_tls_are_named(asked):
    full = {"sslmode": "verify-full", "sslrootcert": str(asked.lab.certificates.ca)}

    def closed(host, port):
        with sql(asked, **full)(host, port) as connection:
            return connection

    def failed(host, port):
        connection = sql(asked, **full)(host, port)
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT nothing")
        return connection

    for connect, words in (
        (sql(asked, sslmode="verify_full"), "invalid sslmode"),
        (sql(asked, ssl="on"), "invalid connection option"),
        (closed, "connection is closed"),
        (failed, "transaction is aborted"),
        (lambda host, port: MongoClient(host, port), "is MongoClient. It is to be Connection"),
    ):
        with pytest.raises(BadAnswer, match=words):
            asked.told(connect)


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

    assert asked.told(connect) == "two_faults"
