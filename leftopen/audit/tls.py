"""Checks of the wire: whether it is closed, and whether the certificate is worth checking."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from leftopen.audit import certificates
from leftopen.audit.checks import check
from leftopen.audit.client_uri import parse
from leftopen.audit.look import Look
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

_REQUIRE = (
    "net:\n  tls:\n    mode: requireTLS\n    certificateKeyFile: /path/to/server.pem\n"
    "    CAFile: /path/to/ca.pem\n    allowConnectionsWithoutCertificates: true"
)


@check("no-tls")
def no_tls(look: Look) -> Iterator[Finding]:
    """Does the server speak in clear alone?"""
    if look.inside.tls is None:
        yield Finding(
            "no-tls",
            Severity.FIX if look.is_exposed else Severity.NOTE,
            "The server speaks in plain text alone."
            + ("" if look.is_exposed else " It listens on this machine, so no network sees it."),
            f"hello in plain text at {look.inside.label} → answered; TLS handshake → refused",
            "On a network, whoever sits on the way reads every document that passes, and can "
            "change it.",
            "CWE-319",
            _REQUIRE,
            f'MongoClient({look.inside.label}).admin.command("ping")  # wanted: no answer',
        )


@check("plaintext-beside-tls")
def plaintext_beside_tls(look: Look) -> Iterator[Finding]:
    """Does the server still answer in clear, beside TLS?"""
    certificates.must_speak(look.inside.tls)
    if look.inside.clear is not None:
        yield Finding(
            "plaintext-beside-tls",
            Severity.FIX if look.is_exposed else Severity.WARN,
            "The server speaks TLS, and still answers in plain text.",
            f"hello in plain text at {look.inside.label} → answered",
            "A client that forgets TLS is served all the same, and nobody notices.",
            "CWE-319",
            "net:\n  tls:\n    mode: requireTLS",
            f'MongoClient({look.inside.label}, tls=False).admin.command("ping")'
            "  # wanted: no answer",
        )


@check("old-tls")
def old_tls(look: Look) -> Iterator[Finding]:
    """Does the server accept TLS 1.0 or 1.1?"""
    certificates.must_speak(look.inside.tls)
    accepted = certificates.old_versions(look.target)
    if accepted:
        yield Finding(
            "old-tls",
            Severity.FIX,
            f"The server accepts TLS {' and '.join(accepted)}.",
            f"handshake with TLS {' and '.join(accepted)} alone → accepted",
            "Both are withdrawn since 2021 (RFC 8996): they rest on MD5 and SHA-1.",
            "CWE-327",
            "net:\n  tls:\n    disabledProtocols: TLS1_0,TLS1_1",
            certificates.s_client(look.target, "-tls1_1") + "  # wanted: alert protocol version",
        )


def _authorities(look: Look) -> str | None:
    """The file of authorities that clients trust, from the first that knows one."""
    if look.target.ca:
        return look.target.ca
    if look.target.client_uri and (ca := parse(look.target.client_uri).ca):
        return ca
    try:
        if configured := look.option("net.tls.CAFile"):
            return configured
    except CouldNotLook:
        pass
    return str(look.lab.certificates.ca) if look.lab is not None else None


@check("certificate-untrusted")
def certificate_untrusted(look: Look) -> Iterator[Finding]:
    """Does the server's certificate lead to the authority that clients trust?"""
    certificates.must_speak(look.inside.tls)
    return certificates.untrusted(
        look.target,
        _authorities(look),
        "net:\n  tls:\n    certificateKeyFile: /path/to/server.pem  # signed by your authority",
        certificates.s_client(look.target),
    )


@check("certificate-wrong-name")
def certificate_wrong_name(look: Look) -> Iterator[Finding]:
    """Is the certificate made out to the name that clients dial?"""
    dialled = [look.target.host]
    if look.lab is not None:
        dialled = ["127.0.0.1", "localhost"]
    if look.target.client_uri:
        dialled = list(parse(look.target.client_uri).hosts)
    return certificates.wrong_name(
        certificates.shown(look.inside.tls),
        dialled,
        f"# a certificate with subjectAltName {dialled[0]}, then:\n"
        "net:\n  tls:\n    certificateKeyFile: /path/to/server.pem",
        f"{certificates.s_client(look.target)} -verify_hostname {dialled[0]}",
    )


@check("certificate-expiry")
def certificate_expiry(look: Look) -> Iterator[Finding]:
    """Has the certificate expired, or will it soon?"""
    return certificates.running_out(
        certificates.shown(look.inside.tls),
        "mongod does not start with an expired certificate, and clients that check do not connect.",
        "# a new certificate in the same file, then, without a restart:\n"
        'client.admin.command("rotateCertificates")',
        f"{certificates.s_client(look.target)} | openssl x509 -noout -enddate",
    )


def _server_allows(look: Look, name: str, option: str, severity: Severity, what: str, why: str):
    certificates.must_speak(look.inside.tls)
    if look.is_on(f"net.tls.{option}"):
        yield Finding(
            name,
            severity,
            what,
            f"options in force → net.tls.{option}: true",
            why,
            "CWE-295",
            f"# leave out net.tls.{option}, or\nnet:\n  tls:\n    {option}: false",
            'client.admin.command("getCmdLineOpts")["parsed"]["net"]["tls"]',
        )


@check("allow-invalid-certificates")
def allow_invalid_certificates(look: Look) -> Iterator[Finding]:
    """Does the server accept any certificate from its clients and partners?"""
    return _server_allows(
        look,
        "allow-invalid-certificates",
        "allowInvalidCertificates",
        Severity.FIX,
        "The server accepts certificates that it could not check.",
        "Anyone can make a certificate with any name in it. A rule that only machines with a "
        "certificate may connect then keeps nobody out.",
    )


@check("allow-invalid-hostnames")
def allow_invalid_hostnames(look: Look) -> Iterator[Finding]:
    """Does the server accept partners under another machine's certificate?"""
    return _server_allows(
        look,
        "allow-invalid-hostnames",
        "allowInvalidHostnames",
        Severity.WARN,
        "The server does not compare the names in its partners' certificates.",
        "Then the certificate of any machine of the same authority will do for every other.",
    )


@check("open-key-file")
def open_key_file(look: Look) -> Iterator[Finding]:
    """Can others on the machine read a private key?"""
    look.inside  # noqa: B018 - first: does it answer at all
    named = [
        path
        for option in ("net.tls.certificateKeyFile", "net.tls.clusterFile", "security.keyFile")
        if (path := look.option(option))
    ]
    if not named:
        raise NothingToLookAt("the server uses no key file")
    if os.name != "posix":
        raise CouldNotLook("file modes are looked at on Linux and macOS alone")
    for path in named:
        try:
            mode = stat.S_IMODE(Path(path).stat().st_mode)
        except OSError as error:
            raise CouldNotLook(f"{look.shown(path)} cannot be seen: {error.strerror}") from None
        if mode & 0o077:
            closed = any(not p.stat().st_mode & 0o011 for p in Path(path).resolve().parents)
            yield Finding(
                "open-key-file",
                Severity.WARN if closed else Severity.FIX,
                "Others on this machine may read the server's private key."
                + (" Only the folder above it keeps them out." if closed else ""),
                f"mode of {look.shown(path)} → {mode:04o}",
                "Who has the key can pose as the server. mongod checks the mode of its keyFile at "
                "start, and that of a certificate never.",
                "CWE-732",
                f"chmod 600 {look.shown(path)}",
                f"stat -c %a {look.shown(path)}  # wanted: 600 or 400",
            )
