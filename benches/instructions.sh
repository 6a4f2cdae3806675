#!/usr/bin/env bash
# Counts the instructions of fixed hot-path cases with callgrind and holds them against benches/instructions.txt:
#   bash benches/instructions.sh          fails if a case takes over 10 % more than its budget
#   bash benches/instructions.sh --keep   makes today's counts the budget
# Needs valgrind. Counts differ by less than 1 % from run to run: names are hashed with a random seed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

budget=benches/instructions.txt
# The last line that names the executable, with or without a build.
binary=$(cargo bench --bench instructions --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\)).*/\1/p')
[ -n "$binary" ] || { echo "the bench could not be built" >&2; exit 1; }
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

over=0
printf '%-10s %14s %14s %8s\n' case budget instructions ratio
for case in $("$binary"); do
    count=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='instructions::measured*' \
        "$binary" "$case" 2>&1 | sed -n 's/.*Collected : \([0-9]*\).*/\1/p')
    [ -n "$count" ] || { echo "$case was not counted" >&2; exit 1; }
    echo "$case $count" >>"$counts"
    kept=$(awk -v name="$case" '$1 == name { print $2 }' "$budget" 2>/dev/null || true)
    ratio=$(awk -v kept="${kept:-0}" -v count="$count" 'BEGIN { if (kept > 0) printf "%.3f", count / kept; else print "new" }')
    printf '%-10s %14s %14s %8s\n' "$case" "${kept:--}" "$count" "$ratio"
    if [ -z "$kept" ] || [ "$count" -gt $((kept + kept / 10)) ]; then
        over=1
    fi
done
if [ "${1:-}" = --keep ]; then
    cp "$counts" "$budget"
    echo "kept in $budget"
elif [ "$over" -ne 0 ]; then
    echo "a case takes over 10 % more instructions than its budget, or has none" >&2
    exit 1
fi
