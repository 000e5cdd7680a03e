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
from leftopen.checks import encrypt_the_wire_mongod as mongod
from leftopen.checks import encrypt_the_wire_mutual as mutual
from leftopen.checks import encrypt_the_wire_rotation as rotation
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.engines import config as conf
from leftopen.errors import EngineFailed
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

_OLD = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}
_HIDES_NOTHING = "eNULL:aNULL:@SECLEVEL=0"  # no encryption, or no certificate (OpenSSL, ciphers)
_MODE = "net.tls.mode"
_OLDER = "speak {}, were the machine older"
_BEGIN = "as the operator", "start another mongod with this mongod.conf"
_HANDSHAKE = b"\x16"  # the kind of a TLS record, its first byte (RFC 8446, section 5.1)
_LOGIN = "SCRAM-SHA-256"
"""How the program logged in before: the best that drivers and mongod both know."""
_BOUNDS = {"directConnection": True, "serverSelectionTimeoutMS": 4000, "timeoutMS": 8000}


def _server_task(draw: Draw) -> Task:
    draw = variant(draw, clients.NAME, 1, of=2)
    name = draw.pick("account", ("gate_service", "map_service", "night_report", "stock_list"))
    return Task(
        account=(name, "the account of a program, which reads the database sensenets"),
        password=(draw.password("account"), "its password, which the program keeps"),
    )


def _server_lab(task: Task) -> MongoLab:
    lab = mongod.opened(task["account"], task["password"], mongod.reader())
    began.keep(lab, lab.certificates.ca)
    return lab


def _written(lab: MongoLab) -> str:
    """The mode that mongod.conf names, under its new name or its old one."""
    settings, _ = conf.parse(lab.config)
    return conf.get(settings, _MODE) or conf.get(settings, "net.ssl.mode").replace("SSL", "TLS")


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
        clear = mongod.greeted(mongod.HOSTS[0], port, None)
        at.note("as anybody", f"speak in clear, {where}", "answered" if clear else "no answer")
        if clear:
            written, runs = _written(lab), conf.get(lab.effective, _MODE, "disabled")
            if (written or "disabled") != runs:
                return _not_in_force(
                    at,
                    f"mongod.conf has net.tls.mode {written or 'not set'}, and the server that "
                    f"runs goes by {runs}",
                )
            tls = mongod.greeted(mongod.HOSTS[0], port, careless)
            at.note("as anybody", f"speak TLS, {where}", "answered" if tls else "no answer")
            return "optional" if tls else "no_tls"
    fault = _trusted(at, lab) or _protocols(at, lab) or _logins(at, lab)
    return fault or _next_start(at, lab) or RIGHT


def _trusted(at: Attempt, lab: MongoLab) -> str | None:
    """Whether a client of the lab's authority comes in, whichever name it dials."""
    port, pki = lab.outside.port, lab.certificates
    for host in mongod.HOSTS:
        what = f"speak TLS with {host}, and verify"
        try:
            served = mongod.greeted(host, port, began.trusting(lab, pki.ca))
        except ssl.SSLCertVerificationError as error:
            wrong_name = error.verify_code in mongod.WRONG_NAME
            at.note("as a program", what, "another name" if wrong_name else "not trusted")
            at.values["host"] = host
            if wrong_name:
                return "wrong_name"
            return "new_authority" if began.is_changed(lab, pki.ca) else "not_trusted"
        at.note("as a program", what, "answered" if served else "refused")
        if not served:
            shows_one = wire.careless(str(pki.admin), str(pki.admin_key))
            with_one = mongod.greeted(host, port, shows_one)
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
        with loopback.connect(mongod.HOSTS[0], port, wire.SECONDS) as sock:
            sock.sendall(said.read())
            return sock.recv(1) == _HANDSHAKE
    except OSError:
        return False


def _protocols(at: Attempt, lab: MongoLab) -> str | None:
    if spoken := _old_spoken(at, lab.outside.port, "speak {}"):
        at.values["protocol"] = spoken
        return "old_protocol"
    context = wire.careless()
    try:
        context.set_ciphers(_HIDES_NOTHING)
    except ssl.SSLError:  # this machine's own library has none of them
        return None
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # TLS 1.3 has no such cipher
    served = mongod.greeted(mongod.HOSTS[0], lab.outside.port, context)
    at.note("as a careless program", "ask for a cipher that hides nothing", _said(served))
    return "empty_cipher" if served else None


def _old_spoken(at: Attempt, port: int, what: str) -> str | None:
    """The first old protocol that a server speaks, if any."""
    for name, version in _OLD.items():
        try:
            context = wire.old(version)
        except OSError:
            at.note("as an old program", what.format(name), "this machine cannot try it")
            continue
        spoken = mongod.greeted(mongod.HOSTS[0], port, context)
        at.note("as an old program", what.format(name), _said(spoken))
        if spoken:
            return name
    return None


def _said(served: bool) -> str:
    return "answered" if served else "refused"


def _next_start(at: Attempt, lab: MongoLab) -> str | None:
    """Whether another mongod that begins with mongod.conf does the same, and by its own decision.

    It stands beside an older TLS library, where that can be tried: then it is seen whether the
    server itself refuses old protocols, or the library of this machine alone.
    """
    settings, _ = conf.parse(lab.config)
    twin = mongod.beside_an_older_library(settings)
    is_older = twin is not None
    try:
        twin = twin or mongod.another(settings)
    except EngineFailed:
        return _begins_otherwise(at, lab, "does not start")
    with contextlib.closing(twin):
        if fault := mongod.fault(twin.port, began.trusting(lab, lab.certificates.ca)):
            return _begins_otherwise(at, lab, fault)
        at.note(*_BEGIN, "does the same")
        if not is_older:
            at.note("as an old program", "try an older machine", "it could not be tried")
            return None
        spoken = at.values["protocol"] = _old_spoken(at, twin.port, _OLDER)
        in_step = twin.effective(settings) == lab.effective
    if spoken:
        return "library_alone"
    return None if in_step else _runs_undecided(at, lab)


def _begins_otherwise(at: Attempt, lab: MongoLab, fault: str) -> str:
    at.note(*_BEGIN, fault)
    file = f"mongod.conf (net.tls.mode: {_written(lab) or 'not set'})"
    return _not_in_force(at, f"another mongod that begins with {file} {fault}")


def _not_in_force(at: Attempt, what: str) -> str:
    at.values["what"] = what
    return "not_in_force"


def _runs_undecided(at: Attempt, lab: MongoLab) -> str | None:
    """Whether the server that runs leaves to its library what mongod.conf decides."""
    own = {"net": {"tls": lab.effective["net"]["tls"]}}
    ciphers = conf.get(lab.effective, "setParameter.opensslCipherConfig")
    if ciphers:
        own["setParameter"] = {"opensslCipherConfig": ciphers}
    twin = mongod.beside_an_older_library(own)
    if twin is None:
        return None
    with contextlib.closing(twin):
        spoken = _old_spoken(at, twin.port, f"{_OLDER}, with what the server began with")
    if not spoken:
        return None
    return _not_in_force(
        at, f"mongod.conf refuses {spoken}, and the server that runs leaves that to its library"
    )


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
        insists = _reads(lab, {**trust, **_BOUNDS, **login, "authMechanism": _LOGIN})
    if reads["a stranger"]:
        return "login_off"
    if not reads["the program"]:
        return "login_lost"
    at.note("as the program", f"the same, by {_LOGIN} alone", "accepted" if insists else "refused")
    return None if insists else "login_weaker"


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
