"""Exercise 12, question 6: a server's certificate is changed while its clients stay."""

import contextlib
import socket
import ssl
import weakref
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from leftopen import loopback
from leftopen.audit import wire
from leftopen.checks import encrypt_the_wire_began as began
from leftopen.checks import encrypt_the_wire_mongod as mongod
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.engines import config as conf
from leftopen.engines.pki import OTHER_SERVER, Authority, days_left
from leftopen.errors import EngineFailed
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

FOLDER = "post"
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
        file: the server's key and certificate.
        ca: the authority that clients trust.
    """

    certificate: bytes
    line: socket.socket
    file: Path
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
        authority.server([OTHER_SERVER], ["127.0.0.9"], _NEW_DAYS),
        Authority(_AUTHORITY, _NEW_DAYS).server(days=_NEW_DAYS),
        authority.server(days=_OLD_DAYS + 1),
    )
    return dict(zip(order, contents, strict=True))


def _lab(task: Task) -> MongoLab:
    lab = mongod.opened(task["administrator"], task["password"], "root")
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
    plain = loopback.connect(mongod.HOSTS[0], lab.inside.port, wire.SECONDS)
    line = wire.careless().wrap_socket(plain, server_hostname=mongod.HOSTS[0])
    weakref.finalize(lab, line.close)
    wire.ask(line, wire.hello())
    shown = line.getpeercert(binary_form=True) or b""
    began.keep(lab, server, ca)
    _began[lab] = _Began(shown, line, server, ca)
    return lab


def _rotation(at: Attempt, lab: MongoLab) -> str:
    """New connections are shown the new certificate, and the open one has stayed open."""
    start = _began[lab]
    stayed = _answers(start.line)
    at.note("as a program from before", "ask on its open connection", _said(stayed))
    if _clear(lab):
        at.note("as a new client", "speak in clear", "answered")
        return "in_clear"
    try:
        tls = wire.handshake(mongod.HOSTS[0], lab.inside.port, wire.careless())
    except OSError:
        at.note("as a new client", "speak TLS", "no answer")
        if stayed:
            raise
        return "restarted"
    if tls.certificate == start.certificate:
        at.note("as a new client", "look at the certificate", "the old one")
        return _old_one(at, lab, start, stayed)
    return (
        _new_one(at, lab, start, tls)
        or (None if stayed else "restarted")
        or _next_start(at, lab, start, tls)
        or RIGHT
    )


def _new_one(at: Attempt, lab: MongoLab, start: _Began, tls: wire.Handshake) -> str | None:
    """What is wrong with the certificate that new connections are shown."""
    who = "as a new client"
    for host in mongod.HOSTS:
        fault = "trusted"
        try:
            wire.handshake(host, lab.inside.port, began.trusting(lab, start.ca))
        except ssl.SSLCertVerificationError as error:
            fault = "another name" if error.verify_code in mongod.WRONG_NAME else "not trusted"
        at.note(who, f"verify the new certificate for {host}", fault)
        if fault != "trusted":
            at.values["host"] = host
            if fault == "another name":
                return "wrong_name"
            return "new_authority" if began.is_changed(lab, start.ca) else "other_authority"
    days = days_left(x509.load_der_x509_certificate(tls.certificate))
    at.note(who, "look how long it is valid", f"{days} days")
    at.values["days"] = days
    return "ends_soon" if days < _LEAST_DAYS else None


def _old_one(at: Attempt, lab: MongoLab, start: _Began, stayed: bool) -> str:
    """Why new connections are shown the old certificate."""
    if _named(lab) != start.file:
        at.note("as the administrator", "read mongod.conf", "it names another file")
        return "path_alone"
    if not began.is_changed(lab, start.file):
        return UNTOUCHED if stayed else "restarted"
    found = _Pem.of(start.file)
    what = f"read {start.file.name}"
    if found is None:
        at.note("as the administrator", what, "no key with its own certificate")
        return "file_useless"
    at.note("as the administrator", what, f"for {found.names}, {found.days} days")
    if began.is_changed(lab, start.ca):
        return "new_authority"
    return "file_alone" if found.fits(began.read(lab, start.ca)) else "wrong_file"


def _next_start(at: Attempt, lab: MongoLab, start: _Began, tls: wire.Handshake) -> str | None:
    """Whether all stays as it is when the server, or a client, begins anew."""
    try:
        trusts = ssl.create_default_context(cafile=str(start.ca))
        wire.handshake(mongod.HOSTS[0], lab.inside.port, trusts)
    except OSError:
        at.note("as a client that begins tomorrow", f"trust {start.ca.name} as it is", "refused")
        at.values["what"] = (
            f"{start.ca.name} has another authority now, so that a client which reads it then "
            "refuses the server"
        )
        return "next_start"
    what = _begins(lab, start, tls)
    at.note("as the administrator", "begin another mongod with this file", what or "the same")
    at.values["what"] = what
    return "next_start" if what else None


def _begins(lab: MongoLab, start: _Began, tls: wire.Handshake) -> str | None:
    """What another mongod does otherwise that begins with this file."""
    settings = conf.parse(lab.config)[0]
    trusts = began.trusting(lab, start.ca)
    try:
        twin = mongod.another(settings)
    except EngineFailed:
        return "mongod does not start with mongod.conf and the file that it names"
    with contextlib.closing(twin):
        fault = mongod.fault(twin.port, trusts)
        if not fault:
            shown = wire.handshake(mongod.HOSTS[0], twin.port, trusts).certificate
            return None if shown == tls.certificate else "mongod then shows another certificate"
    mode = conf.get(settings, "net.tls.mode") or "not set"
    return f"mongod then {fault} (net.tls.mode is {mode} in mongod.conf)"


def _named(lab: MongoLab) -> Path:
    """The file that mongod.conf names for the next start."""
    return Path(conf.get(conf.parse(lab.config)[0], "net.tls.certificateKeyFile"))


@dataclass
class _Pem:
    """A certificate that stands in a file together with its own key."""

    certificate: x509.Certificate

    @classmethod
    def of(cls, path: Path) -> "_Pem | None":
        """What a file has; ``None`` where mongod could not use it."""
        try:
            text = path.read_bytes()
            certificate = x509.load_pem_x509_certificate(text)
            key = load_pem_private_key(text, None)
        except (OSError, ValueError, TypeError):
            return None
        return cls(certificate) if key.public_key() == certificate.public_key() else None

    @property
    def days(self) -> int:
        return days_left(self.certificate)

    @property
    def names(self) -> str:
        """The host names for which it is made out."""
        kind = x509.SubjectAlternativeName
        with contextlib.suppress(x509.ExtensionNotFound):
            found = self.certificate.extensions.get_extension_for_class(kind).value
            return ", ".join(found.get_values_for_type(x509.DNSName)) or "no name"
        return "no name"

    def fits(self, authority: bytes) -> bool:
        """Whether it is the one that the question asks for."""
        try:
            self.certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
        except (ValueError, TypeError, InvalidSignature):
            return False
        return "localhost" in self.names.split(", ") and self.days >= _LEAST_DAYS


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
        with wire.opened(mongod.HOSTS[0], lab.inside.port, None) as line:
            return _answers(line)
    except OSError:
        return False


QUESTION = Question(asks={"lab": Lab}, check=_rotation, task=_task, lab=_lab)
