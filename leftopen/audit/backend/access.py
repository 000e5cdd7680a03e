"""Checks of who is answered without a login: on which routes, with whose data, by which way round.

GET, HEAD and OPTIONS alone are sent: RFC 9110 (section 9.2.1) calls these safe.
"""

from collections.abc import Iterator

from leftopen.audit.backend.look import PAGES, BackendLook, Visit
from leftopen.audit.backend.routes import CHANGING, Pool
from leftopen.audit.backend.web import Answer
from leftopen.audit.checks import check
from leftopen.audit.personal import IN_TEXT, identifiers, points_at_people
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

OF_PEOPLE = {
    "born": "a date of birth",
    "birthdate": "a date of birth",
    "dateofbirth": "a date of birth",
    "dob": "a date of birth",
    "plate": "a vehicle's plate",
    "licenseplate": "a vehicle's plate",
}
"""Further names of fields that identify people, and what each holds."""
_ABOUT = {"", "health", "healthz", "live", "livez", "ready", "readyz", "ping", "status", "version"}
_PAGES = {"text/html", "text/css", "text/javascript", "application/javascript"}
_HEAD = "HEAD"
_SMALL = 2000  # characters; what says whether a service is well is shorter
_SAMPLE = 50
_MOST_TOLD = 6
_DEPENDS = (
    "# for every route at once, and not for each by hand:\n"
    "app.include_router(people.router, dependencies=[Depends(caller)])"
)


def _told(visits: list[Visit]) -> str:
    more = f"; and {len(visits) - _MOST_TOLD} more" if len(visits) > _MOST_TOLD else ""
    return "; ".join(v.told for v in visits[:_MOST_TOLD]) + more


def _is_about_itself(visit: Visit) -> bool:
    """Whether a route says what the service is, and whether it is well; or is a page of it."""
    if visit.stranger is None or of_people(visit.stranger):
        return False
    if visit.stranger.kind in _PAGES:
        return True
    last = visit.route.path.rstrip("/").rpartition("/")[2].lower()
    small = len(visit.stranger.text) < _SMALL
    return not visit.route.places and last in _ABOUT and small


def _opened(look: BackendLook) -> list[Visit]:
    """The routes that answer a stranger and were not meant to."""
    return [
        v
        for v in look.visits
        if v.is_open and v.route.path not in look.target.wanted and not _is_about_itself(v)
    ]


def of_people(answer: Answer | None) -> list[str]:
    """What in an answer identifies people, or says which person it is about; in words."""
    if answer is None:
        return []
    if answer.body is None:  # a table as CSV, a page
        return [
            f"in its text: {kind}" for kind, form in IN_TEXT.items() if form.search(answer.text)
        ]
    return rows_of_people(answer.records)


def rows_of_people(rows: list[dict]) -> list[str]:
    """The same of records."""
    rows = rows[:_SAMPLE]
    found = [f"{i.field}: {i.kind}" for i in identifiers(rows, OF_PEOPLE)]
    about = [n for n in points_at_people(rows) if any(row.get(n) is not None for row in rows)]
    return found + [f"{name}: whom it is about" for name in about]


@check("open-routes")
def open_routes(look: BackendLook) -> Iterator[Finding]:
    """Which routes answer without a login?"""
    visits, opened = look.visits, _opened(look)
    closed = [v for v in visits if v.is_closed]
    if opened:
        data = any(v.route.places or of_people(v.stranger) for v in opened)
        data = data or any(len(v.stranger.records) > 1 for v in opened)
        yield Finding(
            "open-routes",
            Severity.FIX if data else Severity.WARN,
            f"{len(opened)} of {len(visits)} routes answer without a login."
            if closed
            else "The service asks nobody for a login.",
            f"without a token, at {look.label}: {_told(opened)}",
            "Whoever finds the address asks as the service's own pages do, and is answered. "
            + (
                "The login in front of the other routes does not help: what is behind them comes "
                "out here."
                if closed
                else "No flaw has to be found for that, and no password to be guessed."
            ),
            "CWE-306",
            _DEPENDS,
            f"{look.curl(opened[0].path)}  # wanted: 401",
        )
    if (more := sum(r.method == "GET" for r in look.routes) - len(visits)) > 0:
        raise CouldNotLook(f"{more} further routes were not asked: this audit asks {len(visits)}")
    unsure = [v for v in visits if not v.is_open and not v.is_closed]
    if unsure:
        raise CouldNotLook(
            f"{_told(unsure)}: whether a login is asked for there cannot be told from that. A "
            "value for its parameters may be missing: give a token, or try by hand"
        )
    if not look.description:
        raise CouldNotLook(
            "the service shows no description of its routes, so usual places alone were tried. "
            "Give its OpenAPI description as a file: config"
        )


@check("open-personal-data")
def open_personal_data(look: BackendLook) -> Iterator[Finding]:
    """Are data of people in what a stranger gets?"""
    found = [(v, told) for v in look.visits if v.is_open and (told := of_people(v.stranger))]
    if found:
        first = found[0][0]
        lines = [f"GET {v.path} → {', '.join(told)}" for v, told in found]
        more = f"; and {len(lines) - _MOST_TOLD} more" if len(lines) > _MOST_TOLD else ""
        yield Finding(
            "open-personal-data",
            Severity.FIX,
            "Anyone is given data of people.",
            "; ".join(lines[:_MOST_TOLD]) + more,
            "Who can ask for one person can ask for all, one after the other. A copy cannot be "
            "called back.",
            "CWE-359",
            f"{_DEPENDS}\n# and of each record only the fields that this caller's task needs",
            f"{look.curl(first.path)}  # wanted: 401",
        )
    elif not any(v.is_open for v in look.visits):
        raise NothingToLookAt("no route answers a stranger")


@check("open-stream")
def open_stream(look: BackendLook) -> Iterator[Finding]:
    """Does the live stream flow to anyone?"""
    streams = [
        v for v in look.visits
        if v.route.streams or any(a is not None and a.streams for a in (v.stranger, v.owner))
    ]  # fmt: skip
    if not streams:
        raise NothingToLookAt("no route sends events as they happen")
    opened = [v for v in streams if v.is_open and v.route.path not in look.target.wanted]
    if opened:
        event = opened[0].stranger.records
        seen = f", and within seconds an event with {', '.join(event[0])}" if event else ""
        yield Finding(
            "open-stream",
            Severity.FIX,
            "The live stream flows to anyone.",
            f"without a token: {_told(opened)}, {opened[0].stranger.kind}{seen}",
            "Records say where people were. A stream says where they are now, and who listens to "
            "it needs no second look.",
            "CWE-306",
            _DEPENDS + "\n# the stream's router too; and close the stream when the token ends",
            f"{look.curl(opened[0].path, '-N -m 3')}  # wanted: 401",
        )


@check("login-passed-by")
def login_passed_by(look: BackendLook) -> Iterator[Finding]:
    """Is a closed route answered when it is asked for in another way?"""
    closed = [v for v in look.visits if v.is_closed and not v.route.streams]
    if not closed:
        raise NothingToLookAt("no route asks for a login")
    found: dict[str, list[Answer]] = {}
    for visit in closed:
        for way, asked in _ways(look, visit):
            if way not in found:
                answers = (look.ask(path, method, headers=more) for path, method, more in asked)
                passed = [
                    a for a in answers if a and look.is_there(a) and (a.records or way == _HEAD)
                ]
                found.update({way: passed} if passed else {})
    for way, answers in found.items():
        told = "; ".join(f"{a.asked} → {a.status}" for a in answers[:_MOST_TOLD])
        yield Finding(
            "login-passed-by",
            Severity.WARN if way == _HEAD else Severity.FIX,
            f"A route that asks for a login answers without one to {way}."
            + (" No data come with that, and it says what there is." if way == _HEAD else ""),
            f"without a token: {told}",
            "The login looks at one form of the request, and the route at another. Who is refused "
            "tries the other forms next.",
            "CWE-650" if way in ("HEAD", "OPTIONS") else "CWE-288",
            _DEPENDS + "\n# so that it holds for the route, and not for a form of the request",
            f"{_again(look, way, answers[0])}  # wanted: 401",
        )


def _ways(look: BackendLook, visit: Visit) -> Iterator[tuple[str, list[tuple[str, str, dict]]]]:
    """Other ways to ask for a route: what each is called, and its paths, methods and headers.

    HEAD is asked with several values: it says by its status alone whether there is such a record.
    """
    path, _, query = visit.path.partition("?")
    rest = f"?{query}" if query else ""
    pool: Pool = look.kept["pool"]
    yield (
        _HEAD,
        [(each, "HEAD", {}) for each in dict.fromkeys([visit.path, *pool.addresses(visit.route)])],
    )
    yield "OPTIONS", [(visit.path, "OPTIONS", {})]
    yield "a slash at its end", [(f"{path}/{rest}", "GET", {})]
    yield "two slashes at its beginning", [(f"/{visit.path}", "GET", {})]
    for header in ("X-Forwarded-For: 127.0.0.1", "Authorization: Bearer null"):
        name, _, value = header.partition(": ")
        yield header, [(visit.path, "GET", {name: value})]


def _again(look: BackendLook, way: str, answer: Answer) -> str:
    method, _, path = answer.asked.partition(" ")
    options = {"HEAD": "-I", "OPTIONS": "-X OPTIONS"}.get(
        method, f'-H "{way}"' if ":" in way else ""
    )
    return look.curl(path, options)


@check("open-docs")
def open_docs(look: BackendLook) -> Iterator[Finding]:
    """Is a stranger shown the list of all routes, or a page to try them?"""
    shown = list(look.descriptions)
    shown += [path for path in PAGES if look.is_there(look.ask(path))]
    if opened := [path for path in shown if path not in look.target.wanted]:
        yield Finding(
            "open-docs",
            Severity.WARN,
            "Anyone is shown the list of all routes.",
            f"without a token, at {look.label}: "
            + "; ".join(f"GET {path} → 200" for path in opened),
            "It says which questions are answered, and by which names. On an open service it is a "
            "form for all of them; on a closed one it is where the search for a gap begins.",
            "CWE-200",
            "FastAPI(docs_url=None, redoc_url=None, openapi_url=None)\n"
            "# or the page behind the login, as the routes are",
            f"{look.curl(opened[0])}  # wanted: 401 or 404",
        )


@check("changing-routes")
def changing_routes(look: BackendLook) -> Iterator[Finding]:
    """Do routes that change something say that they ask for a login? They are never called."""
    routes = [r for r in look.routes if r.method in CHANGING and not r.is_login]
    if not routes:
        raise NothingToLookAt("the service describes no route that changes something")
    bare = [r for r in routes if not r.secured and r.path not in look.target.wanted]
    names = ", ".join(r.name for r in routes[:_MOST_TOLD])
    if bare and (any(r.secured for r in look.routes) or not any(v.is_closed for v in look.visits)):
        yield Finding(
            "changing-routes",
            Severity.WARN,
            "Routes that change something ask for no login, by the service's own description.",
            f"no security in OpenAPI: {', '.join(r.name for r in bare[:_MOST_TOLD])}; they were "
            "not called",
            "Who may read without a login takes a copy. Who may write can also put in a passage "
            "that never was, or take one out.",
            "CWE-306",
            _DEPENDS,
            f"{look.curl(bare[0].path, f'-X {bare[0].method}')}  # on a copy of the service; "
            "wanted: 401",
        )
        return
    raise NothingToLookAt(f"routes that change something are listed and never called: {names}")
