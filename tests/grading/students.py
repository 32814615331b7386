"""A class, and what each of its students hands in: cells to fill, by homework, and what they earn.

They are locked, as they show what is right: see `tests/homework/opened.py`.
"""

from tests.homework.opened import locked

_opened = locked("students")
ALL = _opened.ALL
EARNED = _opened.EARNED
HANDED_IN = _opened.HANDED_IN

PAGES = """
<script>alert(1)</script> <img src=x onerror="alert(1)"> `1 < 2`

[one](javascript:alert(1)) [two] [three][two] <javascript:alert(1)> ![four](javascript:alert(1))

[two]: javascript:alert(1)

$\\href{javascript:alert(1)}{five}$
"""
HANDED_IN["hw1"]["pages"] = {"train-step": ALL, "why": PAGES, "odd tags": True}
EARNED["hw1"]["pages"] = [5, 0, 0, 0]
