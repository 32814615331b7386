"""Solutions of each exercise, right and wrong, one file a lesson.

`RIGHT` and `WRONG` hold, by the id of the exercise's cell, what a learner may write in front of the
check. Every right one has to pass and every wrong one to be refused.
"""
