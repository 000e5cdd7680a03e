"""Exercise 12, questions 2 to 4: clients that a learner wrote, called with impostors in the way."""

from collections.abc import Callable

import psycopg
import pymongo
from opensearchpy import OpenSearch
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    TransportError,
)
from pymongo.errors import ConnectionFailure, OperationFailure

from leftopen.cases import sensenets
from leftopen.checks import encrypt_the_wire_mongod as mongod
from leftopen.checks import search_lab, sql_lab
from leftopen.checks.encrypt_the_wire_calls import Driver, NotThere, judge
from leftopen.checks.question import Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import DATABASE
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.lab_opensearch import SearchLab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

NAME = "12"
MONGO_TLS = (
    "net: {{tls: {{mode: requireTLS, certificateKeyFile: '{pki.server}', CAFile: '{pki.ca}', "
    "allowConnectionsWithoutCertificates: true}}}}"
)
_CALLS = 3  # an impostor of PostgreSQL tries three things, one after the other


# -- question 2: MongoDB ------------------------------------------------------------------------


def _account(draw: Draw, number: int, names: tuple[str, ...], made: str = "") -> Task:
    draw = variant(draw, NAME, number, of=2)
    name = draw.pick("account", names)
    return Task(
        account=(name, f"the account of the program that you write{made}"),
        password=(draw.password("account"), "its password"),
    )


def _mongo_task(draw: Draw) -> Task:
    names = ("trackers_app", "map_app", "night_report", "camera_stock")
    return _account(draw, 2, names, made=", made in the database admin")


def _mongo_lab(task: Task) -> MongoLab:
    lab = mongod.opened(task["account"], task["password"], mongod.reader())
    lab.configure(MONGO_TLS.format(pki=lab.certificates))
    return lab


def _read_mongo(client: pymongo.MongoClient) -> None:
    if client[sensenets.DATABASE].trackers.find_one() is None:
        raise NotThere


def _mongo_has_refused(client: pymongo.MongoClient) -> bool:
    servers = client.topology_description.server_descriptions().values()
    return any("CERTIFICATE_VERIFY_FAILED" in str(server.error) for server in servers)


_MONGO = Driver(
    pymongo.MongoClient,
    _read_mongo,
    lambda error: isinstance(error, OperationFailure) and error.code in (13, 18),
    (ConnectionFailure, OperationFailure, OSError),
    has_refused=_mongo_has_refused,
    in_order=False,  # one for the monitor, one for its clock, and those of the pool
)


def _mongo(at: Attempt, lab: MongoLab, connect: Callable) -> str:
    """A client of MongoDB that logs in at its own server, and says nothing to another."""
    return judge(at, lab, connect, _MONGO)


# -- question 3: PostgreSQL ---------------------------------------------------------------------


def _sql_task(draw: Draw) -> Task:
    return _account(draw, 3, ("doors_app", "lift_app", "monthly_job", "cleaning_plan"))


def _sql_lab(task: Task) -> PostgresLab:
    return sql_lab.open_lab(
        f"GRANT SELECT ON buildings TO {task['account']}",
        {str(task["account"]): str(task["password"])},
    )


def _read_sql(client: psycopg.Connection) -> None:
    cursor = psycopg.Cursor(client, row_factory=psycopg.rows.tuple_row)
    if cursor.execute("SELECT current_database()").fetchone() != (DATABASE,):
        raise NotThere
    cursor.execute("SELECT building FROM buildings LIMIT 1")


def _sql_refuses(error: Exception) -> bool:
    """Whether a login, or the reading, was refused; not that there was no TLS."""
    words = (
        *("authentication failed", "no password supplied", ", SSL encryption"),
        *('FATAL:  role "', 'FATAL:  database "', "FATAL:  permission denied"),
    )
    return isinstance(error, psycopg.Error) and (
        isinstance(error, psycopg.errors.InsufficientPrivilege)
        or any(part in str(error) for part in words)
    )


_SQL = Driver(
    psycopg.Connection,
    _read_sql,
    _sql_refuses,
    (psycopg.OperationalError, OSError),
    mistakes=("invalid sslmode value", "invalid channel_binding value", "connection is closed"),
    calls=_CALLS,
)


def _sql(at: Attempt, lab: PostgresLab, connect: Callable) -> str:
    """A client of PostgreSQL that logs in at its own server, and says nothing to another."""
    return judge(at, lab, connect, _SQL)


# -- question 4: OpenSearch ---------------------------------------------------------------------


def _search_task(draw: Draw) -> Task:
    names = ("faces_app", "gates_app", "night_report", "camera_stock")
    return _account(draw, 4, names)


def _search_lab(task: Task) -> SearchLab:
    named = Task(administrator=("lab_admin", ""), password=(task["password"], ""))
    account, secret = str(task["account"]), str(task["password"])
    return search_lab.locked_lab(
        named,
        users={account: search_lab.user(secret)},
        mapping={"readall_and_monitor": {"users": [account]}},
    )


def _read_search(client: OpenSearch) -> str:
    if not client.count(index="residents")["count"]:
        raise NotThere
    whom = client.transport.perform_request("GET", "/_plugins/_security/authinfo")
    return str(whom["user_name"])


def _search_refuses(error: Exception) -> bool:
    return isinstance(error, AuthenticationException | AuthorizationException)


_SEARCH = Driver(OpenSearch, _read_search, _search_refuses, (TransportError, OSError))


def _search(at: Attempt, lab: SearchLab, connect: Callable) -> str:
    """A client of OpenSearch that logs in at its own server, and says nothing to another."""
    return judge(at, lab, connect, _SEARCH)


_ASKS = {"lab": Lab, "connect": Callable}
MONGODB = Question(asks=_ASKS, check=_mongo, task=_mongo_task, lab=_mongo_lab)
POSTGRESQL = Question(asks=_ASKS, check=_sql, task=_sql_task, lab=_sql_lab)
OPENSEARCH = Question(asks=_ASKS, check=_search, task=_search_task, lab=_search_lab)
