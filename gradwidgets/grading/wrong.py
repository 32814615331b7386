"""A finding: the sentence that a student reads, and the values in it."""

from __future__ import annotations

from gradwidgets_homework import gettext


class Wrong(Exception):  # noqa: N818, a finding and no error
    """A function does not do what was asked.

    Args:
        template: one English sentence, with the names of the values in braces; it is shown in the
            course's language.
        detail: a second finding, which says where and by how much.
        values: the values.

    >>> print(Wrong("It returns {found}.", Wrong("{right} was asked for.", right=2), found=1))
    It returns 1. 2 was asked for.
    """

    def __init__(self, template: str, detail: Wrong | None = None, **values: object) -> None:
        super().__init__(template)
        self.template, self.detail, self.values = template, detail, values

    def __str__(self) -> str:
        sentence = gettext(self.template).format(**self.values)
        return f"{sentence} {self.detail}" if self.detail else sentence
