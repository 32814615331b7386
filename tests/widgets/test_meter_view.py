"""The meter's view, on the set-ups whose figures are known."""

import pytest

from gradwidgets import Meter
from gradwidgets.core.meter import meter
from gradwidgets.core.meter_problems import padded_lengths, samples, tokens
from gradwidgets.widgets.meter_view import ragged_sizes


def rows(view):
    return {
        row["name"]: [cell["text"] for cell in row["cells"]] for row in view._table.page["rows"]
    }


def bars(view):
    return {row["name"]: row["cells"][0]["bar"] for row in view._table.page["rows"]}


def test_ragged_samples_spoil_mean_and_not_weighting_by_samples():
    view = Meter(ragged=True)
    assert view.sizes == (10, 10, 10, 2)
    assert rows(view)["mean"][:2] == ["0.23", "✗ another gradient"]
    assert rows(view)["samples"][1] == "✓ equal but for rounding"
    assert bars(view)["samples"] < 0.15 < 0.8 < bars(view)["mean"] < bars(view)["sum"]


def test_every_control_answers():
    view = Meter()
    assert view.reading.right == ("mean", "samples", "tokens")
    view.controls["batch_norm"].value = True
    assert rows(view)["samples"][0] == "0.37"
    assert "No rule" in view._table.page["sentence"]
    view.controls["batch_norm"].value = False
    view.controls["dropout"].value = 0.5
    expected = meter(samples(dropout=0.5, layers=2), [8] * 4)
    assert rows(view)["mean"][0] == f"{expected.differences['mean']:.2g}"
    view.controls["data"].value = "tokens"
    expected = meter(tokens(padded_lengths(1.0)), [2] * 4)
    assert rows(view)["samples"][0] == f"{expected.differences['samples']:.2g}"
    assert view.reading.right == ("tokens",)
    view.controls["padding"].value = 0.0
    assert view.reading.right == ("mean", "samples", "tokens")
    view.controls["accumulation_steps"].value = 8
    assert view._table.page["caption"].endswith(", ".join("1" * 8))


def test_what_does_not_apply_cannot_be_moved():
    view = Meter("tokens")
    off = {name for name, control in view.controls.items() if control.disabled}
    assert off == {"batch_norm", "dropout"}
    view.controls["data"].value = "samples"
    assert [name for name, control in view.controls.items() if control.disabled] == ["padding"]


def test_single_precision_rounds_at_its_own_level():
    assert 1e-8 < Meter(dtype="float32").reading.differences["mean"] < 1e-6


@pytest.mark.parametrize("samples", [8, 32])
@pytest.mark.parametrize("steps", range(1, 9))
def test_ragged_sizes_use_every_sample(samples, steps):
    sizes = ragged_sizes(samples, steps)
    assert (len(sizes), sum(sizes)) == (steps, samples)
    assert min(sizes) > 0


def test_plain_text_is_deterministic():
    view = Meter()
    assert repr(view) == repr(Meter())
    assert view._repr_mimebundle_()["text/plain"] == repr(view)
    view.close()


@pytest.mark.parametrize("wrong", [{"data": "words"}, {"dtype": "int8"}, {"accumulation_steps": 9}])
def test_what_is_not_allowed_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Meter(**wrong)
