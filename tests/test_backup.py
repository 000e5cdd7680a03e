"""Backups: what comes back, and each thing that goes wrong: one sentence, and nothing half done."""

import datetime
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from half_done import full_disk, interrupt_all, one_sentence

from leftopen import backup
from leftopen.backup import files, sealed
from leftopen.errors import DataError


@pytest.fixture(scope="module")
def keys():
    return [pyrage.x25519.Identity.generate() for _ in range(2)]


@pytest.fixture
def key(keys):
    return keys[0]


@pytest.fixture
def folder(tmp_path):
    """A folder as dumps are: files in folders, an empty one, one of several pieces."""
    place = tmp_path / "dump"
    (place / "deep").mkdir(parents=True)
    (place / "empty").write_bytes(b"")
    (place / "deep" / "small.json").write_bytes(b'{"a": 1}')
    (place / ("long name " * 20)).write_bytes(b"x" * 512)
    (place / "large").write_bytes(bytes(range(256)) * 12000)
    return place


def contents(place):
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in files.inside(place)}


# -- sealing ----------------------------------------------------------------------------------


def test_what_was_sealed_comes_back_to_the_byte(folder, tmp_path, key):
    target = backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    assert target.stat().st_mode & 0o077 == 0
    assert b"small.json" not in target.read_bytes()
    backup.open_sealed(target, str(key), tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)


def test_other_tools_open_it(folder, tmp_path, key):
    """age and tar, without this package: a backup must outlive the program that made it."""
    target = backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    plain = pyrage.decrypt(target.read_bytes(), [key])
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        found = {entry.name: tar.extractfile(entry).read() for entry in tar}
    assert found == contents(folder)
    assert len(plain) % tarfile.RECORDSIZE == 0


def test_several_keys_each_open_it(folder, tmp_path, keys):
    target = backup.seal(folder, tmp_path / "a.age", [str(key.to_public()) for key in keys])
    for number, key in enumerate(keys):
        backup.open_sealed(target, str(key), tmp_path / f"back {number}")


def spoiled(target, how):
    data = target.read_bytes()
    return {
        "cut": data[:-1],
        "cut at a piece": data[: -(len(data) % 65552) or None][:65552],
        "header cut": data[:60],
        "empty": b"",
        "changed": data[:-500] + bytes([data[-500] ^ 1]) + data[-499:],
        "not age": b"PK\3\4" + data,
    }[how]


@pytest.mark.parametrize(
    "how", ["cut", "cut at a piece", "header cut", "empty", "changed", "not age"]
)
def test_a_spoiled_file_does_not_open(folder, tmp_path, key, how):
    target = backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    target.write_bytes(spoiled(target, how))
    with pytest.raises(DataError, match=r"cut|not a file of age") as error:
        backup.open_sealed(target, str(key), tmp_path / "back")
    assert "another copy" in one_sentence(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.age", "dump"]


def test_another_key_does_not_open_it(folder, tmp_path, keys):
    target = backup.seal(folder, tmp_path / "a.age", str(keys[0].to_public()))
    with pytest.raises(DataError, match="not sealed for this key") as error:
        backup.open_sealed(target, str(keys[1]), tmp_path / "back")
    one_sentence(error)
    assert not (tmp_path / "back").exists()


def test_a_key_that_is_none_is_told_and_a_private_one_is_not_repeated(folder, tmp_path, key):
    wrong = {
        "private key": str(key),
        "not a public key": "age1nothing",
        "needed": [],
        "not a": "password",
    }
    for words, recipient in wrong.items():
        with pytest.raises(DataError, match=words) as error:
            backup.seal(folder, tmp_path / "a.age", recipient)
        assert str(key)[20:] not in one_sentence(error)
    target = backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    for identity in (str(key.to_public()), "AGE-SECRET-KEY-1", "", []):
        with pytest.raises(DataError, match="key") as error:
            backup.open_sealed(target, identity, tmp_path / "back")
        one_sentence(error)


def test_nothing_is_written_over(folder, tmp_path, key):
    public = str(key.to_public())
    target = backup.seal(folder, tmp_path / "a.age", public)
    before = target.read_bytes()
    with pytest.raises(DataError, match="there already"):
        backup.seal(folder, target, public)
    with pytest.raises(DataError, match="there already"):
        backup.open_sealed(target, str(key), folder)
    assert target.read_bytes() == before


def test_nothing_to_seal_is_told(tmp_path, key):
    public = str(key.to_public())
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "out").symlink_to("/etc/hostname")
    for name, words in (("empty", "nothing"), ("absent", "no folder"), ("link", "link")):
        with pytest.raises(DataError, match=words) as error:
            backup.seal(tmp_path / name, tmp_path / "a.age", public)
        one_sentence(error)
    with pytest.raises(DataError, match="cannot be read") as error:
        backup.open_sealed(tmp_path / "absent.age", str(key), tmp_path / "back")
    one_sentence(error)
    assert not (tmp_path / "a.age").exists()


def test_a_folder_that_is_not_there_is_named_as_the_cause(folder, tmp_path, key):
    sealed = backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    gone = tmp_path / "gone"
    with pytest.raises(DataError, match="is not there; make it first"):
        backup.seal(folder, gone / "b.age", str(key.to_public()))
    with pytest.raises(DataError, match="is not there; make it first"):
        backup.open_sealed(sealed, str(key), gone / "back")


def test_a_full_disk_leaves_nothing_behind(folder, tmp_path, key):
    target = tmp_path / "a.age"
    with full_disk(100_000), pytest.raises(DataError, match="Free some space") as error:
        backup.seal(folder, target, str(key.to_public()))
    one_sentence(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dump"]
    backup.seal(folder, target, str(key.to_public()))
    with full_disk(100_000), pytest.raises(DataError, match="Free some space") as error:
        backup.open_sealed(target, str(key), tmp_path / "back")
    one_sentence(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.age", "dump"]


def test_an_interrupted_seal_leaves_nothing_behind(folder, tmp_path, key, monkeypatch):
    interrupt_all(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dump"]


def test_an_interrupted_opening_leaves_nothing_behind(folder, tmp_path, key, monkeypatch):
    target = backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    interrupt_all(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        backup.open_sealed(target, str(key), tmp_path / "back")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.age", "dump"]


def test_a_file_that_grows_while_it_is_sealed_is_told(folder, tmp_path, key, monkeypatch):
    pieces = sealed._pieces

    def longer(file, bar):
        yield from pieces(file, bar)
        yield b"more"

    monkeypatch.setattr(sealed, "_pieces", longer)
    with pytest.raises(DataError, match="changed while") as error:
        backup.seal(folder, tmp_path / "a.age", str(key.to_public()))
    one_sentence(error)


def test_a_tar_of_another_program_is_opened_with_its_folders(folder, tmp_path, key):
    packed = shutil.make_archive(str(tmp_path / "other"), "tar", folder)
    target = tmp_path / "a.age"
    target.write_bytes(pyrage.encrypt(Path(packed).read_bytes(), [key.to_public()]))
    backup.open_sealed(target, str(key), tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)


def hostile(kind):
    """A tar that writes outside of its folder, or makes something else than a file."""
    entry = tarfile.TarInfo({"above": "../evil", "absolute": "/left-open/evil"}.get(kind, "evil"))
    if kind == "link":
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/hostname"
    if kind == "device":
        entry.type = tarfile.CHRTYPE
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as tar:
        tar.addfile(entry)
    return text.getvalue() if kind != "no tar" else b"a letter, and no tar at all" * 100


@pytest.mark.parametrize("kind", ["above", "link", "device", "no tar"])
def test_who_knows_the_public_key_can_seal_anything_and_it_is_refused(tmp_path, key, kind):
    target = tmp_path / "a.age"
    target.write_bytes(pyrage.encrypt(hostile(kind), [key.to_public()]))
    with pytest.raises(DataError, match=r"outside|refused|no backup") as error:
        backup.open_sealed(target, str(key), tmp_path / "back")
    one_sentence(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.age"]


def test_a_name_from_the_root_of_the_disk_is_unpacked_below_the_folder(tmp_path, key):
    target = tmp_path / "a.age"
    target.write_bytes(pyrage.encrypt(hostile("absolute"), [key.to_public()]))
    backup.open_sealed(target, str(key), tmp_path / "back")
    assert contents(tmp_path / "back") == {"left-open/evil": b""}
    assert not Path("/left-open").exists()


# -- the manifest -----------------------------------------------------------------------------


@pytest.fixture
def signer():
    return Ed25519PrivateKey.generate()


def test_a_signed_folder_is_known_again(folder, signer):
    when = datetime.datetime(2026, 11, 22, 3, 0, tzinfo=datetime.UTC)
    said = backup.sign_manifest(folder, signer, when)
    assert backup.check_manifest(folder, signer.public_key()) == said
    assert said.made == when
    assert said.files["deep/small.json"][0] == 8
    assert set(said.files) == {n for n in contents(folder) if not n.startswith("manifest.")}


CHANGES = {
    "changed: large": lambda p: (p / "large").write_bytes(b"y" * (p / "large").stat().st_size),
    "missing: empty": lambda p: (p / "empty").unlink(),
    "not in the manifest: new": lambda p: (p / "new").write_text("x"),
    "missing: deep/small.json; not in the manifest: small.json": lambda p: (
        p / "deep" / "small.json"
    ).rename(p / "small.json"),
}


@pytest.mark.parametrize("words", CHANGES)
def test_each_change_of_a_file_is_named(folder, signer, words):
    backup.sign_manifest(folder, signer)
    CHANGES[words](folder)
    with pytest.raises(DataError, match=words) as error:
        backup.check_manifest(folder, signer.public_key())
    one_sentence(error)


def test_a_manifest_that_is_written_anew_is_not_believed(folder, signer):
    """A stranger who changes a file can compute hashes; it is the signature that tells."""
    backup.sign_manifest(folder, signer)
    path = folder / "manifest.json"
    said = json.loads(path.read_text())
    (folder / "large").write_bytes(b"")
    for entry in said["files"]:
        if entry["name"] == "large":
            entry.update(size=0, sha256=hashlib.sha256(b"").hexdigest())
    path.write_text(json.dumps(said))
    with pytest.raises(DataError, match="not signed with this key") as error:
        backup.check_manifest(folder, signer.public_key())
    one_sentence(error)


def test_another_signers_manifest_is_not_believed(folder, signer):
    backup.sign_manifest(folder, Ed25519PrivateKey.generate())
    with pytest.raises(DataError, match="not signed with this key"):
        backup.check_manifest(folder, signer.public_key())


def test_what_is_no_manifest_is_told(folder, signer):
    with pytest.raises(DataError, match="cannot be read") as error:
        backup.check_manifest(folder, signer.public_key())
    one_sentence(error)
    for text in (b"[]", b"{", b'{"made": "x", "files": []}', b'{"files": [{"name": 1}]}'):
        (folder / "manifest.json").write_bytes(text)
        (folder / "manifest.sig").write_bytes(signer.sign(text))
        with pytest.raises(DataError, match="no manifest of a backup") as error:
            backup.check_manifest(folder, signer.public_key())
        one_sentence(error)


def test_bad_inputs_to_the_manifest_are_told(folder, signer, tmp_path):
    naive = datetime.datetime(2026, 11, 22)
    (tmp_path / "empty").mkdir()
    bad = [(folder, "a key"), (folder, signer, naive), (tmp_path / "empty", signer)]
    for arguments in bad:
        with pytest.raises(DataError) as error:
            backup.sign_manifest(*arguments)
        one_sentence(error)
    with pytest.raises(DataError, match="Ed25519PublicKey"):
        backup.check_manifest(folder, signer)
    assert not (folder / "manifest.json").exists()


def test_a_manifest_without_its_signature_is_not_left(folder, signer, monkeypatch):
    backup.sign_manifest(folder, signer)
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="there already"):  # the old signature
        backup.sign_manifest(folder, signer)
    assert not (folder / "manifest.json").exists()
