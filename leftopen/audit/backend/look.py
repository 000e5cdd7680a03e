"""What the checks of an HTTP service look with: its routes, and what a stranger gets from each.

Nothing on the service is changed: routes that change something are never called, except that a
few wrong logins are tried at the place where people log in.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leftopen.audit.backend import forge, source
from leftopen.audit.backend.routes import Pool, Route, read
from leftopen.audit.backend.web import Answer, Web
from leftopen.audit.shared import CouldNotLook, NothingToLookAt, once
from leftopen.engines.backend import Backend

DESCRIPTIONS = (
    "/openapi.json",
    "/api/openapi.json",
    "/v1/openapi.json",
    "/swagger.json",
    "/swagger/v1/swagger.json",
    "/v3/api-docs",
)
"""Where a description of the routes usually is: FastAPI, others by hand, ASP.NET, Spring."""
PAGES = ("/docs", "/redoc", "/swagger", "/swagger-ui/index.html", "/api-docs", "/graphiql")
"""Where a page for people usually is that shows the description."""
_DATA = (
    "users", "people", "persons", "residents", "customers", "patients", "members", "visitors",
    "buildings", "passages", "records", "events", "logs", "orders", "items", "export", "stream",
    "status", "health",
)  # fmt: skip
_FORGOTTEN = (
    "/metrics", "/debug", "/admin", "/config", "/env", "/.env", "/.git/config", "/actuator/env",
    "/backup", "/console",
)  # fmt: skip
NEEDS_TOKEN = "this needs a login: give token, a bearer token of somebody with few rights"
AS_CALLER = '-H "Authorization: Bearer …"'
"""The option of curl that sends a token."""
MOST_SECONDS = 120.0
"""After that long nothing more is asked: the service is too slow, or has too much to be seen."""
MOST_ROUTES = 200
_CODE_SECONDS = 60
# Run in the folder of a lab's own service: the routes of its code, those that it hides too.
_ASK_CODE = """
import json, sys
import fastapi.routing as routing
made = routing.APIRoute.__init__
def shown(self, *words, **options):
    made(self, *words, **{**options, "include_in_schema": True})
routing.APIRoute.__init__ = shown
from main import app
json.dump(app.openapi(), sys.__stdout__)
"""


@dataclass(frozen=True)
class Service:
    """What is to be audited.

    Attributes:
        host: a loopback host.
        port: its port.
        uri: the address as it was given.
        base: what stands in it before every path, as ``/api``.
        backend: the service itself, when it is a lab's.
        token: a bearer token of somebody with few rights; empty for none.
        key: what signs tokens, a secret or a private key in PEM; empty where that is not known.
        ca: a file of authorities that the service's certificate must lead to.
        config: a file with its OpenAPI description.
        wanted: paths that are meant to answer everyone.
    """

    host: str
    port: int
    uri: str
    base: str = ""
    backend: Backend | None = None
    token: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    ca: str | None = None
    config: str | None = None
    wanted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Visit:
    """One route that was asked for.

    Attributes:
        route: which.
        path: the path that was asked for, with values in it.
        stranger: what a client without a login gets; ``None`` where it gets no answer.
        owner: what the given token gets; ``None`` without a token or an answer.
    """

    route: Route
    path: str
    stranger: Answer | None
    owner: Answer | None

    @property
    def is_open(self) -> bool:
        """Whether a stranger is answered."""
        return self.stranger is not None and self.stranger.ok

    @property
    def is_closed(self) -> bool:
        """Whether a stranger is refused, where that is certain."""
        if self.stranger is None:
            return False
        hidden = self.stranger.status == 404 and self.owner is not None and self.owner.ok
        return self.stranger.refused or hidden

    @property
    def told(self) -> str:
        """As ``GET /people → 200``."""
        return f"GET {self.path} → {self.stranger.status if self.stranger else 'no answer'}"


class BackendLook:
    """One look at one HTTP service. Close it with :meth:`close`.

    Attributes:
        login_refused: in words, that the token of the target is refused; else empty.
    """

    def __init__(self, target: Service) -> None:
        self.target = target
        self.backend = target.backend
        self.kept: dict[str, Any] = {}
        self.login_refused = ""
        self._web: Web | None = None
        self._end = time.monotonic() + MOST_SECONDS

    def close(self) -> None:
        """Close the client."""
        if self._web is not None:
            self._web.close()

    # -- the door -----------------------------------------------------------------------------

    @once
    def web(self) -> Web:
        """The client, once the service has answered it."""
        target, port = self.target, self.target.port
        if self.backend is not None and not self.backend.is_running:
            raise CouldNotLook("the service is not running: lab.backend.restart() starts it")
        if self.is_outside:
            port = self.backend.outside.port
        self._web = Web(
            target.host, port, target.uri.startswith("https"), target.token, target.base
        )
        try:
            self._web.ask("/")
        except OSError as error:
            raise CouldNotLook(f"no HTTP service answers at {self.label}: {error}") from None
        return self._web

    @property
    def is_outside(self) -> bool:
        """Whether a lab's service can be reached from the Internet; it is then asked from there."""
        return self.backend is not None and self.backend.outside.is_open

    @property
    def label(self) -> str:
        """The address that is asked, as a learner writes it."""
        if self.backend is None:
            return self.target.uri
        return "lab.backend.outside.uri" if self.is_outside else "lab.backend.uri"

    def curl(self, path: str, options: str = "") -> str:
        """The line that asks for a path again by hand."""
        ours = self.backend is not None
        place = f"{{{self.label}}}" if ours else self.target.uri
        return f"{'!' if ours else ''}curl -si {options}{' ' if options else ''}'{place}{path}'"

    def ask(self, path: str, method: str = "GET", **more: Any) -> Answer | None:
        """Ask once; ``None`` where there is no answer.

        Raises:
            CouldNotLook: the service does not answer at all, or the audit has taken too long.
        """
        if time.monotonic() > self._end:
            raise CouldNotLook(
                f"the service answers too slowly: the audit stopped after {MOST_SECONDS:.0f} s"
            )
        with contextlib.suppress(OSError):
            return self.web.ask(path, method, **more)
        return None

    @once
    def nowhere(self) -> Answer | None:
        """What is answered where no route is: some services show the same page for everything."""
        return self.ask(f"/{secrets.token_hex(6)}")

    def is_there(self, answer: Answer | None) -> bool:
        """Whether an answer is that of a place of its own."""
        if answer is None or not answer.ok:
            return False
        return self.nowhere is None or not self.nowhere.ok or answer.text != self.nowhere.text

    # -- routes -------------------------------------------------------------------------------

    @once
    def descriptions(self) -> dict[str, Answer]:
        """The descriptions that a stranger is shown: path -> answer."""
        asked = {path: self.ask(path) for path in DESCRIPTIONS}
        return {path: a for path, a in asked.items() if a and self.is_there(a) and _describes(a)}

    @once
    def description(self) -> Mapping[str, Any]:
        """The description of the service, wherever it can be had; empty where it cannot.

        It is asked of the service as a stranger, then with the token; of a file that was given; of
        a lab's own code.
        """
        self.web  # noqa: B018 - first: does it answer at all
        if self.target.config:
            return _from_file(self.target.config)
        if self.backend is not None and (told := self._of_code()):
            return told
        for answer in self.descriptions.values():
            return answer.body
        for path in DESCRIPTIONS if self.target.token else ():
            answer = self.ask(path, login=True)
            if answer is not None and answer.ok and _describes(answer):
                return answer.body
        return {}

    def _of_code(self) -> dict:
        """What the code of a lab's service says; empty where it does not say it."""
        backend = self.backend
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            told = subprocess.run(
                [sys.executable, "-c", _ASK_CODE],
                cwd=backend.folder,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **backend.environment},
                capture_output=True,
                check=True,
                timeout=_CODE_SECONDS,
            )
            found = json.loads(told.stdout)
            return found if isinstance(found, dict) else {}
        return {}

    @once
    def routes(self) -> list[Route]:
        """The routes of the service; guessed ones have no description, and may not be there."""
        pages = PAGES + DESCRIPTIONS
        found = [
            r
            for r in read(self.description, self.target.base)
            if not f"{r.path}/".startswith(_folders(pages))
        ]
        if not found:
            found = [Route("GET", path) for path in self._guessed()]
        known = {route.path for route in found}
        extra = [Route("GET", path) for path in ("/", *_FORGOTTEN) if path not in known]
        return found + [r for r in extra if self.is_there(self.ask(r.path))]

    def _guessed(self) -> list[str]:
        """Usual places that answer, or ask for a login; and places that answers point to."""
        base, found = [""], []
        first = self.ask("/")
        body = first.body if first is not None and first.ok else None
        for name, value in body.items() if isinstance(body, dict) else ():
            if isinstance(value, list):
                base += [f"/{name}/{v}" for v in value[:1] if isinstance(v, str | int)]
            elif isinstance(value, str) and value.startswith("/") and len(value) > 1:
                found.append(value)
        nowhere = self.nowhere
        for path in dict.fromkeys(f"{b}/{word}" for b in [*base, "/api"] for word in _DATA):
            answer = self.ask(path)
            asks = answer is not None and answer.refused and not (nowhere and nowhere.refused)
            if self.is_there(answer) or asks:
                found.append(path)
        return list(dict.fromkeys(found))

    @once
    def visits(self) -> list[Visit]:
        """Every GET route, asked for without a login, and with the token where there is one.

        Routes with few parameters come first: what they answer fills those of the others.
        """
        pool = Pool(self.claims)
        self.kept["pool"] = pool
        asked = [r for r in self.routes if r.method == "GET"]
        if not asked:
            raise CouldNotLook(
                "no route of the service is known: it has no description, and no usual place "
                "answers. Give its OpenAPI description as a file: config"
            )
        order = sorted(asked, key=lambda r: (len(r.places), len(r.path)))
        seen = {route.path: self._visit(route, pool) for route in order[:MOST_ROUTES]}
        closed = [v for v in seen.values() if v.is_closed and v.owner is not None]
        if closed and not any(v.owner.ok for v in closed):
            refusal = next((v.owner for v in closed if v.owner.status == 401), None)
            if refusal is not None:
                self.login_refused = f"the token is refused: {refusal.asked} → 401"
        return [seen[route.path] for route in asked if route.path in seen]

    def _visit(self, route: Route, pool: Pool) -> Visit:
        visit = None
        for path in pool.addresses(route):
            owner = self.ask(path, login=True) if self.target.token else None
            stranger = self.ask(path)
            visit = Visit(route, path, stranger, owner)
            if (owner is not None and owner.ok) or (owner is None and _settled(stranger)):
                break
        for answer in (visit.owner, visit.stranger):
            if answer is not None and answer.ok:
                pool.add(route, answer.body)
        return visit

    # -- the token ----------------------------------------------------------------------------

    @property
    def claims(self) -> dict[str, Any]:
        """What the token says of its owner; empty where there is none, or it is no JWT."""
        with contextlib.suppress(ValueError):
            return forge.Jwt.read(self.target.token).claims
        return {}

    @once
    def written_secrets(self) -> list[tuple[str, int, str]]:
        """Secrets in the code of a lab's service: file, line and name."""
        return [row[:3] for row in self._written()]

    def _written(self) -> list[tuple[str, int, str, str]]:
        if self.backend is None:
            return []
        return source.written({name: self.backend.read(name) for name in self.backend.files})

    @once
    def secrets(self) -> list[str]:
        """What may be the key of a lab's service: values of its environment and of its code."""
        if self.backend is None:
            return []
        return [*source.values(self.backend.environment), *(row[3] for row in self._written())]

    @once
    def gate(self) -> Visit:
        """A route that refuses strangers and answers the token: forged tokens are tried there.

        Raises:
            CouldNotLook: there is no token, or it is refused everywhere.
            NothingToLookAt: no route asks for a login.
        """
        visits = self.visits
        if not any(v.is_closed for v in visits):
            raise NothingToLookAt("no route asks for a login")
        if not self.target.token:
            raise CouldNotLook(NEEDS_TOKEN)
        gates = [v for v in visits if v.is_closed and v.owner and v.owner.ok]
        if not gates:
            raise CouldNotLook(self.login_refused or "the token opens no route")
        return min(gates, key=lambda v: (v.route.streams, len(v.owner.text)))

    @property
    def program(self) -> tuple[str, str]:
        """What the service calls itself, and its version."""
        info = self.description.get("info", {})
        title = info.get("title", "") if isinstance(info, dict) else ""
        return str(title or "HTTP service"), str(info.get("version", "") if title else "")


def _settled(answer: Answer | None) -> bool:
    return answer is not None and (answer.ok or answer.refused)


def _folders(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{path}/" for path in paths)


def _describes(answer: Answer) -> bool:
    return isinstance(answer.body, dict) and isinstance(answer.body.get("paths"), dict)


def _from_file(path: str) -> dict:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CouldNotLook(
            f"{Path(path).name} is no OpenAPI description in JSON: {error}"
        ) from None
    return found if isinstance(found, dict) else {}
