"""A folder that goes with its process, however that ends."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import until

from leftopen.engines.kept_folder import KeptFolder

MAKE = """
from leftopen.engines.kept_folder import KeptFolder
folder = KeptFolder()
(folder.path / "key").write_text("secret")
print(folder.path, flush=True)
input()
"""


@pytest.mark.parametrize("ends", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.skipif(os.name != "posix", reason="these signals are POSIX's")
def test_a_killed_process_leaves_no_folder(ends):
    command = [sys.executable, "-c", MAKE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        path = Path(process.stdout.readline().decode().strip())
        assert (path / "key").exists()
        process.send_signal(ends)
    until(lambda: not path.parent.exists())


def test_it_is_private_and_goes_with_its_object_or_when_told():
    first, second = KeptFolder(), KeptFolder()
    assert first.path != second.path
    if os.name == "posix":
        assert stat.S_IMODE(first.path.stat().st_mode) == 0o700
    paths = first.path, second.path
    first.close()
    first.close()
    del second
    assert not any(path.parent.exists() for path in paths)
