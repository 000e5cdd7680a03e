"""What came of a connection that may meet a wrong certificate: the answer, or why there is none.

Three drivers say it in three ways, and at length. The words that matter are OpenSSL's, of which
all three make use; PostgreSQL's and MongoDB's servers add their own about logins.
"""

import re
from collections.abc import Callable
from typing import Any

import psycopg
from cryptography.exceptions import InvalidSignature
from opensearchpy.exceptions import OpenSearchException
from pymongo.errors import PyMongoError

from leftopen.lab_opensearch import quiet

# The first that fits counts, so the more exact stand above the more general.
_REASONS = (
    (r"InvalidSignature", "its key has not signed this"),
    (r"Hostname mismatch|IP address mismatch|does not match host name", "made for another name"),
    (
        r"certificate has expired|certificate is expired|CertificateExpired",
        "the certificate has expired",
    ),
    (
        r"self.signed certificate|unable to get (local )?issuer|unable to verify the first",
        "an authority that is not trusted",
    ),
    (r"certificate verify failed|CERTIFICATE_VERIFY_FAILED", "the certificate does not verify"),
    (r"no protocols available|protocol version|unsupported protocol", "no common version of TLS"),
    (r"no encryption", "the server wants TLS"),
    (r"server does not support SSL", "the server has no TLS"),
    (
        r"requires a valid client certificate|certificate required",
        "a client certificate is missing",
    ),
    (r"certificate authentication failed", "the client certificate has another name"),
    (r"channel binding check failed", "the proof is for another connection"),
    (
        r"channel binding (is )?required|authentication method requirement",
        "the client does not log in this way",
    ),
    (r"[Nn]ot authorized|permission denied|AuthorizationException", "not permitted"),
    (r"Could not find user", "there is no such account"),
    (r"[Aa]uthentication failed|password authentication|Unauthorized", "the login is refused"),
    (
        r"connection closed|closed the connection|[Rr]eset by peer|Broken pipe|EOF occurred"
        r"|EOF detected|(ssl|tls)\S* alert |[Cc]onnection (was )?abort",
        "the server hangs up",
    ),
)


def tried(question: Callable[[], Any]) -> Any:
    """Ask a server, and return the answer; or, as one line, why there is none.

    Args:
        question: a function without arguments. It may also ask a certificate who signed it.

    Returns:
        What it returns; or ``"no: made for another name"`` and the like.

    Raises:
        PyMongoError, psycopg.Error, OpenSearchException: for another reason than a certificate, a
            version or a login, as when nothing listens: that must not be taken for a refusal.
    """
    with quiet():
        try:
            return question()
        except (PyMongoError, psycopg.Error, OpenSearchException, InvalidSignature) as error:
            words = f"{error} {error!r}"
            for pattern, reason in _REASONS:
                if re.search(pattern, words):
                    return f"no: {reason}"
            raise
