"""Checks of the address that an application uses. It is read, and never connected to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

from leftopen.audit import drivers
from leftopen.audit.checks import check
from leftopen.audit.look import Look
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt
from leftopen.errors import LeftOpenError

_URI = re.compile(
    r"(?P<scheme>mongodb(\+srv)?)://(?:(?P<login>.*)@)?(?P<hosts>[^/?]+)"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_RETEST = 'parse_uri(client_uri)["options"]  # from pymongo.uri_parser'


@dataclass(frozen=True)
class ClientUri:
    """An application's address in its parts; option names are in lower case.

    An address that says nothing of TLS speaks in clear, unless it is one of ``mongodb+srv``.
    """

    user: str
    has_password: bool
    places: tuple[tuple[str, int], ...]
    options: dict[str, str] = field(repr=False)
    is_srv: bool = False

    def is_on(self, *names: str) -> bool:
        """Whether one of these options is true."""
        return any(self.options.get(name.lower(), "").lower() == "true" for name in names)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that it dials."""
        return tuple(host for host, _ in self.places)

    @property
    def tls(self) -> bool:
        """Whether the client asks for TLS."""
        said = [self.options[name] for name in ("tls", "ssl") if name in self.options]
        if said:
            return said[0].lower() == "true"
        return self.is_srv or any(name.startswith("tls") for name in self.options)

    @property
    def ca(self) -> str:
        """The file of authorities that it trusts."""
        return self.options.get("tlscafile") or self.options.get("ssl_ca_certs", "")


def parse(uri: str) -> ClientUri:
    """Take an address apart, without asking anyone what it leads to.

    pymongo's own parser would ask the DNS about ``mongodb+srv`` addresses.

    Raises:
        LeftOpenError: it is no address of MongoDB.
    """
    match = _URI.fullmatch(uri.strip())
    if not match:
        raise LeftOpenError(
            "The client's address is not one of MongoDB: it begins with mongodb:// and has a host. "
            "Give it as the application has it."
        )
    user, colon, password = (match["login"] or "").partition(":")
    options = {k.lower(): v for k, v in parse_qsl(match["query"] or "", keep_blank_values=True)}
    return ClientUri(
        unquote_plus(user),
        bool(colon and password),
        tuple(_place(entry) for entry in match["hosts"].split(",")),
        options,
        match["scheme"].endswith("srv"),
    )


def _place(entry: str) -> tuple[str, int]:
    host, port = entry, 27017  # MongoDB's default port
    plain = entry.rpartition("]")[2]
    if ":" in plain:
        host, _, number = entry.rpartition(":")
        if not number.isdigit():
            raise LeftOpenError(f"{number!r} is not a port. Give a number from 1 to 65535.")
        port = int(number)
    return unquote_plus(host).strip("[]"), port


def _client(look: Look) -> ClientUri:
    if not look.target.client_uri:
        raise NothingToLookAt("no address of an application was given (client_uri)")
    return parse(look.target.client_uri)


@check("client-password")
def client_password(look: Look) -> Iterator[Finding]:
    """Does the password stand in the address?"""
    client = _client(look)
    if client.has_password:
        yield drivers.holds_password(
            client.user,
            'MongoClient(uri_without_login, username="…", password=os.environ["DB_PASSWORD"])',
            'parse_uri(client_uri)["password"]  # wanted: None',
        )


@check("client-insecure")
def client_insecure(look: Look) -> Iterator[Finding]:
    """Does the application accept any certificate?"""
    client = _client(look)
    said = [n for n in ("tlsInsecure", "tlsAllowInvalidCertificates") if client.is_on(n)]
    if client.options.get("ssl_cert_reqs", "").upper() == "CERT_NONE":
        said.append("ssl_cert_reqs")
    if said:
        yield Finding(
            "client-insecure",
            Severity.FIX,
            "The application accepts any certificate.",
            f"client_uri → {', '.join(said)} is set",
            "Anyone on the way can stand between, show a certificate of their own, and read "
            "everything. Encryption to a stranger protects nothing.",
            "CWE-295",
            "# in the address, in its place:\ntls=true&tlsCAFile=/path/to/ca.pem",
            _RETEST,
        )


@check("client-any-host")
def client_any_host(look: Look) -> Iterator[Finding]:
    """Does the application accept a certificate that is made out to another host?"""
    client = _client(look)
    matched = client.options.get("ssl_match_hostname", "true").lower() != "false"
    if client.is_on("tlsAllowInvalidHostnames") or not matched:
        yield drivers.takes_any_host(
            "client_uri → tlsAllowInvalidHostnames is set",
            "# leave the option out; make out the server's certificate to the name that clients "
            "dial (subjectAltName)",
            _RETEST,
        )


@check("client-no-tls")
def client_no_tls(look: Look) -> Iterator[Finding]:
    """Does the application speak in clear to a server beyond this machine, or one that has TLS?"""
    client = _client(look)
    if client.tls:
        return
    if reason := drivers.why_tls(look):
        yield Finding(
            "client-no-tls",
            Severity.FIX,
            "The application speaks to the server in plain text.",
            f"client_uri → no tls=true; {reason}",
            "Whoever sits on the way reads every document that passes, and can change it.",
            "CWE-319",
            "# in the address:\ntls=true&tlsCAFile=/path/to/ca.pem",
            _RETEST,
        )


@check("client-no-ca")
def client_no_ca(look: Look) -> Iterator[Finding]:
    """Can the application check the certificate of a private authority?"""
    client = _client(look)
    if not client.tls:
        raise NothingToLookAt("the application does not use TLS")
    if client.ca or client.is_on("tlsInsecure", "tlsAllowInvalidCertificates"):
        return
    if look.is_public:
        return
    yield Finding(
        "client-no-ca",
        Severity.WARN,
        "The application names no authority that it trusts.",
        "client_uri → tls without tlsCAFile",
        "Without one it trusts every public authority, and cannot check a certificate of your "
        "own. That is the moment in which people turn the check off.",
        "CWE-295",
        "# in the address:\ntlsCAFile=/path/to/ca.pem",
        _RETEST,
    )
