"""Java's class archives for OpenSearch, made once: later starts take half of the time."""

from leftopen.engines import class_archive, java, opensearch_home
from leftopen.engines.opensearch import SearchServer

_STOP_SECONDS = 55.0  # Java writes the archive at its end
_PEM = "plugins.security.ssl.{}.pem{}_filepath"
_FILES = {"cert": "pki/server.pem", "key": "pki/server-key.pem", "trustedcas": "pki/ca.pem"}
_SECURED = {
    _PEM.format(layer, name): file
    for layer in ("transport", "http")
    for name, file in _FILES.items()
} | {
    "plugins.security.ssl.http.enabled": "true",
    "plugins.security.authcz.admin_dn": ["CN=admin,O=Left Open lab"],
}


def prepare() -> None:
    """Let Java keep the classes of a node and of securityadmin; a second call does nothing.

    A node with its security plugin on is started for it, and stopped: half a minute, and 125 MB on
    disk, once.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.engines.opensearch.SearchServer`.
        OSError: the cache folder cannot be written.
    """
    home, runtime = opensearch_home.find(), java.find()
    programs = (class_archive.NODE, class_archive.TOOL)
    if all(class_archive.path(home, runtime, program).is_file() for program in programs):
        return
    server = SearchServer(archive=True)
    try:
        server.start(_SECURED)
        server.upload("roles.yml")
        server.process.stop(grace=_STOP_SECONDS)
        for program in programs:
            class_archive.keep(server.folder / "tmp" / program, home, runtime, program)
    finally:
        server.close()
