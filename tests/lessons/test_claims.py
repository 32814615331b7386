"""The claims and what settles them: all are there, none twice, and each has its experiment."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from gradwidgets.lessons import VERDICTS, FactCheck
from gradwidgets.lessons.claims import FILE, FIRST, PAGE, TABLE_CELL, read_claims, whole_table
from tests.lessons.notebooks import FOLDER, PATHS, code_cells, read
from tests.lessons.references import outputs_of

TUTORIALS = {"000": 16, "001": 28, "002": 11, "003": 15, "004": 23}
EVERY = [f"{tutorial}-{n:02}" for tutorial, last in TUTORIALS.items() for n in range(1, last + 1)]
LESSONS = [path for path in PATHS if path.name not in (FIRST, PAGE)]


def table():
    return json.loads((FOLDER / FILE).read_text(encoding="utf-8"))["claims"]


def claims_of(cell):
    return cell.metadata.get("gradwidgets", {}).get("claims", [])


def settled_in(paths):
    return {claim for path in paths for cell in code_cells(path) for claim in claims_of(cell)}


def test_all_claims_are_there_once_and_in_order():
    assert [row["id"] for row in table()] == EVERY


@pytest.mark.parametrize("row", table(), ids=lambda row: row["id"])
def test_a_claim_says_what_is_claimed_and_what_is_true(row):
    assert set(row) == {"id", "claim", "verdict", "truth"}
    assert row["verdict"] in VERDICTS
    for text in (row["claim"], row["truth"]):
        assert text.strip() == text
        assert len(text) > 10
        assert "|" not in text  # it would end its cell of the table
        assert text.endswith((".", "?", ")"))


def test_no_text_stands_twice():
    texts = Counter(row[field] for row in table() for field in ("claim", "truth"))
    assert [text for text, count in texts.items() if count > 1] == []


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


def printed(path, *names):
    """What these cells of a notebook have printed, as it was saved."""
    cells = {cell.id: cell for cell in read(path).cells}
    return "".join(
        output.text for name in names for output in cells[name].outputs if "text" in output
    )


@pytest.mark.parametrize("claim_id", ["000-11", "000-05"])
@pytest.mark.single_precision("lessons print figures of single precision")
def test_an_experiment_says_here_what_it_says_in_its_lesson(claim_id, capsys):
    facts = FactCheck(FOLDER)
    (claim,) = facts.find(claim_id)
    facts.run(claim_id)
    said = capsys.readouterr().out
    assert said.startswith(claim.claim)
    lesson = FOLDER / claim.experiment.notebook
    assert said.endswith(printed(lesson, *claim.experiment.cells))


def test_an_unknown_claim_is_refused():
    with pytest.raises(ValueError, match="claim_id='900-01'"):
        FactCheck(FOLDER).run("900-01")


def test_claims_are_found_by_all_words_and_the_verdict():
    facts = FactCheck(FOLDER)
    assert [claim.id for claim in facts.find("HALVING every")] == ["000-11"]
    assert facts.find("halving", verdict="false") == []
    assert facts.find() == list(facts.claims)
    assert [claim.id for claim in facts.find("003-02")] == ["003-02"]
    assert sum(map(facts.count, VERDICTS)) == len(EVERY)


def shown(facts):
    return facts.widget.children[1].outputs[0]["data"]["text/markdown"]


def test_the_fields_filter_the_table():
    facts = FactCheck(FOLDER)
    assert shown(facts).startswith("93 of 93 claims.")
    facts.words.value = "adam"
    assert shown(facts).startswith(f"{len(facts.find('adam'))} of 93 claims\n\n| claim |")
    facts.verdict.value = "false"
    assert shown(facts).count("\n") == len(facts.find("adam", "false")) + 3
    facts.words.value = "no such word"
    assert shown(facts) == "0 of 93 claims"
