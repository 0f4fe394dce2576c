# reviewloop: `make demo` and `make test` install what they need and then run.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

export PYTHON ?= python3.11
STAGE ?= dev
BIN := .venv/bin
# The major versions whose warning is left out: Node.js 20 still runs it.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
export PYTHONDONTWRITEBYTECODE := 1
export HF_HUB_OFFLINE := 1
# Without a home folder to write to, pip's and npm's caches go where everything else is kept.
ifneq ($(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo usable),usable)
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export npm_config_cache := $(CURDIR)/.cache/npm
endif

.PHONY: help install layer lock docs demo up aws down bench test test-unit test-slow test-demo test-operations lint synth clean check-tools browser

help: ## Show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

check-tools:
	@scripts/install.sh tools

.venv/.installed: requirements.lock model_code/base-model.lock model_code/requirements.txt
	@scripts/install.sh venv

.venv-emulator/.installed: embedded_aws/requirements.lock
	@scripts/install.sh emulator

.build/layer/.installed: lambdas/layer/requirements.lock .venv/.installed
	@scripts/install.sh layer

node_modules/.installed: package-lock.json
	@scripts/install.sh node

install: check-tools .venv/.installed .venv-emulator/.installed .build/layer/.installed node_modules/.installed ## Install everything (also done by the other commands)

layer: .build/layer/.installed ## Build the Lambda layer that synth hashes

synth: install ## Synthesise every stack into cdk.out (STAGE=dev|prod|newacct)
	@$(BIN)/python app.py --stage $(STAGE) --output cdk.out

lint: install ## ruff, mypy --strict, and cfn-lint over every stage's templates (audited as they are synthesised), for every region
	@scripts/lint.sh

test-unit: install ## The fast tests (under a minute)
	@$(BIN)/pytest tests/unit

browser:
	@scripts/install.sh browser

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

lock: check-tools ## Renew every *.lock from its requirements; pins stay where they can (ARGS="--upgrade-package idna" lifts one)
	@scripts/lock.sh $(ARGS)

docs: install ## Write the generated pages anew: docs/settings.md and embedded_aws/COVERAGE.md
	@$(BIN)/python -m stacks.settings
	@.venv-emulator/bin/python -m embedded_aws.tools.coverage

bench: install ## Ratios of ways side by side (five minutes); ARGS="--help" has more, such as ARGS="seeds"
	@$(BIN)/python -m local.bench $(ARGS)

clean: down ## Remove every environment, cache and output
	@rm -rf .venv .venv-emulator .build node_modules cdk.out out .run .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
