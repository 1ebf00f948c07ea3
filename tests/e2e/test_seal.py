"""The relay's seal on a session's receipt (docs/protocol.md 6.2): there at every end of a session at which the relay
is there, kept on both sides, the same bytes for openssl; and no wait for a relay that is not."""

import base64
import contextlib
import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import tarfile

import pytest

from relay import Relay
from screen import Screen
from sessions import Listener, left, ours, root_of, script, session


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        r.run()
        yield r


@pytest.fixture
def two(relay):
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "ops", "--history", "all")
    bob("room", "join", "ops")
    return alice, bob


def files(path):
    with tarfile.open(path) as t:
        return {m.name: t.extractfile(m).read() for m in t.getmembers()}


def fields(text):
    return dict(line.split(" ", 1) for line in text.decode().splitlines())


def stored(relay):
    with contextlib.closing(sqlite3.connect(f"file:{relay.dir}/relay.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT text, client, client_sig, relay, relay_sig, session, hash FROM receipts"
                          " ORDER BY rowid").fetchall()


def roles(verdict):
    return [s["role"] for s in verdict["seals"]]


def transcripts(relay):
    """The transcript of each session in `session list`."""
    return re.findall(r"^  transcript (\S+)$", relay.admin("session", "list"), re.M)


def test_both_seal_the_same_bytes_and_both_keep_them(tmp_path, relay, two):
    alice, bob = two
    session(bob, alice, "one", "two")
    (_, receipt), = left(bob)
    f = files(receipt)
    (text, client, client_sig, sealed, sealed_sig, number, key), = stored(relay)
    assert text.encode() == f["receipt.txt"] and key == hashlib.sha256(f["receipt.txt"]).digest()
    assert (client.encode(), client_sig) == (f["client.txt"], f["client.sig"])
    assert (sealed.encode(), sealed_sig) == (f["relay.txt"], f["relay.sig"])
    assert number.hex() == fields(f["receipt.txt"])["session"]
    for role in "client", "relay":
        seal = fields(f[f"{role}.txt"])
        assert seal["role"] == role
        for name, data in (("cert.der", f[f"certs/{seal['signer']}.der"]), ("sig", f[f"{role}.sig"]),
                           ("all", f["receipt.txt"] + f[f"{role}.txt"])):
            (tmp_path / name).write_bytes(data)
        subprocess.run(f"""openssl x509 -inform DER -in {tmp_path}/cert.der -noout -pubkey > {tmp_path}/pub.pem &&
            openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify {tmp_path}/pub.pem
            -signature {tmp_path}/sig {tmp_path}/all""".replace("\n", " "), shell=True, check=True,
                       stdout=subprocess.DEVNULL)
    assert fields(f["relay.txt"])["signer"] != fields(f["receipt.txt"])["peer_cert_fingerprint"]


def test_the_receipt_names_the_checkpoint_and_the_session_its_transcript(relay, two):
    """tree_size and tree_root are of a checkpoint that the relay has signed; transcript_hash is in the table of logins."""
    alice, bob = two
    for _ in range(5):  # the notary may be late for the first one
        session(bob, alice, "one", "two")
        flat, receipt = left(bob)[-1]
        r = fields(files(receipt)["receipt.txt"])
        if int(r["tree_size"]) > 0:
            break
    assert 1 <= int(r["tree_size"]) <= int(r["last_seqno"])
    out = os.path.join(relay.tmp, "all.tar")
    alice("recv")
    alice("export", "ops", "-o", out)
    with open(flat, encoding="ascii") as f:
        assert f.read()
    hashes = [hashlib.sha256(b"\0" + line_and_time(row)).digest()
              for row in files(out)["transcript.txt"].decode().splitlines()[:int(r["tree_size"])]]
    assert r["tree_root"] == tree(hashes).hex()
    assert [t for t in transcripts(relay) if t != "-"][-1] == r["transcript_hash"]


def line_and_time(row):
    _, ts, ct, *_ = row.split("|")
    return base64.b64decode(ct).split(b"\n", 1)[0] + b"|" + ts.encode()


def tree(leaves):
    """RFC 6962 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def test_a_relay_that_does_not_answer_holds_nobody(relay, two):
    """Stopped in its midst: the receipt is the client's own, and the program ends."""
    alice, bob = two
    listening = Listener(bob)
    listening.ready(alice)
    alice("send", "ops", "one")
    listening.until("one")
    relay.process.send_signal(signal.SIGSTOP)
    try:
        assert "the relay did not seal our receipt within" in listening.stop()
    finally:
        relay.process.send_signal(signal.SIGCONT)
    (flat, _), = left(bob)
    v = ours(flat, "--ca", root_of(bob))
    assert v["verdict"] == "valid" and roles(v) == ["client"]
    status, said = script(flat, root_of(bob))
    assert (status, said[0]) == (0, "VALID") and not any("relay.sig" in line for line in said)


def pending(process, number):
    """It was sent that signal, and has not taken it."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)$", f.read(), re.M)
    return any(int(m, 16) >> (number - 1) & 1 for m in masks)


def test_told_twice_it_waits_for_nobody(relay, two):
    alice, bob = two
    listening = Listener(bob)
    listening.ready(alice)
    alice("send", "ops", "one")
    listening.until("one")
    relay.process.send_signal(signal.SIGSTOP)
    try:
        listening.process.send_signal(signal.SIGTERM)
        while pending(listening.process, signal.SIGTERM):
            pass # a second one would be the same one
        said = listening.stop()
        assert "did not seal" not in said # who waits to the end says so
    finally:
        relay.process.send_signal(signal.SIGCONT)
    (flat, _), = left(bob)
    assert roles(ours(flat, "--ca", root_of(bob))) == ["client"]


def member_seals(relay):
    with contextlib.closing(sqlite3.connect(f"file:{relay.dir}/relay.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT member, member_sig FROM receipts WHERE member <> ''").fetchall()


def of_two(bob):
    """What he left of the room of two, judged."""
    made = [(flat, ours(flat, "--ca", root_of(bob))) for flat, _ in left(bob)]
    return [(flat, v) for flat, v in made if "member" in roles(v)]


def test_the_other_member_seals_what_was_said_between_two(relay, two):
    """In a direct room he signs the same bytes while he is there; both judges say so, and both ends keep them."""
    alice, bob = two
    alice("send", "@bob", "hello bob")
    bob("recv")
    with Screen(alice, cols=200) as s:
        s.login()
        s.wait("[1:")
        his = Listener(bob)
        s.type("/msg bob are you there\r")  # he is, once he has read it
        his.until("are you there")
        s.type("between us\r")
        his.until("between us")
        his.stop()
        s.until(lambda: member_seals(relay), "her seal at the relay")
        assert s.quit() == 0
    bob("recv")  # takes it, when it came too late for the end of his session
    (flat, v), = of_two(bob)
    assert v["verdict"] == "valid" and roles(v) == ["client", "relay", "member"]
    assert script(flat, root_of(bob))[1][0] == "VALID"
    f = files(flat[:-4] + ".receipt")
    seal = fields(f["member.txt"])
    assert seal["role"] == "member" and seal["signer"] != fields(f["client.txt"])["signer"]
    assert (f["member.txt"].decode(), f["member.sig"]) in member_seals(relay)


def heard_one(bob, alice):
    listening = Listener(bob)
    listening.ready(alice)
    alice("send", "ops", "one")
    listening.until("one")
    return listening


def test_a_killed_client_has_its_session_sealed_later(relay, two):
    """kill -9: the next start makes the receipt of what was kept, and the relay seals it as that session's."""
    alice, bob = two
    listening = heard_one(bob, alice)
    listening.process.kill()
    listening.process.wait()
    assert left(bob) == []
    while relay.wait("gone")["why"] == "closed":  # in order, all but the killed one
        pass
    bob("recv")
    (flat, receipt), *_ = left(bob)
    v = ours(flat, "--ca", root_of(bob))
    assert v["verdict"] == "valid" and roles(v) == ["client", "relay"]
    assert script(flat, root_of(bob))[1][0] == "VALID"
    r = fields(files(receipt)["receipt.txt"])
    (text, *_, number, _), = [row for row in stored(relay) if row[0].encode() == files(receipt)["receipt.txt"]]
    assert number.hex() == r["session"]
    assert r["transcript_hash"] in transcripts(relay)


def test_what_a_killed_client_had_not_been_told_is_in_no_receipt(relay, two):
    """What was numbered behind its end is the next session's."""
    alice, bob = two
    listening = heard_one(bob, alice)
    listening.process.kill()
    listening.process.wait()
    alice("send", "ops", "two")
    session(bob, alice, "three")
    texts = [fields(files(receipt)["receipt.txt"]) for _, receipt in left(bob)]
    assert len({t["session"] for t in texts}) == 2
    first, second = sorted(texts, key=lambda t: int(t["first_seqno"]))
    assert int(second["first_seqno"]) > int(first["last_seqno"]) + 1  # "two" came between both
    assert second["previous"] == hashlib.sha256(files(left(bob)[0][1])["receipt.txt"]).hexdigest()


def test_a_killed_relay_seals_the_session_when_it_is_back(relay, two):
    alice, bob = two
    listening = heard_one(bob, alice)
    relay.kill()
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    listening.ready(alice)
    alice("send", "ops", "again")  # within that session, whatever came before its welcome
    listening.until("again")
    listening.stop()
    made = [ours(flat, "--ca", root_of(bob)) for flat, _ in left(bob)]
    assert [roles(v) for v in made] == [["client", "relay"]] * 2
    assert made[0]["session"] != made[1]["session"]


def test_a_receipt_that_was_taken_away_does_not_come_back(relay, two):
    alice, bob = two
    listening = heard_one(bob, alice)
    relay.process.send_signal(signal.SIGSTOP)
    listening.stop()
    relay.process.send_signal(signal.SIGCONT)
    for path in left(bob)[0]:
        os.unlink(path)
    bob("recv")
    assert left(bob) == []


def test_a_relay_that_goes_down_in_order_leaves_receipts(relay, two):
    alice, bob = two
    listening = Listener(bob)
    listening.ready(alice)
    alice("send", "ops", "one")
    listening.until("one")
    relay.stop()
    listening.stop()
    (flat, _), = left(bob)
    assert ours(flat, "--ca", root_of(bob))["verdict"] == "valid"


def test_seal_when_somebody_says_so(relay, two):
    """/seal: in the midst of a session, without any option; then nothing is left to be sealed. /disconnect and /quit
    leave what came since."""
    alice, bob = two
    with Screen(bob, cols=200) as s:
        s.login()
        s.wait("[1:#ops]")
        alice("send", "ops", "one")
        s.wait("one")
        s.type("/seal\r")
        s.wait("sealed by you and the relay")
        s.type("/seal\r")
        s.wait("nothing was said since the last receipt")
        alice("send", "ops", "two")
        s.wait("two")
        s.type("/disconnect\r")
        s.until(lambda: s.text().count("sealed by you and the relay") == 2, "second receipt")
        s.type("/connect\r")
        s.wait("[TLS 1.3 ok")
        alice("send", "ops", "three")
        s.wait("three")
        assert s.quit() == 0
    made = [ours(flat, "--ca", root_of(bob)) for flat, _ in left(bob)]
    assert [roles(v) for v in made] == [["client", "relay"]] * 3
    assert made[0]["session"] == made[1]["session"] != made[2]["session"]
    assert made[1]["first"] == made[0]["last"] + 1
    for (_, receipt), before in zip(left(bob)[1:], left(bob)):
        text = files(before[1])["receipt.txt"]
        assert fields(files(receipt)["receipt.txt"])["previous"] == hashlib.sha256(text).hexdigest()
    assert len(stored(relay)) == 3


def test_seal_where_none_are_wanted(two):
    alice, bob = two
    with Screen(bob, argv=["--transcript", "off"], cols=200) as s:
        s.login()
        s.wait("[1:#ops]")
        alice("send", "ops", "one")
        s.wait("one")
        s.type("/seal\r")
        s.wait("sealed by you and the relay")
        alice("send", "ops", "two")
        s.wait("two")
        assert s.quit() == 0
    (flat, _), = left(bob)  # nothing but what was asked for
    assert roles(ours(flat, "--ca", root_of(bob))) == ["client", "relay"]


def test_several_rooms_are_several_receipts(relay, two):
    alice, bob = two
    alice("room", "create", "two", "--history", "all")
    bob("room", "join", "two")
    listening = Listener(bob)
    listening.ready(alice)
    alice("send", "two", "there")
    listening.until("there")
    alice("send", "ops", "here")
    listening.until("here")
    listening.stop()
    made = [ours(flat, "--ca", root_of(bob)) for flat, _ in left(bob)]
    assert len({v["room"] for v in made}) == 2 and len({v["session"] for v in made}) == 1
    assert [roles(v) for v in made] == [["client", "relay"]] * 2
    hashes = [fields(text.encode())["transcript_hash"] for text, *_ in stored(relay)]
    both = hashlib.sha256(bytes.fromhex(hashes[0]) + bytes.fromhex(hashes[1])).hexdigest()
    assert [t for t in transcripts(relay) if t != "-"] == [both]
