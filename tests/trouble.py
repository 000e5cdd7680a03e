"""Trouble for the server of a lab, whichever it is: it is killed, or its start is interrupted."""

import os
import signal

from waiting import until


def kill(lab):
    """End the server with SIGKILL, and wait until the lab sees it."""
    os.kill(lab.server_pid, signal.SIGKILL)
    until(lambda: not lab.is_running)


def interrupt_the_next_start(monkeypatch, lab):
    """Interrupt the server's next start; the one after that is as ever."""
    start = lab._server.start
    calls = []

    def interrupted(files):
        calls.append(files)
        if len(calls) == 1:
            raise KeyboardInterrupt
        start(files)

    monkeypatch.setattr(lab._server, "start", interrupted)
