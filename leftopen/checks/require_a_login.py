"""Exercise 07: a login is required, each application has an account, and a password can change."""

import secrets
import ssl

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from leftopen import stranger
from leftopen.audit import wire
from leftopen.cases import sensenets
from leftopen.checks import require_a_login_log as log
from leftopen.checks import require_a_login_more as more
from leftopen.checks.passwords import judge
from leftopen.checks.probe import BadAnswer, Who, credentials, look_as_stranger
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.engines import config
from leftopen.lab import Lab
from leftopen.learner import Draw

_BIRDS = ("kestrel", "plover", "dunlin", "linnet", "siskin", "avocet", "fulmar", "merlin")
_AT_HOME = """\
# This machine alone: net.bindIp is 127.0.0.1. Without encryption.
net:
  bindIp: 127.0.0.1
security:
  authorization: enabled
"""

_AT_THE_SERVER = "without a login, at the server itself"
_POWER = {"anyAction", "changePassword", "createUser", "grantRole"}  # over other accounts

# -- questions 1 and 3: the administrator ---------------------------------------------------------


def _administrator(draw: Draw, purpose: str) -> Task:
    name = f"{draw.pick(purpose, _BIRDS)}_admin"
    return Task(administrator=(name, "the name of the administrator's account"))


def _login_required(at: Attempt, lab: Lab, admin_uri: str) -> str:
    """The stranger is refused, and the administrator gets in and can make accounts."""
    login = credentials(lab, "admin_uri", admin_uri)
    found = look_as_stranger(at, lab)
    if found["read one document"].allowed:
        said = config.get(config.parse(lab.config)[0], "security.authorization")
        if said.lower() == "enabled":
            return "restart_forgotten" if said == "enabled" else "letter_case"
        return "still_open" if lab.is_as_found else "port_moved"
    if not found["connect"].allowed:
        return "network_only" if more.anyone_reads(at, lab, _AT_THE_SERVER) else "network_shut"
    verdict = _administers(at, lab, login)
    if verdict == "refused":
        elsewhere = more.is_elsewhere(at, lab, login, "as the administrator")
        return "wrong_source" if elsewhere else "nobody_gets_in"
    return "next_restart_opens" if verdict == RIGHT and more.opens_later(at, lab) else verdict


def _first_account(at: Attempt, lab: Lab, admin_uri: str) -> str:
    """Nobody but the administrator can make an account, neither from outside nor from inside."""
    login = credentials(lab, "admin_uri", admin_uri)
    shut = not lab.outside.is_open
    with Who(at, _AT_THE_SERVER, lab.inside.uri) as anyone:
        open_ = anyone.reads("people")
        race = anyone.makes_accounts()
    if not shut:
        with Who(at, "as the stranger", lab.outside.uri) as unknown:
            open_ = unknown.reads("people") or open_
            race = unknown.makes_accounts() or race
    if open_:
        return "login_off"
    if race:
        return "shut_and_still_on" if shut else "race_still_on"
    verdict = _administers(at, lab, login)
    if verdict == "refused":
        made = log.read(lab).had_account
        at.note("the server's log", "the first account", "was made" if made else "was never made")
        return "another_account" if made else "nobody_can"
    if verdict == RIGHT and more.was_unlocked(at, lab):
        return "was_open"
    return "network_shut" if shut and verdict == RIGHT else verdict


def _administers(at: Attempt, lab: Lab, login: dict[str, str]) -> str:
    """Whether the account gets in, makes accounts, and has the name and password it should."""
    with Who(at, "as the administrator", lab.inside.uri, login) as admin:
        if not admin.logs_in():
            return "refused"
        if not admin.makes_accounts():
            return "cannot_administer"
        others = _other_administrators(admin.client, login)
    if login["username"] != at.task["administrator"]:
        return "another_name"
    found = ", ".join(others) or "none"
    at.note("as the administrator", "list the other accounts that can make accounts", found)
    if others:
        at.values["others"] = found
        return "second_administrator"
    return judge(at, "the administrator's password", login["username"], login["password"]) or RIGHT


def _other_administrators(client: MongoClient, login: dict[str, str]) -> list[str]:
    """The names of the accounts, other than this one, that can make accounts or change them."""
    try:
        users = client.admin.command("usersInfo", {"forAllDBs": True})["users"]
    except OperationFailure:  # a role of the learner's own that makes accounts and lists none
        return []
    found = []
    for user in users:
        who = {"user": user["user"], "db": user["db"]}
        if who == {"user": login["username"], "db": login["authSource"]}:
            continue
        (told,) = client.admin.command("usersInfo", who, showPrivileges=True)["users"]
        if any(_POWER & set(p["actions"]) for p in told["inheritedPrivileges"]):
            found.append(user["user"])
    return sorted(found)


# -- question 5: over a network -------------------------------------------------------------------

_APPLICATIONS = ("camera", "export", "planner")


def _task_5(draw: Draw) -> Task:
    name = draw.pick("question 5", _APPLICATIONS)
    password = Draw(name, "07_require_a_login 5").password("application")
    return Task(
        account=(name, "the application's account; it was made in sensenets and may read it"),
        password=(password, "its password"),
    )


def _open_lab_5(task: Task) -> Lab:
    def prepare(client: MongoClient) -> None:
        name, password = task["account"], task["password"]
        client["sensenets"].command("createUser", name, pwd=password, roles=["read"])

    return sensenets.small_lab(seed=11, config=_AT_HOME, prepare=prepare)


def _ready_for_the_network(at: Attempt, lab: Lab) -> str:
    """Reached from outside over TLS alone, by the application alone, which can verify it."""
    if lab.is_as_found:
        return UNTOUCHED
    found = look_as_stranger(at, lab)
    if found["connect"].answer == "connection refused":
        return "restart_forgotten" if _file_is_ahead(lab) else "shut_to_all"
    if found["read one document"].allowed:
        return "no_login"
    clear = _answers_in_clear(lab)
    at.note("as a client without TLS", "say hello", "answered" if clear else "refused")
    if found["connect"].answer == "connected, in plain text":
        at.note("a listener on the way", "read a person's name", _overheard(at, lab, {}))
        return "no_tls"
    tls = {"tls": True, "tlsCAFile": str(lab.certificates.ca)}
    if fault := _application_comes_in(at, lab, tls):
        return fault
    at.note("a listener on the way", "read a person's name", _overheard(at, lab, tls))
    return "clear_beside_tls" if clear else RIGHT


def _file_is_ahead(lab: Lab) -> bool:
    """Whether the file says something that the server has not read; chooses the sentence alone."""
    file = config.parse(lab.config)[0]
    names = ("net.bindIp", "net.tls.mode", "security.authorization")
    return any(config.get(file, name) != config.get(lab.effective, name) for name in names)


def _answers_in_clear(lab: Lab) -> bool:
    try:
        with wire.opened("127.0.0.1", lab.outside.port, None) as sock:
            return "ok" in wire.ask(sock, wire.hello())
    except OSError:
        return False


def _login(at: Attempt) -> dict[str, str]:
    name, password = at.task["account"], at.task["password"]
    return {"username": name, "password": password, "authSource": "sensenets"}


def _overheard(at: Attempt, lab: Lab, tls: dict[str, object]) -> str:
    try:
        heard = stranger.overhear(lab.outside, lab.outside.uri, {**_login(at), **tls})
    except PyMongoError:
        return "nothing passed"
    return "in clear" if heard else "unreadable"


def _application_comes_in(at: Attempt, lab: Lab, tls: dict[str, object]) -> str:
    """Why the application does not get in over TLS: a near miss, or nothing."""
    label = "as the application, which verifies the certificate"
    try:
        context = ssl.create_default_context(cafile=lab.certificates.ca)
        with wire.opened("127.0.0.1", lab.outside.port, context) as sock:
            wire.ask(sock, wire.hello())
    except ssl.SSLCertVerificationError:
        at.note(label, "connect", "refused by the application: the CA did not sign it")
        return "unknown_certificate"
    except OSError:
        at.note(label, "connect", "refused by the server")
        return "certificate_wanted"
    with Who(at, label, lab.outside.uri, {**_login(at), **tls}) as app:
        return "" if app.logs_in() and app.reads("people") else "application_refused"


# -- question 6: what a refused stranger still learns ---------------------------------------------

_NAMES = """
backup billing camera export gate guard import map monitor planner printer repair report search
shift stock
"""
_ASKED = 10  # candidates; of these the lab has four to six, and two only in another database
_CASES = 24


def _task_6(draw: Draw) -> Task:
    case = Draw(f"case {draw.number('question 6', _CASES)}", "07_require_a_login 6")
    names = case.shuffle("candidates", _NAMES.split())[:_ASKED]
    return Task(
        database=("sensenets", "the database of the accounts that are asked for"),
        candidates=(names, "the names of which some exist there"),
    )


def _accounts(task: Task) -> tuple[dict[str, list[str]], list[str]]:
    """The accounts of a task with the mechanisms of each, and those of the other database."""
    mine = Draw(" ".join(task["candidates"]), "07_require_a_login 6 accounts")
    order = mine.shuffle("existing", task["candidates"])
    here = order[: 4 + mine.number("how many", 3)]
    both = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
    mechanisms = {name: both if n > 1 else both[n : n + 1] for n, name in enumerate(here)}
    return mechanisms, order[len(here) : len(here) + 2]


def _open_lab_6(task: Task) -> Lab:
    here, elsewhere = _accounts(task)

    def prepare(client: MongoClient) -> None:
        options = {"pwd": secrets.token_urlsafe(24), "roles": []}
        for name, mechanisms in here.items():
            client["sensenets"].command("createUser", name, mechanisms=mechanisms, **options)
        for name in elsewhere:
            client["admin"].command("createUser", name, **options)

    return sensenets.small_lab(seed=12, config=more.LOCKED, prepare=prepare)


def _names_known(at: Attempt, lab: Lab, names: set) -> str:
    """Which accounts exist, found out without a login."""
    candidates = set(at.task["candidates"])
    if strange := sorted(repr(name) for name in names if name not in candidates):
        raise BadAnswer(
            f"`names` holds {', '.join(strange)}, which is not among the candidates. Put in names "
            "as they stand in task['candidates']."
        )
    mechanisms, others = _accounts(at.task)
    here, elsewhere = set(mechanisms), set(others)
    newer = {name for name, how in mechanisms.items() if "SCRAM-SHA-256" in how}
    look_as_stranger(at, lab)
    known = sum(_exists(lab, name) for name in names)
    at.note(
        "as the stranger", "ask hello about each of your names", f"{known} of {len(names)} exist"
    )
    if names == here:
        return RIGHT
    if names == candidates:
        return "all_of_them"
    if not names:
        return "none_of_them"
    if names in (elsewhere, here | elsewhere):
        return "other_database"
    if names == newer:
        return "newer_only"
    return "some_are_missing" if names < here else "some_do_not_exist"


def _exists(lab: Lab, name: str) -> bool:
    """What `hello` tells anyone: the mechanisms of an account, and nothing where there is none."""
    command = {**wire.hello(), "saslSupportedMechs": f"sensenets.{name}"}
    with wire.opened("127.0.0.1", lab.outside.port, None) as sock:
        return "saslSupportedMechs" in wire.ask(sock, command)


QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "admin_uri": str},
        check=_login_required,
        task=lambda draw: _administrator(draw, "admin"),
        lab=lambda _: sensenets.small_lab(seed=7),
    ),
    2: Question(
        asks={"lab": Lab, "app_uri": str},
        check=more.own_account,
        task=more.task_2,
        lab=more.open_lab_2,
    ),
    3: Question(
        asks={"lab": Lab, "admin_uri": str},
        check=_first_account,
        task=lambda draw: _administrator(draw, "first account"),
        lab=lambda _: sensenets.small_lab(seed=8, config=more.LOCKED),
    ),
    4: Question(
        asks={"lab": Lab, "new_uri": str},
        check=more.rotated,
        task=more.task_4,
        lab=more.open_lab_4,
    ),
    5: Question(
        asks={"lab": Lab},
        check=_ready_for_the_network,
        task=_task_5,
        lab=_open_lab_5,
    ),
    6: Question(
        asks={"lab": Lab, "names": set},
        check=_names_known,
        task=_task_6,
        lab=_open_lab_6,
        value=True,
    ),
}
