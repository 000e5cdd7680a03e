"""The check of what a caller may see: whether one person's token reads what is another's.

The Open Worldwide Application Security Project's list for APIs puts this first (API1:2023, Broken
Object Level Authorization).
"""

from collections.abc import Iterator
from typing import Any

from leftopen.audit.backend.access import rows_of_people
from leftopen.audit.backend.look import AS_CALLER, NEEDS_TOKEN, BackendLook, Visit
from leftopen.audit.backend.routes import Pool, Route, fill, fits, subjects
from leftopen.audit.backend.web import Answer
from leftopen.audit.checks import check
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

_HOME = ("flat", "household", "family", "home", "apartment")
"""Who shares one of these with the caller lives there too; that is no other's."""
_STEPS = (1, -1, 10, 100)
_MOST_ASKED = 40
_MOST_TOLD = 4
Names = set[tuple[str, str]]
"""Fields and the values in them."""


@check("others-objects")
def others_objects(look: BackendLook) -> Iterator[Finding]:
    """Does the token read objects of another than its owner?

    What is its own is what the token says: a claim with the name of a parameter, as ``person`` in
    ``/people/{person}``, or the subject where that is one of these.
    """
    visits = look.visits
    if not any(v.is_closed for v in visits):
        raise NothingToLookAt("no route asks for a login")
    if not look.target.token:
        raise CouldNotLook(NEEDS_TOKEN)
    if look.login_refused:
        raise CouldNotLook(look.login_refused)
    own = _own(look, visits)
    if not own:
        raise NothingToLookAt("the token names nothing that would be its owner's alone")
    given = list(_answers(look, visits, own))
    homes, family = _home(given, own)
    found: dict[str, tuple[Answer, str, Any]] = {}
    for visit, answer in given:
        for row in answer.records:
            other = next((k for k in own if _differs(row, k, own[k])), None)
            if other is None or _at_home(row, homes) or (other, str(row[other])) in family:
                continue
            if rows_of_people([row]):
                found.setdefault(visit.route.path, (answer, other, row[other]))
    if found:
        whose = ", ".join(f"{k} {v}" for k, v in own.items())
        told = "; ".join(f"{a.asked} → {k} {v}" for a, k, v in list(found.values())[:_MOST_TOLD])
        first = next(iter(found.values()))[0]
        yield Finding(
            "others-objects",
            Severity.FIX,
            "A token reads what is another's.",
            f"with a token of {whose}: {told}",
            "The login says who is asking. If nobody asks whether this record is theirs, one "
            "account is enough to read them all, by counting upwards.",
            "CWE-639",
            "-- in the database, so that no route can forget it:\n"
            "CREATE POLICY own ON residents TO resident\n"
            "    USING (person = current_setting('doors.person', true)::integer);",
            f"{look.curl(first.asked.partition(' ')[2], AS_CALLER)}  # wanted: 403 or 404",
        )


def _own(look: BackendLook, visits: list[Visit]) -> dict[str, Any]:
    """What the token names as its owner's, by the names of parameters."""
    claims = look.claims
    params = {p.name for v in visits for p in (*v.route.places, *v.route.query)}
    own = {
        k: v for k, v in claims.items() if k in params and isinstance(v, str | int) and k != "sub"
    }
    for visit in visits:
        if own or not visit.route.places or "sub" not in claims:
            continue
        last = visit.route.places[-1].name
        rows = visit.owner.records if visit.owner is not None and visit.owner.ok else []
        for subject in subjects(str(claims["sub"])):
            if len(rows) == 1 and str(rows[0].get(last)) == str(subject):
                own[last] = rows[0][last]
    return own


def _home(given: list[tuple[Visit, Answer]], own: dict[str, Any]) -> tuple[Names, Names]:
    """Where the owner lives, and who lives there too, as far as the answers say so."""
    rows = [row for _, answer in given for row in answer.records]
    mine = [r for r in rows if any(k in r and str(r[k]) == str(v) for k, v in own.items())]
    homes = {(name, str(row[name])) for row in mine for name in _HOME if row.get(name)}
    there = [row for row in rows if _at_home(row, homes)]
    return homes, {(k, str(row[k])) for row in there for k in own if k in row}


def _at_home(row: dict, homes: Names) -> bool:
    return any((name, str(row.get(name))) in homes for name in _HOME)


def _differs(row: dict, key: str, value: Any) -> bool:
    return row.get(key) is not None and str(row[key]) != str(value)


def _answers(
    look: BackendLook, visits: list[Visit], own: dict[str, Any]
) -> Iterator[tuple[Visit, Answer]]:
    """What the token is given: by each closed route as it is, and with the value of another."""
    pool: Pool = look.kept["pool"]
    closed = [v for v in visits if not v.is_open and v.owner is not None]
    for visit in closed:
        if visit.owner.ok:
            yield visit, visit.owner
    paths = [
        (visit, path)
        for visit in closed
        if not (visit.route.streams or visit.owner.streams)
        for path in dict.fromkeys([*_others(visit, own, pool), *pool.addresses(visit.route)])
        if path != visit.path
    ]
    for visit, path in paths[:_MOST_ASKED]:
        answer = look.ask(path, login=True)
        if answer is not None and answer.ok:
            yield visit, answer


def _others(visit: Visit, own: dict[str, Any], pool: Pool) -> Iterator[str]:
    """Paths of a route with another's value in the place of the owner's."""
    route: Route = visit.route
    parts = visit.path.partition("?")[0].split("/")
    at = [n for n, part in enumerate(route.path.split("/")) if part.startswith("{")]
    for position, param in zip(at, route.places, strict=True):
        if param.name in own:
            parent = route.path.partition("{" + param.name)[0]
            for value in _neighbours(own[param.name], pool.seen(param, parent)):
                values = [parts[n] for n in at]
                values[at.index(position)] = str(value)
                yield fill(route, tuple(values))
    for param in route.query:
        if param.name in own and not route.places[len(at) :]:
            for value in _neighbours(own[param.name], pool.seen(param, "")):
                if fits(param, value):
                    base = visit.path.partition("?")[0]
                    yield f"{base}?{param.name}={value}"


def _neighbours(value: Any, seen: list[Any]) -> list[Any]:
    """Values of others: some that were seen, and those beside a number."""
    others = [s for s in seen if str(s) != str(value)][:4]
    if str(value).isdigit():
        others += [n for step in _STEPS if (n := int(value) + step) > 0]
    return list(dict.fromkeys(others))
