"""A PostgreSQL lab: one real server, the case's records in it, and the relay before it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg

from leftopen import loopback
from leftopen.engines import config as conf
from leftopen.engines import postgres
from leftopen.engines.pki import Pki
from leftopen.engines.postgres_server import (
    ADDED_WHY,
    CONF,
    CONNECT_SECONDS,
    DOOR,
    DOOR_WHY,
    HBA,
    BadLine,
    PostgresServer,
    Refused,
    lab_settings,
    socket_uri,
)
from leftopen.engines.process import has_room
from leftopen.errors import ConfigRefused, EngineFailed
from leftopen.lab import Lab, reaches_out
from leftopen.outside import Outside

if TYPE_CHECKING:
    from leftopen.engines.backend import Backend

Connect = Callable[[str], psycopg.Connection]
"""Gives a connection of the operator's to a database; each statement holds at once."""

# A line of postgresql.conf: a name, an equals sign that may be left out, a value, in quotes or not
# (PostgreSQL manual, "Parameter Interaction via the Configuration File").
_SETTING = re.compile(r"\s*([A-Za-z_][\w$.]*)\s*=?\s*('(?:[^']|'')*'|[^\s#']*)")
_HBA_LINE = re.compile(r"^\s*(local|host(no)?(ssl|gssenc)?)\s+\S", re.MULTILINE)
_MAY_REPEAT = ("include", "include_dir", "include_if_exists")


def _uri(port: int, account: str, password: str, database: str, options: str) -> str:
    """A connection string by TCP, percent-encoded (RFC 3986, section 2.1)."""
    login = quote(account, safe="") + (f":{quote(password, safe='')}" if password else "")
    more = f"&{options}" if options else ""
    return (
        f"postgresql://{login}@{loopback.HERE}:{port}/{quote(database, safe='')}"
        f"?connect_timeout={CONNECT_SECONDS}{more}"
    )


@dataclass(frozen=True)
class Inside:
    """The operator's side: straight to the server.

    Attributes:
        port: the server's port on 127.0.0.1.
        folder: where its socket is.
    """

    port: int
    folder: Path

    @property
    def uri(self) -> str:
        """The operator's own address, by the socket, which needs no password."""
        return self.uri_of("postgres")

    def uri_of(self, database: str) -> str:
        """The operator's own address of another database."""
        return socket_uri(self.folder, self.port, database)

    def uri_as(
        self, account: str, password: str, database: str = "postgres", options: str = ""
    ) -> str:
        """The address of a client on this machine, by TCP.

        Args:
            account: its role.
            password: its password; may be empty.
            database: which database.
            options: more of libpq's parameters, as ``"sslmode=require"``.
        """
        return _uri(self.port, account, password, database, options)


class Internet(Outside):
    """The stranger's side: the relay, with its address as the driver wants it."""

    @property
    def uri(self) -> str:
        """An address and the name that every PostgreSQL has: all that a stranger has."""
        return _uri(self.port, "postgres", "", "postgres", "")

    def uri_as(
        self, account: str, password: str, database: str = "postgres", options: str = ""
    ) -> str:
        """The address with an account in it; see :meth:`Inside.uri_as`."""
        return _uri(self.port, account, password, database, options)


class PostgresLab(Lab):
    """A running PostgreSQL of a case, and the service in front of it, if there is one.

    Args:
        name: the name of the case.
        as_found: the postgresql.conf in which the case was found, as text.
        hba: the pg_hba.conf in which it was found, as text.
        load: a function that puts databases, roles and records into the server. It is given a
            function that connects to a database as the operator.
        backend: the files of the HTTP service that runs beside the database, if there is one.

    Raises:
        EngineMissing: there is no PostgreSQL on this machine that the lessons can use.
        EngineFailed: it does not start, or the records could not be loaded.
    """

    program = "PostgreSQL"

    def __init__(
        self,
        name: str,
        as_found: str,
        hba: str,
        load: Callable[[Connect], None],
        backend: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name)
        if taken := postgres.take_out_variables():
            print(
                f"Taken out of this notebook's environment: {', '.join(taken)}. "
                "They would change every connection."
            )
        self._settings = {CONF: conf.tidy(as_found), HBA: conf.tidy(hba)}
        self._as_found = self._running = dict(self._settings)
        self._outside: Internet | None = None
        self._backend: Backend | None = None
        self._server = PostgresServer()
        try:
            self.version = postgres.version(self._server.bin)
            self._check(self._settings[CONF], self._settings[CONF])
            self._server.start(self._settings)
            self._load(load)
            self._outside = Internet(self._server.port)
            self._turn_relay()
            if backend:
                self.start_backend(backend)
        except BaseException:
            self.close()
            raise

    def _load(self, load: Callable[[Connect], None]) -> None:
        try:
            load(self._server.connect)
        except (psycopg.Error, OSError) as error:
            why = _first_line(error)
            said = why + self._server.log.read_text(errors="replace")
            if "No space left on device" in said or not has_room(self._server.folder):
                why = "no space is left on the disk. Free some, or set TMPDIR to another folder"
            raise EngineFailed(
                f"The records of {self.name} could not be loaded: {why}. Then run this cell again."
            ) from error

    # -- the service in front -----------------------------------------------------------------

    def start_backend(
        self, files: Mapping[str, str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start an HTTP service beside the database; once in the life of a lab.

        Args:
            files: its code, as for :class:`leftopen.engines.backend.Backend`.
            environment: its variables; without a DATABASE_URL it goes to the database as the
                superuser, by TCP and without a password.
        """
        from leftopen.engines.backend import Backend

        self._backend_port = self._server.port
        url = f"postgresql://postgres@{loopback.HERE}:{self._backend_port}"
        self._backend = Backend(files, {"DATABASE_URL": url, **(environment or {})})

    @property
    def backend(self) -> "Backend | None":
        """The HTTP service that runs beside the database, or ``None``."""
        return self._backend

    # -- the two sides ------------------------------------------------------------------------

    @property
    def inside(self) -> Inside:
        """The operator's side: straight to the server."""
        return Inside(self._server.port, self._server.folder)

    # -- configuration ------------------------------------------------------------------------

    @property
    def config(self) -> str:
        """The server's postgresql.conf, as text, without the lab's part."""
        return self._settings[CONF]

    @property
    def hba(self) -> str:
        """The server's pg_hba.conf, as text, without the lab's line."""
        return self._settings[HBA]

    @property
    def config_folder(self) -> Path:
        """The server's data folder, with its configuration files and pki/ in it."""
        return self._server.data

    @property
    def added(self) -> str:
        """What the lab adds to the configuration, or puts in place of a part of it, and why."""
        own = lab_settings(self._server.folder, self._server.port)
        lines = "".join(f"{name} = '{value}'\n" for name, value in own.items())
        return f"{ADDED_WHY}{lines}{DOOR_WHY}{DOOR}\n"

    @property
    def certificates(self) -> Pki:
        """A CA of this lab's own and a certificate for the server: pki/ in the data folder."""
        return self._server.certificates

    def configure(
        self, text: str, file: str = CONF, replace: bool = False, restart: bool = True
    ) -> None:
        """Write into one of the server's configuration files, and let it take effect.

        A change of postgresql.conf restarts the server. A pg_hba.conf is read again by the server
        while it runs; it is always the whole file, because its order matters.

        Args:
            text: settings, in the form of a postgresql.conf. Settings that are not named stay as
                they are. Or a whole pg_hba.conf.
            file: ``"postgresql.conf"`` or ``"pg_hba.conf"``.
            replace: put the text in place of the whole postgresql.conf instead.
            restart: whether to restart the server after a change of postgresql.conf; without, the
                file has changed and the server has not.

        Raises:
            ConfigRefused: the text, or the server, does not allow it; the message says which line
                and why. The lab goes on with its last good configuration.
            EngineFailed: the lab was closed, or its disk is full.
        """
        self._must_be_open()
        text = conf.tidy(text)
        if file == HBA:
            self._configure_hba(text)
        elif file == CONF:
            self._configure(text, replace, restart)
        else:
            raise ConfigRefused(
                f"There is no configuration file named {file!r}. There is: {CONF}, {HBA}. "
                f"{conf.UNCHANGED}"
            )

    def _configure(self, text: str, replace: bool, restart: bool) -> None:
        whole = text if replace else _merge(self._settings[CONF], text)
        self._check(whole, text)
        settings = {**self._settings, CONF: whole}
        if restart:
            try:
                self._restart_with(settings)
            except Refused as error:
                raise self._refused(str(error), text, _places(text)) from None
        else:
            self._server.write(whole)
        self._settings = settings
        own = lab_settings(Path(), 0)
        named = [p.path[0] for p in _places(text)]
        if unused := [n for n in named if n in own and n != "listen_addresses"]:
            print(f"The lab keeps its own {', '.join(unused)}: what you wrote has no effect here.")

    def _configure_hba(self, text: str) -> None:
        settings = {**self._settings, HBA: text}
        if not self.is_running:
            self._restart_with(self._running)
        try:
            idle = self._server.load_hba(text, self._settings[HBA])
        except BadLine as error:
            line, words = error.args
            raise ConfigRefused(
                f"{conf.quote(text, line)}: PostgreSQL refuses this: {words}. {conf.UNCHANGED}"
            ) from None
        except psycopg.Error as error:
            raise EngineFailed(
                f"PostgreSQL does not let the operator in: {_first_line(error)}. {self._reopen} "
                "opens a new one."
            ) from None
        self._settings = settings
        self._running = {**self._running, HBA: text}
        for line, words in idle:
            print(f"{conf.quote(text, line)}: {words}.")

    def _check(self, whole: str, text: str) -> bool:
        """Whether a server with this postgresql.conf could be reached from the Internet.

        Args:
            whole: the file.
            text: the end of it that the learner wrote.

        Raises:
            ConfigRefused: PostgreSQL cannot read it.
        """
        try:
            told = self._server.ask("listen_addresses", whole)
        except Refused as error:
            before = len(whole.splitlines()) - len(text.splitlines())
            raise self._refused(_shift(str(error), before), text, _places(text)) from None
        entries = [entry.strip() for entry in told.split(",") if entry.strip()]
        return reaches_out(entries, self.program, "listen_addresses", text, _places(text))

    def _refused(self, words: str, text: str, places: list[conf.Place]) -> ConfigRefused:
        words = words.removeprefix(f"{self.program} did not start: ").rstrip(".")
        lines = [int(n) for n in re.findall(r" in file \"[^\"]*\" line (\d+)", words)]
        lines += [p.line for p in places if f'"{p.path[0]}"' in words]
        where = conf.quote(text, lines[0]) if lines else conf.blame(words, text, places)
        words = re.sub(r" in file \"[^\"]*\" line \d+", "", words)
        if _HBA_LINE.search(text):
            words += f'; this looks like a line of {HBA}, which takes file="{HBA}"'
        where = f"{where}: " if where else ""
        return ConfigRefused(f"{where}{self.program} refuses this: {words}. {conf.UNCHANGED}")

    def _reachable(self) -> bool:
        return self._check(self._running[CONF], "")

    def restart(self) -> None:
        """Start the server again with what its configuration files say; its data are kept.

        Raises:
            EngineFailed: it does not start, or its folder is gone: then open the case again.
        """
        self._must_be_open()
        self._restart_with(self._settings)

    def _turn_relay(self) -> None:
        super()._turn_relay()
        port = self._server.port
        if self._backend is not None and self._backend_port != port:
            url = self._backend.environment["DATABASE_URL"]
            self._backend.set_environment(
                DATABASE_URL=url.replace(f":{self._backend_port}", f":{port}")
            )
            self._backend_port = port

    # -- life ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the server and the service beside it, and remove all that they left here."""
        if self._backend is not None:
            self._backend.close()
        super().close()

    def _rows(self) -> list[tuple[str, str]]:
        rows = super()._rows()
        if not self.is_running:
            return rows
        if self._backend is not None:
            rows.append(("lab.backend.uri", self._backend.uri))
            rows.append(("lab.backend.outside.uri", self._backend.outside.uri))
        return [*rows, ("lab.hba", self.hba or "(empty)")]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _places(text: str) -> list[conf.Place]:
    """Where each setting of a postgresql.conf stands."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if setting := _SETTING.match(line):
            found.append(conf.Place((setting[1].lower(),), number, setting[2].strip("'")))
    return found


def _merge(below: str, above: str) -> str:
    """The settings of two postgresql.conf in one; where they differ the second holds."""
    new = {p.path[0] for p in _places(above)} - set(_MAY_REPEAT)
    gone = {p.line for p in _places(below) if p.path[0] in new}
    kept = [line for n, line in enumerate(below.splitlines(), start=1) if n not in gone]
    return "\n".join([*kept, *above.splitlines()])


def _shift(words: str, lines: int) -> str:
    """PostgreSQL's words with the lines of the learner's own text in place of the file's."""

    def moved(found: re.Match) -> str:
        return f"{found[1]}{int(found[2]) - lines}"

    return re.sub(r"( in file \"[^\"]*\" line )(\d+)", moved, words)
