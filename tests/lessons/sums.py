"""A lesson of one question and one exercise, for tests of what a lesson keeps and tells."""

from gradwidgets.lessons import Lesson

WHY = {"yes": "It is 4.", "no": "Count again."}


def a_lesson():
    lesson = Lesson("sums")

    @lesson.question("Is `2 + 2` more than 3?", WHY)
    def more():
        return "yes", "It is 4."

    @lesson.exercise
    def check_sum(total):
        return "Right." if total == 4 else "Not yet: count again."

    return lesson
