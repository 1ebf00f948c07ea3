#!/bin/sh
# x509_fixtures.sh -- writes tests/unit/crypto/x509_fixtures.h: certificates that our own code
# refuses to make (weak, version 1, unknown extensions), by openssl. Valid 2026 to 2036.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
leaf="basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:relay.example"
key root.key
key leaf.key
openssl req -new -x509 -key root.key -subj /CN=fixtures -days 3650 -sha256 -out root.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
sign() { # NAME KEY DIGEST EXTENSIONS
    openssl req -new -key "$2" -subj /CN=relay.example -out csr.pem
    echo "$4" >ext
    openssl x509 -req -in csr.pem -CA root.pem -CAkey root.key -days 3650 "-$3" \
        ${4:+-extfile ext} -out "$1.pem" 2>/dev/null
}
openssl genrsa -out rsa1024.key 1024 2>/dev/null
openssl ecparam -name secp384r1 -genkey -noout -out p384.key
sign good leaf.key sha256 "$leaf"
sign sha1 leaf.key sha1 "$leaf"
sign rsa1024 rsa1024.key sha256 "$leaf"
sign p384 p384.key sha256 "$leaf"
sign version1 leaf.key sha256 ""
sign critical leaf.key sha256 "$leaf
1.2.3.4=critical,ASN1:NULL"
sign any_eku leaf.key sha256 "$(echo "$leaf" | sed 's/serverAuth/anyExtendedKeyUsage/')"
sign two_eku leaf.key sha256 "$(echo "$leaf" | sed 's/serverAuth/serverAuth,codeSigning/')"
sign limits leaf.key sha256 "$leaf
nameConstraints=permitted;DNS:other.example"
sign harmless leaf.key sha256 "$leaf
1.2.3.4=ASN1:NULL"

{
    echo "/* Written by tests/tools/x509_fixtures.sh. */"
    for f in root good sha1 rsa1024 p384 version1 critical any_eku two_eku limits harmless; do
        echo "static const char fixture_${f}[] ="
        openssl x509 -in $f.pem -outform DER | od -An -v -tx1 -w45 | tr -d ' ' |
            sed 's/.*/    "&"/; $s/$/;/'
    done
} >"$OLDPWD/tests/unit/crypto/x509_fixtures.h"
