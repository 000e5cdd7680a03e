"""How the tests wait for what must come."""

import time

WAIT = 60  # the longest wait; nothing is measured


def wait_for(condition):
    """Wait until it holds, and say whether it does."""
    deadline = time.monotonic() + WAIT
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def until(condition):
    """Wait until it holds."""
    assert wait_for(condition)
