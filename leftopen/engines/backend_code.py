"""The code of a service: its files, on disk and in the learner's hands."""

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

from leftopen.engines import config as conf
from leftopen.engines.process import disk
from leftopen.errors import ConfigRefused, LeftOpenError

UNCHANGED = "Nothing has changed: the service runs with its earlier code."
_LONG_NAME = 40


def read_code(folder: Path) -> dict[str, str]:
    """The Python files of a folder, by their names."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}


class Code:
    """The files of a service in a folder of their own, where the last good ones can be put back.

    Args:
        home: the private folder in which that folder is made.
        files: the code, as ``{"main.py": text}``.

    Raises:
        EngineFailed: the disk does not take them.
    """

    def __init__(self, home: Path, files: Mapping[str, str]) -> None:
        self.folder = home / "service"
        self._waiting, self._earlier = home / "waiting", home / "earlier"
        self.files = dict(files)
        _write(self.folder, self.files)

    def read(self, file: str) -> str:
        """The text of a file.

        Raises:
            LeftOpenError: there is none of that name.
        """
        if file not in self.files:
            names = ", ".join(sorted(self.files))
            raise LeftOpenError(f"The service has no file {file!r}. It has: {names}.")
        return self.files[file]

    def stage(self, files: Mapping[str, str]) -> None:
        """Write the code with these files in it, beside the code that runs.

        Raises:
            ConfigRefused: one is not Python, or its name cannot be that of a file.
            EngineFailed: the disk does not take them.
        """
        for name, text in files.items():
            check(name, text)
        _write(self._waiting, {**self.files, **files})

    def put_in_place(self) -> None:
        """Put the staged code in place of the code that was there; nothing more is written."""
        with disk():
            self.folder.rename(self._earlier)
            self._waiting.rename(self.folder)

    def keep(self) -> None:
        """Let the code in place be the last good one."""
        self.files = read_code(self.folder)
        shutil.rmtree(self._earlier, ignore_errors=True)

    def put_back(self) -> None:
        """Put the last good code in place again, wherever a change was left."""
        with disk():
            if self._earlier.is_dir():
                shutil.rmtree(self.folder, ignore_errors=True)
                self._earlier.rename(self.folder)

    def quote(self, file: str, line: int) -> str:
        """A line of the code in place, as ``main.py, line 2 (`app = 3`)``."""
        return _quote(file, line, (self.folder / file).read_text(encoding="utf-8"))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    with disk():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")


def _quote(file: str, line: int, text: str) -> str:
    return f"{file}, {conf.quote(text, line).replace('Line', 'line', 1)}"


def check(name: str, text: str) -> None:
    """Refuse what could not be a file of the service.

    Raises:
        ConfigRefused: the text is not Python, or the name cannot be that of a file of Python.
    """
    if not name.endswith(".py") or not name[:-3].isidentifier():
        shown = name if len(name) <= _LONG_NAME else f"{name[:_LONG_NAME]}…"
        order = " The name comes first, then the text." if "\n" in name else ""
        raise ConfigRefused(
            f"{shown!r} cannot be the name of a file of the service. Give one as 'auth.py'.{order} "
            f"{UNCHANGED}"
        )
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        where = _quote(name, error.lineno, text) if error.lineno else name
        raise ConfigRefused(f"{where}: {type(error).__name__}: {error.msg}. {UNCHANGED}") from None
    except ValueError as error:  # a null character
        raise ConfigRefused(f"{name}: {error}. {UNCHANGED}") from None
