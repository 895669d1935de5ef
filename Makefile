# Everything sets itself up: only python3 (>= 3.11), make and a package index are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The mirror of the public instance collections, where it stands beside the project.
MIRROR := $(wildcard ../shared/datasets)
ifneq ($(MIRROR),)
export OPTSCHED_DATASETS ?= $(abspath $(MIRROR))
endif

.PHONY: help demo test test-slow test-oracle kube-scheduler lint format docs smoke notebooks notebooks-check wheel peers clean
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "optsched needs Python 3.11 or newer; run make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# The first command installs only what solving and drawing need; all of it is among what tests need.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[plot]'
	@touch $@

demo: $(firstword $(wildcard $(VENV)/.installed) $(VENV)/.demo) ## solve a real 10x10 job shop to proven optimality
	$(BIN)/optsched solve ft10 --time-limit 120

test: $(VENV)/.installed ## run the tests
	$(BIN)/pytest -n 2 -m 'not slow'

test-slow: $(VENV)/.installed ## run the long tests, alone on the machine
	$(BIN)/pytest -m slow

kube-scheduler: ## build the real scheduler, the oracle of the tests of pod packing, into the cache
	tools/build_kube_scheduler.sh

test-oracle: $(VENV)/.installed ## compare the rules of pod packing with the real scheduler's
	$(BIN)/pytest tests/pod_packing/test_pod_oracle.py -m slow -rs

lint: $(VENV)/.installed ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## build the documentation into runs/site, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

smoke: $(VENV)/.installed ## run, verify and report the smallest benchmark campaign
	rm -rf runs/smoke
	$(BIN)/optsched bench run smoke --out runs/smoke
	$(BIN)/optsched bench verify runs/smoke
	$(BIN)/optsched bench report runs/smoke --html runs/smoke/report.html

notebooks: $(VENV)/.installed ## run all notebooks from top to bottom, in place
	$(BIN)/python notebooks/run.py

notebooks-check: $(VENV)/.installed ## run their short versions; writes nothing
	$(BIN)/python notebooks/run.py --check

wheel: $(VENV)/.installed ## build wheel and source distribution into dist
	$(BIN)/python -m hatchling build -d dist -t sdist -t wheel

.venv-pyjobshop/.installed:
	$(PYTHON) -m venv .venv-pyjobshop
	.venv-pyjobshop/bin/pip install --quiet --disable-pip-version-check pyjobshop==0.0.9
	@touch $@

peers: .venv-pyjobshop/.installed ## install PyJobShop beside the project, for benchmarks

clean: ## remove the environments and caches
	rm -rf $(VENV) .venv-pyjobshop .mypy_cache .ruff_cache .pytest_cache build dist
