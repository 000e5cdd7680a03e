"""What a backup consists of, signed: names, sizes and SHA-256, under an Ed25519 signature.

Two files in the folder: ``manifest.json``, and ``manifest.sig``, the signature of its bytes
(RFC 8032). Hashes alone tell of a fault of the disk; a stranger who changes a file writes the hash
anew. The signature is made with a key that the stranger does not have, so keep it elsewhere.
"""

import datetime
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from leftopen.backup.files import Bar, inside, new_file, reading
from leftopen.errors import DataError

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
_FIELDS = {"name": str, "size": int, "sha256": str}


@dataclass(frozen=True)
class Manifest:
    """What a signed manifest says.

    Attributes:
        made: when the backup was made; an old one, put in place of a new one, is signed too.
        files: name -> (size in bytes, SHA-256 in hex).
    """

    made: datetime.datetime
    files: dict[str, tuple[int, str]]


def sign_manifest(
    folder: Path, key: Ed25519PrivateKey, made: datetime.datetime | None = None
) -> Manifest:
    """Write the manifest of all files in a folder, and its signature.

    Args:
        folder: where the backup is: sealed files, or the files of a dump.
        key: the private key that signs.
        made: when the backup was made, with a time zone; without, now.

    Raises:
        DataError: the folder is empty or has a manifest, the key is none, or the disk is full.
    """
    if not isinstance(key, Ed25519PrivateKey):
        raise DataError("A manifest is signed with an Ed25519PrivateKey of cryptography.")
    made = made or datetime.datetime.now(datetime.UTC)
    if made.tzinfo is None:
        raise DataError(f"{made} has no time zone. Add one, as datetime.UTC.")
    folder = Path(folder)
    files = _hashes(folder)
    if not files:
        raise DataError(f"There is nothing to sign: {folder} holds no file.")
    entries = [{"name": name, "size": s, "sha256": h} for name, (s, h) in files.items()]
    text = json.dumps({"made": made.isoformat(), "files": entries}, indent=1).encode()
    written = []
    try:
        for name, content in ((MANIFEST, text), (SIGNATURE, key.sign(text))):
            with new_file(folder / name) as file:
                file.write(content)
            written.append(folder / name)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return Manifest(made, files)


def check_manifest(folder: Path, key: Ed25519PublicKey) -> Manifest:
    """Check the signature first, then every file of a folder against the manifest.

    Args:
        folder: the backup, with its manifest and the signature.
        key: the public key of who signed. It must not come from the same folder.

    Returns:
        What the manifest says; look at ``made``.

    Raises:
        DataError: the signature is not this key's, or a file is missing, was added or changed; the
            message names them.
    """
    if not isinstance(key, Ed25519PublicKey):
        raise DataError("A manifest is checked with an Ed25519PublicKey of cryptography.")
    folder = Path(folder)
    with reading(folder):
        text = (folder / MANIFEST).read_bytes()
        signature = (folder / SIGNATURE).read_bytes()
    try:
        key.verify(signature, text)
    except InvalidSignature:
        raise DataError(
            f"{folder / MANIFEST} was not signed with this key, or was changed since. Trust none "
            "of these files; take another copy of this backup."
        ) from None
    said = _read(text, folder)
    found = _hashes(folder)
    faults = {
        "missing": said.files.keys() - found.keys(),
        "not in the manifest": found.keys() - said.files.keys(),
        "changed": {n for n in said.files.keys() & found.keys() if said.files[n] != found[n]},
    }
    if any(faults.values()):
        words = "; ".join(f"{how}: {', '.join(sorted(n))}" for how, n in faults.items() if n)
        raise DataError(
            f"This is not the backup that was signed: {words}. Take another copy of it."
        )
    return said


def _hashes(folder: Path) -> dict[str, tuple[int, str]]:
    paths = inside(folder)
    own = {folder / MANIFEST, folder / SIGNATURE}
    found = {}
    with Bar("Hashed:", sum(path.stat().st_size for path in paths)) as bar:
        for path in paths:
            if path in own:
                continue
            with reading(path), path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = path.stat().st_size
            found[path.relative_to(folder).as_posix()] = (size, digest)
            bar.add(size)
    return found


def _read(text: bytes, folder: Path) -> Manifest:
    try:
        said = json.loads(text)
        made = datetime.datetime.fromisoformat(said["made"])
        for entry in said["files"]:
            if any(not isinstance(entry[name], kind) for name, kind in _FIELDS.items()):
                raise ValueError(entry)
        files = {entry["name"]: (entry["size"], entry["sha256"]) for entry in said["files"]}
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{folder / MANIFEST} is signed, and is no manifest of a backup.") from None
    return Manifest(made, files)
