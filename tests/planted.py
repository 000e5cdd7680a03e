"""A fault that is planted in a right server, whichever it is, and whether a report tells it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from leftopen.audit import Report


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is wrong, in words.
        finds: the ids that must be found, each with its severity.
        plant: makes a right server wrong; it takes the engine's own stage.
        mend: makes it right again.
        more: what the audit is told besides.
    """

    name: str
    finds: dict[str, str]
    plant: Callable[[Any], None] = lambda stage: None
    mend: Callable[[Any], None] = lambda stage: None
    more: dict[str, object] = field(default_factory=dict)


def found(report: Report, finds: dict[str, str]) -> bool:
    """Whether a report holds all of these."""
    told = {(finding.id, finding.severity.value) for finding in report.findings}
    return told >= set(finds.items())
