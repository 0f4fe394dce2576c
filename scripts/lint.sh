#!/usr/bin/env bash
# ruff, mypy --strict, synthesis of every stage and of the pipelines' roles (which runs the audit rules), and cfn-lint over the templates for every region
# that the settings allow.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
rm -rf .build/lint
for settings in settings/*.yaml; do
  stage=$(basename "$settings" .yaml)
  .venv/bin/python app.py --stage "$stage" --output ".build/lint/$stage"
done
for settings in settings/pipeline/*.yaml; do
  .venv/bin/python app.py --pipeline "$settings" --output ".build/lint/pipeline-$(basename "$settings" .yaml)"
done
mapfile -t regions < <(.venv/bin/python -c 'from typing import get_args; from stacks.settings import Region; print(*get_args(Region), sep="\n")')
.venv/bin/cfn-lint --regions "${regions[@]}" -- .build/lint/*/*.template.json
