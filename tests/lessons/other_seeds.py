"""Every seed shifted, here and in the two processes of lesson 12."""

from contextlib import contextmanager
from unittest.mock import patch

import torch

from gradwidgets.core import isolation
from gradwidgets.course.two_processes import TwoProcesses


@contextmanager
def other_seeds(shift):
    """Add `shift` to every seed that is given to torch or to a run of `train` inside."""
    seed_torch, seed_run, both = torch.manual_seed, isolation._seed, TwoProcesses.__call__

    class Generator(torch.Generator):
        def manual_seed(self, seed):
            return super().manual_seed(seed + shift)

    with (
        torch.random.fork_rng(devices=[]),
        patch.object(torch, "manual_seed", lambda seed: seed_torch(seed + shift)),
        patch.object(torch, "Generator", Generator),
        patch.object(isolation, "_seed", lambda seed: seed_run(seed + shift)),
        patch.object(
            TwoProcesses,
            "__call__",
            lambda self, *sent, **limits: both(self, shifted, shift, *sent, **limits),
        ),
    ):
        seed_torch(shift)  # for what draws without a seed
        yield


def shifted(rank, shift, function, *arguments):
    """Call a function in a process of its own, whose seeds are shifted as well."""
    with other_seeds(shift):
        return function(rank, *arguments)
