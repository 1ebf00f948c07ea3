#!/usr/bin/python3
"""sovereign.py -- the derivations of docs/protocol.md 10.4, by hashlib and hmac alone.

Writes sovereign.txt: lines of "name value", which tests/unit/link reads. Frames are made up; the
order is the first of the 24. Also the order of seeds, and the first keys of the ratchet.
"""

import hashlib
import hmac
import os
import struct

MAGIC = b"countersign sovereign 1\n"
LOGIN = "EXPORTER-countersign-login-1"
NAMES = ["KeyExchange1", "KeyExchange2", "KeyConfirm1", "KeyConfirm2"]


def fill(first, n):
    return bytes((first + 7 * i) % 256 for i in range(n))


def frame(kind, content):
    return struct.pack(">BI", kind, len(content)) + content


def sha(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.new(key, data, "sha256").digest()


def expand(key, info, n):
    out = block = b""
    while len(out) < n:
        block = mac(key, block + info + bytes([len(out) // 32 + 1]))
        out += block
    return out[:n]


def label(secret, name, n):
    name = b"tls13 " + name
    return expand(secret, struct.pack(">HB", n, len(name)) + name + b"\0", n)


def context(who, what, t):
    return f"countersign|sovereign 1|{who}|{what}".encode() + b"\0" + t


def order(seed):
    r, rows = int.from_bytes(seed, "big") % 24, list(NAMES)
    for left in (4, 3, 2):
        i = r % left
        rows[i], rows[left - 1] = rows[left - 1], rows[i]
        r //= left
    return rows


def main():
    lengths = [65, 64, 3000, 20, 1200, 144, 32, 32, 33, 33]
    frames = [frame(i + 1, fill(i + 1, n)) for i, n in enumerate(lengths)]
    z1, z2, seed = fill(21, 32), fill(22, 32), fill(23, 64)
    t2 = sha(MAGIC + b"".join(frames[:2]))
    t10 = sha(MAGIC + b"".join(frames))
    k1 = mac(t2, z1)
    k2 = mac(t10, k1 + z2 + seed)
    out = {"t2": t2, "t10": t10, "k1": k1, "k2": k2,
           "ack": expand(k2, context("relay", "ack", t10), 32)}
    for who in ("client", "relay"):
        out[who + "_confirm"] = expand(k1, context(who, "confirm", t2), 32)
        out[who + "_key1"] = expand(k1, context(who, "key 1", t2), 32)
        out[who + "_iv1"] = expand(k1, context(who, "iv 1", t2), 12)
        out[who + "_key2"] = expand(k2, context(who, "key 2", t10), 32)
        out[who + "_iv2"] = expand(k2, context(who, "iv 2", t10), 12)
    secret = fill(24, 32)
    for n in range(3):
        out[f"ratchet_key_{n}"], out[f"ratchet_iv_{n}"] = label(secret, b"key", 32), \
            label(secret, b"iv", 12)
        secret = label(secret, b"traffic upd", 32)
    lines = [f"{name} {value.hex()}\n" for name, value in out.items()]
    for n in range(24):
        seed = sha(b"seed")[:31] + bytes([0])
        seed = (int.from_bytes(seed, "big") // 24 * 24 + n).to_bytes(32, "big")
        lines.append(f"order_{n} {seed.hex()} {' '.join(order(seed))}\n")
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sovereign.txt")
    with open(where, "w", encoding="utf-8") as f:
        f.writelines(lines)


if __name__ == "__main__":
    main()
