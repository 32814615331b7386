"""Ways in which honest people write what is right: each gets all points of its functions.

They are locked, as they show what is right: see `tests/homework/opened.py`.
"""

from tests.homework.opened import locked

_opened = locked("styles")
APART = _opened.APART
IMPORTS = _opened.IMPORTS
STEP = _opened.STEP
TOGETHER = _opened.TOGETHER
