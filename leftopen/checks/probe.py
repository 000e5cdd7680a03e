"""Trying, as one account, what it may do. Nothing is changed by any of it.

mongod looks at a command's privileges before it looks at its content. So a command that is
allowed and then fails for another reason shows the same as one that succeeds: an insert whose _id
is a list (error 53), an update or a removal that matches nothing, a drop that names another
collection's UUID (361), a new account with a role that does not exist (31). Measured on 6.0.5;
the codes are those of the MongoDB manual, "Error Codes".
"""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

from bson.binary import Binary
from pymongo import MongoClient
from pymongo.errors import InvalidURI, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from leftopen import stranger
from leftopen.checks.question import Attempt
from leftopen.errors import LeftOpenError
from leftopen.lab import Lab

_BOUNDS = {"serverSelectionTimeoutMS": 4000, "connectTimeoutMS": 4000, "timeoutMS": 8000}
_DEFAULT_PORT = 27017  # of mongod, and of a connection string that names none
_UNAUTHORIZED = 13
_NO_LOGIN = (18, 334)  # AuthenticationFailed, MechanismUnavailable


class BadAnswer(LeftOpenError):
    """An answer of the right type that cannot be used; the message says how to make one."""


def credentials(lab: Lab, name: str, uri: str) -> dict[str, str]:
    """User name, password and authSource out of a connection string for this lab.

    Args:
        lab: the lab to which it must lead.
        name: the name of the answer, for the message.
        uri: the connection string.

    Raises:
        BadAnswer: it is none, leads to another server, or holds no account.
    """
    try:
        if not uri.startswith("mongodb://"):  # mongodb+srv:// would ask the DNS for hosts
            raise InvalidURI("it does not begin with mongodb://")
        parts = parse_uri(uri, validate=False, warn=False)
    except (InvalidURI, PyMongoError, ValueError) as error:
        raise BadAnswer(
            f"`{name}` is not a connection string that PyMongo can read: {error}. "
            f"lab.inside.uri_as(account, password) makes one."
        ) from None
    hosts, ports = ({place[part] for place in parts["nodelist"]} for part in (0, 1))
    if not hosts <= {"127.0.0.1", "localhost"}:
        raise BadAnswer(
            f"`{name}` leads to another machine than this one. Does an @ or a / in the password "
            "cut the line? urllib.parse.quote_plus(password) writes such signs so that they do "
            "not, and lab.inside.uri_as(account, password) does it for you."
        )
    if ports == {_DEFAULT_PORT} and f":{_DEFAULT_PORT}" not in uri:
        raise BadAnswer(
            f"`{name}` names no port, so it would lead to port {_DEFAULT_PORT}, and the lab has "
            "another one. lab.inside.uri_as(account, password) puts it in."
        )
    if not ports <= {lab.inside.port, lab.outside.port}:
        raise BadAnswer(
            f"`{name}` leads to another server than this question's lab. It was made for an "
            "earlier lab: run the cells of this question again, from `lab = …` on."
        )
    if not parts["username"]:
        raise BadAnswer(f"`{name}` holds no account. lab.inside.uri_as(account, password) adds it.")
    return {
        "username": parts["username"],
        "password": parts["password"] or "",
        "authSource": parts["options"].get("authSource") or parts["database"] or "admin",
    }


class Who(AbstractContextManager):
    """One account, or a stranger, at one side of a lab, and what it may do.

    Args:
        at: where the evidence goes.
        label: who it is, as ``"as the gate service"``.
        uri: the side of the lab from which it comes.
        login: what :func:`credentials` found; none for a stranger.
        database: where the collections are.
    """

    def __init__(
        self,
        at: Attempt,
        label: str,
        uri: str,
        login: dict[str, str] | None = None,
        database: str = "sensenets",
    ) -> None:
        self.at, self.label, self.database = at, label, database
        self.client: MongoClient = MongoClient(uri, **_BOUNDS, **(login or {}))

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def can(self, what: str, action: Callable[[], object]) -> bool:
        """Try one thing; note it, and return whether it is allowed.

        Raises:
            PyMongoError: the server did not answer.
        """
        try:
            action()
            allowed = True
        except OperationFailure as error:
            allowed = error.code not in (_UNAUTHORIZED, *_NO_LOGIN)
        self.at.note(self.label, what, "accepted" if allowed else "refused")
        return allowed

    def logs_in(self) -> bool:
        """Whether the account's password is accepted."""
        return self.can("log in", lambda: self.client.admin.command("connectionStatus"))

    def reads(self, collection: str) -> bool:
        """Whether it may read documents."""
        return self.can(f"read {collection}", lambda: self._run({"find": collection, "limit": 1}))

    def inserts(self, collection: str) -> bool:
        """Whether it may insert; the document that is tried cannot be stored."""
        command = {"insert": collection, "documents": [{"_id": [0]}]}
        return self.can(f"insert into {collection}", lambda: self._run(command))

    def updates(self, collection: str) -> bool:
        """Whether it may update; the filter matches nothing."""
        change = {"q": {"_id": str(uuid.uuid4())}, "u": {"$set": {"tried": 1}}}
        command = {"update": collection, "updates": [change]}
        return self.can(f"update {collection}", lambda: self._run(command))

    def removes(self, collection: str) -> bool:
        """Whether it may remove documents; the filter matches nothing."""
        removal = {"q": {"_id": str(uuid.uuid4())}, "limit": 1}
        command = {"delete": collection, "deletes": [removal]}
        return self.can(f"remove from {collection}", lambda: self._run(command))

    def drops(self, collection: str) -> bool:
        """Whether it may drop a collection; the UUID that is named is another's."""
        command = {"drop": collection, "collectionUUID": Binary.from_uuid(uuid.uuid4())}
        return self.can(f"drop {collection}", lambda: self._run(command))

    def runs(self, what: str, collection: str, pipeline: list[dict]) -> bool:
        """Whether an aggregation is allowed."""
        command = {"aggregate": collection, "pipeline": pipeline, "cursor": {"batchSize": 1}}
        return self.can(what, lambda: self._run(command))

    def makes_accounts(self, database: str = "admin") -> bool:
        """Whether it may create accounts; the role that is asked for does not exist."""
        command = {
            "createUser": f"tried-{uuid.uuid4().hex[:8]}",
            "pwd": uuid.uuid4().hex,
            "roles": [{"role": "no-such-role", "db": database}],
        }
        return self.can("create an account", lambda: self.client[database].command(command))

    def administers(self) -> bool:
        """Whether it may look at the server itself (getCmdLineOpts)."""
        return self.can(
            "read the server's options", lambda: self.client.admin.command("getCmdLineOpts")
        )

    def privileges(self) -> list[dict]:
        """What the server itself says that it may do (connectionStatus, showPrivileges)."""
        told = self.client.admin.command("connectionStatus", showPrivileges=True)
        return told["authInfo"]["authenticatedUserPrivileges"]

    def _run(self, command: dict) -> dict:
        return self.client[self.database].command(command)


def look_as_stranger(
    at: Attempt, lab: Lab, database: str = "sensenets", collection: str = "people"
) -> dict[str, stranger.Attempt]:
    """What a stranger gets through the relay, as evidence and by what was tried."""
    found = stranger.look(lab.outside.uri, database, collection)
    for attempt in found:
        # What the driver says of a failure has ports and times in it: evidence may not vary.
        failed = attempt.answer.startswith(("connected, but", "no connection:", "failed:"))
        shown = attempt.answer.partition(":")[0] if failed else attempt.answer
        at.note("as the stranger", attempt.tried, shown)
    return {attempt.tried: attempt for attempt in found}
