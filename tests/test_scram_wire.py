"""A login in the bytes: RFC 7677's own example, and exchanges that are not whole."""

import base64
import hashlib
import hmac

import pytest

from leftopen.scram_wire import exchanges

# RFC 7677, section 3: the example, whose password is "pencil".
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
ASKED = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
LAST = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)


def passed(first=FIRST, asked=ASKED, last=LAST):
    """The texts among other bytes, as in messages of the wire."""
    return b"\x00\x12" + first + b"\x08\x00p\x00" + last + b"\x00", b"\x05" + asked + b"\x00\x10"


def test_the_example_of_the_standard_is_found_and_its_password_fits():
    (login,) = exchanges(*passed())
    assert (login.account, login.rounds, len(login.salt)) == ("user", 4096, 16)
    assert login.fits("pencil")


@pytest.mark.parametrize("guess", ["Pencil", "pencil ", "", "n=user"])
def test_another_password_does_not_fit(guess):
    (login,) = exchanges(*passed())
    assert not login.fits(guess)


def test_signs_that_scram_writes_otherwise_are_read():
    (login,) = exchanges(*passed(first=FIRST.replace(b"user", b"a=2Cb=3D=2C")))
    assert login.account == "a,b=,"


@pytest.mark.parametrize("server", [b"pXYZ", b"XYZ"])
def test_a_client_of_postgresql_leaves_the_name_empty_and_a_letter_follows_its_nonce(server):
    """The letter p, of the next message; the server's part of the nonce may begin with it, too."""
    bare, last = b"n=,r=abc", b"c=biws,r=abc" + server
    asked = b"r=abc" + server + b",s=c2FsdA==,i=4096"
    key = hmac.digest(
        hashlib.pbkdf2_hmac("sha256", b"pencil", b"salt", 4096), b"Client Key", "sha256"
    )
    said = b",".join([bare, asked, last])
    sign = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, sign, strict=True)))
    sent = b"n,," + bare + b"p\0\0\0\xb4" + last + b",p=" + proof
    (login,) = exchanges(sent, b"R\0" + asked + b"E\0")
    assert (login.account, login.fits("pencil"), login.fits("pen")) == ("", True, False)


@pytest.mark.parametrize(
    "missing",
    [
        {"first": b"nothing"},
        {"asked": b"nothing"},
        {"last": b"nothing"},
        {"last": LAST[:-10]},  # SCRAM-SHA-1 has a shorter proof, and a tape may end
        {"asked": ASKED.replace(b"%hvY", b"%hvX")},  # the answer to somebody else
    ],
)
def test_an_exchange_that_is_not_whole_is_left_out(missing):
    assert exchanges(*passed(**missing)) == []


def test_two_logins_at_once_are_told_apart():
    other = {
        "first": FIRST.replace(b"user,r=rOpr", b"second,r=XXXX"),
        "asked": ASKED.replace(b"rOpr", b"XXXX").replace(b"i=4096", b"i=15000"),
        "last": LAST.replace(b"rOpr", b"XXXX"),
    }
    sent, received = (a + b for a, b in zip(passed(), passed(**other), strict=True))
    logins = exchanges(sent, received)
    assert [(login.account, login.rounds) for login in logins] == [
        ("user", 4096),
        ("second", 15000),
    ]
    assert [login.fits("pencil") for login in logins] == [True, False]
