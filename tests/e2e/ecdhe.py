"""A second client of the link `ecdhe`, written from docs/protocol.md 10 alone.

    end = Ecdhe(relay.port, CHAT, cert, key)     # the same words as wire.Tls

X25519 is arithmetic, HKDF is hmac, signatures are openssl's, the AEADs libcrypto's by ctypes.
"""

import ctypes
import hashlib
import hmac
import os
import socket
import ssl as pem
import struct
import subprocess
import tempfile

from relay import SECONDS
from wire import CHAT, Frames

MAGIC = b"countersign ecdhe 1\n"
LOGIN = "EXPORTER-countersign-login-1"
AES, CHACHA = 1, 2

_crypto = ctypes.CDLL("libcrypto.so.3")
_P, _S, _I = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
for _name, _result, _args in (
        ("EVP_aes_256_gcm", _P, []), ("EVP_chacha20_poly1305", _P, []),
        ("EVP_CIPHER_CTX_new", _P, []), ("EVP_CIPHER_CTX_free", None, [_P]),
        ("EVP_CipherInit_ex", _I, [_P, _P, _P, _S, _S, _I]),
        ("EVP_CipherUpdate", _I, [_P, _P, _P, _S, _I]),
        ("EVP_CipherFinal_ex", _I, [_P, _P, _P]),
        ("EVP_CIPHER_CTX_ctrl", _I, [_P, _I, _I, _P])):
    getattr(_crypto, _name).restype, getattr(_crypto, _name).argtypes = _result, _args


class Refused(Exception):
    """The relay has ended the handshake."""


def _aead(suite, key, nonce, aad, data, tag=None):
    """Seals, or with a tag opens; None when it is forged."""
    ctx, n = _crypto.EVP_CIPHER_CTX_new(), ctypes.c_int()
    cipher = _crypto.EVP_aes_256_gcm() if suite == AES else _crypto.EVP_chacha20_poly1305()
    out = ctypes.create_string_buffer(len(data) + 16)
    try:
        _crypto.EVP_CipherInit_ex(ctx, cipher, None, key, nonce, tag is None)
        _crypto.EVP_CipherUpdate(ctx, None, ctypes.byref(n), aad, len(aad))
        if tag is not None:
            _crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x11, 16, ctypes.create_string_buffer(tag, 16))
        if data:
            _crypto.EVP_CipherUpdate(ctx, out, ctypes.byref(n), data, len(data))
        end = ctypes.create_string_buffer(16)
        if _crypto.EVP_CipherFinal_ex(ctx, end, ctypes.byref(n)) != 1:
            return None
        if tag is not None:
            return out.raw[:len(data)]
        _crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x10, 16, end)
        return out.raw[:len(data)] + end.raw
    finally:
        _crypto.EVP_CIPHER_CTX_free(ctx)


def x25519(scalar, point=b"\x09" + bytes(31)):
    """RFC 7748 section 5."""
    p = 2**255 - 19
    k = int.from_bytes(scalar, "little") & ~7 & (2**255 - 1) | 2**254
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb)**2 % p, x1 * (da - cb)**2 % p
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def mac(key, data):
    return hmac.new(key, data, "sha256").digest()


def expand(key, info, n):
    out = block = b""
    while len(out) < n:
        block = mac(key, block + info + bytes([len(out) // 32 + 1]))
        out += block
    return out[:n]


def label(secret, name, n):
    """HKDF-Expand-Label of RFC 8446 7.1, without context."""
    name = b"tls13 " + name
    return expand(secret, struct.pack(">HB", n, len(name)) + name + b"\0", n)


def sequence(iv, number):
    return (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")


def openssl(*argv, data=b""):
    return subprocess.run(["openssl", *argv], input=data, check=True, capture_output=True).stdout


def verified(der, said, sig):
    """Is this openssl's idea of a good signature by the key of that certificate?"""
    with tempfile.TemporaryDirectory() as where:
        for name, data in ("cert", der), ("sig", sig):
            with open(f"{where}/{name}", "wb") as f:
                f.write(data)
        key = openssl("x509", "-inform", "DER", "-in", f"{where}/cert", "-noout", "-pubkey")
        with open(f"{where}/key", "wb") as f:
            f.write(key)
        rsa = b"rsaEncryption" in openssl("pkey", "-pubin", "-in", f"{where}/key", "-text",
                                          "-noout") or len(key) > 300
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"] if rsa else []
        return subprocess.run(["openssl", "dgst", "-sha256", *pss, "-verify", f"{where}/key",
                               "-signature", f"{where}/sig"], input=said, check=False,
                              capture_output=True).returncode == 0


class Side:
    """One direction of records."""

    def __init__(self, secret):
        self.key, self.iv, self.number = label(secret, b"key", 32), label(secret, b"iv", 12), 0

    def nonce(self):
        self.number += 1
        return sequence(self.iv, self.number - 1)


class Ecdhe(Frames):
    """One connection; whatever is given in `lies` replaces what an honest client would send."""

    def __init__(self, port, alpn, cert=None, key=None, suites=(AES, CHACHA), **lies):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.join, self.cert, self.key, self.lies = alpn != CHAT, cert, key, lies
        self.seen, self.rest = MAGIC, b""
        self.sock.sendall(lies.get("magic", MAGIC))
        self._hello(bytes(suites))
        self._answer(suites)
        self._keys()
        self._finished()
        self._verdict()
        self.open = True

    # --- frames of the handshake ---

    def _context(self, who, what, t):
        return f"countersign|ecdhe 1|{who}|{what}".encode() + b"\0" + t

    def _hash(self, kind=None, part=b""):
        more = b"" if kind is None else struct.pack(">BI", kind, len(part)) + part
        return hashlib.sha256(self.seen + more).digest()

    def _add(self, kind, content):
        self.seen += struct.pack(">BI", kind, len(content)) + content

    def _read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise Refused("closed")
            data += more
        return data

    def _frame(self, kind):
        head = self._read(5)
        got, n = struct.unpack(">BI", head)
        if (got, n) == (0, 0):
            assert self.sock.recv(1) == b""     # and nothing behind it
            raise Refused("refused")
        assert got == kind, head
        return head, self._read(n)

    def _hello(self, suites):
        self.secret = os.urandom(32)
        hello = bytes([self.join]) + os.urandom(32) + x25519(self.secret) + \
            bytes([len(suites)]) + suites
        hello = self.lies.get("hello", lambda h: h)(hello)
        self._add(1, hello)
        self.sock.sendall(struct.pack(">BI", 1, len(hello)) + hello)

    def _answer(self, suites):
        _, content = self._frame(2)
        self.suite, self.theirs, at = content[0], content[33:65], 66
        assert self.suite in suites
        self.chain = []
        for _ in range(content[65]):
            n = struct.unpack(">H", content[at:at + 2])[0]
            self.chain.append(content[at + 2:at + 2 + n])
            at += 2 + n
        n = struct.unpack(">H", content[at:at + 2])[0]
        assert at + 2 + n == len(content)
        said = self._context("relay", "ServerHello|signature", self._hash(2, content[:at]))
        assert verified(self.chain[0], said, content[at + 2:])
        self._add(2, content)

    def _keys(self):
        self.t = self._hash()
        self.session = mac(self.t, x25519(self.secret, self.theirs))

    def _expand(self, who, what, n=32):
        return expand(self.session, self._context(who, what, self.t), n)

    def _finished(self):
        content = b"\0\0\0"
        if not self.join:
            content = self._proof()
        said = self._context("client", "Client Finished|mac", self._hash(5, content))
        content += mac(self._expand("client", "finished"), said)
        content = self.lies.get("finished", lambda c: c)(content)
        self._add(5, content)
        head = struct.pack(">BI", 5, len(content) + 16)
        self.sock.sendall(head + _aead(self.suite, self._expand("client", "key 1"),
                                       self._expand("client", "iv 1", 12), head, content))

    def _proof(self):
        with open(self.cert, encoding="ascii") as f:
            ends = "-----END CERTIFICATE-----"
            chain = [pem.PEM_cert_to_DER_cert(c.strip() + ends) for c in f.read().split(ends)[:-1]]
        content = bytes([len(chain)])
        for der in chain:
            content += struct.pack(">H", len(der)) + der
        said = self._context("client", "Client Finished|signature", self._hash(5, content))
        sig = openssl("dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                      "rsa_pss_saltlen:32", "-sign", self.key, data=said)
        return content + struct.pack(">H", len(sig)) + sig

    def _verdict(self):
        head, sealed = self._frame(6)
        content = _aead(self.suite, self._expand("relay", "key 1"),
                        self._expand("relay", "iv 1", 12), head, sealed[:-16], sealed[-16:])
        said = self._context("relay", "Server Finished|mac", self._hash(6))
        assert content == mac(self._expand("relay", "finished"), said)
        self._add(6, content)
        self.t = self._hash()
        self.ours = Side(self._expand("client", "application"))
        self.come = Side(self._expand("relay", "application"))

    # --- records behind it ---

    def exporter(self, name):
        assert name == LOGIN
        return self._expand("both", LOGIN)

    def raw(self, data):
        head = b"\x17\x03\x03" + struct.pack(">H", len(data) + 17)
        self.sock.sendall(head + _aead(self.suite, self.ours.key, self.ours.nonce(), head,
                                       data + b"\x17"))
        return True

    def _more(self):
        try:
            head = self._read(5)
            sealed = self._read(struct.unpack(">H", head[3:])[0])
        except (Refused, ConnectionError):
            return False
        inner = _aead(self.suite, self.come.key, self.come.nonce(), head, sealed[:-16],
                      sealed[-16:]).rstrip(b"\0")
        if inner[-1:] != b"\x17":
            return False
        self.rest += inner[:-1]
        return True

    def close(self):
        self.sock.close()
