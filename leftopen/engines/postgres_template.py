"""An empty PostgreSQL cluster, made once by initdb and copied for each lab.

initdb takes a second, a copy a tenth of that. The template lies in the cache folder of the course,
and gets there whole or not at all.
"""

import contextlib
import shutil
import tempfile
import zlib
from pathlib import Path

from leftopen.engines import opensearch_home

OPTIONS = (
    "--username=postgres",
    "--auth=reject",  # the lab writes its own pg_hba.conf
    "--encoding=UTF8",
    "--no-locale",  # the order of texts is the same on every machine
    "--wal-segsize=1",  # 16 MB else, of which a cluster keeps several
    "--no-sync",
    "--no-instructions",
)

# Maps of free space and of visibility, a quarter of all files: PostgreSQL makes them again.
_LEAVE = shutil.ignore_patterns("*_fsm", "*_vm")


def place(folder: Path, version: str) -> Path:
    """Where the template of a PostgreSQL is, or will be.

    Args:
        folder: the folder of its programs; two builds of one version have a template each.
        version: its version.
    """
    mark = zlib.crc32(repr((str(folder), OPTIONS)).encode())
    return opensearch_home.cache() / f"postgres-{version}-{mark:08x}"


def copy(template: Path, data: Path) -> bool:
    """Copy the template to the place of a server's data; return whether there was one.

    Raises:
        OSError: the disk does not take it.
    """
    if not (template / "PG_VERSION").is_file():
        return False
    try:
        shutil.copytree(template, data, symlinks=True)
    except shutil.Error as error:  # it has an entry for each file: from, to, why
        raise OSError(error.args[0][0][2].partition(": ")[0]) from error
    return True


def keep(data: Path, template: Path) -> None:
    """Keep a cluster that initdb has just made. Where the cache cannot be written, nothing."""
    with contextlib.suppress(OSError):
        template.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=template.parent) as name:
            new = shutil.copytree(data, Path(name) / "data", symlinks=True, ignore=_LEAVE)
            new.rename(template)  # another lab may have been faster
