"""What teaching adds: predictions that a learner commits to before the experiment runs."""

from gradwidgets.lessons.predict import Predict

__all__ = ["Predict"]
