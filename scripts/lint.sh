#!/usr/bin/env bash
# ruff, mypy --strict, synthesis of every stage and of the pipelines' roles (which runs the audit rules), and cfn-lint over the templates for every region
# that the settings allow. A stage is synthesised again only after a change to what it is made of. mypy works beside the rest, and cfn-lint on two
# halves of the templates at once.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy &
types=$!
trap 'kill "$types" 2>/dev/null || true' EXIT
rm -rf .build/lint
for settings in settings/*.yaml; do
  .venv/bin/python -m local.assemblies "$settings" ".build/lint/$(basename "$settings" .yaml)"
done
for settings in settings/pipeline/*.yaml; do
  .venv/bin/python app.py --pipeline "$settings" --output ".build/lint/pipeline-$(basename "$settings" .yaml)"
done
mapfile -t regions < <(.venv/bin/python -c 'from typing import get_args; from stacks.settings import Region; print(*get_args(Region), sep="\n")')
templates=(.build/lint/*/*.template.json)
printf '%s\0' "${templates[@]}" | xargs -0 -P 2 -n $(((${#templates[@]} + 1) / 2)) .venv/bin/cfn-lint --regions "${regions[@]}" --
wait "$types"
