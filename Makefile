# Needs git, make and a Python of 3.10 or later; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
MUTANTS ?=
CASES ?= 10000
# The oldest wheels of torch bring gigabytes of CUDA libraries, so it keeps its pin there; torch==2.4.* tries them too.
LOWEST_TORCH ?= $(shell grep '^torch==' constraints.txt)

BIN := $(VENV)/bin
LOWEST := $(VENV)-lowest
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
INSTALL := $(BIN)/python $(PIP_INSTALL) -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-lowest fuzz mutants pictures lint format types wheel sdist results clean

help:
	@echo "make demo       install, tell what latents are good for on superconductors, write runs/demo/report.html"
	@echo "make test       run the tests (PYTEST_ARGS='-k name' to choose)"
	@echo "make test-slow  run the tests marked slow"
	@echo "make test-lowest  run the tests with the lowest versions that pyproject.toml allows (Python 3.10 or 3.11)"
	@echo "make fuzz       try 10,000 cases of hostile input on all cores (CASES=... for another number), and report times"
	@echo "make mutants    take features out one by one and see that their tests fail (MUTANTS='name name' to choose)"
	@echo "make pictures   take screenshots of the demo's report to docs/images (needs chromium and poppler-utils)"
	@echo "make lint       ruff check and format check; 'make format' repairs"
	@echo "make types      mypy on src"
	@echo "make wheel      build dist/identirep-*.whl; 'make sdist' dist/identirep-*.tar.gz"
	@echo "make results    take pages, tables and plots of 'identirep bench' from runs/bench to docs/results"
	@echo "make clean      remove $(VENV), $(LOWEST), builds and caches"

demo: $(VENV)/.installed
	$(BIN)/identirep demo --out runs/demo

# A process for each core, so that threads of their own would only get in each other's way.
PYTEST := pytest --numprocesses auto --dist loadfile
test test-slow test-lowest: export OMP_NUM_THREADS ?= 1

test: $(VENV)/.installed-test
	$(BIN)/python -m $(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m $(PYTEST) -m slow $(PYTEST_ARGS)

test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m $(PYTEST) -m "not slow" $(PYTEST_ARGS)

fuzz: $(VENV)/.installed-test
	$(BIN)/python tests/fuzz/run.py --cases $(CASES)

mutants: $(VENV)/.installed-test
	$(BIN)/python tests/mutants/run.py $(MUTANTS)

pictures: $(VENV)/.installed-browser
	test -f runs/demo/report.json || $(BIN)/identirep demo --out runs/demo
	$(BIN)/python docs/pictures.py runs/demo/report.html

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

wheel: $(VENV)/.installed-dev
	rm -f dist/*.whl
	$(BIN)/python -m build --wheel

sdist: $(VENV)/.installed-dev
	rm -f dist/*.tar.gz
	$(BIN)/python -m build --sdist

results:
	for run in $(filter-out %-quick,$(notdir $(wildcard runs/bench/*))); do \
		mkdir -p docs/results/$$run && cp runs/bench/$$run/results.* runs/bench/$$run/*.png docs/results/$$run/ || true; \
	done

clean:
	rm -rf $(VENV) $(LOWEST) build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The stamps: an install is repeated only when the requirements change. Sources are linked, not copied (-e).
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	touch $@

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[$*]"
	touch $@

# What we ask for at its lowest, what that brings at its newest.
$(LOWEST)/.installed: pyproject.toml constraints.txt | $(VENV)/.installed-dev
	$(PYTHON) -m venv --clear $(LOWEST)
	echo '$(LOWEST_TORCH)' | $(BIN)/uv pip compile --quiet --no-deps --resolution lowest-direct --override - \
		--extra test --python $(LOWEST)/bin/python pyproject.toml --output-file $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python $(PIP_INSTALL) -c $(LOWEST)/lowest.txt -e ".[test]"
	touch $@
