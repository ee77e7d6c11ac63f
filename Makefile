# Needs git, make and a Python of 3.10 or later; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format types wheel results clean

help:
	@echo "make demo       install, fit the superconductivity data, write runs/demo/report.html"
	@echo "make test       run the tests (PYTEST_ARGS='-k name' to choose)"
	@echo "make test-slow  run the tests marked slow"
	@echo "make lint       ruff check and format check; 'make format' repairs"
	@echo "make types      mypy on src"
	@echo "make wheel      build dist/identirep-*.whl"
	@echo "make results    take pages, tables and plots of 'identirep bench' from runs/bench to docs/results"
	@echo "make clean      remove $(VENV), builds and caches"

demo: $(VENV)/.installed
	$(BIN)/identirep demo --out runs/demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

wheel: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m build --wheel

results:
	for run in $(filter-out %-quick,$(notdir $(wildcard runs/bench/*))); do \
		mkdir -p docs/results/$$run && cp runs/bench/$$run/results.* runs/bench/$$run/*.png docs/results/$$run/ || true; \
	done

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
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
