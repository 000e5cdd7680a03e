"""OpenSearch: one private node of it.

The learner's configuration is the engine's own: ``opensearch.yml`` and the security plugin's files.
What the lab must add is in :func:`lab_settings`, with the reasons in ``ADDED_WHY``.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from leftopen import loopback
from leftopen.engines import account, class_archive, java, opensearch_home
from leftopen.engines.config import dump
from leftopen.engines.pki import Pki, make_pki
from leftopen.engines.process import ServerProcess, disk
from leftopen.engines.waiting import Waiting
from leftopen.errors import ConfigRefused, EngineFailed

START_SECONDS = 120.0
HEAP_MB = 512
_LEAST_MEMORY_MB = 900  # the heap, and what Java takes beside it: 350 MB in all at rest
_PORT_TRIES = 5
_TOOL_SECONDS = 60.0
_SECURITY = "opensearch-security"

# What the node's log says on its way up, and what a learner is told of it.
_STEPS = (
    ("initializing ...", "its program is loaded"),
    ("using discovery type", "its parts are loaded"),
    ("] initialized", "it is set up"),
    ("publish_address", "its ports are open"),
    ("] started", "the node has started"),
)
# "Node 'node-1' initialized", says the plugin's ConfigurationRepository.
_HEALTHY = re.compile(r"status changed from \[RED\] to \[(YELLOW|GREEN)\]")
_RECOVERY_SECONDS = 30.0
_SECURITY_READY = re.compile(r"\] Node '[^']*' initialized")

ADDED_WHY = """\
# Added by the lab:
# network.host, the ports: a free port, and loopback alone, whatever network.host says; what it says
#   decides about the relay instead. discovery.type: one node is the whole cluster.
# path: private folders. disk.threshold_enabled: a node takes no more documents when the disk is
#   nearly full; on a laptop that is often so, and has nothing to do with the lesson.
# allow_default_init_securityindex: the security plugin reads its files at the first start.
# And in the call of Java: a heap of 512 MB, and a compiler that starts sooner.
"""

TYPES = {
    "internal_users.yml": "internalusers",
    "roles.yml": "roles",
    "roles_mapping.yml": "rolesmapping",
    "action_groups.yml": "actiongroups",
    "config.yml": "config",
    "audit.yml": "audit",
    "tenants.yml": "tenants",
    "nodes_dn.yml": "nodesdn",
    "allowlist.yml": "allowlist",
}
"""The security plugin's files, and what its own tool calls each."""


def lab_settings(folder: Path, http_port: int, transport_port: int) -> dict[str, str]:
    """What the lab puts into opensearch.yml, or in place of the learner's own settings.

    Args:
        folder: the private folder of this node.
        http_port: the loopback port for clients.
        transport_port: the loopback port for other nodes, of which there are none.
    """
    return {
        "network.host": loopback.HERE,
        "http.port": str(http_port),
        "transport.port": str(transport_port),
        "discovery.type": "single-node",
        "path.data": str(folder / "data"),
        "path.logs": str(folder / "logs"),
        "path.repo": str(folder / "snapshots"),
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "plugins.security.allow_default_init_securityindex": "true",
    }


# Settings that would take the node out of the lab's hands.
_NEVER = re.compile(
    r"(http|transport|network)\.(bind_host|publish_host|host|tcp\..*)|transport\.profiles\..*"
    r"|discovery\.seed.*|cluster\.initial.*|path\.(repo|shared_data)|bootstrap\..*|http\.publish_port"
)


def secured(settings: dict) -> bool:
    """Whether the security plugin works in a node of these settings."""
    disabled = settings.get("plugins.security.disabled", "false") == "true"
    return not disabled and settings.get("plugins.security.ssl_only", "false") != "true"


def speaks_tls(settings: dict) -> bool:
    """Whether clients reach a node of these settings by HTTPS."""
    disabled = settings.get("plugins.security.disabled", "false") == "true"
    return not disabled and settings.get("plugins.security.ssl.http.enabled", "false") == "true"


def refusal(printed: str) -> str:
    """The reason that an OpenSearch gives which did not start, from what it printed.

    The last error that nobody caught stands under "uncaught exception"; where it has an inner one,
    that follows as "Likely root cause".
    """
    _, found, rest = printed.rpartition("uncaught exception in thread [main]\n")
    lines = rest.splitlines() if found else printed.strip().splitlines()[-1:]
    root = [line for line in lines if line.startswith("Likely root cause: ")]
    words = (root or lines or ["it ended without a reason"])[0].removeprefix("Likely root cause: ")
    words = re.sub(r"^(?:[a-z]\w*\.)+[A-Z]\w*: ", "", words.strip())
    if wrapped := re.fullmatch(r"\w+Exception\[(.*?)\]?(?:; nested: .*)?", words):
        words = wrapped[1]
    return words.rstrip(". ")


class SearchServer:
    """One OpenSearch node on loopback, in a private folder, gone with this Python process.

    It does not start by itself: see :meth:`start`.

    Args:
        archive: whether Java writes its class archives, which takes it seconds at its end; see
            :mod:`leftopen.engines.opensearch_prepare`.

    Raises:
        EngineMissing: there is no OpenSearch, or no Java on which it runs.
        EngineFailed: there is too little memory, or no folder.
    """

    def __init__(self, archive: bool = False) -> None:
        self._archive = archive
        self.home = opensearch_home.find()
        self.java = java.find()
        self._account = account.for_servers()
        _check_memory()
        self.process = ServerProcess()
        try:
            self.folder = self.process.folder
            with disk():
                for name in ("data", "logs", "tmp", "snapshots"):
                    (self.folder / name).mkdir(mode=0o700)
                shutil.copytree(self.home / "config", self.conf)
                self.certificates: Pki = make_pki(self.conf / "pki")
            self.port, self.transport_port = self.process.new_ports(2)
        except BaseException:
            self.close()
            raise

    @property
    def conf(self) -> Path:
        """The node's configuration folder (OPENSEARCH_PATH_CONF)."""
        return self.folder / "conf"

    @property
    def log(self) -> Path:
        """The node's own log: text, one event a line, and Java's traces below some of them."""
        return self.folder / "output.log"

    def security_file(self, name: str) -> Path:
        """A file of the security plugin, as ``roles.yml``."""
        return self.conf / _SECURITY / name

    def start(self, settings: dict) -> None:
        """Start the node; return as soon as it answers, with its security plugin ready.

        Args:
            settings: the learner's opensearch.yml, flat.

        Raises:
            EngineFailed: it ended instead; the message has its own words.
        """
        for _ in range(_PORT_TRIES):
            words = self._try_start(settings)
            if words is None:
                return
            if "Failed to bind" not in words and "Address already in use" not in words:
                break
            self.port, self.transport_port = self.process.new_ports(2)  # another program was faster
        raise EngineFailed(f"OpenSearch did not start: {words}.")

    def _try_start(self, settings: dict) -> str | None:
        whole = {name: value for name, value in settings.items() if not _NEVER.fullmatch(name)}
        whole |= lab_settings(self.folder, self.port, self.transport_port)
        if settings.get("plugins.security.ssl_only") == "true":  # there is no such setting then
            whole.pop("plugins.security.allow_default_init_securityindex")
        whole = {"cluster.name": "leftopen", "node.name": "node-1"} | whole
        with disk():
            (self.conf / "opensearch.yml").write_text(dump(whole))
            self.log.touch()
            if self._account:
                self._account.give(self.folder)
                os.chown(self.folder / "keeper.lock", 0, 0)
        logged = self.log.stat().st_size
        self.process.start(self._command(), self.log, self._account)
        with Waiting("OpenSearch starts:", len(_STEPS) + 2) as bar:
            try:
                ended = not self.process.wait_until_accepting(
                    self.port, START_SECONDS, lambda: self._has_started(logged, bar)
                )
                if ended:
                    return refusal(self._logged(logged))
                if secured(settings):
                    self._wait_for_security(logged, bar)
                self._wait_for_indices(logged)
            except BaseException:
                self.process.stop(grace=1)
                raise
        return None

    def _command(self) -> list[str | Path]:
        """The call of Java, as OpenSearch's own start script makes it."""
        properties = {
            "java.io.tmpdir": self.folder / "tmp",
            "opensearch.path.home": self.home,
            "opensearch.path.conf": self.conf,
            "opensearch.distribution.type": "zip",
            "opensearch.bundled_jdk": "false",
            "opensearch.networkaddress.cache.ttl": "60",
            "opensearch.networkaddress.cache.negative.ttl": "10",
            "file.encoding": "UTF-8",
            "java.awt.headless": "true",
            "java.locale.providers": "SPI,COMPAT",
            "jna.nosys": "true",
            "io.netty.noUnsafe": "true",
            "io.netty.noKeySetOptimization": "true",
            "io.netty.recycler.maxCapacityPerThread": "0",
            "log4j.shutdownHookEnabled": "false",
            "log4j2.disable.jmx": "true",
        }
        if self.java.version >= 18:
            properties["java.security.manager"] = "allow"
        return [
            self.java.program,
            *self._class_archive(class_archive.NODE),
            f"-Xms{HEAP_MB}m",
            f"-Xmx{HEAP_MB}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # half the processor time of a start
            "-XX:+ExitOnOutOfMemoryError",
            *(f"-D{name}={value}" for name, value in properties.items()),
            "-cp",
            f"{self.home / 'lib'}{os.sep}*",
            "org.opensearch.bootstrap.OpenSearch",
        ]

    def _class_archive(self, program: str) -> list[str]:
        if self._archive:
            return [f"-XX:ArchiveClassesAtExit={self.folder / 'tmp' / program}"]
        return class_archive.options(self.home, self.java, program)

    def _logged(self, since: int) -> str:
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")
        return ""

    def _has_started(self, since: int, bar: Waiting) -> bool:
        log = self._logged(since)
        for number, (mark, words) in enumerate(_STEPS, start=1):
            if mark in log:
                bar.reach(number, words)
        return _STEPS[-1][0] in log

    def _wait_for_security(self, since: int, bar: Waiting) -> None:
        """Wait until the security plugin has read its files; it refuses everybody before."""
        bar.reach(len(_STEPS) + 1, "the security plugin reads its files")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            log = self._logged(since)
            if _SECURITY_READY.search(log):
                return
            if failed := re.search(r"Cannot apply default config.*|.*cannot be parsed.*", log):
                raise EngineFailed(f"OpenSearch did not start: {failed[0].strip()}.")
            if not self.process.is_running():
                raise EngineFailed(f"OpenSearch did not start: {refusal(log)}.")
            time.sleep(0.02)
        raise EngineFailed("OpenSearch did not start: its security plugin did not read its files.")

    def _wait_for_indices(self, since: int) -> None:
        """Wait until the indices of an earlier start can be searched again."""
        deadline = time.monotonic() + _RECOVERY_SECONDS
        while time.monotonic() < deadline:
            log = self._logged(since)
            recovered = re.search(r"recovered \[(\d+)\] indices", log)
            if recovered and (recovered[1] == "0" or _HEALTHY.search(log)):
                return
            time.sleep(0.02)

    def upload(self, name: str) -> None:
        """Let the running node read a file of the security plugin again.

        It is done by the plugin's own tool, ``securityadmin``, with the admin certificate.

        Args:
            name: the file, as ``roles.yml``.

        Raises:
            ConfigRefused: the tool or the node refuses it; the message has its words.
        """
        what = ["-f", self.security_file(name), "-t", TYPES[name]]
        plugin = self.home / "plugins" / _SECURITY
        command = [
            self.java.program, *self._class_archive(class_archive.TOOL),
            "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            "-Dorg.apache.logging.log4j.simplelog.StatusLogger.level=OFF",
            "-cp", os.pathsep.join(f"{folder}{os.sep}*" for folder in (plugin, self.home / "lib")),
            "org.opensearch.security.tools.SecurityAdmin", *what, "-icl",
            "-h", loopback.HERE, "-p", str(self.port), "-cacert", self.certificates.ca,
            "-cert", self.certificates.admin, "-key", self.certificates.admin_key,
        ]  # fmt: skip
        try:
            told = subprocess.run(
                command, capture_output=True, text=True, timeout=_TOOL_SECONDS, cwd=self.folder
            )
        except subprocess.TimeoutExpired:
            raise ConfigRefused("securityadmin did not finish within a minute") from None
        if told.returncode != 0 or "Done with success" not in told.stdout:
            raise ConfigRefused(
                _tool_words(told.stdout.replace(f"{self.conf / _SECURITY}{os.sep}", ""))
            )

    def stop(self) -> None:
        """Stop the node in good order; its data stay for the next start."""
        self.process.stop()

    def last_words(self, seconds: float = 5.0) -> str:
        """Why a node that has ended by itself did so; empty if it runs on after ``seconds``."""
        deadline = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() > deadline:
                return ""
            time.sleep(0.02)
        return refusal(self._logged(0))

    def is_running(self) -> bool:
        """Whether the node runs."""
        return self.process.is_running()

    def close(self) -> None:
        """End the node and remove its folder. Safe to call twice."""
        self.process.close()


def _tool_words(printed: str) -> str:
    """What securityadmin says of a failure: the lines that begin with FAIL or ERR."""
    lines = [line.strip() for line in printed.splitlines()]
    bad = [line for line in lines if line.startswith(("FAIL", "ERR"))]
    words = [re.sub(r"^(FAIL|ERR): ?", "", line) for line in bad]
    words = [re.sub(r"(?:[a-z]\w*\.){2,}[A-Z]\w*: ", "", line) for line in words]
    if any("is not an admin user" in line for line in words):
        words.append("plugins.security.authcz.admin_dn must be a list that names the certificate")
    return "; ".join(dict.fromkeys(words)) or (lines[-1] if lines else "securityadmin says nothing")


def _check_memory() -> None:
    import psutil

    free = psutil.virtual_memory().available // 2**20
    if free < _LEAST_MEMORY_MB:
        raise EngineFailed(
            f"OpenSearch takes some {_LEAST_MEMORY_MB} MB of memory, and {free} MB are free. Close "
            "other notebooks and programs, then run this cell again."
        )
