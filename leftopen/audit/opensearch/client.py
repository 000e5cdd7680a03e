"""Checks of what an application says to its driver. It is read, and never connected to.

The options are those of opensearch-py: ``verify_certs``, ``ssl_assert_hostname``, ``ca_certs``,
``ssl_context``, ``use_ssl``, ``http_auth``. On the command line each is a text.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from leftopen.audit import drivers
from leftopen.audit.checks import check
from leftopen.audit.opensearch.look import SearchLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt, Target
from leftopen.errors import LeftOpenError

_RIGHT = 'OpenSearch("https://db.example:9200", http_auth=(…), ca_certs="ca.pem")'


@dataclass(frozen=True)
class Client:
    """An application's address and options in their parts."""

    tls: bool
    host: str
    user: str
    has_password: bool
    options: Mapping[str, object] = field(repr=False)

    def is_off(self, name: str) -> bool:
        """Whether an option is there and says no."""
        return name in self.options and str(self.options[name]).lower() in ("false", "0", "no")

    @property
    def context(self) -> ssl.SSLContext | None:
        """The TLS context that it brings of its own."""
        found = self.options.get("ssl_context")
        return found if isinstance(found, ssl.SSLContext) else None

    @property
    def ca(self) -> str:
        """The file of authorities that it trusts."""
        return str(self.options.get("ca_certs") or "")


def parse(target: Target) -> Client:
    """Take an application's address and options apart.

    Raises:
        LeftOpenError: it is no address of a search cluster.
    """
    uri, options = target.client_uri.strip(), dict(target.client_options)
    parts = urlsplit(uri)
    try:
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise LeftOpenError(
            "The client's address is not one of a search cluster: it begins with http:// or "
            "https:// and has a host. Give it as the application has it."
        )
    login = options.get("http_auth") or options.get("basic_auth") or ""
    if isinstance(login, str):
        login = login.split(":", 1)
    user = unquote(parts.username or "") or (str(login[0]) if login else "")
    tls = parts.scheme == "https" or str(options.get("use_ssl", "")).lower() == "true"
    return Client(tls, parts.hostname, user, bool(parts.password), options)


def application(look: SearchLook) -> str:
    """The account that the application logs in with."""
    return parse(look.target).user if look.target.client_uri else ""


def _client(look: SearchLook) -> Client:
    if not look.target.client_uri:
        raise NothingToLookAt("no address of an application was given (client_uri)")
    return parse(look.target)


@check("client-password")
def client_password(look: SearchLook) -> Iterator[Finding]:
    """Does the password stand in the address?"""
    client = _client(look)
    if client.has_password:
        yield drivers.holds_password(
            client.user,
            'OpenSearch(uri_without_login, http_auth=("…", os.environ["SEARCH_PASSWORD"]))',
            "urlsplit(client_uri).password  # wanted: None",
        )


@check("client-insecure")
def client_insecure(look: SearchLook) -> Iterator[Finding]:
    """Does the application accept any certificate?"""
    client = _client(look)
    said = ["verify_certs=False"] if client.is_off("verify_certs") else []
    if client.context is not None and client.context.verify_mode == ssl.CERT_NONE:
        said.append("an ssl_context with CERT_NONE")
    if said and client.is_off("ssl_show_warn"):
        said.append("ssl_show_warn=False, so that its driver does not even say so")
    if said:
        yield Finding(
            "client-insecure",
            Severity.FIX,
            "The application accepts any certificate.",
            f"client_options → {', '.join(said)}",
            "Anyone on the way can stand between, show a certificate of their own, and read "
            "everything, the password first. Encryption to a stranger protects nothing.",
            "CWE-295",
            _RIGHT,
            "client_options  # wanted: no verify_certs=False",
        )


@check("client-any-host")
def client_any_host(look: SearchLook) -> Iterator[Finding]:
    """Does the application accept a certificate that is made out to another host?"""
    client = _client(look)
    own = client.context
    careless = own is not None and own.verify_mode != ssl.CERT_NONE and not own.check_hostname
    if client.is_off("ssl_assert_hostname") or careless:
        said = "an ssl_context without check_hostname" if careless else "ssl_assert_hostname=False"
        yield drivers.takes_any_host(
            f"client_options → {said}",
            "# leave the option out; make out the server's certificate to the name that clients "
            f"dial (subjectAltName)\n{_RIGHT}",
            "client_options  # wanted: no ssl_assert_hostname=False",
        )


@check("client-no-tls")
def client_no_tls(look: SearchLook) -> Iterator[Finding]:
    """Does the application speak in clear to a server beyond this machine, or one that has TLS?"""
    client = _client(look)
    reason = "" if client.tls else drivers.why_tls(look)
    if reason:
        yield Finding(
            "client-no-tls",
            Severity.FIX,
            "The application speaks to the server in plain HTTP.",
            f"client_uri → http://, without use_ssl; {reason}",
            "Whoever sits on the way reads every document that passes, and the password with each "
            "request.",
            "CWE-319",
            _RIGHT,
            "urlsplit(client_uri).scheme  # wanted: https",
        )


@check("client-no-ca")
def client_no_ca(look: SearchLook) -> Iterator[Finding]:
    """Can the application check the certificate of a private authority?"""
    client = _client(look)
    if not client.tls:
        raise NothingToLookAt("the application does not use TLS")
    if client.ca or client.context is not None or client.is_off("verify_certs"):
        return
    if look.inside.tls is not None and not look.is_public:
        yield Finding(
            "client-no-ca",
            Severity.WARN,
            "The application names no authority that it trusts.",
            "client_options → https without ca_certs",
            "Without one it trusts every public authority, and cannot check a certificate of your "
            "own. That is the moment in which people turn the check off.",
            "CWE-295",
            _RIGHT,
            "client_options  # wanted: ca_certs",
        )
