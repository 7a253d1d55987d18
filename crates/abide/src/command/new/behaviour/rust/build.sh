#!/bin/sh
# Builds ../NAME.wasm. Cargo says what to do where the target is missing: `rustup target add wasm32-unknown-unknown`.
set -eu
cd "$(dirname "$0")"
cargo build --release --target wasm32-unknown-unknown
${ABIDE:-abide} componentize "${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/release/behaviour.wasm" -o ../NAME.wasm
