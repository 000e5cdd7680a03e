"""The server's configuration file, in whichever names it is written.

OpenSearch's security plugin names its settings ``plugins.security``; before that they were
``opendistro_security``. Elasticsearch's own are named ``xpack.security`` (both manuals, "Security
settings"). What is common to both, as ``network.host`` and ``http.cors``, came from one project and
has one name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from leftopen.engines import config as conf
from leftopen.errors import ConfigRefused, LeftOpenError

Value = str | list[str]
_OLD, _PLUGIN = "opendistro_security.", "plugins.security."
SPELLINGS: dict[str, tuple[str, ...]] = {
    "tls": ("plugins.security.ssl.http.enabled", "xpack.security.http.ssl.enabled"),
    "protocols": (
        "plugins.security.ssl.http.enabled_protocols",
        "xpack.security.http.ssl.supported_protocols",
    ),
    "cors": ("http.cors.enabled",),
    "cors-origin": ("http.cors.allow-origin",),
    "cors-credentials": ("http.cors.allow-credentials",),
    "host": ("http.bind_host", "http.host", "network.bind_host", "network.host"),
    "transport-host": (
        "transport.profiles.default.bind_host",
        "transport.bind_host",
        "transport.host",
        "network.bind_host",
        "network.host",
    ),
    "anonymous-roles": ("xpack.security.authc.anonymous.roles",),
    "admin-dn": ("plugins.security.authcz.admin_dn",),
    "nodes-dn": ("plugins.security.nodes_dn",),
    "api-roles": ("plugins.security.restapi.roles_enabled",),
    "demo-allowed": ("plugins.security.allow_unsafe_democertificates",),
    "authorities": (
        "plugins.security.ssl.http.pemtrustedcas_filepath",
        "xpack.security.http.ssl.certificate_authorities",
    ),
    "audit-type": ("plugins.security.audit.type",),
    "audit-on": ("xpack.security.audit.enabled",),
    "audit-index": ("plugins.security.audit.config.index",),
    "audit-bodies": ("xpack.security.audit.logfile.events.emit_request_body",),
}
"""What a check asks for, and how the two products write it, in the order in which they hold."""
# Off in one word: the name of the setting, and the value that means off.
_OFF = {
    "plugins.security.disabled": "true",
    "plugins.security.ssl_only": "true",
    "xpack.security.enabled": "false",
}


@dataclass(frozen=True)
class Said:
    """What a configuration says: the values, and the line as it may be shown."""

    values: tuple[str, ...]
    told: str

    @property
    def first(self) -> str:
        """The first value, in lower case."""
        return self.values[0].strip().lower() if self.values else ""

    @property
    def is_on(self) -> bool:
        """Whether it says yes."""
        return self.first == "true"


@dataclass(frozen=True)
class Settings:
    """Settings under their dotted names, and the name of the place where they stand."""

    label: str
    values: dict[str, Value] = field(repr=False)

    def said(self, what: str) -> Said | None:
        """What is said of one of :data:`SPELLINGS`, or ``None`` where nothing is."""
        for name in SPELLINGS[what]:
            for spelling in _spellings(name):
                if spelling in self.values:
                    return _said(self.label, spelling, self.values[spelling])
        return None

    @property
    def off(self) -> Said | None:
        """The setting that switches all logins off, where one does."""
        for name, off in _OFF.items():
            for spelling in _spellings(name):
                if spelling in self.values:
                    said = _said(self.label, spelling, self.values[spelling])
                    if said.first == off:
                        return said
        return None


def _spellings(name: str) -> Iterator[str]:
    yield name
    if name.startswith(_PLUGIN):
        yield _OLD + name.removeprefix(_PLUGIN)


def _said(label: str, name: str, value: Value) -> Said:
    values = value if isinstance(value, list) else str(value).strip("[]").split(",")
    if name.endswith("_dn"):  # a name holds commas of its own
        values = value if isinstance(value, list) else [str(value)]
    shown = ", ".join(str(v).strip() for v in values)
    return Said(tuple(str(v).strip() for v in values), f"{label} → {name}: {shown}")


def from_text(text: str, label: str) -> Settings:
    """Read the text of an opensearch.yml or elasticsearch.yml.

    Raises:
        LeftOpenError: it is no YAML; the message names the line.
    """
    try:
        nested, _ = conf.parse(text, sections=False)
    except ConfigRefused as error:
        why = str(error).removesuffix(conf.UNCHANGED).strip()
        raise LeftOpenError(f"{label} cannot be read: {why}") from None
    return Settings(label, conf.flatten(nested))


def from_file(path: str | Path) -> Settings:
    """Read a configuration file of this machine.

    Raises:
        LeftOpenError: it cannot be read, or is no YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LeftOpenError(f"{path} cannot be read: {error}. Correct the path.") from None
    return from_text(text, Path(path).name)
