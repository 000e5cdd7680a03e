"""Small file systems in memory, for tests of full and read-only disks."""

import os
import shutil
import subprocess
import sys

import pytest


def mount(folder, options):
    """Mount a file system in memory, or skip with the reason."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount the small file system that this test fills")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount the small file system of this test")


def unmount(folder):
    """Take it away again, if it is there."""
    if os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)
