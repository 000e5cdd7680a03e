"""What a stranger without the key does to a signed folder: changes that keep what a weak look sees.

CRC-32 is linear: its own polynomial, XORed over the content, leaves it as it was (ISO 3309). A sum,
and Adler-32 with its sum of sums (RFC 1950), stay the same for +1, -2, +1 on three neighbours. Of a
digest cut to four hex digits another content is found after some 65,000 tries.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations
from pathlib import Path

_CRC = (1 | 0xEDB88320 << 1).to_bytes(5, "little")  # the polynomial, lowest bit first
_MOVED = 9  # bytes that go from one file to the other
_BETWEEN = (b"", b"\n", b"\0", b" ", b":")  # what people put between a name and a content
_CUT = 4  # hex digits of a digest that was cut short


@dataclass(frozen=True)
class Change:
    """One thing that a stranger does.

    Attributes:
        done: in words, as ``"one byte of people.age was changed"``.
        name: the file that it is about.
        do: does it, in a copy of the folder.
    """

    done: str
    name: str
    do: Callable[[Path], None]


def write(path: Path, content: bytes) -> None:
    """Put another content into a file; its time stays, as whoever may write it can set it."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, in the order of the names: its path in it -> its content."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: paths[name].read_bytes() for name in sorted(paths)}


def companions(name: str, own: Sequence[str]) -> dict[str, str]:
    """Which of the added files go with one file, as ``people.age.sig``, and what follows its name.

    Args:
        name: a file of the backup.
        own: the files that ``sign`` has added.
    """
    return {each: each.removeprefix(name) for each in own if each.startswith(name)}


# -- the content of one file ----------------------------------------------------------------------


def contents(names: Sequence[str]) -> Iterator[Change]:
    """Each file changed in each way; its length and its time stay as they are."""
    for name in names:
        for words, change in _WAYS.items():
            yield _altered(words, name, change)
    for algorithm in ("sha256", "md5"):
        words = f"{{}} was changed so that its {algorithm} begins as before"
        yield _altered(words, names[-1], partial(_same_start, algorithm))


def flip(name: str) -> Change:
    """One byte of a file changed, and nothing else."""
    return _altered("one byte of {} was changed", name, _flipped)


def _altered(words: str, name: str, change: Callable[[bytes], bytes]) -> Change:
    return Change(words.format(name), name, partial(_alter, name, change))


def _alter(name: str, change: Callable[[bytes], bytes], folder: Path) -> None:
    path = folder / name
    content = path.read_bytes()
    write(path, change(content))


def _flipped(content: bytes, at: int | None = None) -> bytes:
    at = len(content) // 2 if at is None else at
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


def _swapped(content: bytes) -> bytes:
    """Two bytes change places: length, sum and XOR of all bytes stay."""
    first = len(content) // 3
    second = next(at for at in range(first + 1, len(content)) if content[at] != content[first])
    changed = bytearray(content)
    changed[first], changed[second] = changed[second], changed[first]
    return bytes(changed)


def _same_adler(content: bytes) -> bytes:
    at = next(
        at
        for at in range(len(content) // 4, len(content))
        if content[at] < 255 and content[at + 1] > 1 and content[at + 2] < 255
    )
    changed = bytearray(content)
    for place, step in enumerate((1, -2, 1), start=at):
        changed[place] += step
    return bytes(changed)


def _same_crc(content: bytes) -> bytes:
    changed = bytearray(content)
    for place, byte in enumerate(_CRC, start=len(content) // 5):
        changed[place] ^= byte
    return bytes(changed)


@cache
def _same_start(algorithm: str, content: bytes) -> bytes:
    wanted = hashlib.new(algorithm, content).hexdigest()[:_CUT]
    head = hashlib.new(algorithm, content[:-4])
    number = 0
    while True:
        last = number.to_bytes(4, "big")
        tried = head.copy()
        tried.update(last)
        if tried.hexdigest()[:_CUT] == wanted and last != content[-4:]:
            return content[:-4] + last
        number += 1


_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "one byte of {} was changed": _flipped,
    "the last byte of {} was changed": lambda content: _flipped(content, -1),
    "two bytes of {} changed places": _swapped,
    "{} was changed so that its sums stay as they were": _same_adler,
    "{} was changed so that its CRC-32 stays as it was": _same_crc,
}


# -- which content belongs to which name ----------------------------------------------------------


def exchanges(names: Sequence[str], own: Sequence[str] = ()) -> Iterator[Change]:
    """Contents that go from one file to another, in every order of two of them.

    Args:
        names: the files.
        own: what ``sign`` has added; what belongs to one file goes along.
    """
    for a, b in permutations(names, 2):
        if a < b:
            for added in ((), own) if companions(a, own) else ((),):
                yield Change(f"{a} and {b} changed places", a, partial(_swap, a, b, added))
        done = f"the end of {a} went to the beginning of {b}"
        yield Change(done, a, partial(_move, a, b))
        done = f"the beginning of {a} went to the end of {b}"
        yield Change(done, a, partial(_move_back, a, b))
        for between in _BETWEEN:
            for name in dict.fromkeys((b, Path(b).name)):
                swallow = partial(_swallow, a, b, between + name.encode() + between)
                yield Change(f"{b} was put into {a}, as its end", a, swallow)


def _swap(a: str, b: str, own: Sequence[str], folder: Path) -> None:
    pairs = [(a, b)]
    pairs += [(each, f"{b}{end}") for each, end in companions(a, own).items()]
    for one, two in pairs:
        if (folder / two).exists():
            first, second = (folder / one).read_bytes(), (folder / two).read_bytes()
            write(folder / one, second)
            write(folder / two, first)


def _move(a: str, b: str, folder: Path) -> None:
    first, second = (folder / a).read_bytes(), (folder / b).read_bytes()
    write(folder / a, first[:-_MOVED])
    write(folder / b, first[-_MOVED:] + second)


def _move_back(a: str, b: str, folder: Path) -> None:
    first, second = (folder / a).read_bytes(), (folder / b).read_bytes()
    write(folder / a, first[_MOVED:])
    write(folder / b, second + first[:_MOVED])


def _swallow(a: str, b: str, between: bytes, folder: Path) -> None:
    write(folder / a, (folder / a).read_bytes() + between + (folder / b).read_bytes())
    (folder / b).unlink()


# -- names ----------------------------------------------------------------------------------------


def renames(names: Sequence[str], own: Sequence[str] = ()) -> Iterator[Change]:
    """Each file under another name: another letter, another folder; with what belongs to it."""
    for name in names:
        path = Path(name)
        news = [path.with_name(f"x{path.name}")]
        news += [Path(path.name), Path("other") / path.name] if path.parent != Path() else []
        for new in map(Path.as_posix, news):
            yield Change(f"{name} is now called {new}", name, partial(_rename, name, new, own))
        new = name[:-1]
        done = f"{name} is now called {new}, with the last letter in its content"
        yield Change(done, name, partial(_shorten, name))


def _rename(name: str, new: str, own: Sequence[str], folder: Path) -> None:
    (folder / new).parent.mkdir(exist_ok=True)
    for each, end in {name: "", **companions(name, own)}.items():
        (folder / each).rename(folder / f"{new}{end}")


def _shorten(name: str, folder: Path) -> None:
    write(folder / name, name[-1].encode() + (folder / name).read_bytes())
    (folder / name).rename(folder / name[:-1])


# -- fewer, and more ------------------------------------------------------------------------------


def removals(names: Sequence[str], own: Sequence[str] = ()) -> Iterator[Change]:
    """Each file taken away, alone and with what belongs to it."""
    for name in names:
        for added in ((), own) if companions(name, own) else ((),):
            yield Change(f"{name} was taken away", name, partial(_remove, name, added))


def _remove(name: str, own: Sequence[str], folder: Path) -> None:
    for each in (name, *companions(name, own)):
        (folder / each).unlink()


def additions(names: Sequence[str], own: Sequence[str] = ()) -> Iterator[Change]:
    """A file more: a new one, a hidden one, one called as what ``sign`` adds, one from a file."""
    below = Path(names[1]).parent.as_posix()
    new = [f"x{Path(names[0]).name}", f"{below}/more.age", ".more.age", f"{below}/.more.age"]
    new += ["new/more.age", *(f"{below}/{Path(name).name}" for name in own)]
    for name in new:
        yield Change(f"{name} was added", name, partial(_add, name))
    for name in names:
        if companions(name, own):
            new_name = Path(name).with_name(f"x{Path(name).name}").as_posix()
            do = partial(_copy, name, new_name, own)
            yield Change(f"{new_name} was added, a copy of {name}", new_name, do)


def _add(name: str, folder: Path) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"accounts of the stranger's own")


def _copy(name: str, new: str, own: Sequence[str], folder: Path) -> None:
    for each, end in {name: "", **companions(name, own)}.items():
        (folder / f"{new}{end}").write_bytes((folder / each).read_bytes())
