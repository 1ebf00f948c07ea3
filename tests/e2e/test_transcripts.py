"""What a session leaves: a flat file and its receipt for each room, which both judges
accept under the relay's root, and under no other (M8, M9)."""

import hashlib
import json
import os
import signal
import time

import pytest

from disk import needs_root, small_disk
from relay import Relay
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


def test_a_session_leaves_what_both_judges_accept(two):
    alice, bob = two
    session(bob, alice, "one | two", "à bientôt")
    (flat, receipt), = left(bob)
    root = root_of(bob)
    for path in flat, receipt:
        v = ours(path, "--ca", root)
        assert v["verdict"] == "valid" and v["kind"] == "session" and v["link"] == "tls"
        assert [(s["role"], s["name"]) for s in v["seals"]] == [("client", "bob"), ("relay", "127.0.0.1")]
        assert {a["name"] for a in v["authors"]} == {"alice"} and v["withheld"] == 0
        status, said = script(path, root)
        assert (status, said[0]) == (0, "VALID"), said
    with open(flat, encoding="ascii") as f:
        lines = f.read().splitlines()
    assert len(lines) >= 2 and v["last"] - v["first"] + 1 == len(lines)  # one may precede the login
    assert {len(l.split("|")) for l in lines} == {5}


def test_sessions_follow_each_other(two):
    """The second receipt names the first; nothing is in both, and the sessions are two."""
    alice, bob = two
    session(bob, alice, "first")
    session(bob, alice, "second")
    first, second = (ours(r, "--ca", root_of(bob)) for _, r in left(bob))
    with open(left(bob)[0][1], "rb") as f:
        data = f.read()
    at = data.index(b"type countersign-receipt-1\n")
    text = data[at:data.index(b"\0", at)]
    assert second["previous"] == hashlib.sha256(text).hexdigest() and first["previous"] == "0" * 64
    assert first["last"] < second["first"] and first["session"] != second["session"]


def test_nothing_said_leaves_nothing(two):
    alice, bob = two
    bob("recv")
    assert left(bob) == []
    alice("send", "ops", "while he is away")
    bob("recv")
    assert left(bob) == [] # it was said before the session began


def configure(member, text):
    """The member's configuration."""
    path = os.path.join(member.env["XDG_CONFIG_HOME"], "countersign", "conf")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


@pytest.mark.parametrize("configured, options, leaves", [
    ("", ("--transcript", "off"), False), ("transcript = off\n", (), False),
    ("transcript = off\n", ("--transcript", "auto"), True), ("transcript = auto\n", (), True)])
def test_whoever_wants_none_says_so(two, configured, options, leaves):
    alice, bob = two
    configure(bob, configured)
    listening = Listener(bob, *options)
    listening.ready(alice)
    alice("send", "ops", "hello")
    listening.until("hello")
    listening.stop()
    assert len(left(bob)) == leaves


@pytest.mark.parametrize("configured, options, status", [
    ("", ("--transcript", "on"), 64), ("", ("--transcript", ""), 64), ("transcript = maybe\n", (), 78),
    ("transcripts = off\n", (), 78), ("transcript = off\ntranscript = off\n", (), 78)])
def test_what_is_no_such_wish_is_refused(two, configured, options, status):
    """Rather than leaving in clear what somebody thought would not be."""
    _, bob = two
    configure(bob, configured)
    p = bob.run("recv", *options)
    assert p.returncode == status and "transcript" in p.stderr, p


def test_a_configuration_that_cannot_be_read_is_not_none(tmp_path, two):
    """What it wishes is not known: nothing is left in clear on the guess that it wishes nothing."""
    _, bob = two
    (tmp_path / "odd" / "countersign" / "conf").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    os.makedirs(tmp_path / "loop" / "countersign")
    os.symlink("conf", tmp_path / "loop" / "countersign" / "conf")
    for place in "odd", "file", "loop", "x" * 600:
        bob.env["XDG_CONFIG_HOME"] = str(tmp_path / place)
        p = bob.run("recv")
        assert p.returncode == 78 and p.stderr, (place, p)
    bob.env["XDG_CONFIG_HOME"] = str(tmp_path / "none")
    bob("recv")


def test_an_ephemeral_room_leaves_nothing_unasked(two):
    alice, bob = two
    alice("room", "create", "mist", "--ephemeral")
    bob("room", "join", "mist")
    listening = Listener(bob)
    for n in range(2):
        alice("send", "mist", f"gone {n}")
        listening.until(f"gone {n}")
    listening.stop()
    assert left(bob) == []


def test_a_connection_that_was_cut(relay, two):
    """The session ended with its connection: the receipt is there before the program ends."""
    alice, bob = two
    listening = Listener(bob)
    listening.ready(alice) # perhaps said before the session began, and then no part of it
    alice("send", "ops", "one")
    listening.until("one")
    relay.kill()
    deadline = time.monotonic() + 60
    while not left_or_none(bob):
        assert time.monotonic() < deadline, "no receipt"
        time.sleep(0.05)
    (flat, _), = left(bob)
    v = ours(flat, "--ca", root_of(bob))
    assert v["verdict"] == "valid" and [s["role"] for s in v["seals"]] == ["client"]
    listening.process.kill()
    listening.process.communicate(timeout=30)


def left_or_none(member):
    try:
        return left(member)
    except AssertionError: # the second of the two files is being written
        return []


@pytest.mark.parametrize("change", ["drop", "swap", "double", "edit", "other session"])
def test_tampered(two, change):
    alice, bob = two
    session(bob, alice, "one", "two", "three")
    flat, receipt = left(bob)[0]
    with open(flat, encoding="ascii") as f:
        lines = f.readlines()
    changed = {"drop": lines[1:], "swap": [lines[1], lines[0], *lines[2:]], "double": lines[:1] + lines,
               "edit": [lines[0].replace("|", "|1", 1), *lines[1:]], "other session": lines}[change]
    if change == "other session":
        session(bob, alice, "four")
        os.replace(left(bob)[1][1], receipt)
    with open(flat, "w", encoding="ascii") as f:
        f.writelines(changed)
    v = ours(flat, "--ca", root_of(bob), status=65)
    assert v["where"].startswith("the transcript line ")
    status, said = script(flat, root_of(bob))
    assert status == 65 and said[1].split(":")[0] == v["where"]


@needs_root
def test_a_full_disk_leaves_nothing_by_halves(two):
    """There is room for the transcript and not for its receipt."""
    alice, bob = two
    folder = os.path.join(json.loads(bob("me", "--json"))["directory"], "transcripts")
    with small_disk(folder, "12k"):
        listening = Listener(bob)
        listening.ready(alice)
        alice("send", "ops", "one")
        listening.until("one")
        listening.process.send_signal(signal.SIGTERM)
        _, err = listening.process.communicate(timeout=30)
        assert listening.process.returncode == 74 and "no receipt of ops" in err, err
        assert os.listdir(folder) == []
