"""How the tests wait for what must come."""

import json
import time

WAIT = 60  # the longest wait; nothing is measured


def wait_for(condition):
    """Wait until it holds, and say whether it does."""
    deadline = time.monotonic() + WAIT
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds


def until(condition):
    """Wait until it holds."""
    assert wait_for(condition)


def written(folder, pattern):
    """Wait for a JSON file of that name to be whole, and return what it holds.

    Whoever writes it makes it first and fills it then: in between, it is there and empty.
    """
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return json.loads(next(folder.glob(pattern)).read_text())
        except (StopIteration, OSError, ValueError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
