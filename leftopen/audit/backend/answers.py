"""Checks of what answers tell besides the data: errors, headers, other sites, how much at once."""

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import urlencode

from leftopen.audit.backend.access import of_people
from leftopen.audit.backend.door import where_to_log_in
from leftopen.audit.backend.look import BackendLook, Visit
from leftopen.audit.backend.routes import Param
from leftopen.audit.backend.web import Answer
from leftopen.audit.checks import check
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

ELSEWHERE = "https://elsewhere.example"
"""An origin that no service has reason to trust (RFC 2606 keeps the name free)."""
_ORIGIN = f"Origin: {ELSEWHERE}"
MOST_RECORDS = 1000
"""A page with more records than that was not meant for a person to read."""
_ASKED = 100_000
_SECRET = "a login of the database"
_TELLS = {
    _SECRET: re.compile(r"\b[a-z+]{3,20}://[^\s:/@'\"]+:[^\s@/'\"]+@"),
    "a traceback": re.compile(
        r"Traceback \(most recent call last\)|^\s+at [\w$.]+\([\w.]+:\d+\)|"
        r"<title>(Werkzeug|.{0,80} // )|DEBUG = True",
        re.MULTILINE,
    ),
    "SQL, or the database's own words": re.compile(
        r"\bSELECT\b.{1,400}?\bFROM\b|\b(INSERT INTO|DELETE FROM)\s+\w+|psycopg|sqlalchemy|"
        r"SQLSTATE|ORA-\d{5}|syntax error at or near|relation \"[^\"]+\" does not exist|"
        r"LIMIT must not be negative|out of range for type|invalid input syntax for type|"
        r"cannot contain NUL|permission denied for (table|view|schema)|pymongo\.|MongoServerError",
        re.DOTALL,
    ),
    "the server's own paths": re.compile(
        r"(?<![\w/.:])/(usr|home|root|opt|srv|tmp|app|var|private|Users)/[\w./-]+\.\w+|"
        r"\b[A-Z]:\\[\w\\ .-]+\.\w+"
    ),
}
_LIMITS = {"limit", "size", "per_page", "perpage", "page_size", "pagesize", "count", "top", "max"}
_VERSION = re.compile(r"\d+\.\d+")
_MOST_TOLD = 4
_NUL = "%00"


@check("telling-errors")
def telling_errors(look: BackendLook) -> Iterator[Finding]:
    """Does an error tell what the service is made of? Wrong values are sent to provoke some."""
    found: dict[str, Answer] = {}
    for answer in _provoked(look):
        for what, form in _TELLS.items():
            if form.search(answer.text):
                found.setdefault(what, answer)
    if found:
        asked = dict.fromkeys(f"{a.asked} → {a.status}" for a in found.values())
        path = next(iter(found.values())).asked.partition(" ")[2]
        yield Finding(
            "telling-errors",
            Severity.FIX if _SECRET in found else Severity.WARN,
            f"Errors tell a client: {'; '.join(found)}.",
            "; ".join(asked),
            "Who gets an error tries again with what it says: the names of tables and files, the "
            "versions of packages, at times a password.",
            "CWE-209",
            "FastAPI(debug=False)\n# an answer that says what the caller can do, and a log that "
            'says the rest:\nraise HTTPException(404, "There is no such person.")',
            f"{look.curl(path)}  # wanted: one sentence, and nothing of the code",
        )


def _provoked(look: BackendLook) -> Iterator[Answer]:
    """Answers to requests with wrong values: a stranger's, and those that the token gets."""
    for answer in (look.nowhere, look.ask("/%2e%2e%2f%00")):
        if answer is not None:
            yield answer
    with contextlib.suppress(CouldNotLook, NothingToLookAt):
        route, body = where_to_log_in(look, "nobody\0")
        answer = look.ask(route.path, "POST", **body)
        if answer is not None:
            yield answer
    for visit in look.visits:
        for path in _wrong(visit):
            answer = look.ask(path, login=not visit.is_open)
            if answer is not None and not answer.ok:
                yield answer


def _wrong(visit: Visit) -> list[str]:
    """Paths of a route with one value wrong: another type, too large a number, a NUL, no such id.

    A stream is left alone: it would go on.
    """
    route = visit.route
    if route.streams:
        return []
    paths = []
    if route.places:
        values = visit.path.partition("?")[0].split("/")
        at = [n for n, part in enumerate(route.path.split("/")) if part.startswith("{")]
        for wrong in ("x'", "99999999999", "-1", _NUL):
            paths.append("/".join([*values[: at[-1]], wrong, *values[at[-1] + 1 :]]))
    base = visit.path.partition("?")[0]
    for param in route.query:
        wrong = ("-1", "99999999999999999999") if param.kind in ("integer", "number") else ("\0",)
        paths += [f"{base}?{urlencode({param.name: value})}" for value in wrong]
    return paths


@check("telling-headers")
def telling_headers(look: BackendLook) -> Iterator[Finding]:
    """Do headers say which program answers, and in which version?"""
    names = ("server", "x-powered-by", "x-aspnet-version", "x-generator", "via")
    answers = [v.stranger for v in look.visits if v.stranger is not None]
    told = {n: a.headers[n] for a in answers for n in names if n in a.headers}
    found = {n: v for n, v in told.items() if _VERSION.search(v)}
    if found:
        shown = ", ".join(f"{name}: {value}" for name, value in found.items())
        yield Finding(
            "telling-headers",
            Severity.NOTE,
            "Each answer says the version of the program that gives it.",
            f"headers → {shown}",
            "Programs look for versions with a known hole. A version that is not told keeps none "
            "of them out, and puts the service on fewer lists.",
            "CWE-200",
            "uvicorn main:app --no-server-header\n# and no such header from the code, or from the "
            "proxy before it",
            f"{look.curl('/', '-o /dev/null -D -')}  # wanted: no version",
        )


@check("cors-open")
def cors_open(look: BackendLook) -> Iterator[Finding]:
    """May the pages of any site read the answers with a visitor's browser?"""
    for visit in look.visits[:20]:
        headers = {"Origin": ELSEWHERE}
        plain = look.ask(visit.path, headers=headers) if not visit.route.streams else None
        asked = {**headers, "Access-Control-Request-Method": "GET"}
        for answer in (plain, look.ask(visit.path, "OPTIONS", headers=asked)):
            allowed = answer.headers.get("access-control-allow-origin") if answer else None
            if allowed not in ("*", ELSEWHERE):
                continue
            again = look.curl(visit.path, f'-H "{_ORIGIN}"')
            login = answer.headers.get("access-control-allow-credentials") == "true"
            login = login and allowed == ELSEWHERE  # a browser refuses "*" with a login
            data = any(v.is_open and of_people(v.stranger) for v in look.visits)
            yield Finding(
                "cors-open",
                Severity.FIX if login or data else Severity.WARN,
                "The pages of any site may read the answers through a visitor's browser"
                + (", with the visitor's login." if login else "."),
                f"{answer.asked} with Origin: {ELSEWHERE} → allow-origin: {allowed}"
                + ("; allow-credentials: true" if login else ""),
                "A page that somebody opens can then ask the service from inside that person's "
                "network, and send the answers away.",
                "CWE-942",
                'CORSMiddleware(app, allow_origins=["https://board.example"])\n'
                "# the one site that needs it; without the middleware no other site may",
                f"{again}  # wanted: no allow-origin",
            )
            return


@check("unlimited-pages")
def unlimited_pages(look: BackendLook) -> Iterator[Finding]:
    """Can everything be taken in one request, because a page may be as long as it is asked for?"""
    tried, most = 0, 0
    for visit in look.visits:
        limit = next((p for p in visit.route.query if p.name.lower() in _LIMITS), None)
        open_to = look.target.token if not visit.is_open else None
        if limit is None or visit.route.streams or (open_to == ""):
            continue
        answer = look.ask(_page(visit, limit), token=open_to or None)
        if answer is None or not answer.ok:
            continue
        tried += 1
        count = answer.text.count("},") + 1 if answer.cut else len(answer.records)
        most = max(most, count)
        if count > MOST_RECORDS:
            yield Finding(
                "unlimited-pages",
                Severity.WARN if visit.is_open else Severity.NOTE,  # who logged in may see them
                "One request is given as many records as it asks for.",
                f"{answer.asked} → {'over ' if answer.cut else ''}{count:,} records",
                "A limit that the caller sets is none. With an upper one, a copy of everything "
                "takes many requests, and many requests can be seen and stopped. It also keeps one "
                "caller from using up the service.",
                "CWE-770",
                "limit: Annotated[int, Query(ge=1, le=200)] = 100",
                f"{look.curl(answer.asked.partition(' ')[2])}  # wanted: 422, or 200 records",
            )
            return
    if not tried:
        raise NothingToLookAt("no route that answers takes a number of records to send")
    if most < MOST_RECORDS:
        why = f"no route had more than {MOST_RECORDS:,} records to send, so a limit could not show"
        raise NothingToLookAt(why)


def _page(visit: Visit, limit: Param) -> str:
    base, _, query = visit.path.partition("?")
    return f"{base}?{query}{'&' if query else ''}{urlencode({limit.name: _ASKED})}"
