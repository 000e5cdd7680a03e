"""Checks of the accounts: their passwords, and what their roles allow."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from leftopen.audit.checks import check
from leftopen.audit.opensearch.access import OWN_INDEX
from leftopen.audit.opensearch.client import application
from leftopen.audit.opensearch.look import API, WHO, SearchLook
from leftopen.audit.opensearch.rights import Account, Model, Role, model
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

DEMO = (
    "admin",
    "anomalyadmin",
    "kibanaro",
    "kibanaserver",
    "logstash",
    "readall",
    "snapshotrestore",
)
"""The accounts that the security plugin brings, in its own internal_users.yml (2.19.4.0). The
password of each but anomalyadmin was its name when the plugin was made."""
COMMON = ("admin", "changeme", "opensearch")
"""The guesses for every account besides its own name. They are few because each costs a fifth of
a second: bcrypt is meant to be slow."""
_MOST_LOGINS = 8  # an attempt to log in costs the cluster as much
_STORED = "/.opendistro_security/_doc/internalusers"
_ROLE = (
    "PUT _plugins/_security/api/roles/{0}_part\n"
    '{{"cluster_permissions": ["cluster_composite_ops"],\n'
    ' "index_permissions": [{{"index_patterns": ["…-*"], "allowed_actions": ["index"]}}]}}\n'
    'PUT _plugins/_security/api/rolesmapping/{0}_part\n{{"users": ["{0}"]}}'
)


def administrators(look: SearchLook, found: Model) -> set[str]:
    """Who is known to administer: the audit's own login, those named, or the only candidate.

    An account that the application's address names is the application's, whatever it is called.
    """
    named = {*look.target.administrators, look.target.user} - {""}
    rulers = {account.name for account in found.accounts if found.rules(account)}
    if not named and len(rulers) == 1:
        named = rulers
    return named - {application(look)}


def applications(look: SearchLook, found: Model) -> list[Account]:
    """The accounts that are no administrator's."""
    ours = administrators(look, found)
    return [account for account in found.accounts if account.name not in ours]


def _user(name: str) -> str:
    return f'curl --cacert ca.pem -u {name} "https://…:9200/_plugins/_security/authinfo"'


@check("weak-password")
def weak_password(look: SearchLook) -> Iterator[Finding]:
    """Does an account have a password that everyone tries first? On a lab of our own only."""
    if look.lab is None:
        raise NothingToLookAt("passwords are tried on a lab's own server, and on no other")
    if look.inside.is_off:
        raise NothingToLookAt("the security plugin is off, so no password is asked for")
    stored = _stored(look)
    guessed = _by_logging_in(look) if stored is None else _against(stored)
    for name, word, how in guessed:
        shown = "equal to its name" if word == name else f"`{word}`, on a short list"
        yield Finding(
            "weak-password",
            Severity.FIX,
            f"The password of {name!r} is {shown}.",
            f"{how} → the password fits",
            "These are the passwords that a program tries first, within a second. "
            + (
                "This account comes with the plugin, so everyone knows it is there."
                if name in DEMO
                else "A login that anyone guesses is no login."
            ),
            "CWE-1392" if name in DEMO and word == name else "CWE-521",
            f"DELETE _plugins/_security/api/internalusers/{name}   # if nobody uses it; or\n"
            f"PUT _plugins/_security/api/internalusers/{name}\n"
            '{"password": "…"}   # secrets.token_urlsafe(24)\n'
            "# one that is reserved: take it out of internal_users.yml, then securityadmin.sh",
            f"{_user(f'{name}:{word}')}  # wanted: Unauthorized",
        )


def _stored(look: SearchLook) -> dict[str, str] | None:
    """What the cluster stores of each password, by the lab's own admin certificate.

    The plugin's REST API shows it to nobody. ``None`` where that certificate is no
    administrator's any more.
    """
    files = look.lab.certificates
    if look.inside.tls is None:
        return None
    client = look.client(cert=(str(files.admin), str(files.admin_key)))
    try:
        answer = client.get(_STORED)
        if not answer.ok:
            return None
        told = json.loads(base64.b64decode(answer.body["_source"]["internalusers"]))
    except (OSError, KeyError, ValueError, TypeError):
        return None
    return {n: u["hash"] for n, u in sorted(told.items()) if isinstance(u, dict) and "hash" in u}


def _against(stored: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Accounts whose password was guessed, as (name, password, how it was tried)."""
    with ThreadPoolExecutor() as pool:  # bcrypt lets go of the interpreter
        words = pool.map(_fitting, stored, stored.values())
        for name, word in zip(stored, words, strict=True):
            if word:
                yield name, word, f"a guess, against what is stored of {name}'s password"


def _fitting(name: str, stored: str) -> str:
    if not stored.startswith("$2"):
        return ""  # PBKDF2 or Argon2: an operator chose it, and a guess costs more still
    for word in dict.fromkeys([name, *COMMON]):
        if bcrypt.checkpw(word.encode(), stored.encode()):
            return word
    return ""


def _by_logging_in(look: SearchLook) -> Iterator[tuple[str, str, str]]:
    """One login for each account that is known, and without an administrator for the demo's."""
    try:
        names = list(look.api("internalusers"))[:_MOST_LOGINS]
    except CouldNotLook:
        names = [name for name in (application(look), *DEMO) if name]
    for name in dict.fromkeys(names):
        if look.client(name, name).get(WHO).ok:
            yield name, name, f"a login as {name}"


@check("demo-accounts")
def demo_accounts(look: SearchLook) -> Iterator[Finding]:
    """Are the accounts still there that the plugin brings?"""
    users = look.api("internalusers")
    left = [n for n in DEMO if str(users.get(n, {}).get("description", "")).startswith("Demo ")]
    if left:
        yield Finding(
            "demo-accounts",
            Severity.WARN,
            f"{len(left)} of the accounts that the security plugin brings are still there.",
            f"GET {API}/internalusers → {', '.join(left)}",
            "Their names are known to everyone, and their first passwords too. Who changed the one "
            "of admin may have left the others.",
            "CWE-1392",
            "# internal_users.yml: your own accounts alone, then\n"
            "securityadmin.sh -f internal_users.yml -t internalusers -icl -nhnv "
            "-cacert ca.pem -cert admin.pem -key admin-key.pem",
            f"GET {API}/internalusers  # wanted: your own names",
        )


def _why(account: Account, names: list[str]) -> str:
    return ", ".join(f"{name} by {account.roles[name]}" for name in names)


def _is_everywhere(name: str, known: Model) -> bool:
    return name in known.for_everyone  # it is told once, by role-for-everyone


@check("broad-role")
def broad_role(look: SearchLook) -> Iterator[Finding]:
    """Does an account that is no administrator hold all_access, or the pattern ``*``?"""
    known = model(look)
    app = application(look)
    for account in applications(look, known):
        broad = [
            role
            for role in known.held(account)
            if role.too_broad and not _is_everywhere(role.name, known)
        ]
        if not broad:
            continue
        is_app = account.name == app
        yield Finding(
            "broad-role",
            Severity.FIX if is_app or not known.rules(account) else Severity.WARN,
            f"{account.name!r} holds {' and '.join(role.name for role in broad)}"
            + (", and an application uses it." if is_app else "."),
            f"{_why(account, [r.name for r in broad])} → "
            + "; ".join(f"{role.name}: {role.too_broad}" for role in broad),
            "Whoever takes over the application, or finds its password, has all of this. "
            + ("" if is_app else "If people administer with this account, name it as one."),
            "CWE-250",
            _ROLE.format(account.name),
            f"GET {API}/rolesmapping/{broad[0].name}  # wanted: administrators alone",
        )


@check("role-for-everyone")
def role_for_everyone(look: SearchLook) -> Iterator[Finding]:
    """Is a role given to every account there is?"""
    known = model(look)
    for name, part in known.for_everyone.items():
        if name == OWN_INDEX:
            continue
        role = known.roles.get(name)
        allowed = _allowed(role)
        yield Finding(
            "role-for-everyone",
            Severity.FIX if role and (role.too_broad or role.dangerous) else Severity.WARN,
            f"Everyone who logs in holds {name}.",
            f'GET {API}/rolesmapping/{name} → {part}: ["*"]; it allows {allowed}',
            "Every account has it, also those that are made next year for something else, and the "
            "anonymous one where that is let in.",
            "CWE-732",
            f'PUT {API}/rolesmapping/{name}\n{{"users": ["the one who needs it"]}}',
            f"GET {API}/rolesmapping/{name}  # wanted: names",
        )


def _allowed(role: Role | None) -> str:
    if role is None:
        return "nothing, for there is no such role"
    if role.too_broad or role.dangerous:
        return "; ".join(filter(None, [role.too_broad, *role.dangerous]))
    patterns = ", ".join(p for right in role.indices for p in right.patterns)
    return f"something in {patterns}" if patterns else "nothing in any index"


@check("dangerous-right")
def dangerous_right(look: SearchLook) -> Iterator[Finding]:
    """May an account that is no administrator change accounts, snapshots or the cluster?"""
    known = model(look)
    said = look.said("api-roles")
    api = set(said.values) if said else set()
    for account in applications(look, known):
        if known.rules(account):
            continue  # told as broad-role
        told = {r.name: r.dangerous for r in known.held(account) if r.dangerous}
        for role in api & set(account.roles):
            told.setdefault(role, []).append(
                "the security plugin's REST API (restapi.roles_enabled)"
            )
        if told:
            yield Finding(
                "dangerous-right",
                Severity.FIX,
                f"{account.name!r} may do more than use its indices.",
                f"{_why(account, list(told))} → "
                + "; ".join(f"{name}: {', '.join(rights)}" for name, rights in told.items()),
                "Who may restore a snapshot, write the security index or call its REST API can "
                "give itself every other right.",
                "CWE-269",
                f"# leave out restapi:admin/*, cluster:admin/*, cluster:*, manage_snapshots\n"
                f"{_ROLE.format(account.name)}",
                f"as {account.name}: GET _cluster/settings, GET {API}/roles  # wanted: 403",
            )
