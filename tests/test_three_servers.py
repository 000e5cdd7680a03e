"""The servers and clients of the lesson about the wire; the lesson itself runs all three."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from leftopen.cases import three_servers as three
from leftopen.cases.wire_costs import TASKS, costs
from leftopen.engines.pki import OTHER_SERVER, Authority
from leftopen.errors import EngineFailed
from leftopen.tls_words import tried


def certificate_of(content: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content[content.index(b"-----BEGIN CERT") :])


def test_a_clients_file_is_its_owners_alone_and_has_the_name_in_it():
    authority = Authority()
    first, second = (Path(three.client_file(authority, name)) for name in ("door", "door"))
    assert first != second
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    certificate = certificate_of(first.read_bytes())
    assert certificate.subject.rfc4514_string() == f"CN=door,O={three.CLIENTS}"
    certificate.verify_directly_issued_by(certificate_of(authority.certificate))


def test_a_file_of_trust_has_every_authority():
    both = Path(three.trust_file(Authority("one"), Authority("two"))).read_bytes()
    names = [c.subject.rfc4514_string()[:6] for c in x509.load_pem_x509_certificates(both)]
    assert names == ["CN=one", "CN=two"]


def speaks_no_tls_1_0(old):
    def context(version):
        if version is ssl.TLSVersion.TLSv1:
            raise OSError
        return old(version)

    return context


def refuses(*_, **__):
    raise EngineFailed("the disk is full")


@pytest.mark.needs("mongodb")
@pytest.mark.needs("postgres")
def test_two_servers_their_clients_and_what_tls_costs_them(monkeypatch):
    authority, stranger = Authority("Lesson 12", days=90), Authority("Lesson 12")
    mongo, doors = three.mongodb(), three.postgres()
    try:
        for _ in range(5):
            with mongo.outside.recording() as tape:
                assert three.person(mongo.outside.port) == "Person-0000001"
            assert tape.connections == 2, "one to read, one to look whether the server is there"
            assert b"errmsg" not in tape.received
        modes = [path.stat().st_mode for path in mongo.certificates.ca.parent.iterdir()]
        three.install(mongo, authority, days=20)
        three.install(doors, authority, days=20)
        files = mongo.certificates
        assert [path.stat().st_mode for path in files.ca.parent.iterdir()] == modes
        other = certificate_of(files.other.read_bytes())
        names = other.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [OTHER_SERVER]
        assert three.days_left(doors) == 7  # of the lab's own: nobody has told the server yet
        three.reload_postgres(doors)
        mongo.configure(
            f"net: {{tls: {{mode: requireTLS, certificateKeyFile: {files.server}, "
            f"CAFile: {files.ca}, allowConnectionsWithoutCertificates: true}}}}"
        )
        trust = {"tls": True, "tlsCAFile": str(files.ca)}
        full = {"sslmode": "verify-full", "sslrootcert": str(doors.certificates.ca)}
        for lab in (mongo, doors):
            assert three.days_left(lab) == 20
            assert three.versions(lab)["TLS 1.3"] == "yes"
        assert three.person(mongo.inside.port, **trust) == "Person-0000001"
        assert three.resident(doors.inside.port, **full) == "Person-0000001"
        wrong = full | {"sslrootcert": three.trust_file(stranger)}
        assert tried(lambda: three.resident(doors.inside.port, **wrong)).startswith("no: ")
        clients = {("sql", "both"): full, ("sql", "nothing"): {"sslmode": "require"}}
        met = three.meetings({"sql": doors}, clients)
        assert met.loc["sql", "both"].to_list() == ["reads", "-", "-", "-"]
        assert met.loc["sql", "nothing"].to_list() == ["reads", "HEARD", "HEARD", "-"]
        lost = {("sql", "another"): {"sslmode": "require", "password": "another"}}
        met = three.meetings({"sql": doors}, lost)
        assert met.loc["sql", "another"].to_list() == ["no: the login is refused", "?", "?", "?"]
        answer, impostor = three.meeting(doors, "other name", sslmode="require")
        assert answer == "no: the login is refused"
        assert impostor.heard == ["door:lamp river"]

        with monkeypatch.context() as no_old_ones:
            no_old_ones.setattr(three.wire, "old", speaks_no_tls_1_0(three.wire.old))
            found = three.versions(doors)
            assert (found["TLS 1.0"], found["TLS 1.3"]) == ("not tried", "yes")

        with monkeypatch.context() as broken:
            broken.setattr(doors, "configure", refuses)
            with pytest.raises(EngineFailed):
                costs(mongo, doors, trust, full)
        assert tried(lambda: three.person(mongo.inside.port)).startswith("no: ")  # not left open
        table = costs(mongo, doors, trust, full)
        with three.mongo_client(mongo.inside.port, **three.OPERATOR | trust) as operator:
            assert "copies" not in operator.sensenets.list_collection_names()
        assert list(table.index) == list(TASKS)
        assert (table > 0).all(axis=None)
        assert tried(lambda: three.person(mongo.inside.port)).startswith("no: ")  # shut again
        assert tried(lambda: three.resident(doors.inside.port, sslmode="disable")).startswith("no:")
        three.install(mongo, authority, days=0)
        with pytest.raises(EngineFailed, match="did not start"):  # as the lesson says
            mongo.restart()
    finally:
        mongo.close()
        doors.close()
