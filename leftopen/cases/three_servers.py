"""One server of each engine, for the lesson about the wire: with logins, and a client for each.

Each server has a few records of its case and one account that reads them. The client functions
take the driver's own options, so that a lesson shows what it wants of TLS and nothing else; what
they read is one person's name.
"""

import functools
import ssl
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import psycopg
from cryptography import x509
from opensearchpy import OpenSearch
from pymongo import MongoClient

from leftopen import loopback
from leftopen.audit import wire
from leftopen.audit.postgres.startup import ask_for_tls
from leftopen.cases import sensenets, smart_city, tongren
from leftopen.engines.kept_folder import KeptFolder
from leftopen.engines.pki import OTHER_SERVER, Authority, apart
from leftopen.engines.pki import days_left as days_until_it_ends
from leftopen.impostor import KINDS, Impostor
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.lab_opensearch import SearchLab
from leftopen.lab_postgres import Connect, PostgresLab
from leftopen.tls_words import tried

_SEED = 12
CLIENTS = "Lab clients"
"""The organisation in a client's certificate: another one than the servers', since MongoDB takes
a client of its own organisation for a member of its cluster."""
_PATIENCE = {
    "directConnection": True,
    "serverSelectionTimeoutMS": 2000,
    # Else a monitor's question is open when the client closes, and what mongod says to that
    # ("operation was interrupted") stands at the end of some recordings.
    "serverMonitoringMode": "poll",
}
MAP = {"username": "map", "password": "sensenets2018", "authSource": "sensenets"}
OPERATOR = {"username": "operator", "password": "paper lantern", "authSource": "admin"}
GATE = ("gate", "quiet heron")

HBA = "local all all peer\nhostssl all all 0.0.0.0/0 scram-sha-256\n"
"""Of PostgreSQL: the operator by socket, everybody else by TLS and with a password."""

_MONGOD = "net: {bindIp: 0.0.0.0}\nsecurity: {authorization: enabled}\n"
_SEARCH_LOGINS = """\
_meta: {type: config, config_version: 2}
config:
  dynamic:
    authc:
      certificate:
        http_enabled: true
        order: 0
        http_authenticator: {type: clientcert, challenge: false, config: {username_attribute: cn}}
        authentication_backend: {type: noop}
      password:
        http_enabled: true
        order: 1
        http_authenticator: {type: basic, challenge: true}
        authentication_backend: {type: intern}
"""
_ADMINS = (
    f'plugins.security.authcz.admin_dn: ["CN=admin,O=Left Open lab", "CN=admin,O={CLIENTS}"]\n'
)
# So that new certificates can be taken while it runs, of an authority with another name, too.
_RELOAD = (
    "plugins.security.ssl_cert_reload_enabled: true\n"
    "plugins.security.ssl.http.enforce_cert_reload_dn_verification: false\n"
)


def mongodb() -> MongoLab:
    """A mongod with a login and without TLS; ``map`` reads, ``operator`` may do everything.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_mongodb.MongoLab`.
    """

    def accounts(client: MongoClient) -> None:
        scram = {"mechanisms": ["SCRAM-SHA-256"]}
        for who, where, role in ((MAP, "sensenets", "read"), (OPERATOR, "admin", "root")):
            name, password = who["username"], who["password"]
            client[where].command("createUser", name, pwd=password, roles=[role], **scram)

    return sensenets.small_lab(_SEED, _MONGOD, accounts)


def postgres() -> PostgresLab:
    """A PostgreSQL with TLS and :data:`HBA`; ``door`` reads residents.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_postgres.PostgresLab`.
    """

    def roles(connect: Connect) -> None:
        with connect(tongren.DATABASES[0]) as operator:
            operator.execute("CREATE ROLE door LOGIN PASSWORD 'lamp river'")
            operator.execute("GRANT SELECT ON residents TO door")

    return tongren.small_lab(_SEED, tongren.LOCKED, HBA, roles, residents=100, days=1)


def opensearch(settings: str) -> SearchLab:
    """An OpenSearch with TLS; ``gate`` reads. Clients log in by certificate, or by password.

    It takes new certificates while it runs.

    Args:
        settings: what its opensearch.yml has besides :data:`smart_city.LOCKED`.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_opensearch.SearchLab`.
    """
    locked = "".join(
        line for line in smart_city.LOCKED.splitlines(keepends=True) if "admin_dn" not in line
    )
    files = smart_city.security_files(*GATE) | {"config.yml": _SEARCH_LOGINS}
    config = locked + _ADMINS + _RELOAD + settings
    return smart_city.small_lab(_SEED, config, files, people=24, days=1)


# -- a client of each -----------------------------------------------------------------------------


def mongo_client(port: int, **options: Any) -> MongoClient:
    """A client of MongoDB at localhost, as ``map`` unless the options say otherwise.

    Args:
        port: where.
        options: pymongo's own, as ``tls=True``; ``None`` leaves one out.
    """
    given = {name: value for name, value in (MAP | options).items() if value is not None}
    return MongoClient("localhost", port, **_PATIENCE | given)


def person(port: int, **options: Any) -> str:
    """A person's name, read from MongoDB; see :func:`mongo_client`."""
    with mongo_client(port, **options) as client:
        return client.sensenets.people.find_one()["name"]


def sql_client(port: int, **options: Any) -> psycopg.Connection:
    """A connection to PostgreSQL at localhost, as ``door`` unless the options say otherwise.

    Args:
        port: where.
        options: libpq's own, as ``sslmode="require"``.
    """
    usual = {"user": "door", "password": "lamp river", "dbname": tongren.DATABASES[0]}
    usual |= {"connect_timeout": "10"}
    return psycopg.connect(host="localhost", port=port, autocommit=True, **usual | options)


def resident(port: int, **options: Any) -> str:
    """A resident's name, read from PostgreSQL; see :func:`sql_client`."""
    with sql_client(port, **options) as connection:
        found = connection.execute("SELECT name FROM residents ORDER BY person LIMIT 1")
        return found.fetchone()[0]


def search_client(port: int, **options: Any) -> OpenSearch:
    """A client of OpenSearch at localhost, as ``gate`` unless the options say otherwise.

    Args:
        port: where.
        options: opensearch-py's own, as ``ca_certs="ca.pem"``.
    """
    loopback.addresses("localhost")
    usual = {"http_auth": GATE, "ssl_show_warn": False, "max_retries": 0, "timeout": 20}
    return OpenSearch(f"https://localhost:{port}", **usual | options)


def scan(port: int, **options: Any) -> str:
    """A resident's name, read from OpenSearch; see :func:`search_client`."""
    with search_client(port, **options) as client:
        found = client.search(index="residents", body={"sort": ["_id"], "size": 1})
    return found["hits"]["hits"][0]["_source"]["name"]


_administrators: weakref.WeakKeyDictionary[SearchLab, OpenSearch] = weakref.WeakKeyDictionary()


def administrator(city: SearchLab) -> OpenSearch:
    """A client with the certificate that the lab made for its administrator.

    It is the same one each time, and stays connected: once other files are installed, neither
    side would take the other's certificate any more.
    """
    if city in _administrators:
        return _administrators[city]
    files = city.certificates
    shown = {"client_cert": str(files.admin), "client_key": str(files.admin_key)}
    client = search_client(city.inside.port, http_auth=None, ca_certs=str(files.ca), **shown)
    client.info()
    _administrators[city] = client
    return client


# -- impostors ------------------------------------------------------------------------------------

_READERS: dict[str, Callable[..., str]] = {
    "mongod": person,
    "PostgreSQL": resident,
    "OpenSearch": scan,
}


def meeting(lab: Lab, kind: str, **options: Any) -> tuple[Any, Impostor]:
    """Let a client of a lab's server meet an impostor in its place.

    Args:
        lab: the server.
        kind: which impostor; see :class:`leftopen.impostor.Impostor`.
        options: the client's; see :func:`person`, :func:`resident` and :func:`scan`.

    Returns:
        What the client got, or why it got nothing; and the impostor, closed, with what it heard.
    """
    with Impostor(lab, kind) as impostor:
        return tried(lambda: _READERS[lab.program](impostor.port, **options)), impostor


def meetings(labs: Mapping[str, Lab], clients: Mapping[tuple[str, str], Mapping]) -> pd.DataFrame:
    """Let each client dial its server, and then every kind of impostor.

    Args:
        labs: name -> server.
        clients: (name of its server, what it looks at) -> its options.

    Returns:
        A row for each client. It got an answer from its server: ``reads``. The impostor was told
        a login: ``HEARD``. A client that does not get on with its own server is not sent to
        impostors: ``?``.
    """
    rows = {}
    for (name, looks), options in clients.items():
        lab = labs[name]
        answer = tried(lambda: _READERS[lab.program](lab.outside.port, **options))  # noqa: B023
        row = dict.fromkeys(("its server", *KINDS), "?")
        row["its server"] = answer if answer.startswith("no: ") else "reads"
        for kind in KINDS if row["its server"] == "reads" else ():
            row[kind] = "HEARD" if meeting(lab, kind, **options)[1].heard else "-"
        rows[name, looks] = row
    return pd.DataFrame(rows).T


# -- certificates ---------------------------------------------------------------------------------


def install(lab: Lab, authority: Authority, days: int = 90) -> None:
    """Put a new key and certificate into a lab's files; each keeps its owner and its mode.

    The server goes on with what it has until it is told to read its files again.

    Args:
        lab: the server.
        authority: who signs, and whom clients of the lab are to trust.
        days: how long the certificate is valid; with 0 it has run out when this returns.
    """
    both = authority.server(days=days)
    key, certificate = apart(both)
    files = lab.certificates
    files.server.write_bytes(both)
    files.server_key.write_bytes(key)
    files.server_certificate.write_bytes(certificate)
    files.ca.write_bytes(authority.certificate)
    files.other.write_bytes(authority.server([OTHER_SERVER], []))
    if days == 0:
        time.sleep(1.1)  # certificates count whole seconds


_VERSIONS = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}


@functools.cache
def _folder() -> KeptFolder:
    return KeptFolder()


def client_file(authority: Authority, name: str) -> str:
    """A client's key and certificate in one new file, which its owner alone may read.

    Args:
        authority: who signs.
        name: its common name.

    Returns:
        The path of the file, which is gone when Python ends.
    """
    return _keep(authority.client(name, days=90, organisation=CLIENTS))


def trust_file(*authorities: Authority) -> str:
    """A new file with the certificates of these authorities: whom a client trusts."""
    return _keep(b"".join(authority.certificate for authority in authorities))


def _keep(content: bytes) -> str:
    folder = _folder().path
    path = folder / f"{len(list(folder.iterdir()))}.pem"
    path.touch(mode=0o600)
    path.write_bytes(content)
    return str(path)


# -- what a server shows --------------------------------------------------------------------------


def days_left(lab: Lab) -> int:
    """For how many days the certificate is valid that a server shows to a new client."""
    hands = wire.handshake("localhost", lab.inside.port, wire.careless(), _greeting(lab))
    return days_until_it_ends(x509.load_der_x509_certificate(hands.certificate))


def versions(lab: Lab) -> dict[str, str]:
    """Which versions of TLS a server speaks: each one's name, and ``"yes"`` or ``"-"``.

    Where this machine's own library does not speak a version, nothing is known of the server:
    ``"not tried"``.
    """
    found = {}
    for name, version in _VERSIONS.items():
        try:
            context = wire.old(version)
        except OSError:
            found[name] = "not tried"
            continue
        try:
            wire.handshake("localhost", lab.inside.port, context, _greeting(lab))
            found[name] = "yes"
        except OSError:
            found[name] = "-"
    return found


def _greeting(lab: Lab) -> wire.Greeting | None:
    return ask_for_tls if lab.program == "PostgreSQL" else None


def reload_postgres(doors: PostgresLab) -> None:
    """Send ``SELECT pg_reload_conf()``, and wait until the server has read its files again."""
    doors.configure(doors.hba, file="pg_hba.conf")
