# Needs git, make and Python 3.11 or newer. Everything is installed in .venv, as the ordinary user.
# "make help" lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# Tests wait for processes and clouds as much as they compute.
WORKERS ?= $(shell expr $(JOBS) + 1)
PIP_FLAGS := --quiet --disable-pip-version-check
PYTEST_ARGS ?=
DEMO_ARGS ?=
SERVE ?=
OPENSTACK_ARGS ?=

# Looked up only when a virtual environment is made. A name on the PATH may be there without working.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | sort | \
	while IFS='|' read -r target what; do printf '  %-14s %s\n' "$$target" "$$what"; done

# --- Setting up -----------------------------------------------------------------------------------

# Called with the directory: a new virtual environment with the tools that build the project.
define make_venv
	@test -n "$(PYTHON)" || { echo "Pumphouse needs Python 3.11 or newer with its venv module, and found none \
	on the PATH. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making $(1) with $(PYTHON) ($$($(PYTHON) -c 'import platform; print(platform.python_version())'))"
	@$(PYTHON) -m venv --clear $(1)
endef

# The stamp holds the checkout's path: an environment that was moved points to where it was.
STAMP := $(VENV)/.installed
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

$(STAMP): constraints.txt setup.cfg
	@test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" && $(BIN)/python -c '' 2>/dev/null || \
		$(MAKE) --no-print-directory new-venv
	@echo "Installing the project and its tools in $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --constraint constraints.txt setuptools
	@$(BIN)/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --no-build-isolation \
		--editable '.[dev,keystone,mysql,postgresql]'
	@echo "$(CURDIR)" > $@

.PHONY: new-venv
new-venv:
	$(call make_venv,$(VENV))

.PHONY: venv
venv: $(STAMP) ## Set up the virtual environment .venv

# --- Using it -------------------------------------------------------------------------------------

.PHONY: demo
demo: venv ## Move a tenant between two embedded clouds (SERVE=1 keeps the dashboard up)
	@$(BIN)/pumphouse demo $(if $(SERVE),--serve) $(DEMO_ARGS)

# --- Checking it ----------------------------------------------------------------------------------

.PHONY: test
test: venv ## Run the tests but for the slow ones (PYTEST_ARGS="-k name" for some)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) -m "not slow" $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: venv ## Run the tests that take long, as CI does besides
	@$(BIN)/python -m pytest --numprocesses $(JOBS) -m slow $(PYTEST_ARGS)

.PHONY: test-crash
test-crash: venv ## Kill and pause migrations at every request (see doc/contributor/testing.rst)
	@$(BIN)/python -m pytest --numprocesses $(JOBS) -p no:randomly --matrix=all tests/matrix/test_crash.py $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: venv ## Let every kind of request fail in every way (see doc/contributor/testing.rst)
	@$(BIN)/python -m pytest --numprocesses $(JOBS) -p no:randomly --matrix=faults tests/matrix/test_faults.py $(PYTEST_ARGS)

.PHONY: test-properties
test-properties: venv ## Look at a thousand made-up clouds for what breaks a rule (see doc/contributor/testing.rst)
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --hypothesis-profile deep --timeout 3600 tests/properties \
		$(PYTEST_ARGS)

.PHONY: coverage
coverage: venv ## Run the tests and show what they do not reach
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --cov --cov-report=term $(PYTEST_ARGS)

.PHONY: test-openstack
test-openstack: venv ## Bring two real clouds up and try everything on them (see doc/contributor/testing.rst)
	@$(BIN)/python tests/openstack $(OPENSTACK_ARGS) $(PYTEST_ARGS)

.PHONY: bench
bench: venv ## Measure what must be quick, on a machine with nothing else to do, for the documentation's table
	@PUMPHOUSE_BENCHMARK_RESULTS=doc/operator/performance.json \
		$(BIN)/python -m pytest -p no:randomly --capture=no tests/benchmarks $(PYTEST_ARGS)

.PHONY: lint
lint: venv ## Check style, types, layers and the change notes
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/towncrier build --draft --version next >/dev/null

.PHONY: format
format: venv ## Put the code into the project's format
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: docs
docs: venv ## Build the documentation in doc/_build/html; a warning is an error
	@$(BIN)/sphinx-build -W --keep-going --quiet --jobs $(JOBS) -b html doc doc/_build/html
	@echo "The documentation is in doc/_build/html/index.html"

# --- Files made from others -----------------------------------------------------------------------

.PHONY: config-sample
config-sample: venv ## Write etc/pumphouse/pumphouse.conf.sample from the options
	@$(BIN)/oslo-config-generator --config-file etc/pumphouse/config-generator.conf

.PHONY: policy-sample
policy-sample: venv ## Write etc/pumphouse/policy.yaml.sample from the API's rules
	@$(BIN)/oslopolicy-sample-generator --namespace pumphouse --output-file etc/pumphouse/policy.yaml.sample

.PHONY: openapi
openapi: venv ## Write etc/pumphouse/openapi.json from the API's code
	@$(BIN)/python -m pumphouse.api.openapi > etc/pumphouse/openapi.json

.PHONY: pictures
pictures: venv ## Take the pictures of the documentation in a browser
	@$(BIN)/python -m pytest -p no:randomly tests/browser/pictures.py

# Everything as new as setup.cfg and the oldest Python allow, written down exactly; only the project is left
# out. A line names a version and nothing else, so that each machine installs from where it does.
define write_constraints
import json, sys
found = (one["metadata"] for one in json.load(sys.stdin)["install"])
lines = (f"{one['name']}=={one['version']}" for one in found if one["name"] != "pumphouse")
print('# What the project is tested with. Written by "make constraints"; not edited by hand.')
print(*sorted(lines, key=str.lower), sep="\n")
endef
export write_constraints

.PHONY: constraints
constraints: ## Write constraints.txt anew, from the newest versions of everything
	$(call make_venv,.venv-constraints)
	@.venv-constraints/bin/python -m pip install $(PIP_FLAGS) --dry-run --ignore-installed --report - \
		--python-version 3.11.0 --only-binary :all: --target .venv-constraints/none \
		setuptools '.[dev,keystone,mysql,postgresql]' \
		| .venv-constraints/bin/python -c "$$write_constraints" > constraints.txt
	@rm -rf .venv-constraints

.PHONY: clean
clean: ## Remove what was built, and the virtual environment
	@rm -rf $(VENV) .venv-constraints build dist doc/_build .coverage .coverage.* htmlcov *.egg-info \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .tox
