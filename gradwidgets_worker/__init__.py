"""The process that runs a student's code: it plays the judge's questions and answers with data.

It knows no check and no right answer; those are the judge's, in `gradwidgets.grading`. It stands
apart from `gradwidgets`, so that a worker starts with nothing but PyTorch and numpy.
"""

from gradwidgets_worker.cells import Notebook
from gradwidgets_worker.frames import DTYPES, Data, decoded, encoded, read_frame, write_frame
from gradwidgets_worker.play import play

__all__ = ["DTYPES", "Data", "Notebook", "decoded", "encoded", "play", "read_frame", "write_frame"]
