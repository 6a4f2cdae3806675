#!/usr/bin/env bash
# Shows that the tests of engine and log bite: plants each fault of this folder in a copy of the sources, one at a time,
# and demands that they fail. Usage: bash tests/planted/run.sh [name ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# A place of its own: cargo takes a planted build for the project's, as both are the same package to it.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/planted"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/planted/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi

for name in "${names[@]}"; do
    patch="$PWD/tests/planted/$name.patch"
    rm -rf "${copy:?}"/*
    cp -r Cargo.toml Cargo.lock src tests benches examples README.md "$copy"
    if ! (cd "$copy" && git apply --recount -C1 "$patch"); then
        echo "FAILED $name: the patch does not fit the sources any more, plant it anew"
        exit 1
    fi
    if ! (cd "$copy" && cargo test --quiet --lib --no-run >out 2>&1); then
        echo "FAILED $name: the sources do not compile with it"
        exit 1
    fi
    if (cd "$copy" && cargo test --quiet --lib -- engine:: wal:: >out 2>&1); then
        echo "FAILED $name: no test found it"
        exit 1
    fi
    echo "found $name: $(head -1 "$patch")"
    grep -A1 "panicked at" "$copy/out" | grep -v -e "panicked at" -e '^--' | cut -c1-140 | sed 's/^/    /' | head -3
done
echo "all ${#names[@]} planted faults were found"
