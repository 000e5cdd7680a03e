"""Check of PostgreSQL's log: a key that was written into a statement stands there."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from leftopen.audit.checks import check
from leftopen.audit.crypto.kinds import columns
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt

_CALL = re.compile(
    r"\b(pgp_sym_(?:en|de)crypt(?:_bytea)?|(?:en|de)crypt(?:_iv)?|hmac)\s*\(([^;\n]*)"
    r"(?:\n[^\n]*\b[Pp]arameters: ([^\n]*))?",
    re.IGNORECASE,
)
_LITERAL = re.compile(r",\s*'[^']{4,}'")
_PLACE = re.compile(r",\s*\$\d")


@check("X15")
def key_in_log(look: Any) -> Iterator[Finding]:
    """Was a key of pgcrypto's written into the log, with the statement that it stood in?"""
    if not isinstance(look, PostgresLook):
        raise NothingToLookAt("only PostgreSQL is given keys in statements (pgcrypto)")
    columns(look)
    calls = Counter(
        name.lower()
        for name, arguments, parameters in _CALL.findall(look.log)
        if _LITERAL.search(arguments) or (_PLACE.search(arguments) and "'" in parameters)
    )
    if calls:
        yield Finding(
            "X15",
            Severity.FIX,
            "The server's log holds keys, in the statements that encrypted with them.",
            "; ".join(f"{name} with its key: {hits}" for name, hits in sorted(calls.items())),
            "A key that the server is given stands in its log whenever a statement is logged: for "
            "an error, for being slow, or because all are. Logs are copied and kept.",
            "CWE-532",
            "# encrypt in the application, so that the server never sees the key; then make a new "
            "key, and empty the old logs and their copies",
            "grep -c pgp_sym_encrypt LOGFILE",
        )
