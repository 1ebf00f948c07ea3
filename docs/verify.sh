#!/bin/sh
# verify.sh FILE [CA [CRL [TSA-CA]]] -- is a bundle of evidence true? A FILE that ends in .txt is the transcript
# of a session, whose bundle stands beside it as .receipt. Needs nothing of Countersign: POSIX sh with
# its utilities, and openssl 1.1.1 or newer. Asks what common/chat/judge.c asks, in the same order;
# docs/evidence.md says why. CA is the root certificate that you believe, CRL a newer revocation list of
# the issuer than the one inside, TSA-CA the root certificate of the authority whose time stamp is inside;
# PEM or DER, '' for none.
# Exit 0: VALID. 77: UNANCHORED, all is consistent under a root that nobody brought. 65: INVALID, with
# the file (and line in it) and what is wrong. 64, 66: used wrongly.
#
# How it works: od and awk take the archive and the transcript apart, openssl is asked about
# certificates, signatures and hashes, and sh puts the questions. awk's findings are files of
# lines, or commands whose arguments are octal digits and names that were checked letter by letter.
# shellcheck disable=SC2015 # behind || stands always `wrong`, which ends the program
# shellcheck disable=SC2016 # awk's $1 is not the shell's
set -u
LC_ALL=C
export LC_ALL
umask 077

guide_sha256=d48da9e4c7e6290c4b5b4b17a9244a9c8fb77774e88085e86d9b3725b02dfe0a
evidence_use=2.25.8406729532635785283492383773779946475
zeros=0000000000000000000000000000000000000000000000000000000000000000
bundle_max=536870912
stamp_max=16384
bundle_certs_max=4096
transcript_max=1048576
ts_future_ms=300000

if [ $# -lt 1 ] || [ $# -gt 4 ]; then
    echo 'usage: verify.sh FILE [CA [CRL [TSA-CA]]]' >&2
    exit 64
fi
flat=
case $1 in
?*.txt)
    flat=$1
    shift
    set -- "${flat%.txt}.receipt" "$@"
    ;;
esac
for file in "$@" ${flat:+"$flat"}; do
    if [ -n "$file" ] && [ ! -r "$file" ]; then
        echo 'verify.sh: a file cannot be read' >&2
        exit 66
    fi
done
file=$1
ca=${2-}
given=${3-}
tsa=${4-}
work=${TMPDIR:-/tmp}/verify.$$
mkdir "$work" && mkdir "$work/certs" "$work/said" "$work/none" || exit 66
trap 'rm -rf "$work"' EXIT
trap 'exit 70' HUP INT TERM

# The system's certificates must not help: what is believed stands in the bundle.
SSL_CERT_DIR=$work/none
SSL_CERT_FILE=$work/none/none
export SSL_CERT_DIR SSL_CERT_FILE

where=bundle
wrong() {
    echo "INVALID"
    echo "$where: $1"
    exit 65
}

# --- small things ------------------------------------------------------------------------------

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

# HEX: its bytes.
bytes() {
    bytes_left=$1
    while [ -n "$bytes_left" ]; do
        bytes_rest=${bytes_left#??}
        bytes_one=$((0x${bytes_left%"$bytes_rest"}))
        # shellcheck disable=SC2059 # an escape
        printf "\\$((bytes_one / 64))$((bytes_one / 8 % 8))$((bytes_one % 8))"
        bytes_left=$bytes_rest
    done
}

# The SHA-256 of what comes in, in hex; a blank and a name follow.
sha() { openssl dgst -sha256 -r; }

# KEY SIGNATURE TEXT
signed() {
    openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 \
        -verify "$work/$1" -signature "$work/$2" "$work/$3" > "$work/log" 2>&1
}

# What awk knows: a byte as printf takes it (oct), of a printable character (of), the way back (chr),
# and as hex; base64 in its one spelling: these letters, whole groups, no spare bits.
awk_bytes='
function tables(   i, o) {
    for (i = 0; i < 256; i++) {
        o = sprintf("\\%03o", i)
        oct[i] = o
        hex[o] = sprintf("%02x", i)
        value[o] = i
        if (i < 32 || i > 126) continue
        chr[o] = sprintf("%c", i)
        of[chr[o]] = o
    }
    for (i = 0; i < 64; i++)
        six[substr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", i + 1, 1)] = i
}
function base64(s) {
    return s ~ /^[A-Za-z0-9+\/]+=?=?$/ && length(s) % 4 == 0 &&
        s !~ /[^AQgw]==$/ && s !~ /[^AEIMQUYcgkosw048=]=$/
}
function unbase64(s,   i, v, out, more) {
    for (i = 1; i < length(s); i += 4) {
        v = six[substr(s, i, 1)] * 64 + six[substr(s, i + 1, 1)]
        v = (v * 64 + six[substr(s, i + 2, 1)]) * 64 + six[substr(s, i + 3, 1)]
        out = out oct[int(v / 65536)] oct[int(v / 256) % 256] oct[v % 256]
    }
    more = s ~ /[=]=$/ ? 2 : s ~ /[=]$/
    return substr(out, 1, length(out) - 4 * more)
}'

# --- the archive: every header is what name and size make it -----------------------------------

# From od's lines of 16 bytes to commands that write the files, then `kind`, or `fault` and its place.
# The names were compared: they are those that follow, or certs/ and hex digits.
awk_unpack=$awk_bytes'
function flush() {
    if (out != "") printf "printf %c%s%c >&3\n", 39, out, 39
    out = ""
    held = 0
}
function fault(place, why) {
    flush()
    printf "fault_place=%c%s%c fault=%c%s%c\n", 39, place, 39, 39, why, 39
    failed = 1
    exit
}
function is_zero(s) {
    gsub(/\\000/, "", s)
    return s == ""
}
function zero(n) { return substr(zeros, 1, 4 * n) }
function text(s,   i, o) {
    for (i = 1; i <= length(s); i++) {
        o = o of[substr(s, i, 1)]
        sum += value[of[substr(s, i, 1)]]
    }
    return o
}
function begins(name) {
    if (at == 2 && name == "receipt.txt") wanted = split(session, want)
    if (at == 4 && want[2] != "receipt.txt" && name == "later.txt") wanted = split(contradiction, want)
    if (at == 4 && want[2] != "receipt.txt" && name == "audit.txt") wanted = split(audit, want)
    if (at <= wanted && name != want[at]) fault(name, "not the file that follows here")
    if (at > wanted + certs_max) fault(name, "too many certificates")
    if (at > wanted && (name !~ /^certs\/[0-9a-f]+\.der$/ || length(name) != 74))
        fault(name, "not a certificate under its own SHA-256")
    if (at > wanted + 1 && name <= former) fault(name, "the certificates are not in order")
    at++
    former = name
    print "begin " name
}
function header(h,   i, c, name, digits, size, before, behind) {
    for (i = 0; i < 96 && (c = substr(h, 4 * i + 1, 4)) != "\\000"; i++)
        name = name (c in chr ? chr[c] : "?")
    for (i = 124; i < 135; i++) {
        c = substr(h, 4 * i + 1, 4)
        digits = digits (c in chr ? chr[c] : "?")
        size = size * 8 + value[c] - 48
    }
    if (name !~ /^[A-Za-z0-9.\/-]+$/ || digits !~ /^[0-7]+$/)
        fault("bundle", "a header that we do not write")
    sum = 8 * 32
    before = text(name) zero(100 - length(name)) text("0000644") zero(1) text("0000000") zero(1)
    before = before text("0000000") zero(1) text(digits) zero(1) text("00000000000") zero(1)
    behind = text("0") zero(100) text("ustar") zero(1) text("00") zero(64)
    behind = behind text("0000000") zero(1) text("0000000") zero(168)
    if (h != before text(sprintf("%06o", sum)) zero(1) text(" ") behind)
        fault("bundle", "a header that we do not write")
    begins(name)
    left = size
    lines = int((size + 511) / 512) * 32
}
function content(   n) {
    lines--
    n = left < 16 ? left : 16
    left -= n
    if (!is_zero(substr(row, 4 * n + 1))) fault("bundle", "badly filled up")
    out = out substr(row, 1, 4 * n)
    if (++held == 32) flush()
}
BEGIN {
    tables()
    for (i = 0; i < 512; i++) zeros = zeros "\\000"
    wanted = split(messages, want)
    at = 1
}
{
    row = ""
    for (i = 1; i <= NF; i++) row = row "\\" $i
    if (length(row) != 64) fault("bundle", "cut off")
    if (lines > 0) {
        content()
        next
    }
    head = head row
    if (++heads % 32 != 0) next
    if (ends < 2 && is_zero(head)) ends++
    else if (ends > 0) fault("bundle", "no archive ends like this")
    else {
        flush()
        header(head)
    }
    head = ""
}
END {
    if (failed) exit
    if (ends != 2 || head != "") fault("bundle", "cut off, or no archive ends like this")
    if (at <= wanted) fault("bundle", want[at] " is missing")
    print "kind=" (want[2] == "receipt.txt" ? "session" : want[4] == "later.txt" ? "contradiction" : want[4] == "audit.txt" ? "audit" : "messages")
}'
of_messages='VERIFY.txt checkpoint.txt checkpoint.sig checkpoint.tsr transcript.txt proof.txt root.der issuer.der crl.der'
of_session='VERIFY.txt receipt.txt client.txt client.sig relay.txt relay.sig member.txt member.sig'
of_session="$of_session receipt.p7s receipt.tsr transcript.txt root.der issuer.der crl.der"
of_audit='VERIFY.txt checkpoint.txt checkpoint.sig audit.txt proof.txt root.der issuer.der crl.der'
of_contradiction='VERIFY.txt checkpoint.txt checkpoint.sig later.txt later.sig proof.txt root.der issuer.der crl.der'

# NAME: what printf writes to 3 is this file.
begin() {
    exec 3> "$work/$1"
    echo "$1" >> "$work/names"
}

unpack() {
    [ "$(length "$file")" -le $bundle_max ] || wrong 'too big'
    : > "$work/names"
    kind='' fault='' fault_place=''
    od -An -v -to1 "$file" | awk -v certs_max=$bundle_certs_max -v messages="$of_messages" \
        -v contradiction="$of_contradiction" -v audit="$of_audit" -v session="$of_session" "$awk_unpack" > "$work/unpack"
    # shellcheck source=/dev/null # begin NAME, printf '\ooo...' >&3, and at the end what fault says
    . "$work/unpack"
    exec 3>&-
    (cd "$work" && xargs openssl dgst -sha256 -r < names > sums)
    while read -r sum name; do
        name=${name#\*}
        where=$name
        case $name in
        VERIFY.txt) guide=$sum ;;
        receipt.txt) receipt_sum=$sum ;;
        root.der) root_sum=$sum ;;
        issuer.der) issuer_sum=$sum ;;
        crl.der) crl_sum=$sum ;;
        certs/*) [ "$name" = "certs/$sum.der" ] || wrong 'not a certificate under its own SHA-256' ;;
        esac
    done < "$work/sums"
    where=$fault_place
    [ -z "$fault" ] || wrong "$fault"
    where=VERIFY.txt
    [ "$guide" = $guide_sha256 ] || wrong 'not the text of this version'
}

# --- certificates ------------------------------------------------------------------------------

awk_dates='
# As openssl prints dates, in ms since 1970.
function ms(month, day, time, year,   m, t, y, d) {
    m = (index("JanFebMarAprMayJunJulAugSepOctNovDec", month) + 2) / 3
    split(time, t, ":")
    # Days since 1 March of the year 0, which puts the leap day at the end of a year.
    y = year - (m <= 2)
    d = y * 365 + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * ((m + 9) % 12) + 2) / 5) + day
    return sprintf("%.0f", (((d - 719469) * 24 + t[1]) * 60 + t[2]) * 60000 + t[3] * 1000)
}'

# From NAME.info, what openssl says of a certificate, to NAME.key and NAME.facts, one a line as facts()
# reads them. Nothing may be said twice: a name with a line feed in it could say more than openssl.
awk_facts=$awk_dates'
function tell(what, value) {
    if (what in fact) twice = 1
    fact[what] = value
}
# A name as it stands in a URI. openssl has written bytes that are no ASCII as \XX, and \ as \\.
function percent(s,   i, c, out) {
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c != "\\") out = out (c ~ /[A-Za-z0-9._~-]/ ? c : sprintf("%%%02X", 31 + index(ascii, c)))
        else if (substr(s, ++i, 1) == "\\") out = out "%5C"
        else out = out "%" substr(s, i++, 2)
    }
    return out
}
function control(s) {
    gsub(/\\\\/, "", s)
    return s ~ /\\[01]|\\7F|\\C2\\[89]/
}
function finish(   out) {
    if (file == "") return
    out = file
    sub(/info$/, "facts", out)
    if (!twice && !control(subject) && "print" in fact)
        print fact["print"] "\n" fact["before"] "\n" fact["after"] "\n" fact["serial"] "\n" \
            fact["hash"] "\n" fact["Basic"] "\n" fact["Key"] "\n" fact["Extended"] "\n" \
            fact["Subject"] "\n" "URI:countersign:" percent(cn) "/" percent(ou) "\n" \
            cn "\n" ou "\n" subject > out
    close(out)
    close(key)
}
BEGIN { for (i = 32; i < 127; i++) ascii = ascii sprintf("%c", i) }
FNR == 1 {
    if (file != "") finish()
    split("", fact)
    twice = pem = cn = ou = ""
    file = key = FILENAME
    sub(/info$/, "key", key)
    subject = "subject"
}
/^-----BEGIN PUBLIC/ { pem = "public" }
/^-----BEGIN CERT/ { pem = "certificate" }
pem == "public" { print > key }
/^-----END/ { tell(pem, 1) }
pem != "" {
    if (/^-----END/) pem = ""
    next
}
/^[^ ]/ { section = "" }
/^[0-9a-f]+$/ { tell("hash", $0) }
/^serial=/ { tell("serial", substr($0, 8)) }
/^notBefore=/ { tell("before", ms(substr($1, 11), $2, $3, $4)) }
/^notAfter=/ { tell("after", ms(substr($1, 10), $2, $3, $4)) }
/^[sS][hH][aA].* Fingerprint=/ {
    sub(/.*=/, "")
    gsub(/:/, "")
    tell("print", tolower($0))
}
/^subject=/ { section = "subject" }
section == "subject" && /^    [^ ]/ {
    subject = subject (subject == "subject" ? "=" : ", ") substr($0, 5)
    if (/^    CN=/ && cn == "") cn = substr($0, 8)
    if (/^    OU=/ && ou == "") ou = substr($0, 8)
}
section != "" && section != "subject" { tell(section, substr($0, 5)) }
/^X509v3 / { section = $2 }
END { finish() }'

# HASH NAME...: of each NAME.der what openssl knows; a NAME.facts of those that are certificates.
certs_open() {
    certs_hash=$1
    shift
    for name in "$@"; do
        openssl x509 -inform DER -in "$work/$name.der" -pubkey -serial "$certs_hash" -dates -sha256 \
            -fingerprint -subject -nameopt sep_multiline,sname,utf8,esc_ctrl,esc_msb \
            -ext basicConstraints,keyUsage,extendedKeyUsage,subjectAltName \
            > "$work/$name.info" 2> "$work/log"
    done
    (cd "$work" && for name in "$@"; do echo "$name.info"; done | xargs awk "$awk_facts")
}

# NAME SUM: its facts. The fingerprint is of what openssl understood: it must be all of the file.
facts() {
    [ -f "$work/$1.facts" ] || return 1
    IFS=
    {
        read -r print && read -r before && read -r after && read -r serial && read -r hash &&
            read -r basic && read -r usage && read -r extended && read -r names && read -r uri &&
            read -r cn && read -r ou && read -r subject
    } < "$work/$1.facts"
    unset IFS
    [ "$print" = "$2" ]
}

# From what openssl says of a list: its fingerprint, its dates, and "SERIAL MS" of each certificate
# that is revoked; `not` and why, when it is not a whole list.
awk_list=$awk_dates'
/^[sS][hH][aA].* Fingerprint=/ {
    sub(/.*=/, "")
    gsub(/:/, "")
    print "print " tolower($0)
}
/^lastUpdate=/ { print "from " substr($0, 12) }
/^nextUpdate=/ && !/NONE/ { until = ms(substr($1, 12), $2, $3, $4) }
/^ *Version 2 \(0x1\)$/ { second = 1 }
/^ *X509v3 CRL Number:/ { number = 1 }
/: critical$/ { part = 1 }
/^ *Serial Number: / { serial = $3 }
/^ *Revocation Date: / { print serial " " ms($3, $4, $5, $6) }
END {
    if (part) print "not a revocation list that is not the whole one"
    if (!second || !number || until == "") print "not a revocation list of version 2 with a number"
    print "until " until
}'

# NAME SUM: NAME.der is a whole list of the issuer; what it revokes goes to `revoked`.
list_read() {
    openssl crl -inform DER -in "$work/$1.der" -noout -text -fingerprint -sha256 -lastupdate \
        -nextupdate -CAfile "$work/issuer.info" > "$work/$1.info" 2> "$work/log" ||
        wrong 'not a revocation list'
    case $(cat "$work/log") in
    *'verify OK'*) ;;
    *) wrong 'the issuer did not sign this revocation list' ;;
    esac
    awk "$awk_list" "$work/$1.info" > "$work/list"
    while read -r word rest; do
        case $word in
        print) [ "$rest" = "$2" ] || wrong 'not a revocation list' ;;
        not) wrong "$rest" ;;
        from) list_from=$rest ;;
        until) list_until=$rest ;;
        *) echo "$word $rest" >> "$work/revoked" ;;
        esac
    done < "$work/list"
}

# What was given as PEM or DER, as DER.
der_of() {
    openssl "$1" -in "$2" -outform DER -out "$work/$3" 2> "$work/log" ||
        openssl "$1" -inform DER -in "$2" -outform DER -out "$work/$3" 2> "$work/log"
}

trust() {
    : > "$work/revoked"
    certs_open -subject_hash root issuer
    where=root.der
    facts root "$root_sum" && [ "${basic#CA:TRUE}" != "$basic" ] || wrong 'not a CA certificate'
    root_from=$before root_until=$after
    where=issuer.der
    facts issuer "$issuer_sum" && [ "${basic#CA:TRUE}" != "$basic" ] || wrong 'not a CA certificate'
    issuer_from=$before issuer_until=$after issuer_hash=$hash
    where=root.der
    openssl verify -no_check_time -check_ss_sig -no-CApath -CAfile "$work/root.info" \
        "$work/root.info" > "$work/log" 2>&1 || wrong 'its own signature does not verify'
    where=crl.der
    case $usage in
    *'CRL Sign'*) ;;
    *) wrong 'the issuer did not sign this revocation list' ;;
    esac
    list_read crl "$crl_sum"
    crl_from=$list_from crl_until=$list_until
    where=root.der
    anchored=no
    [ -n "$ca" ] || return 0
    der_of x509 "$ca" ca.der || wrong 'the CA that was given is no certificate'
    cmp -s "$work/ca.der" "$work/root.der" || wrong 'not the CA that was given'
    anchored=yes
}

# A list that whoever checks has brought counts beside the one inside.
given_list() {
    [ -n "$given" ] || return 0
    where='the list that was given'
    der_of crl "$given" given.der || wrong 'not a revocation list'
    given_sum=$(openssl dgst -sha256 -r < "$work/given.der")
    list_read given "${given_sum%% *}"
    given_from=$list_from
}

# Which of the certificates the root stands behind, dates aside.
chain() {
    openssl verify -x509_strict -auth_level 2 -no_check_time -no-CApath -CAfile "$work/root.info" \
        -untrusted "$work/issuer.info" "$@"
}

# All other certificates: what they say, and the names of those that the root stands behind.
certs_read() {
    set --
    while read -r name; do
        case $name in certs/*) set -- "$@" "${name%.der}" ;; esac
    done < "$work/names"
    certs_open -issuer_hash "$@"
    (cd "$work" && chain certs/*.info) > "$work/chained" 2> "$work/log"
    chained=$(cat "$work/chained")
}

# FP: the certificate is readable; its facts.
cert_open() {
    where=certs/$1.der
    facts "certs/$1" "$1" || wrong 'not a certificate'
}

# FP MS: the chain at that time, revocation.
cert_at() {
    cert_open "$1"
    case "
$chained
" in
    *"
certs/$1.info: OK
"*) ;;
    *) wrong "$(chain "$work/certs/$1.info" 2>&1 | sed -n 's/^error [0-9]* at //p')" ;;
    esac
    # The last second counts as a whole.
    [ "$2" -ge "$before" ] && [ "$2" -lt $((after + 1000)) ] &&
        [ "$2" -ge "$issuer_from" ] && [ "$2" -lt $((issuer_until + 1000)) ] &&
        [ "$2" -ge "$root_from" ] && [ "$2" -lt $((root_until + 1000)) ] ||
        wrong 'it, or a CA above it, was not valid then'
    while read -r revoked when; do
        [ "$revoked" != "$serial" ] || [ "$when" -gt "$2" ] || wrong 'revoked'
    done < "$work/revoked"
}

# FP USE: who issued it, and what it may be used for: this and nothing else.
cert_for() {
    [ "$hash" = "$issuer_hash" ] || wrong 'issued by another CA'
    [ "${basic#CA:TRUE}" = "$basic" ] || wrong 'a CA certificate'
    [ "$extended" = "$1" ] || wrong 'made for another role'
    case $usage in
    *'Certificate Sign'* | *'CRL Sign'*) wrong "its key usage is a CA's" ;;
    'Digital Signature, Non Repudiation'*) ;;
    *) wrong 'the key usage is wrong for this role' ;;
    esac
    [ -n "$names" ] || wrong 'no subject alternative name'
}

# Its one name says again what its subject says.
cert_of_device() {
    cert_for 'TLS Web Client Authentication'
    [ -n "$cn" ] && [ -n "$ou" ] && [ "$names" = "$uri" ] || wrong "its name is not its subject's"
}

# --- checkpoints -------------------------------------------------------------------------------

# A hash as it stands in base64: 43 letters, of which the last has no spare bits, and `=`.
hash_text() {
    case $1 in
    *[!A-Za-z0-9+/]*=) return 1 ;;
    *[AEIMQUYcgkosw048]=) [ ${#1} -eq 44 ] ;;
    *) return 1 ;;
    esac
}

# NAME LOG: NAME.txt and NAME.sig, of a `room` or an `audit` log. Sets room, size, root, time, signer.
checkpoint() {
    where=$1.txt
    { read -r origin && read -r size && read -r root && read -r t && read -r s; } \
        < "$work/$1.txt" || wrong 'no checkpoint of that kind'
    room=${origin#countersign-checkpoint-1/"$2"/}
    time=${t#time }
    signer=${s#signer }
    hex "$room" 32 || wrong "line 1: no checkpoint of that kind ($2)"
    number "$size" && [ "$size" -gt 0 ] || wrong 'line 2: the size'
    hash_text "$root" || wrong 'line 3: the root'
    number "$time" || wrong 'line 4: the time'
    hex "$signer" 64 || wrong 'line 5: the signer'
    printf 'countersign-checkpoint-1/%s/%s\n%s\n%s\ntime %s\nsigner %s\n' \
        "$2" "$room" "$size" "$root" "$time" "$signer" | cmp -s - "$work/$1.txt" ||
        wrong 'not its only spelling'
    [ "$2" = room ] || [ "${root_sum#"$room"}" != "$root_sum" ] ||
        wrong 'line 1: the audit log of a relay under another root'
    [ -f "$work/certs/$signer.der" ] || wrong "its signer's certificate is not here"
    where=crl.der
    [ "$time" -le "$crl_until" ] || wrong 'out of date when the checkpoint was signed'
    cert_at "$signer" "$time"
    cert_for $evidence_use
    relay=$subject
    where=$1.sig
    signed "certs/$signer.key" "$1.sig" "$1.txt" || wrong 'the signature is wrong'
}

# --- a third clock -----------------------------------------------------------------------------

# NAME OF: NAME says when OF was there. It is judged where its authority's CA was given.
stamp() {
    stamped=
    [ -s "$work/$1" ] || return 0
    where=$1
    [ "$(length "$work/$1")" -le $stamp_max ] || wrong 'too big'
    stamped='there is one, not judged'
    [ -n "$tsa" ] || return 0
    der_of x509 "$tsa" tsa.der && openssl x509 -inform DER -in "$work/tsa.der" -out "$work/tsa.pem" ||
        wrong 'the CA that was given for it is no certificate'
    openssl ts -reply -in "$work/$1" -text > "$work/stamp" 2> "$work/log" || wrong 'not a time stamp'
    grep -q '^Hash Algorithm: sha256$' "$work/stamp" || wrong 'not over a SHA-256'
    stamp_ms=$(awk "$awk_dates"'/^Time stamp: / { print ms($3, $4, $5, $6) }' "$work/stamp")
    number "$stamp_ms" || wrong 'it says no time'
    openssl ts -verify -in "$work/$1" -data "$work/$2" -CAfile "$work/tsa.pem" \
        -attime $((stamp_ms / 1000)) > "$work/log" 2>&1 || wrong "$(sed -n 's/.*error:[^:]*:[^:]*:[^:]*:\([^:]*\):.*/\1/p' "$work/log" | sed 1q)"
    stamped="$stamp_ms ms since 1970"
}

# --- hash trees: RFC 6962, RFC 9162 2.1 ----------------------------------------------------------

awk_hashes=$awk_bytes'
BEGIN { tables() }
{
    if (length($0) != 44 || !base64($0)) {
        print "bad"
        exit
    }
    bytes = unbase64($0)
    out = ""
    for (i = 1; i < length(bytes); i += 4) out = out hex[substr(bytes, i, 4)]
    print out
}'

# Where a tree of N leaves is split, in $k.
split() {
    k=1
    while [ $((k * 2)) -lt "$1" ]; do
        k=$((k * 2))
    done
}

# LEFT RIGHT: the node above them, in $node.
join() {
    node=$({ printf '\001' && bytes "$1" && bytes "$2"; } | sha)
    node=${node%% *}
}

# proof.txt is left to be read from 4, a hash in hex each line; of what it leads to, `roots` has the
# hex of each argument.
proof_read() {
    where=proof.txt
    printf '%s\n' "$@" | awk "$awk_hashes" > "$work/roots"
    awk "$awk_hashes" "$work/proof.txt" > "$work/proof"
    proof_n=0
    while read -r h; do
        proof_n=$((proof_n + 1))
        [ "$h" != bad ] && [ $proof_n -le 128 ] || wrong "line $proof_n: not a hash"
    done < "$work/proof"
    [ "$(length "$work/proof.txt")" -eq $((proof_n * 45)) ] || wrong 'not only hashes'
    exec 4< "$work/proof"
}

# The next hash of the proof, in $node.
take() { read -r node <&4 || wrong 'too short'; }

proof_ends() { ! read -r node <&4; }

# A B: the root of the leaves A to B - 1, in $node; those from $from to $to - 1 are known, and are read
# in their order from 5. $3: where it is split; $4: the half that is known first.
range_root() {
    if [ "$2" -le "$from" ] || [ "$1" -ge "$to" ]; then
        take
    elif [ $(($2 - $1)) -eq 1 ]; then
        read -r node <&5
    else
        split $(($2 - $1))
        set -- "$1" "$2" $(($1 + k))
        if [ "$3" -le "$from" ]; then
            range_root "$3" "$2"
            set -- "$@" "$node"
            range_root "$1" "$3"
            join "$node" "$4"
        else
            range_root "$1" "$3"
            set -- "$@" "$node"
            range_root "$3" "$2"
            join "$4" "$node"
        fi
    fi
}

# M N WHOLE: the place of N leaves of which the older tree has M; its root then and now, in $older and
# $newer.
pair_root() {
    if [ "$1" -eq "$2" ]; then
        if [ "$3" = whole ]; then node=$then; else take; fi
        older=$node newer=$node
        return
    fi
    split "$2"
    set -- "$1" "$2" "$3" "$k"
    if [ "$1" -le "$4" ]; then
        pair_root "$1" "$4" "$3"
        take
        join "$newer" "$node"
    else
        pair_root $(($1 - $4)) $(($2 - $4)) part
        take
        set -- "$node"
        join "$1" "$older"
        older=$node
        join "$1" "$newer"
    fi
    newer=$node
}

# --- messages ----------------------------------------------------------------------------------

# From the lines of a transcript, with one more that is only a full stop, to `entries`, a line each:
#     number|received|fingerprint|bytes of the line|bytes of the body or -|line
# or `bad` and why; and to commands that write what is to be hashed (the line, its leaf and, where the
# text is shown, the body and what the commitment is made of) and the signature, under line numbers.
awk_transcript=$awk_bytes'
function bad(why) {
    print "bad|" why > entries
    failed = 1
    exit
}
function file(what, bytes) {
    printf (what == "sig" ? "exec 3> \"$work/said/%d.%s\"\n" : "begin said/%d.%s\n"), NR, what
    put(bytes)
}
function put(bytes) { printf "printf %c%s%c >&3\n", 39, bytes, 39 }
function text(s,   i, o) {
    for (i = 1; i <= length(s); i++) o = o of[substr(s, i, 1)]
    return o
}
# The line as text, ? for what is none.
function printable(bytes,   i, c, out) {
    for (i = 1; i < length(bytes); i += 4) {
        c = substr(bytes, i, 4)
        out = out (c in chr ? chr[c] : "?")
    }
    return out
}
# A body begins in the first 1024 letters of ct and may be long: in pieces.
function body(what, begin,   i) {
    file(what, begin)
    for (i = 1025; i <= length($3); i += 1024) put(unbase64(substr($3, i, 1024)))
}
BEGIN {
    FS = "|"
    tables()
}
stop { bad("seqno") }
$0 == "." {
    stop = 1
    next
}
NR > lines_max { bad("too many lines") }
/[^ -~]/ { bad("bytes that are no text") }
!base64($3) { bad("ct") }
!base64($4) || length($4) > 1024 { bad("sig") }
NF != 5 { bad("peer_cert_fingerprint") }
{
    ct = unbase64(substr($3, 1, 1024))
    cut = index(ct, "\\012")
    line = cut > 0 ? substr(ct, 1, cut - 1) : ct
    bytes = length($3) / 4 * 3 - ($3 ~ /[=]=$/ ? 2 : $3 ~ /[=]$/) - length(line) / 4 - 1
    if (line == "" || length(line) > 4 * 512 || cut > 0 && bytes == 0) bad("ct")
    print $1 "|" $2 "|" $5 "|" length(line) / 4 "|" (cut > 0 ? bytes : "-") "|" printable(line) > entries
    file("line", line)
    file("leaf", "\\000" line text("|" $2))
    file("sig", unbase64($4))
    if (cut == 0) next
    body("body", substr(ct, cut + 4))
    body("open", "\\002" substr(ct, cut + 4))
}'

# The line that the author signed: sets its fields.
line_read() {
    IFS='|'
    set -f
    # shellcheck disable=SC2086 # that is what it is cut by
    set -- $line
    set +f
    again=$*
    unset IFS
    # Neither `read` nor `set` may have left out a bar at the end.
    [ ${#line} -eq "$line_n" ] && [ "$again" = "$line" ] && [ $# -eq 10 ] ||
        wrong 'entry: the word of the line'
    [ "$1" = countersign-entry-1 ] || wrong 'entry: the word of the line'
    epoch=$3 seq=$4 ts=$5 prev=$7 body_hash=$8 commitment=$9
    shift
    l_room=$1 author=$5 seen=$9
    seen_number=${seen%%.*}
    seen_head=${seen#*.}
    hex "$l_room" 32 || wrong 'entry: the room of the line'
    number "$epoch" || wrong 'entry: the epoch of the line'
    number "$seq" && [ "$seq" -gt 0 ] || wrong 'entry: the seq of the line'
    number "$ts" || wrong 'entry: the time of the line'
    hex "$author" 64 || wrong 'entry: the author of the line'
    hex "$prev" 64 || wrong 'entry: the prev of the line'
    hex "$body_hash" 64 || wrong 'entry: the body hash of the line'
    hex "$commitment" 64 || wrong 'entry: the commitment of the line'
    number "$seen_number" && hex "$seen_head" 64 && [ "$seen" = "$seen_number.$seen_head" ] ||
        wrong 'entry: the seen of the line'
}

# The relay took it before it was signed for, and takes nothing from the future.
times_check() {
    [ "$received" -le "$time" ] || wrong 'ts: received after it was signed for'
    [ "$ts" -le $((received + ts_future_ms)) ] ||
        wrong "entry: signed by a clock too far ahead of the relay's"
}

# prev is a line before, of the same account.
account_check() {
    before=$(sed -n "s/^$prev //p" "$work/lines")
    [ -n "$before" ] || wrong 'prev is no line before this one'
    mine=$cn
    facts "certs/${before%%[!0-9a-f]*}" "${before%%[!0-9a-f]*}"
    [ "$cn" = "$mine" ] || wrong 'prev is a line of another account'
}

# What the author said before, in this bundle: NAME.said has what follows from it.
chain_check() {
    least=$received most=$received said=0
    if [ -f "$work/certs/$fp.said" ]; then
        read -r last_seq last_hash least most said < "$work/certs/$fp.said"
        [ "$seq" -eq $((last_seq + 1)) ] && [ "$prev" = "$last_hash" ] ||
            wrong "the author's messages do not follow each other"
    elif [ "$first" -eq 1 ]; then
        [ "$seq" -eq 1 ] || wrong 'a message of this author before this one is missing'
        [ "$prev" = $zeros ] || account_check
    fi
    [ "$received" -ge "$least" ] || least=$received
    [ "$received" -le "$most" ] || most=$received
    echo "$seq $line_hash $least $most $((said + 1))" > "$work/certs/$fp.said"
    echo "$line_hash $fp" >> "$work/lines"
}

seen_check() {
    [ "$seen_number" -lt "$number" ] || wrong 'entry: the author has seen what comes after it'
    if [ "$seen_number" -eq 0 ]; then
        known=$zeros
    elif [ "$headed" = no ] || [ "$seen_number" -lt $((first - 1)) ]; then
        return
    elif [ "$seen_number" -eq "$last_before" ]; then
        known=$head
    elif [ "$seen_number" -eq $((first - 1)) ]; then
        known=$base
    else
        known=$(sed -n "$((seen_number - first + 1))p" "$work/heads")
    fi
    [ "$seen_head" = "$known" ] || wrong 'entry: the author has seen another history'
}

body_check() {
    if [ "$body_n" = - ]; then
        withheld=$((withheld + 1))
        return
    fi
    read -r hash _ <&6
    read -r opened _ <&6
    [ "$body_n" -gt 32 ] && [ "$body_n" -le 409632 ] || wrong "entry: a body of $body_n bytes"
    [ "$hash" = "$body_hash" ] || wrong 'entry: the body is not the one that was signed'
    [ "$opened" = "$commitment" ] || wrong 'entry: the commitment does not open to the content'
}

# The head behind this entry, where the one before it is known.
head_next() {
    [ "$headed" = yes ] || return 0
    head=$({ bytes "$head" && printf '%s|%s' "$line" "$received"; } | sha)
    head=${head%% *}
    echo "$head" >> "$work/heads"
}

record_judge() {
    [ "$number" != bad ] || wrong "$received"
    number "$number" && [ "$number" -gt 0 ] || wrong 'seqno'
    number "$received" || wrong 'ts'
    hex "$fp" 64 || wrong 'peer_cert_fingerprint'
    if [ "$count" -eq 0 ]; then
        first=$number
        [ "$first" -gt 1 ] || headed=yes
    else
        [ "$number" -eq $((last + 1)) ] || wrong 'seqno: the numbers have a gap'
    fi
    last_before=$((number - 1)) last=$number
    read -r line_hash _ <&6
    read -r leaf _ <&6
    line_read
    [ -f "$work/certs/$fp.der" ] || wrong "its author's certificate is not here"
    cert_open "$fp"
    where="transcript.txt line $((count + 1))"
    [ "$author" = "$fp" ] || wrong 'entry: the line names another certificate'
    signed "certs/$fp.key" "said/$((count + 1)).sig" "said/$((count + 1)).line" ||
        wrong 'entry: the signature is wrong'
    [ "$epoch" -eq 0 ] || wrong 'an epoch that this version does not know'
    [ "$l_room" = "$room" ] || wrong 'written for another room'
    times_check
    chain_check
    seen_check
    body_check
    head_next
    echo "$leaf" >> "$work/leaves"
    count=$((count + 1))
}

transcript() {
    for list in entries lines heads leaves names; do
        : > "$work/$list"
    done
    { tr '\000' '?' < "$work/transcript.txt" && echo .; } |
        awk -v entries="$work/entries" -v lines_max=$transcript_max "$awk_transcript" > "$work/unpack"
    # shellcheck source=/dev/null # begin NAME, exec 3> NAME, printf '\ooo...' >&3
    . "$work/unpack"
    exec 3>&-
    (cd "$work" && xargs openssl dgst -sha256 -r < names) > "$work/sums"
    count=0
    withheld=0
    head=$base
    exec 6< "$work/sums"
    while where="transcript.txt line $((count + 1))" &&
        IFS='|' read -r number received fp line_n body_n line; do
        record_judge
    done < "$work/entries"
    [ "$count" -gt 0 ] || wrong 'no message at all'
}

# FP: has it signed the whole, not a message in it?
is_signer() {
    for one in $signers; do
        [ "$one" != "$1" ] || return 0
    done
    return 1
}

# Every certificate is an author's, at the times of his messages, or a signer's.
authors() {
    for name in "$work"/certs/*.der; do
        fp=${name##*/}
        fp=${fp%.der}
        where=certs/$fp.der
        if [ -f "$work/certs/$fp.said" ]; then
            read -r _ _ least most _ < "$work/certs/$fp.said"
            cert_at "$fp" "$least"
            [ "$least" -eq "$most" ] || cert_at "$fp" "$most"
            cert_of_device
        else
            is_signer "$fp" || wrong 'a certificate that nobody refers to'
        fi
    done
}

# The leaves of the lines first to last, and the proof, to the checkpoint's root.
lines_lead() {
    proof_read "$root"
    from=$((first - 1))
    to=$last
    [ "$to" -le "$size" ] || wrong 'the lines do not lead to the root of the checkpoint'
    exec 5< "$work/leaves"
    range_root 0 "$size"
    top=$node
    read -r root < "$work/roots"
    proof_ends && [ "$top" = "$root" ] || wrong 'the lines do not lead to the root of the checkpoint'
}

messages() {
    checkpoint checkpoint room
    stamp checkpoint.tsr checkpoint.sig
    signers=$signer base=$zeros headed=no
    transcript
    authors
    lines_lead
    proves="messages $first to $last of room $room, $withheld without their text"
}

# --- a session ---------------------------------------------------------------------------------

# The words of a receipt's lines, in their order; its values become words of the same name.
receipt_words='type session link suite signer peer peer_cert_fingerprint created_at room first_seqno
    last_seqno message_count base transcript_hash tree_size tree_root previous'

# VALUE: the name of a link or a suite.
printable() {
    case $1 in
    '' | ' '* | *' ' | *[!\ -~]*) return 1 ;;
    esac
    [ ${#1} -le 48 ]
}

# WORD VALUE: may it stand there?
receipt_value() {
    case $1 in
    type) [ "$2" = countersign-receipt-1 ] ;;
    peer) [ "$2" = relay ] ;;
    link | suite) printable "$2" ;;
    session | room) hex "$2" 32 ;;
    created_at | *_seqno | message_count | tree_size) number "$2" ;;
    *) hex "$2" 64 ;;
    esac
}

receipt() {
    where=receipt.txt
    line_n=0
    for word in $receipt_words; do
        line_n=$((line_n + 1))
        IFS= read -r value <&7 && [ "${value%% *}" = "$word" ] && [ "${value#* }" != "$value" ] &&
            receipt_value "$word" "${value#* }" || wrong "line $line_n: $word"
        printf '%s %s\n' "$word" "${value#* }" >> "$work/again"
        eval "r_$word=\${value#* }"
    done 7< "$work/receipt.txt"
    cmp -s "$work/again" "$work/receipt.txt" || wrong 'not its only spelling'
    # shellcheck disable=SC2154 # what eval has set
    [ "$r_first_seqno" -gt 0 ] && [ "$r_last_seqno" -ge "$r_first_seqno" ] &&
        [ $((r_last_seqno - r_first_seqno + 1)) -le $transcript_max ] ||
        wrong 'of no entries, or of too many'
    # shellcheck disable=SC2154
    [ "$r_message_count" -eq $((r_last_seqno - r_first_seqno + 1)) ] || wrong 'line 12: message_count'
    # shellcheck disable=SC2154
    [ "$r_first_seqno" -gt 1 ] || [ "$r_base" = $zeros ] || wrong 'nothing comes before the first entry'
    # shellcheck disable=SC2154
    [ "$r_tree_size" -le "$r_last_seqno" ] || wrong 'a tree of more entries than it knows'
    # shellcheck disable=SC2154
    [ "$r_tree_size" -gt 0 ] || [ "$r_tree_root" = $zeros ] || wrong 'a root of no tree'
}

# ROLE: its seal of the receipt, if it is there.
seal() {
    where=$1.txt
    [ -s "$work/$1.txt" ] || [ -s "$work/$1.sig" ] || [ "$1" = client ] || return 0
    { IFS= read -r role && IFS= read -r s && IFS= read -r t; } < "$work/$1.txt" ||
        wrong 'not a seal of three lines'
    signer=${s#signer }
    sealed_at=${t#time }
    [ "$role" = "role $1" ] || wrong 'line 1: role'
    hex "$signer" 64 || wrong 'line 2: signer'
    number "$sealed_at" || wrong 'line 3: time'
    printf 'role %s\nsigner %s\ntime %s\n' "$1" "$signer" "$sealed_at" |
        cmp -s - "$work/$1.txt" || wrong 'not its only spelling'
    if [ "$1" = client ]; then
        # shellcheck disable=SC2154
        [ "$signer" = "$r_signer" ] || wrong 'not the signer that the receipt names'
        # shellcheck disable=SC2154
        [ "$sealed_at" -eq "$r_created_at" ] || wrong 'not the time at which the receipt was created'
    fi
    where=crl.der
    [ "$sealed_at" -le "$crl_until" ] || wrong 'out of date when the receipt was signed'
    where=$1.txt
    [ -f "$work/certs/$signer.der" ] || wrong "its signer's certificate is not here"
    cert_at "$signer" "$sealed_at"
    if [ "$1" = relay ]; then cert_for $evidence_use; else cert_of_device; fi
    where=$1.sig
    cat "$work/receipt.txt" "$work/$1.txt" > "$work/sealed"
    signed "certs/$signer.key" "$1.sig" sealed || wrong 'the signature is wrong'
    if [ "$1" = client ]; then
        client_cn=$cn
    elif [ "$1" = member ]; then
        [ "$cn" != "$client_cn" ] || wrong "the other member is the client's own account"
    fi
    signers="$signers $signer"
    [ "$sealed_at" -ge "$time" ] || time=$sealed_at
    seals="$seals
sealed by $1 at $sealed_at ms since 1970: $subject; certificate $signer"
}

# --- a signature as CMS, in DER ------------------------------------------------------------------

# From the hex of the signer's certificate, his CA's and the signature, empty lines between them, to two
# lines of hex: what is signed, and by which bytes; nothing when it is not their one spelling. All of
# it is written again: the signature itself stands at the end, as long as his other one.
awk_cms='
function element(tag, inside,   n) {
    n = length(inside) / 2
    return tag (n < 128 ? sprintf("%02x", n) : n < 256 ? sprintf("81%02x", n) : sprintf("82%04x", n)) inside
}
function number(digits,   n) {
    for (n = 0; digits != ""; digits = substr(digits, 2))
        n = n * 16 + index("0123456789abcdef", substr(digits, 1, 1)) - 1
    return n
}
# Where the content of the element at the digit `at` begins, and in `ends` where it ends.
function inside(s, at,   n, more) {
    n = number(substr(s, at + 2, 2))
    more = n < 128 ? 0 : n - 128
    if (more) n = number(substr(s, at + 4, 2 * more))
    at += 4 + 2 * more
    ends = at + 2 * n
    return at
}
# Issuer and serial number as they stand in a certificate: two levels below it the fourth part and,
# the version being the first, the second.
function issuer_serial(s,   i, at, from, serial) {
    at = inside(s, inside(s, 1))
    for (i = 1; i <= 4; i++) {
        from = at
        inside(s, at)
        at = ends
        if (i == 2) serial = substr(s, from, at - from)
    }
    return substr(s, from, at - from) serial
}
# A time as CMS has it: two digits of the year through 2049.
function date(s,   z, era, y, m, d, text, i, out) {
    # Days since 1 March of the year 0; 400 years have 146097.
    z = int(s / 86400) + 719468
    era = int(z / 146097)
    z -= era * 146097
    y = int((z - int(z / 1460) + int(z / 36524) - int(z / 146096)) / 365)
    z -= 365 * y + int(y / 4) - int(y / 100)
    m = int((5 * z + 2) / 153)
    d = z - int((153 * m + 2) / 5) + 1
    y += era * 400 + (m > 9)
    m += m < 10 ? 3 : -9
    s %= 86400
    text = sprintf("%02d%02d%02d%02d%02d", m, d, int(s / 3600), int(s / 60) % 60, s % 60)
    text = (y < 2050 ? sprintf("%02d", y % 100) : sprintf("%04d", y)) text
    for (i = 1; i <= length(text); i++) out = out "3" substr(text, i, 1)
    return element(y < 2050 ? "17" : "18", out "5a")
}
NF == 0 { part++ }
NF > 0 { hex[part + 0] = hex[part + 0] $0 }
END {
    for (part in hex) gsub(/ /, "", hex[part])
    digest = "300b0609608648016503040201"
    pss = "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a86" \
        "4886f70d010108300d06096086480165030402010500a203020120"
    # Type of the content, time, SHA-256 of the content, SHA-256 of the certificate.
    signed = "301806092a864886f70d010903310b06092a864886f70d010701" \
        element("30", "06092a864886f70d010905" element("31", date(seconds))) \
        "302f06092a864886f70d01090431220420" content \
        "3037060b2a864886f70d010910022f31283026302430220420" signer
    by = substr(hex[2], length(hex[2]) - 2 * length_of + 1)
    info = "020101" element("30", issuer_serial(hex[0])) digest element("a0", signed) pss element("04", by)
    certs = hex[0] < hex[1] ? hex[0] hex[1] : hex[1] hex[0]
    all = "020101" element("31", digest) "300b06092a864886f70d010701" element("a0", certs) \
        element("31", element("30", info))
    if (hex[2] == element("30", "06092a864886f70d010702" element("a0", element("30", all))))
        print element("31", signed) "\n" by
}'

# The client's seal again, for others' programs. Where openssl knows CAdES it is asked too.
cms() {
    where=receipt.p7s
    # shellcheck disable=SC2154
    for name in "certs/$r_signer.der" issuer.der receipt.p7s; do
        od -An -v -tx1 "$work/$name"
        echo
    done | awk -v seconds=$((r_created_at / 1000)) -v content="$receipt_sum" -v signer="$r_signer" \
        -v length_of="$(length "$work/client.sig")" "$awk_cms" > "$work/cms"
    { read -r cms_signed && read -r cms_sig; } < "$work/cms" || wrong 'not his signature in its one spelling'
    bytes "$cms_signed" > "$work/cms.signed"
    bytes "$cms_sig" > "$work/cms.sig"
    signed "certs/$r_signer.key" cms.sig cms.signed || wrong 'the signature is wrong'
    case $(openssl version) in
    'OpenSSL 1.'* | LibreSSL*) ;;
    *) openssl cms -verify -binary -cades -inform DER -in "$work/receipt.p7s" \
        -content "$work/receipt.txt" -CAfile "$work/root.info" -purpose any -no-CApath \
        -attime $((r_created_at / 1000)) -out /dev/null > "$work/log" 2>&1 ||
        wrong 'openssl does not take it for a CAdES signature' ;;
    esac
}

session() {
    if [ -n "$flat" ] && ! cmp -s "$flat" "$work/transcript.txt"; then
        where="the transcript line $(awk 'NR == FNR { line[NR] = $0; n = NR; next }
            FNR > n || line[FNR] != $0 { print FNR; done = 1; exit }
            END { if (!done) print FNR + 1 }' "$work/transcript.txt" "$flat")"
        wrong 'not what was sealed'
    fi
    : > "$work/again"
    receipt
    signers='' seals='' time=9007199254740991
    seal client
    seal relay
    seal member
    cms
    stamp receipt.tsr receipt.p7s
    # shellcheck disable=SC2154
    room=$r_room base=$r_base headed=yes
    transcript
    where=transcript.txt
    [ "$first" -eq "$r_first_seqno" ] || wrong 'line 1 is not the first entry of the receipt'
    [ "$last" -eq "$r_last_seqno" ] || wrong 'the last line is not the last entry of the receipt'
    where=receipt.txt
    # shellcheck disable=SC2154
    [ "$head" = "$r_transcript_hash" ] || wrong 'transcript_hash: the entries do not lead to it'
    authors
    proves="messages $first to $last of room $room, $withheld without their text"
}

contradiction() {
    checkpoint checkpoint room
    first_room=$room first_size=$size first_signer=$signer first_root=$root
    checkpoint later room
    where=later.txt
    [ "$room" = "$first_room" ] || wrong 'a checkpoint of another room'
    proof_read "$first_root" "$root"
    [ "$proof_n" -gt 0 ] || wrong 'no root to begin with'
    take
    then=$node
    [ "$first_size" -le "$size" ] || wrong 'the later tree did not begin with this root'
    pair_root "$first_size" "$size" whole
    { read -r first_root && read -r root; } < "$work/roots"
    proof_ends && [ "$older" = "$then" ] && [ "$newer" = "$root" ] ||
        wrong 'the later tree did not begin with this root'
    [ "$then" != "$first_root" ] || wrong 'the two checkpoints agree'
    for name in "$work"/certs/*.der; do
        fp=${name##*/}
        fp=${fp%.der}
        where=certs/$fp.der
        [ "$fp" = "$signer" ] || [ "$fp" = "$first_signer" ] ||
            wrong 'a certificate that nobody refers to'
    done
    proves="the relay contradicts itself about the first $first_size entries of room $room"
}

# --- an audit log ------------------------------------------------------------------------------

# From its lines, with one more that is only a full stop, to `entries` (number|time|count, or `bad`
# and why) and to commands that write what each leaf is the hash of.
awk_audit=$awk_bytes'
function bad(why) {
    print "bad|" why > entries
    exit
}
# Not escaped: at most 128 bytes, of which everything but these letters is %XX.
function word(s) {
    if (s ~ /%(2D|2E|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])/) return 0
    gsub(/%[0-9A-F][0-9A-F]/, "A", s)
    return s !~ /[^A-Za-z0-9._~-]/ && length(s) <= 128
}
function hash(s) { return length(s) == 64 && s !~ /[^0-9a-f]/ }
BEGIN {
    FS = "|"
    tables()
}
stop { bad("cut off") }
$0 == "." {
    stop = 1
    next
}
NR > lines_max { bad("too many lines") }
/[^ -~]/ || length($0) > 1536 { bad("no line of an audit log") }
NF != 10 || $1 != "countersign-audit-1" { bad("the word of the line") }
$4 != "0" && $4 != "60000" { bad("span") }
!word($5) || $5 == "" { bad("event") }
!word($6) { bad("account") }
$7 != "" && !hash($7) { bad("fingerprint") }
!word($8) { bad("reason") }
$10 != "" && $10 != "operator" && $10 != "*" && !hash($10) { bad("address") }
{
    print $2 "|" $3 "|" $9 > entries
    printf "begin said/%d.leaf\n", NR
    out = "\\000"
    for (i = 1; i <= length($0); i++) out = out of[substr($0, i, 1)]
    printf "printf %c%s%c >&3\n", 39, out, 39
}'

audit_line_judge() {
    [ "$number" != bad ] || wrong "$written"
    number "$number" && [ "$number" -gt 0 ] || wrong 'number'
    number "$written" || wrong 'time'
    number "$said_n" && [ "$said_n" -gt 0 ] || wrong 'count'
    if [ "$count" -eq 0 ]; then
        first=$number
    else
        [ "$number" -eq $((last + 1)) ] || wrong 'number: the numbers have a gap'
    fi
    [ "$written" -le "$time" ] || wrong 'time: written after it was signed for'
    last=$number
    read -r leaf _ <&6
    echo "$leaf" >> "$work/leaves"
    count=$((count + 1))
}

audit_lines() {
    for list in entries leaves names; do
        : > "$work/$list"
    done
    { tr '\000' '?' < "$work/audit.txt" && echo .; } |
        awk -v entries="$work/entries" -v lines_max=$transcript_max "$awk_audit" > "$work/unpack"
    # shellcheck source=/dev/null # begin NAME, printf '\ooo...' >&3
    . "$work/unpack"
    exec 3>&-
    (cd "$work" && xargs openssl dgst -sha256 -r < names) > "$work/sums"
    count=0
    exec 6< "$work/sums"
    while where="audit.txt line $((count + 1))" && IFS='|' read -r number written said_n; do
        audit_line_judge
    done < "$work/entries"
    [ "$count" -gt 0 ] || wrong 'no line at all'
}

audit() {
    checkpoint checkpoint audit
    audit_lines
    for name in "$work"/certs/*.der; do
        where=certs/${name##*/}
        [ "$where" = "certs/$signer.der" ] || wrong 'a certificate that nobody refers to'
    done
    lines_lead
    proves="lines $first to $last of the audit log $room"
}

# --- what it says ------------------------------------------------------------------------------

said_by() {
    for name in "$work"/certs/*.said; do
        fp=${name##*/}
        fp=${fp%.said}
        read -r _ _ _ _ said < "$name"
        facts "certs/$fp" "$fp"
        printf '%s\n' "author: $said of them; $subject; certificate $fp"
    done
}

report() {
    echo "$proves"
    echo "signer anchored: $anchored; root SHA-256 $root_sum"
    case $kind in messages | session) said_by ;; esac
    if [ "$kind" = session ]; then
        # shellcheck disable=SC2154
        printf '%s\n' "session: $r_session, by $r_link with $r_suite${seals}"
    else
        printf '%s\n' "relay: $relay; certificate $signer"
        echo "checkpoint: $size entries, signed at $time ms since 1970"
    fi
    [ -z "${stamped-}" ] || echo "time stamp: $stamped"
    echo "revocations: as of $crl_from; nothing revoked after that is seen"
    [ -z "$given" ] || echo "revocations given: as of $given_from"
    if [ "$kind" = messages ]; then
        echo 'proves: whoever held these keys signed these messages; the relay had them in this order'
        echo 'proves not: that a key was in its owner'\''s hands; that anybody read a message; that nothing'
        echo '  was sent which the relay never numbered; times by other clocks than theirs'
    elif [ "$kind" = session ]; then
        echo 'proves: whoever held these keys signed these messages; each of who sealed the receipt had'
        echo '  them in this order, without a gap, when he did'
        echo 'proves not: that a key was in its owner'\''s hands; that anybody read a message; what a seal'
        echo '  that is not there would say; times by other clocks than theirs'
    elif [ "$kind" = audit ]; then
        echo 'proves: the relay had these lines in its audit log, in this order, when it signed'
        echo 'proves not: that what a line says is true; that everything was written down; from which'
        echo '  address somebody came, to whoever has not the key of its week'
    else
        echo 'proves: the relay signed two histories of this room'
        echo 'proves not: which of the two is true, or why'
    fi
}

unpack
trust
given_list
if [ -n "$flat" ] && [ "$kind" != session ]; then
    where=bundle
    wrong 'no receipt of a session stands beside the transcript'
fi
certs_read
$kind
verdict=VALID
[ $anchored = yes ] || verdict='UNANCHORED: consistent, but anybody can make such a root'
echo "$verdict"
report
[ $anchored = yes ] || exit 77
