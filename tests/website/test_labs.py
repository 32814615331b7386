"""The labs of the site have all their settings, are small, and say what `train` says."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from gradwidgets import script, train
from gradwidgets.core import settings
from tests.export.saved import SavedPage
from tests.website.conftest import WHOLE
from website import live
from website.live import ROOT

LIMIT = 400_000
WHOLE_SITE = 25_000_000
PLACES = 200 if WHOLE else 12
MISSING = "\N{EN DASH}"


@pytest.fixture(autouse=True)
def usual_dtype():
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def labs(site, tmp_path_factory):
    """The labs of the notebooks that the site has, by the name of their file.

    With each goes the dtype that its notebook has set until then.
    """

    def as_in_use(lab):
        lab.in_use = torch.get_default_dtype()
        return lab

    found = {}
    dtype = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADWIDGETS_PROGRESS", "")
        patch.setattr(live, "save_lab", lambda lab, path: found.update({path.name: as_in_use(lab)}))
        for notebook in sorted((site / "downloads").glob("*.ipynb")):
            (original,) = (ROOT / "notebooks").rglob(notebook.name)
            patch.chdir(original.parent)
            live.make(original, tmp_path_factory.mktemp("widgets"))
            torch.set_default_dtype(dtype)
    yield found
    for lab in found.values():
        lab.close()


@pytest.fixture(scope="module")
def saved(site, labs):
    """What the site's files hold, by their names."""
    files = {name: site / "labs" / name for name in sorted(labs)}
    return {name: SavedPage(path.read_text(encoding="utf-8")) for name, path in files.items()}


def stops_of(lab):
    """The values of each setting by the text that stands on the page, in their order."""
    controls = settings.controls(lab.recipe)
    for name in lab.controls:
        values = controls[name].including(settings.get(lab.recipe, name))
        yield name, {controls[name].text(value): value for value in values}


def test_a_lab_has_all_sliders_and_lists_of_the_notebook_s_with_all_their_stops(labs, saved):
    for file, page in saved.items():
        stops = list(stops_of(labs[file]))
        assert [dial["texts"] for dial in page.dials] == [list(known) for _, known in stops], file
        begin = [dial["at"] for dial in page.dials]
        for number, dial in enumerate(page.dials):
            assert dial["at"] in dial["shared"]
            for stop in range(len(dial["texts"])):
                assert (*begin[:number], stop, *begin[number + 1 :]) in page.numbers, file


def test_a_lab_begins_where_the_notebook_s_does(labs, saved):
    for file, page in saved.items():
        begin = page.numbers[tuple(dial["at"] for dial in page.dials)]
        torch.set_default_dtype(labs[file].in_use)
        assert page.sentences[begin] == train(labs[file].problem, labs[file].recipe).summary(), file


def test_a_lab_s_numbers_are_those_of_train(labs, saved):
    """At places drawn at random, of all labs as many."""
    draw = random.Random(17)
    files = sorted(saved)
    for number in range(PLACES):
        file = files[number % len(files)]
        place = draw.choice(sorted(saved[file].numbers))
        compare(labs[file], saved[file], place)


def compare(lab, page, place):
    """Hold what the page says at a place against a run of its own."""
    run = page.numbers[place]
    dials = zip(stops_of(lab), page.texts_at(place), strict=True)
    chosen = {name: known[text] for (name, known), text in dials}
    base = settings.with_(lab.recipe, optimizer=chosen.get("optimizer", lab.recipe.optimizer))
    applied = {name: value for name, value in chosen.items() if settings.applies(base, name)}
    recipe = settings.with_(base, **applied)
    torch.set_default_dtype(lab.in_use)
    history = train(lab.problem, recipe)
    assert page.sentences[run] == history.summary()
    assert (page.updates[run], page.diverged[run]) == (history.updates, history.diverged)
    assert page.program(run) == script(lab.problem, recipe)
    columns = (history.loss, history.grad_norm, history.edited_norm)
    for update, *texts in page.table(run):
        at = int(update)
        inside = at < history.updates
        expected = [f"{column[at]:.4g}" if inside else MISSING for column in columns]
        assert texts[:3] == expected, chosen


def test_a_lab_is_small(site, labs):
    sizes = {name: (site / "labs" / name).stat().st_size for name in labs}
    assert {name: size for name, size in sizes.items() if size > LIMIT} == {}


def test_the_site_is_small(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) <= WHOLE_SITE


def test_a_notebook_that_takes_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "TIMEOUT", 0.01)
    notebook = ROOT / "notebooks" / "00_start_here.ipynb"
    with pytest.raises(RuntimeError, match=r"00_start_here\.ipynb was not done after 0\.01 s"):
        live.widgets_of([notebook], tmp_path)


def test_a_notebook_whose_cells_fail_is_named(tmp_path, monkeypatch):
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "source": "1 / 0"}
    notebook = tmp_path / "broken.ipynb"
    notebook.write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    widget = {"one": [{"data": {live.VIEW: {}}}]}
    references = tmp_path / "references"
    references.mkdir()
    (references / "broken.json").write_text(json.dumps(widget), encoding="utf-8")
    monkeypatch.setattr(live, "REFERENCES", references)
    with pytest.raises(ZeroDivisionError):
        live.make(notebook, tmp_path)


def test_the_notebooks_that_are_begun_first_exist():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(live.LONGEST_FIRST) <= names


def test_notebooks_that_take_long_are_begun_first(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(live, "_run_apart", lambda notebook, _: begun.append(notebook.stem))
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    live.widgets_of(notebooks, tmp_path, processes=1)
    first = len(live.LONGEST_FIRST)
    assert tuple(begun[:first]) == live.LONGEST_FIRST
    assert sorted(begun) == [path.stem for path in notebooks]


def test_a_folder_is_used_again_until_its_notebook_changes(tmp_path, monkeypatch):
    begun = []

    def run(notebook: Path, folder: Path) -> None:
        begun.append(notebook.name)
        folder.mkdir()
        (folder / live.FILE).write_text("{}", encoding="utf-8")

    monkeypatch.setattr(live, "_run_apart", run)
    notebook = tmp_path / "a.ipynb"
    notebook.write_text("{}", encoding="utf-8")
    for _ in range(2):
        live.widgets_of([notebook], tmp_path)
    assert begun == ["a.ipynb"]
    notebook.write_text("{ }", encoding="utf-8")
    live.widgets_of([notebook], tmp_path)
    assert len(begun) == 2
