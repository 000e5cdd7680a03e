"""The account under which a server runs that refuses to run as root.

Learners are not root, and then nothing here is needed. In a container or on a test machine the
notebook may be root's: the server then runs as ``nobody``, which every Unix has and which may do
nothing, and its private folder belongs to that account.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from leftopen.errors import EngineFailed

NAME = "nobody"


@dataclass(frozen=True)
class Account:
    """The numbers of an account and of its group."""

    uid: int
    gid: int

    def give(self, folder: Path) -> None:
        """Make a folder and all in it this account's own.

        Raises:
            EngineFailed: a folder above it is closed to the account.
        """
        for above in folder.resolve().parents:
            found = above.stat()
            if not found.st_mode & stat.S_IXOTH and found.st_uid != self.uid:
                raise EngineFailed(
                    f"Root's servers run as {NAME}, and that account cannot reach {folder}: "
                    f"{above} is closed to it. Set TMPDIR to a folder that everybody can enter, as "
                    "/tmp, or start JupyterLab as an ordinary user."
                )
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def for_servers() -> Account | None:
    """The account for a server that refuses root, or ``None`` where we are not root anyway.

    Raises:
        EngineFailed: we are root, and this system has no such account.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    try:
        found = pwd.getpwnam(NAME)
    except KeyError:
        raise EngineFailed(
            f"This server refuses to run as root, and there is no account named {NAME} to run it "
            "under. Start JupyterLab as an ordinary user."
        ) from None
    return Account(found.pw_uid, found.pw_gid)
