"""What is made from other files: README's table of lessons, and the exercises."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
from tqdm import tqdm

from leftopen import exercises
from leftopen.course import ROOT, Course, Lesson, load
from leftopen.errors import DataError

BEGIN = "<!-- lessons: made by `make build` from exercises/course.toml -->"
END = "<!-- lessons end -->"


def lessons_table(course: Course, root: Path = ROOT) -> str:
    """The lessons as a Markdown table; a planned lesson has no link."""
    rows = ["| no | lesson | server | minutes | exercise |", "|---|---|---|---|---|"]
    for lesson in course.lessons:
        title = f"[{lesson.title}]({lesson.notebook})" if lesson.is_ready else lesson.title
        minutes = str(lesson.minutes) if lesson.is_ready else "planned"
        engine = "–" if lesson.engine == "none" else lesson.engine
        exercise = "–"
        if lesson.questions and (root / lesson.exercise).exists():
            points = sum(question.points for question in lesson.questions)
            exercise = f"[{len(lesson.questions)} questions, {points} points]({lesson.exercise})"
        rows.append(f"| {lesson.number:02} | {title} | {engine} | {minutes} | {exercise} |")
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


def build(
    root: Path = ROOT,
    check: bool = False,
    only: str = "",
    run_solutions: bool = False,
    out: Path | None = None,
) -> list[Path]:
    """Make the generated parts again.

    Each exercise is run, untouched, so that it is committed with what the learner will see.

    Args:
        root: the project's folder.
        check: only say what is stale; run and write nothing. Outputs are then not compared.
        only: the beginning of the names of the notebooks to make, as ``"07"``; all of them when
            it is empty.
        run_solutions: run each solution first, and write its outputs into it.
        out: where the exercises go instead of ``exercises/``.

    Returns:
        The files that were stale.

    Raises:
        DataError: the manifest, README.md or a solution is not as it must be.
    """
    course = load(root / "exercises" / "course.toml")
    lessons = [lesson for lesson in course.lessons if lesson.name.startswith(only)]
    stale: list[Path] = []
    for lesson in tqdm(lessons, desc="exercises", unit="lesson", disable=None):
        stale += _exercise(lesson, root, check, run_solutions, out)
    readme = root / "README.md"
    text = with_table(readme.read_text(encoding="utf-8"), lessons_table(course, root))
    return stale + list(_written(readme, text, check))


def _exercise(
    lesson: Lesson, root: Path, check: bool, run_solutions: bool, out: Path | None
) -> Iterator[Path]:
    source = root / "solutions" / f"{lesson.name}.ipynb"
    if not source.exists():  # the course works without its solutions
        return
    target = (out or root / "exercises") / source.name
    solution = nbformat.read(source, as_version=4)
    if run_solutions and not check:
        solution = exercises.execute(solution, source.parent, source.name)
        yield from _written(source, exercises.as_text(solution), check)
    exercise = exercises.subtract(solution, lesson.name)
    if check:
        if not target.exists() or _sources(nbformat.read(target, as_version=4)) != _sources(
            exercise
        ):
            yield target
        return
    exercise = exercises.execute(exercise, root / "exercises", f"exercises/{source.name}")
    yield from _written(target, exercises.as_text(exercise), check)


def _sources(notebook: nbformat.NotebookNode) -> list[tuple]:
    return [(c.id, c.cell_type, c.source, dict(c.metadata)) for c in notebook.cells]


def _written(path: Path, text: str, check: bool) -> Iterator[Path]:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    if not check:
        path.write_text(text, encoding="utf-8")
    yield path
