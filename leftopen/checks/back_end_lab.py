"""Services for the questions on the back end: small, in front of a database with row policies."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from psycopg import sql

from leftopen.cases import tongren, tongren_api
from leftopen.checks import sql_probe
from leftopen.checks.forged_tokens import SignIn
from leftopen.checks.question import Task
from leftopen.engines.backend import Backend
from leftopen.lab_postgres import Connect, PostgresLab
from leftopen.learner import Draw

SEED, RESIDENTS, DAYS, DATABASE = 11, 120, 1, "doors_1"
"""Of a small door log: two buildings, and some 400 passages."""

HOMES = {"A01": range(1, 55), "A02": range(55, 121)}
"""Each building with the numbers of those who live there."""

_began: WeakKeyDictionary[Backend, dict[str, str]] = WeakKeyDictionary()
_FILES = Path(__file__).with_name("question_backend")


def variant(draw: Draw, question: int, of: int = 4) -> Draw:
    """Draws for one of ``of`` sets of values, so that learners share some sets of them."""
    number = draw.number(f"question {question}", of)
    return Draw(f"set {number}", f"11 question {question}")


def file(name: str) -> str:
    """A file of code with which a question begins."""
    return (_FILES / f"{name}.py").read_text(encoding="utf-8")


def without_login(main: str) -> str:
    """The text of main.py, for a service whose tokens come from elsewhere."""
    return main.replace("import login\n", "").replace("app.include_router(login.router)\n", "")


def sign_in(draw: Draw) -> SignIn:
    """A sign-in service of the city."""
    city = draw.pick("issuer", ("alder", "hazel", "rowan", "willow"))
    audience = draw.pick("audience", ("doors", "door-log", "buildings", "entry"))
    return SignIn(f"https://sign-in.{city}.test", audience, draw.password("token key", 48))


def open_lab(
    task: Task,
    files: Mapping[str, str],
    environment: Mapping[str, str],
    accounts: Sequence[Mapping[str, object]] = (),
    hba: str = tongren_api.HBA,
    trusting: bool = False,
) -> PostgresLab:
    """A small door log with the roles and policies of lesson 11, and a service before it.

    Args:
        task: has ``api_password``, the password of the database account ``api``, if any.
        files: the service's code.
        environment: the service's variables, beside DATABASE_URL.
        accounts: who may log in to the service.
        hba: the pg_hba.conf.
        trusting: whether the service goes to the database as the superuser, without a password.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_postgres.PostgresLab`.
    """
    password = str(task.get("api_password", "of no importance here"))

    def prepare(connect: Connect) -> None:
        tongren_api.prepare(connect, [DATABASE], accounts, password)

    lab = tongren.small_lab(SEED, tongren.LOCKED, hba, prepare, RESIDENTS, DAYS)
    try:
        given = {} if trusting else {"DATABASE_URL": lab.inside.uri_as("api", password)}
        lab.start_backend(files, {**given, **environment})
        _began[lab.backend] = _variables(lab.backend)
    except BaseException:
        lab.close()
        raise
    return lab


def last_words(service: Backend) -> str:
    """What its log says of the last error, as a sentence."""
    words = service.last_words() or "nothing was logged"
    return f"The log's last words, which lab.backend.last_words() gives you too: {words}."


def is_untouched(lab: PostgresLab, files: Mapping[str, str]) -> bool:
    """Whether code and environment of the service, and the database's files, are as they began."""
    service = lab.backend
    if _variables(service) != _began.get(service) or service.files != sorted(files):
        return False
    return lab.is_as_found and all(service.read(name) == files[name] for name in files)


def _variables(service: Backend) -> dict[str, str]:
    """Its environment, without the database's port, which may change when that is restarted."""
    found = service.environment
    return {**found, "DATABASE_URL": re.sub(r":\d+(?=[/?]|$)", "", found["DATABASE_URL"])}


class Passing:
    """Passages that are written while a stream is heard, and are gone afterwards.

    Args:
        lab: the server.
        people: residents who pass, one after the other.
    """

    def __init__(self, lab: PostgresLab, people: Sequence[int]) -> None:
        self._lab, self._people = lab, people
        self.numbers: list[int] = []

    def write(self) -> None:
        """Let each of them pass once more, all at once: a stream begins before them or after."""
        with sql_probe.operator(self._lab, DATABASE) as operator, operator.transaction():
            for person in self._people:
                (number,) = operator.execute(_PASS, [person]).fetchone()
                self.numbers.append(number)

    def __enter__(self) -> "Passing":
        return self

    def __exit__(self, *_: object) -> None:
        with sql_probe.operator(self._lab, DATABASE) as operator:
            gone = sql.SQL("DELETE FROM passages WHERE passage = ANY(%s)")
            operator.execute(gone, [self.numbers])


_PASS = """
    INSERT INTO passages (passage, at, building, door, direction, person, status)
    SELECT (SELECT coalesce(max(passage), 0) + 1 FROM passages), now(), building, 'main', 'in',
           person, 'normal'
    FROM residents WHERE person = %s
    RETURNING passage"""


def keys(*services: SignIn) -> str:
    """The value of TOKEN_KEYS: the keys by their names."""
    return json.dumps({service.kid: service.key for service in services})
