"""Exercise 11, question 4: a login that tells nothing, and cannot be tried without end."""

import time

import psutil

from leftopen.cases import tongren_api
from leftopen.checks import back_end_lab as labs
from leftopen.checks.forged_tokens import SignIn
from leftopen.checks.http_probe import Caller, must_run, shown, twin
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.engines.backend import Backend
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

_RESIDENTS = "/servers/1/residents"
_THIRD = "lobby-desk"  # an account that is there, and of which no login fails
_TRIES = 3  # of each kind
_MINUTE = 60  # seconds
_TICK = 0.01  # seconds: the step in which a system counts processor time
_SURE = 3.0  # times as long, by the processor too: no busy moment explains that
_NOT_THERE = "nobody-desk"
_WRITTEN = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "True-Client-IP"), "203.0.113.9") | {
    "Forwarded": "for=203.0.113.9"
}
"""Headers in which a proxy says whom it speaks for, and in which any caller can."""


def task(draw: Draw) -> Task:
    """Draw a learner's values."""
    draw = labs.variant(draw, 4)
    names = draw.shuffle("accounts", ("fern", "heath", "moss", "reed", "sedge", "yarrow"))
    return Task(
        account=(f"{names[0]}-desk", "an account that is there, a manager's"),
        password=(draw.password("account"), "its password"),
        other=(f"{names[1]}-desk", "another one"),
        other_password=(draw.password("other"), "its password"),
        tries=(3 + draw.number("tries", 2), "logins that may fail in a minute, for one account"),
        tries_address=(8 + draw.number("address", 3), "the same, from one address"),
        cost=(tongren_api.COST, "of bcrypt, for each password that is stored"),
    )


def _third_password(task: Task) -> str:
    return str(task["password"])[::-1]


def _environment(task: Task) -> dict[str, str]:
    service = SignIn("", "", f"key of {task['password']} {task['other_password']}", kid="a")
    return {"TOKEN_KEYS": labs.keys(service)}


def _files() -> dict[str, str]:
    files = tongren_api.closed_backend()
    del files["limits.py"]
    main = files["main.py"].replace("openapi_url=None", "openapi_url=None, debug=True")
    return {**files, "main.py": main, "login.py": tongren_api.often_login()}


def open_lab(task: Task) -> PostgresLab:
    """A login that says which of the two was wrong, and may be tried for ever."""
    about = {"role": "manager", "building": next(iter(labs.HOMES))}
    logins = (("account", "password"), ("other", "other_password"))
    accounts = [{"account": task[a], "password": task[p], **about} for a, p in logins]
    accounts.append({"account": _THIRD, "password": _third_password(task), **about})
    return labs.open_lab(task, _files(), _environment(task), accounts)


class _Door:
    """One address from which logins are tried."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.answers: list[tuple[int, str]] = []
        self.seconds: list[float] = []
        self.retry_after = ""

    def login(self, account: object, password: object, times: int = 1, **headers: str) -> list[int]:
        """Try so many times; keep the answers, and how long each took."""
        body = {"account": str(account), "password": str(password)}
        self.answers, self.seconds = [], []
        for _ in range(times):
            begin = time.perf_counter()
            answer = self._caller.ask("/login", "POST", json=body, headers=headers)
            self.seconds.append(time.perf_counter() - begin)
            words = answer.text.replace(str(account), "…")
            self.answers.append((answer.status_code, words))
            self.retry_after = answer.headers.get("Retry-After", "")
        self.last = answer
        return [status for status, _ in self.answers]


def says_little(at: Attempt, lab: PostgresLab) -> str:
    """The same answer whatever was wrong, in the same time, and not without end."""
    if labs.is_untouched(lab, _files()):
        return UNTOUCHED
    # In a second service with the same code: the learner's own keeps no count of these tries.
    with (
        twin(must_run(lab.backend)) as service,
        Caller(at, "as a stranger", service.outside.uri) as outside,
        Caller(at, "on this machine", service.uri) as here,
    ):
        return (
            _lets_in(at, _Door(here), service.uri)
            or _traces(at, outside)
            or _tells_surely(at, lab, _Door(here), service)
            or _limits(at, _Door(outside), _Door(here))
            or RIGHT
        )


def _tells_surely(at: Attempt, lab: PostgresLab, door: _Door, service: Backend) -> str:
    """As _tells; of a clock in doubt it is believed only if each of three services says it."""
    last = Attempt(at.task)
    found = _tells(last, door, service)
    for _ in range(2):
        if found != "tells_by_time" or last.values["sure"]:
            break
        last = Attempt(at.task)
        with twin(lab.backend) as another, Caller(last, "again", another.uri) as here:
            found = _tells(last, _Door(here), another)
    at.tried += last.tried
    at.values |= last.values
    return found


def _lets_in(at: Attempt, door: _Door, uri: str) -> str:
    """Good logins, more of them than may fail, and a token that opens what it should."""
    account, tries = at.task["other"], int(str(at.task["tries"]))
    statuses = door.login(account, at.task["other_password"], tries + 1)
    at.note(f"as {account}", f"log in {tries + 1} times", _row(statuses))
    at.values["status"] = _row(statuses)
    if statuses[0] != 200:
        return "nobody"
    if statuses[-1] != 200:
        return "too_early"
    try:
        token = str(door.last.json()["access_token"])
    except (ValueError, KeyError, TypeError):
        token = ""
    with Caller(at, f"as {account}", uri, token) as caller:
        status = caller.status(_RESIDENTS)
    at.values["status"] = shown(status)
    return "" if status == 200 else "nobody"


def _traces(at: Attempt, outside: Caller) -> str:
    """What the service says when something breaks: PostgreSQL has no text with a null in it."""
    answer = outside.ask("/login", "POST", json={"account": "\0", "password": "x"})
    told = "Traceback" in answer.text or 'File "' in answer.text
    words = "lines of its code" if told else shown(answer.status_code)
    at.note("as a stranger", "log in with a character that no account has", words)
    return "traceback_shown" if told else ""


def _tells(at: Attempt, door: _Door, service: Backend) -> str:
    """Whether an account that is there is told from one that is not."""
    names = (str(at.task["account"]), _NOT_THERE)
    answers: list[list] = [[], []]
    waited, worked = [[], []], [0.0, 0.0]
    for _ in range(_TRIES):  # by turns, so that a busy moment of the machine meets both
        for which, name in enumerate(names):
            before = _spent(service)
            door.login(name, "wrong")
            worked[which] += _spent(service) - before
            waited[which] += door.seconds
            answers[which] += door.answers
    at.note("on this machine", "an account that is there, a wrong password", _say(answers[0]))
    at.note("on this machine", "an account that is not there", _say(answers[1]))
    if 429 in [status for status, _ in answers[0] + answers[1]]:
        return "too_early"
    if answers[0] != answers[1]:
        at.values["how"] = _BY_WORDS
        return "tells_unknown"
    # What the processor did does not depend on how busy the machine is; but somebody may have
    # made both answers wait for the same time instead.
    ratio, waits = worked[1] / max(worked[0], _TICK), min(waited[1]) / min(waited[0])
    alike = _near(ratio, 1.6) or _near(waits, 1.25)
    at.values["sure"] = not (_near(ratio, _SURE) or _near(waits, _SURE))
    words = "about the same" if alike else "less time" if ratio < 1 else "more time"
    at.note("on this machine", "the time of the second, beside the first", words)
    at.values["longer"] = words
    return "" if alike else "tells_by_time"


def _near(ratio: float, most: float) -> bool:
    return 1 / most < ratio < most


def _spent(service: Backend) -> float:
    """The processor time of a service so far, in seconds."""
    first = psutil.Process(service.server_pid)
    times = [process.cpu_times() for process in (first, *first.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def _limits(at: Attempt, outside: _Door, here: _Door) -> str:
    task, tries, most = at.task, int(str(at.task["tries"])), int(str(at.task["tries_address"]))
    tried = outside.login(task["other"], "wrong", tries)
    (more,) = outside.login(task["other"], "wrong")
    (closed,) = outside.login(task["other"], task["other_password"])
    at.note("as a stranger", f"{tries} wrong passwords for {task['other']}", _row(tried))
    at.note("as a stranger", "one more", str(more))
    at.note("as a stranger", "then the right one", str(closed))
    retry = outside.retry_after
    some = most - tries - 3  # the stranger had failed so often before, or twice more
    few = [outside.login(f"no-{n}-desk", "wrong")[0] for n in range(some)]
    (between,) = outside.login(_THIRD, _third_password(task))
    sprayed = [outside.login(f"no-{n}-desk", "wrong")[0] for n in range(some, most)]
    at.note("as a stranger", f"one try at each of {some} more accounts", _row(few))
    at.note("as a stranger", f"log in as {_THIRD}, with the right one", str(between))
    at.note("as a stranger", f"one try at each of {most - some} more", _row(sprayed))
    (written,) = outside.login("no-header-desk", "wrong", **_WRITTEN)
    at.note("as a stranger", "one more, with another address in X-Forwarded-For", str(written))
    third = here.login(_THIRD, _third_password(task))[0]
    at.note(f"as {_THIRD}, on this machine", "log in", str(third))
    (elsewhere,) = here.login(task["other"], task["other_password"])
    at.note("on this machine", f"the right one for {task['other']}", str(elsewhere))
    # _tells failed with it here before, and together that is less than an address may.
    unknown = here.login(_NOT_THERE, "wrong", tries - _TRIES + 1)
    at.note(
        "on this machine", f"failure {tries + 1} of an account that is not there", str(unknown[-1])
    )
    if {between, third} != {200} or 429 in tried + few + unknown[:-1]:
        return "too_early"
    if closed == 200 and more != 429 and 429 not in sprayed:
        return "no_limit"
    if closed not in (200, 429):
        at.values["how"] = f"has the status {closed}"
        return "no_retry_after"
    if how := not_protected(more, closed, elsewhere):
        at.values["how"] = how.format(tries=tries)
        return "address_only"
    if not (retry.isdigit() and 0 < int(retry) <= _MINUTE):
        at.values["how"] = "does not say when to come back"
        return "no_retry_after"
    if unknown[-1] != 429:
        at.values["how"] = _BY_LIMIT.format(tries=tries)
        return "tells_unknown"
    if 429 in sprayed and written == 429:
        return ""
    anew = [outside.login(f"no-{most + n}-desk", "wrong")[0] for n in range(some + 1)]
    how = _BY_HEADER if 429 in sprayed else _ANEW if 429 in anew else _NO_END
    at.values["how"] = how.format(most=most)
    return "account_only"


_BY_WORDS = (
    "the answers differ: an account that is there gets other words, or another status, than one "
    "that is not"
)
_BY_LIMIT = (
    "the limit tells it: an account that is there is closed after {tries} failures, and one that "
    "is not goes on. Count each name, whoever has it or nobody"
)
_NO_END = (
    "may try as many accounts as it likes, with one usual password each: more than {most} "
    "failures, and no end"
)
_ANEW = (
    "begins anew after each good login: whoever has one account tries all others, without end. A "
    "good login may forget what failed for its own account, and nothing of its address"
)
_BY_HEADER = (
    "is any that the caller writes into a header, such as X-Forwarded-For: another one each time, "
    "and there is no end. Only a proxy of your own, which overwrites it, makes that true"
)


def not_protected(more: int, closed: int, elsewhere: int) -> str:
    """In which way one account can be tried too often, if it can."""
    if closed != 429:
        return (
            "after {tries} wrong passwords the next one is refused with 429, and the right one is "
            "still taken, so whoever guesses goes on"
            if more == 429
            else "after {tries} wrong passwords and one more, the right one is still taken"
        )
    if more != 429:
        return "{tries} may fail, and one more was looked at; does it say > where >= belongs?"
    if elsewhere != 429:
        return "after {tries} wrong passwords from one address it is closed to that address alone"
    return ""


def _say(answers: list[tuple[int, str]]) -> str:
    status, words = answers[-1]
    return f"{status} {words[:70]}"


def _row(statuses: list[int]) -> str:
    return ", then ".join(f"{statuses.count(s)} × {s}" for s in dict.fromkeys(statuses))
