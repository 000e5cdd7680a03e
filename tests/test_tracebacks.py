"""What Python said, found in what a service printed."""

import subprocess
import sys
from pathlib import Path

import pytest

from leftopen.engines.tracebacks import last_complaint, last_error


def printed_by(tmp_path, **files):
    """What Python prints of main.py, which fails."""
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    return f"before\n{ran.stderr}2026-11-22T09:00:00+0000 INFO after\n"


@pytest.mark.parametrize(
    ("main", "place", "words"),
    [
        ("x = 1\nnope\n", ("main.py", 2), "NameError: name 'nope' is not defined"),
        ("import other\n", ("other.py", 1), "ZeroDivisionError: division by zero"),
        # The library's own frames come last, and are not the learner's.
        ("import json\n\njson.loads('{')\n", ("main.py", 3), "json.decoder.JSONDecodeError: "),
        # The error that stands is the one that was raised last.
        (
            "try:\n    nope\nexcept NameError as e:\n    raise ValueError('later') from e\n",
            ("main.py", 4),
            "ValueError: later",
        ),
        # Out of a group of errors, as anyio raises them, one is told.
        (
            "try:\n    {}['k']\nexcept KeyError as e:\n    raise ExceptionGroup('all', [e])\n",
            ("main.py", 2),
            "KeyError: 'k'",
        ),
        ("x = (\n", ("main.py", 1), "SyntaxError: '(' was never closed"),
        ("raise ValueError\n", ("main.py", 1), "ValueError"),
    ],
)
def test_the_last_error_and_its_line(tmp_path, main, place, words):
    printed = printed_by(tmp_path, main=main, other="1 / 0\n")
    *found, said = last_error(printed, tmp_path)
    assert tuple(found) == place
    assert said.startswith(words)


def test_a_program_that_says_nothing_of_an_error_has_none(tmp_path):
    assert last_error(printed_by(tmp_path, main="print(1)\n"), tmp_path) is None


def test_an_error_elsewhere_has_no_line_of_ours(tmp_path):
    printed = printed_by(tmp_path, main="nope\n")
    assert last_error(printed, Path("/elsewhere"))[:2] == ("", 0)


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("INFO: up\nERROR:    [Errno 98] in use\nINFO: down\n", "[Errno 98] in use"),
        ("2026-11-22T09:00:00+0000 ERROR uvicorn.error: No module.\n\n", "No module."),
        ("no level\nlast line\n", "last line"),
        ("", "it ended, and printed nothing"),
    ],
)
def test_without_a_traceback_the_last_complaint_is_told(printed, words):
    assert last_complaint(printed) == words
