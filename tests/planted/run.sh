#!/usr/bin/env bash
# Shows that the tests of engine and log bite: plants each fault of this folder in a copy of the sources, one at a time,
# and demands that they fail. Usage: bash tests/planted/run.sh [name ...]
# EBBTIDE_PLANTED_SECONDS=n begins no further fault after n seconds and says how many were left out; those that are tried
# change with the day.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# A place of its own: cargo takes a planted build for the project's, as both are the same package to it.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/planted"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
rooms=(wal:: engine::write_tests:: engine::flush_tests:: engine::fault_tests::cases engine::fault_tests::jobs engine::fault_tests::reads
    engine::backup_tests:: engine::crash_tests:: engine::fault_tests:: engine::)
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/planted/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi

# Another one comes first each day, so that a bound leaves out different ones.
if [ -n "${EBBTIDE_PLANTED_SECONDS:-}" ]; then
    first=$(($(date +%s) / 86400 * 7 % ${#names[@]}))
    names=("${names[@]:first}" "${names[@]:0:first}")
fi
tried=0
for name in "${names[@]}"; do
    if [ -n "${EBBTIDE_PLANTED_SECONDS:-}" ] && [ "$SECONDS" -ge "$EBBTIDE_PLANTED_SECONDS" ]; then
        break
    fi
    tried=$((tried + 1))
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
    # The quick ones first: most faults are found by them.
    found=
    for room in "${rooms[@]}"; do
        if ! (cd "$copy" && cargo test --quiet --lib -- "$room" >out 2>&1); then
            found=$room
            break
        fi
    done
    if [ -z "$found" ]; then
        echo "FAILED $name: no test found it"
        exit 1
    fi
    echo "found $name by $found: $(head -1 "$patch")"
    grep -A1 "panicked at" "$copy/out" | grep -v -e "panicked at" -e '^--' | cut -c1-140 | sed 's/^/    /' | head -3
done
echo "$tried of ${#names[@]} planted faults were tried, and all of them found"
