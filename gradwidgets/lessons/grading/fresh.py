"""The old place of `gradwidgets.grading.fresh`, for homework that has been handed out."""

import runpy

globals().update(runpy.run_module("gradwidgets.grading.fresh"))
