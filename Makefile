# What a newcomer needs: `make demo`, `make test`. Everything else is for people who change the code.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
UV     := $(shell command -v uv 2>/dev/null)
ARGS   ?=

.PHONY: help setup demo test test-more check bench lock clean

help:  ## what can be asked for
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## create .venv from the lock, hashes checked (uv if there, else pip)

$(STAMP): locks/dev.txt pyproject.toml
ifneq ($(UV),)
	test -x $(BIN)/python || $(UV) venv -q --python $(PYTHON) $(VENV)
	$(UV) pip install -q --python $(BIN)/python --require-hashes -r locks/dev.txt
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r locks/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@touch $(STAMP)

demo: setup  ## from a prompt file to an automatic rollback on live traffic; ARGS="--once --json"
	$(BIN)/trimtab demo $(ARGS)

test: setup  ## every test that needs Python alone
	$(BIN)/python -m pytest -n auto -q $(ARGS)

test-more: setup  ## the tests that need more than Python: conformance corpus, long simulations
	$(BIN)/python -m pytest -n auto -q -m more --override-ini 'addopts=--strict-markers --strict-config' tests $(ARGS)

check: setup  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## every promise of speed, as a ratio
	$(BIN)/python -m benchmarks $(ARGS)

lock:  ## compile the lock files again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o locks/sdk.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra files pyproject.toml -o locks/files.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra server pyproject.toml -o locks/server.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra demo pyproject.toml -o locks/demo.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --all-extras --group dev pyproject.toml -o locks/dev.txt

clean:  ## remove what setup made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
