"""A sample of what `make sweeps` tries at length."""

from collections import Counter

import pytest

from gradwidgets.sweep import eligibility
from tests.sweep import random_models


def test_random_models_have_the_bits_of_runs_alone_or_go_one_by_one_and_say_so(monkeypatch):
    monkeypatch.setattr(eligibility, "QUICK", 0.0)
    seen = Counter(random_models.tried(number)[0] for number in range(24))
    assert not seen["differs"], seen
    assert not seen["raises"], seen
    assert seen["together"], seen
    assert seen["one by one"], seen


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_same_number_draws_the_same_model(number):
    one, other = (random_models.random_case(number)[0].build() for _ in range(2))
    assert repr(one) == repr(other)
