"""Exercise 11, question 5: the key of the tokens is no part of the code, and can be changed."""

import time

import jwt

from leftopen.cases import tongren_api
from leftopen.checks import back_end_lab as labs
from leftopen.checks.forged_tokens import SignIn
from leftopen.checks.http_probe import Caller, must_run, shown, twin
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.engines.backend import Backend
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

_RESIDENTS = "/servers/1/residents"
_ISSUER, _AUDIENCE = "https://doors.tongren.test", "doors"
_NO_START = "does not start, so its code knows the name"
_NOT_BY_IT = "another key was set in the environment, and the service did not go by it"
_KID_THERE = (
    "another key of another name was set in the environment, and the service knows it by the old "
    "name alone. A name is never used again, so the names belong there too"
)
_STANDS_THERE = (
    "with no key in the environment it starts all the same, and accepts a token of the new one, "
    "which many will read again"
)


def task(draw: Draw) -> Task:
    """Draw a learner's values."""
    draw = labs.variant(draw, 5)
    first = 2 + draw.number("month", 8)
    kids = [f"2020-{month:02}" for month in range(first, first + 3)]
    city = draw.pick("word", ("alder", "hazel", "rowan", "willow"))
    return Task(
        retired=(kids[0], "kid of the key that stands in the code; many have read it"),
        retired_key=(f"{city}-doors-2020-{city}-doors-2020", "that key: accepted no more"),
        previous=(kids[1], "kid of a key whose tokens are still in use"),
        previous_key=(draw.password("previous", 48), "that key: accepted, and signs no more"),
        new=(kids[2], "kid of the new key"),
        new_key=(draw.password("new", 48), "that key: accepted, and signs"),
        account=("gate-desk", "an account of the service, a manager's"),
        password=(draw.password("account"), "its password"),
    )


def _files(task: Task) -> dict[str, str]:
    text = labs.file("callers_in_source").replace("{key}", str(task["retired_key"]))
    return {**tongren_api.closed_backend(), "callers.py": text}


def open_lab(task: Task) -> PostgresLab:
    """A service with the key of its tokens in its code."""
    about = {"role": "manager", "building": next(iter(labs.HOMES))}
    account = {"account": task["account"], "password": task["password"], **about}
    return labs.open_lab(task, _files(task), {}, [account])


def _signs(task: Task, name: str) -> SignIn:
    key, kid = str(task[f"{name}_key"]), str(task[name])
    return SignIn(_ISSUER, _AUDIENCE, key, kid=kid)


def turned(at: Attempt, lab: PostgresLab) -> str:
    """Two keys are accepted, one of them signs, the third is refused, and none is in the code."""
    if labs.is_untouched(lab, _files(at.task)):
        return UNTOUCHED
    uri = must_run(lab.backend).outside.uri
    new, previous, retired = (_signs(at.task, name) for name in ("new", "previous", "retired"))
    about = {"role": "manager", "building": next(iter(labs.HOMES))}
    status = {
        name: _try(at, uri, f"a token of {name}", service.token(about))
        for name, service in {"new": new, "previous": previous, "retired": retired}.items()
    }
    hidden = SignIn(_ISSUER, _AUDIENCE, retired.key, kid=new.kid).token(about)
    disguised = _try(at, uri, "a token of retired, with the kid of new", hidden)
    no_kid = SignIn(_ISSUER, _AUDIENCE, retired.key).token(about)
    nameless = _try(at, uri, "a token of retired, without a kid", no_kid)
    unknown = SignIn(_ISSUER, _AUDIENCE, 48 * "u", kid="1999-01").token(about)
    strange = _try(at, uri, "a token of a key that nobody knows", unknown)
    at.values["status"] = shown(status["new"])
    if 200 in (status["retired"], disguised, nameless):
        return "retired_accepted"
    if status["new"] != 200:
        return "new_refused"
    if status["previous"] != 200:
        return "previous_refused"
    if max(strange, nameless, disguised, status["retired"]) >= 500:
        return "unknown_breaks"
    if fault := _login(at, uri, (new, previous, retired)):
        at.values["fault"] = fault
        return "login_signs_otherwise"
    if less := _checked_no_more(at, uri, new, about):
        at.values["less"] = less
        return "checks_less"
    if held := _held_by_code(at, lab.backend, new, about):
        at.values["held"] = held
        return "key_in_code"
    return RIGHT


def _try(at: Attempt, uri: str, what: str, token: str) -> int:
    with Caller(at, "from outside", uri, token) as caller:
        return caller.status(_RESIDENTS, f"ask with {what}")


def _checked_no_more(at: Attempt, uri: str, new: SignIn, about: dict) -> str:
    """Which token is accepted that was refused before the change, if any."""
    now = int(time.time())
    over = {**about, "iat": now - 1500, "exp": now - 600}
    for words, token in {
        "that never expires": new.token(about, without="exp"),
        "that has expired": new.token(over),
        "for another service": new.token({**about, "aud": "parking"}),
        "of another issuer": new.token({**about, "iss": "https://sign-in.example.test"}),
    }.items():
        if _try(at, uri, f"a token of new, {words}", token) == 200:
            return words
    return ""


def _login(at: Attempt, uri: str, keys: tuple[SignIn, ...]) -> str:
    """What is wrong with the token that the login gives, if anything."""
    body = {"account": at.task["account"], "password": at.task["password"]}
    with Caller(at, "as the manager", uri) as caller:
        answer = caller.ask("/login", "POST", json=body)
    if answer.status_code != 200:
        at.note("as the manager", "log in", shown(answer.status_code))
        return f"it gives no token at all, but is {shown(answer.status_code)}"
    token, new = str(answer.json().get("access_token")), keys[0].kid
    found = next((key.kid for key in keys if _is_signed(token, key)), "another key")
    at.note("as the manager", "the key of the token that the login gives", str(found))
    if found != new:
        return f"its token was signed with {found}"
    named = jwt.get_unverified_header(token).get("kid")
    at.note("as the manager", "the kid in its header", str(named))
    status = _try(at, uri, "the token that the login gave", token)
    if named != new:
        says = f"says the kid {named}" if named else "has no kid"
        return f"its token is signed with {new}, and its header {says}"
    return "" if status == 200 else f"its own token gets this answer: {shown(status)}"


def _is_signed(token: str, service: SignIn) -> bool:
    ignore = {"verify_aud": False, "verify_iss": False, "verify_exp": False}
    try:
        jwt.decode(token, service.key, [service.algorithm], ignore)
    except jwt.PyJWTError:
        return False
    return True


def _held_by_code(at: Attempt, backend: Backend, new: SignIn, about: dict) -> str:
    """Which part the code has in the keys: what would have to be changed there for the next."""
    later = SignIn(_ISSUER, _AUDIENCE, 24 * "ab", kid="2021-01")
    variables = backend.environment
    changed = {_next(name, new, later): _next(text, new, later) for name, text in variables.items()}
    try:
        with twin(backend, without=variables, **changed) as other:
            if fault := _goes_by(at, other.uri, new, later, about):
                return fault
    except BadAnswer:
        return f"with another key of another name in the environment it {_NO_START}"
    holding = [name for name, text in variables.items() if new.key in text]
    try:
        with twin(backend, without=holding) as other:
            alone = _try(at, other.uri, "new, with no key in the environment", new.token(about))
    except BadAnswer:
        at.note("with no key in the environment", "start the service", "it does not start")
        return ""
    return _STANDS_THERE if alone == 200 else ""


def _goes_by(at: Attempt, uri: str, new: SignIn, later: SignIn, about: dict) -> str:
    """What is wrong with a service whose environment has a later key in place of the new one."""
    accepted = _try(at, uri, "a later key, by a later kid, of the environment", later.token(about))
    old = _try(at, uri, "the key before it", new.token(about))
    if old == 200:
        return _NOT_BY_IT
    if accepted != 200:
        renamed = SignIn(_ISSUER, _AUDIENCE, later.key, kid=new.kid).token(about)
        by_name = _try(at, uri, "the later key, by the kid of new", renamed)
        return _KID_THERE if by_name == 200 else _NOT_BY_IT
    fault = _login(at, uri, (later, new))
    return fault and f"a later key was set, by a later kid, and somebody logged in: {fault}"


def _next(text: str, new: SignIn, later: SignIn) -> str:
    """A variable's name or value, with the later key, and its kid, in place of the new ones."""
    text = text.replace(new.key, later.key).replace(str(new.kid), str(later.kid))
    return text.replace(str(new.kid).replace("-", "_"), str(later.kid).replace("-", "_"))
