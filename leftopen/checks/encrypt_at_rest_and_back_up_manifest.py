"""Exercise 15, question 3: a signed manifest, tried against a stranger who may write the folder.

The stranger knows the code and the public key, has all that lies in the folder, and can make keys;
the private key of the owner is what the stranger lacks. Signatures are Ed25519 (RFC 8032).
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, product
from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from leftopen.audit.crypto import keys
from leftopen.checks import encrypt_at_rest_and_back_up_forgery as forgery
from leftopen.checks.encrypt_at_rest_and_back_up_forgery import Change, files
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

# Bytes of the files: two of one length, so that they can change places, and so many of the first
# that whoever reads a beginning alone does not come to the end.
_SIZES = (1_300_000, 4000, 4000)
_MOST_MIXED = 3  # added files of which every mixture is tried

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
        before = files(self.folder)
        sign(self.folder, self.key)
        after = files(self.folder)
        if any(after.get(name) != content for name, content in before.items()):
            raise BadAnswer(
                "`sign` has changed or removed a file of the backup. It is to add files"
            )
        self.added = {name: after[name] for name in sorted(after.keys() - before.keys())}
        if not self.added:
            raise BadAnswer(
                "`sign` has added no file to the folder, so whoever has the folder alone can check "
                "nothing. What it takes must lie there too"
            )
        self.own = list(self.added)

    def _copy(self) -> Path:
        """The signed folder once more; the copy before it is removed."""
        shutil.rmtree(self.place / "copy", ignore_errors=True)
        return shutil.copytree(self.folder, self.place / "copy")

    def _says(self, folder: Path) -> bool:
        try:
            answer = self.verify(folder, self.key.public_key())
        except (Exception, SystemExit) as error:  # to raise is one way to refuse
            self.said = f"it raises {type(error).__name__}"
            return False
        if isinstance(answer, str | bytes):
            raise BadAnswer(
                f"`verify` returned a text, {answer[:20]!r}; it is to return True or False"
            )
        self.said = f"it returns {bool(answer)}"
        return bool(answer)

    def _accepts(self, folder: Path, what: str) -> bool:
        accepted = self._says(folder)
        self.at.note("the owner", what, "accepted" if accepted else "refused")
        return accepted

    def judge(self) -> str:
        """The name of the first fault, or ``RIGHT``."""
        if not self._accepts(self.folder, "verify the backup as it was signed"):
            self.at.values["said"] = self.said
            return "own_refused"
        if self._key_beside():
            return "private_key_beside"
        moved = shutil.copytree(self.folder, self.place / "moved")
        hidden = self.folder.rename(self.place / "away")
        try:
            if not self._accepts(moved, "verify it in another folder"):
                return "only_here"
        finally:
            hidden.rename(self.folder)
        if self._remembered():
            return "remembered"
        own = self.own
        for fault, what, changes in (
            ("content_free", "change what is in a file", forgery.contents(self.names)),
            ("exchanged", "move contents between files", forgery.exchanges(self.names, own)),
            ("renamed", "rename a file", forgery.renames(self.names, own)),
            ("fewer", "remove a file", forgery.removals(self.names, own)),
            ("more", "add a file", forgery.additions(self.names, own)),
            ("none_is_good", "change a file, and remove what sign added", self._unsigned()),
        ):
            if self._tried(what, changes):
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

    def _remembered(self) -> bool:
        """Whether what lies in the folder is judged without that which ``sign`` has added.

        Without it, or with nothing in it, a folder is accepted that was not changed, and a changed
        one is refused: then the hashes are kept elsewhere, where only this notebook has them.
        """
        flip = forgery.flip(self.names[0])
        for content in (None, b""):
            says = []
            for change in (None, flip):
                copy = self._copy()
                for name in self.own:
                    (copy / name).unlink() if content is None else (copy / name).write_bytes(
                        content
                    )
                if change:
                    change.do(copy)
                says.append(self._says(copy))
            if says == [True, False]:
                what = "verify it without what sign has added"
                self.at.note("the owner", what, "accepted, and refused once a file is changed")
                return True
        return False

    # -- what the stranger tries ----------------------------------------------------------------

    def _tried(self, what: str, changes: Iterable[Change]) -> bool:
        """Try changes until one is accepted; noted is that one, or how many were refused."""
        count = 0
        for change in changes:
            count += 1
            copy = self._copy()
            change.do(copy)
            if self._says(copy):
                self.at.values.update(name=change.name, done=change.done, also="")
                self.at.note("a stranger", change.done, "accepted")
                return True
        self.at.note("a stranger", f"{what}, in {count} ways", "refused")
        return False

    def _unsigned(self) -> Iterator[Change]:
        """A change, and all that was added is gone; or each of it alone."""
        flip = forgery.flip(self.names[0])
        for gone in (self.own, *([name] for name in self.own if len(self.own) > 1)):

            def do(folder: Path, gone: list[str] = gone) -> None:
                flip.do(folder)
                for name in gone:
                    (folder / name).unlink()

            removed = ", ".join(gone)
            yield Change(f"{flip.done}, and {removed} removed", removed, do)

    def _forged(self) -> str:
        """The stranger has the code and makes a key: what sign adds is made anew, and mixed."""
        stranger = Ed25519PrivateKey.generate()
        changes = chain(
            map(forgery.flip, self.names),
            *(list(each)[:2] for each in (
                forgery.exchanges(self.names), forgery.renames(self.names),
                forgery.removals(self.names), forgery.additions(self.names),
            )),
        )  # fmt: skip
        for change in list(changes):
            for key in (stranger, _Half(stranger, self.key.public_key())):
                for folder, mixed in self._mixtures(change, key):
                    if self._says(folder):
                        return self._told(folder, change, mixed, key)
        self.at.note("a stranger", "sign a changed backup anew, all of it or a part", "refused")
        return RIGHT

    def _mixtures(
        self, change: Change, key: Ed25519PrivateKey
    ) -> Iterator[tuple[Path, dict[str, str]]]:
        """A changed folder with each mixture of the owner's and the stranger's added files."""
        folder = self._copy()
        for name in self.own:
            (folder / name).unlink()
        change.do(folder)
        before = files(folder).keys()
        try:
            self.sign(folder, key)
        except (Exception, SystemExit):  # for such a folder, or with such a key, it does not sign
            return
        theirs = {n: content for n, content in files(folder).items() if n not in before}
        names = sorted(self.added.keys() | theirs.keys())
        for choice in _choices([self._kinds(name, theirs) for name in names]):
            mixed = dict(zip(names, choice, strict=True))
            for name, kind in mixed.items():
                (folder / name).unlink(missing_ok=True)
                if kind != "missing":
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes((theirs if kind == "new" else self.added)[name])
            yield folder, mixed

    def _kinds(self, name: str, theirs: dict[str, bytes]) -> list[str]:
        same = theirs.get(name) == self.added.get(name)
        kinds = ["new"] if name in theirs and not same else []
        return [*kinds, *(["old"] if name in self.added else []), "missing"]

    def _told(
        self, folder: Path, change: Change, mixed: dict[str, str], key: Ed25519PrivateKey
    ) -> str:
        gone = [name for name, kind in mixed.items() if kind == "missing" and name in self.added]
        kept = [name for name, kind in mixed.items() if kind == "old"]
        new = [name for name, kind in mixed.items() if kind == "new"]
        words = [
            f"{what} {', '.join(names)}"
            for what, names in (("write anew", new), ("keep", kept), ("remove", gone))
            if names
        ]
        self.at.note("a stranger", f"{change.done}; {', '.join(words)}", "accepted")
        self.at.values.update(name=", ".join(gone), done=change.done, kept=", ".join(kept))
        self.at.values["also"] = f", and wrote {', '.join(new)} anew" if new else ""
        if gone:
            return "none_is_good"
        if kept:
            return "signed_little"
        return "key_from_folder" if self._public_in(folder, key) else "unsigned"

    @staticmethod
    def _public_in(folder: Path, key: Ed25519PrivateKey) -> bool:
        if isinstance(key, _Half):
            return False
        public = key.public_key()
        der = public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
        return any(keys.in_folder(each, folder) for each in (public.public_bytes_raw(), der))


def _choices(kinds: list[list[str]]) -> Iterator[tuple[str, ...]]:
    """For each added file whose it is: every mixture of a few; of many, those with one exception.

    The first is the stranger's own, all of it; the owner's own, all of it, is left out.
    """
    owners = tuple("old" if "old" in each else "missing" for each in kinds)
    if len(kinds) <= _MOST_MIXED:
        yield from (choice for choice in product(*kinds) if choice != owners)
        return
    theirs = tuple(each[0] for each in kinds)
    found = [theirs]
    for base in (theirs, owners):
        for at, each in enumerate(kinds):
            found += [(*base[:at], kind, *base[at + 1 :]) for kind in each]
    yield from (choice for choice in dict.fromkeys(found) if choice != owners)


class _Half(Ed25519PrivateKey):
    """What a stranger gives to ``sign`` who knows the owner's public key and no private one.

    Args:
        own: the stranger's own key, which signs.
        public: the public key of the owner.
    """

    def __init__(self, own: Ed25519PrivateKey, public: Ed25519PublicKey) -> None:
        self._own, self._public = own, public

    def public_key(self) -> Ed25519PublicKey:
        """The owner's."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """The stranger's signature."""
        return self._own.sign(data)

    def private_bytes(self, *args: object) -> bytes:
        """The stranger's private key, in a form."""
        return self._own.private_bytes(*args)

    def private_bytes_raw(self) -> bytes:
        """The stranger's private key."""
        return self._own.private_bytes_raw()

    def __copy__(self) -> "_Half":
        return self

    def __deepcopy__(self, memo: dict) -> "_Half":
        return self
