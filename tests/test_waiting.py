"""What the tests wait with: a file that is there and empty is not yet written."""

import threading

import pytest
import waiting


def test_a_file_that_is_made_first_and_filled_later_is_waited_for(tmp_path):
    def write():
        path = tmp_path / "server-1.json"
        path.touch()
        begun.set()
        go_on.wait(waiting.WAIT)
        path.write_text('{"port": ')
        path.write_text('{"port": 1}')

    begun, go_on = threading.Event(), threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    begun.wait(waiting.WAIT)
    threading.Timer(0.2, go_on.set).start()
    assert waiting.written(tmp_path, "server-*.json") == {"port": 1}
    writer.join()


def test_a_file_that_never_comes_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "WAIT", 0.1)
    with pytest.raises(StopIteration):
        waiting.written(tmp_path, "server-*.json")
