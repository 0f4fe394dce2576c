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
export HF_HUB_OFFLINE := 1
# Hundreds of processes import the same modules. Without their compiled form each compiles them anew, whatever the shell prefers.
export PYTHONDONTWRITEBYTECODE :=
# Without a home folder to write to, pip's and npm's caches go where everything else is kept.
ifneq ($(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo usable),usable)
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export npm_config_cache := $(CURDIR)/.cache/npm
endif

.PHONY: help install layer lock docs demo up aws down bench pictures pipeline-dry-run test test-unit test-slow test-demo test-operations test-commands lint synth clean check-tools browser

help: ## Show these commands
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

check-tools:
	@scripts/install.sh tools

.venv/.installed: requirements.lock model_code/base-model.lock model_code/requirements.txt
	@scripts/install.sh venv

.venv-emulator/.installed: embedded_aws/requirements.lock
	@scripts/install.sh emulator

.build/layer/.installed: lambdas/layer/requirements.lock lambdas/layer/review-page.lock .venv/.installed
	@scripts/install.sh layer

node_modules/.installed: package-lock.json
	@scripts/install.sh node

install: check-tools .venv/.installed .venv-emulator/.installed .build/layer/.installed node_modules/.installed ## Install everything. The other commands do it, too

layer: .build/layer/.installed ## Build the layers with the packages of the Lambda functions

synth: install ## Write the templates of every stack to cdk.out (STAGE=dev, prod or newacct)
	@$(BIN)/python app.py --stage $(STAGE) --output cdk.out

lint: install ## Run ruff and mypy --strict, synthesise and audit every stage, and run cfn-lint for every region
	@scripts/lint.sh

test-unit: install ## Run the fast tests (a minute and a half)
	@$(BIN)/pytest -n 2 --dist loadfile --hypothesis-profile=quick -m "not slow" tests/unit

browser:
	@scripts/install.sh browser

test: install browser ## Run the tests, except those of the three commands below (under ten minutes)
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not demo and not operations and not slow"

test-slow: install ## Run the tests of a whole deployed app: API, rollouts, capture, alarms, tuning, doctor, killed functions, the CDK CLI (a quarter of an hour)
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m slow

test-demo: install ## Run quick demos to their end, also on an own file, with shuffled and with flipped labels (ten minutes)
	@$(BIN)/pytest -n 2 --dist loadfile -m demo

test-operations: install ## Run the commands of docs/operations.md against the embedded AWS (five minutes)
	@$(BIN)/pytest -m operations

test-commands: install ## Run test-demo and test-operations side by side (a quarter of an hour)
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "demo or operations"

# DATA and how it is read: as the user wrote it, a dollar sign too, and quoted for the shell; the equals sign is for a name like -1.
# Only with DATA, since TEXT or LABEL may be set for something else.
quoted = '$(subst ','\'',$(value $(1)))'
option = $(if $(value $(1)),--$(subst _,-,$(2))=$(call quoted,$(1)))
READING := TEXT:text LABEL:label GROUP:group SLICE:slice SPLIT:split TIME:time VOTES:votes ENCODING:encoding HEADER:header \
	ON_CONFLICT:on_conflict LONG:long ON_BAD:on_bad NEAR_DUPLICATES:near_duplicates MOST_ROWS:most_rows KEY_EXAMPLES:key_examples BASE_MODEL:base_model
data_options = $(if $(value DATA),--data=$(call quoted,DATA) \
	$(foreach pair,$(READING),$(call option,$(word 1,$(subst :, ,$(pair))),$(word 2,$(subst :, ,$(pair))))))

demo: install ## Run the whole loop on this machine and write out/demo/report.html (DATA=texts.csv: on your own texts; ARGS=--help)
	@$(BIN)/python -m local.demo $(data_options) $(ARGS)

up: install ## Run the demo, leave everything running and print the URLs (DATA and ARGS as for demo)
	@$(BIN)/python -m local.demo --keep $(data_options) $(ARGS)

aws: install ## Start an empty embedded AWS and print its variables: eval "$(make -s aws)" (ARGS=--help)
	@$(BIN)/python -m embedded_aws start $(ARGS)

down: ## Stop what make up, make aws or make demo left running
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m embedded_aws stop; else echo "nothing runs, because nothing is installed"; fi

lock: check-tools ## Renew every *.lock from its requirements. Pins stay where they can (ARGS="--upgrade-package idna" lifts one)
	@scripts/lock.sh $(ARGS)

docs: install ## Write the generated pages: docs/settings.md and embedded_aws/COVERAGE.md
	@$(BIN)/python -m stacks.settings
	@.venv-emulator/bin/python -m embedded_aws.tools.coverage

bench: install ## Compare the times of ways of doing one thing (five minutes; ARGS=--help)
	@$(BIN)/python -m local.bench $(ARGS)

bench-%: install ## A longer one: bench-seeds, -texts, -lengths, -review, -rollout, -gates, -queue, -predict (ARGS=--help)
	@$(BIN)/python -m local.bench $* $(ARGS)

pictures: install browser ## Take the pictures of the hosted review page in docs/images from the deployed page (two minutes)
	@$(BIN)/python -m local.demo.pictures $(ARGS)

pipeline-dry-run: install ## Run every command of the deploy and rollout workflows on this machine (some minutes; ARGS=--cdk; ARGS=--help)
	@$(BIN)/python -m local.pipeline $(ARGS)

clean: down ## Remove all environments, caches and outputs
	@rm -rf .venv .venv-emulator .build node_modules cdk.out out .run .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
