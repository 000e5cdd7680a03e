"""Exercise 15, question 3: a signed manifest, tried against a stranger who may write the folder.

The stranger knows the code, has all that lies in the folder, and can make keys; the private key of
the owner is what the stranger lacks. Signatures are Ed25519 (RFC 8032).
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leftopen.audit.crypto import keys
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

_SIZES = (4000, 4000, 700)  # bytes of the files; two of one length, so that they can change places

Sign = Callable[[Path, Ed25519PrivateKey], object]
Verify = Callable[[Path, object], object]


def manifest_task(draw: Draw) -> Task:
    """The files of a backup, of which some lie in a folder below."""
    draw = variant(draw, "15", 3, 8)
    names = draw.shuffle("names", ("people", "positions", "trackers", "settings", "accounts"))
    ending = draw.pick("ending", (".tar.age", ".age", ".bson.age"))
    below = draw.pick("below", ("sensenets", "night", "part-2"))
    files = (f"{names[0]}{ending}", f"{below}/{names[1]}{ending}", f"{below}/{names[2]}{ending}")
    return Task(files=(list(files), "what lies in the folder that is to be signed"))


def manifest(at: Attempt, sign: Sign, verify: Verify) -> str:
    """The backup as it was signed is accepted, also elsewhere; whatever a stranger does is not."""
    with tempfile.TemporaryDirectory(prefix="leftopen-") as place:
        return _Signed(at, Path(place), sign, verify).judge()


class _Signed:
    """A folder that was signed, and copies of it in which a stranger did something."""

    def __init__(self, at: Attempt, place: Path, sign: Sign, verify: Verify) -> None:
        self.at, self.place, self.sign, self.verify = at, place, sign, verify
        self.names = list(map(str, at.task["files"]))
        self.key = Ed25519PrivateKey.generate()
        self.folder = place / "backup"
        for name, size in zip(self.names, _SIZES, strict=True):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(hashlib.shake_256(name.encode()).digest(size))
        before = self._files(self.folder)
        sign(self.folder, self.key)
        after = self._files(self.folder)
        if any(after.get(name) != content for name, content in before.items()):
            raise BadAnswer(
                "`sign` has changed or removed a file of the backup. It is to add files"
            )
        self.own = sorted(after.keys() - before.keys())
        if not self.own:
            raise BadAnswer(
                "`sign` has added no file to the folder, so whoever has the folder alone can check "
                "nothing. What it takes must lie there too"
            )
        self._copies = 0

    @staticmethod
    def _files(folder: Path) -> dict[str, bytes]:
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    def _copy(self) -> Path:
        self._copies += 1
        return shutil.copytree(self.folder, self.place / f"copy-{self._copies}")

    def _accepts(self, folder: Path, what: str, who: str = "a stranger") -> bool:
        try:
            accepted = bool(self.verify(folder, self.key.public_key()))
            self.said = f"it returns {accepted}"
        except Exception as error:  # to raise is one way to refuse
            accepted, self.said = False, f"it raises {type(error).__name__}"
        self.at.note(who, what, "accepted" if accepted else "refused")
        return accepted

    def judge(self) -> str:
        """The name of the first fault, or ``RIGHT``."""
        if not self._accepts(self.folder, "verify the backup as it was signed", "the owner"):
            self.at.values["said"] = self.said
            return "own_refused"
        if self._key_beside():
            return "private_key_beside"
        moved = self._copy()
        hidden = self.folder.rename(self.place / "away")
        try:
            if not self._accepts(moved, "verify it in another folder", "the owner"):
                return "only_here"
        finally:
            hidden.rename(self.folder)
        for attempt in (self._changed, self._exchanged, self._fewer, self._more, self._none):
            if fault := attempt():
                return fault
        return self._forged()

    def _key_beside(self) -> bool:
        raw = self.key.private_bytes_raw()
        der = self.key.private_bytes(
            form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption()
        )
        # The seed stands at the end of the DER, and so at the end of a PEM's text.
        found = [place for each in (raw, der) for place in keys.in_folder(each, self.folder)]
        self.at.note("in the folder", "look for the private key", "there" if found else "not there")
        return bool(found)

    # -- what the stranger tries ----------------------------------------------------------------

    def _changed(self) -> str | None:
        for name in self.names:
            copy = self._copy()
            content = bytearray((copy / name).read_bytes())
            content[len(content) // 2] ^= 1
            (copy / name).write_bytes(content)
            if self._accepts(copy, f"change one byte of {name}"):
                self.at.values["name"] = name
                return "content_free"
        return None

    def _exchanged(self) -> str | None:
        first, second, _ = self.names
        copy = self._copy()
        one, two = (copy / first).read_bytes(), (copy / second).read_bytes()
        (copy / first).write_bytes(two)
        (copy / second).write_bytes(one)
        if self._accepts(copy, "let two files change places"):
            return "exchanged"
        for a, b in (self.names[:2], self.names[1:]):
            copy = self._copy()
            one, two = (copy / a).read_bytes(), (copy / b).read_bytes()
            (copy / a).write_bytes(one[:-9])
            (copy / b).write_bytes(one[-9:] + two)
            if self._accepts(copy, f"move the end of {a} to the beginning of {b}"):
                return "exchanged"
        return None

    def _fewer(self) -> str | None:
        for name in self.names:
            copy = self._copy()
            (copy / name).unlink()
            if self._accepts(copy, f"remove {name}"):
                self.at.values["name"] = name
                return "fewer"
        return None

    def _more(self) -> str | None:
        below = Path(self.names[1]).parent.as_posix()
        new = [f"x{Path(self.names[0]).name}", f"{below}/more.age"]
        new += [f"{below}/{Path(name).name}" for name in self.own]
        for name in new:
            copy = self._copy()
            (copy / name).write_bytes(b"accounts of the stranger's own")
            if self._accepts(copy, f"add a file, {name}"):
                self.at.values["name"] = name
                return "more"
        return None

    def _none(self) -> str | None:
        for gone in self._what_to_remove():
            copy = self._copy()
            for name in gone:
                (copy / name).unlink()
            (copy / self.names[0]).write_bytes(b"another backup")
            what = "change a file, and remove " + (gone[0] if len(gone) == 1 else "what sign added")
            if self._accepts(copy, what):
                self.at.values["gone"] = ", ".join(gone)
                return "none_is_good"
        return None

    def _what_to_remove(self) -> Iterator[list[str]]:
        yield self.own
        if len(self.own) > 1:
            yield from ([name] for name in self.own)

    def _forged(self) -> str:
        """The stranger has the code, and makes a key: all is signed anew."""
        copy = self._copy()
        for name in self.own:
            (copy / name).unlink()
        (copy / self.names[0]).write_bytes(b"another backup")
        stranger = Ed25519PrivateKey.generate()
        self.sign(copy, stranger)
        if not self._accepts(copy, "change a file, and sign all anew with another key"):
            return RIGHT
        return "key_from_folder" if self._public_in(copy, stranger) else "unsigned"

    @staticmethod
    def _public_in(folder: Path, key: Ed25519PrivateKey) -> bool:
        public = key.public_key()
        der = public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
        return any(keys.in_folder(each, folder) for each in (public.public_bytes_raw(), der))
