"""Functions of a notebook run in two processes, with all that they use, and errors come back."""

import math
import threading
import time
from functools import partial, wraps

import pytest
import torch
import torch.distributed as dist

from gradwidgets.course.two_processes import TwoProcesses

NOTEBOOK = """
import math

import torch
import torch.distributed as dist

FACTORS = {"first": 2.0}


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n > 0 and even(n - 1)


def counting():
    calls = 0

    def count(step):
        nonlocal calls
        calls += step
        return calls

    return count


count = counting()


@torch.no_grad()
def everything(rank, function, *, more=3):
    return (
        function(rank),
        [even(4), count(1), count(1)],
        FACTORS["first"] * math.pi + more,
        torch.is_grad_enabled(),
    )


class Halved(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) / 2


class Quartered(Halved):
    SHARE = 0.5

    def forward(self, x):
        return self.SHARE * super().forward(x)


def of_a_class(rank, layer):
    made = Quartered(1, 1, bias=False)
    torch.nn.init.constant_(made.weight, 4.0 + rank)
    x = torch.ones(1)
    return made(x).item(), layer(x).item(), type(layer) is Quartered


def gives_a_layer(rank):
    return Halved(1, 1)
"""


@pytest.fixture(scope="module")
def both():
    processes = TwoProcesses()
    yield processes
    processes.end()


@pytest.fixture(scope="module")
def notebook():
    space = {"__name__": "__main__"}
    exec(NOTEBOOK, space)
    return space


def summed(rank, numbers):
    own = numbers[rank].clone()
    dist.all_reduce(own)
    return own


def test_each_process_has_a_rank_and_both_get_the_sum(both):
    one, other = both(summed, [torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])])
    assert one.tolist() == other.tolist() == [11.0, 22.0]


def test_a_function_arrives_with_its_closure_its_decorator_and_what_it_calls(both, notebook):
    def times(factor):
        def product(rank):
            return factor * (rank + 1)

        @wraps(product)
        def shown(rank):
            return [product(rank)]

        return shown

    pi = 2 * math.pi
    assert both(notebook["everything"], times(5)) == [
        ([5], [True, 1, 2], pi + 3, False),
        ([10], [True, 1, 2], pi + 3, False),
    ]
    assert both(partial(notebook["everything"], function=times(1), more=0))[1][0] == [2]
    assert notebook["count"](1) == 1  # the notebook's own function is as it was


def test_what_they_print_is_shown_with_the_rank(both, capsys):
    both(lambda rank: print("number", rank))
    assert capsys.readouterr().out == "rank 0: number 0\nrank 1: number 1\n"


def test_an_error_in_one_of_them_is_told_and_the_next_call_works(both):
    def fails_in_one(rank):
        if rank == 1:
            raise ValueError("no such share")
        dist.all_reduce(torch.ones(1))

    with pytest.raises(RuntimeError, match="in rank 1: ValueError: no such share"):
        both(fails_in_one)
    assert both(lambda rank: rank) == [0, 1]


def test_a_process_that_waits_for_the_other_is_not_waited_for(both):
    def exchanges_alone(rank):
        if rank == 0:
            dist.all_reduce(torch.ones(1))

    with pytest.raises(RuntimeError, match="one process has finished, and the other one still"):
        both(exchanges_alone, limit=4)


def test_two_processes_that_are_only_slow_are_not_said_to_wait_for_each_other(both):
    def sleeps(_):
        time.sleep(5)

    with pytest.raises(RuntimeError, match=r"^no answer within 0\.5 seconds$"):
        both(sleeps, limit=0.5)


@pytest.mark.parametrize("result", [lambda: open, lambda: lambda: 0, lambda: torch.nn.ReLU()])
def test_a_result_that_could_run_something_does_not_come_back(both, result):
    with pytest.raises(RuntimeError, match="the result cannot"):
        both(lambda _: result())


def test_a_class_of_the_notebook_arrives_and_its_objects_do_not_come_back(both, notebook):
    layer = notebook["Quartered"](1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 8.0)
    assert layer.__class__.__module__ == "__main__"
    assert both(notebook["of_a_class"], layer) == [(1.0, 2.0, True), (1.25, 2.0, True)]
    with pytest.raises(RuntimeError, match=r"the result cannot be sent.*Halved"):
        both(notebook["gives_a_layer"])


def test_each_call_sends_a_function_as_it_is_then(both):
    space = {"__name__": "__main__"}
    for number in (1, 2):
        exec(f"def f(rank):\n    return g(rank)\ndef g(rank):\n    return {number}", space)
        assert both(space["f"]) == [number, number]


def test_what_cannot_be_sent_is_told(both):
    lock = threading.Lock()
    with pytest.raises(RuntimeError, match=r"this cannot be sent to another process.*lock"):
        both(lambda _: lock)


def test_both_end_with_the_object():
    processes = TwoProcesses()
    processes.start()
    started = list(processes._processes)
    del processes
    assert all(each.poll() is not None for each in started)
