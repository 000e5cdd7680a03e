"""OpenSearch: where it is, and how it is brought here, once, by Maven.

The server is the project's own ``integ-test-zip`` distribution, the security plugin its published
ZIP; both come from Maven Central with their checksums verified (``mvn -C``), and the plugin is
installed by OpenSearch's own ``opensearch-plugin``. 2.19 is the last line that runs on Java 17, and
2.19.4 the last release of which both parts are published.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from leftopen.engines import java
from leftopen.engines.waiting import Waiting
from leftopen.errors import EngineFailed, EngineMissing

VARIABLE = "LEFTOPEN_OPENSEARCH"
CACHE = "LEFTOPEN_CACHE"
VERSION = "2.19.4"
SERVER = f"org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip"
PLUGIN = f"org.opensearch.plugin:opensearch-security:{VERSION}.0:zip"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_SECONDS = 900.0  # 100 MB on a slow line
_LEAST_DISK = 400 * 2**20  # the two files, unpacked beside themselves


def cache() -> Path:
    """The folder for what is brought once and used by every lab.

    LEFTOPEN_CACHE, else the user's own cache folder (XDG Base Directory Specification). Root's
    servers run under another account, which cannot read root's home: /var/cache then.
    """
    if chosen := os.environ.get(CACHE):
        return Path(chosen)
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/cache/leftopen")
    if os.name == "nt" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "leftopen"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leftopen"


def find() -> Path:
    """Find OpenSearch with its security plugin: LEFTOPEN_OPENSEARCH, then the cache folder.

    Returns:
        Its home folder.

    Raises:
        EngineMissing: it is not there; the message carries the command that brings it.
    """
    if chosen := os.environ.get(VARIABLE):
        if not is_home(Path(chosen)):
            raise EngineMissing(
                f"{VARIABLE} names {chosen}, which is not the home of an OpenSearch with the "
                "security plugin in it. Correct the variable, or unset it to let the course look."
            )
        return Path(chosen)
    home = cache() / f"opensearch-{VERSION}"
    if is_home(home):
        return home
    raise EngineMissing(f"OpenSearch, the search server, is not installed. {how_to_install()}")


def how_to_install() -> str:
    """The command that brings OpenSearch, and before it the programs that this takes."""
    with contextlib.suppress(EngineMissing):
        java.find()
        _maven()
        return "Bring it with: leftopen engines"
    if shutil.which("apt-get") and not os.environ.get("CONDA_PREFIX"):
        needed = f"sudo apt-get install {java.debian_package()} maven"
    else:
        needed = f"conda install -c conda-forge 'openjdk>={java.LEAST},<{java.BELOW}' maven"
    return f"Bring it with: {needed} && leftopen engines"


def is_home(folder: Path) -> bool:
    """Whether a folder is the home of an OpenSearch that has the security plugin."""
    plugin = folder / "plugins" / "opensearch-security" / "plugin-descriptor.properties"
    return any(folder.glob("lib/opensearch-[0-9]*.jar")) and plugin.is_file()


def version(home: Path) -> str:
    """The version of the OpenSearch in a home folder, from the name of its library."""
    for jar in home.glob("lib/opensearch-[0-9]*.jar"):
        return jar.stem.removeprefix("opensearch-")
    raise EngineMissing(f"{home} is not the home of an OpenSearch. {how_to_install()}")


def install() -> Path:
    """Bring OpenSearch and its security plugin into the cache folder; a second call does nothing.

    It takes half a minute and some 110 MB on disk. It is built beside its place and moved there
    whole, so an interrupted call leaves nothing half done.

    Returns:
        Its home folder.

    Raises:
        EngineMissing: Java or Maven is missing.
        EngineFailed: Maven or the installer failed, or the folder cannot be written.
    """
    with contextlib.suppress(EngineMissing):
        return find()
    runtime, maven = java.find(), _maven()
    folder = cache()
    place = folder / f"opensearch-{VERSION}"
    with _told(folder), Waiting("OpenSearch is brought:", 5) as bar:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < _LEAST_DISK:
            raise OSError("fewer than 400 MB are free there")
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as name:
            new = Path(name)
            for step, artifact in enumerate((SERVER, PLUGIN), start=1):
                _run([maven, "-q", "-B", "-C", _COPY, f"-Dartifact={artifact}",
                      f"-DoutputDirectory={new}"], runtime)  # fmt: skip
                bar.reach(step, artifact.split(":")[1])
            shutil.unpack_archive(new / f"opensearch-{VERSION}.zip", new)
            home = new / f"opensearch-{VERSION}"
            for program in (home / "bin").iterdir():  # ZIP files lose this in Python
                program.chmod(0o755)
            bar.reach(3, "unpacked")
            tool = (
                home / "bin" / ("opensearch-plugin.bat" if os.name == "nt" else "opensearch-plugin")
            )
            plugin = (new / f"opensearch-security-{VERSION}.0.zip").as_uri()
            _run([tool, "install", "--batch", plugin], runtime)
            bar.reach(4, "with its security plugin")
            _readable(home)
            new.chmod(0o755)
            with contextlib.suppress(FileExistsError, OSError):
                home.rename(place)  # another call may have been faster
            bar.reach(5)
        folder.chmod(0o755)
    return find()


def _maven() -> str:
    if program := shutil.which("mvn"):
        return program
    raise EngineMissing("Maven is not installed")


def _run(command: list, runtime: java.Java) -> None:
    environment = {**os.environ, "JAVA_HOME": str(runtime.home)}
    environment["OPENSEARCH_JAVA_HOME"] = str(runtime.home)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        raise EngineFailed(
            f"OpenSearch was not brought within {_SECONDS / 60:.0f} minutes. Look at the "
            "connection, then run `leftopen engines` again."
        ) from None
    if done.returncode == 0:
        return
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    words = [line.strip() for line in said.splitlines() if "ERROR" in line] or [said.strip()[-300:]]
    reason = words[0].removeprefix("[ERROR]").strip()[:300]
    raise EngineFailed(
        f"OpenSearch was not brought: {Path(command[0]).name} says: {reason}. Maven needs the "
        "network once; look at the connection, then run `leftopen engines` again."
    )


def _readable(home: Path) -> None:
    """Let every account read it: servers of root run under another one."""
    for path in (home, *home.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o755 if path.is_dir() or mode & 0o100 else 0o644))


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineFailed(
            f"OpenSearch cannot be put into {folder}: {error.strerror or error}. Set {CACHE} to a "
            "folder that you can write to, with 400 MB free, then run `leftopen engines` again."
        ) from error
