#!/bin/sh
# deps.sh DIR [lint] -- installs the Debian packages that are missing, then brings mbedTLS 3.6
# into DIR. `lint` checks the tools of `make lint` and `make fuzz` instead.
set -eu

dir=$1
build='gcc make pkg-config libsodium-dev libcjson-dev libuv1-dev libsqlite3-dev libncurses-dev
    libreadline-dev uthash-dev libutf8proc-dev libcmocka-dev python3-pytest python3-pexpect
    python3-pyte openssl'
lint='clang-format clang-tidy cppcheck shellcheck clang libclang-rt-14-dev mandoc'
[ "${2:-}" = lint ] && packages=$lint || packages=$build
packages=$(echo "$packages" | tr -s ' \n' ' ')

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # Elsewhere people know their package manager better than we do.
    pkg-config --atleast-version=3.6 mbedtls 2>/dev/null && exit 0
    echo "deps: not a Debian system; install mbedTLS >= 3.6 with static libraries, and what" \
        "Debian calls: $packages" >&2
    exit 1
fi

# shellcheck disable=SC2086 # lists of names
missing=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null |
    awk -v all="$packages" '
        $2 == "installed" { have[$1] = 1 }
        END { n = split(all, a); for (i = 1; i <= n; i++) if (!have[a[i]]) print a[i] }')

if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    # shellcheck disable=SC2086
    echo "deps: installing" $missing
    $sudo apt-get -qq update
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        install $missing >/dev/null
fi
[ "${2:-}" = lint ] || exec sh "$(dirname "$0")/mbedtls.sh" "$dir"
