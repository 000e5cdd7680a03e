"""Exercise 13, question 4: the learner's program as it is when it begins again.

A program that begins again runs its text anew: a counter is zero, what was drawn is drawn again,
and ``hash()`` of a text is another number (Python reference, ``PYTHONHASHSEED``). Here the
statements of the notebook that the function needs are run in names of their own; a value whose
statement cannot be found, or fails, goes on as a copy.
"""

import ast
import contextlib
import copy
import dis
import os
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType

from leftopen.audit.crypto import keys
from leftopen.checks.encrypt_the_field_forged import Seal
from leftopen.sealing import xor

Make = Callable[[bytes], object]
_DATA = (int, str, bytes, bytearray, list, dict, set, tuple, Iterator, random.Random)
_MOST_DRAWN = 64  # bytes of one sealing that are looked at
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME")
_NEVER = ("input", "exit", "quit", "get_ipython")


class Program:
    """What a function of the notebook needs, to be begun as often as wanted.

    Args:
        make: the function.
        cells: the texts of the cells, in the order in which they ran; by default this notebook's.
    """

    def __init__(self, make: Make, cells: list[str] | None = None) -> None:
        self.make, self.function = make, _function(make)
        self.own = getattr(self.function, "__globals__", {})
        body = _statements(_cells(self.own) if cells is None else cells)
        bound, touched = _bound(body), _touched(body)
        self.statements: dict[str, tuple[int, ast.stmt]] = {}
        waiting = {n for n, v in self.own.items() if v is make}
        if self.function:
            waiting |= _used(self.function, self.own)
        copied: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in self.statements or not self._is_own(self.own[name]):
                continue
            if name not in bound or name in touched or not self._may_run(name, bound[name][1]):
                copied.add(name)
                continue
            self.statements[name] = bound[name]
            waiting |= (_loaded(_compiled(bound[name][1])) & self.own.keys()) - {name} - copied
        self.seeds = [node for node in body if _is_seed(node)]
        self.kept = _copied({n: self.own[n] for n in copied if isinstance(self.own[n], _DATA)})

    def _is_own(self, value: object) -> bool:
        """Whether a value is the notebook's own, and not another module's, or a lab."""
        if isinstance(value, FunctionType):
            return value.__globals__ is self.own
        if isinstance(value, type) or not isinstance(value, _DATA):
            module = (value if isinstance(value, type) else type(value)).__module__
            return module == self.own.get("__name__")
        return True

    def _may_run(self, name: str, node: ast.stmt) -> bool:
        """Whether a statement has to do with nothing but modules and the notebook's own values.

        One that asks a server, or changes something there, is not run again.
        """
        defines = isinstance(node, ast.FunctionDef | ast.ClassDef)
        code = _compiled(node)
        seen, waiting = {name}, (set() if defines else _loaded(code)) & self.own.keys()
        while waiting:
            other = waiting.pop()
            value = self.own[other]
            seen.add(other)
            foreign = not isinstance(value, ModuleType | type) and not self._is_own(value)
            if foreign and not isinstance(value, BuiltinFunctionType | FunctionType):
                return False
            if isinstance(value, FunctionType) and value.__globals__ is self.own:
                waiting |= (_loaded(value.__code__) & self.own.keys()) - seen
        return True

    def begin(self) -> Make:
        """Return the function, as the program has it that begins now."""
        names = {**self.own, **_copied(self.kept), "hash": _another_hash()}
        names.update((name, _drawing) for name, value in self.own.items() if value is os.urandom)
        names.update(dict.fromkeys(_NEVER))
        failed, done = [], set()
        for name, (number, node) in sorted(self.statements.items(), key=lambda item: item[1][0]):
            try:
                if number not in done:
                    done.add(number)
                    exec(_compiled(node), names)
                if not _alike(names[name], self.own[name]):
                    raise ValueError(name)
            except Exception:
                failed.append(name)
                names.update(_copied({name: self.own[name]}))
        for node in self.seeds:
            with contextlib.suppress(Exception):
                exec(_compiled(node), names)
        for name, value in self.own.items():
            if value is self.make and name in self.statements and name not in failed:
                return names[name]
        # What is no function, and has no statement of its own, cannot be begun again.
        return _moved(self.make, self.own, names) if self.make is self.function else self.make


def drawn(seal: Seal, text: str, column: str, row: int, flip: int = -1) -> tuple[bytes, int]:
    """Seal a text while the system draws the same bytes each time.

    Args:
        seal: the function.
        text, column, row: what it seals.
        flip: which of the drawn bytes is changed; none if negative.

    Returns:
        What was sealed, and how many bytes were drawn for it.
    """
    stream = bytearray(random.Random(13).randbytes(_MOST_DRAWN))
    if flip >= 0:
        stream[flip] ^= 0xFF
    taken, here, real = [0], threading.get_ident(), os.urandom

    def urandom(size: int) -> bytes:
        if threading.get_ident() != here:
            return real(size)
        begin, taken[0] = taken[0], taken[0] + size
        part = bytes(stream[begin : taken[0]])
        return part + real(size - len(part))

    os.urandom = random._urandom = urandom
    try:
        return bytes(seal(text, column, row)), taken[0]
    finally:
        os.urandom = random._urandom = real


def few_drawn(seal: Seal, old: str, new: str, column: str, row: int, enough: int) -> int | None:
    """How many drawn bytes keep one sealing's keystream from another's, if fewer than enough.

    ``None`` where that is not so, or cannot be told: nothing is drawn, something else changes from
    one sealing to the next, or what is drawn twice does no harm, as in a mode that withstands it.
    """
    first, size = drawn(seal, old, column, row)
    if not 0 < size <= _MOST_DRAWN or drawn(seal, old, column, row)[0] != first:
        return None
    second = drawn(seal, new, column, row)[0]
    if xor(old.encode(), new.encode()) not in xor(first, second):
        return None
    counting = sum(drawn(seal, old, column, row, at)[0] != first for at in range(size))
    return counting if 0 < counting < enough else None


def _drawing(size: int) -> bytes:
    return os.urandom(size)


def _cells(names: dict) -> list[str]:
    """The cells of this notebook: as its history has them, or as ``linecache`` has."""
    return [cell for cell in names.get("In", []) if cell] or keys.cells()


def _statements(cells: list[str]) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for cell in cells:
        with contextlib.suppress(SyntaxError, ValueError):  # a line that is IPython's own
            found += ast.parse(cell).body
    return found


def _bound(body: list[ast.stmt]) -> dict[str, tuple[int, ast.stmt]]:
    """The last statement, not inside of another, that gives each name its value."""
    return {name: (number, node) for number, node in enumerate(body) for name in _names(node)}


def _touched(body: list[ast.stmt]) -> set[str]:
    """The names whose values other statements have changed since."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.AugAssign | ast.For):
                part = part.target
            elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
                part = part.func.value if isinstance(node, ast.Expr | ast.For) else part
            elif not isinstance(part, ast.Subscript | ast.Attribute) or isinstance(
                part.ctx, ast.Load
            ):
                continue
            while isinstance(part, ast.Subscript | ast.Attribute):
                part = part.value
            if isinstance(part, ast.Name):
                found.add(part.id)
    return found


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign) and node.value:
        targets = [node.target]
    else:
        return []
    every = (part for target in targets for part in ast.walk(target))
    return [p.id for p in every if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)]


def _is_seed(node: ast.stmt) -> bool:
    """Whether a statement begins the numbers of ``random`` anew, as ``random.seed(0)``."""
    call = node.value if isinstance(node, ast.Expr) else None
    named = call.func if isinstance(call, ast.Call) else None
    return getattr(named, "attr", getattr(named, "id", "")) == "seed"


def _function(make: Make) -> FunctionType | None:
    """The function of the notebook under whatever can be called; ``None`` if there is none."""
    for _ in range(8):
        if isinstance(make, FunctionType):
            return make
        inner = getattr(make, "__func__", getattr(make, "func", None))
        inner = inner or getattr(make, "__wrapped__", None)
        make = inner or vars(type(make)).get("__call__")
    return None


def _alike(new: object, old: object) -> bool:
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        return new.__code__.co_code == old.__code__.co_code
    return type(new).__qualname__ == type(old).__qualname__


def _another_hash() -> Callable[[object], int]:
    salt = secrets.token_hex(8)
    return lambda value: hash(value) if isinstance(value, int | float) else hash((salt, value))


def _copied(values: dict) -> dict:
    """Copies of what can be copied; they share among themselves what they shared before."""
    memo: dict = {}
    found = {}
    for name, value in values.items():
        try:
            found[name] = copy.deepcopy(value, memo)
        except Exception:
            found[name] = value
    return found


def _moved(function: FunctionType, own: dict, names: dict) -> FunctionType:
    """The same function among other names, with copies of what it and its like have kept."""
    memo: dict[int, object] = {}

    def moved(value: object) -> object:
        if id(value) in memo:
            return memo[id(value)]
        if isinstance(value, FunctionType) and value.__globals__ is own:
            closed = tuple(CellType() for _ in value.__closure__ or ())
            new = FunctionType(value.__code__, names, value.__name__, None, closed or None)
            memo[id(value)] = new
            for cell, old in zip(closed, value.__closure__ or (), strict=True):
                try:
                    cell.cell_contents = moved(old.cell_contents)
                except ValueError:  # it is empty
                    continue
            new.__defaults__ = value.__defaults__ and tuple(map(moved, value.__defaults__))
            kept = value.__kwdefaults__
            new.__kwdefaults__ = kept and {name: moved(part) for name, part in kept.items()}
            new.__dict__.update({name: moved(part) for name, part in vars(value).items()})
            return new
        if value is os.urandom:
            return _drawing
        if isinstance(value, _DATA):
            memo[id(value)] = _copied({"it": value})["it"]
            return memo[id(value)]
        return value

    for name in _used(function, own):
        value = own[name]
        if isinstance(value, FunctionType) and names[name] is value:
            names[name] = moved(value)
    return moved(function)


def _used(function: FunctionType, names: dict) -> set[str]:
    """The notebook's names that a function uses, itself or through those that it calls or holds."""
    found: set[str] = set()
    waiting: list[object] = [function]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, FunctionType):
            held = [*(part.__defaults__ or ()), *(part.__kwdefaults__ or {}).values()]
            for cell in part.__closure__ or ():
                try:
                    held.append(cell.cell_contents)
                except ValueError:  # it is empty
                    continue
            waiting += [part.__code__, *(v for v in held if isinstance(v, FunctionType))]
        elif isinstance(part, CodeType):
            for name in _loaded(part) & names.keys() - found:
                found.add(name)
                if isinstance(names[name], FunctionType):
                    waiting.append(names[name])
    return found


def _compiled(node: ast.stmt) -> CodeType:
    return compile(ast.Module([node], []), "<begun again>", "exec")


def _loaded(code: CodeType) -> set[str]:
    """The names that code reads which are not its own, also those of the functions within."""
    own = {step.argval for step in dis.get_instructions(code) if step.opname in _LOADS}
    inner = (_loaded(const) for const in code.co_consts if isinstance(const, CodeType))
    return own.union(*inner)
