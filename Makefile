# make demo    set up, then render a movie, annotate it and say where the results are
# make test    set up, then lint, types and tests (the slow ones included)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint clean

demo: $(VENV)/installed
	$(BIN)/ava-detect demo --out demo_results

# Four processes on two cores as well: half of the tests' time is waiting, for clusters, storms of faults and browsers.
# One of the tests runs mypy.
test: lint
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Lint and types alone.
check: lint
	$(BIN)/mypy

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The marks stand for a whole installation: they are made last, and again when the requirements change.
$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[test,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo_results build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
