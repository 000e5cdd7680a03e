"""Exercise 06, question 5: a probe that a learner wrote, called on servers in nine states."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from types import FunctionType

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from leftopen import loopback
from leftopen.cases import sensenets
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.stranger_servers import counted, opens
from leftopen.lab import Lab
from leftopen.learner import Draw

SECONDS = 5  # what the question allows for one call
_PATIENCE = 9.0  # what the check waits: a busy machine is not the learner's fault
_ALL_SECONDS = 38.0  # for all calls: the rest of the check's own minute is for its servers
_SPELLINGS = (
    ("open", "asks for a login", "no answer"),
    ("stands open", "login required", "nothing answers"),
    ("exposed", "locked", "silent"),
    ("lets me in", "turns me away", "says nothing"),
)
# The commands that read documents; and every one by which a probe may ask for something.
_READ = ("find", "aggregate", "count", "distinct")
_LOOK = ("listDatabases", "listCollections", "dbStats", "collStats", "getCmdLineOpts", "usersInfo")
_ASK = (*_READ, *_LOOK, "insert", "update", "delete", "createUser")
_TIME_IS_UP = 50  # MaxTimeMSExpired (MongoDB manual, "Error Codes")
_TEST_COMMANDS = "net: {bindIp: 0.0.0.0}\nsetParameter: {enableTestCommands: true}\n"


def _task(draw: Draw) -> Task:
    opened, login, silent = draw.pick("spelling", _SPELLINGS)
    return Task(
        open=(opened, "what probe returns where a stranger's find is carried out"),
        login=(login, "what it returns where the find is refused because there was no login"),
        silent=(
            silent,
            "what it returns where the find gets no answer or breaks off, for whatever reason",
        ),
    )


def _lab(_: Task) -> Lab:
    return sensenets.small_lab(seed=6, people=60, positions=100)


class _Tried:
    """What a probe said of one server: a text, or why there is none."""

    def __init__(self, probe: FunctionType, port: int, seconds: float) -> None:
        self.said: object = None
        self.error: BaseException | None = None
        uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"

        def run() -> None:
            try:
                self.said = probe(uri)
            except BaseException as error:  # told to the learner
                self.error = error

        thread = threading.Thread(target=run, name="leftopen-probe", daemon=True)
        thread.start()
        thread.join(seconds)
        self.hangs = thread.is_alive()

    @property
    def words(self) -> str:
        """What came back, in a few words."""
        if self.hangs:
            return f"did not end within {SECONDS} s"
        if self.error is not None:
            return f"raised {type(self.error).__name__}"
        return repr(self.said) if self.said is None or isinstance(self.said, str) else "no text"


def _servers(lab: Lab, traces: list[str]) -> Iterator[tuple[str, str, int]]:
    """One server after the other: its state, what probe must say of it, its port.

    What a call of probe left on one of them is added to the traces.
    """
    doors = opens(lab).open
    before = counted(lab) if "read" in doors else {}
    wanted = "open" if "read" in doors else "login" if doors else "silent"
    yield "your lab", wanted, lab.outside.port
    if "read" in doors and counted(lab) != before:
        traces.append("documents in your lab")
    own = sensenets.small_lab(seed=6, config=_TEST_COMMANDS, people=60, positions=100)
    with closing(own):
        yield from _states(own, traces)
        # Those that make a probe wait come last: what is wrong besides is told first.
        with loopback.listen() as silent:  # takes connections, and never says a word
            yield "accepts, and never speaks", "silent", silent.getsockname()[1]
        with _operator(own) as operator:
            _fail(operator, _ASK, blockConnection=True, blockTimeMS=60_000)
        yield "answers hello, and no find", "silent", own.outside.port


def _states(own: Lab, traces: list[str]) -> Iterator[tuple[str, str, int]]:
    port = own.outside.port
    with _operator(own) as operator:
        operator.drop_database(sensenets.DATABASE)
        yield "open and empty", "open", port
        if counted(own):
            traces.append("documents in the empty server")
    own.configure("security: {authorization: enabled}")
    yield _NO_ACCOUNT, "login", port
    with _operator(own) as operator:
        try:
            operator.admin.command("createUser", "ops", pwd="four plain words", roles=["root"])
        except OperationFailure:
            traces.append("an account")
    yield "login on, with an account", "login", port
    made = own.certificates
    own.configure(
        f"net: {{bindIp: 0.0.0.0, tls: {{mode: requireTLS, certificateKeyFile: '{made.server}', "
        f"CAFile: '{made.ca}', allowConnectionsWithoutCertificates: true}}}}",
        replace=True,
    )
    yield "open, speaks TLS alone", "open", port
    own.outside.shut()
    yield "shut to the network", "silent", port
    own.configure(_TEST_COMMANDS, replace=True)
    with _operator(own) as operator:
        _fail(operator, _READ, errorCode=_TIME_IS_UP)
    yield _BROKEN_OFF, "silent", port


def _operator(own: Lab) -> MongoClient:
    return MongoClient("127.0.0.1", own.inside.port, directConnection=True)


def _fail(operator: MongoClient, commands: tuple[str, ...], **how: object) -> None:
    """Let commands fail until the next start of the server: with an error, or without an answer.

    It is mongod's own fail point failCommand, which its drivers are tested with.
    """
    data = {"failCommands": list(commands), **how}
    operator.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)


def _probed(at: Attempt, lab: Lab, probe: FunctionType) -> str:
    """Call probe on nine servers, up to the first that it is wrong about."""
    kind_of = {at.task[kind]: kind for kind in ("open", "login", "silent")}
    wrong: dict[str, str] = {}
    left = _ALL_SECONDS
    traces: list[str] = []
    with closing(_servers(lab, traces)) as servers:
        for state, wanted, port in servers:
            if traces:
                break
            began = time.monotonic()
            tried = _Tried(probe, port, min(_PATIENCE, left))
            left = max(left - (time.monotonic() - began), 0.1)
            kind = kind_of.get(tried.said, "") if isinstance(tried.said, str) else ""
            if not isinstance(tried.error, PyMongoError | OSError | None):
                raise BadAnswer(
                    f"It is a mistake in your function, and says nothing about a server (here: "
                    f"{state}). It raised {type(tried.error).__name__}: {tried.error}"
                )
            at.note("your probe", state, tried.words + ("" if kind == wanted else ": wrong"))
            if not kind:
                at.values |= {"state": state, "words": tried.words}
                return "hangs" if tried.hangs else "raises" if tried.error else "other_word"
            if kind != wanted:
                wrong[state] = kind
            if wrong and state != _NO_ACCOUNT:  # which of two mistakes it is, the next one tells
                break
    for state, near_miss in _NEAR_MISSES.items():
        if state in wrong:
            at.values |= {"state": state, "said": at.task[wrong[state]]}
            return near_miss[wrong[state]] if isinstance(near_miss, dict) else near_miss
    at.values["traces"] = " and ".join(traces)
    return "leaves_traces" if traces else RIGHT


# What a wrong answer about a server means; the first of them is told.
_NO_ACCOUNT = "login on, no account yet"
_BROKEN_OFF = "breaks off each find with code 50"
_SILENT = {"open": "hello_is_open", "login": "silence_for_refusal"}
_NEAR_MISSES = {
    "your lab": "misses_the_plain_case",
    "open and empty": "empty_taken_for_closed",
    "login on, with an account": {"open": "hello_is_open", "silent": "refusal_for_silence"},
    _NO_ACCOUNT: "trusts_the_list",
    "open, speaks TLS alone": "tls_for_silence",
    "shut to the network": _SILENT,
    _BROKEN_OFF: {"open": "find_not_carried_out", "login": "code_not_read"},
    "accepts, and never speaks": _SILENT,
    "answers hello, and no find": _SILENT,
}

QUESTION = Question(
    asks={"lab": Lab, "probe": FunctionType},
    check=_probed,
    task=_task,
    lab=_lab,
)
