"""Checks of who gets in: the login, the addresses, the way in before there is a user."""

import contextlib
from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.look import SYSTEM, Glimpse, Look
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt, beyond

_AUTHORIZATION = "security:\n  authorization: enabled"
_READ = "find_one()"


def stranger(look: Look, glimpse: Glimpse) -> str:
    """The line that makes a stranger's client."""
    tls = "" if glimpse.clear else ", tls=True, tlsInsecure=True"
    return f"MongoClient({glimpse.label}{tls})"


@check("no-login")
def no_login(look: Look) -> Iterator[Finding]:
    """Is anyone answered who has not logged in?"""
    for glimpse in look.glimpses:
        if glimpse.find == 0:
            where = f"{glimpse.sample[0]}.{glimpse.sample[1]}" if glimpse.sample else "a collection"
            database, name = glimpse.sample[:2] if glimpse.sample else ("test", "any")
            yield Finding(
                "no-login",
                Severity.FIX,
                "The server asks nobody for a login.",
                f"find in {where} without login, at {glimpse.label} → answered",
                "Without authorization every client is an administrator: it can read, change and "
                "delete everything, and stop the server.",
                "CWE-306",
                "# first, with the network closed, the administrator:\n"
                'db.command("createUser", "ops", pwd=…, roles=["root"], '
                'mechanisms=["SCRAM-SHA-256"])\n'
                f"# then, in mongod.conf, and after a restart:\n{_AUTHORIZATION}",
                f'{stranger(look, glimpse)}["{database}"]["{name}"].{_READ}  '
                "# wanted: requires authentication",
            )
            return


@check("anonymous-list")
def anonymous_list(look: Look) -> Iterator[Finding]:
    """Are the names of databases told to anyone?"""
    for glimpse in look.glimpses:
        names = [name for name in glimpse.names or [] if name not in SYSTEM]
        if names:
            yield Finding(
                "anonymous-list",
                Severity.FIX,
                "Anyone can list the databases.",
                f"listDatabases without login, at {glimpse.label} → {', '.join(names)}",
                "The list is the first thing that a scanner asks for. It says whose data these "
                "are, and what to fetch.",
                "CWE-306",
                _AUTHORIZATION,
                f"{stranger(look, glimpse)}.list_database_names()"
                "  # wanted: requires authentication",
            )
            return


@check("anonymous-read")
def anonymous_read(look: Look) -> Iterator[Finding]:
    """Are documents given to anyone?"""
    for glimpse in look.glimpses:
        if glimpse.sample:
            database, name, count = glimpse.sample
            yield Finding(
                "anonymous-read",
                Severity.FIX,
                "Anyone can read the documents.",
                f"find in {database}.{name} without login, at {glimpse.label} → a document, "
                f"of {count:,}",
                "Who can read one document can copy them all. A copy cannot be called back.",
                "CWE-306",
                _AUTHORIZATION,
                f'{stranger(look, glimpse)}["{database}"]["{name}"].{_READ}  '
                "# wanted: requires authentication",
            )
            return
    if all(glimpse.find == 0 for glimpse in look.glimpses):
        raise NothingToLookAt("the server is open, and holds no document to read")


@check("localhost-exception")
def localhost_exception(look: Look) -> Iterator[Finding]:
    """Is authorization on with no user yet, so that the first to come may make one?

    Then a find is refused, and listDatabases returns an empty list where it should be refused.
    """
    glimpse = look.inside
    if glimpse.find == 0:
        raise NothingToLookAt("without authorization there is nothing to make an exception from")
    if glimpse.names is not None:
        yield Finding(
            "localhost-exception",
            Severity.FIX,
            "Authorization is on, and there is no user yet: the first client on this machine may "
            "make one.",
            f"listDatabases without login, at {glimpse.label} → answered, where a find is "
            f"refused (code {glimpse.find})",
            "Whoever comes first becomes the administrator. Any program on this machine can, and "
            "so can anything that passes connections on to it.",
            "CWE-1188",
            'client.admin.command("createUser", "ops", pwd=…, roles=["root"], '
            'mechanisms=["SCRAM-SHA-256"])\n'
            "# and, so that it cannot open again:\n"
            "setParameter:\n  enableLocalhostAuthBypass: false",
            f"{stranger(look, glimpse)}.list_database_names()  # wanted: requires authentication",
        )


@check("bound-everywhere")
def bound_everywhere(look: Look) -> Iterator[Finding]:
    """Does the server listen beyond the addresses that are wanted?"""
    found = [a for a in beyond(look.listens_at) if a not in look.target.wanted]
    if not found:
        return
    closed = look.inside.find != 0 and look.inside.clear is None
    yield Finding(
        "bound-everywhere",
        Severity.WARN if closed else Severity.FIX,
        "The server listens on addresses beyond this machine.",
        f"net.bindIp, as mongod understood it: {','.join(look.listens_at)}",
        "Each address is a door. Behind one that nobody needs, a missing login, an old version "
        "or a weak password becomes a case.",
        "CWE-668",
        "net:\n  bindIp: 127.0.0.1\n# or the one private address that applications come from",
        "lab.outside.is_open  # wanted: False"
        if look.lab
        else f"ss -ltn 'sport = :{look.target.port}'  # wanted: 127.0.0.1 alone",
    )


@check("root-process")
def root_process(look: Look) -> Iterator[Finding]:
    """Does mongod run as the administrator of the machine?"""
    if look.lab is not None:
        raise NothingToLookAt(
            "a lab's server runs as whoever opened the notebook; that is no choice of its "
            "configuration"
        )
    user = _owner(look)
    if user in ("root", "SYSTEM", "NT AUTHORITY\\SYSTEM"):
        yield Finding(
            "root-process",
            Severity.WARN,
            f"mongod runs as {user}.",
            f"owner of the process that listens on port {look.target.port} → {user}",
            "Whoever takes over the server then has the whole machine, and its files are not "
            "kept from other servers on it.",
            "CWE-250",
            "# the unit that starts it, as in mongod.service:\n[Service]\nUser=mongod\n"
            "Group=mongod",
            "ps -o user= -C mongod  # wanted: mongod",
        )


def _owner(look: Look) -> str:
    import psutil

    look.inside  # noqa: B018 - a server that does not answer has no owner
    for _, pid in look.listeners:
        with contextlib.suppress(psutil.Error):
            if pid:
                return psutil.Process(pid).username()
    raise CouldNotLook(
        "the process that listens cannot be seen: it belongs to another user or another machine"
    )


@check("javascript-on")
def javascript_on(look: Look) -> Iterator[Finding]:
    """Does the server run JavaScript that nobody uses?"""
    look.inside  # noqa: B018 - first: does it answer at all
    if look.option("security.javascriptEnabled").lower() == "false":
        return
    metrics = look.run("admin", "serverStatus")["metrics"]
    used = _uses(metrics)
    if used:
        raise NothingToLookAt(f"JavaScript is on, and used: {', '.join(used)}")
    yield Finding(
        "javascript-on",
        Severity.NOTE,
        "The server would run JavaScript from clients, and none of them uses it.",
        "serverStatus.metrics since the start: $where 0, $function 0, $accumulator 0, mapReduce 0",
        "Code that a client sends ($where, $function, mapReduce) runs inside the server. An "
        "application that lets text from outside into a query hands that on.",
        "CWE-1125",
        "security:\n  javascriptEnabled: false",
        'client.test.any.find_one({"$where": "true"})  # wanted: an error',
    )


def _uses(metrics: dict) -> list[str]:
    counters = metrics.get("operatorCounters", {})
    counts = {
        "$where": counters.get("match", {}).get("$where", 0),
        "$function": counters.get("expressions", {}).get("$function", 0),
        "$accumulator": counters.get("groupAccumulators", {}).get("$accumulator", 0),
        "mapReduce": metrics.get("commands", {}).get("mapReduce", {}).get("total", 0),
    }
    return [name for name, count in counts.items() if count]
