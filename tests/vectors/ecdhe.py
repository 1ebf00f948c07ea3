#!/usr/bin/python3
"""ecdhe.py -- transcript, contexts and keys of docs/protocol.md 10, by hashlib and hmac alone.

Writes ecdhe.txt: lines of "name value", which tests/unit/link reads. The frames are made up: what
they hold does not matter to the derivations, only that both sides saw the same.
"""

import hashlib
import hmac
import os

MAGIC = b"countersign ecdhe 1\n"
LOGIN = "EXPORTER-countersign-login-1"


def fill(first, n):
    return bytes((first + 7 * i) % 256 for i in range(n))


def frame(kind, content):
    return bytes([kind]) + len(content).to_bytes(4, "big") + content


def sha(data):
    return hashlib.sha256(data).digest()


def extract(salt, secret):
    return hmac.new(salt, secret, "sha256").digest()


def expand(key, info, n):
    out, block = b"", b""
    while len(out) < n:
        block = hmac.new(key, block + info + bytes([len(out) // 32 + 1]), "sha256").digest()
        out += block
    return out[:n]


def context(who, what, t):
    return f"countersign|ecdhe 1|{who}|{what}".encode() + b"\0" + t


def main():
    hello, answer = frame(1, fill(1, 68)), frame(2, fill(2, 900))
    finished, last = frame(5, fill(3, 1300)), frame(6, fill(4, 32))
    half = fill(5, 500)                         # of a ServerHello, before its signature
    shared = fill(6, 32)
    t1 = sha(MAGIC + hello)
    here = sha(MAGIC + hello + frame(2, half))
    t2 = sha(MAGIC + hello + answer)
    t4 = sha(MAGIC + hello + answer + finished + last)
    session = extract(t2, shared)
    out = {"hello": hello[5:], "answer": answer[5:], "finished": finished[5:], "last": last[5:],
           "half": half, "shared": shared, "t1": t1, "here": here, "t2": t2, "t4": t4,
           "signed": context("relay", "ServerHello|signature", here), "session": session}
    for who in ("client", "relay"):
        out[who + "_finished"] = expand(session, context(who, "finished", t2), 32)
        out[who + "_key"] = expand(session, context(who, "key 1", t2), 32)
        out[who + "_iv"] = expand(session, context(who, "iv 1", t2), 12)
        out[who + "_application"] = expand(session, context(who, "application", t4), 32)
    out["exporter"] = expand(session, context("both", LOGIN, t4), 32)
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ecdhe.txt")
    with open(where, "w", encoding="utf-8") as f:
        f.writelines(f"{name} {value.hex()}\n" for name, value in out.items())


if __name__ == "__main__":
    main()
