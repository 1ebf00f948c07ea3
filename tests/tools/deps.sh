#!/bin/sh
# deps.sh DIR [lint | faults | bench] -- installs the Debian packages that are missing, then brings mbedTLS 3.6:
# the system's package where that is new enough, else unpacked into DIR.
# With `lint` the tools that only `make lint` and `make fuzz` need are checked instead, with
# `faults` those of `make check-faults`, with `bench` those of `make bench`.
set -eu

dir=$1
what=${2:-build}
build='gcc make pkg-config libsodium-dev libcjson-dev libuv1-dev libsqlite3-dev libncurses-dev
    libreadline-dev libcurl4-openssl-dev uthash-dev libutf8proc-dev libcmocka-dev python3-pytest python3-pexpect
    python3-pyte openssl'
lint='clang-format clang-tidy cppcheck shellcheck clang libclang-rt-14-dev mandoc'
faults='strace faketime util-linux'
bench='libssl-dev mosquitto inspircd nats-server ngircd'
case $what in
    lint) packages=$lint ;;
    faults) packages=$faults ;;
    bench) packages=$bench ;;
    *) packages=$build ;;
esac
packages=$(echo "$packages" | tr -s ' \n' ' ')

have_mbedtls() {
    [ -e "$dir/.complete" ] || pkg-config --atleast-version=3.6 mbedtls 2>/dev/null
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # Elsewhere people know their package manager better than we do.
    have_mbedtls && exit 0
    echo "deps: not a Debian system; install mbedTLS >= 3.6 with static libraries, and what" \
        "Debian calls: $packages" >&2
    exit 1
fi

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install() {
    echo "deps: installing $*"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        install "$@" >/dev/null
}

# What the machine's own release offers, empty when it knows no such package.
offered() {
    apt-cache show --no-all-versions libmbedtls-dev 2>/dev/null | sed -n 's/^Version: //p'
}

# shellcheck disable=SC2086 # a list of names
missing=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null |
    awk -v all="$packages" '
        $2 == "installed" { have[$1] = 1 }
        END { n = split(all, a); for (i = 1; i <= n; i++) if (!have[a[i]]) print a[i] }')
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing

# The bench starts its peers itself: what came just now is not to run as a service too.
if [ "$what" = bench ] && [ -d /run/systemd/system ]; then
    for service in $missing; do
        [ "$service" = libssl-dev ] || as_root systemctl -q disable --now "$service"
    done
fi

if [ "$what" != build ] || have_mbedtls; then
    exit 0
elif dpkg --compare-versions "$(offered)" ge 3.6; then
    install libmbedtls-dev
else
    "$(dirname "$0")/mbedtls.sh" "$dir"
fi
