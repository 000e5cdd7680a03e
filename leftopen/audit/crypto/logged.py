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
    r"\b(pgp_sym_(?:en|de)crypt(?:_bytea)?|(?:en|de)crypt(?:_iv)?|hmac)\s*\(", re.IGNORECASE
)
_LONGEST = 20_000  # characters of a statement
_LINES = re.compile(r"\n(?!\t)")  # the log begins the further lines of a statement with a tab
_TOKEN = re.compile(
    r"[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$((?:[a-z_]\w*)?)\$.*?\$\1\$|[(),]|\w+|.",
    re.IGNORECASE | re.DOTALL,
)
# A key that stands there: by itself, or turned into bytes, or made from a word that stands there.
_MADE = r"(?:(?:decode|convert_to|convert_from|digest|sha\d+|cast)?\s*\(\s*)*"
_LITERAL = re.compile(rf"\s*{_MADE}(?:[a-z]&?)?(?:'[^']|\$(?:[a-z_]\w*)?\$.)", re.IGNORECASE)
_PLACE = re.compile(rf"\s*{_MADE}\$(\d+)(?!\d)", re.IGNORECASE)
_PARAMETERS = re.compile(r"[^\n]*\bparameters: ", re.IGNORECASE)


@check("X15")
def key_in_log(look: Any) -> Iterator[Finding]:
    """Was a key of pgcrypto's written into the log, with the statement that it stood in?"""
    if not isinstance(look, PostgresLook):
        raise NothingToLookAt("only PostgreSQL is given keys in statements (pgcrypto)")
    columns(look)
    calls = Counter(name.lower() for name, key, given in _calls(look.log) if _is_told(key, given))
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
            f"grep -icE '({'|'.join(sorted(calls))}) *\\(' LOGFILE",
        )


def _calls(log: str) -> Iterator[tuple[str, str, str]]:
    """Each call in a log: its name, its second argument, and the parameters told on the line after.

    The key is the second argument of each of these functions (PostgreSQL manual, "pgcrypto").
    """
    for match in _CALL.finditer(log):
        statement, *after = _LINES.split(log[match.end() : match.end() + _LONGEST], maxsplit=2)
        given = after[0] if after and _PARAMETERS.match(after[0]) else ""
        yield match[1], _second(statement), given


def _second(text: str) -> str:
    """The second of the arguments that a text begins with; empty where there is none."""
    depth, parts = 0, [""]
    for token in _TOKEN.finditer(text):
        depth += (token[0] == "(") - (token[0] == ")")
        if depth < 0:
            break
        if token[0] == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += token[0]
    return parts[1] if len(parts) > 1 else ""


def _is_told(key: str, given: str) -> bool:
    """Whether a key stands in the log: in the call, or as the parameter that takes its place."""
    if _LITERAL.match(key):
        return True
    place = _PLACE.match(key)
    return bool(place and re.search(rf"\${place[1]} = '", given))
