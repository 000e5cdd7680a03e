"""Exercise 11, question 3: in the database each request is its caller, and nobody else."""

import os
from collections.abc import Sequence

import psycopg

from leftopen import loopback
from leftopen.audit.postgres import hba
from leftopen.cases import tongren, tongren_api
from leftopen.checks import back_end_lab as labs
from leftopen.checks import sql_probe
from leftopen.checks.elsewhere import another_stranger, let_in_from
from leftopen.checks.forged_tokens import SignIn
from leftopen.checks.http_probe import Caller, must_run, shown
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.outside import Outside

_SERVER = "/servers/1"
_RESIDENTS, _PASSAGES = f"{_SERVER}/residents", f"{_SERVER}/passages?limit=1000"
_STREAM = f"{_SERVER}/passages/stream"
_SECONDS = 3.0  # the stream looks ten times in a second
_MONITORING = "as the monitoring, without a token"
_ATTRIBUTES = ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "REPLICATION")
_OF_ITS_OWN = """
SELECT ARRAY[rolsuper, rolbypassrls, rolcreaterole, rolreplication],
       ARRAY(SELECT relname::text FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
               AND (has_any_column_privilege(own.oid, pg_class.oid, 'SELECT, INSERT, UPDATE')
                    OR has_table_privilege(own.oid, pg_class.oid, 'DELETE, TRUNCATE'))
             ORDER BY 1),
       ARRAY(SELECT rolname::text FROM pg_roles
             WHERE oid <> own.oid AND pg_has_role(own.oid, oid, 'MEMBER')
               AND (rolsuper OR rolbypassrls OR starts_with(rolname, 'pg_'))
             ORDER BY 1)
FROM pg_roles own WHERE rolname = %s"""
"""What a role has without taking another: attributes, tables, and roles above all policies."""


def task(draw: Draw) -> Task:
    """Draw a learner's values."""
    draw = labs.variant(draw, 3)
    service, building = labs.sign_in(draw), draw.pick("building", tuple(labs.HOMES))
    home = draw.shuffle("people", labs.HOMES[building])
    return Task(
        api_password=(draw.password("api"), "the password of the database account api"),
        building=(building, "of the manager whom the check plays"),
        person=(home[0], "the number of the resident whom it plays"),
        neighbour=(home[1], "whose record that resident must not see"),
        issuer=(service.issuer, "who gives the tokens"),
        audience=(service.audience, "for whom they are"),
    )


def _sign_in(task: Task) -> SignIn:
    return SignIn(str(task["issuer"]), str(task["audience"]), f"key of {task['api_password']}" * 2)


def _files() -> dict[str, str]:
    files = tongren_api.closed_backend()
    for name in ("login.py", "limits.py"):
        del files[name]
    main = labs.without_login(files["main.py"]).replace("import counts\n", "import counts\n%s")
    main = main % "import health\n" + "\n\napp.include_router(health.router)\n"
    own = {"callers.py": "callers_one_key", "database.py": "database_kept"}
    own |= {"kept.py": "kept", "health.py": "health"}
    stream = files["stream.py"].replace("SECONDS = 0.5", "SECONDS = 0.1")
    files |= {"main.py": main, "stream.py": stream}
    return {**files, **{name: labs.file(source) for name, source in own.items()}}


def open_lab(task: Task) -> PostgresLab:
    """The database trusts everybody, and the service comes as the superuser."""
    service = _sign_in(task)
    environment = {"TOKEN_KEY": service.key}
    environment |= {"ISSUER": service.issuer, "AUDIENCE": service.audience}
    return labs.open_lab(task, _files(), environment, hba=tongren.HBA_AS_FOUND, trusting=True)


def decides(at: Attempt, lab: PostgresLab) -> str:
    """Nobody enters the database without a password, and each caller has the rows of its own."""
    uri, service = must_run(lab.backend).outside.uri, _sign_in(at.task)
    with sql_probe.operator(lab, labs.DATABASE) as operator:
        accounts = _names(operator, "SELECT rolname FROM pg_roles WHERE rolcanlogin")
        databases = _names(operator, "SELECT datname FROM pg_database WHERE datallowconn")
        own = _of_its_own(operator)
    at_home = _trusts(at, "on this machine", lab.inside.port, accounts, databases)
    if os.name == "posix":  # of the superuser, a line of the lab's own decides there
        place, others = str(lab.inside.folder), [name for name in accounts if name != "postgres"]
        by_socket = "on this machine, by the socket"
        at_home += _trusts(at, by_socket, lab.inside.port, others, databases, place)
    if from_outside := _from_outside(at, lab, accounts, databases):
        at.values["who"] = from_outside[0]
        return UNTOUCHED if labs.is_untouched(lab, _files()) else "still_trust"
    if at_home:
        at.values["who"] = at_home[0]
        return "trust_at_home"
    at.note("as api, before it takes a role", "what it has of its own", own or "nothing")
    if own:
        at.values["own"] = own
        return "own_rights"
    with _as(at, uri, service, "manager") as manager, _as(at, uri, service, "resident") as resident:
        found = _both_ways(at, lab, manager, resident) or _auditor(at, lab, uri, service)
        found = found or _streams(at, lab, manager, resident)
        return found or _afterwards(at, uri, service, manager, resident)


def _as(at: Attempt, uri: str, service: SignIn, role: str) -> Caller:
    about = {"manager": {"building": at.task["building"]}, "resident": {"person": _me(at)}}
    token = service.token({"role": role, **about.get(role, {})})
    return Caller(at, f"as the {role}", uri, token)


def _me(at: Attempt) -> int:
    return int(str(at.task["person"]))


def _names(operator: psycopg.Connection, statement: str) -> list[str]:
    return sorted(name for (name,) in operator.execute(statement))


def _of_its_own(operator: psycopg.Connection) -> str:
    """What api has without taking a role, in words; nothing is how it should be."""
    found = operator.execute(_OF_ITS_OWN, [tongren_api.ACCOUNT]).fetchone()
    has, tables, roles = found or ([], [], [])
    attributes = [name for name, yes in zip(_ATTRIBUTES, has, strict=False) if yes]
    if "SUPERUSER" in attributes:  # it has all the rest by that
        return "SUPERUSER"
    words = [*attributes, *(f"rights on {name}" for name in tables), *(f"role {r}" for r in roles)]
    return sql_probe.words(words)


def _from_outside(
    at: Attempt, lab: PostgresLab, accounts: Sequence[str], databases: Sequence[str]
) -> list[str]:
    """As :func:`_trusts`, for strangers of every address."""
    found = _trusts(at, "from outside", lab.outside.port, accounts, databases, also=lab.outside)
    if not found and lab.is_exposed and (far := let_in_from(lab, hba.ANYWHERE, hba.NAMED)):
        rule, client = far
        found = [f"as {client.role}, to {client.database}, by the line `{rule.text}`"]
        at.note("as the server reads its lines", "let in strangers from afar", f"let in {found[0]}")
    return found


def _trusts(
    at: Attempt, where: str, port: int, accounts: Sequence[str], databases: Sequence[str],
    host: str = loopback.HERE, also: Outside | None = None,
) -> list[str]:  # fmt: skip
    """Who comes in with a password that nobody has set, and where: in words, or none."""
    places = {name: {"dbname": name} for name in databases}
    places["replication"] = {"dbname": labs.DATABASE, "replication": "true"}
    every = [(account, place) for account in accounts for place in places]
    pairs = [(a, p) for a, p in every if _comes_in(host, port, a, places[p])]
    if also is not None:  # a stranger has more than one address
        with another_stranger(also):
            pairs += [(a, p) for a, p in every if _comes_in(host, port, a, places[p])]
    let_in = sorted({account for account, _ in pairs})
    open_ = [place for place in places if place in {place for _, place in pairs}]
    to = "every database" if set(databases) <= set(open_) else ", ".join(open_)
    words = f"as {', '.join(let_in)}, to {to}" if pairs else ""
    what = "log in with a wrong password, to each database"
    at.note(f"as a stranger {where}", what, f"let in {words}" if words else "refused")
    return [words] if words else []


def _comes_in(host: str, port: int, account: str, place: dict[str, str]) -> bool:
    # What stands here explicitly is not taken from a variable or a file of the learner's.
    rest = {"sslmode": "prefer", "sslrootcert": "", "passfile": os.devnull, "connect_timeout": 4}
    who = {"user": account, "password": "no password of anybody"}
    try:
        psycopg.connect("", host=host, port=port, **who, **place, **rest).close()
    except psycopg.OperationalError:
        return False
    return True


def _both_ways(at: Attempt, lab: PostgresLab, manager: Caller, resident: Caller) -> str:
    building, me, neighbour = (at.task[name] for name in ("building", "person", "neighbour"))
    with sql_probe.operator(lab, labs.DATABASE) as operator:
        count = "SELECT count(*) FROM residents WHERE building = %s"
        (all_,) = operator.execute(count, [building]).fetchone()
    seen = manager.rows(f"{_RESIDENTS}?limit=1000")
    other = next(name for name in labs.HOMES if name != building)
    seen += manager.rows(f"{_RESIDENTS}?building={other}")
    passed = manager.rows(_PASSAGES)
    own = [row for row in seen if row.get("building") == building]
    at.note(manager.label, "residents of the building", f"{len(own)} of {all_}")
    at.note(manager.label, "residents of the other building", str(len(seen) - len(own)))
    mine = resident.status(f"{_RESIDENTS}/{me}", "the own record")
    others = resident.status(f"{_RESIDENTS}/{neighbour}", "a neighbour's record")
    listed = [row.get("person") for row in resident.rows(f"{_RESIDENTS}?limit=1000")]
    at.note(resident.label, "people in the list of residents", str(len(listed)))
    others_passed = [row for row in resident.rows(_PASSAGES) if row.get("person") != me]
    at.note(resident.label, "passages of others", str(len(others_passed)))
    away = [row for row in passed if row.get("building") != building]
    at.note(manager.label, "passages in the other building", str(len(away)))
    if others == 200 or len(listed) > 1 or others_passed:
        return "reads_neighbours"
    if len(seen) > len(own) or away:
        return "other_building"
    if len(own) < all_ or not passed:
        got = manager.ask(f"{_RESIDENTS}?limit=1000").status_code
        return _too_little(at, lab, f"the manager sees {len(own)} of {all_} residents", got)
    if mine != 200 or listed != [me]:
        return _too_little(at, lab, "the resident does not get the own record", mine)
    return ""


def _too_little(at: Attempt, lab: PostgresLab, what: str, status: int) -> str:
    """Why somebody does not get what is theirs, as far as the answer tells."""
    at.values["missing"] = f"{what} ({shown(status)})"
    if status >= 500:
        at.values["words"] = labs.last_words(must_run(lab.backend))
        return "breaks"
    return "no_role" if status == 403 and "manager" in what else "some_missing"


def _auditor(at: Attempt, lab: PostgresLab, uri: str, service: SignIn) -> str:
    with _as(at, uri, service, "auditor") as auditor:
        people = auditor.status(_RESIDENTS)
        buildings = [row.get("building") for row in auditor.rows(f"{_SERVER}/counts")]
        at.note(auditor.label, "counts of buildings", str(len(buildings)))
        if people == 200 and auditor.rows(_RESIDENTS):
            return "other_building"
        counts = auditor.ask(f"{_SERVER}/counts").status_code
    if people >= 500 or sorted(buildings) != sorted(labs.HOMES):
        status = max(counts, people if people >= 500 else counts)
        return _too_little(at, lab, "the auditor does not get the counts alone", status)
    return ""


def _streams(at: Attempt, lab: PostgresLab, manager: Caller, resident: Caller) -> str:
    """The live stream shows to each what is theirs, while all of these pass a door."""
    building, me, neighbour = at.task["building"], _me(at), int(str(at.task["neighbour"]))
    stranger = next(home[0] for name, home in labs.HOMES.items() if name != building)
    theirs = {manager.label: {me, neighbour}, resident.label: {me}}
    silent = ""
    for caller in (manager, resident):
        wanted = theirs[caller.label]
        with labs.Passing(lab, [stranger, neighbour, me]) as passing:

            def has_all(heard: list[dict], wanted: set = wanted) -> bool:
                return wanted <= {event.get("person") for event in heard}

            heard = caller.hear(_STREAM, passing.write, has_all, _SECONDS)
        people = {event.get("person") for event in heard}
        words = {me: "the resident", neighbour: "the neighbour", stranger: "the other building"}
        shown_ = [words[person] for person in words if person in people]
        at.note(caller.label, "who is seen in the live stream", ", ".join(shown_) or "nobody")
        if people - wanted:
            return "stream_unfiltered"
        if not has_all(heard):
            silent = "some_missing"
            at.values["missing"] = f"the live stream, {caller.label}"
    return silent


def _begins_after(at: Attempt, uri: str, caller: Caller, path: str, times: int) -> tuple[str, str]:
    """As whom the request after one of this caller begins, and what is set of it.

    A stream that has just ended may give its connection back between the two requests, which the
    second one then gets; so a pair that shows nothing is asked again.
    """
    role, about = "nothing", ""
    for _ in range(times):
        caller.ask(path)
        with Caller(Attempt(at.task), _MONITORING, uri) as monitoring:
            (row, *_) = monitoring.rows("/health") or [{}]
        role = str(row.get("role", "nothing"))
        set_ = [f" doors.{name}={row[name]}" for name in ("building", "person") if row.get(name)]
        about = "".join(set_)
        if role in tongren_api.CALLERS or about:
            break
    return role, about


def _afterwards(at: Attempt, uri: str, service: SignIn, manager: Caller, resident: Caller) -> str:
    """What a request leaves behind in a connection that is kept, however it ended."""
    own, role = f"{_RESIDENTS}/{_me(at)}", "nothing"
    with _as(at, uri, service, "auditor") as auditor:
        for caller, path, what, times in (
            (manager, own, "", 4),  # the streams have ended a moment ago
            (resident, own, "", 2),
            (resident, f"{_RESIDENTS}/{at.task['neighbour']}", ", of a neighbour's record,", 2),
            (auditor, _RESIDENTS, ", of residents,", 2),
        ):
            role, about = _begins_after(at, uri, caller, path, times)
            asked = f"{caller.label}{what}"
            at.note(_MONITORING, f"how the request after one {asked} begins", role + about)
            if role in tongren_api.CALLERS or about:
                at.values["left"] = f"after a request {asked} the next one begins as {role}{about}"
                return "role_leaks"
    at.values["role"] = role
    resident.ask(f"{_RESIDENTS}/{_me(at)}")
    nameless = service.token({"role": "resident"})
    with Caller(at, "as a resident without a number", uri, nameless) as who:
        left = len(who.rows(_RESIDENTS))
        at.note(who.label, "people in the list of residents", str(left))
    if left:
        at.values["left"] = "a resident whose token has no number gets the record of the one before"
        return "role_leaks"
    return RIGHT if role == tongren_api.ACCOUNT else "not_api"
