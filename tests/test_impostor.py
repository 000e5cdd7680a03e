"""The impostor: it catches every client that does not verify, and none that does.

Each client is a driver with options, as a learner would write it. Beside it stands what must come
of it: which of the two impostors hear its login, and whether the true server answers it.
"""

import hashlib
import socket
import ssl

import psycopg
import pytest
from opensearchpy import OpenSearch, RequestsHttpConnection
from opensearchpy.exceptions import OpenSearchException
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from waiting import until

from leftopen import loopback
from leftopen.cases import smart_city
from leftopen.engines.pki import Authority
from leftopen.impostor import NO_TLS, OTHER_AUTHORITY, OTHER_NAME, Impostor
from leftopen.lab_mongodb import MongoLab
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.lab_postgres import PostgresLab
from leftopen.scram_wire import exchanges

NAME, PASSWORD = "gate", "lamp river-9"
SECRET = "nobody else reads this"
KINDS = (OTHER_AUTHORITY, OTHER_NAME)
BOTH, NONE = set(KINDS), set()
REFUSED = (PyMongoError, psycopg.Error, OpenSearchException)
TRIES = 3  # an impostor of PostgreSQL tries three things, one after the other
CONF = """listen_addresses = '*'
ssl = on
ssl_cert_file = 'pki/server.pem'
ssl_key_file = 'pki/server-key.pem'
"""
HBA = "hostssl all all all scram-sha-256"


# -- the three servers ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mongodb():
    def load(client):
        client.city.notes.insert_one({"_id": 1, "note": SECRET})
        client.admin.command("createUser", NAME, pwd=PASSWORD, roles=["readAnyDatabase"])

    lab = MongoLab("test", "net:\n  bindIp: 0.0.0.0\n", load)
    pki = lab.certificates
    lab.configure(
        f"net: {{tls: {{mode: requireTLS, certificateKeyFile: '{pki.server}', CAFile: '{pki.ca}', "
        "allowConnectionsWithoutCertificates: true}}\nsecurity: {authorization: enabled}"
    )
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def postgres():
    def load(connect):
        with connect("postgres") as operator:
            operator.execute(f"CREATE ROLE {NAME} LOGIN PASSWORD '{PASSWORD}'")
            operator.execute(f"CREATE TABLE notes AS SELECT '{SECRET}' AS note")
            operator.execute(f"GRANT SELECT ON notes TO {NAME}")

    lab = PostgresLab("test", CONF, HBA, load)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def opensearch():
    def load(client):
        client.index(index="notes", id="1", body={"note": SECRET}, refresh=True)

    files = smart_city.security_files(NAME, PASSWORD)
    lab = SearchLab("test", smart_city.LOCKED, load, files)
    yield lab
    lab.close()


@pytest.fixture(autouse=True)
def no_bundle_of_this_machine(monkeypatch):
    """The library requests prefers these to what a client says."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


# -- the clients: each logs in and reads, or raises -----------------------------------------------
# `comes` is whether an answer is expected; for one that is not, MongoDB's driver waits in vain.


def mongo(host="127.0.0.1", **how):
    def read(lab, port, comes=True):
        given = {k: str(lab.certificates.ca) if v is CA else v for k, v in how.items()}
        login = {"username": NAME, "password": PASSWORD, "directConnection": True}
        wait = {"serverSelectionTimeoutMS": 20_000 if comes else 600}  # a busy machine takes long
        with MongoClient(host, port, **wait, **login, **given) as client:
            return client.city.notes.find_one()["note"]

    return read


def sql(host="127.0.0.1", password=PASSWORD, **how):
    def read(lab, port, comes=True):
        given = {k: str(lab.certificates.ca) if v is CA else v for k, v in how.items()}
        login = {"user": NAME, "password": password, "dbname": "postgres", "connect_timeout": 20}
        with psycopg.connect(host=host, port=port, **login, **given) as client:
            return client.execute("SELECT note FROM notes").fetchone()[0]

    return read


def search(scheme="https", host="127.0.0.1", **how):
    def read(lab, port, comes=True):
        given = {k: v(lab) if v in (context, fingerprint) else v for k, v in how.items()}
        given = {k: str(lab.certificates.ca) if v is CA else v for k, v in given.items()}
        given |= {"http_auth": (NAME, PASSWORD), "max_retries": 0, "ssl_show_warn": False}
        with quiet(), OpenSearch(f"{scheme}://{host}:{port}", **given) as client:
            return client.get(index="notes", id="1")["_source"]["note"]

    return read


def context(lab):
    return ssl.create_default_context(cafile=lab.certificates.ca)


def fingerprint(lab):
    pem = lab.certificates.server_certificate.read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


CA = object()  # the file of the authority that clients trust
LAX = {"tls": True, "tlsCAFile": CA}

# what it is: the client, which impostors hear it, whether the true server answers it
MONGODB = {
    "in clear": (mongo(), BOTH, False),
    "any certificate": (mongo(**LAX, tlsAllowInvalidCertificates=True), BOTH, True),
    "insecure": (mongo(tls=True, tlsInsecure=True), BOTH, True),
    "any name": (mongo(**LAX, tlsAllowInvalidHostnames=True), {OTHER_NAME}, True),
    "verifies": (mongo(**LAX), NONE, True),
    "verifies a host name": (mongo("localhost", **LAX), NONE, True),
    "trusts the public authorities": (mongo(tls=True), NONE, False),
}
SCRAM_ALONE = {"sslmode": "require", "require_auth": "scram-sha-256"}
POSTGRES = {
    "in clear": (sql(sslmode="disable"), BOTH, False),
    "allow": (sql(sslmode="allow"), BOTH, True),
    "prefer": (sql(sslmode="prefer"), BOTH, True),
    "require": (sql(sslmode="require"), BOTH, True),
    "require, and an authority": (sql(sslmode="require", sslrootcert=CA), {OTHER_NAME}, True),
    "verify-ca": (sql(sslmode="verify-ca", sslrootcert=CA), {OTHER_NAME}, True),
    "no password to hand over": (sql(sslmode="require", password=""), BOTH, False),
    "SCRAM, unbound": (sql(channel_binding="disable", **SCRAM_ALONE), BOTH, True),
    "SCRAM, bound": (sql(channel_binding="require", sslmode="require"), BOTH, True),
    "SCRAM, bound if it can be": (sql(**SCRAM_ALONE), BOTH, True),
    "SCRAM, in clear if it must be": (sql(require_auth="scram-sha-256"), BOTH, True),
    "SCRAM, bound, of the authority": (
        sql(channel_binding="require", sslmode="verify-ca", sslrootcert=CA), {OTHER_NAME}, True,
    ),
    "SCRAM, bound, and it verifies": (
        sql(channel_binding="require", sslmode="verify-full", sslrootcert=CA), NONE, True,
    ),
    "verifies": (sql(sslmode="verify-full", sslrootcert=CA), NONE, True),
    "verifies a host name": (sql("localhost", sslmode="verify-full", sslrootcert=CA), NONE, True),
    "trusts the public authorities": (
        sql("localhost", sslmode="verify-full", sslrootcert="system"), NONE, False,
    ),
}  # fmt: skip
OPENSEARCH = {
    "in clear": (search("http"), BOTH, False),
    "any certificate": (search(verify_certs=False), BOTH, True),
    "any certificate, by requests": (
        search(verify_certs=False, connection_class=RequestsHttpConnection), BOTH, True,
    ),
    "any name": (search(ca_certs=CA, ssl_assert_hostname=False), {OTHER_NAME}, True),
    "verifies": (search(ca_certs=CA), NONE, True),
    "verifies a host name": (search(host="localhost", ca_certs=CA), NONE, True),
    "verifies, by requests": (
        search(ca_certs=CA, connection_class=RequestsHttpConnection), NONE, True,
    ),
    "a context": (search(ssl_context=context), NONE, True),
    "this very certificate": (
        search(verify_certs=False, ssl_assert_fingerprint=fingerprint), NONE, True,
    ),
    "trusts the public authorities": (search(), NONE, False),
}  # fmt: skip


def caught(read, lab, kind, wanted=True):
    """Whether an impostor hears a client's login, when the client comes a few times."""
    with Impostor(lab, kind) as impostor:
        for _ in range(TRIES if lab.program == "PostgreSQL" else 1):
            try:
                read(lab, impostor.port, comes=wanted)
            except REFUSED:  # it did not get what it came for
                passed = False
            else:
                passed = True
            if impostor.heard:
                break
        assert not (passed and not impostor.heard), "it was served, and nothing was heard"
        return bool(impostor.heard)


def meets(read, lab, caught_by, answered):
    assert {kind for kind in KINDS if caught(read, lab, kind, kind in caught_by)} == caught_by
    if answered:
        assert read(lab, lab.inside.port) == SECRET
    else:
        with pytest.raises(REFUSED):
            read(lab, lab.inside.port, comes=False)


@pytest.mark.needs("mongodb")
@pytest.mark.parametrize("name", MONGODB)
def test_clients_of_mongodb(mongodb, name):
    read, caught_by, answered = MONGODB[name]
    meets(read, mongodb, caught_by, answered)


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("name", POSTGRES)
def test_clients_of_postgresql(postgres, name):
    read, caught_by, answered = POSTGRES[name]
    meets(read, postgres, caught_by, answered)


@pytest.mark.needs("opensearch")
@pytest.mark.parametrize("name", OPENSEARCH)
def test_clients_of_opensearch(opensearch, name):
    read, caught_by, answered = OPENSEARCH[name]
    meets(read, opensearch, caught_by, answered)


# Of PostgreSQL's clients: the others insist on TLS.
CLEAR = {"in clear", "allow", "prefer", "SCRAM, in clear if it must be"}


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("name", POSTGRES)
def test_who_goes_on_in_clear_with_an_impostor_without_tls(postgres, name):
    assert caught(POSTGRES[name][0], postgres, NO_TLS) == (name in CLEAR)


@pytest.mark.needs("mongodb")
def test_a_client_that_insists_on_tls_hangs_up_where_there_is_none(mongodb):
    assert caught(MONGODB["in clear"][0], mongodb, NO_TLS)
    with Impostor(mongodb, NO_TLS) as impostor:
        for name in ("insecure", "verifies"):
            before = impostor.hung_up
            with pytest.raises(PyMongoError):
                MONGODB[name][0](mongodb, impostor.port, comes=False)
            until(lambda before=before: impostor.hung_up > before)
        assert (impostor.heard, impostor.sent) == ([], b"")


# -- what is heard -------------------------------------------------------------------------------


@pytest.mark.needs("mongodb")
def test_what_an_impostor_of_mongodb_reads(mongodb):
    with Impostor(mongodb) as impostor:
        assert mongo(tls=True, tlsInsecure=True)(mongodb, impostor.port) == SECRET
        assert impostor.heard == [f"{NAME} (SCRAM exchange)"]
        assert b"saslContinue" in impostor.sent
        assert SECRET.encode() in impostor.received
        assert PASSWORD.encode() not in impostor.sent
        plain = {"authMechanism": "PLAIN", "authSource": "$external"}
        with pytest.raises(PyMongoError):
            mongo(tls=True, tlsInsecure=True, **plain)(mongodb, impostor.port)
        assert impostor.heard[1:] == [f"{NAME}:{PASSWORD}"]


@pytest.mark.needs("postgres")
def test_what_an_impostor_of_postgresql_reads(postgres):
    with Impostor(postgres) as impostor:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            sql(sslmode="require")(postgres, impostor.port)
        assert impostor.heard == [f"{NAME}:{PASSWORD}"]
        assert PASSWORD.encode() in impostor.sent
    with Impostor(postgres) as impostor:
        read = sql(channel_binding="disable", **SCRAM_ALONE)
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError):
                read(postgres, impostor.port)
        assert impostor.heard == []
        assert read(postgres, impostor.port) == SECRET
        assert impostor.heard == [f"{NAME} (the whole session)"]
        assert SECRET.encode() in impostor.received


@pytest.mark.needs("postgres")
def test_a_login_that_is_bound_leaves_a_proof_and_no_session(postgres):
    """The proof fits no other connection; but it fits the password, and no other."""
    read = sql(channel_binding="require", sslmode="require")
    with Impostor(postgres) as impostor:
        for _ in range(TRIES):
            with pytest.raises(psycopg.OperationalError):
                read(postgres, impostor.port)
        assert impostor.heard == [f"{NAME} (SCRAM proof)"]
        (login,) = exchanges(impostor.sent, impostor.received)
        assert [login.fits(word) for word in ("lamp river-8", PASSWORD)] == [False, True]
        assert SECRET.encode() not in impostor.received


@pytest.mark.needs("postgres")
def test_who_goes_on_in_clear_is_not_told_that_a_login_can_be_bound(postgres):
    read = sql(require_auth="scram-sha-256")
    with Impostor(postgres, NO_TLS) as impostor:
        for _ in range(TRIES - 1):
            with pytest.raises(psycopg.OperationalError):
                read(postgres, impostor.port)
        assert read(postgres, impostor.port) == SECRET
        assert impostor.heard == [f"{NAME} (the whole session)"]
        assert b"-PLUS" not in impostor.received


@pytest.mark.needs("opensearch")
def test_what_an_impostor_of_opensearch_reads(opensearch):
    with Impostor(opensearch) as impostor:
        for _ in range(2):
            assert search(verify_certs=False)(opensearch, impostor.port) == SECRET
        assert impostor.heard == [f"{NAME}:{PASSWORD}"]
        assert SECRET.encode() in impostor.received
        assert b"authorization: Basic" in impostor.sent


@pytest.mark.needs("mongodb")
def test_a_client_that_verifies_says_nothing_at_all(mongodb):
    for kind in KINDS:
        with Impostor(mongodb, kind) as impostor:
            with pytest.raises(PyMongoError):
                mongo(**LAX)(mongodb, impostor.port, comes=False)
            until(lambda impostor=impostor: impostor.hung_up)  # it may notice after the client has
            assert (impostor.heard, impostor.sent, impostor.received) == ([], b"", b"")


@pytest.mark.needs("mongodb")
def test_the_other_name_is_of_the_authority_that_clients_trust(mongodb):
    """Else a client that looks at the authority alone would pass for one that looks at the name."""
    own = Authority()
    for kind, authority, trusted in (
        (OTHER_NAME, None, mongodb.certificates.ca.read_text()),
        (OTHER_NAME, own, own.certificate.decode()),
        (OTHER_AUTHORITY, own, None),
    ):
        with Impostor(mongodb, kind, authority) as impostor:
            for ca in (own.certificate.decode(), mongodb.certificates.ca.read_text()):
                trusts = ssl.create_default_context(cadata=ca)
                trusts.check_hostname = False
                with loopback.connect(impostor.host, impostor.port, 5) as plain:
                    try:
                        trusts.wrap_socket(plain).close()
                    except ssl.SSLCertVerificationError:
                        assert ca != trusted
                    else:
                        assert ca == trusted


@pytest.mark.needs("postgres")
def test_a_connection_that_is_let_through_is_the_server_s_own(postgres):
    verifies = POSTGRES["verifies"][0]
    with Impostor(postgres) as impostor:
        impostor.let_through = 1
        assert verifies(postgres, impostor.port) == SECRET
        with pytest.raises(psycopg.OperationalError, match="certificate"):
            verifies(postgres, impostor.port)
        until(lambda: impostor.hung_up == 1)  # it may notice after the client has
        assert (impostor.heard, impostor.sent) == ([], b"")
        with pytest.raises(psycopg.OperationalError):
            POSTGRES["require"][0](postgres, impostor.port)
        assert impostor.heard == [f"{NAME}:{PASSWORD}"]


@pytest.mark.needs("postgres")
def test_nonsense_does_not_stop_it(postgres):
    with Impostor(postgres) as impostor:
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\x04\xd2\x16\x2e", b"\xff" * 100, b""):
            with loopback.connect(impostor.host, impostor.port, 5) as visitor:
                visitor.sendall(words)
                visitor.shutdown(socket.SHUT_WR)
                visitor.recv(10)
        with pytest.raises(psycopg.OperationalError):
            sql(sslmode="require")(postgres, impostor.port)
        assert impostor.heard == [f"{NAME}:{PASSWORD}"]
