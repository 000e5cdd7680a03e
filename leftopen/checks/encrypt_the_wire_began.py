"""Exercise 12: files as they were when a question began, whatever became of them since.

A program has its own copy of its authority and of its key. Who writes other files over those of
the lab has changed nothing at the programs, so the checks go by the first ones.
"""

import ssl
import weakref
from pathlib import Path

from leftopen.lab import Lab

_files: weakref.WeakKeyDictionary[Lab, dict[Path, bytes]] = weakref.WeakKeyDictionary()


def keep(lab: Lab, *paths: Path) -> None:
    """Keep what stands in some files of a lab now."""
    _files.setdefault(lab, {}).update({path: path.read_bytes() for path in paths})


def read(lab: Lab, path: Path) -> bytes:
    """What stood in a file.

    Raises:
        KeyError: it was not kept.
    """
    return _files[lab][path]


def is_changed(lab: Lab, path: Path) -> bool:
    """Whether something else stands in a file today, or it is gone."""
    try:
        return path.read_bytes() != read(lab, path)
    except OSError:
        return True


def trusting(lab: Lab, path: Path) -> ssl.SSLContext:
    """A client that trusts the authority which stood in a file, and looks at names."""
    return ssl.create_default_context(cadata=read(lab, path).decode())


def write(lab: Lab, folder: Path, *paths: Path) -> None:
    """Copy files as they were into another folder, readable by this account alone."""
    for path in paths:
        copy = folder / path.name
        copy.touch(mode=0o600)
        copy.write_bytes(read(lab, path))
