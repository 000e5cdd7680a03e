"""Exercise 12, question 6: a server's certificate is changed while its clients stay."""

import datetime
import socket
import ssl
import weakref
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from pymongo import MongoClient

from leftopen import loopback
from leftopen.audit import wire
from leftopen.cases import sensenets
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.engines.pki import Authority
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

FOLDER = "post"
_HOSTS = ("127.0.0.1", "localhost")
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH (OpenSSL)
_AUTHORITY = "Harbour CA"
_OLD_DAYS, _NEW_DAYS, _LEAST_DAYS = 2, 90, 30
_BIRDS = ("kestrel", "plover", "dunlin", "linnet")
_SHELVES = ("blue", "green", "grey", "red", "white", "yellow")


@dataclass
class _Began:
    """What a lab had when its question began.

    Attributes:
        certificate: the server's, as DER.
        line: a connection of a program's, which has been open since.
        file: the server's key and certificate, and
        text: what stood in it.
        ca: the authority that clients trust.
    """

    certificate: bytes
    line: socket.socket
    file: Path
    text: bytes
    ca: Path


_began: weakref.WeakKeyDictionary[MongoLab, _Began] = weakref.WeakKeyDictionary()


def _task(draw: Draw) -> Task:
    draw = variant(draw, "12", 6, of=2)
    shelves = sorted(draw.shuffle("shelves", _SHELVES)[:4])
    return Task(
        files=(
            tuple(f"{shelf}.pem" for shelf in shelves),
            "what came by post: keys with certificates, each for one purpose or another",
        ),
        administrator=(draw.pick("administrator", _BIRDS) + "_admin", "who may do everything"),
        password=(draw.password("administrator"), "the administrator's password"),
    )


def _post(task: Task, authority: Authority) -> dict[str, bytes]:
    """What is in each of the files: one of them is right."""
    seed = f"{task['files']} {task['password']}"
    order = Draw(seed, "12 question 6").shuffle("order", task["files"])
    contents = (
        authority.server(days=_NEW_DAYS),
        authority.server(["warehouse.localhost"], ["127.0.0.9"], _NEW_DAYS),
        Authority(_AUTHORITY, _NEW_DAYS).server(days=_NEW_DAYS),
        authority.server(days=_OLD_DAYS + 1),
    )
    return dict(zip(order, contents, strict=True))


def _lab(task: Task) -> MongoLab:
    def account(client: MongoClient) -> None:
        secret = str(task["password"])
        client.admin.command("createUser", task["administrator"], pwd=secret, roles=["root"])

    config = "net: {bindIp: 0.0.0.0}\nsecurity: {authorization: enabled}"
    lab = sensenets.small_lab(12, config, account, people=60, positions=100)
    folder = lab.certificates.ca.parent
    authority = Authority(_AUTHORITY, _NEW_DAYS)
    ca, server, post = folder / "harbour-ca.pem", folder / "harbour.pem", folder / FOLDER
    post.mkdir(mode=0o700)
    contents = {ca: authority.certificate, server: authority.server(days=_OLD_DAYS)}
    contents |= {post / name: pem for name, pem in _post(task, authority).items()}
    for path, content in contents.items():
        path.touch(mode=0o600)
        path.write_bytes(content)
    lab.configure(
        f"net: {{tls: {{mode: requireTLS, certificateKeyFile: '{server}', CAFile: '{ca}', "
        "allowConnectionsWithoutCertificates: true}}"
    )
    plain = loopback.connect(_HOSTS[0], lab.inside.port, wire.SECONDS)
    line = wire.careless().wrap_socket(plain, server_hostname=_HOSTS[0])
    weakref.finalize(lab, line.close)
    wire.ask(line, wire.hello())
    shown = line.getpeercert(binary_form=True) or b""
    _began[lab] = _Began(shown, line, server, server.read_bytes(), ca)
    return lab


def _rotation(at: Attempt, lab: MongoLab) -> str:
    """New connections are shown the new certificate, and the open one has stayed open."""
    began = _began[lab]
    stayed = _answers(began.line)
    at.note("as a program from before", "ask on its open connection", _said(stayed))
    if _clear(lab):
        at.note("as a new client", "speak in clear", "answered")
        return "in_clear"
    tls = wire.handshake(_HOSTS[0], lab.inside.port, wire.careless())
    if tls.certificate == began.certificate:
        at.note("as a new client", "look at the certificate", "the old one")
        if began.file.read_bytes() != began.text:
            return "file_alone"
        return UNTOUCHED if stayed else "restarted"
    return _new_one(at, lab, began, tls) or (RIGHT if stayed else "restarted")


def _new_one(at: Attempt, lab: MongoLab, began: _Began, tls: wire.Handshake) -> str | None:
    """What is wrong with the certificate that new connections are shown."""
    who = "as a new client"
    for host in _HOSTS:
        fault = "trusted"
        try:
            trusts = ssl.create_default_context(cafile=str(began.ca))
            wire.handshake(host, lab.inside.port, trusts)
        except ssl.SSLCertVerificationError as error:
            fault = "another name" if error.verify_code in _WRONG_NAME else "not trusted"
        at.note(who, f"verify the new certificate for {host}", fault)
        if fault != "trusted":
            at.values["host"] = host
            return "wrong_name" if fault == "another name" else "other_authority"
    certificate = x509.load_der_x509_certificate(tls.certificate)
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    days = round(left / datetime.timedelta(days=1))
    at.note(who, "look how long it is valid", f"{days} days")
    at.values["days"] = days
    return "ends_soon" if days < _LEAST_DAYS else None


def _answers(line: socket.socket) -> bool:
    try:
        return bool(wire.ask(line, {"ping": 1, "$db": "admin"}).get("ok"))
    except OSError:
        return False


def _said(yes: bool) -> str:
    return "answered" if yes else "the connection was cut"


def _clear(lab: MongoLab) -> bool:
    """Whether the server answers without TLS."""
    try:
        with wire.opened(_HOSTS[0], lab.inside.port, None) as line:
            return _answers(line)
    except OSError:
        return False


QUESTION = Question(asks={"lab": Lab}, check=_rotation, task=_task, lab=_lab)
