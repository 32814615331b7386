# One command each, on a machine that has only python3 and make.
#   make lab     open JupyterLab at the first notebook
#   make lectures  show the lectures as an app
#   make test    everything that CI runs; test-oldest, test-newest: on other versions of libraries
#   make test-colab  the widgets on Colab's versions of libraries
#   make soak    half an hour and more of the same at random, SOAK_MINUTES=30
#   make sweeps  every stop of every slider: sweeps against runs alone, to the last bit
#   make seeds   every experiment of the course with ten other seeds
#   make scorecard  checkup and its rivals on the collection of broken and healthy loops
#   make codes   the table of checkup's codes
#   make frameworks  trainings of other people's frameworks, watched by checkup
#   make bench   a table of speed ratios, measured side by side
#   make hub     a class on a JupyterHub: what it waits for, and what each learner costs
# PIP_ARGS is passed to pip; with it an ordinary Linux machine can take torch's smaller CPU
# build: set it to the --extra-index-url that PyTorch's install page names for "CPU".

PYTHON ?= python3
PIP_ARGS ?=
CONSTRAINTS ?= -c constraints.txt
VENV := .venv
BIN := $(VENV)/bin

.PHONY: lab lectures test soak sweeps seeds test-oldest test-oldest-drawing drawing test-colab widgets-in-lab test-newest test-float64 frameworks trainings scorecard score codes lint types unit notebooks bench hub execute fact-check clean

$(VENV)/.lab $(VENV)/.lecture $(VENV)/.dev $(VENV)/.bench $(VENV)/.hub $(VENV)/.frameworks $(VENV)/.rivals: $(VENV)/.%: pyproject.toml $(wildcard constraints*.txt)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(PIP_ARGS) $(CONSTRAINTS) -e '.[$*]'
	touch $@

lab: $(VENV)/.lab
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

# The lectures as an app; its template asks no other machine for anything.
lectures: $(VENV)/.lecture
	cd notebooks/lectures && JUPYTER_PATH=$(CURDIR)/notebooks/lectures ../../$(BIN)/voila

test: lint types unit notebooks

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# Two tests side by side: each in a browser with kernels of its own, or on one thread.
unit: $(VENV)/.dev
	$(BIN)/pytest -n 2 tests/browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --ignore=tests/browser --ignore=tests/frameworks

notebooks: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --nbval --nbval-current-env \
		--nbval-cell-timeout=60 --nbval-sanitize-with tests/sanitize.cfg notebooks/

# The tests on the oldest versions that pyproject.toml admits, and on the newest there are. Of torch
# the oldest takes the version that prints the lessons' numbers.
OLDEST := VENV=.venv-oldest CONSTRAINTS='-c constraints.txt -c constraints-oldest.txt'
test-oldest:
	$(MAKE) unit notebooks $(OLDEST)

# Of these the parts that use most of other libraries, in a few minutes. CI has no time for them.
test-oldest-drawing:
	$(MAKE) drawing $(OLDEST)

drawing: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 tests/plots tests/export tests/components tests/lab \
		tests/*/test_view.py tests/test_warnings.py

test-newest:
	$(MAKE) test VENV=.venv-newest CONSTRAINTS=

# The widgets with the versions of libraries that Colab has, in JupyterLab.
COLAB := VENV=.venv-colab CONSTRAINTS='-c constraints.txt -c constraints-colab.txt'
test-colab:
	$(MAKE) drawing widgets-in-lab $(COLAB)

widgets-in-lab: $(VENV)/.dev
	$(BIN)/pytest -n 2 tests/browser/test_lab.py tests/browser/test_bar_tables.py \
		tests/browser/test_predict.py tests/browser/test_stepper.py

# The tests where a user has set torch's default dtype.
test-float64: $(VENV)/.dev
	GRADWIDGETS_DTYPE=float64 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --ignore=tests/browser \
		--ignore=tests/frameworks

# Short trainings of fifteen frameworks, with checkup and without; on the newest of each, in a venv
# of its own of some GB. A framework that is not installed is skipped.
frameworks:
	$(MAKE) trainings VENV=.venv-frameworks CONSTRAINTS=

trainings: $(VENV)/.frameworks
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 tests/frameworks

# Every loop of the collection by checkup and by the tools that do the same, in a venv with these:
# about a quarter of an hour.
scorecard:
	$(MAKE) score VENV=.venv-rivals

score: $(VENV)/.rivals
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.checkup.scorecard

# Write CODES.md again, after a change in checkup's rules, limits or loops.
codes: $(VENV)/.dev
	$(BIN)/python -m tests.checkup.codes

# All that `make test` tries a sample of: new random recipes, actions and texts, cells run fifty
# times, and half an hour of dragging in a browser.
SOAK_MINUTES ?= 30
soak: $(VENV)/.dev
	GRADWIDGETS_SOAK=yes OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 tests/trust
	GRADWIDGETS_SOAK=yes GRADWIDGETS_SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/pytest -s \
		tests/browser/test_faults.py tests/browser/test_prepared.py tests/browser/test_soak.py

# All stops of eight settings on every built-in problem with five optimizers, on processors without
# AVX2 and without AVX-512: about 15 minutes for each. Before them, some hundreds of random models.
SWEEP_UPDATES ?= 60
SWEEP_MODELS ?= 400
sweeps: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.sweep.random_models $(SWEEP_MODELS)
	ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 $(BIN)/python -m tests.sweep.grid $(SWEEP_UPDATES)
	ATEN_CPU_CAPABILITY=avx2 OMP_NUM_THREADS=1 $(BIN)/python -m tests.sweep.grid $(SWEEP_UPDATES)

# Every experiment of the lessons as it stands and with ten other seeds: about 10 minutes.
seeds: $(VENV)/.dev
	GRADWIDGETS_PROGRESS= OMP_NUM_THREADS=1 $(BIN)/python -m tests.lessons.seeds

bench: $(VENV)/.bench $(VENV)/.dev
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.kernel
	$(BIN)/python -m pytest -p front_ends.fixtures -s benchmarks/latency.py

# A JupyterHub on loopback needs its proxy, and that needs node and npm.
LEARNERS ?= 8
hub: $(VENV)/.hub $(VENV)/.dev
	npm install --silent --no-audit --no-fund --prefix $(VENV)/npm configurable-http-proxy@5
	$(BIN)/python -m benchmarks.classroom $(LEARNERS)

# Run the notebooks, or those of NOTEBOOKS, and keep their outputs in tests/lessons/references: the
# references that `make notebooks` compares with. The notebooks themselves carry no outputs.
NOTEBOOKS ?=
execute: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.lessons.references $(NOTEBOOKS)

# Write the table of the fact check again, after a change in claims.json or in a lesson's cells.
fact-check: $(VENV)/.dev
	$(BIN)/python -m gradwidgets.lessons.claims notebooks

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest .venv-frameworks .venv-rivals .pytest_cache .mypy_cache .ruff_cache .hypothesis
