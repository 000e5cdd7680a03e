"""Exercise 15, question 3: ways to sign a folder, and whether a stranger gets past them."""

import base64
import hashlib
import hmac
import json
import zlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization as form

from leftopen import backup
from leftopen.checks import encrypt_at_rest_and_back_up_forgery as forgery
from leftopen.checks.encrypt_at_rest_and_back_up import QUESTIONS
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.learner import Draw

LIST, SIGNATURE = "list.json", "list.sig"
QUESTION = QUESTIONS[3]
TASK = QUESTION.task(Draw("ada", "15"))


def told(sign, verify):
    at = Attempt(TASK)
    return QUESTION.check(at, sign, verify), at


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def paths(folder, skip=(LIST, SIGNATURE)):
    found = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: path for name, path in found.items() if name not in skip}


def digests(folder):
    return {name: digest(path) for name, path in paths(folder).items()}


def packed(value):
    return json.dumps(value).encode()


def listing(look=digests, signed=lambda text, folder: text, optional=False):
    """A list of the folder in one file, and a signature over something in another."""

    def sign(folder, key):
        text = packed(look(folder))
        (folder / LIST).write_bytes(text)
        (folder / SIGNATURE).write_bytes(key.sign(signed(text, folder)))

    def verify(folder, key):
        text = (folder / LIST).read_bytes()
        if not optional or (folder / SIGNATURE).exists():
            key.verify((folder / SIGNATURE).read_bytes(), signed(text, folder))
        return json.loads(text) == json.loads(packed(look(folder)))

    return sign, verify


def over(text_of):
    """A signature over what the folder comes to, and no list."""

    def sign(folder, key):
        (folder / SIGNATURE).write_bytes(key.sign(text_of(folder)))

    def verify(folder, key):
        try:
            key.verify((folder / SIGNATURE).read_bytes(), text_of(folder))
        except InvalidSignature:
            return False
        return True

    return sign, verify


def each(look):
    """One figure for each file."""
    return over(lambda folder: packed({n: look(path) for n, path in paths(folder).items()}))


def each_by_itself(text_of, strict=True):
    """A signature for each file, beside it."""

    def names(folder):
        return [name for name in paths(folder) if not name.endswith(".sig")]

    def sign(folder, key):
        every = names(folder)
        for name in every:
            (folder / f"{name}.sig").write_bytes(key.sign(text_of(folder, name, every)))

    def verify(folder, key):
        every = names(folder)
        for name in every:
            key.verify((folder / f"{name}.sig").read_bytes(), text_of(folder, name, every))
        return not strict or set(paths(folder)) == {*every, *(f"{name}.sig" for name in every)}

    return sign, verify


def joined(between, names=True):
    def text(folder):
        parts = []
        for name, path in paths(folder).items():
            parts += [name.encode()] * names + [path.read_bytes()]
        return between.join(parts)

    return over(text)


def content(folder, name, every):
    return (folder / name).read_bytes()


def public_hmac():
    def made(folder, public):
        return hmac.digest(public.public_bytes_raw(), packed(digests(folder)), "sha256")

    def sign(folder, key):
        (folder / SIGNATURE).write_bytes(made(folder, key.public_key()))

    return sign, lambda folder, key: (folder / SIGNATURE).read_bytes() == made(folder, key)


def in_one_file():
    def sign(folder, key):
        text = json.dumps(digests(folder))
        whole = {"list": text, "signature": key.sign(text.encode()).hex()}
        (folder / LIST).write_text(json.dumps(whole))

    def verify(folder, key):
        whole = json.loads((folder / LIST).read_text())
        key.verify(bytes.fromhex(whole["signature"]), whole["list"].encode())
        return json.loads(whole["list"]) == digests(folder)

    return sign, verify


def start(size):
    def look(path):
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.sha256(file.read(size)).hexdigest()

    return look


def visible(folder):
    return {n: d for n, d in digests(folder).items() if not n.rpartition("/")[2].startswith(".")}


def names_alone(text, folder):
    return packed(sorted(digests(folder)))


RIGHT_ONES = {
    "a list and its signature": listing(),
    "no list": over(lambda folder: packed(digests(folder))),
    "lengths before names and contents": over(
        lambda folder: b"".join(
            b"%d %d " % (len(n), p.stat().st_size) + n.encode() + p.read_bytes()
            for n, p in paths(folder).items()
        )
    ),
    "one file": in_one_file(),
    "a signature for each, with the list of all": each_by_itself(
        lambda folder, name, every: packed([name, every]) + content(folder, name, every)
    ),
    "time, length and content": each(lambda p: (p.stat().st_mtime_ns, digest(p))),
}
WRONG = {
    "signed_little": {
        "a constant": listing(signed=lambda text, folder: b"our backup"),
        "the names": listing(signed=names_alone),
        "the beginning of the list": listing(signed=lambda text, folder: text[:64]),
        "the digests, not the names": listing(
            signed=lambda text, folder: packed(sorted(digests(folder).values()))
        ),
    },
    "none_is_good": {"where there is a signature": listing(optional=True)},
    "unsigned": {"a public key as a secret": public_hmac()},
    "exchanged": {
        "contents alone": joined(b"", names=False),
        "nothing between": joined(b""),
        "lines": joined(b"\n"),
        "zeros": joined(b"\0"),
        "digests without names": over(lambda folder: packed(sorted(digests(folder).values()))),
        "each by itself": each_by_itself(content),
    },
    "renamed": {
        "names without folders": over(
            lambda folder: packed({p.name: digest(p) for p in paths(folder).values()})
        ),
        "digests in the order of names": over(lambda folder: packed([*digests(folder).values()])),
    },
    "fewer": {
        "each by itself, with its name": each_by_itself(
            lambda folder, name, every: name.encode() + b"\0" + content(folder, name, every)
        ),
    },
    "more": {"hidden files passed over": listing(visible)},
    "content_free": {
        "CRC-32": each(lambda path: zlib.crc32(path.read_bytes())),
        "Adler-32": each(lambda path: zlib.adler32(path.read_bytes())),
        "a sum": each(lambda path: sum(path.read_bytes())),
        "four digits of SHA-256": each(lambda path: digest(path)[:4]),
        "length and time": each(lambda p: (p.stat().st_size, p.stat().st_mtime_ns)),
        "64 KB": each(start(1 << 16)),
        "1 MB": each(start(1 << 20)),
    },
}


@pytest.mark.parametrize("name", RIGHT_ONES)
def test_a_manifest_that_covers_everything_is_right(name):
    found, at = told(*RIGHT_ONES[name])
    assert found == RIGHT, at.tried


@pytest.mark.parametrize(
    ("fault", "name"), [(fault, name) for fault, ways in WRONG.items() for name in ways]
)
def test_a_manifest_that_a_stranger_gets_past_is_not(fault, name):
    found, at = told(*WRONG[fault][name])
    assert found == fault, at.tried


def test_each_change_is_one_and_keeps_what_it_says(tmp_path):
    names = list(map(str, TASK["files"]))
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(hashlib.shake_256(name.encode()).digest(3000))
    before = forgery.files(tmp_path)
    assert list(before) == sorted(names)
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in names}
    for change in forgery.contents(names):
        change.do(tmp_path)
        now = forgery.files(tmp_path)
        assert [n for n in names if now[n] != before[n]] == [change.name]
        old, new = before[change.name], now[change.name]
        assert len(old) == len(new)
        assert times[change.name] == (tmp_path / change.name).stat().st_mtime_ns
        if "CRC" in change.done:
            assert zlib.crc32(old) == zlib.crc32(new)
        if "sums" in change.done:
            assert (sum(old), zlib.adler32(old)) == (sum(new), zlib.adler32(new))
        if "changed places" in change.done:
            assert sorted(old) == sorted(new)
        forgery.write(tmp_path / change.name, old)


def test_an_answer_that_is_a_text_is_no_answer():
    sign, verify = listing()
    with pytest.raises(BadAnswer, match="True or False"):
        told(sign, lambda folder, key: str(verify(folder, key)))
    found, at = told(sign, lambda folder, key: exit(1))
    assert found == "own_refused"
    assert at.values["said"] == "it raises SystemExit"


def test_a_manifest_is_not_fooled_by_what_is_kept_elsewhere_or_says_yes():
    kept = {}

    def remember(folder, key):
        kept[True] = sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())

    with pytest.raises(BadAnswer, match="added no file"):
        told(remember, lambda *_: True)
    sign, check = backup.sign_manifest, backup.check_manifest
    assert told(sign, lambda *_: True)[0] == "content_free"
    assert told(sign, lambda *_: None)[0] == "own_refused"
    found, at = told(sign, lambda *_: 1 / 0)
    assert found == "own_refused"
    assert "ZeroDivisionError" in at.values["said"]
    assert told(sign, check)[0] == RIGHT

    def spoil(folder, key):
        sign(folder, key)
        next(path for path in folder.rglob("*.age")).write_bytes(b"")

    with pytest.raises(BadAnswer, match="changed or removed"):
        told(spoil, check)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [(form.Encoding.PEM, bytes)]
    + [(form.Encoding.DER, text) for text in (bytes, base64.b64encode, bytes.hex)],
)
def test_a_private_key_in_the_folder_is_found_in_each_form(encoding, text):
    def careless(folder, key):
        told = key.private_bytes(encoding, form.PrivateFormat.PKCS8, form.NoEncryption())
        written = text(told)
        path = folder / "old" / "key"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(written if isinstance(written, bytes) else written.encode())
        backup.sign_manifest(folder, key)

    assert told(careless, backup.check_manifest)[0] == "private_key_beside"


@pytest.mark.parametrize("there", [lambda path: True, lambda path: path.exists()])
def test_hashes_that_the_notebook_keeps_are_no_manifest(there):
    kept = {}

    def sign(folder, key):
        kept.update(now=digests(folder))
        (folder / LIST).write_text("signed")

    def verify(folder, key):
        return there(folder / LIST) and kept["now"] == digests(folder)

    assert told(sign, verify)[0] == "remembered"
