"""Answer a judge: run cells, play questions, until the judge closes the stream.

Run as a folder, with its limits as JSON: `python -I path/to/gradwidgets_worker '{"memory": ...}'`.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # run as a folder: the package is beside it

import torch  # noqa: E402

from gradwidgets_worker import Data, Notebook, play, read_frame, write_frame  # noqa: E402
from gradwidgets_worker.cells import stand_in_for_grading  # noqa: E402
from gradwidgets_worker.late_compiler import install  # noqa: E402
from gradwidgets_worker.limits import closed_streams, limit  # noqa: E402


def main() -> None:
    """Take messages until there are no more."""
    limit(**json.loads(sys.argv[1]))
    questions, answers = closed_streams()
    stand_in_for_grading()
    warm_up()
    notebook = Notebook()
    sys.modules["__main__"] = notebook.module
    sys.argv[:] = [""]
    sys.path.insert(0, os.getcwd())
    with open(questions, "rb") as incoming, open(answers, "wb") as outgoing:
        write_frame(outgoing, {"ready": True})
        while True:
            try:
                message = read_frame(incoming)
            except EOFError:
                return
            write_frame(outgoing, {"id": message["id"], **answered(message, notebook)})


def answered(message: Data, notebook: Notebook) -> Data:
    """The answer to one message of the judge."""
    if "files" in message:
        for name, content in message["files"].items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(base64.b64decode(content))
        return {}
    if "run" in message:
        return notebook.run(message["run"])
    function = notebook.callable(message["function"])
    return {"missing": True} if function is None else play(message["question"], function)


def warm_up() -> None:
    """Load what PyTorch loads at the first step, before anybody looks at the clock."""
    install()
    parameter = torch.nn.Parameter(torch.zeros(1))
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        optimizer = kind([parameter], lr=0.0)
        parameter.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()


main()
