"""The audit of a dump, and the modules of checks that look at cryptography."""

from pathlib import Path
from typing import Any

from leftopen.audit.checks import run_all
from leftopen.audit.crypto import backups, beside, hashed, logged, plain, sealed
from leftopen.audit.crypto.dump import DumpLook
from leftopen.audit.report import Report
from leftopen.errors import LeftOpenError

MODULES = (sealed, plain, hashed, beside, logged)
"""The modules whose checks look at the data of a server, and at those of a dump."""
_UNTOLD = "whether a digest has a key, where none of its values stands in clear in the sample"
_MOST_NAMED = 4
_ALWAYS_BLIND = (
    "who reads the folder, and where its other copies are",
    "whether the backup can be restored, and how old it is: only a restore tells",
    "whether a signature is right, and whose: that takes the public key, from elsewhere",
    "whether the private key exists at all, and can be found when it is needed",
    "keys under names that say nothing",
    _UNTOLD,
    "a fault that this list of checks does not have",
)


def blind(look: Any) -> tuple[str, ...]:
    """What these checks cannot see on a server where they had something to look at."""
    return (_UNTOLD,) if look.kept.get("has material") else ()


def audit_dump(folder: str | Path) -> Report:
    """Look at a folder with a dump or a backup, and report what stands open.

    Args:
        folder: the folder, or one file.

    Raises:
        LeftOpenError: it is not there, or it is empty.
    """
    place = Path(folder)
    if not place.exists():
        raise LeftOpenError(f"dump names {place}, and there is no such folder. Correct the path.")
    look = DumpLook(place)
    if not look.files:
        raise LeftOpenError(f"There is nothing to audit: {place} holds no file. Look at the name.")
    outcome = run_all(look, (*MODULES, backups))
    told = {finding.id for finding in outcome.findings}
    passed = dict.fromkeys(name for name in outcome.passed if name not in told)
    left = [left for left in outcome.left_out if left.id not in told | passed.keys()]
    unseen = _ALWAYS_BLIND
    if look.is_cut:
        unseen += ("what is beyond the first 2,000 files, 32 MB of a file, or 512 MB in all",)
    if look.damaged:
        names = ", ".join(look.damaged[:_MOST_NAMED])
        more = len(look.damaged) - _MOST_NAMED
        names += f" and {more} more" if more > 0 else ""
        unseen += (f"what is damaged or locked, and could not be read to its end: {names}",)
    return Report(
        f"the dump {place.name}",
        "",
        tuple(outcome.findings),
        tuple(outcome.not_looked),
        tuple(passed),
        tuple(left),
        unseen,
        "",
        "dump",
    )
