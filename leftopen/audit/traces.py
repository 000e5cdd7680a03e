"""Checks of what the server wrote down: failed logins, and data of people in its log and profile.

The log is read as it stood before the audit. Lines that an audit of before caused are told by the
name under which it connects. The ids of messages are those of mongod 4.4 and later: 20249 is a
failed login, 51800 says who a connection belongs to.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator

from leftopen.audit import wire
from leftopen.audit.checks import check
from leftopen.audit.look import SYSTEM, Look
from leftopen.audit.personal import kinds_in, told
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt

_FAILED, _METADATA = 20249, 51800
_MANY = 10
"""From so many failed logins on, somebody is guessing rather than mistyping."""
_PROFILED = 200  # the newest documents of each system.profile


@check("failed-logins")
def failed_logins(look: Look) -> Iterator[Finding]:
    """Did somebody try to log in, and fail?"""
    look.inside  # noqa: B018 - first: does it answer at all
    failed = _failures(look.log)
    if not failed:
        return
    total = sum(failed.values())
    who = ", ".join(f"{name} from {where}: {count}" for (name, where), count in failed.items())
    yield Finding(
        "failed-logins",
        Severity.WARN if total >= _MANY else Severity.NOTE,
        f"The log holds {total} failed login{'' if total == 1 else 's'}.",
        f"log, id {_FAILED} → {who}",
        "A few are a person who mistyped. Many, or many names, are somebody who guesses.",
        "CWE-307",
        "# find out who; block the address; see that no password can be guessed",
        f"grep '\"id\":{_FAILED},' mongod.log",
    )


def _failures(log: str) -> Counter:
    """How often each name failed from each address; the audit's own attempts left out.

    A driver tries inside its hello and again after it, so one attempt can leave two lines, of
    which the first says ``speculative``; it is counted once.
    """
    own: set[str] = set()
    seen: list[tuple[str, str, str, bool]] = []
    for line in log.splitlines():
        if f'"id":{_METADATA},' not in line and f'"id":{_FAILED},' not in line:
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            attr, remote = entry["attr"], entry["attr"]["remote"]
            if entry["id"] == _METADATA:
                if attr["doc"].get("application", {}).get("name") == wire.APP_NAME:
                    own.add(remote)
            else:
                who = attr.get("principalName") or attr.get("user") or "?"
                seen.append((remote, who, entry["ctx"], bool(attr.get("speculative"))))
    told = {(ctx, who) for remote, who, ctx, speculative in seen if not speculative}
    return Counter(
        (who, remote.rpartition(":")[0])
        for remote, who, ctx, speculative in seen
        if remote not in own and not (speculative and (ctx, who) in told)
    )


@check("personal-data-in-log")
def personal_data_in_log(look: Look) -> Iterator[Finding]:
    """Do data of people stand in the log?"""
    look.inside  # noqa: B018 - first: does it answer at all
    found = kinds_in(look.log)
    if found:
        yield Finding(
            "personal-data-in-log",
            Severity.WARN,
            "The log holds data of people.",
            f"log → {told(found)}",
            "mongod copies slow and failing commands into its log with the values in them. Logs "
            "are sent on, kept and read by others than the data.",
            "CWE-532",
            "operationProfiling:\n  slowOpThresholdMs: 100\n# and keep the log as the data are "
            "kept: mode 600, with an end",
            "grep -c '\"Slow query\"' mongod.log",
        )


@check("personal-data-in-profile")
def personal_data_in_profile(look: Look) -> Iterator[Finding]:
    """Do data of people stand in what the profiler collects?"""
    look.inside  # noqa: B018 - first: does it answer at all
    profiles = 0
    for listed in look.run("admin", "listDatabases", nameOnly=True)["databases"]:
        database = listed["name"]
        if database in SYSTEM:
            continue
        batch = look.run(
            database, "find", "system.profile", sort={"$natural": -1}, limit=_PROFILED
        )["cursor"]["firstBatch"]
        profiles += bool(batch)
        if found := kinds_in("\n".join(str(document) for document in batch)):
            yield Finding(
                "personal-data-in-profile",
                Severity.WARN,
                f"The profiler of {database} has collected data of people.",
                f"find in {database}.system.profile → {told(found)}",
                "It keeps whole commands, with the values in them, for everyone who may read the "
                "profile.",
                "CWE-532",
                f'client["{database}"].command("profile", 0)\n'
                f'client["{database}"]["system.profile"].drop()',
                f'client["{database}"].command("profile", -1)["was"]  # wanted: 0',
            )
    if not profiles:
        raise NothingToLookAt("no profiler has collected anything")
