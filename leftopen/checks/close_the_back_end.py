"""Exercise 11: the service in front of the database knows who is calling, at each of its doors."""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode

from leftopen.cases import tongren, tongren_api
from leftopen.checks import back_end_lab as labs
from leftopen.checks import close_the_back_end_database as database
from leftopen.checks import close_the_back_end_keys as keys
from leftopen.checks import close_the_back_end_login as login
from leftopen.checks.forged_tokens import SignIn, pair
from leftopen.checks.http_probe import REFUSED, Caller, must_run, shown, twin
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.engines.backend import Backend
from leftopen.lab import Lab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

_SERVER = "/servers/1"
_RESIDENTS, _BUILDINGS = f"{_SERVER}/residents", f"{_SERVER}/buildings"
_COMPARE = (
    "Compare issuer, audience and algorithm with your task, letter by letter; and caller has to "
    "return what the token says."
)


# -- 1: the token -------------------------------------------------------------------------------


def _token_task(draw: Draw) -> Task:
    draw = labs.variant(draw, 1)
    service = labs.sign_in(draw)
    algorithm = draw.pick("algorithm", ("EdDSA", "HS256"))
    return Task(
        issuer=(service.issuer, "who gives the tokens: the claim iss"),
        audience=(service.audience, "for whom they are: the claim aud"),
        algorithm=(algorithm, "with which they are signed, and with no other"),
        building=(draw.pick("building", tuple(labs.HOMES)), "where the manager works"),
    )


def _signs(task: Task) -> SignIn:
    """The city's sign-in service; its key follows from the task."""
    algorithm, secret = str(task["algorithm"]), f"{task['issuer']} signs for {task['audience']}"
    key = pair(secret)[0] if algorithm == "EdDSA" else hashlib.sha256(secret.encode()).hexdigest()
    return SignIn(str(task["issuer"]), str(task["audience"]), key, algorithm)


def _checks_with(service: SignIn) -> str:
    """The key with which its tokens are checked: TOKEN_KEY."""
    return public(service.key) if service.algorithm == "EdDSA" else service.key


def public(private: str) -> str:
    """The public key of a private one, both as PEM."""
    from cryptography.hazmat.primitives import serialization as pem

    key = pem.load_pem_private_key(private.encode(), None).public_key()
    return key.public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo).decode()


def _token_files() -> dict[str, str]:
    files = tongren_api.closed_backend()
    for name in ("login.py", "limits.py"):
        del files[name]
    main = labs.without_login(files["main.py"])
    return {**files, "main.py": main, "callers.py": labs.file("callers_believing")}


def _token_lab(task: Task) -> PostgresLab:
    return labs.open_lab(task, _token_files(), {"TOKEN_KEY": _checks_with(_signs(task))})


def _confused(service: SignIn, about: dict) -> str:
    """Signed with HMAC, and with the public key as the secret (RFC 8725, section 2.1)."""
    unsigned = SignIn(service.issuer, service.audience, "").unsigned(about)
    body = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    body += "." + unsigned.split(".")[1]
    mac = hmac.new(public(service.key).encode(), body.encode(), "sha256").digest()
    return f"{body}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _forged(service: SignIn, manager: dict) -> list[tuple[str, str, str]]:
    """Each false token: the near miss of who accepts it, what it is called, the token."""
    other = next(b for b in labs.HOMES if b != manager["building"])
    stranger = {"role": "manager", "building": other}
    is_hmac = service.algorithm == "HS256"
    foreign = 48 * "f" if is_hmac else pair("somebody else")[0]
    now = int(time.time())
    old = {**manager, "iat": now - 1500, "exp": now - 600}
    confused = service.token(manager, algorithm="HS512") if is_hmac else _confused(service, manager)

    def saying(**claims: str) -> str:
        return service.token({**manager, **claims})

    issuer, audience = service.issuer, service.audience
    return [
        ("no_signature", "with its content changed", service.changed(manager, stranger)),
        ("other_key", "signed with another key", service.token(manager, key=foreign)),
        ("alg_none", "with the algorithm none", service.unsigned(manager)),
        ("other_algorithm", "with another algorithm", confused),
        ("expired", "that has expired", service.token(old)),
        ("no_expiry", "that never expires", service.token(manager, without="exp")),
        ("other_audience", "for another service", saying(aud="parking")),
        ("other_audience", "for a service with a longer name", saying(aud=f"{audience}-garage")),
        ("other_audience", "without an audience", service.token(manager, without="aud")),
        ("other_issuer", "of another issuer", saying(iss="https://sign-in.example.test")),
        ("other_issuer", "of an issuer with a longer name", saying(iss=f"{issuer}.example.test")),
        ("other_issuer", "without an issuer", service.token(manager, without="iss")),
    ]


def _token(at: Attempt, lab: PostgresLab) -> str:
    """The tokens of the task's issuer are accepted, and no others."""
    if labs.is_untouched(lab, _token_files()):
        return UNTOUCHED
    uri, service = must_run(lab.backend).outside.uri, _signs(at.task)
    manager = {"role": "manager", "building": at.task["building"]}
    with Caller(at, "as a stranger", uri) as stranger:
        status = stranger.status(_BUILDINGS)
        if status == 200:
            return "no_token"
    seen = {status}
    for name, words, token in _forged(service, manager):
        with Caller(at, f"with a token {words}", uri, token) as caller:
            status = caller.status(_RESIDENTS)
        if status == 200:
            at.values["words"] = words
            return "no_signature" if name == "other_key" else name
        seen.add(status)
    with Caller(at, "with three words as a token", uri, "not.a.token") as caller:
        seen.add(caller.status(_RESIDENTS))
    for building in sorted(labs.HOMES, key=lambda name: name != at.task["building"]):
        good = service.token({"role": "manager", "building": building})
        with Caller(at, f"with a good token of {building}'s manager", uri, good) as caller:
            status, rows = caller.status(_RESIDENTS), caller.rows(_RESIDENTS)
        at.values["status"] = shown(status)
        at.values["next"] = _COMPARE if status < 500 else labs.last_words(lab.backend)
        if status != 200 or not rows:
            return "nobody"
        homes = ", ".join(sorted({str(row.get("building")) for row in rows}))
        at.note(caller.label, "in which building these residents live", homes)
        if homes != building:
            at.values["seen"] = f"{building}'s manager is shown who lives in {homes}"
            return "says_otherwise"
    at.values["status"] = ", ".join(shown(other) for other in sorted(seen - {401}))
    if seen != {401}:
        return "falls_over"
    return RIGHT if _takes_another_key(at, lab.backend, service, manager) else "key_in_source"


def _takes_another_key(at: Attempt, backend: Backend, service: SignIn, about: dict) -> bool:
    """Whether the service, given another key in its environment, goes by that one."""
    key = pair("another")[0] if service.algorithm == "EdDSA" else 48 * "k"
    later = SignIn(service.issuer, service.audience, key, service.algorithm)
    with (
        twin(backend, TOKEN_KEY=_checks_with(later)) as other,
        Caller(at, "after a change of TOKEN_KEY", other.uri, later.token(about)) as new,
        Caller(at, "after a change of TOKEN_KEY", other.uri, service.token(about)) as old,
    ):
        accepted = new.status(_RESIDENTS, "a token signed with the new key") == 200
        return accepted and old.status(_RESIDENTS, "one signed with the old key") != 200


# -- 2: every door ------------------------------------------------------------------------------

_DOCS = ("/docs", "/redoc", "/docs/oauth2-redirect")
_MAP = "/openapi.json"
_STREAM = f"{_SERVER}/passages/stream"
_DATA = tuple(f"{_SERVER}/{name}" for name in ("buildings", "residents", "visitors", "passages"))


def _doors_task(draw: Draw) -> Task:
    draw = labs.variant(draw, 2)
    service, building = labs.sign_in(draw), draw.pick("building", tuple(labs.HOMES))
    return Task(
        issuer=(service.issuer, "who gives the tokens"),
        audience=(service.audience, "for whom they are"),
        key=(service.key, "with which they are signed; the service has it in TOKEN_KEY"),
        person=(draw.pick("person", labs.HOMES[building]), "a resident whom the check asks for"),
    )


def _doors_files() -> dict[str, str]:
    names = {"callers.py": "callers_one_key", "main.py": "main_every_door", "desk.py": "desk"}
    return {
        **tongren.backend_as_found(),
        **{name: labs.file(source) for name, source in names.items()},
    }


def _doors_lab(task: Task) -> PostgresLab:
    named = {"TOKEN_KEY": "key", "ISSUER": "issuer", "AUDIENCE": "audience"}
    environment = {name: str(task[source]) for name, source in named.items()}
    return labs.open_lab(task, _doors_files(), environment, hba=tongren.HBA_AS_FOUND, trusting=True)


def _doors(at: Attempt, lab: PostgresLab) -> str:
    """Whoever has no token gets the first page alone; whoever has one gets all data."""
    if labs.is_untouched(lab, _doors_files()):
        return UNTOUCHED
    uri, task = must_run(lab.backend).outside.uri, at.task
    person = f"{_RESIDENTS}/{task['person']}"
    service = SignIn(*(str(task[name]) for name in ("issuer", "audience", "key")))
    with Caller(at, "without a token", uri) as stranger:
        got = {path: stranger.status(path) for path in (*_DATA, person, _STREAM)}
        heads = {path: stranger.status(path, method="HEAD") for path in (person, _RESIDENTS)}
        pages = {path: stranger.status(path) for path in (*_DOCS, _MAP)}
        first = stranger.status("/")
        options = stranger.ask(_RESIDENTS, "OPTIONS")
        at.note("without a token", f"OPTIONS {_RESIDENTS}", shown(options.status_code))
    others = [path for server in "234" for path in _of_another(at, uri, server)]
    others += _here(at, lab.backend.uri)
    with Caller(at, "with any word as a token", uri, "nonsense") as nonsense:
        believed = {path: nonsense.status(path) for path in (*_DATA, person, _STREAM)}
    written = SignIn(service.issuer, service.audience, 48 * "f").token({"role": "manager"})
    with Caller(at, "with a token signed with another key", uri, written) as forger:
        believed[person] = max(believed[person], 200 * (forger.status(person) == 200))
    with Caller(at, "with a token", uri, service.token({"role": "manager"})) as known:
        may = {path: known.status(path) for path in (*_DATA, person, _STREAM)}
        may["HEAD"] = known.status(person, method="HEAD")
    if any(status != 200 for status in may.values()):
        at.values["lost"] = ", ".join(path for path, status in may.items() if status != 200)
        return "shut_to_all"
    open_ = [path for path, status in got.items() if _tells(status)]
    open_ += [f"{path} {where}" for path, where in others if got[path] in REFUSED]
    at.values["open"] = ", ".join(open_)
    if open_ == [_STREAM]:
        return "stream_open"
    if open_:
        return "some_open"
    if any(_tells(status) for status in heads.values()):
        return "head_open"
    if believers := [path for path, status in believed.items() if _tells(status)]:
        at.values["open"] = ", ".join(believers)
        return "any_token"
    if pages[_MAP] == 200:
        return "map_open" if all(pages[path] != 200 for path in _DOCS) else "docs_open"
    if max(*got.values(), *heads.values(), *believed.values()) >= 500:
        return "stumbles"
    at.values["status"] = shown(first)
    return RIGHT if first == 200 else "front_shut"


def _of_another(at: Attempt, uri: str, server: str) -> list[tuple[str, str]]:
    """What lets a stranger on to another server, which has no database behind it here."""
    with Caller(Attempt(at.task), "", uri) as stranger:
        paths = (_RESIDENTS, f"{_SERVER}/passages", _STREAM)
        got = {path: stranger.status(path.replace("/1/", f"/{server}/")) for path in paths}
    what = f"GET residents, passages and the stream of server {server}"
    at.note("without a token", what, ", ".join(map(shown, sorted(set(got.values())))))
    return [(path, f"of server {server}") for path, status in got.items() if status not in REFUSED]


def _here(at: Attempt, uri: str) -> list[tuple[str, str]]:
    """What lets a program on this machine on, behind which others may stand, as a proxy does."""
    with Caller(Attempt(at.task), "", uri) as program:
        got = {path: program.status(path) for path in (_RESIDENTS, f"{_SERVER}/passages", _STREAM)}
    what = "GET residents, passages and the stream, asked on this machine"
    at.note("without a token", what, ", ".join(map(shown, sorted(set(got.values())))))
    return [(path, "on this machine") for path, status in got.items() if status not in REFUSED]


def _tells(status: int) -> bool:
    """Whether an answer says something about the data: 404 says that nobody is there."""
    return status not in (401, 403, 405) and status < 500


QUESTIONS = {
    1: Question(asks={"lab": Lab}, check=_token, task=_token_task, lab=_token_lab),
    2: Question(asks={"lab": Lab}, check=_doors, task=_doors_task, lab=_doors_lab),
    3: Question(
        asks={"lab": Lab}, check=database.decides, task=database.task, lab=database.open_lab
    ),
    4: Question(asks={"lab": Lab}, check=login.says_little, task=login.task, lab=login.open_lab),
    5: Question(asks={"lab": Lab}, check=keys.turned, task=keys.task, lab=keys.open_lab),
}
