"""Checkpoints of a real relay. Evidence is made of them by hand (evidence.py) and put to both judges,
which know nothing of relays."""

import base64
import contextlib
import sqlite3

import pytest

from evidence import GUIDE, both, b64, consistency, mth, path, run, sha
from relay import Relay
from wire import Puppet, say


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path / "relay") as r:
        yield r


def talker(relay, name="alice"):
    return Puppet(relay, name).join().login()


def raw(text):
    return base64.b64decode(text, validate=True)


def history(who, room):
    out = []
    while page := who.ask("history", room=room, after=len(out), count=100)["entries"]:
        out += page
    return out


def leaves_of(entries):
    return [sha(b"\0", f"{e['line']}|{e['time']}".encode()) for e in entries]


def hashes(text):
    data = raw(text)
    return [data[i:i + 32] for i in range(0, len(data), 32)]


def checkpoint(who, room, after=0, own=0):
    answer = who.ask("checkpoint", room=room, after=after, own=own)
    assert answer["type"] == "checkpoint", answer
    return raw(answer["text"]), raw(answer["sig"]), answer


def size_of(text):
    return int(text.split(b"\n")[1])


def time_of(text):
    return int(text.split(b"\ntime ")[1].split(b"\n")[0])


def der(relay, name, kind):
    if name.endswith(".der"):
        with open(f"{relay.dir}/ca/{name}", "rb") as f:
            return f.read()
    return run("openssl", kind, "-in", f"{relay.dir}/ca/{name}", "-outform", "DER")


def bundle(relay, who, entries, text, sig, first, last):
    """Messages first to last, with everything asked of the relay."""
    size = size_of(text)
    fps = {text.split(b"signer ")[1].strip().decode(): "signer"}
    fps.update({e["line"].split("|")[5]: "cert" for e in entries[first - 1:last]})
    chains = {fp: [raw(c) for c in who.ask(what, fp=fp)["chain"]] for fp, what in fps.items()}
    records = [f"{e['number']}|{e['time']}|{b64(e['line'].encode() + chr(10).encode() + raw(e['body']))}"
               f"|{e['sig']}|{e['line'].split('|')[5]}\n" for e in entries[first - 1:last]]
    files = {"VERIFY.txt": GUIDE, "checkpoint.txt": text, "checkpoint.sig": sig, "checkpoint.tsr": b"",
             "transcript.txt": "".join(records).encode(),
             "proof.txt": "".join(b64(h) + "\n" for h in path(first - 1, last, leaves_of(entries[:size]))).encode(),
             "root.der": der(relay, "root.crt", "x509"), "issuer.der": next(iter(chains.values()))[1],
             "crl.der": der(relay, "crl.der", "crl")}
    files.update({f"certs/{fp}.der": chains[fp][0] for fp in sorted(chains)})
    return files


def test_what_was_said_is_proven_to_both_judges(tmp_path, relay):
    relay.run()
    alice, bob = talker(relay), talker(relay, "bob")
    room = alice.enter("room-create", name="ops", private=False, history="all")
    bob.enter("room-join", name="ops")
    roots = [raw(who.say(room, say(f"word {i}"))["root"]) for i in range(6) for who in (alice, bob)]
    text, sig, _ = checkpoint(bob, room)
    entries = history(alice, room)
    leaves = leaves_of(entries)
    assert size_of(text) == len(entries) == 14
    assert roots == [mth(leaves[:n]) for n in range(3, 15)]
    judged = tmp_path / "judged"
    judged.mkdir()
    for first, last in (1, 14), (7, 7), (3, 9):
        assert both(judged, bundle(relay, alice, entries, text, sig, first, last), relay.root()) == 0
    lie = [dict(e) for e in entries]
    lie[6]["time"] += 1
    assert both(judged, bundle(relay, alice, lie, text, sig, 7, 7), relay.root()).startswith("proof.txt: ")


def test_each_checkpoint_grows_from_the_last(relay):
    relay.run()
    alice = talker(relay)
    room = alice.enter("room-create", name="ops", private=False, history="all")
    kept = 0
    for n in 1, 2, 5, 9:
        for i in range(n):
            alice.say(room, say(f"{n} {i}"))
        text, _, answer = checkpoint(alice, room, kept, 1)
        leaves = leaves_of(history(alice, room))
        for size, proof in (kept, answer["proof"]), (1, answer["own"]):
            want = [mth(leaves[:size])] + consistency(size, leaves) if size else []
            assert hashes(proof) == want
        peaks = hashes(alice.ask("tree", room=room, size=len(leaves))["peaks"])
        while len(peaks) > 1:
            right = peaks.pop()
            peaks[-1] = sha(b"\1", peaks[-1], right)
        assert peaks[0] == mth(leaves) and size_of(text) == len(leaves)
        kept = size_of(text)


def test_killed_between_commit_and_checkpoint(relay):
    """What was acknowledged and not yet covered is covered by the relay that starts next."""
    relay.run()
    alice = talker(relay)
    room = alice.enter("room-create", name="ops", private=False, history="all")
    text, _, _ = checkpoint(alice, room)
    for i in range(20):
        root = raw(alice.say(room, say(f"word {i}"))["root"])
    relay.kill()
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    alice = alice.login()
    after, sig, answer = checkpoint(alice, room, size_of(text), 21)
    assert size_of(after) == 21 and time_of(after) >= time_of(text)
    assert hashes(answer["own"]) == [root]
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        stored = db.execute("SELECT size, text, sig FROM checkpoints").fetchall()
    assert stored == [(21, after.decode(), sig)]


def test_strangers_and_ephemeral_rooms(relay):
    relay.run()
    alice, bob = talker(relay), talker(relay, "bob")
    room = alice.enter("room-create", name="ops", private=True, history="all")
    smoke = alice.enter("room-create", name="smoke", private=False, history="all", ephemeral=True)
    for who, what in (bob, room), (alice, smoke):
        assert who.ask("checkpoint", room=what, after=0, own=0)["code"] == "no-such"
        assert who.ask("tree", room=what, size=1)["code"] == "no-such"
    assert "root" not in alice.say(smoke, say("gone tomorrow"))
    assert alice.ask("tree", room=room, size=2)["code"] == "no-such"
    assert alice.ask("signer", fp="0" * 64)["code"] == "no-such"
    assert alice.alive() and bob.alive()
