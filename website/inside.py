"""The page on the tools that look inside an update, with a ledger that answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradwidgets import Ledger, Recipe
from website import markup
from website.labs import frame
from website.live import code_digest
from website.traces import save_trace

SETTINGS: dict[str, Any] = {
    "lr": 0.5,
    "options": {"momentum": 0.9},
    "scale": 0.5,
    "mask": 0.5,
    "l2": 0.01,
    "max_norm": 0.5,
    "updates": 60,
}
RECIPE = Recipe(**SETTINGS)
LEDGER = "inside-ledger.html"
TEXT = """# Look inside an update

A curve of the loss shows that something went wrong. These three tools show where.

## Ledger

Every gradient on its way to the parameter: what `backward()` added, what each edit made of it, and
how far the parameter moved in the end. Pull the slider to a later update: below the table stands
what each edit made of the change.

FRAME

In a notebook this is

```python
from gradwidgets import Ledger, Recipe

recipe = Recipe(
SETTINGS)
Ledger("moons", recipe)
```

## Stepper

The loop itself, one line at a time. Every line can be switched off, moved and repeated. It is in
the lessons [Autograd and .grad](01_autograd_and_grad.ipynb),
[Clearing gradients](02_clearing_gradients.ipynb) and
[The training loop](08_the_training_loop.ipynb).

## Meter

How far the gradient of several micro-batches is from that of the full batch, how large a batch
pays, and which lr a larger one takes. It is in the lesson
[Accumulation](06_accumulation.ipynb).
"""


def write(source: Path, site: Path, work: Path, pages: Mapping[str, str]) -> None:
    """Write the page, and put its ledger into the site.

    Args:
        source: the folder of all pages' sources.
        site: the folder of the site.
        work: where the ledger of an earlier build is, which is used again if nothing has changed.
        pages: the page of each notebook, by its name.
    """
    kept = work / f"{code_digest()}-{LEDGER}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.is_file():
        ledger = Ledger("moons", RECIPE)
        save_trace(ledger, kept)
        ledger.close()
    folder = site / "labs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LEDGER).write_bytes(kept.read_bytes())
    shown = frame("Ledger: moons", f"labs/{LEDGER}")
    text = markup.linked(TEXT, "inside", pages).replace("FRAME", shown)
    told = "".join(f"    {name}={value!r},\n" for name, value in SETTINGS.items())
    text = text.replace("SETTINGS", told)
    (source / "inside.md").write_text(text, encoding="utf-8")
