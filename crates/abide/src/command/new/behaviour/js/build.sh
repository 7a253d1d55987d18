#!/bin/sh
# Builds ../NAME.wasm.
set -eu
cd "$(dirname "$0")"
[ -f node_modules/@bytecodealliance/componentize-js/package.json ] || npm install --no-audit --no-fund
${ABIDE:-abide} wit ../NAME.yaml -o wit
node build.mjs
