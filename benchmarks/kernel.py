"""`python -m benchmarks.kernel`: how soon a kernel with a lab answers, into BENCHMARKS.md.

The next cell, `1+1`, is run in a kernel of its own while a lab of a large model trains what was
asked for, and while it looks ahead.
"""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from benchmarks import page

CELLS = 20
MODELS = """
import torch
from torch import nn
from gradwidgets import GradLab, Problem, Recipe
class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 184, dropout=0.0, batch_first=True)
        self.embed, self.encode = nn.Embedding(96, 64), nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(64, 10)
    def forward(self, x):
        return self.out(self.encode(self.embed(x)).mean(1))
def mlp():
    hidden = [nn.Linear(784, 1800), nn.ReLU(), nn.Linear(1800, 1800), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(1800, 10))
words = torch.arange(4096).view(256, 16) * 7 % 96
pixels, y = torch.randn(256, 784), torch.arange(256) % 10
"""
BUILT_IN = "from gradwidgets import GradLab, problems\nproblem = problems.{}"
PROBLEM = (
    "problem = Problem('own', {}, ({}, y), nn.functional.cross_entropy, recipe=Recipe(updates=60))"
)
CASES = {
    "an MLP of 4.7 million parameters": MODELS + PROBLEM.format("mlp", "pixels"),
    "a transformer of 88,000": MODELS + PROBLEM.format("Transformer", "words"),
    "digits_cnn": BUILT_IN.format("digits_cnn"),
    "moons": BUILT_IN.format("moons"),
}
READ = "int(open('/proc/self/statm').read().split()[1]) * 4096 / 1e6"
MEMORY = f"print({READ})"
KNOWN = "print(sum(bar is not None for bar in lab.controls['scale'].bars))"
LOOK = f"most = max(most, {READ})\n1+1"


class Client:
    """A kernel of its own, asked cell by cell."""

    def __init__(self) -> None:
        self._manager, client = start_new_kernel()
        assert isinstance(client, BlockingKernelClient)
        self._client = client

    def run(self, code: str) -> str:
        """What a cell prints."""
        said: list[str] = []

        def hear(message: dict[str, dict[str, str]]) -> None:
            said.append(message["content"].get("text", ""))

        reply = self._client.execute_interactive(code, output_hook=hear, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(said)

    def seconds(self, code: str) -> float:
        """How long a cell takes to be answered."""
        begun = time.perf_counter()
        self.run(code)
        return time.perf_counter() - begun

    def close(self) -> None:
        """End the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


class Waits(NamedTuple):
    """Seconds for which `1+1` waits, cell by cell."""

    times: list[float]

    def __str__(self) -> str:
        """Median and slowest, in milliseconds."""
        return f"{1e3 * statistics.median(self.times):.0f} | {1e3 * max(self.times):.0f}"


def waits(client: Client, enough: str, pause: float = 0.05) -> Waits:
    """Ask for `1+1` until there are enough answers, or the kernel prints that it is `enough`."""
    times: list[float] = []
    for _ in range(CELLS):
        times.append(client.seconds(LOOK))
        if enough and client.run(f"print({enough})").strip() == "True":
            break
        time.sleep(pause)
    return Waits(times)


def figures(setup: str) -> str:
    """The cells of one model's line."""
    client = Client()
    try:
        client.run(setup)
        client.run("GradLab('moons', look_ahead=False)")  # what is loaded late is not the model's
        shown = client.seconds("lab = GradLab(problem)")
        client.run("lab.wait(); most = 0.0; lab.controls['scale'].value = 2.0")
        training = waits(client, "lab.settled")
        client.run("lab.wait()")
        client.run("lab.controls['scale'].value = 0.5; lab.run(); most = 0.0")
        before = float(client.run(MEMORY))
        time.sleep(0.3)
        ahead = waits(client, "", pause=0.3)
        grown = float(client.run("print(most)")) - before
        known = int(client.run(KNOWN))
        cancelled = cancel(client)
    finally:
        client.close()
    answers = f"{1e3 * shown:.0f} | {training} | {ahead}"
    return f"{answers} | {known} | {grown:.0f} | {1e3 * cancelled:.0f}"


def cancel(client: Client) -> float:
    """Seconds from the call of `cancel` in a cell until the lab is settled."""
    client.run("lab.recipe = lab.recipe.replace(updates=1_000_000, scale=0.7)")
    time.sleep(0.5)
    begun = time.perf_counter()
    client.run("lab.cancel()")
    while client.run("print(lab.settled)").strip() != "True":
        pass
    return time.perf_counter() - begun


HEAD = [
    "`1+1` in the next cell, in milliseconds: while a run that was asked for trains, and while the"
    " lab looks ahead after it. Before these, the first picture; after them, how many of the"
    " slider's stops are known by then, by how much resident memory grew meanwhile, and how long"
    " Cancel takes, of a run of a million updates.",
    "",
    "| a lab on | first picture (ms) | training: median | slowest | looking ahead: median"
    " | slowest | stops | memory (MB) | Cancel (ms) |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
]


def main() -> None:
    """Measure and print line by line."""
    lines = list(HEAD)
    print(*HEAD, sep="\n", flush=True)
    for name, setup in CASES.items():
        lines.append(f"| {name} | {figures(setup)} |")
        print(lines[-1], flush=True)
    page.put("A kernel that stays free", lines)


if __name__ == "__main__":
    main()
