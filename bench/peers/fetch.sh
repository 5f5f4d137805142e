#!/usr/bin/env bash
# Puts the peers' browser builds, from npm, into vendor/ beside this script, which git ignores. Needs npm.
# PEERS.txt there says which versions.  usage: bench/peers/fetch.sh [wllama version] [Transformers.js version]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --ignore-scripts --silent --no-audit --no-fund "@wllama/wllama@${1:-3.8.1}" "@huggingface/transformers@${2:-4.3.1}"
rm -rf "$here/vendor"
mkdir -p "$here/vendor/wllama" "$here/vendor/transformers"
cp node_modules/@wllama/wllama/esm/index.js node_modules/@wllama/wllama/esm/wasm/wllama.wasm "$here/vendor/wllama/"
cp node_modules/@huggingface/transformers/dist/transformers.min.js "$here/vendor/transformers/"
runtime=$(find node_modules -type d -path '*onnxruntime-web/dist' | head -1)
cp "$runtime"/ort-wasm-simd-threaded.asyncify.{mjs,wasm} "$here/vendor/transformers/"
for package in @wllama/wllama @huggingface/transformers onnxruntime-web; do
  node -p "const p = require('./node_modules/$package/package.json'); p.name + ' ' + p.version"
done | tee "$here/vendor/PEERS.txt"
tar -C "$here" -czf "$here/vendor.tar.gz" vendor  # for a machine without a network
du -sh "$here/vendor" "$here/vendor.tar.gz"
