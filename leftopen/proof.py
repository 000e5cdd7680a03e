"""Who may what on a search cluster: tried as each persona, beside what each should be able to."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pandas as pd
from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

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

Probe = Callable[[OpenSearch], Any]


def ask(question: Callable[[], Any]) -> Any:
    """Ask, and return the answer; or the refusal, as one line.

    Args:
        question: a function without arguments.

    Returns:
        What it returns; or ``"refused: 403 AuthorizationException"``, where the number is the
        status of HTTP (N/A when there was no answer) and the name is the driver's; or, of a
        configuration that the lab does not take, the whole sentence.
    """
    with quiet():
        try:
            return question()
        except TransportError as error:
            return f"refused: {error.status_code} {type(error).__name__}"
        except ConfigRefused as refusal:
            return str(refusal)


def may(probe: Probe, client: OpenSearch) -> bool:
    """Whether a client may do what a probe tries.

    Args:
        probe: tries one thing; if it returns ``False``, it was answered and got nothing.
        client: the persona.

    Raises:
        TransportError: neither allowed nor refused, as when the server is down. That must not be
            taken for a refusal.
    """
    with quiet():
        try:
            return probe(client) is not False
        except TransportError as error:
            if error.status_code in REFUSED:
                return False
            if error.status_code in AFTER_THE_CHECK:
                return True
            raise


def proof(
    policy: Mapping[str, Collection[str]],
    probes: Mapping[str, Probe],
    clients: Mapping[str, OpenSearch],
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
        TransportError: as for :func:`may`.
    """
    for persona, wanted in policy.items():
        if unknown := set(wanted) - set(probes):
            raise KeyError(f"{persona} should be able to {sorted(unknown)}, and no probe tries it")
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
