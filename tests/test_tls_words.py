"""A refusal of three drivers in the same words, and a failure that is no refusal."""

import psycopg
import pytest
from cryptography.exceptions import InvalidSignature
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionError,
    SSLError,
    TransportError,
)
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from leftopen.tls_words import tried


def raising(error):
    def question():
        raise error

    return question


def test_an_answer_comes_back_as_it_is():
    assert tried(lambda: [1, 2]) == [1, 2]


UNTRUSTED = "an authority that is not trusted"
UNKNOWN = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer"
NAME = "certificate verify failed: Hostname mismatch, certificate is not valid for 'localhost'."
SQL_NAME = 'server certificate for "warehouse" does not match host name "localhost"'


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ServerSelectionTimeoutError(f"localhost:1: {UNKNOWN}"),
            "an authority that is not trusted",
        ),
        (SSLError("N/A", UNKNOWN, None), UNTRUSTED),
        (ServerSelectionTimeoutError(f"localhost:1: {NAME}"), "made for another name"),
        (SSLError("N/A", NAME, None), "made for another name"),
        (psycopg.OperationalError(SQL_NAME), "made for another name"),
        (
            psycopg.OperationalError("SSL error: certificate verify failed"),
            "the certificate does not verify",
        ),
        (
            SSLError("N/A", "certificate has expired", None),
            "the certificate has expired",
        ),
        (
            OperationFailure("The provided SSL certificate is expired or not yet valid", 140),
            "the certificate has expired",
        ),
        (
            TransportError(500, "exception", {"error": {"reason": "CertificateExpiredException"}}),
            "the certificate has expired",
        ),
        (ServerSelectionTimeoutError("localhost:1: connection closed"), "the server hangs up"),
        (SSLError("N/A", "tlsv1 alert unknown ca (_ssl.c:1006)", None), "the server hangs up"),
        (psycopg.OperationalError("SSL error: sslv3 alert bad record mac"), "the server hangs up"),
        (ConnectionError("N/A", "('Connection aborted.', OSError())", None), "the server hangs up"),
        (SSLError("N/A", "EOF occurred in violation of protocol", None), "the server hangs up"),
        (psycopg.OperationalError("SSL SYSCALL error: EOF detected"), "the server hangs up"),
        (
            psycopg.OperationalError("FATAL:  connection requires a valid client certificate"),
            "a client certificate is missing",
        ),
        (
            psycopg.OperationalError('FATAL:  certificate authentication failed for user "door"'),
            "the client certificate has another name",
        ),
        (
            psycopg.OperationalError("FATAL:  SCRAM channel binding check failed"),
            "the proof is for another connection",
        ),
        (OperationFailure('Could not find user "CN=a"', 11), "there is no such account"),
        (
            psycopg.OperationalError("server does not support SSL, but SSL was required"),
            "the server has no TLS",
        ),
        (OperationFailure("Authentication failed.", 18), "the login is refused"),
        (
            OperationFailure("not authorized on sensenets, 'codeName': 'Unauthorized'", 13),
            "not permitted",
        ),
        (psycopg.errors.InsufficientPrivilege("permission denied for table a"), "not permitted"),
        (AuthenticationException(401, "Unauthorized", None), "the login is refused"),
        (AuthorizationException(403, "AuthorizationException", None), "not permitted"),
        (InvalidSignature(), "its key has not signed this"),
    ],
)
def test_a_refusal_is_told_in_the_same_words_for_every_driver(error, words):
    assert tried(raising(error)) == f"no: {words}"


@pytest.mark.parametrize(
    "error",
    [
        ServerSelectionTimeoutError("localhost:1: [Errno 111] Connection refused"),
        psycopg.OperationalError("connection to server failed: Connection refused"),
        ConnectionError("N/A", "Connection refused", None),
        psycopg.errors.UndefinedTable("relation does not exist"),
        psycopg.errors.InFailedSqlTransaction("current transaction is aborted, commands ignored"),
        OperationFailure("the alert of the EOF is not one of TLS"),
        KeyError("name"),
    ],
)
def test_another_failure_is_not_taken_for_a_refusal(error):
    with pytest.raises(type(error)):
        tried(raising(error))
