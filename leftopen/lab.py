"""A lab: one real server, the case's records in it, and the relay that plays the Internet.

What all engines share is here; ``lab_mongodb.py`` and ``lab_opensearch.py`` have the rest.
"""

import html
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from leftopen import loopback
from leftopen.engines import config as conf
from leftopen.engines.pki import Pki
from leftopen.errors import ConfigRefused, EngineFailed, NotLoopback
from leftopen.outside import Outside

_EVERYWHERE = ("0.0.0.0", "::", "*")  # how configurations write every address of a machine


class Lab(ABC):
    """A running server of a case. Close it with :meth:`close`, or leave it: it goes with the
    notebook.

    Args:
        name: the name of the case.
    """

    program = ""
    """The server's name, as a learner reads it."""

    _server: Any  # the engine's own: a MongoServer, a SearchServer
    _outside: Outside | None = None
    _settings: dict  # what the file says
    _running: dict  # what the server was started with

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = ""
        self.purpose = f"the case {name}"
        self._reopen = f"lab = open_case({name!r})"
        self._as_found: dict = {}
        self._closed = False

    # -- the two sides ------------------------------------------------------------------------

    @property
    @abstractmethod
    def inside(self):
        """The operator's side: ``.port`` and ``.uri``, straight to the server."""

    @property
    def outside(self) -> Outside:
        """The stranger's side: the relay that plays the Internet."""
        return self._outside

    # -- configuration ------------------------------------------------------------------------

    @property
    def config(self) -> str:
        """The server's configuration file, as text, without the lab's part."""
        return conf.dump(self._settings)

    @property
    def is_as_found(self) -> bool:
        """Whether the configuration is still the one in which the case was found."""
        return self._settings == self._as_found

    @property
    def is_in_force(self) -> bool:
        """Whether the server runs with what its configuration says: it reads it at its start."""
        return self._settings == self._running

    @property
    def is_exposed(self) -> bool:
        """Whether the configuration in force lets the Internet in, whatever the relay does now."""
        return self._reachable()

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self._server.log

    @property
    @abstractmethod
    def certificates(self) -> Pki:
        """A CA of this lab's own and a certificate for the server, as PEM files, made once."""

    @abstractmethod
    def restart(self) -> None:
        """Start the server again with what its configuration says; its data are kept.

        Raises:
            EngineFailed: it does not start, or its folder is gone: then open the case again.
        """

    @abstractmethod
    def _reachable(self) -> bool:
        """Whether the configuration in force would let the Internet in."""

    def _restart_with(self, settings: dict) -> None:
        try:
            self._server.stop()
            self._server.start(settings)
            self._running = settings
        except BaseException:  # an interrupt too must leave a server that runs
            self._server.stop()
            self._server.start(self._running)
            raise
        finally:
            if self._outside is not None:
                self._turn_relay()

    def _refused(self, words: str, text: str, places: list[conf.Place]) -> ConfigRefused:
        """The engine's refusal, with the line of the text that it speaks of."""
        line = conf.blame(words, text, places)
        where = f"{line}: " if line else ""
        words = words.removeprefix(f"{self.program} did not start: ").rstrip(".")
        return ConfigRefused(f"{where}{self.program} refuses this: {words}. {conf.UNCHANGED}")

    def _turn_relay(self) -> None:
        self._outside.target_port = self._server.port
        if self._reachable():
            self._outside.open()
        else:
            self._outside.shut()

    # -- life ---------------------------------------------------------------------------------

    def _must_be_open(self) -> None:
        if self._closed or not self._server.folder.is_dir():
            self.close()
            raise EngineFailed(
                f"This lab is closed, and its files are gone. {self.way_back} "
                "Then run this cell again."
            )

    @property
    def server_pid(self) -> int | None:
        """The process id of the server, or ``None`` when it was stopped."""
        return self._server.process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server runs."""
        return not self._closed and self._server.is_running()

    def belongs_to(self, purpose: str, reopen: str) -> None:
        """Say what this lab was opened for, and which call opens it again."""
        self.purpose, self._reopen = purpose, reopen

    @property
    def way_back(self) -> str:
        """The one call that gives a running server again, as a sentence."""
        if self._closed:
            return f"{self._reopen} opens a new one."
        return "lab.restart() brings it back, with its data and its configuration."

    def close(self) -> None:
        """Stop the server and remove all that it left on this machine. Safe to call twice."""
        self._closed = True
        if self._outside is not None:
            self._outside.close()
        self._server.close()

    def retire(self) -> None:
        """Close this lab because another one takes its place."""
        self.close()

    # -- what a notebook shows ----------------------------------------------------------------

    def _rows(self) -> list[tuple[str, str]]:
        if not self.is_running:
            return [("server", f"not running. {self.way_back}")]
        door = "answers" if self._outside.is_open else "nothing answers there"
        return [
            ("server", f"{self.program} {self.version}, running"),
            ("lab.inside.uri", self.inside.uri),
            ("lab.outside.uri", f"{self.outside.uri}  ({door})"),
            ("lab.config", self.config.strip() or "(empty)"),
        ]

    def __repr__(self) -> str:
        rows = self._rows()
        wide = max(16, *(len(name) + 1 for name, _ in rows))
        return "\n".join([f"Lab {self.name}", *(f"  {k:<{wide}}{v}" for k, v in rows)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(k)}</th>"
            f"<td style='text-align:left'><code style='white-space:pre-wrap'>{html.escape(v)}"
            "</code></td></tr>"
            for k, v in self._rows()
        )
        return f"<table><caption>Lab {html.escape(self.name)}</caption>{rows}</table>"


def line_of(name: str, text: str, places: list[conf.Place]) -> str:
    """The line on which a setting stands, quoted, with a colon after it; or nothing."""
    found = [p.line for p in places if ".".join(p.path) == name]
    return f"{conf.quote(text, found[0])}: " if found else ""


def reaches_out(
    entries: Iterable[str],
    program: str,
    setting: str,
    text: str,
    places: list[conf.Place],
    everywhere: Collection[str] = (),
) -> bool:
    """Whether a server that listens on these addresses could be reached from the Internet.

    A server can listen on the addresses of its machine and on no others. In a lab these are
    loopback, and all addresses at once, which the relay plays.

    Args:
        entries: the addresses, as its configuration has them.
        program: the server's name.
        setting: the setting's dotted name.
        text: the configuration, to say which line is meant.
        places: where the settings stand in it.
        everywhere: further words of this server for all addresses.

    Raises:
        ConfigRefused: an address is not this machine's.
    """
    reachable = False
    for entry in entries:
        if entry in _EVERYWHERE or entry in everywhere:
            reachable = True
            continue
        try:
            loopback.addresses(entry)
        except NotLoopback:
            raise ConfigRefused(
                f"{line_of(setting, text, places)}`{entry}` is not an address of this lab's "
                f"machine, so {program} could not listen on it. Write 127.0.0.1 for this machine "
                f"alone, or 0.0.0.0 for every address. {conf.UNCHANGED}"
            ) from None
    return reachable
