"""Clusters for the questions on OpenSearch: small, locked, with the administrator of the task."""

from collections.abc import Callable, Mapping

import bcrypt
from opensearchpy import OpenSearch

from leftopen.cases import smart_city
from leftopen.checks.question import Task
from leftopen.engines import config as conf
from leftopen.lab_opensearch import SearchLab
from leftopen.learner import Draw

SEED, PEOPLE, DAYS = 9, 40, 45
"""Of a small cluster: two months of events, some 400 face scans."""

_BIRDS = ("kestrel", "plover", "dunlin", "linnet", "siskin")
_COST = 4  # of bcrypt: the least, since these are throw-away passwords of a lab


def variant(draw: Draw, exercise: str, question: int, of: int = 4) -> Draw:
    """Draws for one of ``of`` sets of values, so that learners share some sets of them."""
    number = draw.number(f"question {question}", of)
    return Draw(f"set {number}", f"{exercise} question {question}")


def administrator(draw: Draw) -> dict[str, tuple[object, str]]:
    """The rows of a task that let a learner in as the administrator."""
    return {
        "administrator": (
            f"{draw.pick('administrator', _BIRDS)}_admin",
            "the administrator, who may do everything",
        ),
        "password": (draw.password("administrator"), "the administrator's password"),
    }


def user(password: str, *backend_roles: str) -> dict[str, object]:
    """An entry of internal_users.yml."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST)).decode()
    return {"hash": hashed, "backend_roles": list(backend_roles)}


def files(
    task: Task,
    users: Mapping[str, dict] | None = None,
    roles: Mapping[str, dict] | None = None,
    mapping: Mapping[str, dict] | None = None,
) -> dict[str, str]:
    """The security plugin's files for the task's administrator, and what else a question has.

    Args:
        task: has the rows of :func:`administrator`.
        users: more entries of internal_users.yml; see :func:`user`.
        roles: entries of roles.yml.
        mapping: more entries of roles_mapping.yml.
    """
    given = {"internal_users.yml": users, "roles.yml": roles, "roles_mapping.yml": mapping}
    found = smart_city.security_files(task["administrator"], task["password"])
    for name, entries in given.items():
        there, _ = conf.parse(found[name], sections=False)
        found[name] = conf.dump({**there, **(entries or {})})
    return found


def locked_lab(
    task: Task,
    prepare: Callable[[OpenSearch], None] | None = None,
    **entries: Mapping[str, dict],
) -> SearchLab:
    """A small cluster that speaks TLS, asks for a login, and has the task's administrator.

    Args:
        task: has the rows of :func:`administrator`.
        prepare: makes what else the question begins with, given a client that may do everything.
        entries: users, roles, mapping: see :func:`files`.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_opensearch.SearchLab`.
    """
    return smart_city.small_lab(
        seed=SEED,
        config=smart_city.LOCKED,
        security=files(task, **entries),
        prepare=prepare,
        people=PEOPLE,
        days=DAYS,
    )
