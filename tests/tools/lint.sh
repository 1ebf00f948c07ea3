#!/bin/sh
# lint.sh -- every check that reads the sources without running them; all run, any may fail.
set -u

failed=
check() {
    name=$1
    shift
    if "$@"; then
        echo "ok    $name"
    else
        echo "FAIL  $name"
        failed="$failed $name"
    fi
}

sources() {
    git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do
        [ ! -e "$f" ] || echo "$f"
    done
}

scripts() {
    sources | while read -r f; do
        case $(head -c 20 "$f" | head -n 1 | tr -d '\0') in
        '#!'*sh*) echo "$f" ;;
        esac
    done
}

format() { sources '*.c' '*.h' | xargs -r clang-format --dry-run -Werror; }
headers() { make -s headers; }
shells() { scripts | xargs -r shellcheck; }
manuals() { sources 'docs/*.[158]' | xargs -r mandoc -T lint -W warning; }

# Leaks are LeakSanitizer's to find: cppcheck does not see what a struct or a map takes over.
# It is shown the list macros, and its own trouble with compound literals is not ours.
analysis() {
    lists=$(echo '#include <sys/queue.h>' | cc -M -x c - | tr ' ' '\n' | grep 'queue\.h$')
    cppcheck -q -j 2 --std=c11 --language=c --enable=warning,performance,portability \
        --inline-suppr --error-exitcode=1 -I . -D_GNU_SOURCE -D__linux__ -D__x86_64__ \
        --include="$lists" --suppress=missingIncludeSystem --suppress=memleak \
        --suppress=internalAstError common certs server client
}

check format format
check layers tests/tools/layers
check headers headers
check cppcheck analysis
check shellcheck shells
check manuals manuals
check sql tests/tools/sql
check claims tests/tools/claims
[ -z "$failed" ] || { echo "lint: failed:$failed" >&2; exit 1; }
