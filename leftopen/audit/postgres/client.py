"""Checks of what an application says to libpq. It is read, and never connected to.

The words are those of a connection string, in either of its two forms; what it does not say, libpq
takes to be ``sslmode=prefer`` (PostgreSQL manual, "Database Connection Control Functions").
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict

from leftopen import loopback
from leftopen.audit import drivers
from leftopen.audit.checks import check
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt, Target
from leftopen.errors import LeftOpenError

IN_CLEAR = ("disable", "allow", "prefer")
"""Values of sslmode with which a client speaks in clear, or can be brought to it."""
_RIGHT = "# in the string:\nsslmode=verify-full&sslrootcert=/path/to/ca.pem"
_RETEST = "conninfo_to_dict(client_uri)  # from psycopg.conninfo; wanted: sslmode verify-full"


@dataclass(frozen=True)
class Client:
    """An application's connection string in its parts."""

    user: str
    hosts: tuple[str, ...]
    has_password: bool
    options: dict[str, str] = field(repr=False)

    @property
    def sslmode(self) -> str:
        """How much it asks of TLS."""
        return self.options.get("sslmode", "prefer")

    @property
    def ca(self) -> str:
        """The file of authorities that it trusts."""
        return self.options.get("sslrootcert", "")

    @property
    def by_socket(self) -> bool:
        """Whether it never leaves its machine: a Unix socket, which no TLS is needed for."""
        return all(not host or host.startswith(("/", "@")) for host in self.hosts)


def parse(target: Target) -> Client:
    """Take an application's connection string apart.

    Raises:
        LeftOpenError: it is none.
    """
    try:
        told = conninfo_to_dict(target.client_uri.strip())
    except psycopg.Error:
        raise LeftOpenError(
            "The client's address is not one of PostgreSQL: write it as the application has it, "
            "as postgresql://app@db.example/doors_1 or host=db.example user=app."
        ) from None
    options = {name: str(value) for name, value in told.items() if value is not None}
    hosts = tuple(options.get("host", options.get("hostaddr", "")).split(","))
    return Client(options.get("user", ""), hosts, bool(options.get("password")), options)


def application(look: PostgresLook) -> str:
    """The account that the application logs in with."""
    return parse(look.target).user if look.target.client_uri else ""


def _client(look: PostgresLook) -> Client:
    if not look.target.client_uri:
        raise NothingToLookAt("no address of an application was given (client_uri)")
    return parse(look.target)


def _over_tcp(look: PostgresLook) -> Client:
    client = _client(look)
    if client.by_socket:
        raise NothingToLookAt("the application comes through a socket of its own machine")
    return client


@check("client-password")
def client_password(look: PostgresLook) -> Iterator[Finding]:
    """Does the password stand in the address?"""
    client = _client(look)
    if client.has_password:
        yield drivers.holds_password(
            client.user,
            'psycopg.connect(uri_without_login, password=os.environ["PGPASSWORD"])\n'
            "# or a passfile of mode 600",
            'conninfo_to_dict(client_uri).get("password")  # wanted: None',
        )


@check("client-no-tls")
def client_no_tls(look: PostgresLook) -> Iterator[Finding]:
    """Does the application speak in clear, or let itself be brought to it?"""
    client = _over_tcp(look)
    if client.sslmode not in IN_CLEAR:
        return
    if reason := drivers.why_tls(look):
        said = "sslmode" in client.options
        yield Finding(
            "client-no-tls",
            Severity.FIX,
            "The application speaks to the server in plain text."
            if client.sslmode == "disable"
            else "The application can be brought to speak in plain text.",
            f"client_uri → sslmode={client.sslmode}{'' if said else ', the default'}; {reason}",
            "Whoever sits on the way answers that there is no TLS here, and then reads every row "
            "that passes.",
            "CWE-319",
            _RIGHT,
            _RETEST,
        )


@check("client-insecure")
def client_insecure(look: PostgresLook) -> Iterator[Finding]:
    """Does the application accept any certificate?"""
    client = _over_tcp(look)
    if client.sslmode == "require" and not client.ca:
        yield Finding(
            "client-insecure",
            Severity.FIX,
            "The application accepts any certificate.",
            "client_uri → sslmode=require, without sslrootcert",
            "Anyone on the way can stand between, show a certificate of their own, and read "
            "everything. require encrypts, and does not ask to whom.",
            "CWE-295",
            _RIGHT,
            _RETEST,
        )


@check("client-any-host")
def client_any_host(look: PostgresLook) -> Iterator[Finding]:
    """Does the application accept a certificate that is made out to another host?"""
    client = _over_tcp(look)
    # With a file of authorities, libpq takes require for verify-ca (manual, "SSL Support").
    if client.sslmode == "verify-ca" or (client.sslmode == "require" and client.ca):
        yield drivers.takes_any_host(
            f"client_uri → sslmode={client.sslmode}",
            _RIGHT,
            _RETEST,
        )


@check("client-no-ca")
def client_no_ca(look: PostgresLook) -> Iterator[Finding]:
    """Does the application say which authority it trusts?"""
    client = _over_tcp(look)
    if not client.sslmode.startswith("verify"):
        raise NothingToLookAt("the application checks no certificate")
    if not client.ca:
        yield Finding(
            "client-no-ca",
            Severity.WARN,
            "The application names no authority that it trusts.",
            f"client_uri → sslmode={client.sslmode}, without sslrootcert",
            "libpq then looks for ~/.postgresql/root.crt of whoever runs it, and does not connect "
            "where there is none. That is the moment in which people turn the check off.",
            "CWE-295",
            _RIGHT,
            _RETEST,
        )


def dialled(look: PostgresLook) -> list[str]:
    """The hosts that clients dial: the application's, or those of this machine."""
    if look.target.client_uri and not (client := parse(look.target)).by_socket:
        return [host for host in client.hosts if host]
    return [loopback.HERE, "localhost"] if look.lab else [look.target.host]
