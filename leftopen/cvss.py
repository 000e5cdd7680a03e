"""Scores of the Common Vulnerability Scoring System, of FIRST, versions 3.1 and 4.0."""

import cvss
from cvss.exceptions import CVSSError

from leftopen.errors import LeftOpenError

_TEMPORAL = {"E", "RL", "RC"}
_REQUIREMENTS = {"CR", "IR", "AR"}


def score(vector: str) -> float:
    """The score of a vector, from 0 to 10.

    It is the base score. Where the vector of version 3.1 also has temporal or environmental
    metrics, as ``CR:L``, it is the score that takes them into account; 4.0 has one score alone.

    Args:
        vector: as ``"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"``, or one of 4.0.

    Raises:
        LeftOpenError: it is no vector of these versions, or one that lacks a metric.
    """
    kinds = {"CVSS:3.1/": cvss.CVSS3, "CVSS:4.0/": cvss.CVSS4}
    kind = kinds.get(str(vector)[:9])
    if kind is None:
        raise LeftOpenError(
            f"{vector!r} is no vector of CVSS 3.1 or 4.0. It begins with 'CVSS:3.1/' or "
            "'CVSS:4.0/'."
        )
    try:
        read = kind(vector)
    except CVSSError as error:
        raise LeftOpenError(
            f"{vector!r} cannot be scored: {error}. Each metric stands once, as in 'AV:N', with "
            "slashes between."
        ) from error
    if kind is cvss.CVSS4:
        return float(read.base_score)
    names = {part.split(":")[0] for part in vector.split("/")[1:]}
    base, temporal, environmental = read.scores()
    if names & _REQUIREMENTS or any(name.startswith("M") for name in names):
        return float(environmental)
    return float(temporal if names & _TEMPORAL else base)
