"""Styles are one page's: a class of one widget must not be that of another."""

import re
from collections import defaultdict
from pathlib import Path

import gradwidgets

FOLDER = Path(gradwidgets.__file__).parent


def test_each_class_that_javascript_gives_is_given_by_one_file():
    given = defaultdict(set)
    for path in FOLDER.rglob("*.js"):
        for name in re.findall(
            r'(?:className: |classList\.add\()"(gradwidgets-[\w-]+)"', path.read_text("utf-8")
        ):
            given[name].add(path.name)
    assert len(given) > 10
    shared = {name: sorted(files) for name, files in given.items() if len(files) > 1}
    assert shared == {}
