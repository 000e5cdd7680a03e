"""What files show: a search that finds each value that stands there whole, and no other."""

from pathlib import Path
from types import SimpleNamespace

import pyrage
import pytest

from leftopen import at_rest, backup
from leftopen.at_rest import Desk, share, shown, traces, tried
from leftopen.errors import DataError

VALUES = ["000103199702267288", "000103196711196334", "Person-0001", "Person-00019"]


def test_values_are_found_whole_wherever_they_stand(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_bytes(b"\0" + VALUES[0].encode())
    (tmp_path / "deep" / "b").write_bytes(b"Pers" + VALUES[3].encode() + b"0001" * 40)
    assert shown(tmp_path, VALUES) == {VALUES[0], VALUES[2], VALUES[3]}
    assert shown(tmp_path / "a", VALUES) == {VALUES[0]}
    assert shown([tmp_path / "a", tmp_path / "gone"], VALUES) == {VALUES[0]}


@pytest.mark.parametrize("lost", [0, 9, 17])
def test_a_part_of_a_value_is_not_the_value(tmp_path, lost):
    raw = bytearray(VALUES[0].encode())
    del raw[lost]
    (tmp_path / "a").write_bytes(bytes(raw))
    assert shown(tmp_path, VALUES[:1]) == set()


def test_links_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_text(VALUES[0])
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    assert shown(tmp_path / "in", VALUES) == set()


def test_nothing_is_not_looked_for(tmp_path):
    for values in ([], ["abc"]):
        with pytest.raises(DataError):
            shown(tmp_path, values)


def test_a_share_is_a_word():
    assert share(set(), VALUES) == "none"
    assert share(set(VALUES[:1]), VALUES) == "some"
    assert share(set(VALUES), VALUES) == "all"
    assert share({"a"}, ["a", "a"]) == "all"


def test_a_value_across_two_pages_of_the_write_ahead_log_is_found(tmp_path):
    """The header of a page stands in the middle of a record that goes on behind it."""
    value = VALUES[0].encode()
    first = bytes(8192 - 5) + value[:5]
    second = b"header of a page".ljust(24, b"\0") + value[5:] + bytes(8192 - 24 - len(value) + 5)
    assert (len(first), len(second)) == (8192, 8192)
    (tmp_path / "pg_wal").mkdir()
    (tmp_path / "pg_wal" / "1").write_bytes(first + second)
    (tmp_path / "other").write_bytes(first + second)
    assert shown(tmp_path / "pg_wal", VALUES) == {VALUES[0]}
    assert shown([tmp_path / "other"], VALUES) == set()


def test_a_folder_that_goes_while_it_is_listed_is_listed_once_more(tmp_path, monkeypatch):
    (tmp_path / "a").write_text(VALUES[0])
    real, fails = Path.glob, [2]

    def glob(folder, pattern):
        if fails[0]:
            fails[0] -= 1
            raise FileNotFoundError(pattern)
        return real(folder, pattern)

    monkeypatch.setattr(Path, "glob", glob)
    assert shown(tmp_path, VALUES) == {VALUES[0]}
    fails[0] = 1000
    with pytest.raises(DataError, match="change all the time"):
        shown(tmp_path, VALUES)


def test_each_kind_of_file_is_told_apart(tmp_path):
    for name in ("data/collection-1.wt", "data/journal/1", "mongod.log.2026", "pki/server.pem"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(VALUES if "journal" in name else VALUES[:2]))
    lab = SimpleNamespace(program="mongod", log=tmp_path / "mongod.log")
    assert traces(lab, VALUES) == {
        "collections": "some",
        "indexes": "none",
        "journal": "all",
        "log": "some",
    }
    assert set(at_rest.PLACES) == {"mongod", "PostgreSQL", "OpenSearch"}


def test_a_desk_gives_free_names_and_is_gone_at_the_end():
    desk = Desk()
    first, second = desk.new("dump"), desk.new("dump")
    assert first != second
    assert first.name == second.name == "dump"
    first.write_text("x")
    desk.clear()
    assert list(desk.folder.iterdir()) == []
    folder = desk.folder
    del desk
    assert not folder.exists()


def test_a_desk_is_cleared_of_whatever_lies_on_it(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    desk = Desk()
    (desk.folder / "file").write_text("x")
    (desk.folder / "link").symlink_to(tmp_path / "kept")
    desk.new("dump").mkdir()
    desk.clear()
    assert list(desk.folder.iterdir()) == []
    assert (tmp_path / "kept" / "file").exists()


def test_what_is_tried_is_told_without_its_folders():
    desk = Desk()
    words = tried(backup.open_sealed, desk.new("a.age"), "AGE-SECRET-KEY-1", desk.new("b"))
    assert words.startswith("This is not a private key")
    (full := desk.new("full")).mkdir()
    (full / "notes").write_text("x")
    target = desk.new("a.age")
    target.write_text("x")
    public = str(pyrage.x25519.Identity.generate().to_public())
    with pytest.raises(DataError) as error:
        backup.seal(full, target, public)
    assert str(desk.folder) in str(error.value)
    words = tried(backup.seal, full, target, public)
    assert "a.age" in words
    assert "leftopen-" not in words
    assert tried(str, 1) == "yes"
    with pytest.raises(ZeroDivisionError):
        tried(divmod, 1, 0)
