import pytest

from gradwidgets.components.slider import Slider
from gradwidgets.core.control import Control, linear, logarithmic

PLAIN = Control("scale", "Gradient", "help", (0.0, 0.5, 1.0, 2.0))
OPEN = Control("clip", "Gradient", "help", (0.1, 1.0, None))


def test_index_and_value_follow_each_other():
    slider = Slider(PLAIN, 1.0)
    assert (slider.index, slider.value) == (2, 1.0)
    slider.index = 3
    assert slider.value == 2.0
    slider.value = 0.0
    assert slider.index == 0


@pytest.mark.parametrize(
    ("control", "value", "texts"),
    [
        (PLAIN, 0.7, ["0", "0.5", "0.7", "1", "2"]),
        (PLAIN, 9.0, ["0", "0.5", "1", "2", "9"]),
        (PLAIN, -1.0, ["-1", "0", "0.5", "1", "2"]),
        (OPEN, 5.0, ["0.1", "1", "5", "off"]),
    ],
)
def test_a_value_that_is_no_stop_becomes_one(control, value, texts):
    slider = Slider(control, control.stops[0])
    slider.value = value
    assert slider.texts == texts
    assert slider.value == value
    assert slider.texts[slider.index] == control.text(value)
    assert slider.stops[slider.index] == value


def test_an_index_from_outside_the_range_is_brought_inside():
    slider = Slider(PLAIN, 1.0)
    slider.index = 99
    assert slider.value == 2.0


def test_stops_include_both_ends():
    assert linear(0.0, 1.0, 0.25) == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert logarithmic(0.01, 10.0, 1) == (0.01, 0.1, 1.0, 10.0)
