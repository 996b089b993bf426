# The two commands of the README, and what CI runs. Everything is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
LAB ?= lab

.PHONY: setup demo test lint

# One stamp: setting up again is free unless these changed. constraints.txt holds versions that are known to work together.
.venv/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[local,dev]'
	touch $@

setup: .venv/.ready

demo: setup
	$(BIN)/gearsy run reversal-curse --quick --lab $(LAB)

test: setup lint
	$(BIN)/gearsy models pull smollm2-135m
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
