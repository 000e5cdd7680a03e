"""Checks of the wire: whether it is closed, and whether the certificate is worth checking."""

import contextlib
from collections.abc import Iterator

from leftopen.audit import certificates
from leftopen.audit.checks import check
from leftopen.audit.postgres import hba
from leftopen.audit.postgres.client import dialled, parse
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook

_REQUIRE = (
    "# postgresql.conf; the files lie in the data folder\n"
    "ssl = on\nssl_cert_file = 'pki/server.pem'\nssl_key_file = 'pki/server-key.pem'\n"
    "# pg_hba.conf: hostssl in the place of host"
)
_CERTIFICATE = (
    "# postgresql.conf: the files of a certificate {}; then: SELECT pg_reload_conf()\n"
    "ssl_cert_file = 'pki/server.pem'\nssl_key_file = 'pki/server-key.pem'"
)
_OLD = ("", "TLSv1", "TLSv1.1")  # an empty floor lets in all that OpenSSL does


def _s_client(look: PostgresLook, options: str = certificates.CHECKING) -> str:
    return certificates.s_client(look.target, options, "postgres")


@check("no-tls")
def no_tls(look: PostgresLook) -> Iterator[Finding]:
    """Does the server speak in clear alone?"""
    if look.inside.tls is None:
        yield Finding(
            "no-tls",
            Severity.FIX if look.is_exposed else Severity.NOTE,
            "The server speaks in plain text alone."
            + ("" if look.is_exposed else " It listens on this machine, so no network sees it."),
            f"SSLRequest at {look.inside.label} → refused",
            "On a network, whoever sits on the way reads every row that passes, and can change it.",
            "CWE-319",
            _REQUIRE,
            _s_client(look, "") + "  # wanted: a certificate",
        )


@check("plaintext-beside-tls")
def plaintext_beside_tls(look: PostgresLook) -> Iterator[Finding]:
    """Is a client from elsewhere served in clear, beside TLS?

    This machine's own clients may be: what they say crosses no network.
    """
    certificates.must_speak(look.inside.tls)
    found = [
        reach
        for reach in look.reaches
        if reach.rule.method != hba.REFUSES and reach.those(hba.ANYWHERE, hba.NAMED, way="clear")
    ]
    if found:
        reached = look.is_exposed
        yield Finding(
            "plaintext-beside-tls",
            Severity.FIX if reached else Severity.WARN,
            "The server speaks TLS, and still serves clients from elsewhere in plain text.",
            "; ".join([*_tried(look, found), *(_line(reach) for reach in found)]),
            "A client that forgets TLS is served all the same, and nobody notices. A line that "
            "begins with host takes both; one that begins with hostssl takes TLS alone.",
            "CWE-319",
            "# pg_hba.conf: hostssl in the place of host",
            "psycopg.connect(lab.outside.uri_as(…, options='sslmode=disable'))"
            "  # wanted: no pg_hba.conf entry"
            if look.lab
            else "SELECT line_number, type, address FROM pg_hba_file_rules",
        )


def _line(reach: hba.Reach) -> str:
    return f"pg_hba.conf, line {reach.rule.line} → {reach.rule.text}"


def _tried(look: PostgresLook, found: list[hba.Reach]) -> Iterator[str]:
    for door in look.doors:
        for reach in found:
            for client in reach.those(door.place, way="clear")[:1]:
                with contextlib.suppress(CouldNotLook):
                    answer = look.ask(door, "clear", client.role, client.database)
                    if answer.method:
                        asked = "let in" if answer.let_in else f"asked for {answer.method}"
                        yield f"{client.role} in clear at {door.label} → {asked}"


@check("old-tls")
def old_tls(look: PostgresLook) -> Iterator[Finding]:
    """Does the server accept TLS 1.0 or 1.1, or would its configuration?"""
    certificates.must_speak(look.inside.tls)
    accepted, unseen = [], ""
    try:
        accepted = certificates.old_versions(look.target)
    except CouldNotLook as why:
        unseen = str(why)
    floor = "TLSv1.2"
    with contextlib.suppress(CouldNotLook):
        floor = look.setting("ssl_min_protocol_version")
    evidence = [f"handshake with TLS {' and '.join(accepted)} alone → accepted"] if accepted else []
    evidence += [f"ssl_min_protocol_version → {floor or '(empty)'}"] if floor in _OLD else []
    if evidence:
        yield Finding(
            "old-tls",
            Severity.FIX if accepted else Severity.WARN,
            f"The server accepts TLS {' and '.join(accepted)}."
            if accepted
            else "The configuration allows TLS below 1.2. Only the TLS library keeps it out.",
            "; ".join(evidence),
            "TLS 1.0 and 1.1 are withdrawn since 2021 (RFC 8996): they rest on MD5 and SHA-1.",
            "CWE-327",
            "# postgresql.conf\nssl_min_protocol_version = 'TLSv1.2'",
            _s_client(look, "-tls1_1 -cipher ALL:@SECLEVEL=0")
            + "  # wanted: alert protocol version",
        )
    if unseen:
        raise CouldNotLook(unseen)


@check("certificate-untrusted")
def certificate_untrusted(look: PostgresLook) -> Iterator[Finding]:
    """Does the server's certificate lead to the authority that clients trust?"""
    certificates.must_speak(look.inside.tls)
    return certificates.untrusted(
        look.target,
        _authorities(look),
        _CERTIFICATE.format("signed by your authority"),
        _s_client(look),
    )


def _authorities(look: PostgresLook) -> str | None:
    """The file of authorities that clients trust, from the first that knows one."""
    if look.target.ca:
        return look.target.ca
    if look.target.client_uri and (ca := parse(look.target).ca) not in ("", "system"):
        return ca
    return str(look.lab.certificates.ca) if look.lab is not None else None


@check("certificate-wrong-name")
def certificate_wrong_name(look: PostgresLook) -> Iterator[Finding]:
    """Is the certificate made out to the name that clients dial?"""
    names = dialled(look)
    return certificates.wrong_name(
        certificates.shown(look.inside.tls),
        names,
        _CERTIFICATE.format(f"with subjectAltName {names[0]}"),
        f"{_s_client(look)} -verify_hostname {names[0]}",
    )


@check("certificate-expiry")
def certificate_expiry(look: PostgresLook) -> Iterator[Finding]:
    """Has the certificate expired, or will it soon? PostgreSQL starts with an expired one."""
    return certificates.running_out(
        certificates.shown(look.inside.tls),
        "Clients that check do not connect any more, and people turn the check off to go on. The "
        "server itself starts with an expired certificate, and says nothing.",
        _CERTIFICATE.format("that is new"),
        f"{_s_client(look, '')} | openssl x509 -noout -enddate",
    )
