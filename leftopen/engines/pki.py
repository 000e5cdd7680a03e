"""A small certificate authority, and the certificates of a lab's server and its administrator.

The profile is RFC 5280's: version 3, EC P-256 keys (RFC 5480), ECDSA with SHA-256, the names in
the subject alternative name (RFC 9525 lets clients look nowhere else). An authority's private key
is in memory and never written: when the `Authority` is gone, nobody signs with it any more.
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

ORGANISATION = "Left Open lab"
OTHER_SERVER = "warehouse.localhost"
"""The name of another server of the same organisation; nothing listens there."""

_NAMELESS = "A server certificate needs a name. Give at least one, or an address."
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
        other: key and certificate (PEM) of another server of the same authority, named
            `OTHER_SERVER`: what an impostor inside the same organisation would have.
    """

    ca: Path
    server: Path
    server_certificate: Path
    server_key: Path
    admin: Path
    admin_key: Path
    other: Path


class Authority:
    """A certificate authority whose private key is in memory alone.

    Args:
        name: its common name.
        days: how long its own certificate is valid.

    Raises:
        LeftOpenError: if the days are not usable.
    """

    def __init__(self, name: str = "Left Open lab CA", days: int = 7) -> None:
        _check_days(days)
        self._days = days
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name, ORGANISATION)
        builder = (
            _builder(subject, subject, self._key, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(_SIGNING), critical=True)
        )
        self._x509 = builder.sign(self._key, hashes.SHA256())

    @property
    def certificate(self) -> bytes:
        """Its own certificate (PEM): what clients trust."""
        return _certificate_pem(self._x509)

    def server(
        self,
        names: Iterable[str] = ("localhost",),
        addresses: Iterable[str] = (loopback.HERE,),
        days: int | None = None,
    ) -> bytes:
        """A new private key, and a server's certificate for it (PEM, one after the other).

        A name need not be this machine's: a certificate opens no connection.

        Args:
            names: host names of the server; the first one is its common name, too.
            addresses: IP addresses of the server.
            days: how long it is valid; without a number, as long as the authority. With 0 it has
                run out at once.

        Raises:
            LeftOpenError: if there is no name and no address, one is none, or the days are not
                usable.
        """
        try:
            alternatives = [x509.DNSName(name.removesuffix(".")) for name in names]
            alternatives += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        except (ValueError, TypeError, AttributeError) as error:
            raise LeftOpenError(f"A name or an address is not usable: {error}.") from None
        if not alternatives:
            raise LeftOpenError(_NAMELESS)
        subject = _subject(str(alternatives[0].value), ORGANISATION)
        names_too = x509.SubjectAlternativeName(alternatives)
        return self._sign(subject, ExtendedKeyUsageOID.SERVER_AUTH, days, names_too)

    def client(
        self, common_name: str, days: int | None = None, organisation: str = ORGANISATION
    ) -> bytes:
        """A new private key, and a client's certificate for it (PEM, one after the other).

        Args:
            common_name: the client's name: for PostgreSQL, the role.
            days: how long it is valid; without a number, as long as the authority.
            organisation: MongoDB takes a client with the server's own organisation for a member
                of its cluster, so a client of MongoDB needs another one.

        Raises:
            LeftOpenError: if the days are not usable, or the name is not.
        """
        try:
            subject = _subject(common_name, organisation)
        except (ValueError, TypeError) as error:
            raise LeftOpenError(f"{common_name!r} is not a usable name: {error}.") from None
        return self._sign(subject, ExtendedKeyUsageOID.CLIENT_AUTH, days)

    def _sign(
        self,
        subject: x509.Name,
        purpose: x509.ObjectIdentifier,
        days: int | None,
        *more: x509.ExtensionType,
    ) -> bytes:
        days = self._days if days is None else days
        _check_days(days, lowest=0)
        key = ec.generate_private_key(ec.SECP256R1())
        own_id = self._x509.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id)
        builder = (
            _builder(subject, self._x509.subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage({"digital_signature"}), critical=True)
            .add_extension(signer, critical=False)
        )
        for extension in (*more, x509.ExtendedKeyUsage([purpose])):
            builder = builder.add_extension(extension, critical=False)
        return _key_pem(key) + _certificate_pem(builder.sign(self._key, hashes.SHA256()))


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
    names, addresses = list(names), list(addresses)
    _check_places(names, addresses)
    authority = Authority(days=days)
    server = authority.server(names, addresses)
    admin = authority.client("admin")
    folder = Path(folder)
    pki = Pki(
        ca=folder / "ca.pem",
        server=folder / "server-and-key.pem",
        server_certificate=folder / "server.pem",
        server_key=folder / "server-key.pem",
        admin=folder / "admin.pem",
        admin_key=folder / "admin-key.pem",
        other=folder / "other-server-and-key.pem",
    )
    contents = {
        pki.ca: authority.certificate,
        pki.server: server,
        pki.server_certificate: apart(server)[1],
        pki.server_key: apart(server)[0],
        pki.admin: apart(admin)[1],
        pki.admin_key: apart(admin)[0],
        pki.other: authority.server([OTHER_SERVER], []),
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


def apart(pem: bytes) -> tuple[bytes, bytes]:
    """The key and the certificate of a PEM file that has one after the other."""
    begin = b"-----BEGIN CERTIFICATE-----"
    key, _, certificate = pem.partition(begin)
    return key, begin + certificate


def days_left(certificate: x509.Certificate) -> int:
    """For how many days from now a certificate is valid, to the nearest."""
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return round(left / datetime.timedelta(days=1))


def _check_places(names: list[str], addresses: list[str]) -> None:
    """Let the guard see each place that the lab's own server is for."""
    for name in names:
        if _is_address(name):
            raise LeftOpenError(f"{name} is an address. Give it in addresses, not in names.")
        loopback.addresses(name)
    for address in addresses:
        loopback.addresses(address)
        if not _is_address(address):
            raise LeftOpenError(f"{address} is a name. Give it in names, not in addresses.")
    if not names and not addresses:
        raise LeftOpenError(_NAMELESS)


def _check_days(days: object, lowest: int = 1) -> None:
    if isinstance(days, bool) or not isinstance(days, int) or not lowest <= days <= 366:
        raise LeftOpenError(f"{days!r} is not a usable validity. Give {lowest} to 366 days.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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


def _subject(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),  # RFC 5280: ub-common-name
        ]
    )


def _key_usage(uses: set[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    """Write a new file that was never readable by others, and follow no link to an old one."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
