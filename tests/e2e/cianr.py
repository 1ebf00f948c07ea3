"""A second client of the link `cianr`, written from docs/protocol.md 10.3 alone.

    end = Cianr(relay.port, CHAT, cert, key)     # the same words as wire.Tls

Diffie-Hellman is Python's pow, AES and signatures are openssl's programs, the rest is hmac.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import time

import ecdhe
from ecdhe import Refused, expand, label, mac, openssl, verified
from relay import SECONDS
from wire import CHAT, Frames

MAGIC = b"countersign cianr 1\n"
LOGIN = ecdhe.LOGIN
# RFC 3526 section 3: 2^2048 - 2^1984 - 1 + 2^64 * ([2^1918 pi] + 124476)
P = int("""
    FFFFFFFF FFFFFFFF C90FDAA2 2168C234 C4C6628B 80DC1CD1 29024E08 8A67CC74 020BBEA6 3B139B22
    514A0879 8E3404DD EF9519B3 CD3A431B 302B0A6D F25F1437 4FE1356D 6D51C245 E485B576 625E7EC6
    F44C42E9 A637ED6B 0BFF5CB6 F406B7ED EE386BFB 5A899FA5 AE9F2411 7C4B1FE6 49286651 ECE45B3D
    C2007CB8 A163BF05 98DA4836 1C55D39A 69163FA8 FD24CF5F 83655D23 DCA3AD96 1C62F356 208552BB
    9ED52907 7096966D 670C354E 4ABC9804 F1746C08 CA18217C 32905E46 2E36CE3B E39E772C 180E8603
    9B2783A2 EC07A28F B5C55DF0 6F4C52C9 DE2BCBF6 95581718 3995497C EA956AE5 15D22618 98FA0510
    15728E5A 8AACAA68 FFFFFFFF FFFFFFFF""".replace(" ", "").replace("\n", ""), 16)


def b64(data):
    return base64.b64encode(data).decode()


def said(**members):
    return json.dumps(members, separators=(",", ":")).encode()


def aes(mode, key, data, *how):
    return openssl("enc", mode, "-K", key.hex(), *how, data=data)


def keys(key):
    three = expand(key, b"countersign cbc", 64)
    return three[:16], three[16:48], three[48:]


def seal(key, seq, head, text):
    enc, auth, ivs = keys(key)
    iv = aes("-aes-128-ecb", ivs, seq.to_bytes(16, "big"), "-e", "-nopad")
    body = iv + aes("-aes-128-cbc", enc, text, "-e", "-iv", iv.hex())
    return body + mac(auth, seq.to_bytes(8, "big") + head + body)


def unseal(key, seq, head, sealed):
    enc, auth, _ = keys(key)
    body, tag = sealed[:-32], sealed[-32:]
    assert hmac.compare_digest(tag, mac(auth, seq.to_bytes(8, "big") + head + body))
    return aes("-aes-128-cbc", enc, body[16:], "-d", "-iv", body[:16].hex())


class Cianr(Frames):
    """One connection; `lies` has for a step what to do with its content before it goes."""

    def __init__(self, port, alpn, cert=None, key=None, skew=0, **lies):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.join, self.cert, self.key, self.skew, self.lies = alpn != CHAT, cert, key, skew, lies
        self.seen, self.rest, self.stage = MAGIC, b"", None
        self.sock.sendall(MAGIC)
        self._hellos()
        self._first()
        self._credentials()
        self._session()
        self._finished()
        self.open = True

    # --- frames ---

    def _context(self, who, what, t):
        return f"countersign|cianr 1|{who}|{what}".encode() + b"\0" + t

    def _hash(self, kind=None, part=b""):
        more = b"" if kind is None else struct.pack(">BI", kind, len(part)) + part
        return hashlib.sha256(self.seen + more).digest()

    def _expand(self, key, who, what, t):
        return expand(key, self._context(who, what, t), 32)

    def _stage(self, number, key):
        t = self._hash()
        self.stage = {who: [self._expand(key, who, f"key {number}", t), 0]
                      for who in ("client", "relay")}

    def _say(self, kind, content):
        content = self.lies.get(f"step{kind}", lambda c: c)(content)
        self.seen += struct.pack(">BI", kind, len(content)) + content
        payload, n = content, len(content)
        if self.stage:
            n = 16 + len(content) // 16 * 16 + 16 + 32
        head = struct.pack(">BI", kind, n)
        if self.stage:
            key, seq = self.stage["client"]
            payload, self.stage["client"][1] = seal(key, seq, head, content), seq + 1
        self.sock.sendall(head + payload)

    def _read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise Refused("closed")
            data += more
        return data

    def _hear(self, kind):
        head = self._read(5)
        got, n = struct.unpack(">BI", head)
        content = self._read(n)
        if got == 0:
            assert self.sock.recv(1) == b""     # and nothing behind it
            raise Refused(json.loads(content)["error_type"])
        assert got == kind, head
        if self.stage:
            key, seq = self.stage["relay"]
            content, self.stage["relay"][1] = unseal(key, seq, head, content), seq + 1
        self.before, self.seen = self.seen, self.seen + struct.pack(">BI", kind, len(content)) + \
            content
        return content

    # --- signatures ---

    def _sign(self, kind, step, content):
        """The content with our signature behind `"sig":"`."""
        field = b"\0\0"
        if not self.join:
            said_by_us = self._context("client", step + "|signature", self._hash(kind, content))
            sig = openssl("dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                          "rsa_pss_saltlen:32", "-sign", self.key, data=said_by_us)
            field = struct.pack(">H", len(sig)) + sig
        return content + b64(field).encode() + b'"}'

    def _verify(self, kind, step, content):
        here = content[:content.index(b'"sig":"') + 7]
        t = hashlib.sha256(self.before + struct.pack(">BI", kind, len(here)) + here).digest()
        field = base64.b64decode(json.loads(content)["sig"], validate=True)
        assert struct.unpack(">H", field[:2])[0] == len(field) - 2
        assert verified(self.chain[0], self._context("relay", step + "|signature", t), field[2:])

    # --- steps ---

    def _hellos(self):
        chain = b"\0"
        if not self.join:
            with open(self.cert, encoding="ascii") as f:
                ends = "-----END CERTIFICATE-----"
                ders = [ecdhe.pem.PEM_cert_to_DER_cert(c.strip() + ends)
                        for c in f.read().split(ends)[:-1]]
            chain = bytes([len(ders)]) + b"".join(struct.pack(">H", len(d)) + d for d in ders)
        self._say(1, said(type="hello", purpose="join" if self.join else "chat",
                          client_cert=b64(chain), nonce=b64(os.urandom(32))))
        answer = self._hear(2)
        assert list(json.loads(answer)) == ["type", "server_cert", "nonce"]
        field, self.chain = base64.b64decode(json.loads(answer)["server_cert"]), []
        at = 1
        for _ in range(field[0]):
            n = struct.unpack(">H", field[at:at + 2])[0]
            self.chain.append(field[at + 2:at + 2 + n])
            at += 2 + n
        assert at == len(field)

    def _open(self, kind):
        self.secret = int.from_bytes(os.urandom(32), "big") | 1 << 255
        self._say(kind, said(type="dh_client", A=b64(pow(2, self.secret, P).to_bytes(256, "big"))))

    def _agree(self, answer):
        theirs = base64.b64decode(json.loads(answer)["B"], validate=True)
        assert len(theirs) == 256
        return pow(int.from_bytes(theirs, "big"), self.secret, P).to_bytes(256, "big")

    def _first(self):
        self._open(3)
        answer = self._hear(4)
        self._verify(4, "dh_server", answer)
        self.named = self._hash()
        self.first = mac(self.named, self._agree(answer))
        self._stage(1, self.first)

    def _credentials(self):
        kind = b"register" if self.join else b"login"
        self._say(6, self._sign(6, "register or login", b'{"type":"' + kind + b'","sig":"'))

    def _session(self):
        self._open(7)
        second = self._agree(self._hear(8))
        self.second = mac(self._hash(), self.first + second)
        self._stage(2, self.second)

    def _finished(self):
        self._say(10, self._sign(10, "client finished", b'{"type":"finished","sig":"'))
        self._verify(11, "server finished", self._hear(11))
        t = self._hash()
        self.ours, self.come = ([label(self._expand(self.second, who, "application", t), b"key",
                                       32), 0] for who in ("client", "relay"))

    # --- records behind it ---

    def exporter(self, name):
        assert name == LOGIN
        return self._expand(self.first, "both", LOGIN, self.named)

    def raw(self, data):
        for at in range(0, len(data), 16384):
            part = data[at:at + 16384] + b"\x17"
            n = 8 + 16 + len(part) // 16 * 16 + 16 + 32
            head = b"\x17\x03\x03" + struct.pack(">Hq", n, int(time.time() * 1000) + self.skew)
            self.sock.sendall(head + seal(self.ours[0], self.ours[1], head, part))
            self.ours[1] += 1
        return True

    def _more(self):
        try:
            head = self._read(13)
            sealed = self._read(struct.unpack(">H", head[3:5])[0] - 8)
        except (Refused, ConnectionError):
            return False
        inner = unseal(self.come[0], self.come[1], head, sealed).rstrip(b"\0")
        self.come[1] += 1
        if inner[-1:] != b"\x17":
            return False
        self.rest += inner[:-1]
        return True

    def close(self):
        self.sock.close()
