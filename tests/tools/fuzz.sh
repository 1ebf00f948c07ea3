#!/bin/sh
# fuzz.sh BUILD SECONDS -- runs each libFuzzer program, new inputs into BUILD/found.
# One that finds something does not keep the others from looking; all findings fail at the end.
# An input worth keeping is copied by hand into tests/fuzz/corpus/NAME; `make check` replays it.
set -eu

build=$1
seconds=$2
failed=
for program in "$build"/libfuzzer/fuzz_*; do
    name=${program##*/fuzz_}
    found=$build/found/$name
    mkdir -p "$found" "tests/fuzz/corpus/$name"
    echo "fuzz: $name for $seconds s"
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$name" ||
        failed="$failed $name"
done
[ -z "$failed" ] || { echo "fuzz: found something:$failed (inputs in $build/found)" >&2; exit 1; }
