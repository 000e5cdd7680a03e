"""An OpenSearch lab: one real node, the case's records in it, and the relay before it."""

import base64
import contextlib
import html
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from leftopen import loopback
from leftopen.engines import config as conf
from leftopen.engines import opensearch_home
from leftopen.engines.opensearch import (
    ADDED_WHY,
    TYPES,
    SearchServer,
    lab_settings,
    secured,
    speaks_tls,
)
from leftopen.engines.pki import Pki
from leftopen.errors import ConfigRefused, EngineFailed
from leftopen.lab import Lab, reaches_out
from leftopen.outside_http import Internet

# Names for the addresses that other machines see (OpenSearch, "Network settings").
_EVERYWHERE = ("_site_", "_global_")
_LOCAL = "_local_"
_HOSTS = {
    "http": ("http.bind_host", "http.host"),
    "transport": (
        "transport.profiles.default.bind_host",
        "transport.bind_host",
        "transport.host",
    ),
}
_BOTH = ("network.bind_host", "network.host")
_DEEP = ("config.yml", "audit.yml", "allowlist.yml")  # settings; the other files hold entries
_META = "_meta"
_SECURITY_INDEX = ".opendistro_security"


@dataclass(frozen=True)
class Inside:
    """The operator's side: the address of the server itself, as the driver wants it."""

    port: int
    uri: str


class SearchLab(Lab):
    """A running OpenSearch node of a case.

    Args:
        name: the name of the case.
        as_found: the opensearch.yml with which it begins, as text.
        load: a function that puts the records into the node, given a client that may do all.
        security: the security plugin's files with which it begins, as ``{"roles.yml": text}``;
            those that are left out stay as the plugin brings them.

    Raises:
        EngineMissing: there is no OpenSearch on this machine, or no Java.
        EngineFailed: the node does not start, or the records could not be loaded.
    """

    program = "OpenSearch"

    def __init__(
        self,
        name: str,
        as_found: str,
        load: Callable[[OpenSearch], None],
        security: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name)
        self._settings = conf.flatten(conf.parse(as_found, sections=False)[0])
        self._as_found = self._running = dict(self._settings)
        self._outside: Internet | None = None
        _reachable_doors(self._settings, "", [])
        self._server, runs = _take_parked(self._settings) or (SearchServer(), False)
        try:
            self.version = opensearch_home.version(self._server.home)
            self._write_security(dict(security or {}))
            if runs:
                self._empty()
            else:
                self._server.start(self._settings)
            self._load(load)
            self._outside = Internet(self._server.port)
            self._turn_relay()
        except BaseException:
            self.close()
            raise

    # -- the records --------------------------------------------------------------------------

    def _operator(self) -> OpenSearch:
        """A client that may do everything: with the admin certificate where there is security."""
        files = self._server.certificates
        options = {"ca_certs": str(files.ca)} if speaks_tls(self._running) else {}
        if options and secured(self._running):
            options |= {"client_cert": str(files.admin), "client_key": str(files.admin_key)}
        return OpenSearch(self.inside.uri, timeout=60, **options)

    def _load(self, load: Callable[[OpenSearch], None]) -> None:
        try:
            with quiet(), self._operator() as client:
                load(client)
        except (OpenSearchException, OSError) as error:
            why = self._server.last_words(0) or str(error)
            raise EngineFailed(
                f"The records of {self.name} could not be loaded: {why}. Then run this cell again."
            ) from error

    def _empty(self) -> None:
        """Bring a node that runs back to its beginning: no indices, the security files as given."""
        with quiet(), self._operator() as client:
            if secured(self._running):
                self._restore_security(client)
            client.cluster.put_settings(body={"persistent": {"*": None}, "transient": {"*": None}})
            client.indices.delete_index_template(name="*")
            mine = [row["index"] for row in client.cat.indices(format="json")]
            mine = [name for name in mine if not name.startswith(".")]
            if mine:
                client.indices.delete(index=",".join(mine))

    def _restore_security(self, client: OpenSearch) -> None:
        """Put the security plugin's files into its index, as securityadmin does, without a Java.

        It stores each file as JSON in Base64 and then asks for ``configupdate`` (the plugin's
        source, SecurityAdmin.java, 2.19).
        """
        for name, kind in TYPES.items():
            content = json.dumps(yaml.safe_load(self._server.security_file(name).read_text()))
            body = {kind: base64.b64encode(content.encode()).decode()}
            client.index(index=_SECURITY_INDEX, id=kind, body=body, refresh=True)
        update = "/_plugins/_security/configupdate"
        told = client.transport.perform_request(
            "PUT", update, params={"config_types": ",".join(TYPES.values())}
        )
        if told["_nodes"]["failed"]:
            raise EngineFailed("The node did not take its first accounts and roles again.")

    def _write_security(self, files: dict[str, str]) -> None:
        original = self._server.home / "config" / "opensearch-security"
        for name in TYPES:
            text = files.pop(name, None)
            text = (original / name).read_text() if text is None else text
            self._server.security_file(name).write_text(text)
        if files:
            raise ConfigRefused(_unknown_file(next(iter(files))))

    # -- the two sides ------------------------------------------------------------------------

    @property
    def inside(self) -> Inside:
        """The operator's side: straight to the node."""
        scheme = "https" if speaks_tls(self._running) else "http"
        port = self._server.port
        return Inside(port, f"{scheme}://{loopback.HERE}:{port}")

    # -- configuration ------------------------------------------------------------------------

    @property
    def added(self) -> str:
        """What the lab adds to the configuration, or puts in place of a part of it, and why."""
        own = lab_settings(self._server.folder, self._server.port, self._server.transport_port)
        return ADDED_WHY + conf.dump(own)

    @property
    def config_folder(self) -> Path:
        """The node's configuration folder: opensearch.yml, opensearch-security/, pki/."""
        return self._server.conf

    @property
    def snapshots(self) -> Path:
        """The folder (path.repo) in which the node may keep repositories of snapshots."""
        return self._server.folder / "snapshots"

    @property
    def certificates(self) -> Pki:
        """A CA of this lab's own, a certificate for the node, and the administrator's."""
        return self._server.certificates

    def configure(
        self,
        text: str,
        replace: bool = False,
        restart: bool = True,
        file: str = "opensearch.yml",
    ) -> None:
        """Write settings into one of the node's configuration files, and let them take effect.

        The node reads opensearch.yml when it starts, so it is restarted. The security plugin's
        files are read again by its own tool, securityadmin, while the node runs; before the plugin
        is switched on they are written, and read at its first start.

        Args:
            text: settings or entries, in YAML. What is not named stays as it is.
            replace: put the text in place of the whole file instead.
            restart: whether to restart the node after a change of opensearch.yml; without, the
                file has changed and the node has not.
            file: which file, as ``"roles.yml"``.

        Raises:
            ConfigRefused: the text, the node or the tool does not allow it; the message says why.
                The lab goes on with its last good configuration.
            EngineFailed: the lab was closed, or its disk is full.
        """
        self._must_be_open()
        text = conf.tidy(text)
        if file != "opensearch.yml":
            self._configure_security(file, text, replace)
            return
        nested, places = conf.parse(text, sections=False)
        places = [conf.Place(tuple(".".join(p.path).split(".")), p.line, p.value) for p in places]
        new = conf.flatten(nested)
        settings = new if replace else {**self._settings, **new}
        _reachable_doors(settings, text, places)
        if restart:
            try:
                self._restart_with(settings)
            except EngineFailed as error:
                raise self._refused(str(error), text, places) from None
        self._settings = settings
        if unused := [n for n in new if n in lab_settings(Path(), 0, 0) and n != "network.host"]:
            print(f"The lab keeps its own {', '.join(unused)}: what you wrote has no effect here.")

    def _configure_security(self, name: str, text: str, replace: bool) -> None:
        if name not in TYPES:
            raise ConfigRefused(_unknown_file(name))
        new, _ = conf.parse(text, sections=False)
        path = self._server.security_file(name)
        before = path.read_text()
        if not replace:
            there, _ = conf.parse(before, sections=False)
            text = conf.dump(conf.merge(there, new) if name in _DEEP else {**there, **new})
        elif _META not in new:
            there, _ = conf.parse(before, sections=False)
            text = conf.dump({_META: there[_META], **new})
        path.write_text(text)
        if not secured(self._running):
            return
        try:
            self._server.upload(name)
        except BaseException as error:
            path.write_text(before)
            if isinstance(error, ConfigRefused):
                raise ConfigRefused(
                    f"securityadmin does not take this {name}: {error}. {conf.UNCHANGED}"
                ) from None
            raise

    def _turn_relay(self) -> None:
        self._outside.scheme = "https" if speaks_tls(self._running) else "http"
        super()._turn_relay()

    def _reachable(self) -> bool:
        return "http" in _reachable_doors(self._running, "", [])

    @property
    def transport_is_exposed(self) -> bool:
        """Whether the configuration in force lets the Internet in at the door for other nodes.

        Nothing passes there in the lab, whose node keeps transport on loopback.
        """
        return "transport" in _reachable_doors(self._running, "", [])

    def restart(self) -> None:
        """Start the node again with what its configuration file says; its data are kept.

        Raises:
            EngineFailed: it does not start, or its folder is gone: then open the case again.
        """
        self._must_be_open()
        self._restart_with(self._settings)

    def retire(self) -> None:
        """Close this lab; its node goes to the next lab that begins with the same opensearch.yml.

        A start takes seconds, and emptying a node that runs takes two.
        """
        if self._closed or self._running != self._as_found or not self.is_running:
            self.close()
            return
        self._closed = True
        self._outside.close()
        _parked.append((self._server, self._as_found))

    # -- what a notebook shows ----------------------------------------------------------------

    def _repr_html_(self) -> str:
        shown = super()._repr_html_()
        if self.is_running:
            for uri in (self.inside.uri, self.outside.uri):
                link = f"<a href='{uri}/' target='_blank' rel='noopener'>{html.escape(uri)}</a>"
                shown = shown.replace(html.escape(uri), link, 1)
        return shown


_parked: list[tuple[SearchServer, dict]] = []  # one node at most


def _take_parked(settings: dict) -> tuple[SearchServer, bool] | None:
    """The node that an earlier lab left, if it runs with these settings; any other is closed."""
    if not _parked:
        return None
    server, its = _parked.pop()
    if its == settings and server.is_running():
        return server, True
    server.close()
    return None


_levels: list[int] = []  # of the driver's log, one for each `quiet` that is entered now
_levels_lock = threading.Lock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the driver from logging each refused request; also a decorator, as ``@quiet()``.

    Threads may be in it at once: the last one out gives the log its level back.
    """
    log = logging.getLogger("opensearch")
    with _levels_lock:
        _levels.append(log.level)
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        with _levels_lock:
            level = _levels.pop()
            if not _levels:
                log.setLevel(level)


def _unknown_file(name: str) -> str:
    return (
        f"There is no configuration file named {name!r}. There is: opensearch.yml, "
        f"{', '.join(TYPES)}. {conf.UNCHANGED}"
    )


def _reachable_doors(settings: dict, text: str, places: list[conf.Place]) -> set[str]:
    """The node's doors that could be reached from the Internet: "http", "transport".

    The address for clients is ``http.bind_host``, else ``http.host``, else those of ``network``,
    and that for other nodes in the same way, with its default profile first; the default is
    loopback (OpenSearch documentation, "Network settings"; TransportSettings.java).
    """
    found = set()
    for door, own in _HOSTS.items():
        name = next((name for name in (*own, *_BOTH) if name in settings), "network.host")
        said = settings.get(name, _LOCAL)
        entries = [entry.strip() for entry in (said if isinstance(said, list) else said.split(","))]
        hosts = [entry for entry in entries if entry != _LOCAL]
        if reaches_out(hosts, "OpenSearch", name, text, places, _EVERYWHERE):
            found.add(door)
    return found
