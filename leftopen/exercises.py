"""From a solution notebook to the exercise that remains when the answers are taken away.

A solution is the source. In it an answer stands between the markers of nbgrader (nbgrader manual,
"Creating and grading assignments"), and what stands around them is what the learner begins with.
Cells with one of the tags in ``DROPPED`` are taken out whole.
"""

import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from leftopen import learner, progress
from leftopen.errors import DataError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
DROPPED = ("near-miss", "alternative", "solution")
IGNORE = "nbval-ignore-output"
CELL_SECONDS = 120
_TRIES = 2  # nbclient stalls now and then on its own
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def subtract(solution: NotebookNode, name: str) -> NotebookNode:
    """The exercise that a solution leaves: without answers, outputs and anything hidden.

    Args:
        solution: the notebook; it is not changed.
        name: its name without the ending, for messages and for the ids of the cells.

    Raises:
        DataError: the markers do not match, or an answer leaves nothing to begin with.
    """
    exercise = nbformat.v4.new_notebook(metadata=_METADATA)
    for place, cell in enumerate(solution.cells, 1):
        tags = cell.metadata.get("tags", [])
        if set(tags) & set(DROPPED):
            continue
        source = _without_answer(cell.source, f"{name}, cell {place}")
        if cell.cell_type != "code":
            kept = nbformat.v4.new_markdown_cell(source)
        else:
            kept = nbformat.v4.new_code_cell(source)
            if IGNORE in tags:
                kept.metadata = {"tags": [IGNORE], "reason": cell.metadata.get("reason", "")}
        kept.id = f"{name[:2]}-ex-{len(exercise.cells):02}"
        exercise.cells.append(kept)
    return exercise


def _without_answer(source: str, where: str) -> str:
    lines, kept, inside = source.splitlines(), [], False
    for line in lines:
        word = line.strip()
        if word in (BEGIN, END):
            if inside == (word == BEGIN):
                raise DataError(f"{where}: `{word}` does not match the marker before it.")
            inside = not inside
        elif not inside:
            kept.append(line)
    if inside:
        raise DataError(f"{where}: `{BEGIN}` has no `{END}`.")
    if len(kept) == len(lines):
        return source
    left = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")
    if not left.strip():
        raise DataError(
            f"{where}: the answer leaves an empty cell. Put what the learner begins with above "
            f"`{BEGIN}`, as `answer = ...` or a comment."
        )
    return left


def execute(notebook: NotebookNode, folder: Path, name: str) -> NotebookNode:
    """The notebook, run from top to bottom by the default learner, with its outputs.

    Outputs of cells with the tag ``nbval-ignore-output`` are left out: they vary.

    Args:
        notebook: it is not changed.
        folder: the folder in which it runs.
        name: for messages.

    Raises:
        DataError: a cell ended in an error, or did not end.
    """
    for tries_left in reversed(range(_TRIES)):
        copy = nbformat.from_dict(notebook)
        for cell in copy.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        try:
            _run(copy, folder)
            return _tidy(copy)
        except CellExecutionError as error:
            raise DataError(f"{name} ends in an error: {error.ename}: {error.evalue}") from error
        except (CellTimeoutError, RuntimeError) as error:  # or the kernel died
            if not tries_left:
                raise DataError(f"{name} did not end: {error}") from error
    raise AssertionError("unreachable")


def _run(notebook: NotebookNode, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="leftopen-build-") as private:
        environment = {**os.environ, progress.VARIABLE: str(Path(private) / "progress.sqlite3")}
        environment[learner.VARIABLE] = learner.DEFAULT
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=environment)


def _tidy(notebook: NotebookNode) -> NotebookNode:
    notebook.metadata = nbformat.from_dict(_METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code" and IGNORE in cell.metadata.get("tags", []):
            cell.outputs = []
    return notebook


def as_text(notebook: NotebookNode) -> str:
    """The notebook as the text of its file."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"
