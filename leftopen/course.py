"""The course manifest, ``exercises/course.toml``, and the questions in ``exercises/questions/``."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from leftopen.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "exercises" / "course.toml"
STATUSES = ("ready", "planned")
SERVERS = ("MongoDB", "OpenSearch", "PostgreSQL")
ENGINES = ("none", *SERVERS, "MongoDB, PostgreSQL", "all three")
MOST_HINTS = 3
LEAST_NEAR_MISSES = 4


@dataclass(frozen=True)
class Question:
    """What the course says about one question; what it tries is in ``leftopen/checks/``.

    Attributes:
        number: from 1.
        title: a few words, for the progress board.
        points: what it counts.
        hints: one to three, from a nudge to nearly there.
        reason: why it matters, told after success.
        alternatives: names of other right answers.
        near_misses: for each misconception its own sentence; ``{words}`` in braces are filled
            with what the check has measured.
    """

    number: int
    title: str
    points: int
    hints: tuple[str, ...]
    reason: str
    alternatives: tuple[str, ...]
    near_misses: dict[str, str] = field(hash=False)


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
    questions: tuple[Question, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the notebook exists."""
        return self.status == "ready"

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers that it runs on, as named in ``SERVERS``."""
        return (
            SERVERS if self.engine == "all three" else tuple(s for s in SERVERS if s in self.engine)
        )

    @property
    def name(self) -> str:
        """The name of its notebooks without their ending, as 01_topic."""
        return f"{self.number:02}_{self.slug}"

    @property
    def notebook(self) -> str:
        """The path of the notebook from the project's root, as in notebooks/01_topic.ipynb."""
        return f"notebooks/{self.name}.ipynb"

    @property
    def exercise(self) -> str:
        """The path of the exercise from the project's root."""
        return f"exercises/{self.name}.ipynb"


@dataclass(frozen=True)
class Course:
    """The whole course; ``lessons`` stand in the order of their numbers."""

    title: str
    lessons: tuple[Lesson, ...]

    def on(self, server: str) -> str:
        """The lessons that are ready and run on a server, as ``lessons 03, 10, 11``."""
        numbers = [f"{x.number:02}" for x in self.lessons if x.is_ready and server in x.servers]
        return f"lessons {', '.join(numbers)}"


def load(path: Path = MANIFEST) -> Course:
    """Read a manifest, with the questions of each exercise, and check every line of it.

    Args:
        path: a TOML file (TOML 1.0.0). The questions of lesson 07 are in a file of the
            folder ``questions`` beside it, as questions/07_topic.toml; a lesson without one has
            none.

    Raises:
        DataError: it cannot be read, or something in it is wrong; the message names the line.
    """
    manifest = Manifest(path, "lesson")
    manifest.check_keys({"title": str, "lesson": list}, ("title", "lesson"))
    lessons: list[Lesson] = []
    for index, lesson in enumerate(manifest.entries(Lesson)):
        _check_lesson(manifest, lesson, lessons, index)
        beside = path.parent / "questions" / f"{lesson.name}.toml"
        if beside.exists():
            lesson = replace(lesson, questions=load_questions(beside))
        lessons.append(lesson)
    return Course(manifest.table["title"], tuple(lessons))


def load_questions(path: Path) -> tuple[Question, ...]:
    """Read and check the questions of one exercise.

    Raises:
        DataError: as for :func:`load`.
    """
    manifest = Manifest(path, "question")
    manifest.check_keys({"question": list}, ("question",))
    questions = manifest.entries(Question)
    told: dict[str, str] = {}
    for index, question in enumerate(questions):
        _check_question(manifest, question, index)
        for name, sentence in question.near_misses.items():
            if sentence in told:
                manifest.fail(f"`{name}` has the sentence of `{told[sentence]}`.", name, index)
            told[sentence] = name
    return tuple(questions)


def _check_lesson(manifest: Manifest, lesson: Lesson, earlier: list[Lesson], index: int) -> None:
    def fail(why: str, key: str) -> None:
        manifest.fail(why, key, index)

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
    if lesson.questions:
        fail(f"questions stand in questions/{lesson.name}.toml.", "questions")


def _check_question(manifest: Manifest, question: Question, index: int) -> None:
    def fail(why: str, key: str) -> None:
        manifest.fail(why, key, index)

    if question.number != index + 1:
        fail(f"question {question.number} stands in place {index + 1}.", "number")
    if not 1 <= question.points <= 10:
        fail(f"{question.points} points is not usable. Give 1 to 10.", "points")
    if not 1 <= len(question.hints) <= MOST_HINTS or not all(map(str.strip, question.hints)):
        fail(f"a question has one to {MOST_HINTS} hints, none of them empty.", "hints")
    if not question.alternatives:
        fail("a question has an alternative: another right answer.", "alternatives")
    if len(question.near_misses) < LEAST_NEAR_MISSES:
        fail(f"a question has at least {LEAST_NEAR_MISSES} near misses.", "near_misses")
    for key in ("title", "reason"):
        if not getattr(question, key).strip():
            fail(f"`{key}` is empty.", key)
    for name, sentence in question.near_misses.items():
        if not sentence.strip():
            fail(f"the near miss `{name}` has no sentence.", name)
