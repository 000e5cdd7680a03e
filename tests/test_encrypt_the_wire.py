"""Exercise 12: wrong answers that nobody is shown, each told its fault; and some right ones."""

import pytest
from pymongo import MongoClient
from wire_asked import Asked, question

from leftopen.checks.question import RIGHT, UNTOUCHED
from leftopen.engines.pki import Authority

mongodb = pytest.mark.needs("mongodb")
postgres = pytest.mark.needs("postgres")


@pytest.fixture(scope="module")
def asked(request):
    found = Asked(request.param)
    yield found
    found.lab.close()


# -- 1: the server ------------------------------------------------------------------------------


ALL_MAY = "allowConnectionsWithoutCertificates: true"
FLOOR = "disabledProtocols: 'TLS1_0,TLS1_1'"


def tls(lab, mode="requireTLS", more=f"{ALL_MAY}, {FLOOR}"):
    pki = lab.certificates
    files = f"certificateKeyFile: '{pki.server}', CAFile: '{pki.ca}'"
    return f"net: {{bindIp: 0.0.0.0, tls: {{mode: {mode}, {files}, {more}}}}}\n"


def ciphers(words):
    return f"setParameter: {{opensslCipherConfig: '{words}'}}\n"


def mechanisms(words):
    return f"setParameter: {{authenticationMechanisms: '{words}'}}\n"


LOGIN = "security: {authorization: enabled}\n"


@mongodb
@question(1)
def test_the_mode_can_be_raised_step_by_step_while_the_server_runs(asked):
    lab = asked.lab
    assert asked.told() == UNTOUCHED
    lab.configure(tls(lab, "preferTLS") + "setParameter: {enableLocalhostAuthBypass: false}\n")
    assert asked.told() == "optional"
    lab.configure(tls(lab, "preferTLS"), replace=True)  # for a moment nobody has to log in
    with MongoClient(lab.inside.uri) as operator:
        operator.admin.command("setParameter", 1, tlsMode="requireTLS")
    assert asked.told() == "login_off"
    lab.configure(tls(lab) + LOGIN, replace=True)
    assert asked.told() == RIGHT


@mongodb
@question(1)
def test_the_file_and_the_server_have_to_agree(asked):
    lab = asked.lab
    open_ = "net: {bindIp: 0.0.0.0}\n" + LOGIN
    lab.configure(open_, replace=True)
    lab.configure(tls(lab), restart=False)
    assert asked.told() == "not_in_force"
    assert asked.at.values["what"].endswith("goes by disabled")
    lab.restart()
    assert asked.told() == RIGHT
    lab.configure(tls(lab, "preferTLS"), restart=False)
    assert asked.told() == "not_in_force"
    assert "(net.tls.mode: preferTLS) serves who speaks in clear" in asked.at.values["what"]
    old_names = tls(lab, "requireSSL").replace("tls:", "ssl:")
    old_names = old_names.replace("certificateKeyFile", "PEMKeyFile")
    lab.configure(old_names + LOGIN, replace=True)
    assert asked.told() == RIGHT


@mongodb
@question(1)
def test_what_another_server_would_begin_with_counts(asked):
    lab, pki = asked.lab, asked.lab.certificates
    right = tls(lab) + LOGIN
    lab.configure(right, replace=True)
    for text, fault in (
        (right.replace(str(pki.server), "/nowhere.pem"), "does not start"),
        (right.replace(str(pki.ca), "/nowhere.pem"), "does not start"),
        (right.replace("enabled", "disabled"), "lets a stranger read"),
        (right.replace("WithoutCertificates: true", "WithoutCertificates: false"), "127.0.0.1"),
        (right.replace(str(pki.server), str(pki.other)), "is not trusted by who calls 127.0.0.1"),
    ):
        lab.configure(text, replace=True, restart=False)
        assert asked.told() == "not_in_force", text
        assert asked.at.values["what"].endswith(fault)
    lab.configure(right, replace=True, restart=False)
    assert asked.told() == RIGHT


@mongodb
@question(1)
def test_a_decision_in_the_file_alone_is_not_in_force(asked):
    lab = asked.lab
    lab.configure(tls(lab, more=ALL_MAY) + LOGIN, replace=True)
    lab.configure(tls(lab) + LOGIN, replace=True, restart=False)
    assert asked.told() == "not_in_force"
    assert "leaves that to its library" in asked.at.values["what"]
    lab.restart()
    assert asked.told() == RIGHT


@mongodb
@question(1)
def test_other_certificates_and_protocols(asked):
    lab, pki = asked.lab, asked.lab.certificates
    one_name = pki.ca.parent / "one.pem"
    one_name.write_bytes(Authority("Mine").server(["localhost"], []))
    only_new = "disabledProtocols: 'TLS1_0,TLS1_1,TLS1_2'"
    nothing = only_new.replace("TLS1_2", "TLS1_2,TLS1_3")
    for text, wanted in (
        (tls(lab, more="allowConnectionsWithoutCertificates: false"), "clients_shut_out"),
        (tls(lab, more="disabledProtocols: 'TLS1_3'"), "clients_shut_out"),
        (tls(lab).replace(str(pki.ca), str(pki.server)), RIGHT),  # whom it trusts is not asked
        (tls(lab).replace(f"'{pki.server}'", f"'{one_name}'"), "not_trusted"),
        (tls(lab, more=f"{ALL_MAY}, {nothing}"), "nothing_spoken"),
        (tls(lab, more=nothing), "nothing_spoken"),
        (tls(lab, more=f"{ALL_MAY}, {only_new}"), RIGHT),
        (tls(lab) + ciphers("ALL:eNULL:@SECLEVEL=0"), "empty_cipher"),
        (tls(lab) + mechanisms("SCRAM-SHA-256"), RIGHT),
        (tls(lab) + mechanisms("SCRAM-SHA-1,MONGODB-X509"), "login_weaker"),
    ):
        lab.configure(text + LOGIN, replace=True)
        assert asked.told() == wanted, text


@mongodb
@question(1)
def test_who_refuses_old_protocols_is_told_by_a_server_that_may_speak_them(asked):
    lab = asked.lab
    for more, words, wanted, spoken in (
        ("", "", "library_alone", "TLS 1.1"),  # mongod itself leaves out TLS 1.0 (its manual)
        (", disabledProtocols: none", "", "library_alone", "TLS 1.0"),
        (", disabledProtocols: TLS1_0", "", "library_alone", "TLS 1.1"),
        ("", "HIGH:!aNULL:@SECLEVEL=0", "old_protocol", "TLS 1.1"),
        ("", "ECDHE+AESGCM", RIGHT, None),  # ciphers that TLS 1.1 does not have
        ("", "HIGH:!aNULL:@SECLEVEL=2", RIGHT, None),
    ):
        text = tls(lab, more=ALL_MAY + more) + LOGIN + (ciphers(words) if words else "")
        lab.configure(text, replace=True)
        assert asked.told() == wanted, (text, asked.at.tried)
        assert asked.at.values.get("protocol") == spoken


@mongodb
@question(1)
def test_programs_keep_the_authority_that_they_have(asked):
    lab, pki = asked.lab, asked.lab.certificates
    mine, kept = Authority("Left Open lab CA"), (pki.ca.read_bytes(), pki.server.read_bytes())
    pki.ca.write_bytes(mine.certificate)
    pki.server.write_bytes(mine.server())
    lab.configure(tls(lab) + LOGIN, replace=True)
    assert asked.told() == "new_authority"
    pki.server.write_bytes(kept[1])
    lab.restart()
    assert asked.told() == RIGHT  # they trust it still, whatever lies there for others
    pki.ca.write_bytes(kept[0])
