"""JupyterLab for the course: on loopback, at the first notebook, reaching for no network."""

import os
import shlex
import sys
from pathlib import Path

from leftopen import loopback
from leftopen.course import ROOT
from leftopen.errors import LeftOpenError, NotLoopback

_CONFIG = Path(__file__).with_name("jupyter_config")
FIRST = "notebooks/00_start_here.ipynb"
# A socket path ends at 103 bytes on macOS and 107 on Linux (unix(7)); the name of a kernel's
# socket in the runtime folder, "/kernel-<uuid>-ipc-<n>", takes 50.
_LONGEST_RUNTIME_FOLDER = 103 - 50


def arguments(extra: list[str], root: Path = ROOT) -> list[str]:
    """The command line for JupyterLab.

    Args:
        extra: further options of JupyterLab; they win over the course's own.
        root: the project's folder, where ``notebooks/`` is.

    Raises:
        NotLoopback: an option asks JupyterLab to listen on another address.
        LeftOpenError: the notebooks are not there.
    """
    if not (root / "notebooks").is_dir():
        raise LeftOpenError(
            f"There is no folder `notebooks` in {root}. Clone the course and run `make lab` in it."
        )
    given = _options(extra)
    own = {
        "--ServerApp.root_dir": str(root),
        # No news, no search for updates, no catalogue of extensions: nothing calls out.
        "--LabApp.news_url": "None",
        "--LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager": "readonly",
        # No search for language servers, which are programs that the course does not use.
        "--LanguageServerManager.autodetect": "False",
    }
    if os.name == "posix":
        # Not a login shell, which would set PATH anew: `leftopen` is to be found in a terminal.
        shell = os.environ.get("SHELL") or "/bin/sh"
        own["--ServerApp.terminado_settings"] = f"shell_command={shlex.quote(shell)}"
    if (root / FIRST).exists():
        own["--LabApp.default_url"] = f"/lab/tree/{FIRST}"
    if _can_use_ipc():
        # Between JupyterLab and its kernels: sockets in a private folder instead of TCP ports,
        # which every account of this machine can reach.
        own["--KernelManager.transport"] = "ipc"
    addresses = [value for name, value in given if _is_address(name)]
    for address in addresses:
        try:
            loopback.addresses(address)
        except NotLoopback as error:
            raise NotLoopback(f"JupyterLab stays on this machine. {error}") from None
    if not addresses:
        own["--ServerApp.ip"] = loopback.HERE
    names = [name for name, _ in given]
    flags = [f"{name}={value}" for name, value in own.items() if name not in names]
    if not _has_display():
        flags.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--allow-root")
    return flags + extra


def run(extra: list[str]) -> None:
    """Run JupyterLab until it is stopped.

    Raises:
        NotLoopback, LeftOpenError: as for :func:`arguments`.
    """
    argv = arguments(extra)
    # A terminal inside JupyterLab then finds `leftopen` and this Python.
    programs = str(Path(sys.executable).parent)
    _put_first("PATH", programs, os.defpath)
    # Our page_config.json: without it JupyterLab asks at each start whether it may fetch news.
    _put_first("JUPYTER_CONFIG_PATH", str(_CONFIG), "")
    from jupyterlab.labapp import main

    main(argv)


def _put_first(variable: str, folder: str, default: str) -> None:
    rest = os.environ.get(variable, default)
    os.environ[variable] = os.pathsep.join(part for part in (folder, rest) if part)


def _options(extra: list[str]) -> list[tuple[str, str]]:
    """Each option with its value, written as ``--name=value`` or ``--name value``."""
    found = []
    for number, word in enumerate(extra):
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            if not equals and number + 1 < len(extra) and not extra[number + 1].startswith("-"):
                value = extra[number + 1]
            found.append((name, value))
    return found


def _is_address(name: str) -> bool:
    return name.lstrip("-").lower().rpartition(".")[2] == "ip"


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _can_use_ipc() -> bool:
    from jupyter_core.paths import jupyter_runtime_dir

    return os.name == "posix" and len(os.fsencode(jupyter_runtime_dir())) <= _LONGEST_RUNTIME_FOLDER
