# Both make the virtual environment when it is missing: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint types clean
.DELETE_ON_ERROR:

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade-strategy only-if-needed --editable '.[demo,dev]'
	touch $@

demo: .venv/installed
	$(BIN)/dfgame demo

test: lint types
	$(BIN)/python -m pytest

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/installed
	$(BIN)/pyright

clean:
	rm -rf .venv demo
