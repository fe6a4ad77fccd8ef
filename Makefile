# Each target sets up what it needs on a bare machine: python3 (3.11 or later) with venv, and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo run reader test check bench judges clean

demo: $(VENV)/.bench
	@$(BIN)/python -m tools.demo $(DEMO_ARGS)

run: $(VENV)/.bench
	@$(BIN)/python -m tools.run $(RUN_ARGS)

# A reader with a Vitale and a CPS in it, for pcscd (see README); its files are in var/reader.
READER := var/reader

reader: $(VENV)/.bench $(READER)/vitale.card $(READER)/cps.card
	@$(BIN)/vitale-reader emulate --slot $(READER)/vitale.card --slot $(READER)/cps.card \
	  --serial gemcoresimpro2 --link $(READER)/tty --pcscd-conf $(READER)/pcscd $(READER_ARGS)

$(READER)/%.card: | $(VENV)/.bench
	@mkdir -p $(READER)
	@$(BIN)/vitale-card new $* -o $@ --authority $(READER)/authority

test: judges $(VENV)/.test $(VENV)/.pcsc
	@$(BIN)/python -m pytest -n 2 $(TEST_ARGS)

# Programs that nobody here wrote; as root they are installed, else what is missing is said.
judges:
	@PYTHON=$(PYTHON) tests/install_judges.sh

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
	@$(PIP) install -e '.[api,bench]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "Installing what the tests need …"
	@$(PIP) install -e '.[test]'
	@touch $@ $(VENV)/.bench

# pyscard has no wheel for Linux; where it cannot be built its tests are skipped.
$(VENV)/.pcsc: pyproject.toml $(VENV)/.test | judges
	@if command -v swig >/dev/null && pkg-config --exists libpcsclite; then \
	  echo "Installing pyscard …" && $(PIP) install -e '.[pcsc]' && touch $@; \
	else echo "Without swig and libpcsclite-dev pyscard is left out."; fi

clean:
	rm -rf $(VENV) var
