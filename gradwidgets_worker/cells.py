"""A notebook's cells, run one after another as a kernel runs them, in a process of their own."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import linecache
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from gradwidgets_worker.frames import Data

MOST = 10_000
"""Characters that are kept of what a cell puts out."""

_TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class CappedText(io.TextIOBase):
    """A stream that keeps the first characters, and says how many."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._room = MOST
        self._cut = False

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        if self._room:
            self._kept.append(str(text[: self._room]))
        self._cut = self._cut or len(text) > self._room
        self._room -= min(self._room, len(text))
        return len(text)

    def text(self) -> str:
        """All that was kept."""
        cut = f"\n(cut after {MOST} characters)\n" if self._cut else ""
        return "".join(self._kept) + cut


@contextlib.contextmanager
def captured() -> Iterator[CappedText]:
    """Keep what is printed, and what would go to the error stream."""
    stream = CappedText()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield stream


def told(error: BaseException, most: int = 300) -> str:
    """An exception in one line, with the student's line that raised it."""
    try:
        message = " ".join(str(error).split())[:most]
    except Exception:  # an exception may be a student's own class
        message = ""
    name = type(error).__name__
    text = f"{name}: {message}" if message else name
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith("<cell ")]
    line = f" (in the line `{own[-1].line[:100]}`)" if own and own[-1].line else ""
    return text + line


class Notebook:
    r"""The namespace of a notebook.

    >>> notebook = Notebook()
    >>> notebook.run("%matplotlib inline\nx = 6\nx * 7")
    {'output': '42\n', 'error': None}
    >>> notebook.run("1 / 0")["error"]
    'ZeroDivisionError: division by zero (in the line `1 / 0`)'
    """

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.space: dict[str, Any] = vars(self.module)
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.space.update(get_ipython=Shell, display=_display, input=_input)

    def run(self, source: str) -> Data:
        """Run a cell; what it raises is noted, and the next one can be run."""
        self._count += 1
        name = f"<cell {self._count}>"
        error: str | None = None
        with captured() as output:
            try:
                source = without_magics(source)
                linecache.cache[name] = (len(source), None, source.splitlines(True), name)
                self._execute(source, name)
            except BaseException as raised:  # sys.exit() ends a cell, and no notebook
                error = told(raised)
        return {"output": output.text(), "error": error}

    def callable(self, name: str) -> Callable[..., Any] | None:
        """The function of this name, or None if there is none that can be called."""
        found = self.space.get(name)
        return found if callable(found) else None

    def _execute(self, source: str, name: str) -> None:
        tree = ast.parse(source, name)
        last: list[ast.stmt] = []
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):
            last = [tree.body.pop()]
        self._run_code(compile(tree, name, "exec", _TOP_LEVEL_AWAIT))
        if last:
            self._run_code(compile(ast.Interactive(last), name, "single", _TOP_LEVEL_AWAIT))

    def _run_code(self, code: types.CodeType) -> None:
        value = eval(code, self.space)
        if code.co_flags & inspect.CO_COROUTINE:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            self._loop.run_until_complete(value)


def without_magics(source: str) -> str:
    r"""A cell as plain Python: line magics, `!` and `?` left out.

    `%%writefile` becomes the writing of that file; the other cells that begin with `%%` keep
    their Python, if that is what they hold.

    >>> without_magics("%matplotlib inline\nx = 1")
    'pass\nx = 1'
    """
    first, _, rest = source.lstrip().partition("\n")
    words = first.split()
    if words and words[0].startswith("%%"):
        if words[0] in ("%%writefile", "%%file") and len(words) > 1:
            return f"open({words[-1]!r}, {'a' if '-a' in words else 'w'!r}).write({rest!r});"
        return "pass" if words[0] not in ("%%time", "%%timeit", "%%capture") else rest
    try:
        compile(source, "<cell>", "exec", _TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError):
        return re.sub(_MAGIC, r"\1pass", re.sub(_ASSIGNED, r"\1None", source))
    return source


_MAGIC = re.compile(r"^([ \t]*)(?:%|!|\?).*$|^([ \t]*)[\w.]+\?{1,2}[ \t]*$", re.MULTILINE)
_ASSIGNED = re.compile(r"^([ \t]*\w+[ \t]*=[ \t]*)[%!].*$", re.MULTILINE)


class Shell:
    """Stands for IPython's shell, of which notebooks ask many things that do not matter here."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_names: None


def _display(*things: Any, **_options: Any) -> None:
    for thing in things:
        sys.stdout.write(f"{thing}\n")


def _input(prompt: object = "") -> str:
    sys.stdout.write(f"{prompt}\n")
    return ""


def stand_in_for_grading() -> None:
    """Offer a `gradwidgets.grading` that judges nothing: the judge is another process."""
    module = types.ModuleType("gradwidgets.grading", "The judge is not in this process.")
    vars(module).update(grade=_not_here, judge=_not_here)
    sys.modules[module.__name__] = module


def _not_here(*_args: object, **_names: object) -> None:
    sys.stdout.write("Nothing is judged in this process; the judge is another one.\n")
