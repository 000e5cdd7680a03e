"""The course manifest, ``exercises/course.toml``: read, checked, and nothing guessed."""

import re
import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import get_args, get_origin

from leftopen.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "exercises" / "course.toml"
STATUSES = ("ready", "planned")
ENGINES = ("none", "MongoDB", "OpenSearch", "PostgreSQL", "all three")


@dataclass(frozen=True)
class Lesson:
    """One lesson. ``minutes`` is the time it takes; ``prerequisites`` are lesson numbers."""

    number: int
    slug: str
    title: str
    engine: str
    minutes: int
    status: str
    objectives: tuple[str, ...] = ()
    prerequisites: tuple[int, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the notebook exists."""
        return self.status == "ready"

    @property
    def notebook(self) -> str:
        """The path of the notebook from the project's root, as in notebooks/01_topic.ipynb."""
        return f"notebooks/{self.number:02}_{self.slug}.ipynb"


@dataclass(frozen=True)
class Course:
    """The whole course; ``lessons`` stand in the order of their numbers."""

    title: str
    lessons: tuple[Lesson, ...]


def load(path: Path = MANIFEST) -> Course:
    """Read a manifest and check every line of it.

    Args:
        path: a TOML file (TOML 1.0.0).

    Raises:
        DataError: it cannot be read, or something in it is wrong; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist. The manifest comes with the course: run this from a clone."
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path.name} cannot be read: {error}.") from error
    return _Reader(path.name, text).course(table)


class _Reader:
    """tomllib keeps no line numbers, so they are found again in the text."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines = text.splitlines()
        self.starts = [
            n for n, line in enumerate(self.lines, 1) if re.match(r"\s*\[\[\s*lesson\s*\]\]", line)
        ]

    def course(self, table: dict) -> Course:
        self.check_keys(table, {"title": str, "lesson": list}, ("title", "lesson"), None, "")
        lessons: list[Lesson] = []
        for index, entry in enumerate(table["lesson"]):
            self.check_type(entry, dict, "lesson", index)
            lesson = self.lesson(entry, index)
            self.check_values(lesson, lessons, index)
            lessons.append(lesson)
        return Course(table["title"], tuple(lessons))

    def lesson(self, entry: dict, index: int) -> Lesson:
        types = {field.name: field.type for field in fields(Lesson)}
        needed = [field.name for field in fields(Lesson) if field.default is MISSING]
        self.check_keys(entry, types, needed, index, " in this lesson")
        return Lesson(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})

    def check_keys(self, table: dict, types: dict, needed, index, where: str) -> None:
        for key in table:
            if key not in types:
                known = ", ".join(types)
                self.fail(f"the key `{key}` is not known{where}. Known keys: {known}.", key, index)
        for key in needed:
            if key not in table:
                self.fail(f"the key `{key}` is missing{where}. Add it.", None, index)
        for key, value in table.items():
            self.check_type(value, types[key], key, index)

    def check_type(self, value: object, expected: type, key: str, index: int | None) -> None:
        of = get_args(expected)
        outer = list if get_origin(expected) is tuple else expected
        # bool is an int to Python, and is no number to a reader of the manifest.
        right = isinstance(value, outer) and not isinstance(value, bool)
        if right and of:
            right = all(isinstance(item, of[0]) and not isinstance(item, bool) for item in value)
        if not right:
            wanted = f"a list of {of[0].__name__}" if of else outer.__name__
            self.fail(f"`{key}` must be {wanted}, but it is {value!r}.", key, index)

    def check_values(self, lesson: Lesson, earlier: list[Lesson], index: int) -> None:
        def fail(why: str, key: str) -> None:
            self.fail(why, key, index)

        if not re.fullmatch(r"[a-z][a-z0-9_]*", lesson.slug):
            fail(f"the slug {lesson.slug!r} may hold a-z, 0-9 and _ alone.", "slug")
        if lesson.status not in STATUSES:
            fail(f"the status {lesson.status!r} must be one of: {', '.join(STATUSES)}.", "status")
        if lesson.engine not in ENGINES:
            fail(f"the engine {lesson.engine!r} must be one of: {', '.join(ENGINES)}.", "engine")
        if not 0 < lesson.minutes <= 600:
            fail(f"{lesson.minutes} minutes is no length of a lesson. Give 1 to 600.", "minutes")
        if earlier and lesson.number <= earlier[-1].number:
            fail(
                f"lesson {lesson.number} stands after lesson {earlier[-1].number}. Each number is "
                "used once, in rising order.",
                "number",
            )
        if lesson.slug in (other.slug for other in earlier):
            fail(f"the slug {lesson.slug!r} is used by an earlier lesson.", "slug")
        for number in lesson.prerequisites:
            if number not in (other.number for other in earlier):
                fail(f"the prerequisite {number} is no lesson before this one.", "prerequisites")
        if lesson.is_ready and not lesson.objectives:
            fail("a lesson that is ready states its objectives.", "objectives")

    def fail(self, why: str, key: str | None, index: int | None) -> None:
        raise DataError(f"{self.name}, line {self.line(key, index)}: {why}")

    def line(self, key: str | None, index: int | None) -> int:
        """The line of a key in the lesson of that index, or else where that lesson begins."""
        first = self.starts[index] if index is not None and index < len(self.starts) else 1
        later = [start for start in self.starts if start > first]
        last = later[0] - 1 if later else len(self.lines)
        for number in range(first, last + 1):
            if key and re.match(rf"\s*(\[\[?\s*)?{re.escape(key)}\b", self.lines[number - 1]):
                return number
        return first
