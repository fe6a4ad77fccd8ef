# Each target sets up what it needs on a bare machine: python3 (3.11 or later) with venv, and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo run test check bench clean

demo: $(VENV)/.bench
	@$(BIN)/python -m tools.demo $(DEMO_ARGS)

run: $(VENV)/.bench
	@$(BIN)/python -m tools.run $(RUN_ARGS)

test: $(VENV)/.test
	@$(BIN)/python -m pytest -n 2 $(TEST_ARGS)

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	@$(BIN)/python -m tools.load $(BENCH_ARGS)

$(BIN)/python:
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	@echo "Installing what the demo needs …"
	@$(PIP) install -e '.[bench]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "Installing what the tests need …"
	@$(PIP) install -e '.[test]'
	@touch $@ $(VENV)/.bench

clean:
	rm -rf $(VENV) var
