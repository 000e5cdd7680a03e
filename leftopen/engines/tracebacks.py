"""What Python says of an error, out of all that a service printed."""

import re
from pathlib import Path

# A frame, with what stands before it in the traceback of an exception group (PEP 654).
_FRAME = re.compile(r'(?P<lead>[ |+-]*)File "(?P<file>.+)", line (?P<line>\d+)')
_LEAD = " |+-"
_ERROR_LINE = re.compile(r"(?:\S+ )?ERROR:? *(?:uvicorn\.error: *)?(?P<words>.+)")


def last_error(printed: str, folder: Path) -> tuple[str, int, str] | None:
    """Find the last traceback in a text.

    Args:
        printed: what a program printed.
        folder: the program's own code, in contrast to the libraries that it uses.

    Returns:
        The file in the folder and the line at which it happened, or ``("", 0)`` where the
        traceback names none of them, and the traceback's last line; or ``None`` without one.
    """
    lines = printed.splitlines()
    frames = [(number, found) for number, at in enumerate(lines) if (found := _FRAME.match(at))]
    if not frames:
        return None
    last, frame = frames[-1]
    below = (line for line in lines[last + 1 :] if _indent(line) < len(frame["lead"]))
    words = next(below, "").lstrip(_LEAD).strip()
    place = ("", 0)
    for _, frame in frames[_begin(lines, frames) :]:
        path = Path(frame["file"])
        if path.parent in (folder, folder.resolve()):
            place = path.name, int(frame["line"])
    return *place, words


def last_complaint(printed: str) -> str:
    """The last line that a program logged as an error; its last line, where there is none."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    found = [said["words"] for line in lines if (said := _ERROR_LINE.match(line))]
    return (found or lines or ["it ended, and printed nothing"])[-1]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(_LEAD))


def _begin(lines: list[str], frames: list[tuple[int, re.Match]]) -> int:
    """The first frame of the last traceback."""
    heads = [n for n, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    head = max((n for n in heads if n < frames[-1][0]), default=-1)
    return next(index for index, (n, _) in enumerate(frames) if n > head)
