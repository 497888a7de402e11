# One gate: `make check` (seconds) and `make test` (everything). `make help` lists the rest.
PYTHON  ?= python3
VENV    ?= .venv
CACHE   ?= $(or $(PEGBOX_CACHE),$(HOME)/.cache/pegbox)
UV      := $(CACHE)/uv-0.13.8/bin/uv
BIN     := $(VENV)/bin
CLUSTER := $(PYTHON) -m dev.cluster

# Python keeps its bytecode, wherever this runs: without it every test process compiles every file again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help venv check lint types imports unit unit-learning unit-operator test chaos test-e2e test-oldest test-other-python format lock generate \
        demo demo-clean cluster-up cluster-status cluster-down kubectl images figures \
        audit sbom fuzz load recovery bench models

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: venv  ## the main job on a real workload: a badly set service, tuned on a real cluster
	@$(PYTHON) -m dev.demo $(ARGS)

demo-clean:  ## remove the demo and its cluster
	@$(PYTHON) -m dev.demo clean

test: venv  ## everything: check, contract, kill points, integration, end to end
	@bash dev/test.sh

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

check: venv  ## the fast gate: lint, types, imports and unit tests, two at a time; about 25 s
	@$(MAKE) --no-print-directory -j2 -Otarget types unit-learning unit-operator imports lint

lint: venv
	@$(BIN)/ruff check -q . && $(BIN)/ruff format --check .

types: venv
	@$(BIN)/mypy

imports: venv
	@out=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$out"; exit 1; }

# Two plain processes, each with half of the tests: workers of one run would each collect and import everything.
LEARNING := tests/unit/learning tests/unit/bench tests/unit/benchmarks tests/unit/testing

unit: venv
	@$(MAKE) --no-print-directory -j2 -Otarget unit-learning unit-operator

unit-learning: venv
	@$(BIN)/python -m pytest -q $(LEARNING)

unit-operator: venv
	@$(BIN)/python -m pytest -q tests/unit $(addprefix --ignore=,$(LEARNING))

OTHER ?= python3.13
test-other-python: $(UV)  ## the tests that need no server, with another Python: make test-other-python OTHER=python3.13 (or a path)
	@$(UV) venv -q --clear --python $(OTHER) .venv-other
	@$(UV) pip install -q --python .venv-other/bin/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install -q --python .venv-other/bin/python --no-deps -e .
	@.venv-other/bin/python --version
	@.venv-other/bin/python -m pytest -q -n auto tests/unit tests/loop tests/property tests/adversarial tests/golden tests/sim

test-e2e: venv  ## the end-to-end level alone (ARGS="tests/e2e/test_owners.py")
	@bash dev/test.sh e2e $(ARGS)

test-oldest: venv  ## the contract tests on the oldest supported Kubernetes (its API server alone; some 5 min to build once)
	@$(CLUSTER) build oldest
	@PEGBOX_KUBERNETES=1.33 $(BIN)/python -m pytest -q -n 2 --dist worksteal tests/contract

chaos: venv  ## random fault schedules, the long form: ARGS="--minutes 10", ARGS="--seed 7 --schedules 1"
	@PYTHONPATH=operator:. $(BIN)/python -m tests.chaos $(ARGS)

load: venv  ## 500 profiles, a tenth of all calls broken, invariants watched (ARGS="--minutes 30 --json FILE")
	@PYTHONPATH=operator:. $(BIN)/python -m benchmarks.load $(ARGS)

BENCH = $(BIN)/pegbox bench
bench: venv  ## how well Pegbox tunes, forecasts and rolls back, beside company (ARGS="--seeds 20"); the quick form takes about an hour
	@mkdir -p build/bench
	@for name in forecast scale-out rollback decide; do $(BENCH) $$name --json build/bench/$$name.json || exit 1; done
	@$(BENCH) tune --plant shipped --json build/bench/plants.json
	@$(BENCH) tune --shards build/bench/shards --json build/bench/tune.json $(ARGS)

models: venv  ## learn the prior for cold starts and judge it, into models/ (ARGS=--check: again, and compare within 1e-6)
	@PYTHONPATH=operator:. $(BIN)/python -m benchmarks.prior $(ARGS)

recovery: venv  ## how long recovery takes after each kind of end (ARGS="--times 3 --only SIGKILL"), as a table
	@PYTHONPATH=operator:. $(BIN)/python -m benchmarks.recovery $(ARGS)

format: venv  ## rewrite the code in the house's form
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

LOCK := $(UV) pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header
lock: $(UV)  ## refresh the hashed requirement locks
	@$(LOCK) requirements/uv.in -o requirements/uv.txt
	@$(LOCK) pyproject.toml --extra operator -o requirements/operator.txt
	@$(LOCK) requirements/issue-service.in -o requirements/issue-service.txt
	@$(LOCK) pyproject.toml --extra operator --extra bench --group dev -c requirements/operator.txt -o requirements/dev.txt

generate: venv  ## CRDs, chart and install manifests, from the models
	@$(BIN)/pegbox render-crds --out crds
	@$(PYTHON) -m dev.chart install

images: venv  ## the container images, without Docker
	@$(PYTHON) -m dev.images build

cluster-up: venv  ## a development cluster (PEGBOX_CLUSTER=existing|kind|local overrides the choice)
	@$(CLUSTER) up $(ARGS)

cluster-status:  ## what runs of it
	@$(CLUSTER) status

cluster-down:  ## stop it and leave nothing behind
	@$(CLUSTER) down

kubectl:  ## reach into it: make kubectl ARGS="get pods -A"
	@$(CLUSTER) kubectl $(ARGS)

figures: venv  ## print the operator's own figures (decision latency, memory, queries, writes)
	@$(BIN)/python -m benchmarks $(ARGS)

fuzz: venv  ## feed every parser what it does not expect (ARGS="--minutes 10 --parser ledger")
	@$(BIN)/python -m tests.fuzz $(ARGS)

# Tools that look at the locks and at nothing else; each in an environment of its own.
LOCKS := operator issue-service dev uv
audit: $(UV)  ## known vulnerabilities in the locks; fails too where no advisory service can be asked
	@for lock in $(LOCKS); do echo "requirements/$$lock.txt"; $(UV) tool run -q --from pip-audit==2.10.1 pip-audit \
	  -r requirements/$$lock.txt --require-hashes --disable-pip --strict --progress-spinner off || exit 1; done

sbom: $(UV)  ## a CycloneDX list of what is shipped, into build/sbom
	@mkdir -p build/sbom
	@for lock in operator issue-service; do $(UV) tool run -q --from cyclonedx-bom==7.5.0 cyclonedx-py requirements \
	  requirements/$$lock.txt --pyproject pyproject.toml --output-reproducible --spec-version 1.6 --validate \
	  --output-format JSON --output-file build/sbom/$$lock.cdx.json 2>/dev/null || exit 1; done; ls build/sbom
