#!/bin/sh
# mbedtls.sh DIR -- unpacks Debian 13's mbedTLS 3.6 below DIR, touching nothing else.
# The mirror is the one this machine already trusts for Debian; apt checks the signatures.
set -eu

dir=$1
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
packages='libmbedtls-dev libmbedtls21 libmbedx509-7 libmbedcrypto16'

die() {
    echo "deps: $*" >&2
    exit 1
}

# The URIs of the apt sources, one-line or deb822, that serve the running release's main part.
mirrors() {
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk -v r="$release" '
        { sub(/\[[^]]*\]/, "") }
        $1 == "deb" && $3 == r && $4 == "main" { print $2 }'
    awk -v r="$release" '
        FNR == 1 || /^$/ { uri = suites = main = "" }
        /^URIs:/         { uri = $2 }
        /^Suites:/       { suites = $0 " " }
        /^Components:/   { main = / main/ }
        uri != "" && main && index(suites, " " r " ") { print uri; uri = "" }
    ' /etc/apt/sources.list.d/*.sources 2>/dev/null || true
}

uris=$(mirrors)
[ -n "$uris" ] || die "no Debian mirror in /etc/apt; install mbedTLS 3.6 with its static libraries"
[ -r "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"

rm -rf "$dir"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/apt/empty"
dir=$(cd "$dir" && pwd)
: >"$dir/apt/status"

private_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$dir/apt/sources.list" \
        -o Dir::Etc::SourceParts="$dir/apt/empty" -o Dir::Etc::PreferencesParts="$dir/apt/empty" \
        -o Dir::State="$dir/apt" -o Dir::State::Lists="$dir/apt/lists" \
        -o Dir::State::Status="$dir/apt/status" -o Dir::Cache="$dir/apt" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
        -o Acquire::Retries=3 "$@"
}

fetch_from() {
    echo "deb [signed-by=$keyring] $1 $suite main" >"$dir/apt/sources.list"
    # shellcheck disable=SC2086 # a list of names
    private_apt update && (cd "$dir/apt" && private_apt download $packages)
}

echo "deps: fetching mbedTLS 3.6 of Debian $suite into $dir"
got=false
for uri in $uris; do
    if fetch_from "$uri"; then
        got=true
        break
    fi
done
$got || die "no mirror of this machine gave mbedTLS 3.6 of $suite; see apt's words above"
for deb in "$dir"/apt/*.deb; do
    dpkg-deb -x "$deb" "$dir"
done

# One flat place for the compiler, whatever the architecture's library folder is called.
ln -s usr/include "$dir/include"
(cd "$dir" && ln -s usr/lib/*-linux-* lib)
[ -e "$dir/lib/libmbedtls.a" ] || die "the packages hold no libmbedtls.a"
rm -rf "$dir/apt"
: >"$dir/.complete"
