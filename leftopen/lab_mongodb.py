"""A MongoDB lab: one real mongod, the case's records in it, and the relay before it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, PyMongoError

from leftopen.engines import config as conf
from leftopen.engines.config import dump
from leftopen.engines.mongodb import ADDED_WHY, MongoServer, lab_settings, recall, version
from leftopen.engines.pki import Pki, make_pki
from leftopen.engines.process import has_room
from leftopen.errors import ConfigRefused, EngineFailed
from leftopen.lab import Lab, line_of, reaches_out
from leftopen.outside import Outside

# A client waits 30 s by default before it says that it reaches no server; on one machine that
# only looks like a notebook that hangs.
_SELECTION_MS = 2000


def _uri(port: int, options: str = "") -> str:
    return (
        f"mongodb://127.0.0.1:{port}/?directConnection=true"
        f"&serverSelectionTimeoutMS={_SELECTION_MS}{options}"
    )


def _with_account(uri: str, account: str, password: str, source: str) -> str:
    """A connection string with an account in it, percent-encoded (RFC 3986, section 2.1)."""
    login = f"{quote_plus(account)}:{quote_plus(password)}@"
    return f"{uri.replace('mongodb://', f'mongodb://{login}', 1)}&authSource={quote_plus(source)}"


@dataclass(frozen=True)
class Inside:
    """The operator's side: the address of the server itself, as the driver wants it."""

    port: int
    uri: str

    def uri_as(self, account: str, password: str, source: str = "admin") -> str:
        """The address with an account in it; ``source`` is the database in which it was made."""
        return _with_account(self.uri, account, password, source)


class Internet(Outside):
    """The stranger's side: the relay, with its address as the driver wants it."""

    @property
    def uri(self) -> str:
        """An address and nothing else, which is all that a stranger has."""
        return _uri(self.port)

    def uri_as(self, account: str, password: str, source: str = "admin") -> str:
        """The address with an account in it; ``source`` is the database in which it was made."""
        return _with_account(self.uri, account, password, source)


class MongoLab(Lab):
    """A running mongod of a case.

    Args:
        name: the name of the case.
        as_found: the configuration in which the case was found, as the text of a mongod.conf.
        load: a function that puts the records and the accounts into the server, given a client.
            It runs before ``security`` holds, so that it needs no login. In a lab that begins
            like an earlier one (:func:`leftopen.engines.kept.same`) it need not run again.

    Raises:
        EngineMissing: there is no mongod on this machine.
        EngineFailed: mongod does not start, or the records could not be loaded.
    """

    program = "mongod"

    def __init__(self, name: str, as_found: str, load: Callable[[MongoClient], None]) -> None:
        super().__init__(name)
        self._settings, places = conf.parse(as_found)
        self._as_found = self._settings
        self._pki: Pki | None = None
        self._outside: Internet | None = None
        unlocked = {k: v for k, v in self._settings.items() if k != "security"}
        is_locked = unlocked != self._settings
        files = recall(self._settings) if is_locked else None
        self._server = MongoServer(self._settings if files else unlocked, files)
        try:
            self.version = version(self._server.mongod)
            self._running = self._server.effective(self._settings)
            if files is None:
                self._load(load)
            if files is None and is_locked:
                self._server.stop()
                self._server.keep(self._settings)
                self._restart_with(self._running)
            _reachable_from_outside(self._running, as_found, places)
            self._outside = Internet(self._server.port)
            self._turn_relay()
        except BaseException:
            self.close()
            raise

    def _load(self, load: Callable[[MongoClient], None]) -> None:
        try:
            with MongoClient(_uri(self._server.port)) as client:
                load(client)
        except (PyMongoError, OSError) as error:
            why = self.why(error)
            if "No space left on device" in why or not has_room(self._server.folder):
                why = "no space is left on the disk. Free some, or set TMPDIR to another folder"
            raise EngineFailed(
                f"The records of {self.name} could not be loaded: {why}. Then run this cell again."
            ) from error

    def why(self, error: Exception) -> str:
        """Why a client's call failed: the server's last words if it has ended, else the error's.

        Args:
            error: what the client raised.
        """
        lost = isinstance(error, ConnectionFailure)
        return (self._server.last_words() if lost else "") or str(error)

    # -- the two sides ------------------------------------------------------------------------

    @property
    def inside(self) -> Inside:
        """The operator's side: straight to the server, with the lab's CA once TLS is on."""
        options = ""
        if conf.get(self._running, "net.tls.mode", "disabled") in ("requireTLS", "preferTLS"):
            ca = conf.get(self._running, "net.tls.CAFile") or (self._pki and self._pki.ca)
            options = f"&tls=true&tlsCAFile={ca}" if ca else "&tls=true"
        return Inside(self._server.port, _uri(self._server.port, options))

    # -- configuration ------------------------------------------------------------------------

    @property
    def effective(self) -> dict:
        """What the running mongod understood of its configuration, as nested dictionaries."""
        return self._running

    @property
    def added(self) -> str:
        """What the lab adds to the configuration, or puts in place of a part of it, and why."""
        return ADDED_WHY + dump(lab_settings(self._server.folder, self._server.port))

    @property
    def certificates(self) -> Pki:
        """A CA of this lab's own and a certificate for the server, as PEM files, made once."""
        if self._pki is None:
            self._pki = make_pki(self._server.folder / "pki")
        return self._pki

    def configure(self, text: str, replace: bool = False, restart: bool = True) -> None:
        """Write settings into the server's configuration file and restart it for real.

        Args:
            text: settings in the form of a mongod.conf (YAML). Settings that are not named stay
                as they are. Where the lab keeps its own, as for the port, it prints so.
            replace: put the text in place of the whole file instead.
            restart: whether to restart the server. mongod reads its file only when it starts, so
                without a restart the file has changed and the server has not.

        Raises:
            ConfigRefused: the text, or the server, does not allow it; the message says which line
                and why. The lab goes on with its last good configuration.
            EngineFailed: the lab was closed, or its disk is full.
        """
        self._must_be_open()
        text = conf.tidy(text)
        new, places = conf.parse(text)
        settings = new if replace else conf.merge(self._settings, new)
        if conf.get(new, "net.bindIp") and not conf.get(new, "net.bindIpAll"):
            # The two exclude each other (MongoDB manual): the one written last is meant.
            conf.delete(settings, ("net", "bindIpAll"))
        try:
            effective = self._server.effective(settings)
        except EngineFailed as error:
            raise self._refused(str(error), text, places) from None
        _check_port(effective, text, places)
        _reachable_from_outside(effective, text, places)
        if restart:
            try:
                self._restart_with(effective)
            except EngineFailed as error:
                raise self._refused(str(error), text, places) from None
        self._settings = settings
        if unused := _without_effect(places):
            print(f"The lab keeps its own {', '.join(unused)}: what you wrote has no effect here.")

    def _reachable(self) -> bool:
        return _reachable_from_outside(self._running, "", [])

    def restart(self) -> None:
        """Start the server again with what its configuration file says; its data are kept.

        Raises:
            EngineFailed: it does not start, or its folder is gone: then open the case again.
        """
        self._must_be_open()
        self._restart_with(self._server.effective(self._settings))


def _check_port(effective: dict, text: str, places: list[conf.Place]) -> None:
    # The lab chooses the port itself, so mongod never sees this one. It would refuse the same
    # values: "bad --port number".
    port = conf.get(effective, "net.port", "27017")
    if not 0 <= int(port) <= 65535:
        raise ConfigRefused(
            f"{line_of('net.port', text, places)}{port} is not a port; "
            f"a port is a number from 0 to 65535. {conf.UNCHANGED}"
        )


def _reachable_from_outside(effective: dict, text: str, places: list[conf.Place]) -> bool:
    """Whether ``net.bindIp`` would let the Internet in.

    The default is localhost (MongoDB manual, "Configuration File Options").
    """
    entries = [entry.strip() for entry in conf.get(effective, "net.bindIp", "localhost").split(",")]
    hosts = [entry for entry in entries if not entry.startswith("/")]  # the path of a Unix socket
    return reaches_out(hosts, "mongod", "net.bindIp", text, places)


def _without_effect(places: list[conf.Place]) -> list[str]:
    """The settings in a text in whose place the lab puts its own."""
    own = lab_settings(Path(), 0)
    return [
        ".".join(p.path)
        for p in places
        if p.value
        and p.path != ("net", "bindIp")
        and (conf.get(own, ".".join(p.path)) or p.path[:1] == ("processManagement",))
    ]
