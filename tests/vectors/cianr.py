#!/usr/bin/python3
"""cianr.py -- docs/protocol.md 10.3 by hashlib, hmac, Python's integers and openssl's AES alone.

Writes cianr.txt: lines of "name value", which tests/unit read. The frames' certificates, nonces
and signatures are made up: what they hold does not matter to the derivations.
"""

import base64
import hashlib
import hmac
import os
import subprocess

MAGIC = b"countersign cianr 1\n"
LOGIN = "EXPORTER-countersign-login-1"
P = 2**2048 - 2**1984 - 1
# RFC 3526 3: 2^2048 - 2^1984 - 1 + 2^64 * ([2^1918 pi] + 124476); pi by Machin's formula.


def arctan_inverse(x, bits):
    total, power, k, sign = 0, (1 << bits) // x, 1, 1
    while power:
        total += sign * (power // k)
        power //= x * x
        k, sign = k + 2, -sign
    return total


PI = 4 * (4 * arctan_inverse(5, 2100) - arctan_inverse(239, 2100))
P += 2**64 * ((PI >> (2100 - 1918)) + 124476)


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
    return f"countersign|cianr 1|{who}|{what}".encode() + b"\0" + t


def aes(key, data, *how):
    command = ["openssl", "enc", "-e", "-K", key.hex(), *how]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def seal(key, seq, head, text, *how):
    """AES-128-CBC with PKCS#7, then HMAC-SHA256 (common/crypto/cbc.h)."""
    three = expand(key, b"countersign cbc", 64)
    enc, mac, ivs = three[:16], three[16:48], three[48:]
    iv = aes(ivs, seq.to_bytes(16, "big"), "-aes-128-ecb", "-nopad")
    body = iv + aes(enc, text, "-aes-128-cbc", "-iv", iv.hex(), *how)
    return body + hmac.new(mac, seq.to_bytes(8, "big") + head + body, "sha256").digest()


def label(secret, what, n):
    """RFC 8446 7.1 HKDF-Expand-Label without context."""
    name = b"tls13 " + what
    return expand(secret, n.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0", n)


def record(secret, seq, ts, kind, content):
    """protocol.md 10.3: the head of TLS 1.3, time, iv, ciphertext, mac."""
    n = 8 + 16 + (len(content) + 1) // 16 * 16 + 16 + 32
    head = b"\x17\x03\x03" + n.to_bytes(2, "big") + ts.to_bytes(8, "big")
    return head + seal(label(secret, b"key", 32), seq, head, content + bytes([kind]))


def b64(data):
    return base64.b64encode(data)


def said(kind, **fields):
    return b'{"type":"' + kind.encode() + b'"' + b"".join(
        b',"' + k.encode() + b'":"' + v + b'"' for k, v in fields.items()) + b"}"


def public(secret):
    return pow(2, int.from_bytes(secret, "big"), P)


def pair(first):
    return bytes([fill(first, 1)[0] | 0x80]) + fill(first + 1, 31)


def number(n):
    return n.to_bytes(256, "big")


def agree(secret, theirs):
    return number(pow(theirs, int.from_bytes(secret, "big"), P))


def derivations():
    a, b, c, d = (pair(i) for i in (1, 2, 3, 4))
    first, second = agree(a, public(b)), agree(c, public(d))
    assert first == agree(b, public(a)) and second == agree(d, public(c))
    sig = fill(9, 258)
    frames = {
        1: said("hello", purpose=b"chat", client_cert=b64(fill(5, 700)), nonce=b64(fill(6, 32))),
        2: said("server_hello", server_cert=b64(fill(7, 900)), nonce=b64(fill(8, 32))),
        3: said("dh_client", A=b64(number(public(a)))),
        4: said("dh_server", B=b64(number(public(b))), sig=b64(sig)),
        6: said("login", sig=b64(sig)),
        7: said("dh_client", A=b64(number(public(c)))),
        8: said("dh_server", B=b64(number(public(d)))),
        10: said("finished", sig=b64(sig)),
        11: said("finished", sig=b64(sig)),
    }
    out = {f"frame{k}": v for k, v in frames.items()}
    out.update(a=a, b=b, c=c, d=d, first=first, second=second, sig=sig)
    so_far, t = MAGIC, {}
    for k, v in frames.items():
        if k == 4:
            part = v[:v.index(b'"sig":"') + 7]
            out["signed4"] = context("relay", "dh_server|signature", sha(so_far + frame(k, part)))
        so_far += frame(k, v)
        t[k] = sha(so_far)
        out[f"t{k}"] = t[k]
    k1 = extract(t[4], first)
    k2 = extract(t[8], k1 + second)
    out.update(k1=k1, k2=k2, exporter=expand(k1, context("both", LOGIN, t[4]), 32))
    for who in ("client", "relay"):
        out[f"{who}_key1"] = expand(k1, context(who, "key 1", t[4]), 32)
        out[f"{who}_key2"] = expand(k2, context(who, "key 2", t[8]), 32)
        out[f"{who}_application"] = expand(k2, context(who, "application", t[11]), 32)
    head = bytes([6]) + (16 + len(frames[6]) // 16 * 16 + 16 + 32).to_bytes(4, "big")
    out["sealed6"] = head + seal(out["client_key1"], 0, head, frames[6])
    secret, when = out["client_application"], 1750000000000
    out["record0"] = record(secret, 0, when, 23, b"hello")
    out["record1"] = record(secret, 1, when + 5, 23, fill(3, 31))
    return out


def main():
    out = {"p": number(P)}
    key = fill(17, 32)
    for n in (0, 1, 15, 16, 17, 100):
        out[f"cbc{n}"] = seal(key, 2**40 + n, fill(n, 13), fill(n, n))
    # A good MAC over padding that is none: only who has the key can make these.
    for i, end in enumerate((b"\0", b"\x11", b"\x01\x02", b"\xff")):
        out[f"padding{i}"] = seal(key, i, b"", fill(1, 16 - len(end)) + end, "-nopad")
    out.update(derivations())
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cianr.txt")
    with open(where, "w", encoding="utf-8") as f:
        f.writelines(f"{name} {value.hex()}\n" for name, value in out.items())


if __name__ == "__main__":
    main()
