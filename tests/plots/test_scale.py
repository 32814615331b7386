from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradwidgets.plots.labels import apart
from gradwidgets.plots.scale import nice, vertical


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, 1), (1.01, 2), (3.0, 5), (7.0, 10), (0.03, 0.05), (10.0, 10)]
)
def test_nice_numbers(value, expected):
    assert nice(value) == pytest.approx(expected)


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(1e-6, 1e6)))
def test_limits_hold_a_positive_curve_within_their_reach(curve):
    low, high, log = vertical([curve])
    assert low < high
    top = min(curve.max(), 1000 * curve[0])
    assert high >= top
    if not log:
        assert low == 0.0
    else:
        assert low <= max(curve.min(), top * 1e-9)


@given(arrays(np.float64, st.integers(0, 20), elements=st.floats(width=64)))
@example(np.array([5e-324]))
@example(np.array([0.0, 1e-310]))
@example(np.array([1e-310, 5e-324]))
@example(np.array([1e-322, 1e300]))
def test_limits_are_finite_and_ordered_whatever_the_curve(curve):
    low, high, _ = vertical([curve])
    assert np.isfinite([low, high]).all()
    assert low < high


def test_a_curve_that_explodes_does_not_crush_the_others():
    low, high, log = vertical([np.array([1.0, 0.1, 0.01]), np.array([1.0, 1e10, 1e30])])
    assert log
    assert high <= 1e4
    assert low >= 1e-6


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e6, 1e6)))
def test_an_axis_is_logarithmic_unless_a_value_is_below_zero(curve):
    assert vertical([curve])[2] == bool((curve >= 0).all())


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.05, 0.1, 0.15])), max_size=6))
def test_names_of_curves_do_not_overlap(labels):
    labels.sort()
    placed = apart([height for height, _ in labels], [size for _, size in labels])
    edges = [(y - size / 2, y + size / 2) for y, (_, size) in zip(placed, labels, strict=True)]
    assert all(low >= high - 1e-9 for (_, high), (low, _) in pairwise(edges))
    assert all(high <= 1 + 1e-9 for _, high in edges)
