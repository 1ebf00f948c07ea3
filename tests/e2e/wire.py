"""A second client, written from docs/protocol.md alone and as ill-behaved as a test wants it.

    mallory = Puppet(relay, "mallory").join().login()
    mallory.enter("room-create", name="den", private=False, history="all")
    mallory.raw(b"...")                      # bytes below the frames
    mallory.closed()                         # what the relay said before it ended the connection

TLS is libssl by ctypes: Python's ssl module has no exporter, which the login proof needs.
"""

import base64
import ctypes
import hashlib
import hmac
import json
import os
import socket
import ssl as pem
import struct
import subprocess
import tempfile
import time

from relay import SECONDS

CHAT, JOIN = "countersign/1", "countersign-join/1"
ZEROS = "0" * 64

_ssl = ctypes.CDLL("libssl.so.3")
_P, _S, _I, _N = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
for _name, _result, _args in (
        ("TLS_client_method", _P, []), ("SSL_CTX_new", _P, [_P]), ("SSL_CTX_free", None, [_P]),
        ("SSL_CTX_use_certificate_chain_file", _I, [_P, _S]),
        ("SSL_CTX_use_PrivateKey_file", _I, [_P, _S, _I]),
        ("SSL_CTX_set_alpn_protos", _I, [_P, _S, ctypes.c_uint]), ("SSL_new", _P, [_P]),
        ("SSL_free", None, [_P]), ("SSL_set_fd", _I, [_P, _I]), ("SSL_connect", _I, [_P]),
        ("SSL_read", _I, [_P, _P, _I]), ("SSL_write", _I, [_P, _S, _I]), ("SSL_shutdown", _I, [_P]),
        ("SSL_export_keying_material", _I, [_P, _P, _N, _S, _N, _S, _N, _I])):
    getattr(_ssl, _name).restype, getattr(_ssl, _name).argtypes = _result, _args


def _call(name, *args):
    assert not args or args[0], f"{name}: the connection was closed"
    return getattr(_ssl, name)(*args)


class Frames:
    """Frames over whatever has raw(bytes), and _more(), which adds to rest: false at the end."""

    def send(self, **fields):
        text = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return self.raw(struct.pack(">I", len(text)) + text)

    def take(self):
        """The next frame, or None when the connection has ended."""
        while True:
            if len(self.rest) >= 4:
                n = struct.unpack(">I", self.rest[:4])[0]
                if len(self.rest) >= 4 + n:
                    text, self.rest = self.rest[4:4 + n], self.rest[4 + n:]
                    return json.loads(text) if text[:1] == b"{" else expand(text)
            if not self._more():
                return None

    def closed(self):
        """Every frame up to the end of the connection."""
        got = []
        while (frame := self.take()) is not None:
            got.append(frame)
        return got


class Tls(Frames):
    """One connection. It trusts whoever answers: the client's own checks are tested elsewhere."""

    def __init__(self, port, alpn, cert=None, key=None, source="127.0.0.1"):
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0))
        self.sock.settimeout(None)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO,
                             struct.pack("ll", SECONDS, 0))
        self.ctx = _call("SSL_CTX_new", _call("TLS_client_method"))
        if cert:
            assert _call("SSL_CTX_use_certificate_chain_file", self.ctx, cert.encode()) == 1
            assert _call("SSL_CTX_use_PrivateKey_file", self.ctx, key.encode(), 1) == 1
        word = bytes([len(alpn)]) + alpn.encode()
        assert _call("SSL_CTX_set_alpn_protos", self.ctx, word, len(word)) == 0
        self.ssl = _call("SSL_new", self.ctx)
        _call("SSL_set_fd", self.ssl, self.sock.fileno())
        self.open = _call("SSL_connect", self.ssl) == 1
        self.rest = b""

    def close(self):
        if self.ssl:
            _call("SSL_free", self.ssl)
            _call("SSL_CTX_free", self.ctx)
            self.ssl = None
            self.sock.close()

    def bye(self):
        """Closes in order: close_notify, then the end of the stream."""
        _call("SSL_shutdown", self.ssl)
        self.close()

    def exporter(self, label):
        out = ctypes.create_string_buffer(32)
        assert _call("SSL_export_keying_material", self.ssl, out, 32,
                     label.encode(), len(label), b"", 0, 1) == 1
        return out.raw

    def raw(self, data):
        return _call("SSL_write", self.ssl, data, len(data)) == len(data)

    def _more(self):
        out = ctypes.create_string_buffer(65536)
        began = time.monotonic()
        n = _call("SSL_read", self.ssl, out, len(out))
        assert n > 0 or time.monotonic() - began < SECONDS - 1, "the relay neither spoke nor closed"
        self.rest += out.raw[:max(n, 0)]
        return n > 0


def var(data):
    """RFC 9000 section 16: an integer, and what is behind it."""
    n = 1 << (data[0] >> 6)
    return int.from_bytes(data[:n], "big") & ((1 << (8 * n - 2)) - 1), data[n:]


def expand(data):
    """A compact entry of the relay as the JSON one it stands for."""
    assert data[0] == 1, data
    number, data = var(data[1:])
    ms, data = var(data)
    room, data = data[:16], data[16:]
    seq, data = var(data)
    ts, data = var(data)
    author, prev, data = data[:32], data[32:64], data[64:]
    seen, data = var(data)
    head, n, data = data[:32], int.from_bytes(data[32:34], "big"), data[34:]
    sig, body = data[:n], data[n:]
    line = "|".join(["countersign-entry-1", room.hex(), "0", str(seq), str(ts), author.hex(),
                     prev.hex(), hashlib.sha256(body).hexdigest(),
                     hashlib.sha256(b"\x02" + body).hexdigest(), f"{seen}.{head.hex()}"])
    return {"type": "entry", "number": number, "time": ms, "line": line, "sig": b64(sig),
            "body": b64(body), "compact": True}


def b64(data):
    return base64.b64encode(data).decode()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


class Puppet:
    def __init__(self, relay, name, device="den", link="tls", dial=Tls):
        self.relay, self.name, self.device = relay, name, device
        self.link, self.dial = link, dial
        self.dir = tempfile.mkdtemp(prefix="puppet-", dir=relay.tmp)
        self.key, self.cert = f"{self.dir}/key.pem", f"{self.dir}/cert.pem"
        self.salt, self.secret = os.urandom(16), os.urandom(32)  # in place of Argon2id's output
        self.tls, self.next_id, self.seqs, self.others = None, 1, {}, []
        self.features = []

    # --- joining ---

    def request(self):
        csr = f"{self.dir}/csr.der"
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key,
                        "-subj", "/CN=x", "-outform", "DER", "-out", csr], check=True,
                       capture_output=True)
        with open(csr, "rb") as f:
            return f.read()

    def join_frame(self, invite, **changed):
        token = invite.split(".")[-2]
        client = mac(self.secret, b"Client Key")
        fields = {"type": "join", "id": 1,
                  "token": b64(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))),
                  "name": self.name, "device": self.device, "csr": b64(self.request()),
                  "salt": b64(self.salt), "t": 3, "m": 65536,
                  "stored-key": b64(hashlib.sha256(client).digest()),
                  "server-key": b64(mac(self.secret, b"Server Key"))}
        return fields | changed

    def try_join(self, invite, **changed):
        """The relay's answer to join."""
        tls = self.dial(self.relay.port, JOIN)
        assert tls.take()["type"] == "hello"
        tls.send(type="hello", v=1, features=[])
        tls.send(**self.join_frame(invite, **changed))
        answer = tls.take()
        tls.close()
        return answer

    def join(self, *options, **changed):
        answer = self.try_join(self.relay.invite(*options), **changed)
        assert answer["type"] == "joined", answer
        with open(self.cert, "w", encoding="ascii") as f:
            for der in answer["chain"]:
                f.write(pem.DER_cert_to_PEM_cert(base64.b64decode(der)))
        self.leaf = hashlib.sha256(base64.b64decode(answer["chain"][0])).hexdigest()
        return self

    # --- login ---

    def connect(self):
        self.close()
        self.tls = self.dial(self.relay.port, CHAT, self.cert, self.key)
        self.hello = self.tls.take()
        return self

    def greet(self):
        self.connect()
        assert self.hello["type"] == "hello"
        self.tls.send(type="hello", v=1, features=self.features)
        return self

    def proof(self, exporter=None, secret=None, ask=None):
        """The answer to a login with this password's key over this channel's exporter. ask: who sends
        the proof and takes the answer."""
        nonce = os.urandom(32)
        self.tls.send(type="login", id=1, nonce=b64(nonce))
        c = self.tls.take()
        if c["type"] != "challenge":
            return c
        leaf = "relay.crt" if self.link == "tls" else "relay-rsa.crt"
        with open(f"{self.relay.dir}/{leaf}", encoding="ascii") as f:
            text = f.read()
        end = text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
        relay = hashlib.sha256(pem.PEM_cert_to_DER_cert(text[:end] + "\n")).hexdigest()
        exporter = exporter or self.tls.exporter("EXPORTER-countersign-login-1")
        said = "|".join(["countersign-login-1", self.link, exporter.hex(), self.leaf, relay,
                         nonce.hex(), base64.b64decode(c["nonce"]).hex(),
                         base64.b64decode(c["salt"]).hex(), str(c["t"]), str(c["m"])]).encode()
        client = mac(secret or self.secret, b"Client Key")
        mask = mac(hashlib.sha256(client).digest(), said)
        fields = {"type": "proof", "id": 2, "proof": b64(bytes(a ^ b for a, b in zip(client, mask)))}
        if ask:
            return ask(self.tls, **fields)
        self.tls.send(**fields)
        answer = self.tls.take()
        if answer and answer["type"] == "welcome":
            want = mac(mac(self.secret, b"Server Key"), said)
            assert base64.b64decode(answer["proof"]) == want
        return answer

    def login(self):
        self.greet()
        self.welcome = self.proof()
        assert self.welcome["type"] == "welcome", self.welcome
        return self

    def close(self):
        if self.tls:
            self.tls.close()
            self.tls = None

    # --- after login ---

    def ask(self, what, **fields):
        """The answer to one request; what else comes meanwhile is kept in others."""
        self.next_id += 1
        self.tls.send(type=what, id=self.next_id, **fields)
        while (frame := self.tls.take()) is not None:
            if frame.get("re") in (self.next_id, 0):
                return frame
            self.others.append(frame)
        return None

    def alive(self):
        return self.ask("room-list")["type"] == "rooms"

    def sign(self, line):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss",
                               "-sigopt", "rsa_pss_saltlen:32", "-sign", self.key],
                              input=line.encode(), check=True, capture_output=True).stdout

    def entry(self, to, content, **changed):
        """A right entry but for what is changed: the fields of the line, or sig, or body."""
        seq, prev = self.seqs.get(to, (0, ZEROS))
        opening = os.urandom(32)
        body = opening + content
        f = {"tag": "countersign-entry-1", "room": to, "epoch": 0, "seq": seq + 1,
             "ts": int(time.time() * 1000), "fp": self.leaf, "prev": prev,
             "body": hashlib.sha256(body).hexdigest(),
             "commit": hashlib.sha256(b"\x02" + opening + content).hexdigest(),
             "seen": "0." + ZEROS}
        line = "|".join(str(changed.get(k, v)) for k, v in f.items())
        return {"type": "entry", "line": line, "sig": b64(changed.get("sig") or self.sign(line)),
                "body": b64(changed.get("bytes", body))}

    def enter(self, what, **fields):
        """room-join, room-create or room-open, and the join that makes a member; the room's id."""
        room = self.ask(what, **fields)["room"]
        me = {"kind": "join", "account": self.welcome["account"]["id"], "name": self.name}
        if "with" in room:
            me["with"] = {"account": room["with"], "name": room["name"]}
        if not room["signed"]:
            verdict = self.say(room["id"], json.dumps(me).encode())
            assert verdict["type"] == "numbered", verdict
        return room["id"]

    def leave(self, room):
        return self.say(room, b'{"kind":"leave"}')

    def invite(self, room, name):
        """The relay's answer to the name, or its verdict on the invitation."""
        who = self.ask("person", name=name)
        if who["type"] != "person":
            return who
        return self.say(room, json.dumps({"kind": "invite", "account": who["account"],
                                          "name": who["name"], "roster": ZEROS,
                                          "at": 1}).encode())

    def say(self, room, content):
        """Sends it; the relay's verdict."""
        entry = self.entry(room, content)
        self.tls.send(**entry)
        while (frame := self.tls.take()) is not None:
            if frame["type"] in ("numbered", "void", "again", "error"):
                break
            self.others.append(frame)
        if frame and frame["type"] in ("numbered", "void"):
            self.seqs[room] = (self.seqs.get(room, (0, ""))[0] + 1,
                               hashlib.sha256(entry["line"].encode()).hexdigest())
        return frame


def say(text):
    return json.dumps({"kind": "say", "text": text}, ensure_ascii=False).encode()


def crc24(data):
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return f"{crc & 0xFFFFFF:06x}"
