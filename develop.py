"""The commands of this project: `python develop.py test`, or `make test` where there is make.

They need Python alone: each makes the virtual environment that it works in, and installs there
what it needs. Environment variables change them, or words behind the command, VENV=.venv-mine:

  VENV          the virtual environment (.venv)
  CONSTRAINTS   what pip is told of versions (-c constraints.txt)
  PIP_ARGS      further words for pip: on Linux, --extra-index-url and the index that PyTorch's
                install page names for "CPU" take torch's smaller CPU build
  NOTEBOOKS     the notebooks that `execute` runs (all)
  SITE_ADDRESS, SITE_REPOSITORY, SITE_HUB   the public addresses of the site, of the repository on
                GitHub and of a JupyterHub; what is empty is left out of the site's pages
  SOAK_MINUTES, SWEEP_UPDATES, SWEEP_MODELS, LEARNERS   how long, and how many
  CLASSES       learners of the classes without browsers that `hub-large` holds
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent
SETTINGS = {  # and what they are if nobody says otherwise
    "VENV": ".venv",
    "CONSTRAINTS": "-c constraints.txt",
    "PIP_ARGS": "",
    "NOTEBOOKS": "",
    "SITE_ADDRESS": "",
    "SITE_REPOSITORY": "",
    "SITE_HUB": "",
    "SOAK_MINUTES": "30",
    "SWEEP_UPDATES": "60",
    "SWEEP_MODELS": "400",
    "LEARNERS": "8",
    "CLASSES": "4 8 20 120",
}
OLDEST = {"VENV": ".venv-oldest", "CONSTRAINTS": "-c constraints.txt -c constraints-oldest.txt"}
COLAB = {"VENV": ".venv-colab", "CONSTRAINTS": "-c constraints.txt -c constraints-colab.txt"}
NEWEST = {"VENV": ".venv-newest", "CONSTRAINTS": ""}
FRAMEWORKS = {"VENV": ".venv-frameworks", "CONSTRAINTS": ""}
RIVALS = {"VENV": ".venv-rivals"}
ENVIRONMENTS = [each["VENV"] for each in (SETTINGS, OLDEST, COLAB, NEWEST, FRAMEWORKS, RIVALS)]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
UNIT = tuple(f"--ignore=tests/{name}" for name in ("browser", "frameworks", "website"))

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
    """Run everything that CI runs: lint, types, unit, notebooks, pages."""
    for part in (lint, types, unit, notebooks, pages):
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
def pages() -> None:
    """Build a few pages of the site of each kind, and test them."""
    environment("dev")
    execute_in("site", "pytest", "tests/website", **ONE_THREAD)


@command
def site() -> None:
    """Build the site into build/site: SITE_ADDRESS and SITE_REPOSITORY say where it will be."""
    execute_in("site", "website", **ONE_THREAD)


@command
def test_site() -> None:
    """Build the whole site, and test all of its pages."""
    environment("dev")
    execute_in("site", "pytest", "tests/website", GRADWIDGETS_SITE="whole", **ONE_THREAD)


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
    """Run the browser tests of widgets, and what lessons install in Colab."""
    files = ("test_front_ends", "test_lab", "test_bar_tables", "test_predict", "test_stepper")
    execute_in("dev", "pytest", "-n", "2", *(f"tests/browser/{name}.py" for name in files))
    execute_in("dev", "pytest", "tests/lessons/test_install_cell.py")


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
    execute_in("site", "benchmarks.site", **ONE_THREAD)


@command
def hub() -> None:
    """Hold classes on a JupyterHub on this machine: its proxy needs node and npm."""
    with_proxy()
    execute_in("dev", "benchmarks.classroom", setting("LEARNERS"))
    hub_large()


@command
def hub_large() -> None:
    """Of hub the large classes, without browsers; says what machine 30, 120 and 500 need."""
    with_proxy()
    execute_in("dev", "benchmarks.classroom.large", *shlex.split(setting("CLASSES")))


@command
def test_hub() -> None:
    """Try a class of three on a real JupyterHub: who may see what."""
    with_proxy()
    execute_in("dev", "pytest", "tests/hub", **ONE_THREAD)


def with_proxy() -> None:
    """Install a JupyterHub and its proxy."""
    environment("hub")
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is not installed; the hub's proxy needs it")
    quiet = ("--silent", "--no-audit", "--no-fund", "--prefix", str(ROOT / setting("VENV") / "npm"))
    subprocess.run([npm, "install", *quiet, "configurable-http-proxy@5"], check=True)


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
def homework_unlock() -> None:
    """Open the locked homework in homework-open, to be changed."""
    execute_in("dev", "tests.homework.opened", "unlock")


@command
def homework_lock() -> None:
    """Lock the homework of homework-open again, and write what students get of it."""
    execute_in("dev", "tests.homework.opened", "lock")


@command
def translations() -> None:
    """Take new texts of homework and feedback into the catalogs, and compile them."""
    execute_in("dev", "tests.homework.catalogs")


STUDENTS = ("LICENSE", "README.md", "constraints.txt", "environment.yml", "postBuild")
STUDENTS += ("pyproject.toml", "hub/", "gradwidgets", "notebooks/")
"""How the names of the files begin that the branch `course` holds."""
NOT_STUDENTS = ("notebooks/homework/solutions.locked",)


@command
def course_branch() -> None:
    """Write the branch `course` from the last commit: what a hub hands out and Binder builds.

    It holds neither tests nor locked solutions, and of this branch's history nothing. The folder
    that you work in stays as it is.
    """
    lines = git("ls-tree", "-r", "--full-tree", "HEAD").splitlines()
    names = {line: line.split("\t")[1] for line in lines}
    kept = [line for line, name in names.items() if name.startswith(STUDENTS)]
    kept = [line for line in kept if names[line] not in NOT_STUDENTS]
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("update-index", "--index-info", given="\n".join(kept) + "\n", **index)
        tree = git("write-tree", **index)
    before = git("for-each-ref", "--format=%(objectname)", "refs/heads/course")
    if before and git("rev-parse", f"{before}^{{tree}}") == tree:
        print("course is as it was")
        return
    message = f"The students' files of {git('rev-parse', '--short', 'HEAD')}"
    parents = ["-p", before] if before else []  # so that nbgitpuller can follow
    commit = git("commit-tree", tree, *parents, "-m", message)
    git("update-ref", "refs/heads/course", commit)
    print(f"course: {len(kept)} files")


def git(*words: str, given: str = "", **env: str) -> str:
    """The answer of a command of git."""
    run = subprocess.run(
        ["git", *words],
        cwd=ROOT,
        env={**os.environ, **env},
        input=given.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return run.stdout.decode().strip()


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
