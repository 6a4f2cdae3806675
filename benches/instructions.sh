#!/usr/bin/env bash
# Counts the instructions of fixed hot-path cases with callgrind and holds them against benches/instructions.txt:
#   bash benches/instructions.sh          fails if a count is over 10 % from its budget, above or below
#   bash benches/instructions.sh --keep   makes today's counts the budget
# Needs valgrind. Counts differ by less than 1 % from run to run: names are hashed with a random seed. They also depend
# on the compiler and the target, which the first line of the budget names: with others, ratios are told and judge nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

budget=benches/instructions.txt
counts=$(mktemp)
log=$(mktemp)
trap 'rm -f "$counts" "$log"' EXIT

# Ends with the words given and what the last program said.
give_up() {
    cat "$log" >&2
    echo "$*" >&2
    exit 1
}

cargo bench --bench instructions --no-run >"$log" 2>&1 || give_up "the bench could not be built"
# The last line that names the executable, with or without a build.
binary=$(sed -n 's/.*Executable.*(\(.*\)).*/\1/p' "$log")
[ -n "$binary" ] || give_up "the build names no executable"
cases=$("$binary" 2>"$log") || give_up "the bench does not name its cases"

tools="# rustc $(rustc -vV | awk '$1 == "release:" { release = $2 } $1 == "host:" { host = $2 } END { print release, host }')"
echo "$tools" >"$counts"
kept_tools=$(grep '^#' "$budget" || true)

wrong=0
printf '%-10s %14s %14s %8s\n' case budget instructions ratio
for case in $cases; do
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='instructions::measured*' \
        "$binary" "$case" >"$log" 2>&1 || give_up "$case did not run"
    count=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$log")
    # Zero: no function is called what the toggle asks for.
    [ "${count:-0}" -gt 0 ] || give_up "$case was not counted"
    echo "$case $count" >>"$counts"
    kept=$(awk -v name="$case" '$1 == name { print $2 }' "$budget")
    ratio=$(awk -v kept="${kept:-0}" -v count="$count" 'BEGIN { if (kept > 0) printf "%.3f", count / kept; else print "new" }')
    printf '%-10s %14s %14s %8s\n' "$case" "${kept:--}" "$count" "$ratio"
    if [ -z "$kept" ] || [ "$count" -gt $((kept + kept / 10)) ] || [ "$count" -lt $((kept - kept / 10)) ]; then
        wrong=1
    fi
done
if [ "${1:-}" = --keep ]; then
    cp "$counts" "$budget"
    echo "kept in $budget"
elif [ "$tools" != "$kept_tools" ]; then
    echo "NOT JUDGED: the budget is of '${kept_tools#\# }', this is '${tools#\# }'; to keep these counts run with --keep"
elif [ "$wrong" -ne 0 ]; then
    echo "a count is over 10 % from its budget, or has none: mend what is slow, or if it is right, run with --keep" >&2
    exit 1
fi
