"""The relay's side of `classic`, against a client that was written from the design notes alone:
one room of guests, off unless it is named, and nothing of it anywhere else."""

import glob
import json
import os
import re
import signal
import sqlite3
import subprocess

import pytest

from classic import BAD_MAC, Forged, Guest
from relay import BUILD, Relay

LINKS = ("--links", "tls classic")
CAME, WENT = "上线了", "下线了"


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        r.run(*LINKS)
        yield r


def refused(guest):
    """It was sent away: what the relay said last."""
    last = None
    while line := guest.get():
        last = line
    return last


def test_guests_talk(relay):
    a, b = Guest(relay.port), None
    relay.wait("guest")
    b = Guest(relay.port)
    assert a.hear() == f"{b.address} {CAME}"
    a.say("hello 你好")
    assert b.hear() == f"{a.address} hello 你好"
    c = Guest(relay.port)
    assert a.hear() == b.hear() == f"{c.address} {CAME}"
    b.say("to both")
    assert a.hear() == c.hear() == f"{b.address} to both"
    b.close()
    assert a.hear() == c.hear() == f"{b.address} {WENT}"
    relay.wait("gone", why="closed")
    relay.stop()


def number(relay):
    """The relay's n."""
    guest = Guest(relay.port, agree=False)
    guest.put(type="hello")
    return guest.get()["n"]


def test_guests_on_two_threads(relay):
    before = number(relay)
    assert number(relay) == before and before.bit_length() == 2048
    relay.restart(*LINKS, "--threads", "2")
    assert number(relay) != before  # a pair of keys for one start and nothing else
    guests = [Guest(relay.port) for _ in range(4)]
    guests[0].say("everywhere")
    for g in guests[1:]:
        while (text := g.hear()) != f"{guests[0].address} everywhere":
            assert text.endswith(CAME)


def test_off_unless_it_is_named(tmp_path):
    with Relay(tmp_path) as relay:
        relay.run("--links", "tls ecdhe")
        guest = Guest(relay.port, agree=False)
        guest.put(type="hello")
        assert guest.get() is None
        relay.wait("refused")
        relay.stop()


def test_guests_are_in_no_other_room(relay):
    alice = relay.member("alice", "--admin")
    alice("room", "create", "ops")
    assert "reserved" in alice.run("room", "create", "classic").stderr
    guest, other = Guest(relay.port), Guest(relay.port)
    guest.hear()
    guest.say("from nobody")
    assert other.hear().endswith("from nobody")
    alice("send", "ops", "from alice")
    guest.say("again")
    assert other.hear().endswith("again")  # and nothing of alice's in between
    assert "nobody" not in alice("recv", "--json")
    relay.stop()
    db = sqlite3.connect(os.path.join(relay.dir, "relay.db"))
    assert all("nobody" not in str(row) for row in db.iterdump())
    assert "nobody" not in relay.log()


def test_members_news_do_not_reach_guests(relay):
    """What goes to everybody who is logged in goes to nobody else."""
    alice = relay.member("alice", "--admin")
    guest, other = Guest(relay.port), Guest(relay.port)
    guest.hear()
    relay.member("bob")
    alice("room", "create", "ops")
    alice("send", "ops", "x")
    relay.kick(signal.SIGHUP)
    relay.wait("reloaded")
    other.say("first")
    assert guest.hear() == f"{other.address} first"


def test_a_wrong_mac_is_told_and_ends_it(relay):
    for at in (0, 20, -1):
        guest = Guest(relay.port)
        sealed = bytearray.fromhex(guest.sealed("text"))
        sealed[at] ^= 1
        guest.put(type="msg", ct_hex=sealed.hex())
        assert refused(guest) == BAD_MAC
        relay.wait("gone", why="HMAC verification failed")


@pytest.mark.parametrize("line", [
    b"{}\n", b"\n", b'{"type":"ok"}\n', b'{"type":"msg","ct_hex":"00"}\n', b"x" * 40000,
    b'{"type":"hello","x":1}\n', b'{"type":"key","chunks":[5]}\n',
    b'{"type":"hello"}\n{"type":"hello"}\n', b'{"type":"hello"}\n{"type":"key","chunks":[1]}\n',
])
def test_what_is_no_line_ends_it(relay, line):
    guest = Guest(relay.port, agree=False)
    guest.sock.sendall(line)
    if line.startswith(b"{"):
        assert refused(guest) == {"type": "err", "reason": "refused"}
    else:
        guest.sock.settimeout(30)
        try:
            assert not [l for l in guest.lines.readlines() if b"ok" in l]
        except ConnectionResetError:
            pass
    relay.wait("refused")
    Guest(relay.port)


def test_texts_are_cleaned(relay):
    a, b = Guest(relay.port), Guest(relay.port)
    a.hear()
    b.say("\x1b]0;title\x07 \u202e\n[1.2.3.4:5] not me\r")
    heard = a.hear()
    assert heard.startswith(f"{b.address} ^[]0;title^G ")
    assert not re.search("[\x00-\x1f\u202e]", heard)


def test_a_long_text_ends_it(relay):
    a, b = Guest(relay.port), Guest(relay.port)
    a.hear()
    b.say("x" * 4096)
    assert a.hear() == f"{b.address} " + "x" * 4096
    b.say("x" * 4097)
    assert refused(b) is None
    assert a.hear() == f"{b.address} {WENT}"


def test_a_flood_waits_in_its_own_socket(relay):
    a, b, c = (Guest(relay.port) for _ in range(3))
    for g in a, a, b:
        assert g.hear().endswith(CAME)
    lines = b"".join(json.dumps({"type": "msg", "ct_hex": b.sealed(str(i))}).encode() + b"\n"
                     for i in range(40))
    b.sock.sendall(lines)
    assert a.hear() == f"{b.address} 0"
    a.say("a word in between")
    heard = [c.hear() for _ in range(41)]
    # b was not served to the end: 20 texts at once, and 5 more at each turn
    assert heard.index(f"{a.address} a word in between") in (20, 25, 30, 35), heard
    heard.remove(f"{a.address} a word in between")
    assert heard == [f"{b.address} {i}" for i in range(40)]  # and nothing is lost


def test_guests_have_places_of_their_own(relay):
    relay.restart(*LINKS, "--per-source", "3")
    guests = [Guest(relay.port) for _ in range(3)]
    for _ in guests:
        relay.wait("guest")
    late = Guest(relay.port)
    assert refused(late) is None
    relay.wait("refused", why="per-source")
    relay.member("alice")  # members find theirs
    guests[0].close()
    relay.wait("gone")
    Guest(relay.port)
    relay.wait("guest")


def test_a_key_from_a_file(tmp_path):
    path = tmp_path / "session.key"
    path.write_bytes(os.urandom(16))
    path.chmod(0o600)
    with Relay(tmp_path) as relay:
        relay.run(*LINKS, "--classic-key", path)
        a, b = (Guest(relay.port, key=path.read_bytes()) for _ in range(2))
        a.hear()
        b.say("hello")
        assert a.hear() == f"{b.address} hello"
        stranger = Guest(relay.port, key=os.urandom(16))
        a.hear()
        stranger.say("let me in")
        assert refused(stranger) == BAD_MAC
        with pytest.raises(Forged):
            stranger.opened(a.sealed("under the file's key"))
        relay.stop()


@pytest.mark.parametrize("size,mode,why", [(15, 0o600, "16 bytes"), (17, 0o600, ""),
                                           (16, 0o644, "chmod"), (None, 0o600, "No such file")])
def test_a_bad_key_file_stops_the_relay(tmp_path, size, mode, why):
    path = tmp_path / "session.key"
    if size:
        path.write_bytes(os.urandom(size))
        path.chmod(mode)
    with Relay(tmp_path) as relay:
        relay.run(*LINKS, "--classic-key", path, ready=False)
        assert relay.process.wait(60) == 78 or relay.process.returncode in (65, 66, 77)
        relay.reader.join(60)
        assert why in relay.log()


def test_the_end_reaches_guests(relay):
    guest = Guest(relay.port)
    relay.wait("guest")
    relay.stop()
    assert guest.get() is None


def undefined(objects):
    """What each of them wants from others, by one nm for all."""
    out = subprocess.run(["nm", "-P", "-A", "-u", *objects], text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    wants = {os.path.relpath(o, f"{BUILD}/obj"): set() for o in objects}
    for path, name, *_ in (line.split() for line in out.splitlines()):
        wants[os.path.relpath(path.rstrip(":"), f"{BUILD}/obj")].add(name)
    return wants


def test_nothing_else_decrypts_with_rsa():
    """H15, read from the object files: one of ours uses mbedTLS's private exponentiation and none its
    decryption; and that one serves classic alone: its link, and who attacks it in the lab."""
    wants = undefined([o for d in ("common", "server", "client", "certs")
                       for o in glob.glob(f"{BUILD}/obj/{d}/**/*.o", recursive=True)])
    assert len(wants) > 100

    def who(pattern):
        return {o for o, names in wants.items() if any(re.search(pattern, n) for n in names)}

    assert not who(r"mbedtls_rsa_\w*decrypt|mbedtls_pk_decrypt|psa_asymmetric_decrypt")
    assert who(r"^mbedtls_rsa_private$") == {"common/crypto/textbook.o"}
    assert who(r"^textbook_lower$") == {"common/link/classic_shake.o", "client/lab_offer.o"}
