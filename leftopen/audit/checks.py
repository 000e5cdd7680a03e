"""The list of checks: each a function that looks at one thing and yields what it finds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from psycopg import Error as PsycopgError
from pymongo.errors import PyMongoError

from leftopen.audit.report import Finding, NotLooked
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

Work = Callable[[Any], Iterator[Finding]]
"""A check: what it looks with is its engine's own, as a ``Look`` or a ``SearchLook``."""


@dataclass(frozen=True)
class Check:
    """One check; ``id`` is also the id of what it finds."""

    id: str
    run: Work


CHECKS: list[Check] = []
"""All checks, of every engine; :func:`run_all` takes those of the modules that it is given."""


def check(name: str) -> Callable[[Work], Work]:
    """Enter a function in the list of checks under this id."""

    def enter(function: Work) -> Work:
        CHECKS.append(Check(name, function))
        return function

    return enter


@dataclass
class Outcome:
    """What all the checks came to."""

    findings: list[Finding]
    not_looked: list[NotLooked]
    passed: list[str]
    left_out: list[NotLooked]


def run_all(look: Any, modules: Iterable[ModuleType]) -> Outcome:
    """Run the checks of these modules, in their order.

    A check that yields a finding and could then not look any further counts as both.
    """
    outcome = Outcome([], [], [], [])
    order = [module.__name__ for module in modules]
    chosen = [entered for entered in CHECKS if entered.run.__module__ in order]
    for each in sorted(chosen, key=lambda entered: order.index(entered.run.__module__)):
        before = len(outcome.findings)
        try:
            for finding in each.run(look):
                outcome.findings.append(finding)
        except CouldNotLook as why:
            outcome.not_looked.append(NotLooked(each.id, str(why)))
        except (PyMongoError, PsycopgError, OSError) as error:  # the server went away in the middle
            outcome.not_looked.append(NotLooked(each.id, f"the server stopped answering: {error}"))
        except NothingToLookAt as why:
            outcome.left_out.append(NotLooked(each.id, str(why)))
        else:
            if len(outcome.findings) == before:
                outcome.passed.append(each.id)
    outcome.findings.sort(key=lambda finding: finding.severity.rank)
    return outcome
