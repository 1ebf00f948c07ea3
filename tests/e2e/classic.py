"""A client and a server of the link `classic`, written from the design notes on seeds 000 and 003
alone: what the seeds' own programs would say and expect. AES is openssl's program.

    guest = Guest(port)                      # a key by RSA; key=...: seed 003's file
    guest.say("hello")
    guest.hear() == "[127.0.0.1:55555] hello"

    with Server() as server:                 # for one client at a time
        server.take(); server.hear(); server.say("...")
"""

import hashlib
import hmac
import json
import os
import socket
import subprocess

from relay import SECONDS

BAD_MAC = {"type": "err", "reason": "HMAC verification failed"}


class Forged(Exception):
    pass


def aes(mode, key, iv, data):
    return subprocess.run(["openssl", "enc", mode, "-aes-128-cbc", "-K", key.hex(), "-iv", iv.hex()],
                          input=data, check=True, capture_output=True).stdout


def mac_key(key):
    return hashlib.sha256(b"auth|" + key).digest()


def file_mac_key(key):
    prk = hmac.new(bytes(32), key, "sha256").digest()
    return hmac.new(prk, b"countersign classic 1|file|mac\x01", "sha256").digest()


class End:
    """Lines, and texts in them once there is a key."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(SECONDS)
        self.lines = sock.makefile("rb")
        self.key = self.mac = None

    def put(self, **line):
        self.sock.sendall(json.dumps(line).encode() + b"\n")  # with the spaces json.dumps makes

    def get(self):
        """The next line; None at the end."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def keyed(self, key, mac=None):
        self.key, self.mac = key, mac or mac_key(key)

    def sealed(self, text):
        body = os.urandom(16)
        body += aes("-e", self.key, body, text.encode())
        return (body + hmac.new(self.mac, body, "sha256").digest()).hex()

    def say(self, text):
        self.put(type="msg", ct_hex=self.sealed(text))

    def opened(self, ct_hex):
        sealed = bytes.fromhex(ct_hex)
        body, tag = sealed[:-32], sealed[-32:]
        if len(body) < 32 or len(body) % 16 or \
                not hmac.compare_digest(tag, hmac.new(self.mac, body, "sha256").digest()):
            raise Forged
        return aes("-d", self.key, body[:16], body[16:]).decode()

    def hear(self):
        line = self.get()
        assert line and line["type"] == "msg", line
        return self.opened(line["ct_hex"])

    def close(self):
        self.lines.close()
        self.sock.close()


class Guest(End):
    """The client's role, up to `ok`. key: 16 bytes that both ends have from a file."""

    def __init__(self, port, key=None, agree=True):
        super().__init__(socket.create_connection(("127.0.0.1", port), SECONDS))
        self.address = "[%s:%d]" % self.sock.getsockname()
        if agree:
            self.agree(key)

    def agree(self, key):
        self.put(type="hello")
        if key:
            self.keyed(key, file_mac_key(key))
        else:
            pub = self.get()
            assert pub["type"] == "pubkey" and pub["e"] == 65537 and pub["n"].bit_length() >= 1024
            self.keyed(b"\x01" + os.urandom(15))
            self.put(type="key", chunks=[pow(int.from_bytes(self.key, "big"), pub["e"], pub["n"])])
        self.early = []
        while (line := self.get()) != {"type": "ok"}:
            assert line["type"] == "msg", line  # may come before it
            self.early.append(line)


# Two primes of 512 bits: a server's pair of keys.
P = 2**511 + 2**510 + 761
Q = 2**511 + 2**510 + 2**500 + 195


class Server(End):
    """The relay's role for the next client that comes."""

    def __init__(self, key=None, n=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.file = key
        self.n = n or P * Q

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def take(self, ok=True):
        self.listener.settimeout(SECONDS)
        End.__init__(self, self.listener.accept()[0])
        assert self.get() == {"type": "hello"}
        if self.file:
            self.keyed(self.file, file_mac_key(self.file))
        else:
            self.put(type="pubkey", e=65537, n=self.n)
            (chunk,) = self.get()["chunks"]
            d = pow(65537, -1, (P - 1) * (Q - 1))
            self.keyed(pow(chunk, d, self.n).to_bytes(16, "big"))
        if ok:
            self.put(type="ok")
        return self
