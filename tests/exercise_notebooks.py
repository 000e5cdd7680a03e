"""Reading the exercises and their solutions as the proofs need them."""

import ast
import re
from pathlib import Path

import nbformat

from leftopen import course
from leftopen.exercises import BEGIN, DROPPED, END

ROOT = Path(__file__).resolve().parents[1]
LESSONS = [lesson for lesson in course.load().lessons if (ROOT / lesson.exercise).exists()]
QUESTIONS = [(lesson, question) for lesson in LESSONS for question in lesson.questions]


def solution(lesson):
    return nbformat.read(ROOT / "solutions" / f"{lesson.name}.ipynb", as_version=4)


def exercise(lesson):
    return nbformat.read(ROOT / lesson.exercise, as_version=4)


def shown(cell):
    """What a code cell shows as its result, in its plain form."""
    results = [o for o in cell.get("outputs", []) if o.output_type == "execute_result"]
    return "".join(results[-1].data["text/plain"]) if results else ""


def tags(cell):
    return set(cell.metadata.get("tags", []))


def sections(notebook):
    """The cells below each question's heading, by its number; those before the first under 0."""
    found, number = {0: []}, 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (m := re.search(r"^## Question (\d+)", cell.source)):
            number = int(m[1])
        elif number and cell.cell_type == "markdown" and cell.source.startswith("## "):
            number = -1
        found.setdefault(number, []).append(cell)
    return found


def code(cells):
    """The code cells that a learner runs: neither near misses nor alternatives."""
    return [c for c in cells if c.cell_type == "code" and not tags(c) & set(DROPPED)]


def special(notebook, tag, number):
    """The cells with a tag that belong to a question."""
    return [c for c in notebook.cells if tag in tags(c) and c.metadata.get("question") == number]


def checks(cells, number):
    return [c for c in code(cells) if f"ex.check({number}," in c.source]


def pattern(sentence):
    """A near miss's sentence of the manifest as a pattern: what is in braces may be anything."""
    parts = re.split(r"(\{\{|\}\}|\{[^{}]+\})", sentence)
    escaped = (
        {"{{": r"\{", "}}": r"\}"}.get(part) or (".+" if part.startswith("{") else re.escape(part))
        for part in parts
    )
    return re.compile("".join(escaped), re.DOTALL)


def answers(notebook):
    """The lines of a solution that must not survive: not those that the learner is shown anyway.

    Lines of eight characters or fewer may be a part of anything, and are left out.
    """
    secret, open_ = set(), set()
    for cell in notebook.cells:
        inside = bool(tags(cell) & set(DROPPED))
        if not inside and BEGIN not in cell.source and "ex.check(" not in cell.source:
            # What a question prints at its beginning, as the code of a service, is no answer.
            printed = [out.text for out in cell.get("outputs", []) if out.output_type == "stream"]
            open_.update(line.strip() for text in printed for line in text.splitlines())
        for line in cell.source.splitlines():
            line = line.strip()
            if line in (BEGIN, END):
                inside = line == BEGIN
            elif line:
                (secret if inside else open_).add(line)
    return {
        line
        for line in secret - open_
        if len(line) > 8 and not any(given.startswith(line) for given in open_)
    }


def run(source, names):
    """Run a cell's code in a namespace, and return the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return None
