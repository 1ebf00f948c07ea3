#!/usr/bin/python3
"""classic.py -- docs/protocol.md 10.5 by hashlib, hmac, Python's integers and openssl's AES alone.

Writes classic.txt: lines of "name value", which tests/unit read. The value of the specification
(key, IV and text of "test") is computed here and compared with what stands there.
"""

import hashlib
import hmac
import os
import subprocess

E = 65537
WANT = ("1d55f624922a92c6caec9f3e00c90a04d01b0fceb9cb1a6b76dc766c82d11337c9aea1451b6880165e467b4d"
        "2866de6c8addb16dfa95358baef5a27d6947e4e0")


def prime(seed, bits):
    """The first prime at or behind a number made from the seed."""
    block = b"".join(hashlib.sha256(f"{seed}{i}".encode()).digest() for i in range(bits // 256 + 1))
    p = int.from_bytes(block[:bits // 8], "big") | 3 << (bits - 2) | 1
    while any(pow(a, p - 1, p) != 1 for a in (2, 3, 5, 7, 11, 13)) or (p - 1) % E == 0:
        p += 2
    return p


def cbc(key, iv, text):
    pad = 16 - len(text) % 16
    return subprocess.run(["openssl", "enc", "-aes-128-cbc", "-nopad", "-K", key.hex(), "-iv",
                           iv.hex()], input=text + bytes([pad]) * pad, check=True,
                          capture_output=True).stdout


def sealed(key, mac_key, iv, text):
    body = iv + cbc(key, iv, text)
    return body + hmac.new(mac_key, body, "sha256").digest()


def file_mac(key):
    prk = hmac.new(bytes(32), key, "sha256").digest()
    return hmac.new(prk, b"countersign classic 1|file|mac\x01", "sha256").digest()


def main():
    key = bytes.fromhex("c54c4fda621320082a87c3b5136e6504")
    iv = bytes.fromhex("1d55f624922a92c6caec9f3e00c90a04")
    text = "hello 你好".encode()
    mac = hashlib.sha256(b"auth|" + key).digest()
    test = sealed(key, mac, iv, text)
    assert test.hex() == WANT
    n = prime("classic p", 512) * prime("classic q", 512)
    rows = {
        "key": key, "iv": iv, "text": text, "mac": mac, "test": test,
        "file_mac": file_mac(key), "file_test": sealed(key, file_mac(key), iv, text),
        "n": n.to_bytes(128, "big"),
        "n_digits": str(n).encode(),
        "raised": pow(int.from_bytes(key, "big"), E, n).to_bytes(128, "big"),
        "raised_digits": str(pow(int.from_bytes(key, "big"), E, n)).encode(),
    }
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "classic.txt"), "w", encoding="ascii") as f:
        for name, value in rows.items():
            f.write(f"{name} {value.hex()}\n")


main()
