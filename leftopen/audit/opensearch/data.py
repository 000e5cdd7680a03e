"""Checks of what lies in the indices: which applications see data of people in clear."""

from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.opensearch.accounts import applications
from leftopen.audit.opensearch.look import SearchLook, is_system
from leftopen.audit.opensearch.rights import READ, Model, model
from leftopen.audit.personal import DEVICES_AND_GROUPS, Identifier, identifiers
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt

SAMPLE = 20
"""Documents that are read of each index."""
_MOST_INDICES = 60
_MOST_TOLD = 4


def _found(look: SearchLook) -> dict[str, list[Identifier]]:
    """The fields that identify people, by index."""
    names = [name for name in look.indices if not is_system(name)][:_MOST_INDICES]
    if not names:
        raise NothingToLookAt("there is no index of an application")
    found = {}
    for name in names:
        hits = look.ask(f"/{name}/_search?size={SAMPLE}")["hits"]["hits"]
        if told := identifiers([hit.get("_source", {}) for hit in hits], DEVICES_AND_GROUPS):
            found[name] = told
    return found


@check("identifiers-in-clear")
def identifiers_in_clear(look: SearchLook) -> Iterator[Finding]:
    """Do fields that identify people stand there for every reader?"""
    found = _found(look)
    if not found:
        return
    is_off = look.inside.is_off
    readers = ["everyone"] if is_off else _readers(look, model(look), found)
    if not readers:
        return
    kinds = {f.field: f.kind for fields in found.values() for f in fields}
    indices = sorted(found)
    more = f" and {len(indices) - _MOST_TOLD} more" if len(indices) > _MOST_TOLD else ""
    yield Finding(
        "identifiers-in-clear",
        Severity.WARN if is_off else Severity.NOTE,
        f"{', '.join(readers)} can read fields that identify people.",
        f"GET …/_search in {', '.join(indices[:_MOST_TOLD])}{more} → "
        + "; ".join(f"{name}: {kind}" for name, kind in sorted(kinds.items())),
        "What an account does not see, nobody can take through it. Most work on such data needs "
        "the place and the time, and not the person.",
        "CWE-359",
        "PUT _plugins/_security/api/roles/…\n"
        f'{{"index_permissions": [{{"index_patterns": ["{indices[0]}"], '
        f'"fls": ["~{sorted(kinds)[0]}"], "allowed_actions": ["read"]}}]}}\n'
        "# or masked_fields, for a value that must stay comparable",
        f"as that account: a search, a terms aggregation and _field_caps on {sorted(kinds)[0]}",
    )


def _readers(look: SearchLook, known: Model, found: dict[str, list[Identifier]]) -> list[str]:
    """The accounts, administrators left out, to which a role shows one of these fields."""
    seen = []
    for account in applications(look, known):
        rights = [right for role in known.held(account) for right in role.indices]
        if any(
            right.allows(READ, index) and any(right.shows(f.field) for f in fields)
            for index, fields in found.items()
            for right in rights
        ):
            seen.append(repr(account.name))
    return seen
