import datetime
import os
import socket
import ssl
import stat
import sys
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from leftopen import loopback
from leftopen.engines.pki import Authority, make_pki
from leftopen.errors import DataError, LeftOpenError, NotLoopback

BOUND = 60  # seconds after which a wait in these tests is a failure

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")


def handshake(server_file, ca, name):
    """Verify a server with this certificate as a client that dials this name; return its subject.

    The rules are Python's own, with those of RFC 5280 that it leaves out before 3.13.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(server_file)
    client = ssl.create_default_context(cafile=ca)
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    def serve():
        sock, _ = listener.accept()
        sock.settimeout(BOUND)
        try:
            with server.wrap_socket(sock, server_side=True) as tls:
                tls.recv(1)
        except OSError:
            sock.close()

    with loopback.listen() as listener:
        listener.settimeout(BOUND)
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            with (
                loopback.connect(*listener.getsockname(), BOUND) as sock,
                client.wrap_socket(sock, server_hostname=name) as tls,
            ):
                return tls.getpeercert()["subject"]
        finally:
            serving.join(BOUND)


def read(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


@pytest.fixture
def pki(tmp_path):
    return make_pki(tmp_path / "pki")


def test_the_server_is_accepted_by_its_own_authority(pki):
    for name in ("localhost", "127.0.0.1"):
        subject = handshake(pki.server, pki.ca, name)
        assert (("commonName", "localhost"),) in subject


def test_another_authority_is_refused(pki, tmp_path):
    other = make_pki(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self.signed|unable to get"):
        handshake(pki.server, other.ca, "localhost")
    assert handshake(other.server, other.ca, "localhost")


@pytest.mark.parametrize("name", ["elsewhere.example", "127.0.0.2", "::1"])
def test_a_name_that_is_not_in_the_certificate_is_refused(pki, name):
    with pytest.raises(ssl.SSLCertVerificationError, match="is not valid for"):
        handshake(pki.server, pki.ca, name)


def test_other_loopback_names_and_addresses_can_be_had(tmp_path, monkeypatch):
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **how: real("127.0.0.1", *rest, **how)
    )
    pki = make_pki(tmp_path, names=["db.test"], addresses=["127.0.0.2", "::1"])
    for name in ("db.test", "127.0.0.2", "::1"):
        assert handshake(pki.server, pki.ca, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(pki.server, pki.ca, "localhost")
    pki = make_pki(tmp_path, names=[])
    assert handshake(pki.server, pki.ca, "127.0.0.1")


def test_the_certificates_follow_the_profile(pki):
    server, ca = read(pki.server), read(pki.ca)
    for certificate in (server, ca):
        assert certificate.version is x509.Version.v3
        assert isinstance(certificate.public_key().curve, ec.SECP256R1)
        assert extension(certificate, x509.BasicConstraints).critical
        assert extension(certificate, x509.KeyUsage).critical
    assert extension(ca, x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    assert extension(server, x509.BasicConstraints).value == x509.BasicConstraints(False, None)
    ca_usage = extension(ca, x509.KeyUsage).value
    assert (ca_usage.key_cert_sign, ca_usage.digital_signature) == (True, False)
    usage = extension(server, x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature) == (False, True)
    key_id = extension(ca, x509.SubjectKeyIdentifier).value.digest
    assert extension(server, x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    assert extension(server, x509.SubjectKeyIdentifier).value.digest != key_id
    purposes = list(extension(server, x509.ExtendedKeyUsage).value)
    assert purposes == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    server.verify_directly_issued_by(ca)


@pytest.mark.parametrize("days", [1, 7, 366])
def test_the_certificates_are_valid_for_as_long_as_was_asked(tmp_path, days):
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    pki = make_pki(tmp_path, days=days)
    after = datetime.datetime.now(datetime.UTC)
    for certificate in (read(pki.server), read(pki.ca)):
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        assert before - datetime.timedelta(hours=1) < start < before
        assert before <= end - datetime.timedelta(days=days) <= after


def test_the_server_file_has_its_key_and_nobody_has_the_authority_s(pki):
    key = serialization.load_pem_private_key(pki.server.read_bytes(), password=None)
    assert key.public_key() == read(pki.server).public_key()
    assert key.public_key() != read(pki.ca).public_key()
    files = {path.name: path.read_bytes() for path in pki.ca.parent.iterdir()}
    with_keys = {name for name, content in files.items() if b"PRIVATE KEY" in content}
    assert with_keys == {
        "server-and-key.pem",
        "server-key.pem",
        "admin-key.pem",
        "other-server-and-key.pem",
    }
    for certificate, key in (
        (pki.server_certificate, pki.server_key),
        (pki.admin, pki.admin_key),
    ):
        secret = serialization.load_pem_private_key(key.read_bytes(), password=None)
        assert secret.public_key() == read(certificate).public_key() != read(pki.ca).public_key()


def test_the_administrator_s_certificate_is_a_client_s_and_the_server_s_is_not(pki):
    usage = x509.ExtendedKeyUsage
    found = {
        path: list(read(path).extensions.get_extension_for_class(usage).value)
        for path in (pki.admin, pki.server_certificate)
    }
    assert found[pki.admin] == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert found[pki.server_certificate] == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert read(pki.admin).subject.rfc4514_string() == "CN=admin,O=Left Open lab"
    read(pki.admin).verify_directly_issued_by(read(pki.ca))


@posix
def test_only_the_owner_may_read_whatever_the_umask_and_the_folder(tmp_path):
    folder = tmp_path / "pki"
    folder.mkdir()
    folder.chmod(0o755)
    mask = os.umask(0)
    try:
        for target in (folder, tmp_path / "new"):
            pki = make_pki(target)
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (target, pki.ca, pki.server)]
            assert modes == [0o700, 0o600, 0o600]
    finally:
        os.umask(mask)


def test_files_of_an_earlier_call_are_replaced(pki):
    old = read(pki.ca)
    pki.server.chmod(0o644)
    again = make_pki(pki.ca.parent)
    assert again == pki
    assert read(again.ca) != old
    assert handshake(again.server, again.ca, "localhost")
    if sys.platform != "win32":
        assert stat.S_IMODE(again.server.stat().st_mode) == 0o600


@posix
def test_a_link_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    folder = tmp_path / "pki"
    folder.mkdir()
    (folder / "server.pem").symlink_to(elsewhere)
    pki = make_pki(folder)
    assert elsewhere.read_text() == "mine"
    assert not pki.server.is_symlink()


@pytest.mark.parametrize(
    "what",
    [
        {"addresses": ["10.0.0.1"]},
        {"addresses": ["127.0.0.1", "0.0.0.0"]},
        {"addresses": ["::ffff:8.8.8.8"]},
        {"names": ["0x7f000001"]},
        {"names": ["*"]},
        {"names": ["stranger.test"]},
    ],
)
def test_what_is_not_loopback_is_refused_and_nothing_is_written(tmp_path, monkeypatch, what):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **how: found)
    with pytest.raises(NotLoopback):
        make_pki(tmp_path / "pki", **{"names": [], **what})
    assert not (tmp_path / "pki").exists()


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"names": [], "addresses": []}, "needs a name"),
        ({"names": ["127.0.0.1"]}, "Give it in addresses"),
        ({"addresses": ["localhost"]}, "Give it in names"),
        ({"days": 0}, "validity"),
        ({"days": 1.5}, "validity"),
        ({"days": True}, "validity"),
        ({"days": 10_000}, "validity"),
    ],
)
def test_what_makes_no_certificate_is_refused_with_its_reason(tmp_path, what, why):
    with pytest.raises(LeftOpenError, match=why):
        make_pki(tmp_path / "pki", **what)
    assert not (tmp_path / "pki").exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        make_pki(tmp_path / "file" / "pki")


# -- an authority of one's own -------------------------------------------------------------------


@pytest.fixture
def authority():
    return Authority("Harbour CA")


def write(path, content):
    path.write_bytes(content)
    return path


def test_an_authority_signs_for_who_trusts_it_alone(authority, tmp_path):
    ca = write(tmp_path / "ca.pem", authority.certificate)
    server = write(tmp_path / "server.pem", authority.server())
    assert handshake(server, ca, "localhost") == handshake(server, ca, "127.0.0.1")
    same_name = write(tmp_path / "other.pem", Authority("Harbour CA").certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, same_name, "localhost")


def test_each_certificate_has_a_key_of_its_own(authority, tmp_path):
    files = [authority.server(), authority.server(), authority.client("a"), authority.client("a")]
    certificates = [x509.load_pem_x509_certificate(file) for file in files]
    keys = [serialization.load_pem_private_key(file, None).public_key() for file in files]
    assert [certificate.public_key() for certificate in certificates] == keys
    assert len({certificate.serial_number for certificate in certificates}) == 4
    assert all(keys[0] != other for other in keys[1:])
    ca = x509.load_pem_x509_certificate(authority.certificate)
    for certificate in certificates:
        certificate.verify_directly_issued_by(ca)


def test_a_name_of_another_machine_may_stand_in_a_certificate(authority, tmp_path):
    ca = write(tmp_path / "ca.pem", authority.certificate)
    server = write(tmp_path / "server.pem", authority.server(["cameras.example"], []))
    assert handshake(server, ca, "cameras.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="is not valid for"):
        handshake(server, ca, "localhost")


def test_the_other_server_is_of_the_same_authority_and_has_another_name(pki):
    with pytest.raises(ssl.SSLCertVerificationError, match="is not valid for"):
        handshake(pki.other, pki.ca, "localhost")
    assert handshake(pki.other, pki.ca, "warehouse.localhost")


def test_a_certificate_can_have_run_out(authority, tmp_path):
    ca = write(tmp_path / "ca.pem", authority.certificate)
    server = write(tmp_path / "server.pem", authority.server(days=0))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(server, ca, "localhost")


def test_a_client_has_the_name_and_the_organisation_that_it_was_given(authority):
    client = x509.load_pem_x509_certificate(authority.client("gate", 3, organisation="Harbour"))
    assert client.subject.rfc4514_string() == "CN=gate,O=Harbour"
    purposes = list(extension(client, x509.ExtendedKeyUsage).value)
    assert purposes == [ExtendedKeyUsageOID.CLIENT_AUTH]
    lasts = client.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=2) < lasts <= datetime.timedelta(days=3)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda a: a.server([], []), "needs a name"),
        (lambda a: a.server([7]), "not usable"),
        (lambda a: a.server(["schönes.example"]), "not usable"),
        (lambda a: a.server(addresses=["localhost"]), "not usable"),
        (lambda a: a.server(days=-1), "Give 0 to 366 days"),
        (lambda a: a.client(""), "not a usable name"),
        (lambda a: a.client(None), "not a usable name"),
        (lambda a: a.client("a", days=400), "Give 0 to 366 days"),
        (lambda a: Authority(days=0), "Give 1 to 366 days"),
    ],
)
def test_what_an_authority_cannot_sign_is_refused_in_a_sentence(authority, make, why):
    with pytest.raises(LeftOpenError, match=why):
        make(authority)
