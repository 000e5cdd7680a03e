"""Exercise 12, question 5: clients of PostgreSQL show a certificate, and it is their own name."""

import tempfile
from pathlib import Path

import psycopg

from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import Who, operator
from leftopen.engines.pki import Authority
from leftopen.lab import Lab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

FOLDER = "clients"
_IN, _OUT = "accepted", "refused"
_DAYS = 30


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
    return lab


def _write(folder: Path, name: str, pem: bytes) -> None:
    """A client's key and certificate as two files, as libpq wants them."""
    begin = b"-----BEGIN CERTIFICATE-----"
    key, _, certificate = pem.partition(begin)
    for path, content in (
        (folder / f"{name}-key.pem", key),
        (folder / f"{name}.pem", begin + certificate),
    ):
        path.touch(mode=0o600)
        path.write_bytes(content)


class _Doors:
    """Logins with one certificate or another, each noted with what came of it."""

    def __init__(self, at: Attempt, lab: PostgresLab, folder: Path) -> None:
        self.at, self.lab, self.folder = at, lab, folder

    def let_in(
        self,
        name: str,
        password: str,
        shows: str | None,
        what: str,
        sslmode: str = "verify-full",
        outside: bool = True,
    ) -> bool:
        """Whether an account is let in; the client may show a certificate.

        Args:
            name: the account.
            password: its password, or another.
            shows: whose certificate; the name of its files.
            what: for the evidence.
            sslmode: libpq's parameter.
            outside: whether it comes through the relay.
        """
        files = f"{shows}.pem", f"{shows}-key.pem"  # libpq goes on without one that is not there
        more = dict(zip(("sslcert", "sslkey"), (str(self.folder / f) for f in files), strict=True))
        login = name, password
        where = {"outside": outside, "sslmode": sslmode}
        with Who(Attempt(self.at.task), name, self.lab, login, **where, **more) as who:
            try:
                accepted = who.connection is not None
            except psycopg.OperationalError:  # the server, or its TLS, refuses the client
                accepted = False
        self.at.note(f"as {name}", what, _IN if accepted else _OUT)
        return accepted


def _mutual(at: Attempt, lab: PostgresLab) -> str:
    """Each program comes in with its own certificate, and with nothing else."""
    if lab.is_as_found:
        return UNTOUCHED
    with operator(lab):  # the learner's own transactions and the case's tables are in order
        pass
    if not lab.outside.is_open:
        at.note("as a program", "connect from outside", "no answer")
        return "only_narrowed"
    (first, word), (second, other_word) = dict(at.task["accounts"]).items()
    with tempfile.TemporaryDirectory() as own:
        stranger = Path(own)
        _write(stranger, first, Authority("Door programs CA").client(first))
        doors = _Doors(at, lab, lab.config_folder / FOLDER)
        false = _Doors(at, lab, stranger)
        return _tries(at, doors, false, (first, word), (second, other_word))


def _tries(
    at: Attempt, doors: _Doors, false: _Doors, one: tuple[str, str], other: tuple[str, str]
) -> str:
    (first, word), (second, other_word) = one, other
    at.values |= {"first": first, "second": second}
    mine = "log in with its certificate and its password"
    let_in = [doors.let_in(*who, shows=who[0], what=mine) for who in (one, other)]
    without = "log in without a certificate, with its password"
    bare = [doors.let_in(*who, shows=None, what=without) for who in (one, other)]
    if any(bare):
        if doors.let_in(first, "", None, "log in with nothing at all"):
            return "trust"
        return "optional" if all(bare) else "one_of_two"
    if not all(let_in):
        if any(let_in):
            return "one_shut_out"
        return "clients_refused"
    if doors.let_in(second, "", first, f"log in with the certificate of {first}, no password"):
        return "certificate_and_trust"
    if doors.let_in(second, other_word, first, f"log in with the certificate of {first}"):
        return "any_of_the_authority"
    for name, word_ in (one, other):
        here = {"outside": False}
        if not doors.let_in(name, word_, name, f"{mine}, from this machine", **here):
            at.values["name"] = name
            return "one_address"
        if doors.let_in(name, word_, None, f"{without}, from this machine", **here):
            at.values["name"] = name
            return "optional_here"
    if false.let_in(first, word, first, "log in with a certificate of another authority"):
        return "any_of_the_authority"
    for name, secret in (one, other):
        for outside, where in ((True, "from outside"), (False, "from this machine")):
            clear = f"log in {where} without TLS, with its password"
            if doors.let_in(name, secret, None, clear, sslmode="disable", outside=outside):
                return "in_clear"
    return RIGHT


QUESTION = Question(asks={"lab": Lab}, check=_mutual, task=_task, lab=_lab)
