"""A small certificate authority, a server's certificate and an administrator's, for a lab alone.

The profile is RFC 5280's: version 3, EC P-256 keys (RFC 5480), ECDSA with SHA-256, the names in
the subject alternative name (RFC 9525 lets clients look nowhere else). The authority's private key
is used once and never written: nobody can sign a second certificate with it.
"""

import datetime
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leftopen import loopback
from leftopen.errors import DataError, LeftOpenError

# Clocks differ: a certificate is valid from a little before it was made.
_HEAD_START = datetime.timedelta(minutes=5)

_SIGNING = {"key_cert_sign", "crl_sign"}
_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class Pki:
    """Where the files of a lab's certificates are.

    Attributes:
        ca: the authority's certificate (PEM), for clients that verify the server.
        server: the server's private key and certificate in one file (PEM), as mongod wants it.
        server_certificate: the certificate alone, and
        server_key: its key alone (PEM, PKCS #8), as OpenSearch and PostgreSQL want them.
        admin: the certificate of a client named ``admin``, and
        admin_key: its key.
    """

    ca: Path
    server: Path
    server_certificate: Path
    server_key: Path
    admin: Path
    admin_key: Path


@dataclass(frozen=True)
class _Identity:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_pki(
    folder: Path,
    names: Iterable[str] = ("localhost",),
    addresses: Iterable[str] = ("127.0.0.1",),
    days: int = 7,
) -> Pki:
    """Make an authority and a server certificate signed by it, as files that only the owner reads.

    Files of an earlier call are replaced.

    Args:
        folder: where to put them; it is made if need be, and closed to others.
        names: host names of the server; each must resolve to loopback.
        addresses: IP addresses of the server; each must be loopback.
        days: how long both certificates are valid.

    Returns:
        The paths of the files.

    Raises:
        NotLoopback: if a name or an address is not this machine's.
        LeftOpenError: if there is no name and no address, or the days are not usable.
        DataError: if the files cannot be written.
    """
    alternatives = _alternatives(names, addresses)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 366:
        raise LeftOpenError(f"{days!r} is not a usable validity. Give 1 to 366 days.")
    ca = _make_ca(days)
    server = _make_server(ca, alternatives, days)
    admin = _make_client(ca, "admin", days)
    folder = Path(folder)
    pki = Pki(
        ca=folder / "ca.pem",
        server=folder / "server-and-key.pem",
        server_certificate=folder / "server.pem",
        server_key=folder / "server-key.pem",
        admin=folder / "admin.pem",
        admin_key=folder / "admin-key.pem",
    )
    contents = {
        pki.ca: _certificate_pem(ca),
        pki.server: _key_pem(server) + _certificate_pem(server),
        pki.server_certificate: _certificate_pem(server),
        pki.server_key: _key_pem(server),
        pki.admin: _certificate_pem(admin),
        pki.admin_key: _key_pem(admin),
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for path, content in contents.items():
            _write(path, content)
    except OSError as error:
        raise DataError(
            f"The certificates cannot be written to {folder} ({error.strerror}). "
            "Choose a folder that you own, on a disk with space."
        ) from error
    return pki


def _alternatives(names: Iterable[str], addresses: Iterable[str]) -> list[x509.GeneralName]:
    """What the certificate is for, each entry checked by the guard."""
    found: list[x509.GeneralName] = []
    for name in names:
        if _is_address(name):
            raise LeftOpenError(f"{name} is an address. Give it in addresses, not in names.")
        loopback.addresses(name)
        found.append(x509.DNSName(name.removesuffix(".")))
    for address in addresses:
        checked = loopback.addresses(address)[0]
        if not _is_address(address):
            raise LeftOpenError(f"{address} is a name. Give it in names, not in addresses.")
        found.append(x509.IPAddress(ipaddress.ip_address(checked)))
    if not found:
        raise LeftOpenError("A server certificate needs a name. Give at least one, or an address.")
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _make_ca(days: int) -> _Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("Left Open lab CA")
    builder = (
        _builder(subject, subject, key, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(_SIGNING), critical=True)
    )
    return _Identity(key, builder.sign(key, hashes.SHA256()))


def _make_server(ca: _Identity, alternatives: list[x509.GeneralName], days: int) -> _Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    ca_id = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject(str(alternatives[0].value)), ca.certificate.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage({"digital_signature"}), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return _Identity(key, builder.sign(ca.key, hashes.SHA256()))


def _make_client(ca: _Identity, name: str, days: int) -> _Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    ca_id = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject(name), ca.certificate.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage({"digital_signature"}), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    return _Identity(key, builder.sign(ca.key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    """What every certificate here has."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _HEAD_START)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Left Open lab"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),  # RFC 5280: ub-common-name
        ]
    )


def _key_usage(uses: set[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def _certificate_pem(identity: _Identity) -> bytes:
    return identity.certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(identity: _Identity) -> bytes:
    return identity.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    """Write a new file that was never readable by others, and follow no link to an old one."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
