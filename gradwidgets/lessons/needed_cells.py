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
    with the value of such a name: a cell that trains a model changes what a later one prints, also
    by a function of the lesson. A cell that seeds torch or changes one of its settings is needed.

    It is not seen that a value is changed under another name (`y = x` in a cell, `y.append(3)` in
    the next one), or that a lambda or an object's method changes a global name. A cell that is not
    plain Python, such as one with `%timeit`, counts as one that uses nothing.

    >>> def cell(name, text):
    ...     return {"id": name, "cell_type": "code", "source": text}
    >>> lesson = [
    ...     cell("a", "x = [1]"), cell("b", "y = 2"), cell("c", "x.append(3)"), cell("d", "len(x)")
    ... ]
    >>> [each["id"] for each in needed_cells(lesson, ["d"])]
    ['a', 'c', 'd']
    """
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    while code and code[-1]["id"] not in shown:
        code.pop()
    needed: list[Cell] = []
    wanted: set[str] = set()
    uses = [_uses(source_of(cell)) for cell in code]
    defined = dict[str, set[str]]()
    for name, inside in (item for use in uses for item in use.defined.items()):
        defined[name] = defined.get(name, set()) | inside
    tools = {*defined, *dir(builtins)}
    for cell, use in zip(reversed(code), reversed(uses), strict=True):
        changed = use.given | (_reached(use.handled, defined) - tools)
        if cell["id"] in shown or use.sets or wanted & changed:
            needed.insert(0, cell)
            wanted = (wanted - use.bound) | use.read
    return needed


def _reached(names: set[str], defined: dict[str, set[str]]) -> set[str]:
    """The names, those that functions among them use, and so on."""
    found, new = set[str](), names
    while new:
        found |= new
        new = {each for name in new for each in defined.get(name, ())} - found
    return found


@dataclass
class _Uses:
    """The names of a cell.

    Args:
        read: whose value comes from a cell before.
        handled: those of them that are read while the cell runs, not later in a function.
        given: given a value or deleted here, perhaps only under a condition.
        bound: given a value here in any case.
        defined: functions, classes and imports, which a use leaves unchanged; and the global names
            that each uses inside.
        sets: if the cell seeds torch or changes one of its settings.
    """

    read: set[str] = field(default_factory=set)
    handled: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    defined: dict[str, set[str]] = field(default_factory=dict)
    sets: bool = False


def _uses(source: str) -> _Uses:
    uses = _Uses()
    try:
        tree = _GeneratorsOnly().visit(ast.parse(source))
    except SyntaxError:
        return uses
    uses.sets = any(_sets(node) for node in ast.walk(tree))
    _add(uses, tree.body, uses.bound)
    return uses


class _GeneratorsOnly(ast.NodeTransformer):
    """Makes comprehensions generators: of these, every Python keeps the names apart."""

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> ast.AST:
        """The same elements."""
        return self.generic_visit(ast.GeneratorExp(node.elt, node.generators))

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        """The same elements."""
        return self.visit_ListComp(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        """Keys and values as pairs."""
        pair = ast.Tuple([node.key, node.value], ast.Load())
        return self.generic_visit(ast.GeneratorExp(pair, node.generators))


def _sets(node: ast.AST) -> bool:
    """True for a call such as `torch.manual_seed(0)` or `torch.set_default_dtype(...)`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr == "manual_seed" or node.func.attr.startswith("set_")


def _add(uses: _Uses, body: Sequence[ast.stmt], bound: set[str]) -> None:
    """Add what statements use; names that are `bound` have a value of this cell, and it grows."""
    for statement in body:
        first, perhaps = _parts(statement)
        for part in first:
            _add_simple(uses, part, bound)
        if isinstance(statement, ast.With):
            _add(uses, statement.body, bound)
        for block in perhaps:
            _add(uses, block, bound.copy())


def _parts(statement: ast.stmt) -> tuple[list[ast.stmt], list[list[ast.stmt]]]:
    """Simple statements that a statement runs in any case, and the blocks that it runs perhaps."""
    match statement:
        case ast.If(test, body, orelse) | ast.While(test, body, orelse):
            return [ast.Expr(test)], [body, orelse]
        case ast.For(target, values, body, orelse):
            each = ast.Assign([target], ast.Constant(None), lineno=1)
            return [ast.Expr(values)], [[each, *body], orelse]
        case ast.Try(body, handlers, orelse, finalbody):
            return [], [body, *map(_caught, handlers), orelse, finalbody]
        case ast.With(items):
            return [ast.With(items, [ast.Pass()], lineno=1)], []
    return [statement], []


def _caught(handler: ast.ExceptHandler) -> list[ast.stmt]:
    """The statements of a handler: its type is read, and its name is bound."""
    caught: list[ast.stmt] = [ast.Expr(handler.type)] if handler.type else []
    if handler.name:
        caught.append(ast.Assign([ast.Name(handler.name)], ast.Constant(None), lineno=1))
    return [*caught, *handler.body]


def _add_simple(uses: _Uses, statement: ast.stmt, bound: set[str]) -> None:
    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    symbols = table.get_symbols()
    handled = {each.get_name() for each in symbols if each.is_referenced()} | _replaced(statement)
    inside = set[str]()
    for child in table.get_children():
        names = set(_globals(child))
        inside |= names
        handled |= names if child.get_name() == "genexpr" else set()  # it runs where it stands
    uses.handled |= handled - (bound - uses.defined.keys())
    uses.read |= (handled | inside) - bound
    given = {each.get_name() for each in symbols if each.is_assigned() or each.is_imported()}
    uses.given |= given
    bound |= given
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
        uses.defined |= dict.fromkeys(given, inside)


def _replaced(statement: ast.stmt) -> set[str]:
    """The names that a statement such as `x += 1` or `del x` takes a value from."""
    match statement:
        case ast.AugAssign(ast.Name(name)):
            return {name}
        case ast.Delete(targets):
            return {each.id for each in targets if isinstance(each, ast.Name)}
    return set()


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    """The names that functions and comprehensions read from outside."""
    yield from (each.get_name() for each in table.get_symbols() if each.is_global())
    for child in table.get_children():
        yield from _globals(child)
