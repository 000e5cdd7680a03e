"""Exercise 12: what is said on the wire is read by its two ends alone, and each end is known."""

import contextlib
import ssl

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from leftopen.audit import wire
from leftopen.cases import sensenets
from leftopen.checks import encrypt_the_wire_clients as clients
from leftopen.checks import encrypt_the_wire_mutual as mutual
from leftopen.checks import encrypt_the_wire_rotation as rotation
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

_HOSTS = ("127.0.0.1", "localhost")
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH (OpenSSL)
_OLD = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}
_BOUNDS = {"directConnection": True, "serverSelectionTimeoutMS": 4000, "timeoutMS": 8000}


def _server_task(draw: Draw) -> Task:
    draw = variant(draw, clients.NAME, 1, of=2)
    name = draw.pick("account", ("gate_service", "map_service", "night_report", "stock_list"))
    return Task(
        account=(name, "the account of a program, which reads the database sensenets"),
        password=(draw.password("account"), "its password, which the program keeps"),
    )


def _server_lab(task: Task) -> MongoLab:
    def account(client: MongoClient) -> None:
        part = [{"role": "read", "db": sensenets.DATABASE}]
        secret = str(task["password"])
        client.admin.command("createUser", task["account"], pwd=secret, roles=part)

    config = "net:\n  bindIp: 0.0.0.0\nsecurity:\n  authorization: enabled\n"
    return sensenets.small_lab(12, config, account, people=60, positions=100)


def _greeted(lab: MongoLab, host: str, port: int, context: ssl.SSLContext | None) -> bool:
    """Whether the server answers a greeting, in TLS if a context is given.

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


def _server(at: Attempt, lab: MongoLab) -> str:
    """Nobody is served in clear; who verifies is; old protocols are not spoken."""
    if lab.is_as_found:
        return UNTOUCHED
    if not lab.outside.is_open:
        at.note("as a program", "connect from outside", "no answer")
        return "only_narrowed"
    careless = wire.careless()
    ports = {"from outside": lab.outside.port, "from this machine": lab.inside.port}
    for where, port in ports.items():
        clear = _greeted(lab, _HOSTS[0], port, None)
        at.note("as anybody", f"speak in clear, {where}", "answered" if clear else "no answer")
        if clear:
            tls = _greeted(lab, _HOSTS[0], port, careless)
            at.note("as anybody", f"speak TLS, {where}", "answered" if tls else "no answer")
            return "optional" if tls else "no_tls"
    return _trusted(at, lab) or _protocols(at, lab) or _logins(at, lab) or RIGHT


def _trusted(at: Attempt, lab: MongoLab) -> str | None:
    """Whether a client of the lab's authority comes in, whichever name it dials."""
    port, pki = lab.outside.port, lab.certificates
    for host in _HOSTS:
        what = f"speak TLS with {host}, and verify"
        try:
            served = _greeted(lab, host, port, ssl.create_default_context(cafile=str(pki.ca)))
        except ssl.SSLCertVerificationError as error:
            wrong_name = error.verify_code in _WRONG_NAME
            at.note("as a program", what, "another name" if wrong_name else "not trusted")
            at.values["host"] = host
            return "wrong_name" if wrong_name else "not_trusted"
        at.note("as a program", what, "answered" if served else "refused")
        if not served:
            shows_one = wire.careless(str(pki.admin), str(pki.admin_key))
            with_one = _greeted(lab, host, port, shows_one)
            what = "the same, with a certificate of its own"
            at.note("as a program", what, "answered" if with_one else "refused")
            return "clients_shut_out"
    return None


def _protocols(at: Attempt, lab: MongoLab) -> str | None:
    for name, version in _OLD.items():
        try:
            context = wire.old(version)
        except OSError:
            at.note("as an old program", f"speak {name}", "this machine cannot try it")
            continue
        spoken = _greeted(lab, _HOSTS[0], lab.outside.port, context)
        at.note("as an old program", f"speak {name}", "answered" if spoken else "refused")
        if spoken:
            at.values["protocol"] = name
            return "old_protocol"
    return None


def _logins(at: Attempt, lab: MongoLab) -> str | None:
    """Whether TLS has left the login as it was."""
    reads = {}
    login = {"username": at.task["account"], "password": at.task["password"]}
    for who, account in (("a stranger", {}), ("the program", login)):
        options = {"tls": True, "tlsCAFile": str(lab.certificates.ca), **_BOUNDS, **account}
        reads[who] = False
        with (
            MongoClient("127.0.0.1", lab.outside.port, **options) as client,
            contextlib.suppress(OperationFailure),
        ):
            client[sensenets.DATABASE].people.find_one()
            reads[who] = True
        at.note(f"as {who}", "read people over TLS", "accepted" if reads[who] else "refused")
    if reads["a stranger"]:
        return "login_off"
    return None if reads["the program"] else "login_lost"


QUESTIONS = {
    1: Question(asks={"lab": Lab}, check=_server, task=_server_task, lab=_server_lab),
    2: clients.MONGODB,
    3: clients.POSTGRESQL,
    4: clients.OPENSEARCH,
    5: mutual.QUESTION,
    6: rotation.QUESTION,
}
