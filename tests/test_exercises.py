"""The proofs of every question: the five verdicts, and that nothing of a solution survives.

The verdicts on references, near misses and alternatives are read from the committed outputs of the
solutions, and those on untouched questions from the exercises: the same suite runs all of these
notebooks under nbval, strictly, so that what is committed is what happens.
"""

import json
import os
import signal
import time
from collections import Counter

import nbformat
import prose_rules
import pytest
from exercise_notebooks import (
    LESSONS,
    QUESTIONS,
    ROOT,
    answers,
    checks,
    code,
    exercise,
    pattern,
    sections,
    shown,
    solution,
    special,
)

from leftopen import build, exercises
from leftopen import checks as tried
from leftopen.checks.verdict import Kind
from leftopen.lab import Lab

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
each_question = pytest.mark.parametrize(
    ("lesson", "question"), QUESTIONS, ids=lambda x: getattr(x, "name", None) or f"q{x.number}"
)


def says(cell, kind):
    symbol, words, _ = kind.value
    return shown(cell).startswith(f"{symbol} {words}")


def sentence(cell):
    symbol, words, _ = Kind.NOT_YET.value
    return shown(cell).splitlines()[0].removeprefix(f"{symbol} {words} ")


@each_question
def test_untouched_is_not_attempted(lesson, question):
    found = checks(sections(exercise(lesson))[question.number], question.number)
    assert found
    assert all(says(cell, Kind.NOT_ATTEMPTED) for cell in found)


@each_question
def test_the_reference_is_right(lesson, question):
    found = checks(sections(solution(lesson))[question.number], question.number)
    assert found
    assert says(found[-1], Kind.RIGHT), shown(found[-1])


@each_question
def test_each_alternative_is_right(lesson, question):
    cells = special(solution(lesson), "alternative", question.number)
    assert {cell.metadata.get("name") for cell in cells} == set(question.alternatives)
    for cell in cells:
        assert says(cell, Kind.RIGHT), (cell.metadata["name"], shown(cell))


@each_question
def test_each_near_miss_is_not_yet_with_its_own_sentence(lesson, question):
    cells = special(solution(lesson), "near-miss", question.number)
    assert {cell.metadata.get("name") for cell in cells} == set(question.near_misses)
    for cell in cells:
        name = cell.metadata["name"]
        assert says(cell, Kind.NOT_YET), (name, shown(cell))
        assert pattern(question.near_misses[name]).fullmatch(sentence(cell)), name
        others = [n for n in question.near_misses if n != name]
        told = [n for n in others if pattern(question.near_misses[n]).fullmatch(sentence(cell))]
        assert not told, f"{name} could be {told}"


def test_no_two_near_misses_of_the_course_share_a_sentence():
    found = Counter(s for _, q in QUESTIONS for s in q.near_misses.values())
    assert [s for s, count in found.items() if count > 1] == []


@each_question
def test_every_verdict_but_untouched_shows_what_was_tried(lesson, question):
    section = sections(solution(lesson))[question.number]
    cells = checks(section, question.number)[-1:]
    cells += special(solution(lesson), "near-miss", question.number)
    for cell in cells:
        assert "\n  · " in shown(cell), cell.source


DUMMIES = {str: "text", int: 1, float: 1.0, set: {"x"}, list: ["x"], dict: {"a": 1}, tuple: ("x",)}


def dummy(wanted):
    return DUMMIES.get(wanted, lambda *_: None)


@pytest.mark.needs("mongodb")
@each_question
def test_a_wrong_type_is_the_cells_error_and_a_stopped_server_is_blocked(lesson, question):
    ex = tried.exercise(lesson.name)
    asked = ex._questions[question.number]
    lab = ex.lab(question.number) if asked.lab else None
    good = [lab if wanted is Lab else dummy(wanted) for wanted in asked.asks.values()]
    try:
        assert ex.check(question.number).kind is Kind.ERROR
        for place in range(len(good)):
            bad = [*good[:place], object(), *good[place + 1 :]]
            verdict = ex.check(question.number, *bad)
            assert verdict.kind is Kind.ERROR, verdict
            assert list(asked.asks)[place] in verdict.text
            half = [*good[:place], ..., *good[place + 1 :]]
            assert ex.check(question.number, *half).kind is Kind.NOT_ATTEMPTED
        if Lab not in asked.asks.values():
            return
        os.kill(lab.server_pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while lab.is_running and time.monotonic() < deadline:
            time.sleep(0.02)
        verdict = ex.check(question.number, *good)
        assert verdict.kind is Kind.BLOCKED
        assert "lab.restart()" in verdict.text
        lab.restart()
        assert ex.check(question.number, *good).kind is not Kind.BLOCKED
        lab.close()
        assert f"ex.lab({question.number})" in ex.check(question.number, *good).text
    finally:
        ex.close()


@each_lesson
def test_nothing_of_a_solution_survives_in_the_exercise(lesson):
    text = (ROOT / lesson.exercise).read_text(encoding="utf-8")
    for line in answers(solution(lesson)):
        assert json.dumps(line, ensure_ascii=False)[1:-1] not in text, line
    for word in ("SOLUTION", "near-miss", "alternative"):
        assert word not in text
    for cell in exercise(lesson).cells:
        assert "attachments" not in cell
        assert set(cell.metadata) <= {"tags", "reason"}
        assert cell.id.startswith(f"{lesson.name[:2]}-ex-")


@each_lesson
def test_the_notebooks_are_sound(lesson):
    for notebook in (exercise(lesson), solution(lesson)):
        # The progress board is shown in neither: it is the learner's own.
        assert prose_rules.outputs(notebook) == []
        for cell in notebook.cells:
            if cell.cell_type == "code":
                assert len(prose_rules.lines_of_code(cell)) <= 20, cell.source
            else:
                assert prose_rules.words(cell.source) <= 120, cell.source
    opening = "\n".join(c.source for c in exercise(lesson).cells[:3])
    places = [opening.find(f"**{part}**") for part in ("You will", "You need", "Time")]
    assert -1 not in places
    assert places == sorted(places)


@each_lesson
def test_at_least_four_fifths_of_the_code_cells_are_compared(lesson):
    assert prose_rules.strict_share([exercise(lesson)]) >= 0.8
    assert prose_rules.strict_share([solution(lesson)]) >= 0.8


@each_lesson
def test_every_question_of_the_manifest_is_asked_and_the_other_way_round(lesson):
    numbers = {n for n in sections(exercise(lesson)) if n > 0}
    assert numbers == {question.number for question in lesson.questions}
    assert numbers == set(tried.exercise(lesson.name)._questions)
    assert len(numbers) >= 5
    for number, cells in sections(exercise(lesson)).items():
        assert number < 1 or code(cells)


@each_lesson
def test_the_exercise_is_what_the_solution_leaves(lesson):
    """Its outputs are compared by nbval, which runs it in the same suite."""
    assert build.build(only=lesson.name, check=True) == []
    text = (ROOT / lesson.exercise).read_text(encoding="utf-8")
    assert text == exercises.as_text(exercise(lesson))


@pytest.mark.needs("mongodb")
def test_the_build_gives_the_same_bytes_again(tmp_path):
    lesson = next(lesson for lesson in LESSONS if lesson.name == "07_require_a_login")
    stale = build.build(only=lesson.name, out=tmp_path)
    again = (tmp_path / f"{lesson.name}.ipynb").read_bytes()
    assert again == (ROOT / lesson.exercise).read_bytes()
    assert [path.name for path in stale] == [f"{lesson.name}.ipynb"]


def test_every_solution_has_its_questions_and_its_exercise():
    names = {path.stem for path in (ROOT / "solutions").glob("*.ipynb")}
    assert names == {lesson.name for lesson in LESSONS}
    assert names == {path.stem for path in (ROOT / "exercises").glob("*.ipynb")}


def test_nothing_imports_or_reads_the_solutions_but_the_build():
    users = [p for p in (ROOT / "leftopen").rglob("*.py") if '"solutions"' in p.read_text()]
    assert [path.name for path in users] == ["build.py"]
    for lesson in LESSONS:
        for cell in nbformat.read(ROOT / lesson.exercise, as_version=4).cells:
            assert "solutions" not in cell.source
