#!/bin/sh
# Builds ../NAME.wasm.
set -eu
cd "$(dirname "$0")"
[ -d node_modules ] || npm install --no-audit --no-fund
${ABIDE:-abide} wit ../NAME.yaml -o wit
node build.mjs
