"""The length of each lesson: words, lines of code, and the minutes that its title promises.

`python -m tests.lessons.sizes` writes them into CONTRIBUTING.md.
"""

import re

from gradwidgets.course import LESSONS
from gradwidgets.lessons.claims import TABLE_CELL
from tests.lessons.notebooks import FOLDER, ROOT, is_code, is_install, read

PAGE = ROOT / "CONTRIBUTING.md"
TABLE = re.compile(r"\| lesson \| words \|.*?\n\n", re.DOTALL)


def path_of(name):
    (path,) = FOLDER.glob(f"[0-9][0-9]_{name}.ipynb")
    return path


def words_in(cells):
    """Words of prose in all texts, folded ones too; code between fences is not prose.

    The table of the fact check is made from its data, to look things up in, not to be read.
    """
    text = "\n".join(c.source for c in cells if not is_code(c) and c.id != TABLE_CELL)
    prose = re.sub(r"```.*?```|</?\w+>|\]\([^)]*\)", " ", text, flags=re.DOTALL)
    return len(re.findall(r"[^\W_][\w'.-]*", prose))


def lines_in(cells):
    """Lines of code that a learner sees, empty ones aside."""
    shown = [c for c in cells if is_code(c) and not is_install(c)]
    return sum(bool(line.strip()) for c in shown for line in c.source.split("\n"))


def table():
    rows = ["| lesson | words | lines of code | minutes |", "|:--|--:|--:|--:|"]
    for name in LESSONS:
        path = path_of(name)
        cells = read(path).cells
        head = next(cell.source for cell in cells if not is_code(cell))
        minutes = re.search(r"[Aa]bout\s+(\d+)\s+minutes", head)[1]
        title = f"{path.stem[:2]} {head.splitlines()[0].lstrip('# ')}"
        rows.append(f"| {title} | {words_in(cells)} | {lines_in(cells)} | {minutes} |")
    return "\n".join(rows) + "\n\n"


if __name__ == "__main__":
    PAGE.write_text(
        TABLE.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8"
    )
