"""Exercise 15, question 2, without a server: what is compared, and which folder goes away."""

import tempfile

from leftopen.checks import encrypt_at_rest_and_back_up_sealed as sealed
from leftopen.checks.question import Attempt


def test_collections_that_are_missing_or_empty():
    full, empty = ({"1": {"_id": 1}}, {"an index"}), ({}, {"an index"})

    def told(truth, found):
        at = Attempt({})
        return sealed._compared(at, truth, found), at.values["names"]

    assert told({"a": full, "b": empty}, {"a": full, "b": empty}) == (None, "")
    assert told({"a": full, "b": empty}, {"a": full}) == ("part", "b")
    assert told({"a": full, "b": full}, {"b": full}) == ("part", "a")
    assert told({"a": full, "b": full}, {"a": empty, "b": full}) == ("part", "a")
    assert told({"a": full, "b": empty}, {"a": full, "b": ({}, set())}) == ("indexes_lost", "b")
    assert told({"a": full, "b": empty}, {"c": full}) == ("another_database", "a, b")
    assert told({"b": empty}, {"b": empty}) == (None, "")


def test_a_folder_called_disk_above_those_for_temporary_files_is_none_of_ours(
    tmp_path, monkeypatch
):
    backup_folder = tmp_path / "disk" / "tmp" / "desk" / "backup"
    backup_folder.mkdir(parents=True)
    assert sealed._disk(backup_folder) == tmp_path / "disk"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk" / "tmp"))
    assert sealed._disk(backup_folder) == backup_folder
