# One gate: `make check` (seconds) and `make test` (everything). `make help` lists the rest.
PYTHON  ?= python3
VENV    ?= .venv
CACHE   ?= $(HOME)/.cache/pegbox
UV      := $(CACHE)/uv-0.13.8/bin/uv
BIN     := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv check lint types imports unit test lock generate clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@echo "installing uv into $(dir $(UV))"
	@$(PYTHON) -m venv $(CACHE)/uv-0.13.8
	@$(CACHE)/uv-0.13.8/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt

$(VENV)/.installed: requirements/dev.txt pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv -q --python $(PYTHON) $(VENV)
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

venv: $(VENV)/.installed  ## the virtual environment, from the hashed locks

check: venv lint types imports unit  ## the fast gate: seconds

lint: venv
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check .

types: venv
	@$(BIN)/mypy

imports: venv
	@$(BIN)/lint-imports --no-cache >/tmp/pegbox-imports.$$$$ 2>&1 || { cat /tmp/pegbox-imports.$$$$; rm -f /tmp/pegbox-imports.$$$$; exit 1; }; rm -f /tmp/pegbox-imports.$$$$

unit: venv
	@$(BIN)/python -m pytest -q

format: venv  ## rewrite the code in the house's form
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

LOCK := $(UV) pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header
lock: $(UV)  ## refresh the hashed requirement locks
	@$(LOCK) requirements/uv.in -o requirements/uv.txt
	@$(LOCK) pyproject.toml --extra operator -o requirements/operator.txt
	@$(LOCK) pyproject.toml --extra operator --group dev -c requirements/operator.txt -o requirements/dev.txt
