"""The client without a screen against a real relay: joining, sending, receiving, refusals."""

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import time

import pytest

from relay import CLIENT, PASSWORD, Member, Relay, countersignd, message, messages


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        r.run()
        yield r


@pytest.fixture
def two(relay):
    """alice and bob in the room ops, which shows all its history."""
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "ops", "--history", "all")
    bob("room", "join", "ops")
    return alice, bob


def rows(text):
    out = [json.loads(line) for line in text.splitlines()]
    assert all(r["v"] == 1 for r in out)
    return out


def texts(member, *argv, status=0):
    return [r["text"] for r in rows(member("recv", "--json", *argv, status=status))
            if r["event"] == "entry" and "text" in r]


def files(home):
    return [os.path.join(d, f) for d, _, names in os.walk(home) for f in names]


# --- joining ---

def test_join_says_what_it_did(relay):
    alice = Member(relay, "alice")
    said = alice.join(relay.invite(), "alice").splitlines()
    assert [line.split()[0] for line in said] == ["joined", "relay", "key", "yours", "next"]
    me = rows(alice("me", "--json"))[0]
    assert (me["account"], me["device"], me["port"]) == ("alice", "laptop", relay.port)
    for path in files(alice.home):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    for d, names, _ in os.walk(alice.home):
        assert all(stat.S_IMODE(os.stat(os.path.join(d, n)).st_mode) == 0o700 for n in names)
    # the key on disk is no key without the password
    key = open(os.path.join(me["directory"], "key"), "rb").read()
    assert key.startswith(b"countersign-keybox-1\n") and b"PRIVATE" not in key
    assert alice.run("--name", "x", "--no-open", "join", "-").returncode == 73


def test_invite_is_for_one_use(relay):
    invite = relay.invite()
    Member(relay, "alice").join(invite, "alice")
    other = Member(relay, "bob")
    p = other.run("--name", "bob", "--device", "x", "--no-open", "join", "-", stdin=invite + "\n")
    assert p.returncode == 77 and "ask for a new one" in p.stderr
    # nothing was left behind: the next invite works with another password
    with open(other.password, "w") as f:
        f.write("another password")
    other.join(relay.invite(), "bob")


@pytest.mark.parametrize("where", [15, 30, 60, -8, -1])
def test_altered_invite_sends_nothing(relay, where):
    invite = relay.invite()
    at = where % len(invite)
    altered = invite[:at] + ("x" if invite[at] != "x" else "y") + invite[at + 1:]
    relay.stop()  # a packet would find nobody: the refusal is another one
    p = Member(relay, "alice").run("--name", "alice", "--device", "x", "--no-open", "join", "-",
                                   stdin=altered + "\n")
    assert p.returncode == 65 and "nothing was sent" in p.stderr, p.stderr


def test_invite_of_another_relay(relay, tmp_path):
    """The root in the invite is not the one that answers: no token, no password hash goes out."""
    os.mkdir(tmp_path / "two")
    with Relay(tmp_path / "two", "localhost") as other:
        other.run()
        wrong = other.admin("invite", "--at", f"127.0.0.1:{relay.port}").strip()
        p = Member(relay, "alice").run("--name", "alice", "--device", "x", "--no-open", "join", "-",
                                       stdin=wrong + "\n")
        assert p.returncode != 0 and "joined" not in p.stdout, p.stderr
    assert "event=join" not in relay.log().replace("joined", "")


def test_invite_on_the_command_line(relay):
    alice = Member(relay, "alice")
    p = alice.run("--name", "alice", "--device", "x", "--no-open", "join", relay.invite())
    assert p.returncode == 0 and "shell's history" in p.stderr


def test_name_taken_burns_nothing(relay):
    relay.member("alice")
    invite = relay.invite()
    bob = Member(relay, "bob")
    p = bob.run("--name", "alice", "--device", "x", "--no-open", "join", "-", stdin=invite + "\n")
    assert p.returncode == 73 and "choose another" in p.stderr
    bob.join(invite, "bob")


def test_bad_passwords_for_joining(relay):
    alice = Member(relay, "alice")
    with open(alice.password, "w") as f:
        f.write("short")
    alice.join(relay.invite(), "alice", status=65)
    assert not [p for p in files(alice.home) if p != alice.password]


def test_lost_answer_goes_on_with_the_same_key(relay):
    """kill -9 after the relay has answered and before the account is stored."""
    alice = Member(relay, "alice")
    invite = relay.invite()
    alice.join(invite, "alice")
    where = rows(alice("me", "--json"))[0]["directory"]
    fp = rows(alice("me", "--json"))[0]["sha256"]
    for name in ("account", "root.der", "leaf.der", "issuer.der"):
        os.unlink(os.path.join(where, name))
    alice.join(invite, "alice")
    assert rows(alice("me", "--json"))[0]["sha256"] == fp
    alice("room", "list")


# --- sending ---

def test_send_and_receive(two):
    alice, bob = two
    sent = rows(alice("send", "--json", "ops", "hello"))[0]
    assert (sent["event"], sent["state"], sent["seq"], sent["number"]) == ("sent", "relay", 2, 3)
    got = messages(bob("recv", "--json"))
    assert [r["text"] for r in got] == ["hello"]
    assert (got[0]["author"], got[0]["sig"], got[0]["own"]) == ("alice", "good", False)
    assert got[0]["verified"] is False
    assert bob("recv", "--json") == ""  # once
    bob("send", "ops", "-", stdin="and\nback\n")
    assert texts(alice) == ["hello", "and\nback"]
    assert texts(bob, "--since", "k1-0") == ["hello", "and\nback"]
    assert texts(bob, "--since", got[0]["cursor"]) == ["and\nback"]
    assert "bob?: and" in alice("recv", "--since", "k1-0")


def test_direct_and_delivered(two):
    alice, bob = two
    listener = bob.start("recv", "--follow", "--json")
    try:
        sent = rows(alice("send", "--json", "--wait", "delivered", "@bob", "psst"))[0]
        assert sent["state"] == "delivered"
        row = message(listener.stdout)
        assert (row["text"], row["author"], row["room"]) == ("psst", "alice", "@alice")
    finally:
        listener.send_signal(signal.SIGINT)
        assert listener.wait(20) == 0


def test_follow_lives_through_a_restart(relay, two):
    alice, bob = two
    listener = bob.start("recv", "--follow", "--json")
    try:
        alice("send", "ops", "one")
        assert message(listener.stdout)["text"] == "one"
        relay.restart()
        alice("send", "ops", "two")
        assert message(listener.stdout)["text"] == "two"
    finally:
        listener.kill()
        listener.wait()


def test_long_history_in_pages(two):
    alice, bob = two
    for i in range(3):
        alice("send", "ops", f"m{i} " + "x" * 60000)
    assert [t[:2] for t in texts(bob)] == ["m0", "m1", "m2"]


def test_text_limit_is_said_before(relay, two):
    alice, _ = two
    relay.stop()
    p = alice.run("send", "ops", "-", stdin="x" * (64 * 1024 + 1))
    assert p.returncode == 65 and "65537 bytes" in p.stderr
    p = alice.run("send", "ops", "-", stdin="")
    assert p.returncode == 64


def test_largest_text(two):
    alice, bob = two
    text = "\u20ac" * (64 * 1024 // 3)
    alice("send", "ops", "-", stdin=text)
    assert texts(bob) == [text]


def test_exact_text(two):
    alice, bob = two
    text = "\x1b]0;owned\x07 \u202etxt \t\\\" \U0001f600"
    alice("send", "ops", text)
    assert texts(bob) == [text]
    human = bob("recv", "--since", "k1-0")
    assert "\x1b" not in human and "\u202e" not in human and "^[" in human


@pytest.mark.parametrize("argv,status", [
    (("send", "nowhere", "x"), 66),
    (("send", "@nobody", "x"), 66),
    (("send", "ops"), 64),
    (("recv", "--since", "7"), 64),
    (("recv", "--room", "nowhere"), 66),
    (("room", "create", "ops"), 73),
    (("room", "create", "../x"), 65),
    (("room", "dance"), 64),
    (("dance",), 64),
    (("--wait", "x", "send", "ops", "x"), 64),
    (("--follow", "me"), 64),
    (("--profile", "../x", "me"), 64),
    (("--profile", "other", "me"), 78),
])
def test_refusals(two, argv, status):
    alice, _ = two
    p = alice.run(*argv)
    assert p.returncode == status, (argv, p.returncode, p.stderr)
    assert p.stderr.startswith("countersign: ") and p.stdout == ""


def test_nobody_listens(relay, two):
    alice, _ = two
    relay.stop()
    p = alice.run("send", "ops", "x")
    assert p.returncode == 69, p.stderr


# --- passwords ---

def test_wrong_password(two):
    alice, _ = two
    with open(alice.password, "w") as f:
        f.write("not the password")
    p = alice.run("recv")
    assert p.returncode == 77


def test_no_password_and_no_terminal(two):
    alice, _ = two
    p = subprocess.run([CLIENT, "recv"], env=alice.env, stdin=subprocess.DEVNULL, text=True,
                       capture_output=True, start_new_session=True, timeout=30)
    assert p.returncode == 77 and "--password-fd" in p.stderr


def test_password_by_descriptor_and_configuration(two):
    alice, _ = two
    r, w = os.pipe()
    os.write(w, PASSWORD.encode() + b"\n")
    os.close(w)
    p = subprocess.run([CLIENT, "--password-fd", str(r), "recv"], env=alice.env, pass_fds=[r],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    os.close(r)
    assert p.returncode == 0, p.stderr
    os.mkdir(os.path.join(alice.env["XDG_CONFIG_HOME"], "countersign"))
    with open(os.path.join(alice.env["XDG_CONFIG_HOME"], "countersign", "conf"), "w") as f:
        f.write(f"# where it is\npassword_file = {alice.password}\n")
    def run():
        return subprocess.run([CLIENT, "recv"], env=alice.env, text=True, timeout=30,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              start_new_session=True)
    assert run().returncode == 0
    os.chmod(alice.password, 0o644)
    p = run()
    assert p.returncode == 78 and f"chmod 600 {alice.password}" in p.stderr, p.stderr


def test_readable_key_is_refused(two):
    alice, _ = two
    key = os.path.join(rows(alice("me", "--json"))[0]["directory"], "key")
    os.chmod(key, 0o640)
    p = alice.run("recv")
    assert p.returncode == 78 and "chmod 600 /" in p.stderr, p.stderr


# --- one process, one disk ---

def test_second_process_waits_then_says_so(two):
    alice, _ = two
    listener = alice.start("recv", "--follow", "--json")
    try:
        alice_sent = alice.run("send", "ops", "x")
        began = time.monotonic()
        if alice_sent.returncode == 0:  # it was quicker than the listener's start
            alice_sent = alice.run("send", "ops", "x")
        assert alice_sent.returncode == 75 and "another countersign" in alice_sent.stderr
        assert time.monotonic() - began < 20
    finally:
        listener.kill()
        listener.wait()
    alice("send", "ops", "now")


def test_nothing_said_is_readable_on_disk(two):
    alice, bob = two
    alice("send", "ops", "MARKER-91-zebra")
    bob("recv")
    for member in (alice, bob):
        for path in files(member.home):
            assert b"MARKER-91" not in open(path, "rb").read(), path


def outbox(member):
    """Lines of the outbox on a member's disk."""
    path = os.path.join(rows(member("me", "--json"))[0]["directory"], "store.db")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return [line for (line,) in db.execute("SELECT line FROM outbox ORDER BY seq")]


def test_kill_between_disk_and_relay(relay, two):
    """What was signed before kill -9 goes out with the same bytes at the next start, once."""
    alice, bob = two
    sender = subprocess.Popen([CLIENT, "--password-file", alice.password, "plain", "--json",
                               "--room", "ops"], text=True, env=alice.env, bufsize=1,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        sender.stdin.write("before\n")
        assert message(sender.stdout)["text"] == "before"
        relay.kick(signal.SIGSTOP)  # takes bytes, answers nothing
        sender.stdin.write("never lost\n")
        end = time.monotonic() + 20
        while not outbox(alice) and time.monotonic() < end:
            time.sleep(0.05)
        line = outbox(alice)
        assert len(line) == 1
        sender.kill()
        sender.wait()
        assert outbox(alice) == line
    finally:
        sender.kill()
        relay.kick(signal.SIGCONT)
    alice("send", "ops", "after")
    assert outbox(alice) == []
    assert texts(bob) == ["before", "never lost", "after"]
    assert texts(alice, "--since", "k1-0") == ["before", "never lost", "after"]
    with sqlite3.connect(f"file:{relay.dir}/relay.db?mode=ro", uri=True) as db:
        kept = [r[0] for r in db.execute("SELECT line FROM messages ORDER BY number")]
    assert line[0] in kept  # the very bytes


def test_ipv6(tmp_path):
    with Relay(tmp_path, "::1") as relay:
        relay.name = "[::1]"
        relay.run("--listen", "[::1]:0")
        alice = relay.member("alice")
        assert rows(alice("me", "--json"))[0]["host"] == "::1"
        alice("room", "create", "ops")
        got = rows(alice("handshake", f"[::1]:{relay.port}", "--json"))
        assert got[-1]["event"] == "established"


def test_relay_by_name(tmp_path):
    with Relay(tmp_path, "localhost") as relay:
        relay.run()
        relay.member("alice")


# --- rooms ---

def test_private_room(two):
    alice, bob = two
    alice("room", "create", "board", "--private")
    bob("room", "join", "board", status=66)
    assert "board" not in bob("room", "list")
    alice("room", "invite", "board", "bob")
    bob("room", "join", "board")
    assert sorted(r["name"] for r in rows(bob("room", "members", "board", "--json"))) == [
        "alice", "bob"]
    alice("room", "topic", "board", "money")
    assert [r["topic"] for r in rows(alice("room", "list", "--json")) if r["room"] == "board"] == [
        "money"]
    bob("room", "leave", "board")
    bob("send", "board", "x", status=66)


def test_history_from_joining_on(relay, two):
    alice, _ = two
    alice("room", "create", "fresh")
    alice("send", "fresh", "early")
    carol = relay.member("carol")
    carol("room", "join", "fresh")
    alice("send", "fresh", "late")
    assert texts(carol, "--room", "fresh") == ["late"]


def test_all_rooms_are_received(two):
    """A run ends only when every room has printed what came."""
    alice, bob = two
    want = set()
    for room in ("one", "two", "three"):
        alice("room", "create", room, "--history", "all")
        bob("room", "join", room)
        for i in range(3):
            alice("send", room, f"{room} {i}")
            want.add(f"{room} {i}")
    got = texts(bob)
    assert set(got) == want and len(got) == 9


# --- handshake ---

STEPS = ["ClientHello", "ServerHello", "EncryptedExtensions", "Certificate", "CertificateVerify",
         "Finished"]


def test_handshake_of_a_member(relay, two):
    alice, _ = two
    got = rows(alice("handshake", "--json"))
    names = [r["name"] for r in got if r["event"] == "step"]
    assert all(n in names for n in STEPS) and "CertificateRequest" in names
    end = got[-1]
    assert (end["event"], end["trust"], end["version"]) == ("established", "pinned", "TLS 1.3")
    assert end["alpn"] == "countersign/1"
    whats = [r["what"] for r in got if r["event"] == "certificate"]
    assert whats[0] == "relay" and whats[-1] == "own"
    human = alice("handshake")
    assert re.search(r"established: TLS 1.3", human)


def test_handshake_without_account(relay):
    guest = Member(relay, "guest")
    got = rows(guest("handshake", f"127.0.0.1:{relay.port}", "--json"))
    assert (got[-1]["event"], got[-1]["trust"]) == ("established", "none")
    assert got[-1]["alpn"] == "countersign-join/1"
    assert "the relay's own word" in guest("handshake", f"127.0.0.1:{relay.port}")


def test_disabled_account_is_refused(relay, two):
    _, bob = two
    relay.admin("user", "disable", "bob")
    p = bob.run("recv")
    assert p.returncode == 77, (p.returncode, p.stderr)
    relay.admin("user", "enable", "bob")
    bob("recv")


def test_revoked_device_is_told_why(relay, two):
    """A new device goes on where the lost one ended; the lost one is told why it may not."""
    alice, bob = two
    bob("send", "ops", "from the old one")
    new = Member(relay, "bob")
    new.join(relay.invite("--for", "bob"), "bob", device="phone")
    p = bob.run("recv")
    assert p.returncode == 77 and "revoked" in p.stderr, (p.returncode, p.stderr)
    new("send", "ops", "from the new one")
    new("send", "ops", "and again")
    got = [r for r in rows(alice("recv", "--json")) if "text" in r]
    assert [r["text"] for r in got] == ["from the old one", "from the new one", "and again"]
    assert [r["device"] for r in got] == ["laptop", "phone", "phone"]
    assert got[2]["seq"] == got[1]["seq"] + 1


def test_new_certificate_stops_until_accepted(relay, two):
    """Who is enrolled again is not written to alone before somebody looked; in public he is."""
    alice, bob = two
    alice("send", "@bob", "to the one I know")
    alice("room", "create", "cellar", "--private")
    alice("room", "invite", "cellar", "bob")
    bob("room", "join", "cellar")
    alice("send", "cellar", "both of us")
    new = Member(relay, "bob")
    new.join(relay.invite("--for", "bob"), "bob", device="phone")
    for where in ("@bob", "cellar"):
        p = alice.run("send", where, "secret")
        assert p.returncode == 77, (where, p.returncode, p.stderr)
        assert "bob has a new certificate" in p.stderr, p.stderr
        assert "/accept bob (countersign accept)" in p.stderr, p.stderr
    alice("send", "ops", "everybody reads this")
    assert alice.run("accept", "nobody").returncode == 66
    assert alice.run("accept").returncode == 64
    got = rows(alice("accept", "bob", "--json"))
    assert [(r["event"], r["name"], r["certificates"]) for r in got] == [("accepted", "bob", 1)]
    alice("send", "@bob", "now you may")
    alice("send", "cellar", "here too")
    assert "no certificate waits" in alice("accept", "@bob")
    said = texts(new)
    assert "secret" not in said and {"now you may", "here too"} <= set(said), said


def test_stolen_device_without_password(relay, two):
    alice, _ = two
    with open(alice.password, "w") as f:
        f.write("a thief's guess")
    before = relay.log().count("event=accepted")
    for argv in (("recv",), ("send", "ops", "x"), ("handshake",)):
        assert alice.run(*argv).returncode == 77, argv
    assert relay.log().count("event=accepted") == before  # it never even connects
