# make run: the main job on the embedded sample.  make test: the tests.  Both set everything up first.
# make demo: a page to draw on, with the sample's model behind it.
# make test ALL=1: the slow tests too; SLOW=1: those alone; OPTIONS=--cov: with coverage; PROCESSES=1: in one process.
# make docs: the documentation as a site; open site/index.html. NOTEBOOKS=1: the tutorial is run anew, for its outputs there.
# make release-check: what a release would hold, installed with the least and the newest versions on three Pythons.
# make check AUDIT=1: known vulnerabilities of the tested versions, too (needs PyPI).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

PROCESSES ?= 4
RUN := runs/sample-fast

.PHONY: run demo test check format docs bench release-check clean

run: $(VENV)/.core
	$(BIN)/hitofude run

demo: $(VENV)/.serve
	test -e $(RUN)/report.json || $(BIN)/hitofude run --run $(RUN)
	$(BIN)/hitofude serve $(RUN) --open

test: $(VENV)/.dev
	LOKY_MAX_CPU_COUNT=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(if $(ALL),,-m "$(if $(SLOW),slow,not slow)") $(OPTIONS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
ifdef AUDIT
	$(PIP) pip-audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt
endif

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs
ifdef NOTEBOOKS
	$(PIP) -e '.[notebook]'
	$(BIN)/python website/notebooks.py
endif
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.dev
	$(BIN)/hitofude bench
	$(BIN)/python -m benchmarks.contests
	$(BIN)/python -m benchmarks.tutorial
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.headerless
	$(BIN)/python -m benchmarks.damage
	$(BIN)/python -m benchmarks.crash
	$(BIN)/python -m benchmarks.label_noise
	$(BIN)/python -m benchmarks.uneven
	$(BIN)/python -m benchmarks.doors fashion-mnist letters
	$(BIN)/python -m benchmarks.label_noise --noise pair --share 0.3 --seeds 1
	$(BIN)/python -m benchmarks.label_noise --noise none --preset article --debug --seeds 5
	$(BIN)/python -m benchmarks.hostile
	$(BIN)/python -m benchmarks.estimator
	$(BIN)/python -m benchmarks.photos
	test -e $(RUN)/report.json || $(BIN)/hitofude run --run $(RUN)
	$(BIN)/python -m benchmarks.serve --run $(RUN)
	$(BIN)/python -m benchmarks.bulk --run $(RUN)
	$(BIN)/python -m benchmarks.costs $(RUN)
	$(BIN)/python -m benchmarks.cluster

release-check: $(VENV)/bin/python
	$(PIP) -e '.[release]'
	$(BIN)/python -m release.check $(OPTIONS)

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed. Name it: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV), once; this takes a few minutes."
	$(PIP) -e .
	@touch $@

$(VENV)/.serve: $(VENV)/.core
	$(PIP) -e '.[serve]'
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	$(PIP) -e '.[docs]'
	@touch $@
