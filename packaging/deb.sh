#!/bin/sh
# Makes the Debian package: the program, its manual pages and its completions. Needs cargo-deb.
set -eu
cd "$(dirname "$0")/.."
cargo build --release --locked -p tercet --features cli --bin tercet
program=target/release/tercet
mkdir -p target/deb
"$program" man target/deb/man
for shell in bash zsh fish; do
    "$program" completions "$shell" > "target/deb/tercet.$shell"
done
cargo deb --no-build --locked
