"""Checks of a dump or a backup: can it be read, does its key lie there, is its manifest signed."""

import io
import json
import re
from collections import Counter
from collections.abc import Iterator

import pyrage

from leftopen.audit.checks import check
from leftopen.audit.crypto import ciphertext, encodings
from leftopen.audit.crypto.beside import beside
from leftopen.audit.crypto.dump import MANIFEST, SEALED, DumpLook, File
from leftopen.audit.crypto.kinds import AGE_KEY, is_random, private_keys_in
from leftopen.audit.personal import DEVICES_AND_GROUPS, PERSONS, identifiers, kinds_in, told
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt

_NAMES = {**DEVICES_AND_GROUPS, **PERSONS}
_FULL_NAME = re.compile(r"[^\W\d_a-z]\w+([ -]\w+)+")  # "name" alone is also what a file has
_MOST_TOLD = 4
_CHANCE = 3  # hits of a pattern in what is no text, below which they may be chance
_HALF_READ = re.compile(rb"[^\x20-\x7e]+")
_SIGNATURE = re.compile(r"\.(sig|asc|minisig|sign|signature|p7s|gpg)$|signature", re.IGNORECASE)
_AGE = SEALED[:2]
_SEALED_NAMES = (".enc", ".aes", ".sealed", ".crypt", ".encrypted", ".cipher")


@check("X12")
def readable_dump(look: DumpLook) -> Iterator[Finding]:
    """Can people's data in the dump be read by whoever has the files?"""
    found: dict[str, str] = {}
    for file in look.files:
        if not file.is_sealed and not file.is_packed and (shown := _readable(file)):
            found.setdefault(file.name, shown)
    if not found:
        return
    names = list(found)
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    yield Finding(
        "X12",
        Severity.FIX,
        "The dump holds people's data that anyone reads who has the files.",
        "; ".join(f"{name}: {found[name]}" for name in names[:_MOST_TOLD]) + more,
        "A backup goes where the server's logins do not: to other disks, other machines, other "
        "people. Compression and encodings protect nothing; they need no key.",
        "CWE-311",
        "# seal it for a public key, whose private half is elsewhere:\n"
        "tar c dump | age -r age1… > dump.tar.age && rm -r dump",
        f"# open {names[0]} with no key at hand: wanted: nothing to read",
    )


def _readable(file: File) -> str:
    """What personal data a file shows; empty for none."""
    for table in file.tables:
        kinds = {i.field: i.kind for i in identifiers(list(table.rows), _NAMES)}
        names = [str(value) for value in table.columns.get("name", [])]
        if names and 2 * sum(map(bool, map(_FULL_NAME.fullmatch, names))) >= len(names):
            kinds["name"] = "a name"
        if kinds:
            some = "; ".join(f"{name}: {kind}" for name, kind in sorted(kinds.items())[:_MOST_TOLD])
            return f"{len(table.rows)} rows sampled, {some}"
    if file.tables:
        return ""
    if shown := _kinds(file.head):
        return shown
    for how, inner in encodings.layers(file.head, 2) if file.head.isascii() else ():
        if shown := _kinds(inner):
            return f"{shown}, in {how}"
    return ""


def _kinds(data: bytes) -> str:
    """The identifiers in a file's bytes; in what is no text only where they are many."""
    is_text = not _HALF_READ.search(data[:4096].replace(b"\n", b"").replace(b"\t", b""))
    text = _HALF_READ.sub(b"\n", data).decode("ascii")
    found = kinds_in(text)
    return told(Counter({k: n for k, n in found.items() if is_text or n >= _CHANCE}))


@check("X13")
def unsigned_manifest(look: DumpLook) -> Iterator[Finding]:
    """Is there a manifest that nobody has signed?"""
    names = [file.name for file in look.files]
    manifests = [f for f in look.files if MANIFEST.search(_last(f.name)) and not _is_signature(f)]
    if not manifests:
        raise NothingToLookAt("there is no manifest; what is in the folder cannot be compared")
    for manifest in manifests:
        if _has_signature(manifest, look.files):
            continue
        yield Finding(
            "X13",
            Severity.WARN,
            f"The manifest {manifest.name} is not signed.",
            f"{len(names)} files → none is a signature of {manifest.name}, and none is in it",
            "Whoever can change a file of the backup can change its line in the manifest as well. "
            "Hashes tell of a broken disk; of a stranger only a signature tells.",
            "CWE-345",
            "# key.sign(manifest) with an Ed25519PrivateKey that this machine does not keep; the "
            "public key stays where backups are restored",
            "# change a file and its hash in the manifest: wanted: the restore refuses it",
        )


def _is_signature(file: File) -> bool:
    return bool(_SIGNATURE.search(_last(file.name)))


def _has_signature(manifest: File, files: list[File]) -> bool:
    """Whether a signature lies beside a manifest under its name, or stands in it."""
    if manifest.head.startswith((b"-----BEGIN PGP SIGNED", b"untrusted comment: signature")):
        return True
    try:
        inside = json.loads(manifest.head)
    except (ValueError, RecursionError):
        inside = {}
    if isinstance(inside, dict) and any("signature" in str(key).lower() for key in inside):
        return True
    stem = _last(manifest.name).partition(".")[0].lower()
    folder = manifest.name.rpartition("/")[0]
    return any(
        _is_signature(file)
        and file.head
        and file.name.rpartition("/")[0] == folder
        and (_last(file.name).lower().startswith(stem) or _last(file.name).startswith("signature"))
        for file in files
    )


def _last(name: str) -> str:
    return name.rpartition("/")[2]


@check("X14")
def identity_beside(look: DumpLook) -> Iterator[Finding]:
    """Does the private key of a sealed backup lie beside it?"""
    sealed = [file for file in look.files if file.head.startswith(_AGE)]
    if not sealed:
        raise NothingToLookAt("nothing in the folder is sealed with age")
    for file in look.files:
        opened = [other.name for other in sealed if _opens(file.head, other)]
        if opened:
            yield Finding(
                "X14",
                Severity.FIX,
                f"The private key of the sealed backup lies beside it: {file.name}.",
                f"{file.name} holds a private key of age → it opens {', '.join(opened)}",
                "Whoever takes the folder opens the backup with the key that lies there. The "
                "encryption is worth nothing against them.",
                "CWE-312",
                "# keep the private key on another machine; seal with the public key alone\n"
                "# make a new pair and seal anew: this key has been seen",
                f"grep -rl AGE-SECRET-KEY .  # wanted: not {file.name}",
            )


def identities(data: bytes) -> list[pyrage.x25519.Identity]:
    """The private keys of age that stand in these bytes."""
    found = []
    for word in AGE_KEY.findall(data):
        try:
            found.append(pyrage.x25519.Identity.from_str(word.decode().upper()))
        except pyrage.IdentityError:
            continue
    return found


def _opens(data: bytes, sealed: File) -> bool:
    keys = [] if data.startswith(_AGE) else identities(data)
    if not keys:
        return False
    try:
        pyrage.decrypt_io(io.BytesIO(sealed.head), io.BytesIO(), keys)
    except pyrage.DecryptError:  # of the header: it is damaged, or no key of it is here
        return False
    except OSError:  # of what follows: the key fits, and the file is cut or damaged further on
        return True
    return True


@check("X10")
def key_file(look: DumpLook) -> Iterator[Finding]:
    """Does a private key lie in the dump as a file?"""
    sealed = [file for file in look.files if file.head.startswith(_AGE)]
    for file in look.files:
        if file.is_sealed or file.tables:
            continue
        kinds = private_keys_in(file.head)
        if any(_opens(file.head, other) for other in sealed):
            kinds = [kind for kind in kinds if "age" not in kind]
        kind = kinds[0] if kinds else _bare(file)
        if kind:
            yield beside(file.name, f"{file.name} holds {kind}", f"# look into {file.name}")


def _bare(file: File) -> str:
    """A key that is a file of its own: as many drawn bytes as a key has, by its name."""
    named = re.search(r"key|secret|master", _last(file.name), re.IGNORECASE)
    if not named or re.search(r"pub|\.sig", _last(file.name), re.IGNORECASE):
        return ""
    data = file.head.strip()
    raws = [file.head, *(inner for _, inner in encodings.decoded(data))]
    for raw in raws if len(file.head) <= 300 else ():
        if len(raw) in (16, 24, 32, 64, 96) and is_random(raw):
            return f"{len(raw)} drawn bytes by the name of a key"
    return ""


@check("X1")
def blocks_in_files(look: DumpLook) -> Iterator[Finding]:
    """Do blocks of a file that is called encrypted come again?"""
    for file in look.files:
        if file.is_sealed or file.tables or not file.name.endswith(_SEALED_NAMES):
            continue
        blocks = ciphertext.repeated_blocks([file.head])
        again = {block: n for block, n in blocks.items() if is_random(block)}
        if again and is_random(file.head):
            yield Finding(
                "X1",
                Severity.FIX,
                f"{file.name} is encrypted block by block: equal blocks look equal.",
                f"{len(file.head) // 16} blocks of 16 bytes in {file.name} → {len(again)} stand "
                f"there more than once, one of them {max(again.values())} times",
                "In the ECB mode each block is encrypted by itself, so the shape of what is in the "
                "file shows, and whoever has one file made from a known one can compare.",
                "CWE-327",
                "# seal it with age, which authenticates every piece of it",
                f"# count the blocks of {file.name} that come again: wanted: none",
            )
