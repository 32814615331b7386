"""Wrong functions, each with the points that it deserves: what a check lets pass is seen here.

They are locked, as they show what is right: see `tests/homework/opened.py`.
"""

from tests.homework.opened import locked

_opened = locked("wrong")
WRONG = _opened.WRONG
