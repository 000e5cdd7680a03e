"""From a solution to an exercise: what is taken away, and what is refused."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from leftopen import build, exercises
from leftopen.errors import DataError

ANSWER = "x = ...\n### BEGIN SOLUTION\nx = 42\n### END SOLUTION"


def cell(source, *tags, **metadata):
    return new_code_cell(source, metadata={"tags": list(tags), **metadata})


def subtract(*cells):
    return exercises.subtract(new_notebook(cells=list(cells)), "07_topic")


def test_the_answer_is_taken_away_and_the_stub_stays():
    (kept,) = subtract(new_code_cell(ANSWER)).cells
    assert kept.source == "x = ..."


def test_what_stands_around_an_answer_stays_without_a_hole():
    (kept,) = subtract(new_code_cell(f"import os\n\n{ANSWER}\n\nprint(1)")).cells
    assert kept.source == "import os\n\nx = ...\n\nprint(1)"


@pytest.mark.parametrize("tag", exercises.DROPPED)
def test_special_cells_are_taken_out_whole(tag):
    kept = subtract(new_markdown_cell("# T"), cell("secret", tag, question=1), cell("1"))
    assert [c.source for c in kept.cells] == ["# T", "1"]


def test_outputs_attachments_metadata_and_ids_are_taken_away():
    dirty = new_code_cell("1 + 1", outputs=[new_output("stream", text="42")], execution_count=3)
    dirty.metadata = {"name": "42", "tags": ["answer-42"]}
    text = new_markdown_cell("# T", attachments={"a.png": {"image/png": "42"}})
    dirty.id = text.id = "answer-is-42"
    notebook = new_notebook(cells=[text, dirty], metadata={"answer": 42})
    kept = exercises.subtract(notebook, "07_topic")
    assert "42" not in exercises.as_text(kept)
    assert [c.id for c in kept.cells] == ["07-ex-00", "07-ex-01"]
    assert dirty.outputs, "the solution was changed"


def test_the_tag_of_nbval_stays_with_its_reason():
    kept = subtract(cell("1", exercises.IGNORE, "other", reason="it varies", question=1))
    assert kept.cells[0].metadata == {"tags": [exercises.IGNORE], "reason": "it varies"}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = ...\n### BEGIN SOLUTION\nx = 1", "has no `### END SOLUTION`"),
        ("x = ...\n### END SOLUTION", "does not match"),
        (f"{ANSWER[:-17]}\n### BEGIN SOLUTION\n### END SOLUTION", "does not match"),
        ("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "leaves an empty cell"),
    ],
)
def test_markers_that_do_not_match_are_told_with_their_cell(source, told):
    with pytest.raises(DataError, match=f"07_topic, cell 2: .*{told}"):
        subtract(new_markdown_cell("# T"), new_code_cell(source))


def project(tmp_path, *cells):
    for folder in ("exercises", "solutions"):
        (tmp_path / folder).mkdir()
    lesson = 'number = 7\nslug = "topic"\ntitle = "T"\nengine = "none"\nminutes = 5\n'
    (tmp_path / "exercises" / "course.toml").write_text(
        f'title = "A"\n[[lesson]]\n{lesson}status = "planned"\n'
    )
    (tmp_path / "README.md").write_text(f"{build.BEGIN}\n{build.END}\n")
    path = tmp_path / "solutions" / "07_topic.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return tmp_path / "exercises" / "07_topic.ipynb"


def test_an_exercise_is_committed_as_a_learner_will_see_it(tmp_path):
    ignored = cell("import time; time.time()", exercises.IGNORE, reason="it varies")
    target = project(tmp_path, new_code_cell(ANSWER), new_code_cell("x"), ignored)
    assert build.build(tmp_path, check=True) == [target, tmp_path / "README.md"]
    assert not target.exists()
    build.build(tmp_path)
    made = nbformat.read(target, as_version=4)
    assert made.cells[1].outputs[0].data["text/plain"] == "Ellipsis"
    assert [c.execution_count for c in made.cells] == [1, 2, 3]
    assert made.cells[2].outputs == []
    assert build.build(tmp_path, check=True) == []
    before = target.read_bytes()
    assert build.build(tmp_path) == []
    assert target.read_bytes() == before


def test_a_changed_solution_makes_its_exercise_stale(tmp_path):
    target = project(tmp_path, new_code_cell(ANSWER))
    build.build(tmp_path)
    nbformat.write(
        new_notebook(cells=[new_code_cell(ANSWER.replace("x", "y"))]),
        tmp_path / "solutions" / "07_topic.ipynb",
    )
    assert build.build(tmp_path, check=True) == [target]


def test_solutions_are_run_where_that_is_asked_for(tmp_path):
    project(tmp_path, new_code_cell(ANSWER), new_code_cell("x"))
    source = tmp_path / "solutions" / "07_topic.ipynb"
    assert source in build.build(tmp_path, run_solutions=True)
    made = nbformat.read(source, as_version=4)
    assert made.cells[1].outputs[0].data["text/plain"] == "42"


def test_an_untouched_exercise_that_ends_in_an_error_is_refused(tmp_path):
    target = project(tmp_path, new_code_cell(ANSWER), new_code_cell("x + 1"))
    with pytest.raises(DataError, match=r"exercises/07_topic\.ipynb ends in an error: TypeError"):
        build.build(tmp_path)
    assert not target.exists()


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_kernel_that_dies_before_its_first_word_is_begun_again_once(
    tmp_path, monkeypatch, deaths
):
    """Another program may take one of its ports before it listens."""
    run, left = exercises._run, [None] * deaths

    def dying(*arguments):
        if left:
            left.pop()
            raise RuntimeError("Kernel died before replying to kernel_info")
        run(*arguments)

    monkeypatch.setattr(exercises, "_run", dying)
    target = project(tmp_path, new_code_cell(ANSWER))
    if deaths == 2:
        with pytest.raises(DataError, match="did not end: Kernel died"):
            build.build(tmp_path)
        return
    build.build(tmp_path)
    assert target.exists()


def test_without_solutions_the_exercises_stay_as_they_are(tmp_path):
    target = project(tmp_path, new_code_cell(ANSWER))
    build.build(tmp_path)
    before = target.read_bytes()
    (tmp_path / "solutions" / "07_topic.ipynb").unlink()
    (tmp_path / "solutions").rmdir()
    build.build(tmp_path)
    assert target.read_bytes() == before
