"""PostgreSQL: one private server of it.

The learner's configuration is the engine's own: ``postgresql.conf`` and ``pg_hba.conf``. What the
lab must add is in :func:`lab_settings` and ``DOOR``, with the reasons in ``ADDED_WHY``.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from leftopen import loopback
from leftopen.engines import account, postgres, postgres_template
from leftopen.engines.pki import Pki, make_pki
from leftopen.engines.process import ServerProcess, disk
from leftopen.errors import EngineFailed

START_SECONDS = 60.0
CONF, HBA = "postgresql.conf", "pg_hba.conf"
CONNECT_SECONDS = 3
_PORT_TRIES = 5
# Of `clientcert=1`, which was right up to version 11, its view says neither a type nor an error.
_MUTE = "an option behind the method has a value that it does not know"
_TOOL_SECONDS = 60.0
_RELOAD_SECONDS = 10.0
_LONGEST_SOCKET = 103  # bytes of a socket's path, on macOS; Linux takes 107 (unix(4), unix(7))

ADDED_WHY = """\
# Added by the lab, in the call of postgres, where it goes before every file:
# port, listen_addresses, bonjour: a free port, and loopback alone, whatever listen_addresses says;
#   what it says decides about the relay instead.
# unix_socket_*, hba_file, ident_file, external_pid_file: private folders.
# log_destination, logging_collector, lc_messages: one log, in English, which lab.log names.
# fsync, full_page_writes: nothing waits for the disk, since the data go with the lab.
# max_wal_size, shared_buffers, dynamic_shared_memory_type: little disk, little memory, and no
#   shared memory that a killed server would leave behind.
"""
DOOR_WHY = """\
# And above the first line of pg_hba.conf, so that the operator is let in whatever stands below it:
# the account of this notebook, on this machine, through the socket. Debian has such a line too.
"""
# How the server knows the operator: by the account of the process at the other end of the socket.
DOOR = "local all postgres " + ("peer map=lab" if os.name == "posix" else "trust")
DOOR_LINES = 2  # by so many the server's own line numbers of pg_hba.conf exceed the learner's


def lab_settings(folder: Path, port: int) -> dict[str, str]:
    """What the lab puts in place of the learner's own settings.

    Args:
        folder: the private folder of this server.
        port: the loopback port that the server is to use.
    """
    return {
        "port": str(port),
        "listen_addresses": loopback.HERE,
        "bonjour": "off",
        "unix_socket_directories": str(folder),
        "unix_socket_permissions": "0700",
        "hba_file": str(folder / "data" / HBA),
        "ident_file": str(folder / "data" / "pg_ident.conf"),
        "external_pid_file": "",
        "log_destination": "stderr",
        "logging_collector": "off",
        "lc_messages": "C",
        "fsync": "off",
        "full_page_writes": "off",
        "max_wal_size": "64MB",
        "shared_buffers": "32MB",
        "dynamic_shared_memory_type": "mmap",
    }


def socket_uri(folder: Path, port: int, database: str) -> str:
    """The operator's address of a database: through the socket in the server's folder."""
    return (
        f"postgresql://postgres@/{quote(database, safe='')}"
        f"?host={quote(str(folder))}&port={port}&connect_timeout={CONNECT_SECONDS}"
    )


def refusal(printed: str) -> str:
    """The reason that a postgres which did not start gives, from what it printed.

    What is wrong in a file it logs as LOG, and ends with a FATAL that says no more than that
    (PostgreSQL manual, "Message Severity Levels"); any other FATAL says why itself.
    """
    entries: list[list[str]] = []
    for line in printed.splitlines():
        if found := _ENTRY.search(line):
            severity, words = found[1], found[2].rstrip(".")
            if severity in ("HINT", "DETAIL", "CONTEXT"):
                if entries:
                    entries[-1].append(words)
            else:
                entries.append([severity, words])
    fatal = [e for e in entries if e[0] in ("FATAL", "PANIC") and not _EMPTY.search(e[1])]
    wrong = [e for e in entries if e[0] in ("LOG", "WARNING", "ERROR") and not _NOISE.match(e[1])]
    reasons = [". ".join(words) for _, *words in fatal or wrong]
    if not reasons:
        reasons = [line.strip() for line in printed.splitlines() if line.strip()][-1:]
    return "; ".join(dict.fromkeys(reasons)) or "it ended without a reason"


_ENTRY = re.compile(r"\b(LOG|WARNING|ERROR|FATAL|PANIC|HINT|DETAIL|CONTEXT): {2}(.*)")
_EMPTY = re.compile(r"contains errors$|^could not load .*(hba|ident)")
_NOISE = re.compile(
    r"skipping missing|starting PostgreSQL|listening on|database system|redo |checkpoint "
    r"|received |aborting|background worker|shutting down|invalid record length|all server proc"
)


class PostgresServer:
    """One PostgreSQL on loopback, in a private folder, gone with this Python process.

    It does not start by itself: see :meth:`start`.

    Raises:
        EngineMissing: there is no PostgreSQL that the lessons can use.
        EngineFailed: no cluster could be made; the message has initdb's own words.
    """

    def __init__(self) -> None:
        self.bin = postgres.find()
        self._account = account.for_servers()
        self._environment = postgres.environment()
        self.process = ServerProcess()
        try:
            self.folder = self.process.folder
            (self.port,) = self.process.new_ports(1)
            self._check_path()
            with disk():
                self.log.touch(0o600)
                if self._account:
                    self._account.give(self.folder)
                    os.chown(self.folder / "keeper.lock", 0, 0)
                self._make_cluster()
                (self.data / "pki").mkdir(0o700)
            self.certificates: Pki = make_pki(self.data / "pki")
            self._write("pg_ident.conf", _ident())
            self._give(self.data)
        except BaseException:
            self.close()
            raise

    @property
    def data(self) -> Path:
        """The data folder; the configuration files are in it."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's own log, as text."""
        return self.folder / "postgresql.log"

    def _check_path(self) -> None:
        socket = self.folder / f".s.PGSQL.{self.port}"
        if len(os.fsencode(socket)) > _LONGEST_SOCKET:
            raise EngineFailed(
                f"The name of the folder {self.folder} is too long for PostgreSQL's socket. Set "
                "TMPDIR to a shorter one, as /tmp, then run this cell again."
            )

    def _make_cluster(self) -> None:
        template = postgres_template.place(self.bin, postgres.version(self.bin))
        if postgres_template.copy(template, self.data):
            return
        program = self.bin / "initdb"
        argv = [program, *postgres_template.OPTIONS, "-D", self.data]
        self.process.start(argv, self.log, self._account, self._environment)
        self.process.wait_until(lambda: False, START_SECONDS)
        if self.process.exit_code() != 0:
            said = re.search(r"(?:FATAL|error): +(.*)", self.log.read_text(errors="replace"))
            raise EngineFailed(
                f"initdb could not make a cluster: {said[1] if said else 'it does not say why'}. "
                "Free some disk space, or set TMPDIR to another folder, then run this cell again."
            )
        self.log.write_text("")
        postgres_template.keep(self.data, template)

    def _give(self, path: Path) -> None:
        if self._account:
            self._account.give(path)

    def _write(self, name: str, text: str) -> None:
        """Write a file whole, or leave the earlier one."""
        new = self.data / f"{name}.new"
        try:
            with disk():
                new.write_text(text)
                new.chmod(0o600)
                if self._account:
                    os.chown(new, self._account.uid, self._account.gid)
                new.replace(self.data / name)
        finally:
            new.unlink(missing_ok=True)

    # -- configuration ------------------------------------------------------------------------

    def ask(self, setting: str, conf: str) -> str:
        """Let postgres itself read a postgresql.conf, and say what a setting is in it.

        It is its own option ``-C``: read, print, end. Whether files that are named can be used is
        found out by the start itself.

        Args:
            setting: the name of the setting.
            conf: the text of the file.

        Raises:
            Refused: with PostgreSQL's own words, when it does not take the file.
            EngineFailed: the disk is full.
        """
        self._write("candidate.conf", conf)
        candidate = self.data / "candidate.conf"
        program = self.bin / "postgres"
        told = subprocess.run(
            [program, "-C", setting, "-D", self.data, "-c", f"config_file={candidate}"],
            capture_output=True,
            text=True,
            timeout=_TOOL_SECONDS,
            env=self._environment,
        )
        candidate.unlink(missing_ok=True)
        if told.returncode != 0:
            raise Refused(refusal(told.stderr))
        return told.stdout.strip()

    def write(self, conf: str) -> None:
        """Write the learner's postgresql.conf, and nothing more."""
        self._write(CONF, conf)

    def load_hba(self, hba: str, before: str) -> list[tuple[int, str]]:
        """Let the running server read a pg_hba.conf, if it can.

        Args:
            hba: the learner's text.
            before: the text that is to stay if the server cannot read the new one.

        Returns:
            Lines that it reads but that match nobody, and why.

        Raises:
            BadLine: a line cannot be read.
        """
        with self.connect("postgres") as connection:
            try:
                self._write(HBA, _below_door(hba))
                rows = connection.execute(
                    "SELECT line_number, error, type FROM pg_hba_file_rules "
                    "WHERE error IS NOT NULL OR type IS NULL ORDER BY line_number"
                ).fetchall()
                found = [(line - DOOR_LINES, error or _MUTE, kind) for line, error, kind in rows]
                if unread := [(line, error) for line, error, kind in found if kind is None]:
                    raise BadLine(*unread[0])
                self._reload(connection)
            except BaseException:
                self._write(HBA, _below_door(before))
                raise
        return [(line, error) for line, error, _ in found]

    def _reload(self, connection: psycopg.Connection) -> None:
        """Let the server read its files again, and wait until it has."""
        asked = "SELECT pg_conf_load_time()"
        before = connection.execute(asked).fetchone()
        connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + _RELOAD_SECONDS
        # The server reads pg_hba.conf in the same go, before it accepts another connection.
        while connection.execute(asked).fetchone() == before and time.monotonic() < deadline:
            time.sleep(0.005)

    # -- life ---------------------------------------------------------------------------------

    def start(self, files: dict[str, str]) -> None:
        """Start postgres with its configuration; return as soon as it accepts connections.

        Args:
            files: the learner's text of postgresql.conf and of pg_hba.conf.

        Raises:
            Refused: it ended instead; the message has its own words.
            EngineFailed: the disk is full, or the machine too busy.
        """
        self._write(CONF, files[CONF])
        self._write(HBA, _below_door(files[HBA]))
        for _ in range(_PORT_TRIES):
            words = self._try_start()
            if words is None:
                return
            if "Address already in use" in words or "any TCP/IP sockets" in words:
                (self.port,) = self.process.new_ports(1)  # another program was faster
            elif "still in use" in words or "already exists" in words:
                time.sleep(0.5)  # processes of a server that was killed are about to end
            else:
                break
        raise Refused(f"PostgreSQL did not start: {words}.")

    def _try_start(self) -> str | None:
        self.log.touch(0o600)  # somebody may have removed it
        logged = self.log.stat().st_size
        settings = lab_settings(self.folder, self.port)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process.start(
            [self.bin / "postgres", "-D", self.data, *options],
            self.log,
            self._account,
            self._environment,
            # Fast and immediate shutdown (PostgreSQL manual, "Shutting Down the Server"): SIGTERM
            # would wait for every client, and SIGKILL leaves shared memory behind.
            (signal.SIGINT, signal.SIGQUIT) if os.name == "posix" else None,
        )
        if self.process.wait_until(self._is_ready, START_SECONDS):
            return None
        with self.log.open(errors="replace") as log:
            log.seek(logged)
            return refusal(log.read())

    def _is_ready(self) -> bool:
        """Whether postgres says so in the last line of its postmaster.pid, as pg_ctl looks."""
        with contextlib.suppress(OSError, ValueError, IndexError):  # it is written line by line
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]) == self.process.pid and lines[-1].strip() == "ready"
        return False

    def connect(self, database: str) -> psycopg.Connection:
        """A connection of the operator's, in which each statement holds at once.

        Raises:
            psycopg.Error: the server does not take it.
        """
        return psycopg.connect(socket_uri(self.folder, self.port, database), autocommit=True)

    def stop(self) -> None:
        """Stop postgres in good order; its data stay for the next start."""
        self.process.stop()

    def is_running(self) -> bool:
        """Whether postgres runs."""
        return self.process.is_running()

    def close(self) -> None:
        """End postgres and remove its folder. Safe to call twice."""
        self.process.close()


class Refused(EngineFailed):
    """PostgreSQL itself does not take its configuration, or does not start."""


class BadLine(Exception):
    """A line of a pg_hba.conf that the server cannot read: its number, from 1, and its words."""


def _below_door(hba: str) -> str:
    return f"# The lab's own line; see lab.added. Yours begin below it.\n{DOOR}\n{hba}\n"


def _ident() -> str:
    """A pg_ident.conf that lets the notebook's own account in as postgres."""
    if os.name != "posix":
        return ""
    import pwd

    with contextlib.suppress(KeyError):
        return f'lab "{pwd.getpwuid(os.geteuid()).pw_name}" postgres\n'
    raise EngineFailed(
        "This notebook's account has no name, and PostgreSQL knows its operator by that name. "
        "Start JupyterLab under an ordinary account."
    )
