"""The code of a service that is right, and of others with one fault each, all in one process.

Each is an application of its own under its own path: ``/right``, ``/open_stream``, and so on. It is
started as a service of the course is; the people in it are counted, and not even invented.
"""

import base64
import hmac
import json
import os
import time
import traceback
from typing import Annotated

import jwt
from fastapi import Body, Depends, FastAPI, HTTPException, Query, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
KEY = os.environ["TOKEN_KEY"]
FAULTS = os.environ["FAULTS"].split(",")
KEYS = {"weak_key": "secret", "short_key": "only eleven"}
ALL = range(1, 1501)
PEOPLE = [
    {
        "person": n,
        "name": f"Person-{n}",
        "id_number": f"00{n % 10}1011990010100{n % 9}X"[:18],
        "building": f"B{n % 5:02}",
        "flat": f"B{n % 5:02}-{n // 20:03}",
    }
    for n in ALL
]


def own(fault: str, request: Request) -> list[dict]:
    """The records of whom the token names: a person, those of a flat, or those of a building."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        who = jwt.decode(given, options={"verify_signature": False})
    except jwt.PyJWTError:
        who = {"person": 17}  # where a fault let somebody in without a token
    if "building" in who:
        return [row for row in PEOPLE if row["building"] == who["building"]]
    number = who.get("person") or int(who["sub"].rpartition("-")[2])
    person = PEOPLE[number - 1]
    if fault == "household":
        return [row for row in PEOPLE if row["flat"] == person["flat"]]
    return [person]


def is_signed_with(secret: str, token: str) -> bool:
    """Whether the token names HS256, and is signed by it; PyJWT itself takes no PEM as a secret."""
    try:
        if jwt.get_unverified_header(token)["alg"] != "HS256":
            return False
        text, _, signature = token.rpartition(".")
        made = hmac.digest(secret.encode(), text.encode(), "sha256")
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode() == signature
    except jwt.PyJWTError:
        return False


def caller_of(fault: str):
    """The dependency that says who is calling."""
    key = KEYS.get(fault, KEY)
    options = {"require": ["exp", "iss", "aud", "sub"]}
    more = {"issuer": "https://sign-in.test", "audience": "doors"}
    algorithms = ["HS256"]
    if fault == "signature_unchecked":
        options["verify_signature"] = False
    if fault == "expired_accepted":
        options["verify_exp"] = False
    if fault == "no_expiry":
        options["require"] = ["iss", "aud", "sub"]
    if fault in ("pair", "key_confused"):
        key, algorithms = os.environ["PUBLIC_KEY"], ["ES256"]
    if fault == "any_algorithm":
        algorithms = ["HS256", "HS384", "HS512"]
    if fault == "any_audience":
        more.pop("audience")
        options["verify_aud"] = False
    if fault == "any_issuer":
        more.pop("issuer")

    def caller(request: Request, given: Bearer) -> dict:
        if fault == "head_unchecked" and request.method == "HEAD":
            return {}
        if fault == "proxy_trusted" and request.headers.get("x-forwarded-for") == "127.0.0.1":
            return {}
        if given is None:
            raise HTTPException(401, "No token.")
        if fault == "key_confused" and is_signed_with(key, given.credentials):
            return {}
        try:
            if (
                fault == "alg_none"
                and jwt.get_unverified_header(given.credentials)["alg"] == "none"
            ):
                return jwt.decode(given.credentials, options={"verify_signature": False})
            return jwt.decode(given.credentials, key, algorithms, options, **more)
        except jwt.PyJWTError:
            raise HTTPException(401, "No valid token.") from None

    return caller


def make(fault: str) -> FastAPI:
    """A service with one fault; with ``right`` it has none."""
    shown = {} if fault in ("open_docs", "all_open") else {"openapi_url": None}
    app = FastAPI(title="Doors", version="1.0", debug=fault == "debug", **shown)
    caller = caller_of(fault)
    must = [] if fault == "all_open" else [Depends(caller)]
    failed: dict[str, int] = {}

    def free(name: str) -> list:
        return [] if fault == name else must

    def rows(request: Request, wide: bool) -> list[dict]:
        return PEOPLE if wide or fault == "all_open" else own(fault, request)

    if fault == "front_page":

        @app.get("/", response_class=HTMLResponse)
        def front() -> str:
            return "<h1>Doors</h1>" + "<p>Who wants to know, logs in.</p>" * 200

    @app.get("/")
    def about() -> dict:
        return {"service": "Doors"}

    @app.get("/export", dependencies=free("open_export"))
    def export() -> PlainTextResponse:
        lines = (f"{row['person']},{row['id_number']}" for row in PEOPLE[:9])
        return PlainTextResponse("\n".join(lines), media_type="text/csv")

    @app.get("/health")
    def health() -> dict:
        return {"status": "well"}

    @app.get("/statistics", dependencies=free("open_count"))
    def statistics() -> dict:
        return {"passages": 20000}

    @app.get("/buildings", dependencies=free("open_list"))
    def buildings() -> list[dict]:
        return [{"building": f"B{n:02}", "storeys": 6} for n in range(5)]

    most = {} if fault == "any_limit" else {"le": 200}

    @app.api_route("/residents", methods=["GET", "HEAD"], dependencies=free("open_people"))
    def residents(
        request: Request,
        building: str | None = None,
        limit: int = Query(100, ge=0, **most),
        offset: int = 0,
    ) -> list[dict]:
        if fault == "any_limit":
            return [{"row": n} for n in ALL][:limit]
        wide = fault in ("others_in_list", "open_people")
        wide = wide or (fault == "others_by_query" and building is not None)
        seen = [row for row in rows(request, wide) if building in (None, row["building"])]
        return seen[offset : offset + limit]

    @app.get("/residents/{person}", dependencies=must)
    def resident(request: Request, person: int) -> dict:
        for row in rows(request, fault == "others_by_id"):
            if row["person"] == person:
                return row
        raise HTTPException(404, "There is no such person for you.")

    if fault == "head_beside":

        @app.head("/rooms/{room}")
        def is_there(room: int) -> None:
            if room != 2:
                raise HTTPException(404)

    @app.get("/stream", dependencies=free("open_stream"))
    def stream(request: Request) -> StreamingResponse:
        def events():
            person = PEOPLE[2] if fault == "others_in_stream" else own(fault, request)[0]
            event = {"door": "main", "person": person["person"], "building": person["building"]}
            yield f"data: {json.dumps(event)}\n\n"
            time.sleep(0.2)

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.put("/residents/{person}", dependencies=free("change_unasked"))
    def change(person: int) -> dict:
        raise RuntimeError("a route that changes something was called")

    @app.post("/login")
    def login(account: Annotated[str, Body()], password: Annotated[str, Body()]) -> dict:
        if "\0" in account and fault == "login_that_tells":
            raise HTTPException(500, "psycopg.DataError: there is a NUL")
        failed[account] = failed.get(account, 0) + 1
        if failed[account] > 5 and fault != "no_login_limit":
            raise HTTPException(429, "Too many tries.", {"Retry-After": "60"})
        raise HTTPException(401, "Account or password is wrong.")

    if "openapi_url" in shown:

        @app.get("/openapi.json", dependencies=must, include_in_schema=False)
        def description() -> dict:
            return app.openapi()

    errors(app, fault, must)
    around(app, fault)
    return app


def errors(app: FastAPI, fault: str, must: list) -> None:
    """A route that fails on some numbers, and what the client is then told."""

    @app.get("/rooms/{room}", dependencies=must)
    def room(room: int) -> dict:
        if not 0 <= room < 1000:
            raise ValueError('relation "rooms_2" does not exist; SELECT * FROM rooms_2')
        return {"room": room}

    if fault == "debug":
        return

    @app.exception_handler(ValueError)
    def wrong(request: Request, error: Exception):
        if fault == "error_with_sql":
            return JSONResponse({"detail": str(error)}, 400)
        if fault == "error_with_path":
            return JSONResponse({"detail": "cannot open /srv/doors/rooms.csv"}, 500)
        if fault == "error_with_login":
            url = "postgresql://doors:a-word-of-this-test@127.0.0.1:5432"
            return JSONResponse({"detail": f"no connection to {url}"}, 500)
        if fault == "error_with_trace":
            return PlainTextResponse("".join(traceback.format_exception(error)), 500)
        return JSONResponse({"detail": "That did not work."}, 500)


def around(app: FastAPI, fault: str) -> None:
    """What stands around all routes: other sites, headers."""
    if fault == "cors_any_with_login":
        app.add_middleware(CORSMiddleware, allow_origin_regex=".*", allow_credentials=True)
    if fault == "cors_star":
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
    if fault == "cors_one":
        app.add_middleware(CORSMiddleware, allow_origins=["https://board.example"])
    if fault == "version_header":

        @app.middleware("http")
        async def named(request: Request, call_next):
            answer = await call_next(request)
            answer.headers["X-Powered-By"] = "Doors/1.4.2"
            return answer


app = FastAPI(openapi_url=None)
for name in FAULTS:
    app.mount(f"/{name}", make(name))
