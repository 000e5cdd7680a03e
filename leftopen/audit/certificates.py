"""What is looked at in a server's certificate, whichever server it is.

Names are compared as RFC 9525 says: with the subject alternative name alone, and a wildcard stands
for one label, the first.
"""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from leftopen.audit import wire
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt, Target

CHECKING = "-CAfile ca.pem -verify_return_error"
"""With these options ``openssl s_client`` checks where the certificate leads."""
_SOON_DAYS, _SOON_SHARE = 30, 0.2


def s_client(target: Target, options: str = CHECKING, starttls: str = "") -> str:
    """The call of ``openssl s_client`` with which a learner sees the server's certificate.

    Args:
        target: the server.
        options: what stands behind the address.
        starttls: the protocol that asks for TLS in words of its own, as openssl calls it.
    """
    place = "127.0.0.1:{lab.inside.port}" if target.lab else f"{target.host}:{target.port}"
    start = "!openssl" if target.lab else "openssl"
    asks = f"-starttls {starttls} " if starttls else ""
    return f"{start} s_client {asks}-connect {place} {options}"


def must_speak(tls: wire.Handshake | None) -> wire.Handshake:
    """The handshake with the server.

    Raises:
        NothingToLookAt: there was none.
    """
    if tls is None:
        raise NothingToLookAt("the server does not speak TLS")
    return tls


def shown(tls: wire.Handshake | None) -> x509.Certificate:
    """The certificate that the server showed in a handshake.

    Raises:
        NothingToLookAt: there was no handshake.
        CouldNotLook: the server showed none.
    """
    der = must_speak(tls).certificate
    if not der:
        raise CouldNotLook("the server showed no certificate")
    return x509.load_der_x509_certificate(der)


def chain_fault(target: Target, ca: str | None) -> str:
    """Why the server's certificate does not lead to these authorities; empty if it does.

    Args:
        target: the server.
        ca: a file of authorities; without one, the public ones.

    Raises:
        CouldNotLook: the file cannot be read, or there is no handshake for another reason.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        if target.cert:
            context.load_cert_chain(target.cert, target.key)
    except OSError as error:
        raise CouldNotLook(f"{ca} cannot be read: {error}") from None
    context.check_hostname = False
    try:
        wire.handshake(target.host, target.port, context, target.greet)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError as error:
        raise CouldNotLook(f"the handshake failed: {error}") from None
    return ""


def old_versions(target: Target) -> list[str]:
    """Which of TLS 1.0 and 1.1 the server accepts.

    Raises:
        CouldNotLook: this machine's own TLS library does not speak them.
    """
    accepted = []
    for name, version in (("1.0", ssl.TLSVersion.TLSv1), ("1.1", ssl.TLSVersion.TLSv1_1)):
        try:
            context = wire.old(version)
        except OSError as error:
            raise CouldNotLook(str(error)) from None
        try:
            wire.handshake(target.host, target.port, context, target.greet)
        except OSError:
            continue
        accepted.append(name)
    return accepted


def ending(certificate: x509.Certificate) -> tuple[bool, bool]:
    """Whether a certificate has expired, and whether it will soon.

    Soon is within 30 days, and within the last fifth of its time.
    """
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    expired = left.total_seconds() <= 0
    return expired, not expired and left.days < _SOON_DAYS and left < whole * _SOON_SHARE


def names(certificate: x509.Certificate) -> list[str]:
    """The hosts that a certificate is made out to."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName) + [
        str(address) for address in found.get_values_for_type(x509.IPAddress)
    ]


def is_for(name: str, host: str) -> bool:
    """Whether a name in a certificate is that of a host."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        pass
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        return "." in host and host.split(".", 1)[1] == name[2:]
    return name == host


def untrusted(target: Target, ca: str | None, fix: str, retest: str) -> Iterator[Finding]:
    """The finding that a certificate does not lead to these authorities, where it does not.

    Args:
        target: the server.
        ca: a file of authorities; without one, the public ones.
        fix: what to do about it, in the engine's own words.
        retest: how to see that it is done.

    Raises:
        CouldNotLook: as for :func:`chain_fault`, or no authority was named that could be meant.
    """
    why = chain_fault(target, ca)
    if not why or "expired" in why:
        return
    alone = why.replace(" ", "-").startswith("self-signed") and "chain" not in why
    if ca is None and not alone:
        raise CouldNotLook(f"no public authority made this certificate ({why}); name your own: ca")
    yield Finding(
        "certificate-untrusted",
        Severity.FIX,
        "The server's certificate does not lead to the authority that clients trust.",
        f"handshake that trusts {Path(ca).name if ca else 'the public authorities'} → {why}",
        "A client that checks cannot connect, so its check will be turned off, and then "
        "anyone can stand between.",
        "CWE-295",
        fix,
        retest,
    )


def wrong_name(
    certificate: x509.Certificate, dialled: list[str], fix: str, retest: str
) -> Iterator[Finding]:
    """The finding that a certificate is for none of the hosts that clients dial, where it is so."""
    found = names(certificate)
    if not any(is_for(name, host) for name in found for host in dialled):
        yield Finding(
            "certificate-wrong-name",
            Severity.FIX,
            "The certificate is made out to another host.",
            f"subjectAltName → {', '.join(found) or 'none'}; clients dial {', '.join(dialled)}",
            "A client that checks the name cannot connect, so its check will be turned off.",
            "CWE-297",
            fix,
            retest,
        )


def running_out(
    certificate: x509.Certificate, why: str, fix: str, retest: str
) -> Iterator[Finding]:
    """The finding that a certificate has expired, or will soon, where it has or will."""
    expired, soon = ending(certificate)
    if expired or soon:
        yield Finding(
            "certificate-expiry",
            Severity.FIX if expired else Severity.WARN,
            "The certificate has expired." if expired else "The certificate expires soon.",
            f"notAfter → {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            why,
            "CWE-298",
            fix,
            retest,
        )
