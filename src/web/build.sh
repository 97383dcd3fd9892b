#!/usr/bin/env bash
# Builds the page that trains in a browser: src/web/build.sh OUT writes static files into the folder OUT.
# See it with any server of static files, such as `python3 -m http.server --directory OUT`, at http://localhost:8000.
set -euo pipefail
out=$(realpath -m "${1:?usage: src/web/build.sh OUT}")
cd "$(dirname "$0")/../.."

# The program that writes the JavaScript around the WebAssembly must be of the version of the crate.
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
if [ "$(wasm-bindgen --version 2>/dev/null)" != "wasm-bindgen $version" ]; then
    echo "wasm-bindgen $version is not on PATH; install it: cargo install wasm-bindgen-cli --version $version" >&2
    exit 1
fi

# A toolchain with the target (rustup target add wasm32-unknown-unknown), or Debian's rustc-web, cargo-web, rust-web-src, lld.
build=(rustc --lib --crate-type cdylib --profile page --no-default-features --features web
    --target wasm32-unknown-unknown --target-dir target/wasm)
if [ -d "$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null)" ]; then
    cargo "${build[@]}"
else
    PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld \
        /usr/bin/cargo "${build[@]}" -Z build-std=std,panic_abort
fi

mkdir -p "$out"
wasm-bindgen --target web --no-typescript --out-dir "$out" target/wasm/wasm32-unknown-unknown/page/ebm.wasm
if command -v wasm-opt >/dev/null; then
    wasm-opt -Os --all-features "$out/ebm_bg.wasm" -o "$out/ebm_bg.wasm"
fi
cp src/web/index.html "$out/"
wasm="$out/ebm_bg.wasm"
echo "$out: ebm_bg.wasm has $(stat -c %s "$wasm") bytes, $(gzip -9c "$wasm" | wc -c) as gzip sends it"
