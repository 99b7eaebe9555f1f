# Two commands for a newcomer: `make demo` and `make test`. Needs Python 3.11 or newer; everything else lands in .venv.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# the tests start hundreds of processes, and each would compile what it imports
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEV := dev,s3,kafka,postgres,bench,text

# $(call install,WHAT,STAMP): pip with one line of progress every 25 packages; everything it says is in .venv/install.log.
define install
	@echo "installing $(1) into $(VENV) (two to four minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --retries 10 --timeout 60 -c constraints.txt -e "$(1)" 2>&1 \
	  | tee $(VENV)/install.log \
	  | awk '/^Collecting/ && ++n % 25 == 0 { print "  " n " packages found"; fflush() } \
	         /^Installing collected/ && n { print "  " n " packages found, installing them"; fflush() }' \
	  || { tail -n 15 $(VENV)/install.log; exit 1; }
	@touch $(2)
endef

.PHONY: help setup demo test test-fast lint format bench docs clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Rankloop, and Debian's Prometheus and Alertmanager where this machine lets you install them
	@.ci/debian prometheus:prometheus prometheus-alertmanager:prometheus-alertmanager || true

demo: $(VENV)/.installed ## the whole loop, until a canary is promoted and a bad one rolled back; DATA=folder: on your log
	@$(BIN)/rankloop demo $(if $(DATA),--data "$(DATA)")

# three at a time: many tests wait for a process; a file stays together, since its tests share what they start
test: $(VENV)/.installed-dev ## every test; ARGS="-k gate" passes anything to pytest
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(VENV)/.installed-dev ## the tests that take no more than a few seconds each
	@$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: $(VENV)/.installed-dev ## ruff, mypy (strict on rankloop/) and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict --cache-dir .mypy_cache/strict rankloop
	@$(BIN)/mypy monitoring components pipelines services benchmarks tests
	@$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## measure one claim: NAME=loop; without NAME, list them; ARGS="--quick --check"
	@$(BIN)/python -m benchmarks $(or $(NAME),--list) $(ARGS)

docs: $(VENV)/.installed-dev ## write the pages that are generated
	@$(BIN)/python -m benchmarks docs

clean: ## stop the stack, remove .venv and every cache; your releases stay in .rankloop
	@if [ -x $(BIN)/rankloop ]; then $(BIN)/rankloop down || true; fi
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python found: install Python 3.11, or say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11: say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null \
	  || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --quiet --python $(BIN)/python install pip; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,.,$@)

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,.[$(DEV)],$@ $(VENV)/.installed)
