"""TOML files whose every key is checked, and whose mistakes are told with their line."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import NoReturn, get_args, get_origin

from leftopen.errors import DataError


class Manifest:
    """A TOML file (TOML 1.0.0) with an array of tables, read and checked entry by entry.

    tomllib keeps no line numbers, so they are found again in the text.

    Args:
        path: the file.
        array: the name of its array of tables, as ``"lesson"`` for ``[[lesson]]``.

    Raises:
        DataError: it cannot be read, or is not TOML.
    """

    def __init__(self, path: Path, array: str) -> None:
        self.name = path.name
        self.array = array
        try:
            text = path.read_text(encoding="utf-8")
            self.table = tomllib.loads(text)
        except FileNotFoundError:
            raise DataError(
                f"{path} does not exist. It comes with the course: run this from a clone."
            ) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise DataError(f"{path.name} cannot be read: {error}.") from error
        self._lines = text.splitlines()
        head = re.compile(rf"\s*\[\[\s*{array}\s*\]\]")
        self._starts = [n for n, line in enumerate(self._lines, 1) if head.match(line)]

    def check_keys(self, types: dict, needed: Iterable[str]) -> None:
        """Check the keys of the file outside its array; ``types`` says what each must be."""
        self._check(self.table, types, needed, None, "")

    def entries(self, kind: type) -> list:
        """The entries of the array, each as an instance of a dataclass.

        A key without a default in the dataclass must be there.

        Raises:
            DataError: a key is unknown, missing or of another type.
        """
        types = {field.name: field.type for field in fields(kind)}
        needed = [
            field.name
            for field in fields(kind)
            if field.default is MISSING and field.default_factory is MISSING
        ]
        found = []
        for index, entry in enumerate(self.table.get(self.array, [])):
            self._check_type(entry, dict, self.array, index)
            self._check(entry, types, needed, index, f" in this {self.array}")
            found.append(
                kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
            )
        return found

    def fail(self, why: str, key: str | None, index: int | None) -> NoReturn:
        """Raise DataError with the line of a key in the entry of that index."""
        raise DataError(f"{self.name}, line {self._line(key, index)}: {why}")

    def _check(self, table: dict, types: dict, needed, index, where: str) -> None:
        for key in table:
            if key not in types:
                known = ", ".join(types)
                self.fail(f"the key `{key}` is not known{where}. Known keys: {known}.", key, index)
        for key in needed:
            if key not in table:
                self.fail(f"the key `{key}` is missing{where}. Add it.", None, index)
        for key, value in table.items():
            self._check_type(value, types[key], key, index)

    def _check_type(self, value: object, expected: type, key: str, index: int | None) -> None:
        origin, of = get_origin(expected), get_args(expected)
        outer = list if origin is tuple else origin or expected
        # bool is an int to Python, and is no number to a reader of the manifest.
        right = isinstance(value, outer) and not isinstance(value, bool)
        if right and of:
            items = value.values() if outer is dict else value
            right = all(isinstance(i, of[-1 if outer is dict else 0]) for i in items)
            right = right and not any(isinstance(item, bool) for item in items)
        if not right:
            wanted = outer.__name__
            if of:
                wanted = f"a table of {of[1].__name__}" if outer is dict else ""
                wanted = wanted or f"a list of {of[0].__name__}"
            self.fail(f"`{key}` must be {wanted}, but it is {value!r}.", key, index)

    def _line(self, key: str | None, index: int | None) -> int:
        """The line of a key in the entry of that index, or else where that entry begins."""
        first = self._starts[index] if index is not None and index < len(self._starts) else 1
        later = [start for start in self._starts if start > first]
        last = later[0] - 1 if later else len(self._lines)
        for number in range(first, last + 1):
            words = rf"\s*(\[\[?\s*)?({self.array}\.)?{re.escape(key or '')}\b"
            if key and re.match(words, self._lines[number - 1]):
                return number
        return first
