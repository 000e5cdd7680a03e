"""Checks of the audit log: whether it is kept, what is in it, and who can change it.

Without ``plugins.security.audit.type`` the plugin keeps no audit log, whatever audit.yml says; with
``internal_opensearch`` it writes one index a day (OpenSearch documentation, "Audit logs").
"""

from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.opensearch.accounts import OWN_INDEX, applications
from leftopen.audit.opensearch.look import API, AUDIT_LOG, SearchLook, is_system
from leftopen.audit.opensearch.rights import DELETE_INDEX, READ, WRITE, model
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

_NEEDED = ("FAILED_LOGIN", "MISSING_PRIVILEGES")
_INDEX = "internal_opensearch"


@check("audit-off")
def audit_off(look: SearchLook) -> Iterator[Finding]:
    """Does nobody write down who was refused?"""
    missing = _from_file(look)
    if not look.target.config and look.inside.is_off:
        raise NothingToLookAt("nobody is asked for a login, so there is nobody to write down")
    if not missing:
        missing = _from_api(look)
    if missing:
        yield Finding(
            "audit-off",
            Severity.WARN,
            "The cluster keeps no audit log of those whom it refuses.",
            missing,
            "Without it nobody can say afterwards who tried, who got in, and what they read.",
            "CWE-778",
            "# opensearch.yml (in elasticsearch.yml: xpack.security.audit.enabled: true)\n"
            "plugins.security.audit.type: internal_opensearch\n"
            "PUT _plugins/_security/api/audit/config\n"
            '{"enabled": true, "audit": {"enable_rest": true, "disabled_rest_categories": '
            '["AUTHENTICATED", "GRANTED_PRIVILEGES"], "log_request_body": false, …}}',
            f"GET {API}/audit; GET _cat/indices/{AUDIT_LOG}*",
        )
    elif look.inside.is_off:
        raise NothingToLookAt("nobody is asked for a login, so there is nobody to write down")


def _from_file(look: SearchLook) -> str:
    """What the configuration file says against an audit log; empty if nothing."""
    kind, on = look.said("audit-type"), look.said("audit-on")
    if on is not None:
        return "" if on.is_on else on.told
    if kind is not None:
        return kind.told if kind.first in ("noop", "none", "") else ""
    try:
        return f"{look.file.label} → neither plugins.security.audit.type nor xpack.security.audit"
    except CouldNotLook:
        return ""


def _from_api(look: SearchLook) -> str:
    """What the plugin's own configuration says against it; empty if nothing."""
    if look.target.config and look.said("audit-on"):
        return ""  # Elasticsearch's, which has no such API
    told = look.api("audit")["config"]
    audit = told.get("audit", {})
    if not told.get("enabled", True):
        return f"GET {API}/audit → enabled: false"
    if not audit.get("enable_rest", True):
        return f"GET {API}/audit → enable_rest: false"
    deaf = [c for c in _NEEDED if c in audit.get("disabled_rest_categories", ())]
    return f"GET {API}/audit → disabled_rest_categories: {', '.join(deaf)}" if deaf else ""


@check("audit-bodies")
def audit_bodies(look: SearchLook) -> Iterator[Finding]:
    """Do the requests themselves stand in the audit log, with the names that were searched for?"""
    said = look.said("audit-bodies")
    evidence = said.told if said and said.is_on else ""
    if not evidence and not said:
        audit = look.api("audit")["config"]
        if audit.get("enabled", True) and audit.get("audit", {}).get("log_request_body"):
            evidence = f"GET {API}/audit → log_request_body: true"
    if evidence:
        yield Finding(
            "audit-bodies",
            Severity.WARN,
            "The audit log holds whole requests.",
            evidence,
            "A search holds the name or the number that somebody looked for, so the log becomes a "
            "second copy of the data about people. true is the value with which the plugin comes.",
            "CWE-532",
            'PUT _plugins/_security/api/audit/config\n{…, "audit": {…, "log_request_body": false}}',
            f"GET {API}/audit  # wanted: log_request_body: false",
        )


@check("audit-index")
def audit_index(look: SearchLook) -> Iterator[Finding]:
    """Can an application change the audit log, or read it beside its own data?"""
    known = model(look)
    kind = look.said("audit-type")
    logs = [name for name in look.indices if name.startswith(AUDIT_LOG)]
    if not logs and not (kind and kind.first == _INDEX):
        raise NothingToLookAt("the audit log is in no index of this cluster")
    index = max(logs, default=f"{AUDIT_LOG}2026.01.01")
    for account in applications(look, known):
        held = [role for role in known.held(account) if role.name != OWN_INDEX]
        if known.rules(account):
            continue  # told as broad-role
        rights = [right for role in held for right in role.indices]
        may = [
            what
            for what, action in (("write", WRITE), ("delete", DELETE_INDEX), ("read", READ))
            if any(right.allows(action, index) for right in rights)
        ]
        own = any(not is_system(p) for right in rights for p in right.patterns)
        told = any(role.too_broad for role in held)  # that it reads everything
        if may and (may != ["read"] or (own and not told)):
            yield Finding(
                "audit-index",
                Severity.FIX if may != ["read"] else Severity.WARN,
                f"{account.name!r} may {' and '.join(may)} the audit log.",
                f"its roles, {', '.join(role.name for role in held)} → {', '.join(may)} in {index}",
                "Whoever takes over the application can take its traces out, or see who looks for "
                "them. Reading the log is for one account that can do nothing else.",
                "CWE-284",
                f"# patterns that leave out {AUDIT_LOG}*, as faces-* in place of *\n"
                f"PUT {API}/roles/…",
                f'as {account.name}: client.index(index="{index}", body={{}})  # wanted: 403',
            )
