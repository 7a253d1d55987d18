#!/bin/sh
# Builds ../NAME.wasm.
set -eu
cd "$(dirname "$0")"
if [ ! -x .venv/bin/componentize-py ]; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet -r requirements.txt
fi
${ABIDE:-abide} wit ../NAME.yaml -o wit
.venv/bin/componentize-py -d wit -w behaviour componentize --stub-wasi app -o ../NAME.wasm
