"""The lessons and lectures as files, and the command `gradwidgets` that copies and opens them.

It stands outside `gradwidgets` and loads nothing but the standard library, so that the command
answers at once, and answers, too, where PyTorch cannot be loaded.
"""

from gradwidgets_notebooks.course import FIRST, Brought, bring, course_files, course_folder

__all__ = ["FIRST", "Brought", "bring", "course_files", "course_folder"]
