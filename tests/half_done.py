"""Ways to end work in the middle: a full disk, an interrupt; and what a learner is told of it."""

import contextlib

import pytest

from leftopen.backup import files

resource = pytest.importorskip("resource")  # to fill a disk as the system itself does


def one_sentence(error):
    """What a learner reads: the cause and the next step, and no trace of Python."""
    text = str(error.value)
    assert text.endswith(".")
    assert "Traceback" not in text
    assert "\n" not in text
    return text


@contextlib.contextmanager
def full_disk(limit):
    """A file system that takes no more than so many bytes a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def interrupt_all(monkeypatch):
    """Interrupt whatever is done from now on, once a part of it is."""

    def add(bar, count):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.Bar, "add", add)
