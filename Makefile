# make help lists what there is. A machine needs git, make and either uv or some Python with pip.
#
#   STUDY=FILE   the study, or several, for "study" and "report" (studies/cdnow.toml studies/retention.toml)
#   DATA=FILE    data for that study in place of those it names
#   PYTHON=PATH  the interpreter for .venv, CPython 3.12 to 3.14 (found by itself)
#   ARGS="..."   more arguments for the command behind the target, e.g. make test ARGS="-k bg_nbd -x"
#   UPGRADE=     with "lock": follow pyproject.toml but keep the versions that still fit

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

DATA =
STUDY = studies/cdnow.toml $(if $(DATA),,studies/retention.toml)
ARGS =
UPGRADE = --upgrade

PY = .venv/bin/python
CLV = .venv/bin/clvmodels

# Compiled kernels and font lists stay in the project; the quotes are for a folder with a blank or a comma in its name.
export PYTENSOR_FLAGS := base_compiledir="$(CURDIR)/.cache/pytensor"
export NUMBA_CACHE_DIR := $(CURDIR)/.cache/numba
export MPLCONFIGDIR := $(CURDIR)/.cache/matplotlib
# Modules are compiled once: where that is switched off, each start of a command takes seconds more.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help setup study studies report test test-browser test-all test-kills test-faults bench lint lock clean

help: ## this list
	@sed -n 's/^#  //p' Makefile
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## the environment in .venv, from requirements.lock (the others call it)
	@sh scripts/setup.sh

study: setup ## run STUDY: data, fits, forecasts, contest, reports, into reports/<study>
	@$(CLV) study $(STUDY) $(if $(DATA),--data "$(DATA)") $(ARGS)

studies: setup ## run every study whose data are installed, and name those left out
	@here="^ *source *= *\"(simulated:|dataset:($$($(CLV) datasets --installed | paste -s -d '|' -))\")"; \
	out=$$(grep -LE "$$here" studies/*.toml); \
	[ -z "$$out" ] || echo "left out, since their data are not here (see clvmodels datasets):" $$out; \
	$(CLV) study $$(grep -lE "$$here" studies/*.toml) $(ARGS)

report: setup ## make the pages of STUDY anew from its results
	@for study in $(STUDY); do $(CLV) report "$$study" $(ARGS) || exit; done

test: setup ## the fast tests, a process a processor
	@$(PY) -m pytest -n auto --dist loadfile $(ARGS)

test-browser: ## the tests that look at a page in Chromium (skipped with the reason where there is none)
	@sh scripts/setup.sh browser
	@$(PY) -m pytest -m browser $(ARGS)

test-all: ## fast, slow, browser and Spark tests, and simulation-based calibration
	@sh scripts/setup.sh browser spark
	@$(PY) -m pytest -m "not bench and not faults and not kills" $(ARGS)

test-kills: setup ## studies that are killed, filled up and damaged, in short
	@$(PY) -m pytest tests/faults -m kills -n auto --dist worksteal $(ARGS)

test-faults: setup ## the same in full (300 kills, every system call), and faults put into the code, each of which a test must notice
	@$(PY) -m pytest tests/faults tests/test_faults.py -m "kills or faults" -n auto --dist worksteal --full $(ARGS)

bench: ## time and memory, ours and the neighbours' (theirs in .venv-bench)
	@sh scripts/setup.sh dev bench
	@$(PY) -m tests.benchmarks $(ARGS)

lint: ## ruff, its formatter, mypy --strict, and the floors by import-linter
	@sh scripts/setup.sh dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-logo --cache-dir .cache/import-linter

lock: ## requirements.lock and requirements/*.lock anew, at today's versions
	@sh scripts/lock.sh $(UPGRADE)

clean: ## remove environments and caches (never reports)
	rm -rf .venv .venv-bench .tools .cache .hypothesis .benchmarks dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
