"""A folder, sealed into one file for the owner of a key: tar, and age around it.

age (age-encryption.org/v1) encrypts in pieces of 64 KiB, each of which is authenticated, so a file
that was cut or changed does not open. Who seals needs the public key alone. That is also why it
does not say who sealed: see ``manifest.py``.
"""

import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyrage

from leftopen.backup.files import PIECE, Bar, inside, new_file, new_folder, reading
from leftopen.errors import DataError

_PUBLIC, _PRIVATE = "age1", "AGE-SECRET-KEY-1"


def seal(folder: Path, target: Path, recipient: str | Sequence[str]) -> Path:
    """Seal all files of a folder into one file. No plain copy is written on the way.

    Args:
        folder: what to seal; it stays as it is.
        target: the file, as ``monday.tar.age``.
        recipient: the public key of who may open it (``age1…``), or several.

    Returns:
        The target.

    Raises:
        DataError: a key is none, there is nothing to seal, the name is taken, or the disk is full;
            nothing is left behind.
    """
    keys = [_recipient(word) for word in _words(recipient, "public")]
    files = inside(folder)
    if not files:
        raise DataError(f"There is nothing to seal: {folder} holds no file. Look at the name.")
    total = sum(path.stat().st_size for path in files)
    with new_file(target) as out, Bar("Sealed:", total) as bar:
        source = _Source(_tar(Path(folder), files, bar))
        _run(source, _Target(out.write), lambda r, w: pyrage.encrypt_io(r, w, keys))
    return Path(target)


def open_sealed(target: Path, identity: str | Sequence[str], folder: Path) -> Path:
    """Open a sealed file into a new folder.

    Args:
        target: the sealed file.
        identity: the private key (``AGE-SECRET-KEY-1…``), or several.
        folder: the folder to make.

    Returns:
        The folder.

    Raises:
        DataError: the key is none or another's, the file was cut or changed or holds what no
            backup holds, or the disk is full; nothing is left behind.
    """
    keys = [_identity(word) for word in _words(identity, "private")]
    target = Path(target)
    with reading(target):
        sealed = target.open("rb")
        total = target.stat().st_size
    with (
        sealed,
        new_folder(folder) as new,
        tempfile.TemporaryFile(dir=new) as archive,
        Bar("Opened:", total) as bar,
    ):
        source = _Source(_pieces(sealed, bar))
        _run(source, _Target(archive.write), lambda r, w: pyrage.decrypt_io(r, w, keys), target)
        archive.seek(0)
        _unpack(archive, new, target)
    return Path(folder)


def _words(given: str | Sequence[str], kind: str) -> list[str]:
    if isinstance(given, Path):
        raise DataError(
            f"This is the path of a {kind} key's file. Give its text, as path.read_text() has it."
        )
    try:
        words = [given] if isinstance(given, str) else list(given or ())
    except TypeError:
        words = [str(given)]
    if not words:
        raise DataError(f"A {kind} key is needed, and none was given.")
    return [str(word).strip() for word in words]


def _recipient(word: str) -> pyrage.x25519.Recipient:
    if word.upper().startswith(_PRIVATE):
        raise DataError(
            "This is the private key. Seal with the public one (age1…), and keep the private key "
            "off the machine that makes backups."
        )
    try:
        return pyrage.x25519.Recipient.from_str(word)
    except (pyrage.RecipientError, TypeError):
        raise DataError(
            f"{word[:20]!r} is not a public key of age, which begins with {_PUBLIC}."
        ) from None


def _identity(word: str) -> pyrage.x25519.Identity:
    if word.startswith(_PUBLIC):
        raise DataError("This is the public key, which opens nothing. Give the private one.")
    try:
        return pyrage.x25519.Identity.from_str(word)
    except (pyrage.IdentityError, TypeError):
        raise DataError(
            f"This is not a private key of age, which begins with {_PRIVATE}."
        ) from None


class _Source:
    """What age reads from: an iterator of bytes. It keeps its error, which age makes a text of."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.error: BaseException | None = None

    def read(self, count: int = -1) -> bytes:
        try:
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._rest = memoryview(piece)
        except BaseException as error:
            self.error = error
            raise
        count = len(self._rest) if count < 0 else count
        found, self._rest = self._rest[:count], self._rest[count:]
        return bytes(found)


class _Target:
    """What age writes to. It keeps its error as well."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write = write
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._write(data)
        except BaseException as error:
            self.error = error
            raise

    def flush(self) -> None: ...


def _run(source: _Source, target: _Target, work: Callable, sealed: Path | None = None) -> None:
    try:
        work(source, target)
    except (pyrage.EncryptError, pyrage.DecryptError, OSError) as error:
        if ours := source.error or target.error:
            raise ours from None
        if sealed is None:
            raise DataError(f"age could not seal it: {error}.") from error
        raise DataError(f"{sealed} {_why(str(error))}") from None


def _why(words: str) -> str:
    if "No matching keys" in words:
        return (
            "was not sealed for this key. Find the private key of the public one it was made for."
        )
    if "decryption error" in words:
        return "was changed or cut, and does not open. Take another copy of this backup."
    return "is not a file of age, or its beginning was lost. Take another copy of this backup."


def _pieces(file: BinaryIO, bar: Bar) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
        bar.add(len(piece))


def _tar(folder: Path, files: list[Path], bar: Bar) -> Iterator[bytes]:
    """The files as a tar (POSIX.1-2001, pax), piece by piece; nobody's name and no time in it."""
    written = 0
    for path in files:
        entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
        with reading(path), path.open("rb") as file:
            entry.size = path.stat().st_size
            entry.mode = 0o600
            head = entry.tobuf(tarfile.PAX_FORMAT)
            yield head
            read = 0
            for piece in _pieces(file, bar):
                read += len(piece)
                yield piece
        if read != entry.size:
            raise DataError(f"{path} changed while it was sealed. Let its writer end, then again.")
        rest = bytes(-entry.size % tarfile.BLOCKSIZE)
        yield rest
        written += len(head) + read + len(rest)
    end = bytes(2 * tarfile.BLOCKSIZE)
    yield end + bytes(-(written + len(end)) % tarfile.RECORDSIZE)


def _unpack(archive: BinaryIO, folder: Path, sealed: Path) -> None:
    """Unpack plain files alone; who knows the public key could have sealed anything."""
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            for entry in tar:
                if entry.isdir():  # as in a tar of somebody else's; extract makes what it needs
                    continue
                if not entry.isfile():
                    raise DataError(f"{sealed} holds a link or a device, {entry.name}: refused.")
                tar.extract(entry, folder, filter="data")
    except tarfile.FilterError as error:
        raise DataError(f"{sealed} would write outside of its folder: {error}.") from None
    except tarfile.TarError:
        raise DataError(f"{sealed} opens, and is no backup: there is no tar in it.") from None
