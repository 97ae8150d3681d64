# Everything a person runs. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= .meddata
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DAGSTER_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo ui test check lint types contracts figures bench lock browser clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3,11) <= sys.version_info[:2] < (3,15) else "meddata needs Python 3.11 to 3.14; say make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: deploy/requirements.txt deploy/requirements-sdist.txt pyproject.toml | $(BIN)/python
	$(BIN)/pip install -q --require-hashes --no-deps -r deploy/requirements.txt
	$(BIN)/pip install -q --require-hashes --no-deps --no-build-isolation -r deploy/requirements-sdist.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: deploy/requirements-dev.txt $(VENV)/.run
	$(BIN)/pip install -q --require-hashes --no-deps -r deploy/requirements-dev.txt
	@touch $@

install: $(VENV)/.run ## a virtual environment with what runs
install-dev: $(VENV)/.dev ## the same, with what tests

demo: $(VENV)/.run ## three sample hospitals, from raw files to a catalogue, in the folder .meddata
	$(BIN)/meddata demo --home $(HOME_DIR) --write-env

ui: $(VENV)/.run ## Dagster's UI on the demo's runs
	@test -f .env || $(MAKE) --no-print-directory demo
	$(BIN)/dg dev

browser: ## Debian's chromium for the browser tests (skipped where it cannot be installed)
	@deploy/install-browser.sh

test: $(VENV)/.dev browser ## all tests
	$(BIN)/pytest -n 2 --dist loadscope -m "not slow"

check: lint types contracts ## style, types and import contracts

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## import-linter
	$(BIN)/lint-imports

figures: $(VENV)/.dev ## the large counts; writes docs/figures.md
	$(BIN)/python -m meddata_pipeline_tests.benchmarks.figures

bench: $(VENV)/.dev ## ratios against peers, measured in the same run
	$(BIN)/python -m meddata_pipeline_tests.benchmarks.bench

lock: $(VENV)/.dev ## pin every package by version and hash (names only, no addresses)
	deploy/lock.sh $(BIN)

clean: ## remove the environment and the demo
	rm -rf $(VENV) $(HOME_DIR) .env
