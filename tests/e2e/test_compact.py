"""Compact entries between the real programs, decoded here from docs/protocol.md alone and judged by
openssl: the line that the reader derives is the one that was signed."""

import base64
import json
import subprocess

import pytest

from relay import CLIENT, Relay
from wire import Puppet, say


@pytest.fixture
def room(tmp_path):
    """alice is the real client; both puppets are there, one reads compact entries."""
    with Relay(tmp_path) as r:
        r.run()
        alice = r.member("alice", "--admin")
        alice("room", "create", "ops", "--history", "all")
        new, old = Puppet(r, "newt").join(), Puppet(r, "olga").join()
        new.features = ["compact-1", "a word of tomorrow"]
        for puppet in (new, old):
            puppet.id = puppet.login().enter("room-join", name="ops")
        yield r, alice, new, old


def openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, stdout=subprocess.DEVNULL)


def next_entry(puppet):
    for frame in puppet.others:
        if frame["type"] == "entry":
            puppet.others.remove(frame)
            return frame
    while (frame := puppet.tls.take())["type"] != "entry":
        pass
    return frame


def verified(puppet, entry, tmp):
    leaf = base64.b64decode(puppet.ask("cert", fp=entry["line"].split("|")[5])["chain"][0])
    for name, data in (("leaf", leaf), ("line", entry["line"].encode()),
                       ("sig", base64.b64decode(entry["sig"]))):
        (tmp / name).write_bytes(data)
    openssl("x509", "-inform", "DER", "-in", tmp / "leaf", "-pubkey", "-noout", "-out",
            tmp / "key")
    openssl("dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
            "rsa_pss_saltlen:32", "-verify", tmp / "key", "-signature", tmp / "sig",
            tmp / "line")


def until(puppet, text):
    """The entry with this text: joins of others may stand before it."""
    while text.encode() not in base64.b64decode((entry := next_entry(puppet)).get("body", "")):
        pass
    return entry


def test_the_derived_line_is_the_signed_one(room, tmp_path):
    relay, alice, new, old = room
    assert new.hello["features"] == ["compact-1"]
    alice("send", "ops", "one for all")
    small, big = until(new, "one for all"), until(old, "one for all")
    assert small.pop("compact") and "compact" not in big
    assert small == big
    verified(new, small, tmp_path)


def as_bytes(entry):
    """The compact form of a client's entry."""
    def integer(v):
        n = next(n for n in (1, 2, 4, 8) if v < 1 << (8 * n - 2))
        return (v | {1: 0, 2: 1, 4: 2, 8: 3}[n] << (8 * n - 2)).to_bytes(n, "big")

    f = entry["line"].split("|")
    seen, head = f[9].split(".")
    sig = base64.b64decode(entry["sig"])
    return b"".join([b"\2", bytes.fromhex(f[1]), integer(int(f[3])), integer(int(f[4])),
                     bytes.fromhex(f[5]), bytes.fromhex(f[6]), integer(int(seen)),
                     bytes.fromhex(head), len(sig).to_bytes(2, "big"), sig,
                     base64.b64decode(entry["body"])])


def test_the_relay_reads_them_and_the_client_does(room):
    relay, alice, new, old = room
    ear = subprocess.Popen([CLIENT, "--password-file", alice.password, "plain", "--json", "--room",
                            "ops"], text=True, bufsize=1, env=alice.env, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        entry = old.entry(old.id, say("in bytes"))
        data = as_bytes(entry)
        assert old.tls.raw(len(data).to_bytes(4, "big") + data)
        while (frame := old.tls.take())["type"] != "numbered":
            pass
        assert until(new, "in bytes")["line"] == entry["line"]
        texts = (json.loads(line).get("text") for line in ear.stdout)
        assert "in bytes" in texts
    finally:
        ear.kill()
        ear.communicate()


@pytest.mark.parametrize("harm", ["text", "sig", "room", "spelling", "kind", "cut"])
def test_a_changed_one_ends_its_sender(room, harm):
    relay, alice, new, old = room
    data = bytearray(as_bytes(old.entry(old.id, say("harmed"))))
    if harm == "text":
        data[-3] ^= 1
    elif harm == "sig":
        data[-100] ^= 1
    elif harm == "room":
        data[1] ^= 1
    elif harm == "spelling":
        assert data[17] == 2  # 1 is the join
        data[17:18] = b"\x40\x02"
    elif harm == "kind":
        data[0] = 1
    else:
        del data[150:]
    assert old.tls.raw(len(data).to_bytes(4, "big") + bytes(data))
    last = old.tls.closed()[-1]
    wanted = "malformed" if harm in ("spelling", "kind", "cut") else "bad-entry"
    assert (last["type"], last["code"]) == ("error", wanted), last
    alice("send", "ops", "still here")
    assert until(new, "still here")
