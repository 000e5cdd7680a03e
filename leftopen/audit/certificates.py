"""What is looked at in a server's certificate, whichever server it is.

Names are compared as RFC 9525 says: with the subject alternative name alone, and a wildcard stands
for one label, the first.
"""

import datetime
import ipaddress
import ssl

from cryptography import x509

from leftopen.audit import wire
from leftopen.audit.look import CouldNotLook, Target

_SOON_DAYS, _SOON_SHARE = 30, 0.2


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
        wire.handshake(target.host, target.port, context)
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
            wire.handshake(target.host, target.port, context)
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
