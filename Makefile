# make demo      set up, then render a movie, annotate it and say where the results are
# make test      set up, then lint, types and tests (the slow ones included)
# make check     set up, then lint and types alone
# make docs      set up, then build the documentation as a site in site/, warnings as errors, links checked
# make package   set up, then build the wheel and the source distribution in dist/
# make image     the container for a CPU; image-cuda for a GPU: docs/containers.md
#
# DEPENDENCIES=lowest sets up with the lowest versions that setup.cfg allows; make clean goes before and after.
PYTHON ?= python3
DEPENDENCIES ?= newest
DOCKER ?= docker
VENV := .venv
BIN := $(VENV)/bin

ifeq ($(DEPENDENCIES),lowest)
INSTALL = $(BIN)/python -m pip install --quiet uv && $(BIN)/uv pip install --python $(BIN)/python --resolution lowest-direct
else
INSTALL = $(BIN)/python -m pip install --quiet
endif

# Several hundred processes start in the tests; without compiled files each would compile the package first.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint docs package image image-cuda clean

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

docs: $(VENV)/installed-for-tests
	$(BIN)/python tools/build_site.py --out site

package: $(VENV)/installed-for-tests
	rm -rf dist
	$(BIN)/python -m build --outdir dist

image:
	$(DOCKER) build --file docker/Dockerfile.cpu --build-arg TORCH_INDEX="$(TORCH_INDEX)" --tag ava-detect:cpu .

image-cuda:
	$(DOCKER) build --file docker/Dockerfile.cuda --tag ava-detect:cuda .

# The marks stand for a whole installation: they are made last, and again when the requirements change.
$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) --editable .
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(INSTALL) --editable ".[test,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo_results build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
