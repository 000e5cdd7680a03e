"""Exercise 12, question 5: clients of PostgreSQL show a certificate, and it is their own name."""

import contextlib
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from leftopen.checks import encrypt_the_wire_began as began
from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import Who, operator
from leftopen.engines.pki import Authority, apart
from leftopen.lab import Lab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.proof import sql_refused, sql_words

FOLDER = "clients"
_IN, _OUT = "accepted", "refused"
_KINDS = ("", "-key")
_MINE = "log in with its certificate and its password"
_WITHOUT = "log in without a certificate, with its password"
_DAYS = 30
_BACKUP = "replication"
"""The word of pg_hba.conf for those who copy the whole server."""
_NAMED = "SELECT DISTINCT unnest(database) FROM pg_hba_file_rules"
_WORDS = {"all", "sameuser", "samerole", "samegroup", _BACKUP}
_NO_DATABASE = "does not exist"
"""A line for a database that comes later is a door as well: the server's words behind it."""


def _task(draw: Draw) -> Task:
    draw = variant(draw, "12", 5, of=2)
    site = draw.pick("site", ("garage", "lobby", "stairs", "gate"))
    accounts = {name: draw.password(name) for name in (f"{site}_door", f"{site}_display")}
    return Task(
        accounts=(accounts, "two programs, each with its account and the password that it keeps"),
    )


def _lab(task: Task) -> PostgresLab:
    accounts = dict(task["accounts"])
    grants = "".join(f"GRANT SELECT ON buildings TO {name}; " for name in accounts)
    lab = sql_lab.open_lab(grants, accounts)
    folder = lab.config_folder / FOLDER
    folder.mkdir()
    authority = Authority("Door programs CA", _DAYS)
    (folder / "ca.pem").write_bytes(authority.certificate)
    folder.chmod(0o755)  # the server may run under another account; what is secret is in the keys
    (folder / "ca.pem").chmod(0o644)
    for name in accounts:
        _write(folder, name, authority.client(name))
    began.keep(lab, lab.certificates.ca, *folder.iterdir())
    return lab


def _write(folder: Path, name: str, pem: bytes) -> None:
    """A client's key and certificate as two files, as libpq wants them."""
    key, certificate = apart(pem)
    for path, content in (
        (folder / f"{name}-key.pem", key),
        (folder / f"{name}.pem", certificate),
    ):
        path.touch(mode=0o600)
        path.write_bytes(content)


class _Doors:
    """Logins with one certificate or another, each noted with what came of it.

    Args:
        at: where the evidence goes.
        lab: the server.
        folder: where the certificates are, and `ca.pem`, the authority of the server.
    """

    def __init__(self, at: Attempt, lab: PostgresLab, folder: Path) -> None:
        self.at, self.lab, self.folder = at, lab, folder
        self.words = ""
        """Why the last login was refused, in the server's words; empty where it did not say."""

    def let_in(
        self,
        name: str,
        password: str,
        shows: str | None,
        what: str,
        sslmode: str = "verify-full",
        outside: bool = True,
        **more: str,
    ) -> bool:
        """Whether an account is let in; the client may show a certificate.

        Args:
            name: the account.
            password: its password, or another.
            shows: whose certificate; the name of its files.
            what: for the evidence; empty for no line of it.
            sslmode: libpq's parameter.
            outside: whether it comes through the relay.
            more: further parameters of libpq, and `database`.
        """
        files = f"{shows}.pem", f"{shows}-key.pem"  # libpq goes on without one that is not there
        shown = dict(zip(("sslcert", "sslkey"), (str(self.folder / f) for f in files), strict=True))
        if sslmode.startswith("verify"):
            shown["sslrootcert"] = str(self.folder / "server-ca.pem")
        login = name, password
        where = {"outside": outside, "sslmode": sslmode}
        with Who(Attempt(self.at.task), name, self.lab, login, **where, **shown, **more) as who:
            self.words = ""
            try:
                accepted = who.connection is not None
            except psycopg.OperationalError as error:  # the server, or its TLS, refuses the client
                self.words = sql_words(error) if sql_refused(error) else ""
                accepted = _NO_DATABASE in sql_words(error)  # said to who has logged in alone
        if what:
            self.at.note(f"as {name}", what, _IN if accepted else _OUT)
        return accepted


def _mutual(at: Attempt, lab: PostgresLab) -> str:
    """Each program comes in with its own certificate, and with nothing else."""
    if lab.is_as_found:
        return UNTOUCHED
    with operator(lab) as asks:  # the learner's own transactions and the tables are in order
        ((speaks_tls,),) = asks.execute("SHOW ssl").fetchall()
        roles = [r for (r,) in asks.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin")]
        open_ones = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname"
        databases = {name for (name,) in asks.execute(open_ones)}
        databases |= {name for (name,) in asks.execute(_NAMED)} - _WORDS
    if not lab.outside.is_open:
        at.note("as a program", "connect from outside", "no answer")
        return "only_narrowed"
    if speaks_tls != "on":
        at.note("as a program", "ask for TLS", "there is none")
        return "tls_off"
    (first, word), (second, other_word) = dict(at.task["accounts"]).items()
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as kept:
        stranger, theirs = Path(own), Path(kept)
        _write(stranger, first, Authority("Door programs CA").client(first))
        files = [
            lab.config_folder / FOLDER / f"{n}{k}.pem" for n in (first, second) for k in _KINDS
        ]
        began.write(lab, theirs, *files)
        for folder in (stranger, theirs):
            (folder / "server-ca.pem").write_bytes(began.read(lab, lab.certificates.ca))
        doors, false = _Doors(at, lab, theirs), _Doors(at, lab, stranger)
        one, other = (first, word), (second, other_word)
        return (
            _tries(at, doors, one, other)
            or _from_here(at, doors, one, other)
            or _false_ones(doors, false, one, other)
            or _elsewhere(at, doors, sorted(roles), sorted(databases))
            or _others(at, doors, sorted(set(roles) - {first, second}), sorted(databases))
            or RIGHT
        )


def _tries(at: Attempt, doors: _Doors, one: tuple[str, str], other: tuple[str, str]) -> str | None:
    """From outside, over TLS, at the database of the programs."""
    first = one[0]
    at.values |= {"first": first, "second": other[0]}
    let_in, words = [], []
    for who in (one, other):
        let_in.append(doors.let_in(*who, shows=who[0], what=_MINE))
        words.append(doors.words)
    bare = [doors.let_in(*who, shows=None, what=_WITHOUT) for who in (one, other)]
    if all(bare):
        nothing = doors.let_in(first, "", None, "log in with nothing at all")
        return "trust" if nothing else "optional"
    if any(bare):
        open_one, shut_one = (one, other) if bare[0] else (other, one)
        at.values |= {"first": shut_one[0], "second": open_one[0]}
        return "one_of_two"
    if not any(let_in):
        return _all_refused(at, doors, one, words[0])
    if not all(let_in):
        inside, left_out = (one, other) if let_in[0] else (other, one)
        at.values |= {"first": inside[0], "second": left_out[0]}
        return "one_shut_out"
    for (name, word), shows in ((other, one[0]), (one, other[0])):
        at.values |= {"first": shows, "second": name}
        if doors.let_in(name, "", shows, f"log in with the certificate of {shows}, no password"):
            return "certificate_and_trust"
        if doors.let_in(name, word, shows, f"log in with the certificate of {shows}"):
            return "any_of_the_authority"
    return None


def _all_refused(at: Attempt, doors: _Doors, one: tuple[str, str], words: str) -> str:
    """Why neither program is let in from outside with its own certificate."""
    if doors.let_in(*one, shows=one[0], what=f"{_MINE}, from this machine", outside=False):
        return "only_here"
    if not words:  # TLS itself failed, before any rule was looked at
        return "clients_refused"
    return "no_line" if "pg_hba.conf" in words else "another_name"


def _from_here(
    at: Attempt, doors: _Doors, one: tuple[str, str], other: tuple[str, str]
) -> str | None:
    """The same from this machine, and by its socket."""
    socket = {"host": str(doors.lab.inside.folder), "hostaddr": "", "sslmode": "disable"}
    for name, word in (one, other):
        at.values["name"] = name
        if not doors.let_in(name, word, name, f"{_MINE}, from this machine", outside=False):
            return "one_address"
        if doors.let_in(name, word, None, f"{_WITHOUT}, from this machine", outside=False):
            return "optional_here"
        if doors.let_in(name, word, None, f"{_WITHOUT}, by the socket", outside=False, **socket):
            return "by_the_socket"
    return None


def _false_ones(
    doors: _Doors, false: _Doors, one: tuple[str, str], other: tuple[str, str]
) -> str | None:
    """Another authority's certificate, and no TLS at all."""
    if false.let_in(*one, one[0], "log in with a certificate of another authority"):
        return "any_of_the_authority"
    for name, secret in (one, other):
        for outside, where in ((True, "from outside"), (False, "from this machine")):
            clear = f"log in {where} without TLS, with its password"
            if doors.let_in(name, secret, None, clear, sslmode="disable", outside=outside):
                return "in_clear"
    return None


def _elsewhere(at: Attempt, doors: _Doors, roles: list[str], databases: list[str]) -> str | None:
    """Each account at each database, with what a thief has: a password, another's certificate.

    `prefer` tries TLS first, and then without (libpq's parameter `sslmode`), so that each is one
    login. A line that lets in whoever shows nothing lets this one in as well.
    """
    words = dict(at.task["accounts"])
    refused = 0
    for name in roles:
        shows = next(program for program in words if program != name)
        for database in (*databases, _BACKUP):
            where = {"replication": "true"} if database == _BACKUP else {"database": database}
            for outside in (True, False):
                how = {"sslmode": "prefer", "outside": outside, **where}
                if not doors.let_in(name, words.get(name, ""), shows, "", **how):
                    refused += 1
                    continue
                bare = doors.let_in(name, words.get(name, ""), None, "", **how)
                nothing = doors.let_in(name, "", None, "", **how)
                with_ = "nothing" if nothing else "its password alone"
                if not bare:
                    with_ = f"the certificate of {shows}"
                place = "from outside" if outside else "from this machine"
                at.note(f"as {name}", f"log in at {database}, {place}, with {with_}", _IN)
                at.values |= {"name": name, "database": database, "with": with_}
                return "another_door"
    what = f"log in as each of {len(roles)} accounts at each database, with what a thief has"
    at.note("as a thief", what, _OUT)
    return None


def _others(at: Attempt, doors: _Doors, names: list[str], databases: list[str]) -> str | None:
    """From outside, as the administrator and whoever else there is, each with its password.

    Without a password of its own an account is refused whatever its line says, so each gets one.
    """
    with _passwords(doors.lab, names) as words:
        for name, word in words.items():
            for database in (*databases, _BACKUP):
                where = {"replication": "true"} if database == _BACKUP else {"database": database}
                if doors.let_in(name, word, None, "", sslmode="prefer", **where):
                    what = f"log in at {database}, from outside, with its password"
                    at.note(f"as {name}", what, _IN)
                    at.values |= {"name": name, "database": database}
                    return "administrator"
            at.note(f"as {name}", "log in at each database, from outside, with its password", _OUT)
    return None


@contextlib.contextmanager
def _passwords(lab: PostgresLab, names: list[str]) -> Iterator[dict[str, str]]:
    """New passwords for some accounts; those that they had, or none, are put back."""
    stored = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s)"
    with operator(lab) as asks:
        before = dict(asks.execute(stored, [names]).fetchall())
    words = {name: secrets.token_urlsafe() for name in names}
    try:
        _store(lab, words)
        yield words
    finally:
        _store(lab, before)


def _store(lab: PostgresLab, words: Mapping[str, str | None]) -> None:
    """Give accounts passwords; what has the form of a stored one is stored as it is."""
    with operator(lab) as asks:
        asks.execute("SET password_encryption = 'scram-sha-256'")
        for name, word in words.items():
            new = sql.SQL("ALTER ROLE {} PASSWORD {}")
            asks.execute(new.format(sql.Identifier(name), sql.Literal(word)))


QUESTION = Question(asks={"lab": Lab}, check=_mutual, task=_task, lab=_lab)
