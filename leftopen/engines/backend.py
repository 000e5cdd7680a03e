"""The HTTP service in front of a case's database: its code, and the process that runs it.

It is started as its own authors would start it, ``python -m uvicorn main:app`` in the folder of its
code. It runs under the notebook's account, also where that is root's: its code is the learner's,
and may do no more in a process of its own than in the notebook.

It binds loopback, whatever it is told. ``UVICORN_HOST``, uvicorn's own variable for the address on
which it listens, decides about the relay instead, as ``listen_addresses`` does for PostgreSQL.
"""

import contextlib
import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from leftopen import loopback
from leftopen.engines import backend_environment
from leftopen.engines import config as conf
from leftopen.engines.backend_code import UNCHANGED, Code
from leftopen.engines.backend_environment import EVERYWHERE, HOST, checked, reaches_out
from leftopen.engines.process import ServerProcess, disk
from leftopen.engines.tracebacks import last_complaint, last_error
from leftopen.errors import ConfigRefused, EngineFailed, EngineMissing
from leftopen.outside_http import Internet

START_SECONDS = 60.0
STOP_SECONDS = 5.0
_QUIET_SECONDS = 0.2
_ERROR_SECONDS = 5.0  # the longest wait; a 500 that the code itself answers has no error
_ANSWERED_500, _LOGGED = re.compile(r'HTTP/[\d.]+" 500 '), "Exception in ASGI application"
_OPEN_REQUESTS_SECONDS = 1  # what a request has left when the service stops; a stream never ends
_PORT_TRIES = 5

# Of the notebook's environment: what finds Python and its packages, and a place for files. Nothing
# else, as a variable of PostgreSQL's or a proxy's would change what the service does.
_PASSED_ON = (
    "PATH", "HOME", "USERPROFILE", "APPDATA", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "TZ",
    "LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
)  # fmt: skip
_PYTHON = {
    "PYTHONUNBUFFERED": "1",  # what the code prints is in the log at once
    "PYTHONUTF8": "1",
    # Python takes a compiled file of the same second and size for the current one.
    "PYTHONDONTWRITEBYTECODE": "1",
}
# uvicorn hangs up after 5 s without a request, and a client that asks in just that moment gets no
# answer. Cells of a notebook are often 5 s apart.
_PATIENT = {"UVICORN_TIMEOUT_KEEP_ALIVE": "3600"}


# uvicorn's own log has no times. The code's own loggers print into the same file.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
        },
        "access": {
            "()": "uvicorn.logging.AccessFormatter",
            "fmt": '%(asctime)s %(client_addr)s "%(request_line)s" %(status_code)s',
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            "use_colors": False,
        },
    },
    "handlers": {
        "default": {"class": "logging.StreamHandler", "formatter": "default"},
        "access": {"class": "logging.StreamHandler", "formatter": "access"},
    },
    "root": {"level": "INFO", "handlers": ["default"]},
    "loggers": {"uvicorn.access": {"handlers": ["access"], "propagate": False}},
}


class Backend:
    """A running service on loopback, in a private folder, gone with this Python process.

    Args:
        files: its code, as ``{"main.py": text}``; in ``main.py`` stands ``app``.
        environment: its environment variables, as ``{"DATABASE_URL": ...}``. Without a
            ``UVICORN_HOST`` the service is told to listen on every address.

    Raises:
        EngineMissing: uvicorn is not installed.
        EngineFailed: it does not come up, or there is no folder.
        NotLoopback: DATABASE_URL leads to another machine.
    """

    def __init__(self, files: Mapping[str, str], environment: Mapping[str, str]) -> None:
        if importlib.util.find_spec("uvicorn") is None:
            raise EngineMissing(
                "uvicorn, which runs the service, is not installed for this Python. Bring it with "
                "`make setup`, or with `pip install -e .` in the course's folder."
            )
        self._environment = {HOST: EVERYWHERE[0], **checked(environment)}
        self._outside: Internet | None = None
        self._since = 0  # where in the log the last start begins
        self._process = ServerProcess()
        try:
            self._code = Code(self._process.folder, files)
            with disk():
                self._settings_of_log.write_text(json.dumps(_LOGGING))
            (self._port,) = self._process.new_ports(1)
            self._outside = Internet(self._port)
            self._bring_up()
        except BaseException:
            self.close()
            raise

    # -- the two sides ------------------------------------------------------------------------

    @property
    def uri(self) -> str:
        """The address on which the service itself listens."""
        return f"http://{loopback.HERE}:{self._port}"

    @property
    def outside(self) -> Internet:
        """The stranger's side: a relay that is open as long as the service runs, unless
        ``UVICORN_HOST`` is an address of loopback.
        """
        return self._outside

    @property
    def is_exposed(self) -> bool:
        """Whether ``UVICORN_HOST`` lets the Internet in, whatever the relay does now."""
        return reaches_out(self._environment)

    # -- its code -----------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The folder of its code."""
        return self._code.folder

    @property
    def log(self) -> Path:
        """What the service prints: each request with its client, and each error with its trace."""
        return self._process.folder / "service.log"

    @property
    def _settings_of_log(self) -> Path:
        return self._process.folder / "logging.json"

    @property
    def files(self) -> list[str]:
        """The names of its files."""
        return sorted(self._code.files)

    @property
    def environment(self) -> Mapping[str, str]:
        """Its environment variables, to read; :meth:`set_environment` changes them."""
        return MappingProxyType(self._environment)

    def read(self, file: str) -> str:
        """The code of one of its files.

        Raises:
            LeftOpenError: it has no such file.
        """
        return self._code.read(file)

    def write(self, file: str, text: str) -> None:
        """Write one of the service's files, or a new one, and start the service with it.

        Args:
            file: its name, as ``"main.py"``.
            text: all of it.

        Raises:
            ConfigRefused: the service does not start with it; the message has Python's last line
                and the line of the code. The earlier code is put back, and runs.
            EngineFailed: the service was closed, or the disk is full.
        """
        self.write_files({file: text})

    def write_files(self, files: Mapping[str, str]) -> None:
        """Write several files, and start the service with them, once.

        Args:
            files: as for :meth:`write`, by their names.

        Raises:
            ConfigRefused, EngineFailed: as for :meth:`write`.
        """
        new = {name: conf.tidy(text) + "\n" for name, text in files.items()}
        self._change(new, self._environment)

    def set_environment(self, *unnamed: object, **values: str) -> None:
        """Change environment variables of the service, and start it with them.

        Raises:
            ConfigRefused: a value has no name or is not text, or the service does not start with
                it; it runs with the earlier ones.
            NotLoopback: DATABASE_URL leads to another machine.
            EngineFailed: the service was closed.
        """
        if unnamed:
            raise ConfigRefused(
                'Each variable is given by its name, as set_environment(TOKEN_KEY="…"), and a dict '
                f"of them as set_environment(**variables). {backend_environment.UNCHANGED}"
            )
        self._change({}, {**self._environment, **checked(values)})
        backend_environment.warn_of_unknown(values)

    def _change(self, files: dict[str, str], environment: dict[str, str]) -> None:
        self._must_be_open()
        reaches_out(environment)
        self._code.stage(files)
        try:
            self._process.stop(STOP_SECONDS)
            self._code.put_in_place()
            self._start(environment)
        except BaseException as error:  # an interrupt too must leave a service that runs
            self.restart()
            if isinstance(error, _DidNotStart):
                unchanged = UNCHANGED if files else backend_environment.UNCHANGED
                raise ConfigRefused(f"The service does not start: {error}. {unchanged}") from None
            raise
        self._code.keep()
        self._environment = environment

    # -- life ---------------------------------------------------------------------------------

    def _start(self, environment: dict[str, str]) -> None:
        """Start the service; return as soon as it accepts requests."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        for _ in range(_PORT_TRIES):
            self._since = self.log.stat().st_size if self.log.exists() else 0
            self._process.start(
                self._command(),
                self.log,
                environment={**passed, **_PYTHON, **_PATIENT, **environment},
                inside=self.folder,
            )
            try:
                started = self._process.wait_until_accepting(
                    self._port, START_SECONDS, self._listens
                )
            except EngineFailed as error:
                self._process.stop(0)
                raise _DidNotStart(f"{error} Or a line of the code waits for ever") from None
            if started:
                self._outside.target_port = self._port
                if reaches_out(environment):
                    self._outside.open()
                else:
                    self._outside.shut()
                return
            printed = self._printed()
            if "error while attempting to bind on address" not in printed:
                break
            (self._port,) = self._process.new_ports(1)  # another program was faster
        raise _DidNotStart(self._words(printed))

    def _command(self) -> list[str | Path]:
        return [
            sys.executable, "-m", "uvicorn", "main:app",
            "--host", loopback.HERE, "--port", str(self._port),
            "--timeout-graceful-shutdown", str(_OPEN_REQUESTS_SECONDS),
            "--log-config", self._settings_of_log,
            # Else a client of this machine could say in a header which address it has.
            "--no-proxy-headers",
        ]  # fmt: skip

    def _listens(self) -> bool:
        """Whether it is this service that listens on the port."""
        import psutil

        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self.server_pid)
            # In a virtual environment on Windows, Python runs as a child of its own launcher.
            for process in (first, *first.children(recursive=True)):
                for found in process.net_connections("tcp"):
                    if found.status == psutil.CONN_LISTEN and found.laddr.port == self._port:
                        return True
        return False

    def _printed(self) -> str:
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self._since)
            return log.read().decode(errors="replace")
        return ""

    def _words(self, printed: str) -> str:
        """What Python said, and where in the service's code."""
        error = last_error(printed, self.folder)
        if error is None:
            return last_complaint(printed).rstrip(".")
        file, line, words = error
        with contextlib.suppress(OSError):  # the file is another by now
            if file:
                words = f"{self._code.quote(file, line)}: {words}"
        return words.rstrip(".")

    def last_words(self) -> str:
        """The last line of the last error since the service was started, and where it happened.

        A client may have its answer before the error is logged, so the log must first be quiet,
        and have an error below the last answer with the status 500.

        Returns:
            The words, or nothing when no error was logged.
        """
        until = time.monotonic() + _ERROR_SECONDS
        before, printed = None, self._printed()
        while printed != before or (_owes_an_error(printed) and time.monotonic() < until):
            time.sleep(_QUIET_SECONDS)
            before, printed = printed, self._printed()
        return self._words(printed) if last_error(printed, self.folder) else ""

    def restart(self) -> None:
        """Start the service again, with its code and its environment as they are.

        Raises:
            EngineFailed: it was closed, or does not start.
        """
        self._must_be_open()
        self._process.stop(STOP_SECONDS)
        self._code.put_back()
        self._bring_up()

    def _bring_up(self) -> None:
        try:
            self._start(self._environment)
        except _DidNotStart as error:
            raise EngineFailed(f"The service did not start: {error}.") from None

    def stop(self) -> None:
        """Stop the service, and shut its side to the Internet; :meth:`restart` brings it back."""
        self._outside.shut()
        self._process.stop(STOP_SECONDS)

    @property
    def server_pid(self) -> int | None:
        """The process id of the service, or ``None`` when it was stopped."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the service runs."""
        return self._process.is_running()

    def _must_be_open(self) -> None:
        if not self._process.folder.is_dir():
            self.close()
            raise EngineFailed(
                "This service is closed, and its files are gone. Open the case again, then run "
                "this cell again."
            )

    def close(self) -> None:
        """End the service and remove its folder. Safe to call twice."""
        if self._outside is not None:
            self._outside.close()
        self._process.close()

    def __repr__(self) -> str:
        return f"Backend at {self.uri}, {'running' if self.is_running else 'not running'}"


def _owes_an_error(printed: str) -> bool:
    """Whether an error is still to be logged: uvicorn does so after it has answered with 500."""
    *_, below = _ANSWERED_500.split(printed)
    return below != printed and _LOGGED not in below


class _DidNotStart(Exception):
    """The reason, without a stop at its end."""
