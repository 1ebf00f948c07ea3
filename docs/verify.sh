#!/bin/sh
# verify.sh FILE [CA [CRL]] -- is a bundle of evidence true? Needs nothing of Countersign: POSIX sh with
# its utilities, and openssl 1.1.1 or newer. Asks what common/chat/judge.c asks, in the same order;
# docs/evidence.md says why. CA is the root certificate that you believe, CRL a newer revocation list of
# the issuer than the one inside; PEM or DER.
# Exit 0: VALID. 77: UNANCHORED, all is consistent under a root that nobody brought. 65: INVALID, with
# the file (and line in it) and what is wrong. 64, 66: used wrongly.
# shellcheck disable=SC2015 # behind || stands always `wrong`, which ends the program
set -u
LC_ALL=C
export LC_ALL
umask 077

guide_sha256=cdc46975dcb006967527f2f39d4339544dff47740e1395bc2dc0c94c9ea727e8
evidence_use=2.25.8406729532635785283492383773779946475
zeros=0000000000000000000000000000000000000000000000000000000000000000
bundle_max=536870912
bundle_certs_max=4096
transcript_max=1048576
ts_future_ms=300000

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
    echo 'usage: verify.sh FILE [CA [CRL]]' >&2
    exit 64
fi
for file in "$@"; do
    if [ ! -r "$file" ]; then
        echo 'verify.sh: a file cannot be read' >&2
        exit 66
    fi
done
file=$1
ca=${2-}
given=${3-}
work=${TMPDIR:-/tmp}/verify.$$
mkdir "$work" && mkdir "$work/certs" || exit 66
trap 'rm -rf "$work"' EXIT
trap 'exit 70' HUP INT TERM

where=bundle
wrong() {
    echo "INVALID"
    echo "$where: $1"
    exit 65
}

# --- small things ------------------------------------------------------------------------------

sha() { openssl dgst -sha256 -binary; }
sha_hex() {
    sha_out=$(openssl dgst -sha256 -r)
    echo "${sha_out%% *}"
}
length() { echo $(($(wc -c < "$1"))); }

# A number from 0 to 2^53 - 1 in its one spelling.
number() {
    case $1 in
    '' | *[!0-9]* | 0?*) return 1 ;;
    esac
    [ ${#1} -le 16 ] && [ "$1" -le 9007199254740991 ]
}

# HEX DIGITS
hex() {
    case $1 in
    *[!0-9a-f]*) return 1 ;;
    esac
    [ ${#1} -eq "$2" ]
}

# TEXT OUT: base64 in its one spelling: these letters, whole groups, no spare bits.
base64() {
    padding=${1##*[!=]}
    letters=${1%"$padding"}
    case $letters in
    '' | *[!A-Za-z0-9+/]*) return 1 ;;
    esac
    case $1 in
    *[AQgw]== | *[AEIMQUYcgkosw048]= | *[!=]) ;;
    *) return 1 ;;
    esac
    [ $((${#1} % 4)) -eq 0 ] && printf '%s\n' "$1" | openssl base64 -d -A > "$2" 2> "$work/log"
}

# MONTH DAY H:M:S YEAR, as openssl prints dates, in ms since 1970.
ms() {
    case $1 in
    Jan) set -- 1 "$2" "$3" "$4" ;; Feb) set -- 2 "$2" "$3" "$4" ;;
    Mar) set -- 3 "$2" "$3" "$4" ;; Apr) set -- 4 "$2" "$3" "$4" ;;
    May) set -- 5 "$2" "$3" "$4" ;; Jun) set -- 6 "$2" "$3" "$4" ;;
    Jul) set -- 7 "$2" "$3" "$4" ;; Aug) set -- 8 "$2" "$3" "$4" ;;
    Sep) set -- 9 "$2" "$3" "$4" ;; Oct) set -- 10 "$2" "$3" "$4" ;;
    Nov) set -- 11 "$2" "$3" "$4" ;; *) set -- 12 "$2" "$3" "$4" ;;
    esac
    ms_h=${3%%:*} ms_s=${3##*:} ms_m=${3#*:}
    ms_m=${ms_m%:*}
    # Days since 1 March of the year 0, which puts the leap day at the end of a year.
    ms_y=$(($4 - ($1 <= 2)))
    ms_d=$((ms_y * 365 + ms_y / 4 - ms_y / 100 + ms_y / 400 + (153 * (($1 + 9) % 12) + 2) / 5 + $2))
    echo $((((ms_d - 719469) * 86400 + ${ms_h#0} * 3600 + ${ms_m#0} * 60 + ${ms_s#0}) * 1000))
}

# KIND FILE OPTIONS: FILE.der is one certificate (x509) or list (crl) and nothing else. What openssl
# says of it, with its PEM at the end, goes to FILE.info.
der_read() {
    der_kind=$1 der_file=$work/$2
    shift 2
    openssl "$der_kind" -inform DER -in "$der_file.der" "$@" > "$der_file.info" 2> "$work/log" &&
        sed -n '/^-----BEGIN [CX][E5]/,/^-----END [CX][E5]/p' "$der_file.info" > "$der_file.pem" &&
        sed '/^-/d' "$der_file.pem" | openssl base64 -d | cmp -s - "$der_file.der"
}

# FILE NAME: what its info says behind NAME=.
told() { sed -n "s/^$2=//p" "$work/$1.info"; }

# KEY SIGNATURE TEXT
signed() {
    openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 \
        -verify "$1" -signature "$2" "$3" > "$work/log" 2>&1
}

# --- the archive: every header is what name and size make it -----------------------------------

nuls_512=$(printf '%0512d' 0 | sed 's/0/\\000/g')
# shellcheck disable=SC2059 # a format of escapes
nuls() { printf "$(printf "%.$(($1 * 4))s" "$nuls_512")"; }

# TEXT: the sum of its bytes, in $sum.
sum_of() {
    sum=0
    sum_rest=$1
    while [ -n "$sum_rest" ]; do
        sum=$((sum + $(printf '%d' "'$sum_rest")))
        sum_rest=${sum_rest#?}
    done
}

# NAME OCTAL-SIZE: the header they make. What is the same in all of them sums up to 3181.
header() {
    sum_of "$1$2"
    printf '%s' "$1"
    nuls $((100 - ${#1}))
    printf '0000644\0000000000\0000000000\000%s\00000000000000\000%06o\000 0' "$2" $((sum + 3181))
    nuls 100
    printf 'ustar\00000'
    nuls 64
    printf '0000000\0000000000\000'
    nuls 167
}

# BLOCK COUNT OUT
blocks() { dd if="$file" bs=512 skip="$1" count="$2" of="$3" 2> "$work/log"; }

# Two blocks of zeros, and nothing behind them.
end_of_archive() {
    blocks "$at" 3 "$work/data"
    { nuls 512 && nuls 512; } | cmp -s - "$work/data" || wrong 'no archive ends like this'
}

# Takes the next file out of the archive: its name, and its content in $work/data. False at the end.
at=0
next_file() {
    where=bundle
    blocks "$at" 1 "$work/head"
    tr -s '\000' '\n' < "$work/head" > "$work/fields"
    { read -r name && read -r mode && read -r _ && read -r _ && read -r size; } \
        < "$work/fields" || mode=
    if [ -z "$name$mode" ]; then
        end_of_archive
        return 1
    fi
    case $name in
    '' | *[!A-Za-z0-9./-]*) wrong 'a header that we do not write' ;;
    esac
    case $size in
    *[!0-7]*) wrong 'a header that we do not write' ;;
    esac
    [ ${#name} -le 96 ] && [ ${#size} -eq 11 ] && header "$name" "$size" | cmp -s - "$work/head" ||
        wrong 'a header that we do not write'
    size=$((0$size))
    filled=$(((size + 511) / 512))
    : > "$work/data"
    if [ "$size" -gt 0 ]; then
        blocks $((at + 1)) "$filled" "$work/raw"
        dd if="$work/raw" bs="$size" count=1 of="$work/data" 2> "$work/log"
        { cat "$work/data" && nuls $((filled * 512 - size)); } | cmp -s - "$work/raw" &&
            [ "$(length "$work/data")" -eq "$size" ] || wrong 'cut off or badly filled up'
    fi
    at=$((at + 1 + filled))
}

unpack() {
    [ "$(length "$file")" -le $bundle_max ] || wrong 'too big'
    files='VERIFY.txt checkpoint.txt checkpoint.sig later.txt'
    while [ -n "$files" ]; do
        next_file || wrong "${files%% *} is missing"
        where=$name
        if [ "$files $name" = 'later.txt transcript.txt' ]; then
            kind=messages
            files='transcript.txt proof.txt root.der issuer.der crl.der'
        elif [ "$files" = later.txt ]; then
            kind=contradiction
            files='later.txt later.sig proof.txt root.der issuer.der crl.der'
        fi
        [ "$name" = "${files%% *}" ] || wrong 'not the file that follows here'
        mv "$work/data" "$work/$name"
        case $files in
        *' '*) files=${files#* } ;;
        *) files= ;;
        esac
    done
    : > "$work/list"
    certs=0
    while next_file; do
        where=$name
        [ $certs -lt $bundle_certs_max ] || wrong 'too many certificates'
        certs=$((certs + 1))
        fp=${name#certs/}
        fp=${fp%.der}
        hex "$fp" 64 && [ "$name" = "certs/$fp.der" ] &&
            [ "$(sha_hex < "$work/data")" = "$fp" ] ||
            wrong 'not a certificate under its own SHA-256'
        echo "$fp" >> "$work/list"
        sort -c -u "$work/list" 2> "$work/log" || wrong 'the certificates are not in order'
        mv "$work/data" "$work/$name"
    done
    where=VERIFY.txt
    [ "$(sha_hex < "$work/VERIFY.txt")" = $guide_sha256 ] || wrong 'not the text of this version'
}

# --- certificates ------------------------------------------------------------------------------

# The default directories must not help: what is believed stands in the bundle.
alone=-no-CApath
openssl verify -help 2>&1 | grep -q no-CAstore && alone='-no-CApath -no-CAstore'

# NAME: NAME.der is a whole list of the issuer; "SERIAL MS" of each certificate revoked goes to
# NAME.revoked.
list_read() {
    der_read crl "$1" -text -lastupdate -nextupdate -CAfile "$work/issuer.pem" ||
        wrong 'not a revocation list'
    grep -q '^verify OK' "$work/log" &&
        sed -n '/X509v3 Key Usage/{n;p;}' "$work/issuer.info" | grep -q 'CRL Sign' ||
        wrong 'the issuer did not sign this revocation list'
    sed '/Revoked Certificates[.:]$/q' "$work/$1.info" > "$work/list_head"
    grep -q '^ *Version 2 (0x1)$' "$work/list_head" &&
        grep -q '^ *X509v3 CRL Number:' "$work/list_head" &&
        [ -n "$(told "$1" nextUpdate)" ] || wrong 'not a revocation list of version 2 with a number'
    ! grep -q ': critical$' "$work/list_head" || wrong 'a revocation list that is not the whole one'
    sed -n 's/^ *Serial Number: *//p; s/^ *Revocation Date: *//p' "$work/$1.info" |
        while read -r serial && read -r month day time year _; do
            echo "$serial $(ms "$month" "$day" "$time" "$year")"
        done > "$work/$1.revoked"
}

trust() {
    for name in root issuer; do
        where=$name.der
        der_read x509 $name -text -subject_hash -dates && grep -q 'CA:TRUE' "$work/$name.info" ||
            wrong 'not a CA certificate'
    done
    where=root.der
    # shellcheck disable=SC2086 # two words
    openssl verify -no_check_time -check_ss_sig $alone -CAfile "$work/root.pem" \
        "$work/root.pem" > "$work/log" 2>&1 || wrong 'its own signature does not verify'
    issuer_hash=$(sed -n '/^[0-9a-f]\{8\}$/p' "$work/issuer.info")
    where=crl.der
    list_read crl
    # shellcheck disable=SC2046 # the words of a date
    crl_until=$(ms $(told crl nextUpdate))
    where=root.der
    anchored=no
    [ -n "$ca" ] || return 0
    { openssl x509 -in "$ca" -outform DER -out "$work/ca.der" ||
        openssl x509 -inform DER -in "$ca" -outform DER -out "$work/ca.der"; } 2> "$work/log" ||
        wrong 'the CA that was given is no certificate'
    cmp -s "$work/ca.der" "$work/root.der" || wrong 'not the CA that was given'
    anchored=yes
}

# A list that whoever checks has brought counts beside the one inside.
given_list() {
    cp "$work/crl.revoked" "$work/revoked"
    [ -n "$given" ] || return 0
    where='the list that was given'
    { openssl crl -in "$given" -outform DER -out "$work/given.der" ||
        openssl crl -inform DER -in "$given" -outform DER -out "$work/given.der"; } 2> "$work/log" ||
        wrong 'not a revocation list'
    list_read given
    cat "$work/given.revoked" >> "$work/revoked"
}

# FP: the certificate is readable, its key becomes FP.key.
cert_open() {
    where=certs/$1.der
    der_read x509 "certs/$1" -pubkey -serial -issuer_hash -dates -subject \
        -nameopt sep_multiline,sname,utf8,esc_ctrl -ext subjectAltName,extendedKeyUsage,keyUsage ||
        wrong 'not a certificate'
    sed -n '/^-----BEGIN PUB/,/^-----END PUB/p' "$work/certs/$1.info" > "$work/certs/$1.key"
}

# FP PART: CN or OU of its subject, its bytes; a control byte is another text then.
part() { sed -n "s/^    $2=//p" "$work/certs/$1.info" | sed 's/\\\\/\\/g'; }

# TEXT: as it stands in a URI.
percent() {
    printf '%s' "$1" | od -An -v -tx1 | tr ' ' '\n' | tr a-f A-F | while read -r byte; do
        case $byte in
        '') ;;
        3[0-9] | 4[1-9A-F] | 5[0-9A] | 6[1-9A-F] | 7[0-9A] | 2D | 2E | 5F | 7E)
            # shellcheck disable=SC2059 # an escape
            printf "\\$(printf %o "0x$byte")"
            ;;
        *) printf '%%%s' "$byte" ;;
        esac
    done
}

# NAME MS: its dates hold then; the last second counts as a whole.
in_date() {
    # shellcheck disable=SC2046 # the words of a date
    [ "$2" -ge "$(ms $(told "$1" notBefore))" ] &&
        [ "$2" -lt $(($(ms $(told "$1" notAfter)) + 1000)) ]
}

# FP MS: the chain at that time, revocation.
cert_at() {
    where=certs/$1.der
    # shellcheck disable=SC2086 # two words
    openssl verify -x509_strict -auth_level 2 -no_check_time $alone \
        -CAfile "$work/root.pem" -untrusted "$work/issuer.pem" "$work/certs/$1.pem" > "$work/log" 2>&1 ||
        wrong "$(sed -n 's/^error [0-9]* at //p' "$work/log")"
    in_date "certs/$1" "$2" && in_date issuer "$2" && in_date root "$2" ||
        wrong 'it, or a CA above it, was not valid then'
    sed -n "s/^$(told "certs/$1" serial) //p" "$work/revoked" > "$work/dates"
    while read -r when; do
        [ "$when" -gt "$2" ] || wrong 'revoked'
    done < "$work/dates"
}

# FP USE: who issued it, and what it may be used for: this and nothing else.
cert_for() {
    where=certs/$1.der
    grep -q "^$issuer_hash\$" "$work/certs/$1.info" || wrong 'issued by another CA'
    uses=$(sed -n '/^X509v3 Extended Key Usage/{n;s/^ *//p;}' "$work/certs/$1.info")
    [ "$uses" = "$2" ] || wrong 'made for another role'
    uses=$(sed -n '/^X509v3 Key Usage/{n;s/^ *//p;}' "$work/certs/$1.info")
    case $uses in
    *'Certificate Sign'* | *'CRL Sign'*) wrong "its key usage is a CA's" ;;
    'Digital Signature, Non Repudiation'*) ;;
    *) wrong 'the key usage is wrong for this role' ;;
    esac
    names=$(sed -n '/^X509v3 Subject Alternative Name/{n;s/^ *//p;}' "$work/certs/$1.info")
    [ -n "$names" ] || wrong 'no subject alternative name'
}

# FP: its one name says again what its subject says.
cert_of_device() {
    cert_for "$1" 'TLS Web Client Authentication'
    cn=$(part "$1" CN) ou=$(part "$1" OU)
    [ -n "$cn" ] && [ -n "$ou" ] && [ "$names" = "URI:countersign:$(percent "$cn")/$(percent "$ou")" ] ||
        wrong "its name is not its subject's"
}

# --- checkpoints -------------------------------------------------------------------------------

# NAME: NAME.txt and NAME.sig. Sets room, size, time, signer; the root goes to NAME.root.
checkpoint() {
    where=$1.txt
    { read -r origin && read -r size && read -r root && read -r t && read -r s; } \
        < "$work/$1.txt" || wrong 'no checkpoint of a room'
    room=${origin#countersign-checkpoint-1/room/}
    time=${t#time }
    signer=${s#signer }
    hex "$room" 32 || wrong 'line 1: no checkpoint of a room'
    number "$size" && [ "$size" -gt 0 ] || wrong 'line 2: the size'
    base64 "$root" "$work/$1.root" && [ "$(length "$work/$1.root")" -eq 32 ] ||
        wrong 'line 3: the root'
    number "$time" || wrong 'line 4: the time'
    hex "$signer" 64 || wrong 'line 5: the signer'
    printf 'countersign-checkpoint-1/room/%s\n%s\n%s\ntime %s\nsigner %s\n' \
        "$room" "$size" "$root" "$time" "$signer" | cmp -s - "$work/$1.txt" ||
        wrong 'not its only spelling'
    [ -f "$work/certs/$signer.der" ] || wrong "its signer's certificate is not here"
    where=crl.der
    [ "$time" -le "$crl_until" ] || wrong 'out of date when the checkpoint was signed'
    cert_open "$signer"
    cert_at "$signer" "$time"
    cert_for "$signer" $evidence_use
    where=$1.sig
    signed "$work/certs/$signer.key" "$work/$1.sig" "$work/$1.txt" ||
        wrong 'the signature is wrong'
}

# --- hash trees: RFC 6962, RFC 9162 2.1 ----------------------------------------------------------

# Where a tree of N leaves is split.
split() {
    k=1
    while [ $((k * 2)) -lt "$1" ]; do
        k=$((k * 2))
    done
    echo $k
}

join() { { printf '\001' && cat "$1" "$2"; } | sha; }

# proof.txt as bytes, 32 a hash.
proof_read() {
    where=proof.txt
    : > "$work/proof"
    proof_n=0
    proof_at=0
    while IFS= read -r h; do
        base64 "$h" "$work/h" && [ "$(length "$work/h")" -eq 32 ] && [ "$proof_n" -lt 128 ] ||
            wrong "line $((proof_n + 1)): not a hash"
        cat "$work/h" >> "$work/proof"
        proof_n=$((proof_n + 1))
    done < "$work/proof.txt"
    [ "$(length "$work/proof.txt")" -eq $((proof_n * 45)) ] || wrong 'not only hashes'
}

# OUT: the next hash of the proof.
take() {
    [ "$proof_at" -lt "$proof_n" ] || wrong 'too short'
    dd if="$work/proof" bs=32 skip="$proof_at" count=1 of="$1" 2> "$work/log"
    proof_at=$((proof_at + 1))
}

# A B OUT: the root of the leaves A to B - 1; those from $from to $to - 1 are known.
range_root() {
    if [ "$2" -le "$from" ] || [ "$1" -ge "$to" ]; then
        take "$3"
    elif [ $(($2 - $1)) -eq 1 ]; then
        dd if="$work/leaves" bs=32 skip=$(($1 - from)) count=1 of="$3" 2> "$work/log"
    else
        set -- "$1" "$2" "$3" $(($1 + $(split $(($2 - $1)))))
        if [ "$4" -le "$from" ]; then
            range_root "$4" "$2" "$3r"
            range_root "$1" "$4" "$3l"
        else
            range_root "$1" "$4" "$3l"
            range_root "$4" "$2" "$3r"
        fi
        join "$3l" "$3r" > "$3"
        rm "$3l" "$3r"
    fi
}

# M N WHOLE: the place of N leaves of which the older tree has M; its root then and now, in older and
# newer.
pair_root() {
    if [ "$1" -eq "$2" ]; then
        if [ "$3" = whole ]; then cp "$work/then" "$work/older"; else take "$work/older"; fi
        cp "$work/older" "$work/newer"
        return
    fi
    set -- "$1" "$2" "$3" "$(split "$2")"
    if [ "$1" -le "$4" ]; then
        pair_root "$1" "$4" "$3"
        take "$work/h"
        join "$work/newer" "$work/h" > "$work/h2"
    else
        pair_root $(($1 - $4)) $(($2 - $4)) part
        take "$work/h"
        join "$work/h" "$work/older" > "$work/h2" && mv "$work/h2" "$work/older"
        join "$work/h" "$work/newer" > "$work/h2"
    fi
    mv "$work/h2" "$work/newer"
}

# --- messages ----------------------------------------------------------------------------------

# The line that the author signed, in $work/line: sets its fields.
line_read() {
    IFS='|' read -r word l_room epoch seq ts author prev body_hash commitment seen < "$work/line" ||
        [ -n "$seen" ] || wrong 'entry: the word of the line'
    seen_number=${seen%%.*}
    seen_head=${seen#*.}
    [ "$word" = countersign-entry-1 ] || wrong 'entry: the word of the line'
    hex "$l_room" 32 || wrong 'entry: the room of the line'
    number "$epoch" || wrong 'entry: the epoch of the line'
    number "$seq" && [ "$seq" -gt 0 ] || wrong 'entry: the seq of the line'
    number "$ts" || wrong 'entry: the time of the line'
    hex "$author" 64 || wrong 'entry: the author of the line'
    hex "$prev" 64 || wrong 'entry: the prev of the line'
    hex "$body_hash" 64 || wrong 'entry: the body hash of the line'
    hex "$commitment" 64 || wrong 'entry: the commitment of the line'
    number "$seen_number" && hex "$seen_head" 64 || wrong 'entry: the seen of the line'
    printf '%s' "$word|$l_room|$epoch|$seq|$ts|$author|$prev|$body_hash|$commitment|$seen" |
        cmp -s - "$work/line" || wrong 'entry: the word of the line'
}

# The relay took it before it signed the checkpoint, and takes nothing from the future.
times_check() {
    [ "$received" -le "$time" ] || wrong 'ts: received after the checkpoint was signed'
    [ "$ts" -le $((received + ts_future_ms)) ] ||
        wrong "entry: signed by a clock too far ahead of the relay's"
}

# prev is a line before, of the same account.
account_check() {
    before=$(sed -n "s/^$prev //p" "$work/lines")
    [ -n "$before" ] || wrong 'prev is no line before this one'
    [ "$(part "${before%%[!0-9a-f]*}" CN)" = "$(part "$fp" CN)" ] ||
        wrong 'prev is a line of another account'
}

# What the author said before, in this bundle.
chain_check() {
    line_hash=$(sha_hex < "$work/line")
    if [ -f "$work/certs/$fp.seq" ]; then
        [ "$seq" -eq $(($(cat "$work/certs/$fp.seq") + 1)) ] &&
            [ "$prev" = "$(cat "$work/certs/$fp.prev")" ] ||
            wrong "the author's messages do not follow each other"
    elif [ "$first" -eq 1 ]; then
        [ "$seq" -eq 1 ] || wrong 'a message of this author before this one is missing'
        [ "$prev" = $zeros ] || account_check
    fi
    echo "$seq" > "$work/certs/$fp.seq"
    echo "$line_hash" > "$work/certs/$fp.prev"
    echo "$line_hash $fp" >> "$work/lines"
}

seen_check() {
    [ "$seen_number" -lt "$number" ] || wrong 'entry: the author has seen what comes after it'
    if [ "$seen_number" -eq 0 ]; then
        known=$zeros
    elif [ "$first" -eq 1 ]; then
        known=$(sed -n "${seen_number}p" "$work/heads")
    else
        return 0
    fi
    [ "$seen_head" = "$known" ] || wrong 'entry: the author has seen another history'
}

# $work/ct: the line, and behind a line feed the body, if it is shown.
body_check() {
    n=$(length "$work/line")
    if [ "$(length "$work/ct")" -eq "$n" ]; then
        withheld=$((withheld + 1))
        return
    fi
    tail -c +$((n + 2)) "$work/ct" > "$work/body"
    n=$(length "$work/body")
    [ "$n" -gt 32 ] && [ "$n" -le 409632 ] || wrong "entry: a body of $n bytes"
    [ "$(sha_hex < "$work/body")" = "$body_hash" ] ||
        wrong 'entry: the body is not the one that was signed'
    [ "$({ printf '\002' && cat "$work/body"; } | sha_hex)" = "$commitment" ] ||
        wrong 'entry: the commitment does not open to the content'
}

record_read() {
    case $record in
    *[!\ -~]*) wrong 'bytes that are no text' ;;
    esac
    rest=$record
    number=${rest%%|*} rest=${rest#*|}
    received=${rest%%|*} rest=${rest#*|}
    ct=${rest%%|*} rest=${rest#*|}
    sig=${rest%%|*} fp=${rest#*|}
    number "$number" && [ "$number" -gt 0 ] || wrong 'seqno'
    number "$received" || wrong 'ts'
    base64 "$ct" "$work/ct" || wrong 'ct'
    sed 1q "$work/ct" | tr -d '\n' > "$work/line"
    n=$(length "$work/line")
    [ "$n" -ge 1 ] && [ "$n" -le 512 ] && [ "$(length "$work/ct")" -ne $((n + 1)) ] || wrong 'ct'
    base64 "$sig" "$work/sig" || wrong 'sig'
    hex "$fp" 64 || wrong 'peer_cert_fingerprint'
}

author_times() {
    least=$received
    most=$received
    said=0
    # shellcheck source=/dev/null # three assignments, written below
    [ ! -f "$work/certs/$fp.times" ] || . "$work/certs/$fp.times"
    [ "$received" -ge "$least" ] || least=$received
    [ "$received" -le "$most" ] || most=$received
    echo "least=$least most=$most said=$((said + 1))" > "$work/certs/$fp.times"
}

record_judge() {
    [ "$count" -lt $transcript_max ] || wrong 'too many lines'
    record_read
    if [ "$count" -eq 0 ]; then
        first=$number
    else
        [ "$number" -eq $((last + 1)) ] || wrong 'seqno: the numbers have a gap'
    fi
    last=$number
    line_read
    [ -f "$work/certs/$fp.der" ] || wrong "its author's certificate is not here"
    [ -f "$work/certs/$fp.key" ] || cert_open "$fp"
    where="transcript.txt line $((count + 1))"
    [ "$author" = "$fp" ] || wrong 'entry: the line names another certificate'
    signed "$work/certs/$fp.key" "$work/sig" "$work/line" || wrong 'entry: the signature is wrong'
    [ "$epoch" -eq 0 ] || wrong 'an epoch that this version does not know'
    [ "$l_room" = "$room" ] || wrong "written for another room than the checkpoint's"
    times_check
    chain_check
    seen_check
    body_check
    author_times
    { printf '\000' && cat "$work/line" && printf '|%s' "$received"; } | sha >> "$work/leaves"
    { cat "$work/head" "$work/line" && printf '|%s' "$received"; } | sha > "$work/h"
    mv "$work/h" "$work/head"
    od -An -v -tx1 "$work/head" | tr -d ' \n' >> "$work/heads"
    echo >> "$work/heads"
    count=$((count + 1))
}

transcript() {
    : > "$work/lines"
    : > "$work/heads"
    : > "$work/leaves"
    nuls 32 > "$work/head"
    count=0
    withheld=0
    where=transcript.txt
    [ "$(tr -d '\000' < "$work/transcript.txt" | wc -c)" -eq "$(length "$work/transcript.txt")" ] ||
        wrong 'bytes that are no text'
    record=
    while where="transcript.txt line $((count + 1))" && IFS= read -r record; do
        record_judge
        record=
    done < "$work/transcript.txt"
    [ -z "$record" ] || wrong 'cut off: no line feed at the end'
    [ "$count" -gt 0 ] || wrong 'no message at all'
}

messages() {
    checkpoint checkpoint
    transcript
    while read -r fp; do
        where=certs/$fp.der
        if [ -f "$work/certs/$fp.times" ]; then
            # shellcheck source=/dev/null
            . "$work/certs/$fp.times"
            cert_at "$fp" "$least"
            [ "$least" -eq "$most" ] || cert_at "$fp" "$most"
            cert_of_device "$fp"
        else
            [ "$fp" = "$signer" ] || wrong 'a certificate that nobody refers to'
        fi
    done < "$work/list"
    proof_read
    from=$((first - 1))
    to=$last
    [ "$to" -le "$size" ] || wrong 'the messages do not lead to the root of the checkpoint'
    range_root 0 "$size" "$work/t"
    [ "$proof_at" -eq "$proof_n" ] && cmp -s "$work/t" "$work/checkpoint.root" ||
        wrong 'the messages do not lead to the root of the checkpoint'
    proves="messages $first to $last of room $room, $withheld without their text"
}

contradiction() {
    checkpoint checkpoint
    first_room=$room first_size=$size first_signer=$signer
    checkpoint later
    where=later.txt
    [ "$room" = "$first_room" ] || wrong 'a checkpoint of another room'
    proof_read
    [ "$proof_n" -gt 0 ] || wrong 'no root to begin with'
    take "$work/then"
    [ "$first_size" -le "$size" ] || wrong 'the later tree did not begin with this root'
    pair_root "$first_size" "$size" whole
    [ "$proof_at" -eq "$proof_n" ] && cmp -s "$work/older" "$work/then" &&
        cmp -s "$work/newer" "$work/later.root" ||
        wrong 'the later tree did not begin with this root'
    ! cmp -s "$work/then" "$work/checkpoint.root" || wrong 'the two checkpoints agree'
    while read -r fp; do
        where=certs/$fp.der
        [ "$fp" = "$signer" ] || [ "$fp" = "$first_signer" ] ||
            wrong 'a certificate that nobody refers to'
    done < "$work/list"
    proves="the relay contradicts itself about the first $first_size entries of room $room"
}

# --- what it says ------------------------------------------------------------------------------

# FP: subject, with nothing that a terminal obeys.
subject() {
    openssl x509 -in "$work/certs/$1.pem" -noout -subject \
        -nameopt sname,sep_comma_plus_space,utf8,esc_ctrl,esc_msb
}

said_by() {
    while read -r fp; do
        [ -f "$work/certs/$fp.times" ] || continue
        # shellcheck source=/dev/null
        . "$work/certs/$fp.times"
        echo "author: $said of them; $(subject "$fp"); certificate $fp"
    done < "$work/list"
}

report() {
    echo "$proves"
    echo "signer anchored: $anchored; root SHA-256 $(sha_hex < "$work/root.der")"
    [ "$kind" = contradiction ] || said_by
    echo "relay: $(subject "$signer"); certificate $signer"
    echo "checkpoint: $size entries, signed at $time ms since 1970"
    echo "revocations: as of $(told crl lastUpdate); nothing revoked after that is seen"
    [ -z "$given" ] || echo "revocations given: as of $(told given lastUpdate)"
    if [ "$kind" = messages ]; then
        echo 'proves: whoever held these keys signed these messages; the relay had them in this order'
        echo 'proves not: that a key was in its owner'\''s hands; that anybody read a message; that nothing'
        echo '  was sent which the relay never numbered; times by other clocks than theirs'
    else
        echo 'proves: the relay signed two histories of this room'
        echo 'proves not: which of the two is true, or why'
    fi
}

unpack
trust
given_list
$kind
verdict=VALID
[ $anchored = yes ] || verdict='UNANCHORED: consistent, but anybody can make such a root'
echo "$verdict"
report
[ $anchored = yes ] || exit 77
