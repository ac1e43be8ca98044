# make demo   a first study, from raw images to a report
# make test   what the README promises

PYTHON ?= python3
VENV   ?= .venv
RECIPE ?= cells
BIN     = $(VENV)/bin
# torch is pinned here and not in pyproject.toml: the same line finds a CPU build where pip is told of one.
PIP     = $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint requirements/ci.txt
FRAME   = pyproject.toml requirements/ci.txt

.PHONY: help install demo test test-slow test-slurm lint types contracts check clean

help:
	@echo 'make install    $(VENV) with labwright in it; run again it does nothing'
	@echo 'make demo       the cells study on the bundled sequence: scores, joules, report.html; RECIPE=events for toy collisions'
	@echo 'make test       the tests, less those marked slow'
	@echo 'make test-slow  the tests marked slow'
	@echo 'make test-slurm the tests on a Slurm of two virtual nodes, which they start (root, Debian packages slurm-wlm slurmdbd munge mariadb-server)'
	@echo 'make check      lint, types and the import contract'
	@echo 'make clean      remove $(VENV) and caches'
	@echo 'Variables: PYTHON=$(PYTHON) VENV=$(VENV) RECIPE=$(RECIPE)'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Labwright needs Python 3.11 or newer. Try: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo '$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }

$(VENV)/.installed: $(FRAME) | $(BIN)/python
	$(PIP) --editable '.[cells,events,watch,energy]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[cells,events,watch,energy,dev]'
	@touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/labwright demo $(RECIPE)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 -m 'not slow and not slurm'

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m 'slow and not slurm'

test-slurm: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slurm

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

contracts: $(VENV)/.installed-dev
	$(BIN)/lint-imports

check: lint types contracts

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
