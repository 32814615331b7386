"""The claims and what settles them: all are there, none twice, and each has its experiment."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from gradwidgets.lessons import VERDICTS, FactCheck
from gradwidgets.lessons.claims import FILE, PAGE, TABLE_CELL, read_claims, whole_table
from gradwidgets.lessons.needed_cells import needed_cells
from gradwidgets_notebooks import FIRST
from tests.lessons.notebooks import FOLDER, PATHS, code_cells, read
from tests.lessons.references import outputs_of, text_of

TUTORIALS = {"000": 16, "001": 28, "002": 11, "003": 15, "004": 23}
PAGES = [f"{number}-01" for number in range(101, 119)]
"""Statements of documentation, told in our own words, one a page."""
QUOTED = [f"{tutorial}-{n:02}" for tutorial, last in TUTORIALS.items() for n in range(1, last + 1)]
EVERY = QUOTED + PAGES
SOURCES = json.loads((FOLDER / FILE).read_text(encoding="utf-8"))["sources"]
COMPARED = "ea38cbeb4aeb60a5"
"""The first digits of the SHA-256 of all quotes."""
LESSONS = [path for path in PATHS if path.name not in (FIRST, PAGE)]


def table():
    return json.loads((FOLDER / FILE).read_text(encoding="utf-8"))["claims"]


def claims_of(cell):
    return cell.metadata.get("gradwidgets", {}).get("claims", [])


def quotes():
    return [row for row in table() if "quote" in row]


def settled_in(paths):
    return {claim for path in paths for cell in code_cells(path) for claim in claims_of(cell)}


def test_all_claims_are_there_once_and_in_order():
    assert [row["id"] for row in table()] == EVERY


@pytest.mark.parametrize("row", table(), ids=lambda row: row["id"])
def test_a_claim_says_what_is_claimed_and_what_is_true(row):
    told = "quote" if row["id"] in QUOTED else "paraphrase"
    assert set(row) == {"id", told, "verdict", "truth"}
    assert row["verdict"] in VERDICTS
    for text in (row[told], row["truth"]):
        assert text.strip() == text
        assert 10 < len(text) <= 300
    assert "|" not in row["truth"]  # it would end its cell of the table
    assert row["truth"].endswith((".", "?", ")"))


def test_no_text_stands_twice():
    texts = Counter(row[field] for row in table() for field in set(row) - {"id", "verdict"})
    assert [text for text, count in texts.items() if count > 1] == []


def plain(text):
    """A text without Markdown's marks, its white space as single spaces."""
    text = re.sub(r"^ *```\w*$", "", text, flags=re.MULTILINE)
    text = text.translate({ord("\u2011"): "-", ord("\u2019"): "'", **dict.fromkeys(b"`*\\")})
    return " ".join(text.split())


def decoded(text):
    """A text whose UTF-8 was read as Windows' characters, as in some of the files."""

    def again(run):
        try:
            return run[0].encode("cp1252").decode("utf-8")
        except UnicodeError:
            return run[0]

    return re.sub(r"[^\x00-\x7f]+", again, text)


@pytest.mark.skipif("GRADWIDGETS_SOURCES" not in os.environ, reason="needs the tutorials' files")
@pytest.mark.parametrize("row", quotes(), ids=lambda row: row["id"])
def test_a_quote_stands_in_its_tutorial_word_for_word(row):
    file = SOURCES[row["id"][:3]]["file"]
    text = (Path(os.environ["GRADWIDGETS_SOURCES"]) / file).read_text(encoding="utf-8")
    assert plain(row["quote"]) in plain(decoded(text))


def test_the_quotes_are_those_that_were_compared_with_their_tutorials():
    """Whoever changes one runs the test above with the folder of the files, then this one."""
    compared = "\n".join(plain(row["quote"]) for row in quotes())
    assert hashlib.sha256(compared.encode()).hexdigest()[:16] == COMPARED


def test_other_texts_tell_how_many_claims_there_are():
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert f"{len(QUOTED)} sentences of five tutorials" in text
    assert f"{len(PAGES)} statements of documentation" in text
    assert len(TUTORIALS) == 5
    assert set(SOURCES) == {*TUTORIALS, *(claim[:3] for claim in PAGES)}


@pytest.mark.parametrize("claim", [each for each in read_claims(FOLDER) if each.paraphrased])
def test_the_verdict_on_documentation_is_what_its_cell_computes(claim):
    """A `Settled` says it last; nbval compares that with what the cell says now."""
    (cell,) = claim.experiment.cells
    text = text_of(FOLDER / claim.experiment.notebook, cell)
    assert text.endswith(f"verdict: {claim.verdict}\n")
    assert text.count("\nholds: ") + text.count("\nfails: ") + text.startswith("holds: ") >= 2
    assert SOURCES[claim.id[:3]]["page"].startswith("https://")


def test_documentation_is_told_as_it_stands_in_the_notebook():
    text = "\n".join(cell.source for cell in read(FOLDER / "17_documentation.ipynb").cells)
    for row in table():
        if row["id"] in PAGES:
            source = SOURCES[row["id"][:3]]
            assert f"{row['paraphrase']} ([{source['title']}]({source['page']}))" in text


def test_a_lesson_after_the_first_settles_every_claim():
    assert set(EVERY) - settled_in(LESSONS) == set()


def test_no_cell_settles_a_claim_that_nobody_made():
    assert settled_in(PATHS) - set(EVERY) == set()


@pytest.mark.parametrize("claim", read_claims(FOLDER), ids=lambda claim: claim.id)
def test_the_experiment_of_a_claim_proves_something(claim):
    """It puts figures out, and nbval compares them with those of the references."""
    path = FOLDER / claim.experiment.notebook
    cells = {cell.id: cell for cell in code_cells(path)}
    outputs = outputs_of(path)
    assert any(outputs[name] for name in claim.experiment.cells)
    assert all(claim.id in claims_of(cells[name]) for name in claim.experiment.cells)


def test_the_table_in_the_page_is_what_the_claims_make():
    """`make fact-check` writes it."""
    (cell,) = (cell for cell in read(FOLDER / PAGE).cells if cell.id == TABLE_CELL)
    assert cell.source == whole_table(FOLDER)


def test_the_table_leads_to_every_experiment():
    links = re.findall(r"\[(\d+-\d+)\]\(([^#)]+)#cell-id=([^)]+)\)", whole_table(FOLDER))
    assert sorted(claim for claim, _, _ in links) == EVERY
    for claim, notebook, name in links:
        (cell,) = (cell for cell in code_cells(FOLDER / notebook) if cell.id == name)
        assert claim in claims_of(cell)


def test_the_command_writes_the_table_into_the_page(tmp_path):
    for path in (FOLDER / FILE, *PATHS):
        shutil.copy(path, tmp_path)
    page = json.loads((tmp_path / PAGE).read_text(encoding="utf-8"))
    (cell,) = (cell for cell in page["cells"] if cell["id"] == TABLE_CELL)
    cell["source"] = []
    (tmp_path / PAGE).write_text(json.dumps(page), encoding="utf-8")
    command = [sys.executable, "-m", "gradwidgets.lessons.claims", str(tmp_path)]
    subprocess.run(command, check=True)
    assert (tmp_path / PAGE).read_bytes() == (FOLDER / PAGE).read_bytes()


EXPERIMENTS = {claim.experiment: claim.id for claim in read_claims(FOLDER)}
"""Each experiment once, with a claim that it settles."""


@pytest.mark.parametrize("claim_id", EXPERIMENTS.values())
@pytest.mark.single_precision("lessons print figures of single precision")
def test_an_experiment_says_here_what_it_says_in_its_lesson(claim_id, capsys):
    """Though only those cells of the lesson run that it needs."""
    facts = FactCheck(FOLDER)
    (claim,) = facts.find(claim_id)
    facts.run(claim_id)
    said = without_figures(capsys.readouterr().out)
    assert claim.quote in " ".join(said.split())
    shown = without_figures(text_of(FOLDER / claim.experiment.notebook, *claim.experiment.cells))
    assert shown
    assert said.endswith(shown)


def without_figures(text):
    """A text without the names of pictures, which are shown only where there is a front end."""
    return re.sub(r"^<Figure.*\n", "", text, flags=re.MULTILINE)


def needed(*sources, shown=None):
    """The numbers of the cells that the last one, or the cell of number `shown`, needs."""
    cells = [{"id": n, "cell_type": "code", "source": each} for n, each in enumerate(sources)]
    last = len(cells) - 1 if shown is None else shown
    return [each["id"] for each in needed_cells(cells, [last])]


@pytest.mark.parametrize(
    "sources",
    [
        ("x = 1", "x += 1", "print(x)"),
        ("x = 1", "del x", "'x' in globals() or print(x)"),
        ("x = 1", "if 0:\n    x = 2", "print(x)"),
        ("x = 1", "if 0:\n    x = 2\nx = x + 1", "print(x)"),
        ("x = 1", "while 0:\n    x = 2", "print(x)"),
        ("x = 1", "for x in []:\n    pass", "print(x)"),
        ("x = 1", "try:\n    1 / 0\n    x = 2\nexcept ZeroDivisionError:\n    pass", "print(x)"),
        ("x = 1", "for x in []:\n    pass\nprint(x)"),
        ("x = []", "[x.append(1) for _ in 'abc']", "print(x)"),
        ("x = []", "if 1:\n    {n: x.append(n) for n in 'ab'}", "print(x)"),
        ("x = []", "with open('a') as f:\n    x.append(f)", "print(x)"),
        ("import random, torch", "torch.manual_seed(0)", "print(torch.rand(1))"),
        ("import torch", "torch.set_default_dtype(torch.float64)", "print(torch.ones(1))"),
        ("x = []", "def f():\n    x.append(1)", "f()", "print(x)"),
        ("x = []", "def f():\n    x.append(1)\nf()", "print(x)"),
        ("x = 1", "def f():\n    global x\n    x = 2", "def g():\n    f()", "g()", "print(x)"),
        ("A = ValueError", "try:\n    y = 1\nexcept A as e:\n    y = e", "print(y)"),
    ],
)
def test_a_cell_that_changes_what_an_experiment_says_is_needed(sources):
    """Each of these lessons says something else, or nothing, without one of its cells."""
    assert needed(*sources) == list(range(len(sources)))


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (("x = 1", "x = 2", "print(x)"), [1, 2]),
        (("x = 1", "with open('a') as x:\n    pass", "print(x)"), [1, 2]),
        (("x = 1", "y = x", "print(1)"), [2]),
        (("x = 1", "for x in 'ab':\n    print(x)"), [1]),
        (("x = 1", "[x for x in 'ab']"), [1]),
        (("x = 1", "[x for x in 'ab']", "print(x)"), [0, 2]),
        (("x = 1", "try:\n    1 / 0\nexcept ArithmeticError as x:\n    print(x)"), [1]),
        (("%timeit 1 + 1", "x = 1", "print(x)"), [1, 2]),
    ],
)
def test_a_cell_without_which_an_experiment_says_the_same_is_not_needed(sources, found):
    assert needed(*sources) == found


@pytest.mark.parametrize("later", ["%timeit 1 + 1", "def f(:", "print(x)"])
def test_cells_after_an_experiment_are_not_looked_at(later):
    assert needed("x = 1", "print(x)", later, shown=1) == [0, 1]


def lesson_of_one_claim(folder, *sources):
    """Write a lesson whose last cell settles one of two claims, "000-01"."""
    sources = ("# Adding", *sources)
    settles = {"gradwidgets": {"claims": ["000-01"]}}
    cells = [
        {
            "id": f"c{n}",
            "cell_type": "code" if n else "markdown",
            "source": each,
            "metadata": settles if n == len(sources) - 1 else {},
        }
        for n, each in enumerate(sources)
    ]
    (folder / "01_adding.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    claims = [
        {"id": "000-01", "quote": "It adds.", "verdict": "true", "truth": "It does."},
        {"id": "000-02", "quote": "It clears.", "verdict": "false", "truth": "It does not."},
    ]
    table = {"sources": {"000": {"title": "A page", "file": "a.txt"}}, "claims": claims}
    (folder / FILE).write_text(json.dumps(table), encoding="utf-8")
    return folder


def test_an_experiment_leaves_random_numbers_and_the_default_dtype_as_they_were(tmp_path, capsys):
    sets = "import torch\ntorch.manual_seed(5)\ntorch.set_default_dtype(torch.float64)"
    facts = FactCheck(lesson_of_one_claim(tmp_path, sets, "print(torch.rand(1).dtype)"))
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)
    first = torch.rand(3)
    torch.manual_seed(0)
    facts.run("000-01")
    assert "float64" in capsys.readouterr().out
    facts.words.value = "adds"
    buttons_in(facts.widget)[0].click()
    assert "float64" in texts_in(facts.widget)[-1]
    after = torch.rand(3)
    assert after.dtype == torch.float32
    assert torch.equal(first, after)


@pytest.mark.parametrize("here", [True, False])
def test_an_id_is_a_link_only_where_the_lessons_lie_in_the_working_folder(
    here, tmp_path, monkeypatch
):
    lesson_of_one_claim(tmp_path, "print(1)")
    if here:
        monkeypatch.chdir(tmp_path)
    facts = FactCheck(tmp_path)
    facts.words.value = "adds"
    text = texts_in(facts.widget)[0]
    assert text.endswith("[000-01](01_adding.ipynb#cell-id=c1)" if here else "It does. 000-01")


def test_an_unknown_claim_is_refused():
    with pytest.raises(ValueError, match="claim_id='900-01'"):
        FactCheck(FOLDER).run("900-01")


def test_claims_are_found_by_all_words_and_the_verdict():
    facts = FactCheck(FOLDER)
    assert [claim.id for claim in facts.find("SCALING factor")] == ["000-11"]
    assert facts.find("halving", verdict="false") == []
    assert facts.find() == list(facts.claims)
    assert [claim.id for claim in facts.find("003-02")] == ["003-02"]
    assert sum(map(facts.count, VERDICTS)) == len(EVERY)


def ids(claims):
    return [claim.id for claim in claims]


def test_words_are_found_as_wholes_however_they_are_written():
    facts = FactCheck(FOLDER)
    assert ids(facts.find("amp")) == ["001-23"]  # and not in every "example"
    assert ids(facts.find("ad")) == []
    mixing = ids(facts.find("BatchNorm"))
    assert "001-19" in mixing
    assert ids(facts.find("batchnorm")) == ids(facts.find("batch norm")) == mixing
    assert (
        ids(facts.find("zerograd"))
        == ids(facts.find("`zero_grad()`"))
        == ids(facts.find("zero_grad"))
    )
    assert ids(facts.find("(")) == EVERY


def texts_in(widget):
    """All texts of the outputs in a widget."""
    outputs = [text for each in getattr(widget, "outputs", ()) for text in each["data"].values()]
    return outputs + [text for child in getattr(widget, "children", ()) for text in texts_in(child)]


def buttons_in(widget):
    if hasattr(widget, "click"):
        return [widget]
    return [button for child in getattr(widget, "children", ()) for button in buttons_in(child)]


def test_the_fields_filter_the_rows():
    facts = FactCheck(FOLDER)
    _, count, found = facts.widget.children
    assert count.value.startswith(f"{len(EVERY)} of {len(EVERY)} claims.")
    assert not found.children
    facts.words.value = "adam"
    assert count.value == f"{len(facts.find('adam'))} of {len(EVERY)} claims"
    assert len(found.children) == len(facts.find("adam"))
    facts.verdict.value = "false"
    (one,) = (claim for claim in facts.find("adam", "false") if claim.id == "001-17")
    (text,) = (text for text in texts_in(found) if one.quote in text)
    assert one.source in text
    assert one.truth in text
    assert "**false**" in text
    facts.words.value = "no such word"
    assert not found.children


@pytest.mark.single_precision("lessons print figures of single precision")
def test_a_button_runs_the_experiment_of_its_row():
    facts = FactCheck(FOLDER)
    facts.words.value = "000-11"
    (button,) = buttons_in(facts.widget)
    assert button.description == "Run 000-11"
    button.click()
    (claim,) = facts.find("000-11")
    shown = texts_in(facts.widget)[-1]
    assert text_of(FOLDER / claim.experiment.notebook, *claim.experiment.cells).rstrip() in shown


@pytest.mark.parametrize("text", ["", "{", '{"cells": []}', '{"cells": [{"cell_type": "code"}]}'])
def test_notebooks_of_the_learner_lie_beside_the_lessons(text, tmp_path, capsys):
    lesson_of_one_claim(tmp_path, "print(1 + 1)")
    (tmp_path / "Untitled.ipynb").write_text(text, encoding="utf-8")
    FactCheck(tmp_path).run("000-01")
    assert capsys.readouterr().out.rstrip().endswith("2")


def test_a_button_says_what_went_wrong(tmp_path):
    for path in (FOLDER / FILE, FOLDER / "03_scaling_gradients.ipynb"):
        shutil.copy(path, tmp_path)
    facts = FactCheck(tmp_path)
    facts.words.value = "000-11"
    (tmp_path / "03_scaling_gradients.ipynb").unlink()
    (button,) = buttons_in(facts.widget)
    button.click()
    assert texts_in(facts.widget)[-1].startswith("The experiment failed: FileNotFoundError")
    facts.words.value = "000-01"  # its lesson is not here
    (button,) = buttons_in(facts.widget)
    assert button.disabled
