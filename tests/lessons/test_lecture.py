"""`handout`: what is on the slides is on paper, and nothing else."""

import base64
import io
from html.parser import HTMLParser

import nbformat
import nbformat.v4 as nb
import pytest
from PIL import Image

from gradwidgets import GradLab, Recipe, train
from gradwidgets.lessons import handout
from gradwidgets_notebooks.__main__ import main

WALK = """
from gradwidgets import GradLab, Recipe, Scene, Walkthrough
walk = Walkthrough(
    GradLab("line", ("scale", "lr"), Recipe(lr=0.1, updates=20)),
    [
        ("Start", "As it `is`."),
        Scene("Scaled & <more>", "Twice.", {"scale": 2.0}, "Ask `them`.", 2),
    ],
    begins=3,
)
walk
"""
ASK = """
from gradwidgets import Predict
asked = Predict("What is `1 + 1`?", ["one", "two"], lambda: ("two", "It is 2."), {}, True)
asked
"""
START = Recipe(lr=0.1, updates=20)


class Reader(HTMLParser):
    """The words of a page, its pictures, and whatever it would fetch."""

    def __init__(self, page):
        super().__init__()
        self.words, self.pictures, self.fetched = "", [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        source = dict(attrs).get("src", "")
        if tag == "img" and source.startswith("data:image/png;base64,"):
            self.pictures.append(base64.b64decode(source.split(",")[1]))
        elif source or tag in ("link", "script", "iframe"):
            self.fetched.append((tag, source))

    def handle_data(self, data):
        self.words += data


def cell(make, source, kind):
    return make(source, metadata={"slideshow": {"slide_type": kind}})


@pytest.fixture
def lecture(tmp_path):
    cells = [
        cell(nb.new_markdown_cell, "# The title\n\nand a `word`", "slide"),
        cell(nb.new_markdown_cell, "**For the lecturer.** Breathe.", "skip"),
        cell(nb.new_markdown_cell, "Say hello.", "notes"),
        cell(nb.new_code_cell, "import os\nopen('here', 'w').close()", "skip"),
        cell(nb.new_code_cell, WALK, "slide"),
        cell(nb.new_code_cell, ASK, "slide"),
        cell(nb.new_code_cell, "print('three <', 4)", "slide"),
        cell(nb.new_code_cell, "'never shown'", "skip"),
    ]
    path = tmp_path / "my_lecture.ipynb"
    nbformat.write(nb.new_notebook(cells=cells), path)
    return path


def test_it_holds_what_is_on_the_slides_and_asks_for_nothing(lecture):
    page = handout(lecture)
    read = Reader(page)
    assert read.fetched == []
    assert page.count("<article>") == 5  # title, two scenes, the question, what a cell printed
    order = ["The title", "Start", "Scaled & <more>", "What is 1 + 1?", "three < 4"]
    places = [read.words.index(words) for words in order]
    assert places == sorted(places)
    for private in ("Breathe", "Say hello", "Ask them", "It is 2", "never shown", "Minutes"):
        assert private not in read.words
    assert "<code>is</code>" in page
    assert (lecture.parent / "here").exists()


def test_each_scene_has_the_picture_and_the_words_of_its_own_run(lecture):
    read = Reader(handout(lecture))
    for number, recipe in enumerate((START, START.replace(scale=2.0))):
        assert train("line", recipe).summary() in read.words
        lab = GradLab("line", ("scale", "lr"), START)
        lab.recipe = recipe
        drawn, expected = map(io.BytesIO, (read.pictures[number], lab.static_view().png))
        assert Image.open(drawn).tobytes() == Image.open(expected).tobytes()
    assert len(read.pictures) == 2


def test_the_lecturers_copy_has_notes_minutes_and_answers(lecture):
    read = Reader(handout(lecture, notes=True))
    for private in ("Say hello", "Minutes 3 to 5. Ask them.", "It is 2."):
        assert private in read.words
    assert "Breathe" not in read.words


def test_the_command_writes_it_beside_the_lecture(lecture, capsys):
    assert main(["handout", str(lecture)]) == 0
    written = lecture.with_suffix(".html")
    assert str(written) in capsys.readouterr().out
    assert "Say hello" not in written.read_text(encoding="utf-8")
    other = lecture.parent / "mine.html"
    assert main(["handout", str(lecture), "--notes", "-o", str(other)]) == 0
    assert "Say hello" in other.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([nb.new_code_cell("1")], "has no slides"),
        ([cell(nb.new_code_cell, "1 / 0", "slide")], "cell 1 fails: ZeroDivisionError"),
        ([cell(nb.new_code_cell, "1 +", "slide")], "cell 1 fails: SyntaxError"),
    ],
)
def test_what_is_no_lecture_is_named(tmp_path, capsys, cells, says):
    path = tmp_path / "broken.ipynb"
    nbformat.write(nb.new_notebook(cells=cells), path)
    with pytest.raises(ValueError, match=says):
        handout(path)
    assert main(["handout", str(path)]) == 1
    assert says in capsys.readouterr().err
    assert not path.with_suffix(".html").exists()


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main(["handout", str(tmp_path / "none.ipynb")]) == 1
    assert "none.ipynb" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"notebook='lecture.txt'"):
        handout("lecture.txt")
