"""The old place of `gradwidgets.grading`, for homework that has been handed out."""

from gradwidgets.grading import *  # noqa: F403
