"""A loop of checkup's collection as two programs: the broken one and the repaired one.

The collection writes both as one function of `repaired`, so that they differ in nothing else. A
reader wants to see each by itself.
"""

from __future__ import annotations

import ast
import textwrap

SWITCH = "repaired"


def specialise(source: str, repaired: bool) -> str:
    """The function with `repaired` put in, and without what is then never run.

    Args:
        source: a function with the parameter `repaired`.
        repaired: its value.

    Raises:
        ValueError: the source is no function with that parameter.
    """
    (function,) = ast.parse(source).body
    if not isinstance(function, ast.FunctionDef) or SWITCH not in _parameters(function):
        raise ValueError(f"the source should be a function of `{SWITCH}`: {source[:60]!r}")
    lines = source.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line.encode()))
    return _Text(source.encode(), offsets, repaired).function(function)


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in function.args.args]


class _Text:
    """The bytes of a source, and the replacements in them; positions of `ast` count bytes."""

    def __init__(self, source: bytes, offsets: list[int], repaired: bool) -> None:
        self.source, self.offsets, self.repaired = source, offsets, repaired

    def function(self, node: ast.FunctionDef) -> str:
        """The whole function, without the parameter and the type of what it returns."""
        others = [name for name in _parameters(node) if name != SWITCH]
        body = self.between(self.start_of_line(node.body[0]), len(self.source), list(node.body))
        text = f"def {node.name}({', '.join(others)}):\n{body}".rstrip()
        return _without_blank_ends(text)

    def between(self, start: int, end: int, nodes: list[ast.AST]) -> str:
        """The text from one place to another, with what is to be replaced in these nodes."""
        text, at = b"", start
        for first, last, new in sorted(self.replacements(nodes)):
            text += self.source[at:first] + new.encode()
            at = last
        return (text + self.source[at:end]).decode()

    def replacements(self, nodes: list[ast.AST]) -> list[tuple[int, int, str]]:
        """Places and new texts, the outermost only."""
        found = []
        for node in nodes:
            new = self.replaced(node)
            if new is None:
                found += self.replacements(list(ast.iter_child_nodes(node)))
            else:
                found.append(new)
        return found

    def replaced(self, node: ast.AST) -> tuple[int, int, str] | None:
        """The new text of a node that depends on the switch; None if only its parts may do so."""
        if isinstance(node, ast.If) and (known := self.known(node.test)) is not None:
            return self.statement(node, node.body if known else node.orelse)
        if isinstance(node, ast.IfExp) and (known := self.known(node.test)) is not None:
            return self.expression(node, node.body if known else node.orelse)
        if isinstance(node, ast.expr) and (known := self.known(node)) is not None:
            return self.start(node), self.end(node), str(known)
        return None

    def expression(self, node: ast.expr, chosen: ast.expr) -> tuple[int, int, str]:
        """A choice between two expressions becomes one of them."""
        text = self.between(self.start(chosen), self.end(chosen), [chosen])
        return self.start(node), self.end(node), text

    def statement(self, node: ast.If, chosen: list[ast.stmt]) -> tuple[int, int, str]:
        """A choice between two blocks becomes one of them, as far to the left as the choice was."""
        first, last = self.start_of_line(node), self.end(node)
        if not chosen:
            return first, min(last + 1, len(self.source)), ""
        begin = self.start_of_line(chosen[0])
        text = self.between(begin, self.end(chosen[-1]), list(chosen))
        return first, last, textwrap.indent(textwrap.dedent(text), " " * node.col_offset)

    def known(self, node: ast.expr) -> bool | None:
        """The value of an expression made of the switch alone; None of any other."""
        if isinstance(node, ast.Name) and node.id == SWITCH:
            return self.repaired
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.known(node.operand)
            return None if inner is None else not inner
        return None

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Where a node begins."""
        return self.offsets[node.lineno - 1] + node.col_offset

    def start_of_line(self, node: ast.stmt) -> int:
        """Where the line of a statement begins."""
        return self.offsets[node.lineno - 1]

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Where a node ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offsets[node.end_lineno - 1] + node.end_col_offset


def _without_blank_ends(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())
