# The course from two commands: `make lab` and `make test`. Needs Python 3.11 or newer, and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Options to pass on, as in: make lab ARGS=--port=9999
ARGS ?=

IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# The first Python that is new enough. Choose one with: make setup PYTHON=/path/to/python3
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)

.PHONY: help setup lab test lint bench build lock clean

help: ## say what each command does
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; \
	do printf 'make %-7s %s\n' "$$name" "$$what"; done

setup: $(STAMP) ## make .venv and install the locked packages into it

# Written last: a set-up that was interrupted has no stamp, and begins again from an empty folder.
$(STAMP): requirements.lock pyproject.toml
	@python='$(PYTHON)'; if ! "$${python:-python3}" -c '$(IS_NEW_ENOUGH)' 2>/dev/null; then \
	echo "Python 3.11 or newer is needed, and $${python:-python3} is not that. Install it (Debian" \
	"and Ubuntu: sudo apt-get install python3 python3-venv), or name one that you have:" \
	"make setup PYTHON=/path/to/python3" >&2; exit 1; fi
	@if ! '$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null; then \
	echo "This Python cannot make virtual environments. Bring the missing part (Debian and Ubuntu:" \
	"sudo apt-get install python3-venv), then run make again." >&2; exit 1; fi
	@if [ -e $(STAMP) ]; then rm $(STAMP); else '$(PYTHON)' -m venv --clear $(VENV); fi
	@echo "Installing the locked packages into $(VENV): about a gigabyte on disk, once."
	@$(PIP) install --quiet --require-hashes --only-binary :all: -r requirements.lock
	@$(PIP) install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

lab: setup ## open the course in JupyterLab, on this machine alone
	@$(BIN)/leftopen engines
	@$(BIN)/leftopen doctor
	@exec $(BIN)/leftopen lab $(ARGS)

test: setup ## run every test, once
	@$(BIN)/leftopen engines
	@$(BIN)/python tests/run_suite.py $(ARGS)

lint: setup ## check the style of code and notebooks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

bench: setup ## measure: start-up, data, memory
	@for file in tests/benchmarks/bench_*.py; do \
	echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

build: setup ## make the exercises and README's table again (runs every solution)
	@$(BIN)/leftopen build

# uv alone can lock for every platform at once.
UV ?= $(shell command -v uv || { command -v pipx >/dev/null && echo pipx run uv; })
lock: ## pin every package again (needs uv or pipx)
	@test -n "$(UV)" || { echo "uv is needed: pip install uv, or pipx." >&2; exit 1; }
	$(UV) pip compile pyproject.toml --quiet --extra mongodb --extra dev --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	--output-file requirements.lock

clean: ## remove .venv and caches; nothing of yours
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis artefacts
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
