"""`needed_cells`: the cells of a lesson without which an experiment cannot run."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gradwidgets.lessons.claims import Cell, source_of


def needed_cells(cells: Sequence[Cell], shown: Sequence[str]) -> list[Cell]:
    """The code cells of a lesson that the cells of the ids `shown` need, and these, in order.

    A cell is needed if it binds a name that a needed cell after it reads, or if it does something
    with the value of such a name: a cell that trains a model changes what a later one prints.

    >>> def cell(name, text):
    ...     return {"id": name, "cell_type": "code", "source": text}
    >>> lesson = [
    ...     cell("a", "x = [1]"), cell("b", "y = 2"), cell("c", "x.append(3)"), cell("d", "len(x)")
    ... ]
    >>> [each["id"] for each in needed_cells(lesson, ["d"])]
    ['a', 'c', 'd']
    """
    needed: list[Cell] = []
    wanted: set[str] = set()
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    uses = [_uses(ast.parse(source_of(cell))) for cell in code]
    tools = {name for use in uses for name in use.defined} | set(dir(builtins))
    for cell, use in zip(reversed(code), reversed(uses), strict=True):
        if cell["id"] in shown or wanted & (use.bound | (use.handled - tools)):
            needed.insert(0, cell)
            wanted = (wanted - use.bound) | use.read
    return needed


@dataclass
class _Uses:
    """The names of a cell.

    Args:
        read: whose value comes from a cell before.
        handled: those of them that are read while the cell runs, not later in a function.
        bound: given a value here.
        defined: functions, classes and imports, whose use changes none of them.
    """

    read: set[str] = field(default_factory=set)
    handled: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)


def _uses(tree: ast.Module) -> _Uses:
    uses = _Uses()
    for statement in _flat(tree.body):
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        symbols = table.get_symbols()
        inside = {name for child in table.get_children() for name in _globals(child)}
        handled = {each.get_name() for each in symbols if each.is_referenced()}
        uses.handled |= handled - uses.bound
        uses.read |= (handled | inside) - uses.bound
        bound = {e.get_name() for e in symbols if e.is_assigned() or e.is_imported()}
        uses.bound |= bound
        if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            uses.defined |= bound
    return uses


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a cell, those of its loops and blocks one by one."""
    for each in body:
        if isinstance(each, ast.For):
            yield ast.Assign([each.target], each.iter, lineno=each.lineno)
            yield from _flat(each.body)
        elif isinstance(each, ast.With):
            yield ast.With(each.items, [ast.Pass()], lineno=each.lineno)
            yield from _flat(each.body)
        else:
            yield each


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    """The names that functions and comprehensions read from outside."""
    yield from (each.get_name() for each in table.get_symbols() if each.is_global())
    for child in table.get_children():
        yield from _globals(child)
