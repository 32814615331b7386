"""`python -m gradwidgets.checkup script.py`: a script's own run, and what is wrong with it."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from gradwidgets.checkup import Report
from gradwidgets.checkup.__main__ import main
from gradwidgets.checkup.script_watch import ScriptWatch
from tests.checkup.loops import mlp, regression
from tests.checkup.test_contract import _everything_wrapped

SCRIPT = """
import sys
import torch
from beside import STEPS

def train(end):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(STEPS):
        loss = model(torch.randn(4, 3)).square().mean()
        loss.backward()
        optimizer.step()
    print(__name__, sys.argv[1:], float(loss))
    if end == "raise":
        raise KeyError("the script's own")
    sys.exit(int(end))

if __name__ == "__main__":
    train(sys.argv[1])
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "beside.py").write_text("STEPS = 3", encoding="utf-8")
    return tmp_path / "train.py"


def test_a_script_runs_as_ever_and_the_report_comes_on_stderr(script: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "gradwidgets.checkup", str(script), "raise", "--json", "x"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert found.stdout.startswith("__main__ ['raise', '--json', 'x'] ")
    assert "checkup: not-cleared (3 steps watched)\nerror not-cleared [" in found.stderr
    assert found.stderr.endswith('KeyError: "the script\'s own"\n')


def test_the_exit_code_is_the_scripts_and_files_are_written(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    written = script.with_name("found.json"), script.with_name("found.sarif")
    with pytest.raises(SystemExit) as stopped:
        main(["--json", str(written[0]), "--sarif", str(written[1]), str(script), "3"])
    assert stopped.value.code == 3
    watched = capsys.readouterr()
    assert watched.err.startswith("checkup: not-cleared (3 steps watched)\n")
    (document,), log = (json.loads(path.read_text(encoding="utf-8")) for path in written)
    assert document["findings"][0]["code"] == "not-cleared"
    assert log["runs"][0]["results"][0]["ruleId"] == "not-cleared"
    monkeypatch.setattr(sys, "argv", ["pytest", "3"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out == watched.out, "the same losses as unwatched"


TWO = """
import torch

for lr in (0.0, 0.1):
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
"""


def test_every_report_is_written_and_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    script, *written = (tmp_path / name for name in ("two.py", "found.json", "found.sarif"))
    script.write_text(TWO, encoding="utf-8")
    main(["--json", str(written[0]), "--sarif", str(written[1]), str(script)])
    told = capsys.readouterr().err
    assert told.startswith("report 1 of 2, up to another model's optimizer:\ncheckup: zero-lr (2 ")
    assert "report 2 of 2, to the end:\ncheckup: nothing wrong seen (2 steps watched)" in told
    documents, log = (json.loads(path.read_text(encoding="utf-8")) for path in written)
    assert [document["steps"] for document in documents] == [2, 2]
    assert [{one["ruleId"] for one in run["results"]} for run in log["runs"]] == [
        {one["code"] for one in document["findings"]} for document in documents
    ]
    assert len({run["automationDetails"]["id"] for run in log["runs"]}) == 2


@pytest.mark.parametrize("rank", ["0", "1"])
def test_of_several_processes_each_writes_a_file_of_its_own(
    rank: str, script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit):
        main(["--json", str(script.with_name("found.json")), str(script), "0"])
    assert capsys.readouterr().err.startswith(f"rank {rank}, report 1 of 1, to the end:\n")
    assert [file.name for file in script.parent.glob("*.json")] == [f"found.rank{rank}.json"]


def test_a_file_that_cannot_be_written_does_not_end_the_script(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as stopped:
        main(["--json", str(script.parent), str(script), "3"])
    assert stopped.value.code == 3
    assert "checkup: the report was not written: " in capsys.readouterr().err


def test_a_report_is_written_where_the_user_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    script = tmp_path / "moves.py"
    script.write_text(f"import os\nos.chdir('below')\n{TWO}", encoding="utf-8")
    main(["--json", "found.json", str(script)])
    assert [path.name for path in tmp_path.rglob("*.json")] == ["found.json"]
    assert (tmp_path / "found.json").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["none.py"], "there is no file none.py"),
        (["--max-steps", "0", __file__], "--max-steps must be at least 1, not 0"),
        (["--sarif", "none/x", __file__], f"no folder {Path.cwd() / 'none'} to write none/x to"),
    ],
)
def test_wrong_arguments_are_named(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(given)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def watched(train: object) -> list[Report]:
    before = _everything_wrapped(), optim.Optimizer.__init__
    watch = ScriptWatch()
    with watch.watching():
        train()  # type: ignore[operator]
    assert (_everything_wrapped(), optim.Optimizer.__init__) == before
    return watch.reports


def test_two_models_that_train_each_other_are_watched_together() -> None:
    def train() -> None:
        generator, critic = nn.Linear(2, 2), nn.Linear(2, 1)
        first = optim.Adam(generator.parameters(), 1e-3)
        second = optim.Adam(critic.parameters(), 1e-3)
        for _ in range(3):
            drawn, real = generator(torch.randn(8, 2)), torch.randn(8, 2)
            second.zero_grad()
            F.softplus(critic(drawn.detach()) - critic(real)).mean().backward()
            second.step()
            first.zero_grad()
            F.softplus(-critic(drawn)).mean().backward()
            first.step()

    (report,) = watched(train)
    assert report.steps == 6
    assert report.codes == set(), str(report)


def test_the_outermost_module_is_watched() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()
            self.forgotten = nn.Linear(1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.forgotten(self.inner(x))  # type: ignore[no-any-return]

    def train() -> None:
        model, (x, y) = Whole(), regression()
        optimizer = optim.SGD(model.inner.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    (report,) = watched(train)
    assert report.codes == {"not-in-optimizer"}
    assert report.findings[0].parameters == ("forgotten.weight", "forgotten.bias")


def test_tensors_of_no_module_are_not_watched_and_an_error_is_the_scripts_own() -> None:
    def train() -> None:
        optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
        raise ZeroDivisionError("own")

    watch = ScriptWatch()
    with pytest.raises(ZeroDivisionError, match="own"), watch.watching():
        train()
    assert watch.reports == []
