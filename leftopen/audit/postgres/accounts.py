"""Checks of the accounts: what is stored of their passwords, and what they may do as a whole."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from leftopen import password_forms
from leftopen.audit.checks import check
from leftopen.audit.postgres import hba
from leftopen.audit.postgres.client import application
from leftopen.audit.postgres.look import PostgresLook, Role
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt

COMMON = ("", "postgres", "admin", "password", "123456", "changeme", "secret", "test")
"""The guesses for every account, besides its own name."""
LEAST_ROUNDS = 4096
"""RFC 7677, section 4: SCRAM-SHA-256 takes at least so many."""
# What pg_authid stores (PostgreSQL manual, "pg_authid").
_SCRAM = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)")
_MD5 = re.compile(r"md5[0-9a-f]{32}")
_GROUPS = {
    "pg_read_server_files": "reads the server's files",
    "pg_write_server_files": "writes the server's files",
    "pg_execute_server_program": "runs programs on the server",
    "pg_read_all_data": "reads every table",
    "pg_write_all_data": "changes every table",
    "pg_create_subscription": "copies from other servers",
    "pg_maintain": "takes locks on every table",
}
_DOORS = ("pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "lo_import",
          "lo_export")  # fmt: skip
_REVOKE = "ALTER ROLE {0} NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS"


def administrators(look: PostgresLook) -> set[str]:
    """Who is known to administer: the account that initdb made, the audit's own, those named.

    An account that the application's address names is the application's, whatever it is called.
    """
    named = {look.bootstrap, *look.target.administrators, look.target.user}
    return named - {"", application(look)}


def applications(look: PostgresLook) -> list[Role]:
    """The accounts that log in and are no administrator's."""
    ours = administrators(look)
    return [role for role in look.roles.values() if role.logs_in and role.name not in ours]


def held(look: PostgresLook, role: Role) -> Iterator[Role]:
    """An account, and every group of people's making that it can act as."""
    yield role
    yield from (look.roles[name] for name in sorted(role.groups) if name in look.roles)


def stored(look: PostgresLook) -> dict[str, str]:
    """What the server keeps of each account's password; empty where there is none."""
    if "stored" not in look.kept:
        found = "SELECT rolname, coalesce(rolpassword, '') FROM pg_authid WHERE rolcanlogin"
        look.kept["stored"] = dict(look.rows(f"{found} ORDER BY rolname"))
    return look.kept["stored"]


@check("weak-password")
def weak_password(look: PostgresLook) -> Iterator[Finding]:
    """Does an account have a password that everyone tries first? On a lab of our own only."""
    if look.lab is None:
        raise NothingToLookAt("passwords are tried on a lab's own server, and on no other")
    known = {name: kept for name, kept in stored(look).items() if kept}
    if not known:
        raise NothingToLookAt("no account has a password")
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter
        words = pool.map(_fitting, known, known.values())
        for name, word in zip(known, words, strict=True):
            if word is not None:
                shown = {"": "empty", name: "equal to its name"}.get(word, f"`{word}`, on a list")
                yield Finding(
                    "weak-password",
                    Severity.FIX,
                    f"The password of {name!r} is {shown}.",
                    f"a guess, against what pg_authid keeps of {name}'s password → it fits",
                    "These are the passwords that a program tries first, within a second. A login "
                    "that anyone guesses is no login.",
                    "CWE-521",
                    f"ALTER ROLE {name} PASSWORD '…'  -- secrets.token_urlsafe(24); better from "
                    "the client: \\password",
                    f'psycopg.connect(lab.inside.uri_as("{name}", "{word}"))'
                    "  # wanted: password authentication failed",
                )


def _fitting(name: str, stored: str) -> str | None:
    words = dict.fromkeys([name, *COMMON])
    return next((word for word in words if fits(name, word, stored)), None)


def fits(name: str, word: str, stored: str) -> bool:
    """Whether a word is the password of which this is stored.

    MD5: of the password and the name. SCRAM: by the StoredKey.
    """
    if _MD5.fullmatch(stored):
        digest = hashlib.md5(f"{word}{name}".encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(f"md5{digest}", stored)
    if not (parts := _SCRAM.fullmatch(stored)):
        return False
    made = password_forms.postgresql(word, base64.b64decode(parts[2]), int(parts[1]))
    return hmac.compare_digest(_SCRAM.fullmatch(made)[3], parts[3])


@check("md5-verifier")
def md5_verifier(look: PostgresLook) -> Iterator[Finding]:
    """Is a password still stored as MD5, or with few rounds?"""
    old, quick = [], []
    for name, kept in stored(look).items():
        if _MD5.fullmatch(kept):
            old.append(name)
        elif (parts := _SCRAM.fullmatch(kept)) and int(parts[1]) < LEAST_ROUNDS:
            quick.append(f"{name}: SCRAM-SHA-256 with {parts[1]} rounds")
    if old or quick:
        yield Finding(
            "md5-verifier",
            Severity.WARN,
            "Passwords are still stored as MD5."
            if old
            else "Passwords are stored with few rounds.",
            "pg_authid.rolpassword → "
            + "; ".join([*([f"md5 of {', '.join(old)}"] if old else []), *quick]),
            "Whoever gets hold of a stored MD5 logs in with it, without knowing the password, and "
            "guesses against it are cheap. A new setting changes no password that is stored "
            "already.",
            "CWE-916",
            "-- postgresql.conf: password_encryption = 'scram-sha-256'; then, for each of them,\n"
            f"ALTER ROLE {(old or quick)[0].partition(':')[0]} PASSWORD '…'",
            "SELECT rolname, left(rolpassword, 13) FROM pg_authid WHERE rolcanlogin",
        )


@check("md5-encryption")
def md5_encryption(look: PostgresLook) -> Iterator[Finding]:
    """Would the next password be stored as MD5?"""
    if look.setting("password_encryption") != "scram-sha-256":
        yield Finding(
            "md5-encryption",
            Severity.WARN,
            "The next password will be stored as MD5.",
            f"password_encryption → {look.setting('password_encryption')}",
            "scram-sha-256 in pg_hba.conf then refuses that account, and somebody turns back to "
            "a weaker line to let it in.",
            "CWE-916",
            "# postgresql.conf\npassword_encryption = 'scram-sha-256'",
            "SHOW password_encryption  -- wanted: scram-sha-256",
        )


@check("no-password")
def no_password(look: PostgresLook) -> Iterator[Finding]:
    """Does an account come in by trust alone, with no password to fall back on?"""
    kept, trusted = stored(look), set()
    for reach in look.reaches:
        if reach.rule.method == hba.ASKS_NOTHING:
            trusted |= {client.role for client in reach.clients}
    bare = [n for n in kept if not kept[n] and n in trusted and n != look.bootstrap]
    if bare:
        yield Finding(
            "no-password",
            Severity.NOTE,
            "Accounts have no password at all, and come in because a line trusts them.",
            f"pg_authid.rolpassword → none for {', '.join(bare)}",
            "On the day when trust goes they are locked out, and that is the day when it comes "
            "back. Give them a password first.",
            "CWE-258",
            f"ALTER ROLE {bare[0]} PASSWORD '…'",
            "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NULL",
        )


@check("broad-role")
def broad_role(look: PostgresLook) -> Iterator[Finding]:
    """Is an account that is no administrator's a superuser, or can it become one?"""
    for role in applications(look):
        ways = [each.name for each in held(look, role) if each.superuser]
        if ways:
            is_app = role.name == application(look)
            how = "SUPERUSER" if role.superuser else f"SET ROLE {ways[0]}, which is SUPERUSER"
            yield Finding(
                "broad-role",
                Severity.FIX,
                f"{role.name!r} is a superuser"
                + (", and an application uses it." if is_app else "."),
                f"pg_roles → {role.name}: {how}",
                "No grant, no policy and no limit holds for a superuser, who also reads files and "
                "runs programs on the machine. Whoever takes over the application has all of it. "
                + ("" if is_app else "If people administer with this account, name it as one."),
                "CWE-250",
                f"{_REVOKE.format(role.name)}\n-- then GRANT what it needs, and no more",
                f"SELECT rolsuper FROM pg_roles WHERE rolname = '{role.name}'  -- wanted: false",
            )


@check("dangerous-right")
def dangerous_right(look: PostgresLook) -> Iterator[Finding]:
    """May an account that is no administrator's do what no table grant allows?"""
    functions = _functions(look)
    for role in applications(look):
        if any(each.superuser for each in held(look, role)):
            continue  # told as broad-role
        may = list(_rights(look, role)) + functions.get(role.name, [])
        if may:
            only_databases = may == [f"{role.name}: CREATEDB"]
            yield Finding(
                "dangerous-right",
                Severity.WARN if only_databases else Severity.FIX,
                f"{role.name!r} may do more than use its tables.",
                f"pg_roles, pg_auth_members, pg_proc → {'; '.join(may)}",
                "Who can make roles, copy the server, read its files or run its programs can give "
                "itself much of the rest, and no policy on a table stands in the way.",
                "CWE-269",
                f"{_REVOKE.format(role.name)}\nREVOKE pg_read_all_data, … FROM {role.name}",
                f"as {role.name}: SELECT pg_read_file('PG_VERSION')  -- wanted: permission denied",
            )


def _rights(look: PostgresLook, role: Role) -> Iterator[str]:
    guarded = _guards(look)
    for each in held(look, role):
        attributes = {
            "CREATEROLE": each.creates_roles,
            "CREATEDB": each.creates_databases,
            "REPLICATION": each.replicates,
            # Where rows are guarded, row-security-bypass tells it.
            "BYPASSRLS": each.bypasses and not guarded,
        }
        yield from (f"{each.name}: {name}" for name, is_on in attributes.items() if is_on)
    for group in sorted(role.groups & _GROUPS.keys()):
        yield f"{group} {_GROUPS[group]}"


def _guards(look: PostgresLook) -> bool:
    """Whether row security is on for any table."""
    if "guards" not in look.kept:
        query = "SELECT 1 FROM pg_class WHERE relrowsecurity LIMIT 1"
        look.kept["guards"] = any(look.rows(query, name) for name in look.databases)
    return look.kept["guards"]


def _functions(look: PostgresLook) -> dict[str, list[str]]:
    """Functions of the superuser's that were granted to other accounts, or to everyone."""
    found: dict[str, list[str]] = {}
    names = {role.name for role in applications(look)}
    for database in look.databases:
        rows = look.rows(
            "SELECT DISTINCT r.rolname, p.proname FROM pg_proc p JOIN pg_roles r ON r.rolcanlogin "
            "AND NOT r.rolsuper AND has_function_privilege(r.oid, p.oid, 'EXECUTE') "
            "WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY(%s) "
            "AND p.proacl IS NOT NULL ORDER BY 1, 2",
            database,
            [list(_DOORS)],
        )
        for name, function in rows:
            if name in names:
                found.setdefault(name, []).append(f"EXECUTE on {function} in {database}")
    return found
