"""What a lesson says of a notebook, in the words that are right on a page that runs no Python."""

from __future__ import annotations

import re
from collections.abc import Mapping

Place = tuple[str, str]
"""A notebook's name, and the id of a cell."""

ON_THE_PAGE: Mapping[Place, Mapping[str, str]] = {
    ("00_start_here", "title"): {
        "Click into the next cell and press **Shift+Enter** to run it.": (
            "These lines make the lab that stands below them."
        )
    },
    ("00_start_here", "first-drag"): {
        "Each time you move it, a small PyTorch model learns from scratch.": (
            "At each of its places a small PyTorch model has learned from scratch."
        ),
        "Only then does the experiment run.": "Only then do you see what the experiment gave.",
        "Your answers and solved exercises are kept in `progress.json` beside the notebooks; "
        "delete it to begin again. The next cell shows how far you have come.": (
            "Your answers are kept in this browser. Those that you give in the notebooks are kept "
            "in `progress.json` beside them, with the exercises that you solved; there the next "
            "cell shows how far you have come."
        ),
    },
    ("00_start_here", "panels"): {
        "under the slider in your hand": "above each slider",
        "A crossed orange bar": "A hatched orange bar",
        "**10 seeds** shows": "*The run in numbers* and *The run as a plain PyTorch program* stand "
        "below. The lab of the notebook has more buttons: **10 seeds** shows",
        "**Code** shows the lab as a plain PyTorch program. **Share** gives": (
            "**Code** shows the program, and **Share** gives"
        ),
    },
    ("00_start_here", "explain-flat"): {
        "is the program behind **Code**. Run it, and you get": (
            "is the program that stands below the lab, too. Run it, and you get"
        )
    },
    ("00_start_here", "explain-script"): {
        "Move *scale* in the lab and run the cell again: two lines are added,": (
            "Move *scale* in the lab and look at its program: two lines are added,"
        )
    },
    ("06_accumulation", "explain-ragged"): {
        "Type your own *sizes*.": "In the notebook you can type your own *sizes*."
    },
    ("11_fact_check", "title"): {
        "Type a whole word, such as *clip*, *Adam* or *BatchNorm*, or choose a verdict. A row's "
        "button runs its experiment and shows what it says below the row. The number at the end of "
        "a row leads to the lesson.": (
            'Here <a href="../fact_check.html">a page of its own</a> searches all sentences by '
            "words and verdict, and shows the experiment of each. In the notebook the next cell "
            "does that, and a button in each row runs the experiment."
        )
    },
}
"""By the cell: a notebook's words, whose lines may be broken anywhere, and the page's."""


def on_the_page(text: str, place: Place) -> str:
    """A cell's Markdown as the page has it.

    Raises:
        ValueError: the cell no longer says what is to be said in other words.
    """
    for words, others in ON_THE_PAGE.get(place, {}).items():
        parts = re.split(r"\s+".join(map(re.escape, words.split())), text)
        text = others.join(parts)
        if (count := len(parts) - 1) != 1:
            raise ValueError(f"{place} says {count} times, not once: {words}")
    return text
