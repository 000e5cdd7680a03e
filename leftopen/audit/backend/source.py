"""What the code and the environment of a lab's own service say: its secrets."""

import ast
import json
import re
from collections.abc import Iterator, Mapping

_NAMED = re.compile(r"secret|passw|(^|_)keys?($|_)|token_?key|signing|credential", re.IGNORECASE)
_LOGIN = re.compile(r"\w+://[^\s:/@]+:[^\s@/]+@")
_SHORTEST = 4


def written(files: Mapping[str, str]) -> list[tuple[str, int, str, str]]:
    """Secrets that stand in code, as (file, line, name, the secret).

    A text is taken for one when it is given to a name that says so, as ``SECRET = "…"``, and looks
    like no name itself, or when it is an address with a password in it.

    Args:
        files: name -> text of Python.
    """
    found = []
    for file, text in files.items():
        for name, node in _texts(ast.parse(text)):
            value = node.value
            named = _NAMED.search(name) and len(value) >= _SHORTEST and " " not in value.strip()
            if (named and not value.isupper()) or _LOGIN.search(value):
                found.append((file, node.lineno, name, value))
    return found


def _texts(tree: ast.AST) -> Iterator[tuple[str, ast.Constant]]:
    """Texts and the names that they are given to: by ``=``, as a default, in a dictionary."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.AST | None]] = []
        if isinstance(node, ast.Assign):
            pairs = [(_name(target), node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            pairs = [(_name(node.target), node.value)]
        elif isinstance(node, ast.keyword):
            pairs = [(node.arg or "", node.value)]
        for name, value in pairs:
            for inner in _inner(value):
                yield name, inner


def _inner(value: ast.AST | None) -> Iterator[ast.Constant]:
    """The text itself, those in a dictionary or list, and a default that stands in for another."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value
    elif isinstance(value, ast.Dict):
        for inner in value.values:
            yield from _inner(inner)
    elif isinstance(value, ast.List | ast.Tuple | ast.Set):
        for inner in value.elts:
            yield from _inner(inner)
    elif isinstance(value, ast.BoolOp):
        for inner in value.values:
            yield from _inner(inner)
    elif isinstance(value, ast.Call) and getattr(value.func, "attr", "") in ("get", "getenv"):
        for inner in value.args[1:]:  # os.environ.get("SECRET", "the default")
            yield from _inner(inner)


def _name(target: ast.AST) -> str:
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else ""


def values(environment: Mapping[str, str]) -> list[str]:
    """Values of an environment, and the texts inside those that are JSON."""
    found = []
    for value in environment.values():
        found.append(value)
        try:
            found += [text for text in _leaves(json.loads(value)) if text]
        except ValueError:
            continue
    return found


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
