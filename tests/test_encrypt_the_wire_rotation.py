"""Exercise 12, question 6: what a rotation can leave behind, each told its fault."""

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from wire_asked import Asked, question

from leftopen.checks import encrypt_the_wire_rotation
from leftopen.checks.encrypt_the_wire import QUESTIONS
from leftopen.checks.question import RIGHT, UNTOUCHED
from leftopen.engines.pki import Authority
from leftopen.learner import Draw

mongodb = pytest.mark.needs("mongodb")


@pytest.fixture(scope="module")
def asked(request):
    found = Asked(request.param)
    yield found
    found.lab.close()


@mongodb
@question(6)
def test_what_was_mended_in_time_is_right_and_what_was_cut_is_not(asked):
    lab, folder = asked.lab, asked.lab.certificates.ca.parent
    place, ca = folder / "harbour.pem", folder / "harbour-ca.pem"
    old, authority = place.read_bytes(), ca.read_bytes()
    assert asked.told() == UNTOUCHED
    account = asked.task["administrator"], asked.task["password"]
    files = {name: (folder / "post" / name).read_bytes() for name in asked.task["files"]}
    options = {"tls": True, "tlsInsecure": True, "username": account[0], "password": account[1]}
    with MongoClient("127.0.0.1", lab.inside.port, **options) as operator:

        def rotate(text):
            place.write_bytes(text)
            operator.admin.command("rotateCertificates")
            return asked.told()

        untold = {}
        for name, text in files.items():
            place.write_bytes(text)
            untold[name] = asked.told()
        assert sorted(untold.values()) == ["file_alone", "wrong_file", "wrong_file", "wrong_file"]
        told = {rotate(text): name for name, text in files.items()}
        assert set(told) == {RIGHT, "wrong_name", "other_authority", "ends_soon"}
        right = files[told[RIGHT]]
        assert untold[told[RIGHT]] == "file_alone"

        # What is right today and gone at the next start.
        assert rotate(right) == RIGHT
        place.write_bytes(old)
        assert asked.told() == "next_start"
        assert "shows another certificate" in asked.at.values["what"]
        place.unlink()
        assert asked.told() == "next_start"
        assert "does not start" in asked.at.values["what"]
        place.write_bytes(right)
        lab.configure("net: {tls: {mode: preferTLS}}", restart=False)
        assert asked.told() == "next_start"
        assert "preferTLS" in asked.at.values["what"]
        lab.configure("net: {tls: {mode: requireTLS}}", restart=False)
        before = lab.config
        for text, words in (
            ("security: {authorization: disabled}", "lets a stranger read"),
            ("net: {tls: {CAFile: /nowhere.pem}}", "does not start"),
            ("net: {tls: {allowConnectionsWithoutCertificates: false}}", "serves no program"),
        ):
            lab.configure(text, restart=False)
            assert asked.told() == "next_start", text
            assert words in asked.at.values["what"]
            lab.configure(before, replace=True, restart=False)
        assert asked.told() == RIGHT

        # Another authority written over the file of the first one.
        mine = Authority("Harbour CA", 90)
        ca.write_bytes(mine.certificate)
        assert asked.told() == "next_start"
        assert "harbour-ca.pem has another authority now" in asked.at.values["what"]
        assert rotate(mine.server(days=90)) == "new_authority"
        ca.write_bytes(mine.certificate + authority)  # clients that trust both trust the right one
        assert rotate(right) == RIGHT
        ca.write_bytes(authority)

        # An order that was refused, and a path that is not read.
        assert rotate(old) == UNTOUCHED
        key, _, certificate = right.partition(b"-----BEGIN CERTIFICATE")
        other_key = old.partition(b"-----BEGIN CERTIFICATE")[0]
        for text in (b"-----BEGIN CERTIFICATE" + certificate, key, other_key + right[len(key) :]):
            place.write_bytes(text)
            with pytest.raises(OperationFailure, match="PEM"):
                operator.admin.command("rotateCertificates")
            assert asked.told() == "file_useless"
        place.write_bytes(old)
        new = folder / "post" / told[RIGHT]
        lab.configure(f"net: {{tls: {{certificateKeyFile: '{new}'}}}}", restart=False)
        operator.admin.command("rotateCertificates")
        assert asked.told() == "path_alone"
        assert rotate(right) == RIGHT
    lab.restart()
    assert asked.told() == "restarted"
    lab.configure("net: {tls: {disabledProtocols: 'TLS1_0,TLS1_1,TLS1_2,TLS1_3'}}")
    assert asked.told() == "restarted"
    assert asked.at.tried[-1].endswith("no answer")


def test_the_right_file_has_another_name_for_another_task():
    question, places = QUESTIONS[6], set()
    for name in ("ada", "ben", "cleo", "dan", "eve", "fay"):
        task = question.task(Draw(name, "12"))
        post = encrypt_the_wire_rotation._post(task, Authority())
        assert sorted(post) == list(task["files"])
        places.add(next(iter(post)))
    assert len(places) == 2
