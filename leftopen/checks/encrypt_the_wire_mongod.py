"""Exercise 12: a mongod with one account, what it does for its clients, and what it would do next.

A server reads its file when it begins. What it will do then is seen at another one that begins
with the same file, and not in the words of the file.
"""

import ssl

from pymongo import MongoClient

from leftopen.audit import wire
from leftopen.cases import sensenets
from leftopen.engines import config as conf
from leftopen.engines.mongodb import MongoServer
from leftopen.errors import EngineFailed
from leftopen.lab_mongodb import MongoLab

HOSTS = ("127.0.0.1", "localhost")
WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH (OpenSSL)
_CONFIG = "net: {bindIp: 0.0.0.0}\nsecurity: {authorization: enabled}"
_CIPHERS = "HIGH:!EXPORT:!aNULL@STRENGTH"
"""What mongod speaks where nothing is said (MongoDB manual, opensslCipherConfig)."""
_FIND = {"find": "people", "limit": 1, "$db": sensenets.DATABASE}


def opened(account: object, password: object, role: object) -> MongoLab:
    """A mongod with a login and without TLS, and few people in it.

    Args:
        account: a name, made in the database admin.
        password: its password.
        role: what it may do, as ``createUser`` takes it.
    """

    def load(client: MongoClient) -> None:
        client.admin.command("createUser", account, pwd=str(password), roles=[role])

    return sensenets.small_lab(12, _CONFIG, load, people=60, positions=100)


def reader() -> dict:
    """The role that reads the database of the case, and nothing else."""
    return {"role": "read", "db": sensenets.DATABASE}


def greeted(host: str, port: int, context: ssl.SSLContext | None) -> bool:
    """Whether a server answers a greeting, in TLS if a context is given.

    Raises:
        ssl.SSLCertVerificationError: it does, and the client does not trust what it is shown.
    """
    try:
        with wire.opened(host, port, context) as line:
            return bool(wire.ask(line, wire.hello()).get("ok"))
    except ssl.SSLCertVerificationError:
        raise
    except OSError:
        return False


# -- the next start -------------------------------------------------------------------------------


def another(settings: dict) -> MongoServer:
    """An empty mongod with these settings, to be closed.

    Raises:
        EngineFailed: it does not start.
    """
    return MongoServer(settings)


def beside_an_older_library(settings: dict) -> MongoServer | None:
    """The same, where OpenSSL may speak all that it has: security level 0.

    A library of ten years ago did so by itself. ``None`` where it cannot be tried.
    """
    ciphers = conf.get(settings, "setParameter.opensslCipherConfig", _CIPHERS)
    if "@SECLEVEL" not in ciphers:  # a level that was chosen is a decision, too
        ciphers += ":@SECLEVEL=0"
    try:
        return another(conf.merge(settings, {"setParameter": {"opensslCipherConfig": ciphers}}))
    except EngineFailed:
        return None


def fault(port: int, trusts: ssl.SSLContext) -> str | None:
    """What a server does that it should not: the end of a sentence about it.

    Args:
        port: where it listens.
        trusts: a client of its authority, without a certificate of its own.
    """
    if greeted(HOSTS[0], port, None):
        return "serves who speaks in clear"
    for host in HOSTS:
        try:
            served = greeted(host, port, trusts)
        except ssl.SSLCertVerificationError:
            return f"is not trusted by who calls {host}"
        if not served:
            return f"serves no program that calls {host}"
    with wire.opened(HOSTS[0], port, trusts) as line:
        return "lets a stranger read" if wire.ask(line, _FIND).get("ok") else None
