"""What is made from the manifest: for now, the table of lessons in README.md."""

from pathlib import Path

from leftopen.course import ROOT, Course, load
from leftopen.errors import DataError

BEGIN = "<!-- lessons: made by `make build` from exercises/course.toml -->"
END = "<!-- lessons end -->"


def lessons_table(course: Course) -> str:
    """The lessons as a Markdown table; a planned lesson has no link."""
    rows = ["| no | lesson | server | minutes |", "|---|---|---|---|"]
    for lesson in course.lessons:
        title = f"[{lesson.title}]({lesson.notebook})" if lesson.is_ready else lesson.title
        minutes = str(lesson.minutes) if lesson.is_ready else "planned"
        engine = "–" if lesson.engine == "none" else lesson.engine
        rows.append(f"| {lesson.number:02} | {title} | {engine} | {minutes} |")
    return "\n".join(rows)


def with_table(readme: str, table: str) -> str:
    """README's text with the table between its two markers.

    Raises:
        DataError: a marker is missing, or stands there twice.
    """
    if (
        readme.count(BEGIN) != 1
        or readme.count(END) != 1
        or readme.index(END) < readme.index(BEGIN)
    ):
        raise DataError(
            f"README.md must hold the line `{BEGIN}` and, below it, `{END}`, once each. "
            "Put them where the table of lessons goes."
        )
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def build(root: Path = ROOT, check: bool = False) -> list[Path]:
    """Make the generated parts again.

    Args:
        root: the project's folder.
        check: only say what is stale; write nothing.

    Returns:
        The files that were stale.

    Raises:
        DataError: the manifest or README.md is not as it must be.
    """
    readme = root / "README.md"
    course = load(root / "exercises" / "course.toml")
    old = readme.read_text(encoding="utf-8")
    new = with_table(old, lessons_table(course))
    if new == old:
        return []
    if not check:
        readme.write_text(new, encoding="utf-8")
    return [readme]
