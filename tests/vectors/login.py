#!/usr/bin/python3
"""login.py -- the login of docs/protocol.md 4 and the hashes of section 6, by hashlib and hmac alone.

Writes login.txt: lines of "name value", which tests/unit/chat read. Argon2id stays outside: its
output (SaltedPassword) is given, so that the HMAC steps stand on their own. The rows rfc7677_* are
the exchange of RFC 7677 section 3, whose salted password comes from PBKDF2: the same HMAC steps.
"""

import base64
import hashlib
import hmac
import os


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, data):
    return hmac.new(key, data, "sha256").digest()


def fill(first, n):
    return bytes((first + 7 * i) % 256 for i in range(n))


def scram(salted, message):
    client = mac(salted, b"Client Key")
    stored, server = sha(client), mac(salted, b"Server Key")
    proof = bytes(a ^ b for a, b in zip(client, mac(stored, message)))
    return stored, server, proof, mac(server, message)


def login(out):
    salted, exporter = fill(1, 32), fill(2, 32)
    client_cert, relay_cert, root = fill(3, 32), fill(4, 32), fill(8, 32)
    client_nonce, relay_nonce, salt = fill(5, 32), fill(6, 32), fill(7, 16)
    name = "jos\u00e9".encode()
    message = "|".join(["countersign-login-1", "tls", exporter.hex(), client_cert.hex(),
                        relay_cert.hex(), client_nonce.hex(), relay_nonce.hex(), salt.hex(),
                        "3", "65536"])
    stored, server, proof, answer = scram(salted, message.encode())
    out["argon_salt"] = sha(b"countersign-salt-1", root, name, salt)[:16].hex()
    out["auth_message"] = message
    out["stored"], out["server"] = stored.hex(), server.hex()
    out["client_proof"], out["relay_proof"] = proof.hex(), answer.hex()


def rfc7677(out):
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = ("n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonce +
               ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + nonce)
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", salt, 4096)
    stored, server, proof, answer = scram(salted, message.encode())
    assert base64.b64encode(proof) == b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert base64.b64encode(answer) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    out["rfc7677_salted"], out["rfc7677_stored"] = salted.hex(), stored.hex()
    out["rfc7677_server"] = server.hex()


def entry(out):
    opening, content = fill(9, 32), b'{"kind":"say","text":"hi"}'
    body = opening + content
    commitment, body_hash = sha(b"\x02", opening, content), sha(body)
    line = "|".join(["countersign-entry-1", fill(10, 16).hex(), "0", "1", "1700000000000",
                     fill(11, 32).hex(), "0" * 64, body_hash.hex(), commitment.hex(),
                     "0." + "0" * 64])
    first = sha(bytes(32), line.encode(), b"|1700000000123")
    second = sha(first, line.encode(), b"|1700000000124")
    out["entry_content"], out["entry_opening"] = content.decode(), opening.hex()
    out["entry_line"], out["entry_line_hash"] = line, sha(line.encode()).hex()
    out["entry_head_1"], out["entry_head_2"] = first.hex(), second.hex()


def crc24(data):
    crc = 0xb704ce
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864cfb if crc & 0x800000 else 0)
    return crc & 0xffffff


def invite(out):
    def b64(b):
        return base64.urlsafe_b64encode(b).rstrip(b"=").decode()
    for name, place in (("invite_dns", "relay.example:7443"), ("invite_v4", "192.0.2.1:443"),
                        ("invite_v6", "[2001:db8::1]:7443")):
        line = f"countersign://{place}/#1.{b64(fill(12, 32))}.{b64(fill(13, 16))}"
        out[name] = f"{line}.{crc24(line.encode()):06x}"


def main():
    out = {}
    for part in (login, rfc7677, entry, invite):
        part(out)
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "login.txt")
    with open(where, "w", encoding="utf-8") as f:
        f.writelines(f"{name} {value}\n" for name, value in out.items())


if __name__ == "__main__":
    main()
