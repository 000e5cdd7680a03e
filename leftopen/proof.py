"""Who may what on a server: tried as each persona, beside what each should be able to.

A persona is a client of OpenSearch; or, on PostgreSQL, a connection, or a connection string with
which each probe connects anew, so that a changed pg_hba.conf or password shows.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
import psycopg
from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError
from psycopg.conninfo import conninfo_to_dict

from leftopen import loopback
from leftopen.errors import ConfigRefused
from leftopen.lab_opensearch import quiet

REFUSED = (401, 403)
"""No login, and no permission."""
AFTER_THE_CHECK = (404, 409)
"""No such document, and a conflict: OpenSearch finds these out after it has checked the rights."""
_WORDS = {
    (True, True): "yes",
    (False, False): "-",
    (False, True): "TOO MUCH",
    (True, False): "MISSING",
}

# Classes of SQLSTATE (PostgreSQL manual, "Error Codes"): 28 no login, 42501 no permission. Values
# that are wrong (22) or break a constraint (23) are found out after the rights are checked.
_SQL_REFUSED = ("28", "42501")
_SQL_AFTER_THE_CHECK = ("22", "23")
# libpq gives no SQLSTATE of a login that failed; these are the server's words for the same classes.
_LOGIN_REFUSED = re.compile(
    r"authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects|no password supplied"
    r'|is not permitted to log in|FATAL: +role ".*" does not exist|permission denied for database'
    r"|requires a valid client certificate"
)
_PLACE = re.compile(
    r"^(connection failed: )?(connection to server [^\n]*? failed: )?((FATAL|ERROR): +)?"
)

Persona = OpenSearch | psycopg.Connection | str
Probe = Callable[[Any], Any] | str


def ask(question: Callable[[], Any]) -> Any:
    """Ask, and return the answer; or the refusal, as one line.

    Args:
        question: a function without arguments.

    Returns:
        What it returns; or ``"refused: 403 AuthorizationException"``, where the number is the
        status of HTTP (N/A when there was no answer) and the name is the driver's; or, of
        PostgreSQL, ``"refused: "`` and its words, ``"failed: "`` where it is no refusal; or, of a
        configuration that the lab does not take, the whole sentence.
    """
    with quiet():
        try:
            return question()
        except TransportError as error:
            return f"refused: {error.status_code} {type(error).__name__}"
        except psycopg.Error as error:
            return f"{'refused' if sql_refused(error) else 'failed'}: {sql_words(error)}"
        except ConfigRefused as refusal:
            return str(refusal)


def until(expected: Any, question: Callable[[], Collection], seconds: float = 60.0) -> Collection:
    """Ask again and again until something is in the answer, as an entry that a log gets later.

    Args:
        expected: what has to be in the answer.
        question: a function without arguments.
        seconds: how long it is asked, at most.

    Raises:
        TimeoutError: it was not in the last answer either.
    """
    end = time.monotonic() + seconds
    while expected not in (answer := question()):
        if time.monotonic() > end:
            raise TimeoutError(f"{expected!r} did not come within {seconds:.0f} s.")
        time.sleep(0.3)
    return answer


def sql(uri: str, statement: str) -> list | str:
    """Run a statement on PostgreSQL, with a connection of its own; it holds at once.

    Args:
        uri: the connection string of who runs it.
        statement: the statement; or several, and then the last one's answer is returned.

    Returns:
        The rows; or, where there are none to be had, what the server says was done.

    Raises:
        NotLoopback: the connection string leads to another machine.
        psycopg.Error: it was refused, or failed.
    """
    with _connected(uri) as connection:
        connection.autocommit = True
        cursor = connection.execute(statement)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else cursor.statusmessage


def say(uri: str, statement: str) -> list | str:
    """As :func:`sql`; a refusal is returned as one line, as of :func:`ask`."""
    return ask(lambda: sql(uri, statement))


def sql_refused(error: psycopg.Error) -> bool:
    """Whether PostgreSQL refused a login or a permission; anything else that failed is neither."""
    if error.sqlstate:
        return error.sqlstate.startswith(_SQL_REFUSED)
    return isinstance(error, psycopg.OperationalError) and bool(_LOGIN_REFUSED.search(str(error)))


def sql_words(error: psycopg.Error) -> str:
    """What PostgreSQL, or the driver, said first: one line, without address and port."""
    words = error.diag.message_primary or str(error).strip() or type(error).__name__
    return _PLACE.sub("", words.splitlines()[0], count=1)


def may(probe: Probe, client: Persona) -> bool:
    """Whether a client may do what a probe tries.

    On PostgreSQL all of it is rolled back.

    Args:
        probe: tries one thing; if it returns ``False``, it was answered and got nothing. Or, for
            PostgreSQL, a statement; if no row is found or changed by it, it got nothing.
        client: the persona.

    Raises:
        TransportError, psycopg.Error: neither allowed nor refused, as when the server is down.
            That must not be taken for a refusal.
        NotLoopback: the connection string leads to another machine.
    """
    if not isinstance(client, str | psycopg.Connection):
        return _may_search(probe, client)
    try:
        with _connected(client) as connection, connection.transaction(force_rollback=True):
            if isinstance(probe, str):
                return connection.execute(probe).rowcount != 0
            return probe(connection) is not False
    except psycopg.Error as error:
        if sql_refused(error):
            return False
        if (error.sqlstate or "").startswith(_SQL_AFTER_THE_CHECK):
            return True
        raise


def _may_search(probe: Callable[[OpenSearch], Any], client: OpenSearch) -> bool:
    with quiet():
        try:
            return probe(client) is not False
        except TransportError as error:
            if error.status_code in REFUSED:
                return False
            if error.status_code in AFTER_THE_CHECK:
                return True
            raise


@contextmanager
def _connected(client: psycopg.Connection | str) -> Iterator[psycopg.Connection]:
    if isinstance(client, psycopg.Connection):
        yield client
        return
    parts = conninfo_to_dict(client)
    for host in str(parts.get("hostaddr") or parts.get("host") or loopback.HERE).split(","):
        if not host.startswith("/"):  # the folder of a socket
            loopback.addresses(host)
    with psycopg.connect(client) as connection:
        yield connection


def proof(
    policy: Mapping[str, Collection[str]],
    probes: Mapping[str, Probe],
    clients: Mapping[str, Persona],
) -> pd.DataFrame:
    """Try every probe as every persona; a row for each probe, a column for each persona.

    The cells say ``yes`` and ``-`` where the server does as the policy says, ``TOO MUCH`` where it
    allows what the policy does not, and ``MISSING`` where it refuses what the policy allows.

    Args:
        policy: persona -> the names of the probes that should be allowed.
        probes: name -> probe; see :func:`may`.
        clients: persona -> client.

    Raises:
        KeyError: the policy names a probe that there is not, or a persona without a client.
        TransportError, psycopg.Error: as for :func:`may`.
    """
    for persona, wanted in policy.items():
        if unknown := set(wanted) - set(probes):
            raise KeyError(f"{persona} should be able to {sorted(unknown)}, and no probe tries it")
        if persona not in clients:
            raise KeyError(f"the policy names {persona}, and clients has no such persona")
    return pd.DataFrame(
        {
            persona: [
                _WORDS[name in wanted, may(probe, clients[persona])]
                for name, probe in probes.items()
            ]
            for persona, wanted in policy.items()
        },
        index=list(probes),
    )
