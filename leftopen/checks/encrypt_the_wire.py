"""Exercise 12: what is said on the wire is read by its two ends alone, and each end is known."""

import contextlib
import ssl
import tempfile
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from leftopen import loopback
from leftopen.audit import wire
from leftopen.cases import sensenets
from leftopen.checks import encrypt_the_wire_began as began
from leftopen.checks import encrypt_the_wire_clients as clients
from leftopen.checks import encrypt_the_wire_mutual as mutual
from leftopen.checks import encrypt_the_wire_rotation as rotation
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.engines import config as conf
from leftopen.engines.mongodb import MongoServer
from leftopen.errors import EngineFailed
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

_HOSTS = ("127.0.0.1", "localhost")
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH (OpenSSL)
_OLD = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}
_HIDES_NOTHING = "eNULL:aNULL:@SECLEVEL=0"  # no encryption, or no certificate (OpenSSL, ciphers)
_CIPHERS = "HIGH:!EXPORT:!aNULL@STRENGTH"
"""What mongod speaks where nothing is said (MongoDB manual, opensslCipherConfig)."""
_MODE = "net.tls.mode"
_HANDSHAKE = b"\x16"  # the kind of a TLS record, its first byte (RFC 8446, section 5.1)
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
    lab = sensenets.small_lab(12, config, account, people=60, positions=100)
    began.keep(lab, lab.certificates.ca)
    return lab


def _written(lab: MongoLab) -> str:
    """The mode that mongod.conf names, under its new name or its old one."""
    settings, _ = conf.parse(lab.config)
    return conf.get(settings, _MODE) or conf.get(settings, "net.ssl.mode").replace("SSL", "TLS")


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
            runs = conf.get(lab.effective, _MODE, "disabled")
            if (_written(lab) or "disabled") != runs:
                at.values |= {"written": _written(lab) or "not set", "runs": runs}
                return "not_in_force"
            tls = _greeted(lab, _HOSTS[0], port, careless)
            at.note("as anybody", f"speak TLS, {where}", "answered" if tls else "no answer")
            return "optional" if tls else "no_tls"
    fault = _trusted(at, lab) or _protocols(at, lab) or _logins(at, lab)
    return fault or _next_start(at, lab) or _decided(at, lab) or RIGHT


def _trusted(at: Attempt, lab: MongoLab) -> str | None:
    """Whether a client of the lab's authority comes in, whichever name it dials."""
    port, pki = lab.outside.port, lab.certificates
    for host in _HOSTS:
        what = f"speak TLS with {host}, and verify"
        try:
            served = _greeted(lab, host, port, began.trusting(lab, pki.ca))
        except ssl.SSLCertVerificationError as error:
            wrong_name = error.verify_code in _WRONG_NAME
            at.note("as a program", what, "another name" if wrong_name else "not trusted")
            at.values["host"] = host
            if wrong_name:
                return "wrong_name"
            return "new_authority" if began.is_changed(lab, pki.ca) else "not_trusted"
        at.note("as a program", what, "answered" if served else "refused")
        if not served:
            shows_one = wire.careless(str(pki.admin), str(pki.admin_key))
            with_one = _greeted(lab, host, port, shows_one)
            what = "the same, with a certificate of its own"
            at.note("as a program", what, "answered" if with_one else "refused")
            return "clients_shut_out" if with_one or _begins(port) else "nothing_spoken"
    return None


def _begins(port: int) -> bool:
    """Whether the server answers a client's first words of TLS with its own, and not by no."""
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    line = wire.careless().wrap_bio(heard, said)
    with contextlib.suppress(ssl.SSLWantReadError):
        line.do_handshake()
    try:
        with loopback.connect(_HOSTS[0], port, wire.SECONDS) as sock:
            sock.sendall(said.read())
            return sock.recv(1) == _HANDSHAKE
    except OSError:
        return False


def _protocols(at: Attempt, lab: MongoLab) -> str | None:
    if spoken := _old_spoken(at, lab, lab.outside.port, "speak {}"):
        at.values["protocol"] = spoken
        return "old_protocol"
    context = wire.careless()
    try:
        context.set_ciphers(_HIDES_NOTHING)
    except ssl.SSLError:  # this machine's own library has none of them
        return None
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # TLS 1.3 has no such cipher
    served = _greeted(lab, _HOSTS[0], lab.outside.port, context)
    at.note("as a careless program", "ask for a cipher that hides nothing", _said(served))
    return "empty_cipher" if served else None


def _old_spoken(at: Attempt, lab: MongoLab, port: int, what: str) -> str | None:
    """The first old protocol that a server speaks, if any."""
    for name, version in _OLD.items():
        try:
            context = wire.old(version)
        except OSError:
            at.note("as an old program", what.format(name), "this machine cannot try it")
            continue
        spoken = _greeted(lab, _HOSTS[0], port, context)
        at.note("as an old program", what.format(name), _said(spoken))
        if spoken:
            return name
    return None


def _said(served: bool) -> str:
    return "answered" if served else "refused"


def _next_start(at: Attempt, lab: MongoLab) -> str | None:
    """Whether mongod.conf says what the server does, so that it does so after its next start."""
    if _written(lab) == "requireTLS":
        return None
    at.note("as the operator", "read the mode in mongod.conf", _written(lab) or "not set")
    at.values |= {"written": _written(lab) or "not set", "runs": "requireTLS"}
    return "not_in_force"


def _decided(at: Attempt, lab: MongoLab) -> str | None:
    """Whether the server itself refuses old protocols, or the TLS library of this machine alone.

    Another mongod with the same settings of TLS tells: it may use what OpenSSL has for the oldest
    programs (security level 0), as a library of ten years ago did by itself.
    """
    ciphers = conf.get(lab.effective, "setParameter.opensslCipherConfig", _CIPHERS)
    if "@SECLEVEL" not in ciphers:  # a level that was chosen is a decision, too
        ciphers += ":@SECLEVEL=0"
    level = {"setParameter": {"opensslCipherConfig": ciphers}}
    try:
        twin = MongoServer({"net": {"tls": lab.effective["net"]["tls"]}, **level})
    except EngineFailed:
        at.note("as an old program", "try an older machine", "it could not be tried")
        return None
    try:
        spoken = _old_spoken(at, lab, twin.port, "speak {}, were the machine older")
    finally:
        twin.close()
    at.values["protocol"] = spoken
    return "library_alone" if spoken else None


def _logins(at: Attempt, lab: MongoLab) -> str | None:
    """Whether TLS has left the login as it was."""
    reads = {}
    login = {"username": at.task["account"], "password": at.task["password"]}
    with tempfile.TemporaryDirectory() as own:
        began.write(lab, Path(own), lab.certificates.ca)
        trust = {"tls": True, "tlsCAFile": str(Path(own) / lab.certificates.ca.name)}
        for who, account in (("a stranger", {}), ("the program", login)):
            reads[who] = _reads(lab, {**trust, **_BOUNDS, **account})
            at.note(f"as {who}", "read people over TLS", "accepted" if reads[who] else "refused")
    if reads["a stranger"]:
        return "login_off"
    return None if reads["the program"] else "login_lost"


def _reads(lab: MongoLab, options: dict) -> bool:
    with (
        MongoClient("127.0.0.1", lab.outside.port, **options) as client,
        contextlib.suppress(OperationFailure),
    ):
        client[sensenets.DATABASE].people.find_one()
        return True
    return False


QUESTIONS = {
    1: Question(asks={"lab": Lab}, check=_server, task=_server_task, lab=_server_lab),
    2: clients.MONGODB,
    3: clients.POSTGRESQL,
    4: clients.OPENSEARCH,
    5: mutual.QUESTION,
    6: rotation.QUESTION,
}
