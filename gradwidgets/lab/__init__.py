"""`GradLab`: controls, a training loop that runs again at each change, and its picture."""

from gradwidgets.lab.lab import GradLab

__all__ = ["GradLab"]
