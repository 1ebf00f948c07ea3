"""The client's side of `classic`: our full-screen client with our relay and with a server written
from the design notes alone; asked for by name, marked everywhere, never anybody's account."""

import json
import os
import re
import stat
import subprocess

import pytest

from classic import BAD_MAC, Guest, Server
from relay import CLIENT, Member, Relay
from screen import F2, F4, Screen

MARK = "classic: anyone in the middle can read and change this"
LINK = ("--link", "classic")
CAME = "上线了"


class Nobody(Member):
    """A home without an account."""

    def __init__(self, tmp):
        self.tmp = str(tmp)
        super().__init__(self, "nobody")

    def log(self):
        return ""


@pytest.fixture
def nobody(tmp_path):
    return Nobody(tmp_path)


def guest(nobody, port, *options, **more):
    return Screen(nobody, argv=("guest", f"127.0.0.1:{port}", *LINK, *options), **more)


def marks(screen):
    """Every text in the window has the mark in the row below it."""
    rows = screen.rows()
    texts = [i for i, r in enumerate(rows) if re.search(r"\d\d:\d\d +(guest|you) +~ ", r)]
    return len(texts), all(MARK in rows[i + 1] for i in texts)


def test_a_guest_of_our_relay(nobody, tmp_path):
    with Relay(tmp_path) as relay:
        relay.run("--links", "tls classic")
        other = Guest(relay.port)
        relay.wait("guest")
        with guest(nobody, relay.port, cols=100) as s:
            s.wait("[1:#classic]")
            assert MARK in s.rows()[0]
            s.wait("[classic, nobody is proven]")
            assert other.hear().endswith(CAME)
            s.type("hello 你好\r")
            assert other.hear().endswith("] hello 你好")
            other.say("\x1b]0;x\x07hi")
            s.wait(f"{other.address} ^[]0;x^Ghi")
            s.until(lambda: marks(s) == (2, True), "mark at every text")
            assert b"\x1b]0;x" not in s.raw
            s.type(F4)
            for step in ("hello", "pubkey", "key", "ok", "nobody is proven"):
                s.wait(step)
            s.wait("step 4 of 4")  # nobody logs in behind it
            s.type(F4 + F2)
            s.wait("no certificates in classic")
            s.type("/join lab\r")
            s.wait("a guest has no account")
            relay.stop()
            s.wait("/connect tries again")
            s.type("\x15")
            s.type("/disconnect\r")
            assert s.quit() == 0
    assert not os.listdir(nobody.env["XDG_DATA_HOME"])  # nothing is kept


def test_a_server_of_the_document(nobody):
    with Server() as server, guest(nobody, server.port, cols=100) as s:
        server.take(ok=False)
        server.say("before ok")
        server.put(type="ok")
        s.wait("before ok")
        server.say("[1.2.3.4:5] hello")
        s.wait("[1.2.3.4:5] hello")
        s.type("from ours\r")
        assert server.hear() == "from ours"
        s.until(lambda: marks(s) == (3, True), "mark at every text")
        server.put(type="msg", ct_hex=server.sealed("x")[:-2] + "00")
        s.wait("HMAC verification failed")
        assert server.get() == BAD_MAC and server.get() is None
        assert s.quit() == 0


def test_nothing_is_said_to_who_is_not_there(nobody):
    with Server() as server, guest(nobody, server.port) as s:
        server.take()
        s.wait("[1:#classic]")
        server.close()
        s.wait("OFFLINE, /connect")
        s.type("lost\r")
        s.wait("not connected: /connect first")
        s.type("\x15/connect\r")
        server.take()
        s.wait("classic, nobody is proven")
        s.type("here\r")
        assert server.hear() == "here"


@pytest.mark.parametrize("line,why", [
    ({"type": "pubkey", "e": 3, "n": 2**1024 - 1}, "not a key of 1024 bits"),
    ({"type": "pubkey", "e": 65537, "n": 2**1023 - 1}, "not a key of 1024 bits"),
    ({"type": "ok"}, "key of a file"),
    ({"type": "hello"}, "not due"),
    ({"type": "err", "reason": "\x1b[2J no"}, "the other end says: ^[[2J no"),
])
def test_what_a_server_may_not_say(nobody, line, why):
    with Server() as server:
        p = nobody.start("handshake", f"127.0.0.1:{server.port}", *LINK)
        server.listener.settimeout(60)
        sock = server.listener.accept()[0]
        sock.recv(100)
        sock.sendall(json.dumps(line).encode() + b"\n")
        out, err = p.communicate(timeout=60)
        assert p.returncode in (76, 77) and why in err and MARK in out
        sock.close()


def test_a_key_file_is_made_and_used(nobody, tmp_path):
    path = tmp_path / "session.key"
    out = nobody.run("handshake", "127.0.0.1:1", *LINK, "--key-file", path)
    assert out.returncode == 69
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_size == 16
    key = path.read_bytes()
    with Server(key=key) as server, \
            guest(nobody, server.port, "--key-file", str(path), cols=100) as s:
        server.take()
        s.wait("[1:#classic]")
        s.type("sealed by the file\r")
        assert server.hear() == "sealed by the file"
        server.say("answer")
        s.wait("answer")
        s.type(F4)
        for step in ("session key", "encrypt", "MAC", "send", "verify MAC", "decrypt", "show"):
            s.wait(step)
        assert s.quit() == 0
    assert path.read_bytes() == key
    path.chmod(0o644)
    assert "chmod" in nobody.run("handshake", "127.0.0.1:1", *LINK, "--key-file", path).stderr
    path.unlink()
    path.write_bytes(b"short")
    path.chmod(0o600)
    assert "16 bytes" in nobody.run("handshake", "127.0.0.1:1", *LINK, "--key-file", path).stderr


def test_the_handshake_shows_its_steps(nobody, tmp_path):
    with Relay(tmp_path) as relay:
        relay.run("--links", "tls classic")
        out = nobody("handshake", f"127.0.0.1:{relay.port}", *LINK)
        assert MARK in out and "textbook RSA-2048" in out
        rows = [json.loads(l) for l in
                nobody("handshake", f"127.0.0.1:{relay.port}", *LINK, "--json").splitlines()]
        steps = [r for r in rows if r["event"] == "step" and not r.get("waiting")]
        assert [r["name"] for r in steps] == ["hello", "pubkey", "key", "ok"]
        assert rows[-1]["warning"] == MARK and rows[-1]["trust"] == "none"


@pytest.mark.parametrize("argv,why", [
    (("guest", "127.0.0.1:1"), "say --link classic"),
    (("guest", "127.0.0.1:1", "--link", "tls"), "say --link classic"),
    (("guest", *LINK), "usage: countersign guest"),
    (("send", "lab", "x", *LINK), "classic has no accounts"),
    (("recv", *LINK), "classic has no accounts"),
    (("join", "-", *LINK), "classic has no accounts"),
    ((*LINK,), "classic has no accounts"),
    (("handshake", "127.0.0.1:1", "--key-file", "x"), "--key-file belongs to --link classic"),
])
def test_it_is_asked_for_by_name(nobody, argv, why):
    p = nobody.run(*argv)
    assert p.returncode == 64 and why in p.stderr
