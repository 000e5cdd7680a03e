"""What the tests of PostgreSQL's labs share: a small lab, and ways to ask it."""

import psycopg
import pytest

from leftopen.lab_postgres import PostgresLab

CONF = "listen_addresses = '*'\nlog_connections = on"
HBA = "# as it was found\nhost all all 0.0.0.0/0 trust"
TLS = """
ssl = on
ssl_cert_file = 'pki/server.pem'
ssl_key_file = 'pki/server-key.pem'
ssl_ca_file = 'pki/ca.pem'
"""


def load(connect):
    with connect("postgres") as operator:
        operator.execute("CREATE DATABASE doors_1")
        operator.execute("CREATE ROLE \"city auditor\" LOGIN PASSWORD 'a b/c@d?'")
    with connect("doors_1") as operator:
        operator.execute("CREATE TABLE passages AS SELECT generate_series(1, 50) AS passage")
        operator.execute('GRANT SELECT ON passages TO "city auditor"')


def make(conf=CONF, hba=HBA, load=load, backend=None):
    return PostgresLab("test", conf, hba, load, backend)


def ask(uri, query="SELECT count(*) FROM passages"):
    with psycopg.connect(uri) as client:
        return client.execute(query).fetchone()[0]


def refusal(uri):
    """Why a client is not let in."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(uri).close()
    return str(caught.value)


def doors(lab, side="outside", account="postgres", password="", options=""):
    return getattr(lab, side).uri_as(account, password, "doors_1", options)


def auditor(lab, side="outside", options=""):
    return doors(lab, side, "city auditor", "a b/c@d?", options)


@pytest.fixture(scope="module")
def shared():
    """The lab that the tests of a module share."""
    lab = make()
    yield lab
    lab.close()


@pytest.fixture
def lab(shared):
    """The shared lab, running and as it was found."""
    if not shared.is_running:
        shared.restart()
    if not shared.is_as_found:
        shared.configure(CONF, replace=True)
        shared.configure(HBA, file="pg_hba.conf")
    return shared
