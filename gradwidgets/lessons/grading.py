"""The old name of `gradwidgets.grading`, for homework that has been handed out.

Its hidden tests run `gradwidgets.lessons.grading.fresh`, which is found by way of `__path__`.
"""

from gradwidgets.grading import *  # noqa: F403
from gradwidgets.grading import __path__ as __path__
