"""A corpus of bad certificates (H18), made under a relay's own CA by a DER writer of a few lines, so
that it can hold what no issuing program makes.

    corpus = Corpus(directory, f"{relay.dir}/ca")
    for case in CASES:
        chain, key = corpus.make(case, "device")    # DER certificates, leaf first; a PEM key

Each case changes one thing in a certificate that is otherwise in order, and says the word (of
common/crypto/x509.h) that refuses it.
"""

import os
import ssl
import subprocess
import time

DAY = 86400


# --- DER ---

def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = bytes([n]) if n < 128 else (
        bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body


def seq(*parts):
    return tlv(0x30, *parts)


def integer(n):
    return tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytes([40 * first + second])
    for n in rest:
        part = [n & 127]
        while n := n >> 7:
            part.append(0x80 | n & 127)
        out += bytes(reversed(part))
    return tlv(0x06, out)


def utf8(text):
    return tlv(0x0c, text if isinstance(text, bytes) else text.encode())


def bits(data, unused=0):
    return tlv(0x03, bytes([unused]), data)


def octets(data):
    return tlv(0x04, data)


def name(**parts):
    ids = {"cn": "2.5.4.3", "ou": "2.5.4.11"}
    return seq(*(tlv(0x31, seq(oid(ids[k]), v if v[:1] == b"\x1e" else utf8(v)))
                 for k, v in parts.items() if v is not None))


def moment(when):
    t = time.gmtime(when)
    if t.tm_year >= 2050:
        return tlv(0x18, time.strftime("%Y%m%d%H%M%SZ", t).encode())
    return tlv(0x17, time.strftime("%y%m%d%H%M%SZ", t).encode())


SIGNATURES = {"sha256": "1.2.840.113549.1.1.11", "sha1": "1.2.840.113549.1.1.5",
              "md5": "1.2.840.113549.1.1.4"}

SIGN, NON_REPUDIATION, CERT_SIGN, CRL_SIGN = 0x80, 0x40, 0x04, 0x02
CLIENT, SERVER = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
CODE, ANY = "1.3.6.1.5.5.7.3.3", "2.5.29.37.0"


def usage(value):
    n = 0
    while not value >> n & 1:
        n += 1
    return bits(bytes([value]), n)


def dns(text):
    return tlv(0x82, text if isinstance(text, bytes) else text.encode())


def uri(text):
    return tlv(0x86, text.encode())


def ip(*parts):
    return tlv(0x87, bytes(parts))


def openssl(*argv, data=None):
    return subprocess.run(["openssl", *argv], input=data, check=True, capture_output=True).stdout


class Form:
    """What stands in a certificate; the corpus signs it."""

    def __init__(self, role, key, issuer):
        self.role, self.key, self.issuer = role, key, issuer
        self.version, self.digest, self.serial = 3, "sha256", int.from_bytes(os.urandom(15), "big")
        self.start, self.end = time.time() - 3600, time.time() + 30 * DAY
        device = role == "device"
        self.cn, self.ou = ("alice", "laptop") if device else ("127.0.0.1", None)
        self.ca, self.pathlen = False, None
        self.usage = SIGN | (NON_REPUDIATION if device else 0)
        self.eku = [CLIENT if device else SERVER]
        self.sans = [uri("countersign:alice/laptop") if device else ip(127, 0, 0, 1)]
        self.more, self.tail = [], b""   # further extensions; bytes behind the certificate
        self.spoil = None                # the finished DER, changed

    def extensions(self):
        out = []

        def put(number, value, critical=False):
            out.append(seq(oid(number), b"\x01\x01\xff" if critical else b"", octets(value)))
        if self.ca is not None:
            put("2.5.29.19", seq(b"\x01\x01\xff" if self.ca else b"",
                                 integer(self.pathlen) if self.pathlen is not None else b""), True)
        if self.usage is not None:
            put("2.5.29.15", usage(self.usage), True)
        if self.eku is not None:
            put("2.5.29.37", seq(*map(oid, self.eku)))
        if self.sans is not None:
            put("2.5.29.17", seq(*self.sans))
        for number, value, critical in self.more:
            put(number, value, critical)
        return tlv(0xa3, seq(*out)) if out else b""


# --- the cases: what is changed, the word that refuses it, for whom ---

class Case:
    def __init__(self, about, word, change, roles=("device", "relay"), offered=True, unread=None):
        self.about, self.word, self.change = about, word, change
        self.told = unread or word  # on the wire: mbedTLS may not even read it
        self.roles, self.offered = roles, offered  # offered: libssl can present it with our schemes


def put(**fields):
    return lambda corpus, f: f.__dict__.update(fields)


def added(number, value, critical):
    return lambda corpus, f: f.more.append((number, value, critical))


def signed_by(which):
    def change(corpus, f):
        f.issuer = corpus.issuer(which)
    return change


def keyed(kind, digest="sha256"):
    def change(corpus, f):
        f.key, f.digest = corpus.key(kind), digest
    return change


def flipped(der):
    return der[:-1] + bytes([der[-1] ^ 1])


def other_role(corpus, f):
    del corpus
    f.eku = [SERVER if f.role == "device" else CLIENT]


def self_signed(corpus, f):
    f.issuer = Issuer(name(cn=f.cn, ou=f.ou), f.key, [])


def no_extensions(version):
    return put(version=version, ca=None, usage=None, eku=None, sans=None)


def huge(corpus, f):
    del corpus
    f.more.append(("1.2.3.4.5", octets(os.urandom(1 << 20)), False))


NOW = time.time()
CASES = [
    Case("in order", "ok", lambda corpus, f: None),
    Case("expired", "expired", put(start=NOW - 9 * DAY, end=NOW - DAY)),
    Case("expired a minute ago", "expired", put(end=NOW - 60)),
    Case("ends before it begins", "expired", put(start=NOW - DAY, end=NOW - 2 * DAY)),
    Case("not yet valid", "not-yet-valid", put(start=NOW + DAY)),
    Case("valid from 2050 on", "not-yet-valid", put(start=2530000000, end=2540000000)),
    Case("another CA", "unknown-ca", signed_by("other")),
    Case("another CA with its root", "self-signed", signed_by("other with root")),
    Case("another CA of our CA's name", "bad-signature", signed_by("namesake")),
    Case("signed by itself", "self-signed", self_signed),
    Case("one bit of the signature", "bad-signature", put(spoil=flipped)),
    Case("the other role", "wrong-role", other_role),
    Case("both roles", "wrong-role", put(eku=[CLIENT, SERVER])),
    Case("code signing alone", "wrong-role", put(eku=[CODE])),
    Case("any purpose", "wrong-role", put(eku=[ANY])),
    Case("no extended key usage", "no-eku", put(eku=None)),
    Case("no key usage", "key-usage", put(usage=None)),
    Case("may not sign", "key-usage", put(usage=NON_REPUDIATION)),
    Case("no nonRepudiation", "key-usage", put(usage=SIGN), ["device"]),
    Case("a leaf that may sign certificates", "key-usage", put(usage=SIGN | NON_REPUDIATION |
                                                               CERT_SIGN)),
    Case("a CA with a leaf's names", "ca-as-leaf", put(ca=True)),
    Case("another address", "wrong-name", put(sans=[ip(127, 0, 0, 2)]), ["relay"]),
    Case("another host", "wrong-name", put(sans=[dns("localhost")]), ["relay"]),
    Case("the address as a name", "wrong-name", put(sans=[dns("127.0.0.1")]), ["relay"]),
    Case("the address as a URI", "wrong-name", put(sans=[uri("127.0.0.1")]), ["relay"]),
    Case("a wildcard", "wrong-name", put(sans=[dns("*.0.0.1")]), ["relay"]),
    Case("another person's name", "wrong-name", put(sans=[uri("countersign:bob/laptop")]),
         ["device"]),
    Case("a second name", "wrong-name", put(sans=[uri("countersign:alice/laptop"),
                                                  uri("countersign:bob/laptop")]), ["device"]),
    Case("a CN and no SAN", "no-san", put(sans=None)),
    Case("NUL in the SAN", "bad-name", put(sans=[dns(b"127.0.0.1\0.example")])),
    Case("NUL in the CN", "bad-name", put(cn="127.0.0.1\0.example")),
    Case("an escape sequence in the CN", "bad-name", put(cn="\x1b]0;owned\x07")),
    Case("C1 in the CN", "bad-name", put(cn="a\u009b31mb")),
    Case("below a CA that may have none below", "path-length", signed_by("third")),
    Case("issued by a device", "issuer-not-ca", signed_by("leaf")),
    Case("twenty deep", "chain-too-long", signed_by("twenty")),
    Case("five deep", "chain-too-long", signed_by("five")),
    Case("RSA-1024", "weak-key", keyed("rsa1024")),
    Case("P-384", "weak-key", keyed("secp384r1"), offered=False),
    Case("P-192", "weak-key", keyed("prime192v1"), offered=False),
    Case("P-256, which signs no entries", "weak-key", keyed("prime256v1"), ["device"]),
    Case("SHA-1", "weak-signature", put(digest="sha1")),
    Case("MD5", "weak-signature", put(digest="md5")),
    Case("version 1", "version", no_extensions(1)),
    Case("version 2", "version", no_extensions(2)),
    Case("an unknown critical extension", "critical-extension",
         added("1.2.3.4", b"\x05\x00", True), unread="malformed"),
    Case("name constraints", "critical-extension",
         added("2.5.29.30", seq(tlv(0xa0, seq(dns("example")))), False)),
    Case("an unknown extension that is not critical", "ok", added("1.2.3.4", b"\x05\x00", False)),
    Case("one mebibyte", "too-big", huge),
    Case("a byte behind it", "trailing-bytes", put(tail=b"\0"), offered=False),
    Case("a certificate behind it", "trailing-bytes", put(tail=seq(integer(1))), offered=False),
    Case("its last byte missing", "malformed", put(spoil=lambda der: der[:-1]), offered=False),
]


class Issuer:
    def __init__(self, subject, key, chain):
        self.subject, self.key, self.chain = subject, key, chain


class Corpus:
    def __init__(self, where, ca):
        self.where, self.ca = str(where), ca
        self.keys, self.issuers, self.cn = {}, {}, None

    def key(self, kind):
        """A PEM key of this kind, made once."""
        if kind not in self.keys:
            path = f"{self.where}/{kind}.pem"
            if kind.startswith("rsa"):
                openssl("genrsa", "-out", path, kind[3:])
            else:
                openssl("ecparam", "-name", kind, "-genkey", "-noout", "-out", path)
            self.keys[kind] = path
        return self.keys[kind]

    def der(self, path):
        with open(path, encoding="ascii") as f:
            return ssl.PEM_cert_to_DER_cert(f.read())

    def issuer(self, which):
        if which not in self.issuers:
            self.issuers[which] = getattr(self, "_" + which.replace(" ", "_"))()
        return self.issuers[which]

    def _ours(self):
        der = self.der(f"{self.ca}/intermediate.crt")
        subject = openssl("x509", "-inform", "DER", "-noout", "-subject", "-nameopt",
                          "multiline,utf8,-esc_msb", data=der).decode()
        self.cn = subject.split("=", 2)[-1].strip()
        return Issuer(name(cn=self.cn), f"{self.ca}/intermediate.key", [der])

    def sub(self, above, subject, kind, **fields):
        """A CA below (or beside) ours."""
        f = Form("relay", self.key(kind), above)
        f.__dict__.update({"cn": subject, "ca": True, "usage": CERT_SIGN | CRL_SIGN, "eku": None,
                           "sans": None} | fields)
        return Issuer(name(cn=subject), f.key, [self.sign(f)] + above.chain)

    def stranger(self, subject):
        """A CA below a root of its own."""
        root = Issuer(name(cn="root"), self.key("rsa3072"), [])
        f = Form("relay", root.key, root)
        f.__dict__.update(cn="root", ca=True, usage=CERT_SIGN | CRL_SIGN, eku=None, sans=None)
        root.chain = [self.sign(f)]
        return self.sub(root, subject, "rsa2049")

    def _other_with_root(self):
        return self.stranger("other CA")

    def _other(self):
        other = self.stranger("other CA")
        return Issuer(other.subject, other.key, other.chain[:1])

    def _namesake(self):
        return self.stranger(self.cn)

    def _third(self):
        return self.sub(self.issuer("ours"), "third CA", "rsa2050")

    def _leaf(self):
        f = Form("device", self.key("rsa2050"), self.issuer("ours"))
        return Issuer(name(cn=f.cn, ou=f.ou), f.key, [self.sign(f)] + f.issuer.chain)

    def _five(self):
        return self.deep(5)

    def _twenty(self):
        return self.deep(20)

    def deep(self, count):
        above = self.issuer("ours")
        for i in range(count - 2):
            above = self.sub(above, f"CA {i}", "rsa2050")
        return above

    def sign(self, f):
        alg = seq(oid(SIGNATURES[f.digest]), b"\x05\x00")
        version = tlv(0xa0, integer(f.version - 1)) if f.version > 1 else b""
        tbs = seq(version, integer(f.serial), alg, f.issuer.subject,
                  seq(moment(f.start), moment(f.end)), name(cn=f.cn, ou=f.ou),
                  openssl("pkey", "-in", f.key, "-pubout", "-outform", "DER"), f.extensions())
        der = seq(tbs, alg, bits(openssl("dgst", f"-{f.digest}", "-sign", f.issuer.key, data=tbs)))
        return (f.spoil(der) if f.spoil else der) + f.tail

    def make(self, case, role):
        """(chain of DER, path of the leaf's key)"""
        f = Form(role, self.key("rsa2048" if role == "device" else "prime256v1"),
                 self.issuer("ours"))
        case.change(self, f)
        return [self.sign(f)] + f.issuer.chain, f.key

    def revoked(self, serials, start, end, digest="sha256", beside=b"\x05\x00", entry=b""):
        """A revocation list of our intermediate, as the corpus wants it. end None: it does not say;
        beside: parameters of the algorithm outside of what is signed; entry: behind each row."""
        ours = self.issuer("ours")
        alg = seq(oid(SIGNATURES[digest]), b"\x05\x00")
        rows = seq(*(seq(integer(s), moment(NOW - 3600), entry) for s in serials)) if serials else b""
        tbs = seq(integer(1), alg, ours.subject, moment(start), moment(end) if end else b"", rows,
                  tlv(0xa0, seq(seq(oid("2.5.29.20"), octets(integer(10 ** 6))))))
        return seq(tbs, seq(oid(SIGNATURES[digest]), beside),
                   bits(openssl("dgst", f"-{digest}", "-sign", ours.key, data=tbs)))
