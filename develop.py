"""The commands of this project: `python develop.py test`, or `make test` where there is make.

They need Python alone: each makes the virtual environment that it works in, and installs there
what it needs. Environment variables change them, or words behind the command, VENV=.venv-mine:

  VENV          the virtual environment (.venv)
  CONSTRAINTS   what pip is told of versions (-c constraints.txt)
  PIP_ARGS      further words for pip: on Linux, --extra-index-url and the index that PyTorch's
                install page names for "CPU" take torch's smaller CPU build
  NOTEBOOKS     the notebooks that `execute` runs (all)
  SOAK_MINUTES, SWEEP_UPDATES, SWEEP_MODELS, LEARNERS   how long, and how many
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent
SETTINGS = {  # and what they are if nobody says otherwise
    "VENV": ".venv",
    "CONSTRAINTS": "-c constraints.txt",
    "PIP_ARGS": "",
    "NOTEBOOKS": "",
    "SOAK_MINUTES": "30",
    "SWEEP_UPDATES": "60",
    "SWEEP_MODELS": "400",
    "LEARNERS": "8",
}
OLDEST = {"VENV": ".venv-oldest", "CONSTRAINTS": "-c constraints.txt -c constraints-oldest.txt"}
COLAB = {"VENV": ".venv-colab", "CONSTRAINTS": "-c constraints.txt -c constraints-colab.txt"}
NEWEST = {"VENV": ".venv-newest", "CONSTRAINTS": ""}
FRAMEWORKS = {"VENV": ".venv-frameworks", "CONSTRAINTS": ""}
RIVALS = {"VENV": ".venv-rivals"}
ENVIRONMENTS = [each["VENV"] for each in (SETTINGS, OLDEST, COLAB, NEWEST, FRAMEWORKS, RIVALS)]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
UNIT = ("--ignore=tests/browser", "--ignore=tests/frameworks")

COMMANDS: dict[str, Callable[[], None]] = {}


def command(function: Callable[[], None]) -> Callable[[], None]:
    """List a function among the commands, by its name with - for _."""
    COMMANDS[function.__name__.replace("_", "-")] = function
    return function


def setting(name: str) -> str:
    """The value of an environment variable that changes the commands."""
    return os.environ.get(name, SETTINGS[name])


def execute_in(extra: str, *words: str, folder: str = "", **env: str) -> None:
    """Run a module of the virtual environment, with what an extra of pyproject.toml installs."""
    python = environment(extra)
    print("python -m", *words, flush=True)
    subprocess.run([python, "-m", *words], cwd=ROOT / folder, env={**os.environ, **env}, check=True)


def environment(extra: str) -> Path:
    """The Python of the virtual environment; made, and the extra installed, if need be."""
    home = ROOT / setting("VENV")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / f".{extra}"
    asked = [ROOT / "pyproject.toml", *ROOT.glob("constraints*.txt")]
    if stamp.exists() and all(stamp.stat().st_mtime >= file.stat().st_mtime for file in asked):
        return python
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
    words = [*shlex.split(setting("PIP_ARGS")), *shlex.split(setting("CONSTRAINTS"))]
    install = ["-m", "pip", "install", "--quiet", *words, "-e", f".[{extra}]"]
    subprocess.run([python, *install], cwd=ROOT, check=True)
    stamp.touch()
    return python


def within(settings: dict[str, str], *functions: Callable[[], None]) -> None:
    """Commands with other settings."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        for function in functions:
            function()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@command
def lab() -> None:
    """Open JupyterLab at the first notebook."""
    execute_in("lab", "jupyterlab", "notebooks/00_start_here.ipynb")


@command
def lectures() -> None:
    """Show the lectures as an app; its template asks no other machine for anything."""
    folder = "notebooks/lectures"
    execute_in("lecture", "voila", folder=folder, JUPYTER_PATH=str(ROOT / folder))


@command
def test() -> None:
    """Run everything that CI runs: lint, types, unit, notebooks."""
    for part in (lint, types, unit, notebooks):
        part()


@command
def lint() -> None:
    """Check code and format with ruff."""
    execute_in("dev", "ruff", "check", ".")
    execute_in("dev", "ruff", "format", "--check", ".")


@command
def types() -> None:
    """Check types with mypy."""
    execute_in("dev", "mypy")


@command
def unit() -> None:
    """Run the tests, two side by side: in a browser with kernels of their own, or on one thread."""
    execute_in("dev", "pytest", "-n", "2", "tests/browser")
    execute_in("dev", "pytest", "-n", "2", *UNIT, **ONE_THREAD)


@command
def notebooks() -> None:
    """Run the notebooks, and compare their outputs with the references."""
    words = "-n 2 --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout=60"
    sanitize = ("--nbval-sanitize-with", "tests/sanitize.cfg")
    execute_in("dev", "pytest", *words.split(), *sanitize, "notebooks/", **ONE_THREAD)


@command
def test_oldest() -> None:
    """Run the tests on the oldest versions that pyproject.toml admits.

    Of torch these take the version that prints the lessons' numbers.
    """
    within(OLDEST, unit, notebooks)


@command
def test_oldest_drawing() -> None:
    """Of test-oldest the parts that use most of other libraries, in a few minutes."""
    within(OLDEST, drawing)


@command
def drawing() -> None:
    """Run the tests of plots, pages and widgets."""
    folders = ("tests/plots", "tests/export", "tests/components", "tests/lab")
    views = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/*/test_view.py"))
    files = (*views, "tests/test_warnings.py")
    execute_in("dev", "pytest", "-n", "2", *folders, *files, **ONE_THREAD)


@command
def test_colab() -> None:
    """Run the tests of widgets, in JupyterLab too, on the versions of libraries that Colab has."""
    within(COLAB, drawing, widgets_in_lab)


@command
def widgets_in_lab() -> None:
    """Run the browser tests of widgets."""
    files = ("test_lab", "test_bar_tables", "test_predict", "test_stepper")
    execute_in("dev", "pytest", "-n", "2", *(f"tests/browser/{name}.py" for name in files))


@command
def test_newest() -> None:
    """Run everything on the newest versions of all libraries."""
    within(NEWEST, test)


@command
def test_float64() -> None:
    """Run the tests where a user has set torch's default dtype."""
    execute_in("dev", "pytest", "-n", "2", *UNIT, GRADWIDGETS_DTYPE="float64", **ONE_THREAD)


@command
def frameworks() -> None:
    """Watch short trainings of fifteen frameworks with checkup, in a venv of its own of some GB.

    Each training is compared with the same without checkup. A framework that is not installed is
    skipped.
    """
    within(FRAMEWORKS, trainings)


@command
def trainings() -> None:
    """The tests of `frameworks`, in the present venv."""
    execute_in("frameworks", "pytest", "-n", "2", "tests/frameworks", **ONE_THREAD)


@command
def scorecard() -> None:
    """Ask checkup and its rivals about every loop, and write SCORECARD.md: a quarter of an hour."""
    within(RIVALS, score)


@command
def score() -> None:
    """The same as `scorecard`, in the present venv."""
    execute_in("rivals", "tests.checkup.scorecard", **ONE_THREAD)


@command
def codes() -> None:
    """Write CODES.md, after a change in checkup's rules, limits or loops."""
    execute_in("dev", "tests.checkup.codes")


@command
def soak() -> None:
    """Try what the tests try a sample of: at random, and for SOAK_MINUTES in a browser."""
    env = {"GRADWIDGETS_SOAK": "yes", "GRADWIDGETS_SOAK_MINUTES": setting("SOAK_MINUTES")}
    files = ("test_faults", "test_prepared", "test_soak")
    paths = [f"tests/browser/{name}.py" for name in files]
    execute_in("dev", "pytest", "-n", "2", "tests/trust", **env, **ONE_THREAD)
    execute_in("dev", "pytest", "-s", *paths, **env)


@command
def sweeps() -> None:
    """Compare every stop of every slider with a run alone, to the last bit: half an hour.

    All stops of eight settings on every built-in problem with five optimizers, on processors
    without AVX2 and without AVX-512; before them, some hundreds of random models.
    """
    execute_in("dev", "tests.sweep.random_models", setting("SWEEP_MODELS"), **ONE_THREAD)
    for capability in ("default", "avx2"):
        env = {"ATEN_CPU_CAPABILITY": capability, **ONE_THREAD}
        execute_in("dev", "tests.sweep.grid", setting("SWEEP_UPDATES"), **env)


@command
def seeds() -> None:
    """Run every experiment of the lessons with ten other seeds: about 10 minutes."""
    execute_in("dev", "tests.lessons.seeds", GRADWIDGETS_PROGRESS="", **ONE_THREAD)


@command
def bench() -> None:
    """Write BENCHMARKS.md: tables of speed ratios, measured side by side."""
    environment("bench")
    execute_in("dev", "benchmarks")
    execute_in("dev", "benchmarks.kernel")
    execute_in("dev", "pytest", "-p", "front_ends.fixtures", "-s", "benchmarks/latency.py")


@command
def hub() -> None:
    """Hold a class on a JupyterHub on this machine: its proxy needs node and npm."""
    environment("hub")
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is not installed; the hub's proxy needs it")
    quiet = ("--silent", "--no-audit", "--no-fund", "--prefix", str(ROOT / setting("VENV") / "npm"))
    subprocess.run([npm, "install", *quiet, "configurable-http-proxy@5"], check=True)
    execute_in("dev", "benchmarks.classroom", setting("LEARNERS"))


@command
def execute() -> None:
    """Run the notebooks, or those of NOTEBOOKS, and keep their outputs as references.

    `notebooks` compares with them. The notebooks themselves carry no outputs.
    """
    names = shlex.split(setting("NOTEBOOKS"))
    execute_in("dev", "tests.lessons.references", *names, **ONE_THREAD)


@command
def fact_check() -> None:
    """Write the table of lesson 11, after a change in claims.json or in a lesson's cells."""
    execute_in("dev", "gradwidgets.lessons.claims", "notebooks")


@command
def clean() -> None:
    """Remove the virtual environments and caches."""
    caches = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
    for name in (*caches, *ENVIRONMENTS):
        shutil.rmtree(ROOT / name, ignore_errors=True)


def main(words: list[str]) -> int:
    """Do the commands that are named, with the settings that are given."""
    for word in words:
        name, given, value = word.partition("=")
        if given and name not in SETTINGS:
            sys.exit(f"{word}: there is no setting {name}; there are {', '.join(SETTINGS)}")
        if given:
            os.environ[name] = value
    names = [word for word in words if "=" not in word]
    if not names or any(name not in COMMANDS for name in names):
        print(__doc__)
        for name, function in COMMANDS.items():
            print(f"{name:20}{(function.__doc__ or '').splitlines()[0]}")
        return int(bool(set(names) - {"help", "-h", "--help"}))
    try:
        for name in names:
            COMMANDS[name]()
    except subprocess.CalledProcessError as ended:
        return ended.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
