"""Checks of the accounts: their passwords, what is stored of them, and what their roles allow."""

import re
from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.client_uri import parse
from leftopen.audit.look import Look
from leftopen.audit.passwords import guess
from leftopen.audit.report import Finding, Severity
from leftopen.audit.roles import Account, accounts
from leftopen.audit.shared import NothingToLookAt

_READER = re.compile(
    r"(?:^|[_\W])(read(er|only)?|ro|report(s|er|ing)?|analyst|analytics|analysis|dashboard|"
    r"view(er)?|audit(or)?|stats|statistics|monitor(ing)?)(?:$|[_\W])",
    re.IGNORECASE,
)


def _accounts(look: Look) -> list[Account]:
    """The accounts, read once for all checks."""
    if "accounts" not in look.kept:
        look.kept["accounts"] = accounts(look)
    found = look.kept["accounts"]
    if not found:
        raise NothingToLookAt("there is no account")
    return found


def _application(look: Look) -> str:
    """The account that the application's address names."""
    return parse(look.target.client_uri).user if look.target.client_uri else ""


def _administrators(look: Look, found: list[Account]) -> set[str]:
    """Who is known to administer: the audit's own login, those named, or the only candidate.

    An account that the application's address names is the application's, whatever it is called.
    """
    named = {*look.target.administrators, look.target.user} - {""}
    rulers = {account.name for account in found if account.rules}
    if not named and len(rulers) == 1:
        named = rulers
    return named - {_application(look)}


@check("weak-password")
def weak_password(look: Look) -> Iterator[Finding]:
    """Does an account have a password that everyone tries first? On a lab of our own only."""
    if look.lab is None:
        raise NothingToLookAt("passwords are tried on a lab's own server, and on no other")
    for name, database, word, how in guess(look):
        shown = {"": "empty", name: "equal to its name"}.get(word, f"`{word}`, on a short list")
        yield Finding(
            "weak-password",
            Severity.FIX,
            f"The password of {name!r} is {shown}.",
            f"{how} → the password fits",
            "These are the passwords that a program tries first, within a second. A login that "
            "anyone guesses is no login.",
            "CWE-521",
            f'client["{database}"].command("updateUser", "{name}", pwd=secrets.token_urlsafe(24))',
            f'{_client(look)}, username="{name}", password="{word}", authSource="{database}")'
            '.admin.command("ping")  # wanted: Authentication failed'
            if word
            else f'mongosh --username {name} --password "" --authenticationDatabase {database}',
        )


def _client(look: Look) -> str:
    tls = "" if look.inside.clear else ", tls=True, tlsInsecure=True"
    return f"MongoClient({look.inside.label}{tls}"


@check("sha1-verifier")
def sha1_verifier(look: Look) -> Iterator[Finding]:
    """Is a password stored in the older form too, which is quicker to guess?"""
    old = [a for a in _accounts(look) if "SCRAM-SHA-1" in a.mechanisms]
    if old:
        names = ", ".join(a.name for a in old)
        yield Finding(
            "sha1-verifier",
            Severity.WARN,
            "Passwords are stored for SCRAM-SHA-1 too.",
            f"usersInfo → mechanisms of {names} hold SCRAM-SHA-1",
            "Whoever gets hold of a stored verifier tries passwords against it at home. That of "
            "SCRAM-SHA-1 is built on MD5 and SHA-1 and takes fewer rounds, so guesses are cheaper.",
            "CWE-916",
            f'client["{old[0].database}"].command("updateUser", "{old[0].name}", pwd=…, '
            'mechanisms=["SCRAM-SHA-256"])\n'
            "setParameter:\n  authenticationMechanisms: SCRAM-SHA-256",
            f'client["{old[0].database}"].command("usersInfo", "{old[0].name}")["users"][0]'
            '["mechanisms"]  # wanted: SCRAM-SHA-256 alone',
        )


@check("broad-role")
def broad_role(look: Look) -> Iterator[Finding]:
    """Does an account that is no administrator hold an administrator's role?"""
    found = _accounts(look)
    administrators, application = _administrators(look, found), _application(look)
    for account in found:
        grants = [g for g in account.grants if g.too_broad]
        if not grants or account.name in administrators:
            continue
        is_application = account.name == application
        yield Finding(
            "broad-role",
            Severity.FIX if is_application or not account.rules else Severity.WARN,
            f"{account.name!r} holds {' and '.join(g.name for g in grants)}"
            + (", and an application uses it." if is_application else "."),
            f"usersInfo, rolesInfo → {'; '.join(f'{g.role}: {g.too_broad}' for g in grants)}",
            "Whoever takes over the application, or finds its password, has all of this. "
            + (
                ""
                if is_application
                else "If people administer with this account, name it as an administrator."
            ),
            "CWE-250",
            f'client["{account.database}"].command("createRole", "{account.name}_part", '
            'privileges=[{"resource": {"db": …, "collection": …}, "actions": ["find"]}], '
            "roles=[])\n"
            f'client["{account.database}"].command("updateUser", "{account.name}", '
            f'roles=["{account.name}_part"])',
            f'client["{account.database}"].command("usersInfo", "{account.name}")'
            '["users"][0]["roles"]',
        )


@check("shared-account")
def shared_account(look: Look) -> Iterator[Finding]:
    """Does one account open databases that have nothing to do with each other?"""
    found = _accounts(look)
    administrators = _administrators(look, found)
    for account in found:
        reaches = sorted(set().union(*(g.reaches for g in account.grants)))
        if len(reaches) > 1 and account.name not in administrators:
            yield Finding(
                "shared-account",
                Severity.WARN,
                f"{account.name!r} opens {len(reaches)} databases.",
                f"usersInfo → {account.name} may reach the documents of {', '.join(reaches)}",
                "One password that leaks opens them all, and the log cannot tell which "
                "application came.",
                "CWE-653",
                f'client["{reaches[0]}"].command("createUser", "{account.name}_{reaches[0]}", '
                f"pwd=…, roles=[…])  # one account for each database\n"
                f'client["{account.database}"].command("dropUser", "{account.name}")',
                f'client["{account.database}"].command("usersInfo", "{account.name}")'
                '["users"][0]["roles"]  # wanted: one database',
            )


@check("writer-for-reader")
def writer_for_reader(look: Look) -> Iterator[Finding]:
    """May an account write that by its name, or its stated purpose, only reads?"""
    for account in _accounts(look):
        writing = [g for g in account.grants if g.writes and not g.too_broad]
        told = next((t for t in (account.name, account.purpose) if _READER.search(t)), "")
        if writing and told:
            yield Finding(
                "writer-for-reader",
                Severity.WARN,
                f"{account.name!r} may write, and by its {_source(account, told)} it only reads.",
                f"usersInfo → {', '.join(g.name for g in writing)}",
                "What an account cannot change, nobody can change through it.",
                "CWE-272",
                f'client["{account.database}"].command("updateUser", "{account.name}", '
                f'roles=[{{"role": "read", "db": "{writing[0].database}"}}])',
                f"as {account.name}: client[…][…].insert_one({{}})  # wanted: not authorized",
            )


def _source(account: Account, told: str) -> str:
    return "name" if told == account.name else "stated purpose"
