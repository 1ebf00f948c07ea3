"""A TLS stack that is not ours at the other end: openssl s_client against the relay, and the client
against openssl s_server. What both must agree on is RFC 8446, not our own idea of it.

s_client takes a k or K at the beginning of what it reads for a command: KeyUpdate, without or with
a request for ours. Frames begin with a zero byte, so nothing else here is taken for one.
"""

import array
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from relay import SECONDS, Member, Relay
from wire import CHAT, Puppet

SUITES = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        yield r


def frame(**fields):
    text = json.dumps(fields).encode()
    return struct.pack(">I", len(text)) + text


class Talk:
    """openssl at work, with what it has said so far."""

    def __init__(self, *argv, **more):
        self.p = subprocess.Popen(["openssl", *argv], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        self.said = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.p.poll() is None:
            self.p.kill()
        self.p.communicate()

    def put(self, data):
        """Returns when openssl has read it: what comes next is another read, and so a command."""
        self.p.stdin.write(data)
        self.p.stdin.flush()
        waiting, end = array.array("i", [1]), time.monotonic() + SECONDS
        while waiting[0] and self.p.poll() is None and time.monotonic() < end:
            fcntl.ioctl(self.p.stdin.fileno(), termios.FIONREAD, waiting)
            select.select([], [], [], 0.01)

    def until(self, what, count=1):
        """Reads until `what` was said so many times."""
        end = time.monotonic() + SECONDS
        while self.said.count(what) < count:
            ready, _, _ = select.select([self.p.stdout], [], [], max(0, end - time.monotonic()))
            more = os.read(self.p.stdout.fileno(), 65536) if ready else b""
            assert more, (what, count, self.said.decode("utf-8", "replace"))
            self.said += more
        return self

    def rest(self):
        out, _ = self.p.communicate(timeout=SECONDS)
        self.said += out
        return self.said.decode("utf-8", "replace")


@pytest.fixture
def alice(relay):
    relay.run()
    return Puppet(relay, "alice").join()


def client(alice, *options):
    """s_client with a member's certificate. Before the login there is ping and pong."""
    t = Talk("s_client", "-connect", f"127.0.0.1:{alice.relay.port}", "-CAfile",
             alice.relay.root(), "-verify_return_error", "-tls1_3", "-alpn", CHAT, "-cert",
             alice.cert, "-cert_chain", alice.cert, "-key", alice.key, *options)
    t.until(b'"type":"hello"')
    t.put(frame(type="hello", v=1, features=[]))
    return t


def ping(talk, count):
    talk.put(frame(type="ping"))
    talk.until(b'"type":"pong"', count)


@pytest.mark.parametrize("suite", SUITES)
def test_key_updates_of_openssl(relay, alice, suite):
    with client(alice, "-ciphersuites", suite) as t:
        ping(t, 1)
        for i, keys in enumerate((b"k\n", b"K\n", b"K\n", b"k\n", b"K\n")):
            t.put(keys)
            t.until(b"KEYUPDATE", i + 1)
            ping(t, i + 2)
        said = t.rest()  # its input ends, so it closes
    assert suite in said and t.p.returncode == 0, said
    assert "alert" not in said.split("---")[-1], said
    assert relay.wait("refused")["why"] == "closed"
    relay.stop()


def test_key_updates_one_after_the_other(relay, alice):
    """Three requests in a row, and what follows is still understood."""
    with client(alice) as t:
        for i in range(3):
            t.put(b"K\n")
            t.until(b"KEYUPDATE", i + 1)
        ping(t, 1)
        ping(t, 2)
        assert t.rest() and t.p.returncode == 0
    relay.stop()


def test_too_many_key_updates_without_a_word(relay, alice):
    with client(alice) as t:
        ping(t, 1)
        for i in range(33):
            t.put(b"k\n")
            t.until(b"KEYUPDATE", i + 1)
        said = t.rest()
    assert "SSL alert number 10" in said, said
    assert "without data" in relay.wait("refused")["why"]
    relay.stop()


@pytest.mark.parametrize("groups", ["P-256", "X25519", "X448:P-256", "P-384:X25519"])
def test_groups_with_and_without_a_retry(relay, alice, groups):
    with client(alice, "-groups", groups) as t:
        ping(t, 1)
        t.put(b"K\n")
        ping(t, 2)
        said = t.rest()
    assert t.p.returncode == 0 and "Verification: OK" in said
    relay.stop()


def test_keys_change_in_the_middle_of_a_conversation(relay, alice):
    """Much data in both directions, under keys that change between."""
    with client(alice) as t:
        for i in range(40):
            t.put(frame(type="ping"))
            if i % 8 == 7:
                t.until(b'"type":"pong"', i + 1)
                t.put(b"K\n")
                t.until(b"KEYUPDATE", i // 8 + 1)
        t.until(b'"type":"pong"', 40)
        assert t.rest() and t.p.returncode == 0
    relay.stop()


def test_the_relay_closes_first(relay, alice):
    """close_notify reaches openssl: it ends without an error."""
    with client(alice) as t:
        ping(t, 1)
        relay.kick(signal.SIGTERM)
        said = t.rest()
    assert t.p.returncode == 0, said
    assert "unexpected eof" not in said.lower(), said
    assert relay.process.wait(SECONDS) == 0


def test_the_relay_offers_no_session(relay, alice):
    """No ticket, so nothing to resume without a certificate."""
    kept = os.path.join(relay.tmp, "session")
    with client(alice, "-sess_out", kept) as t:
        ping(t, 1)
        said = t.rest()
    assert "Post-Handshake New Session Ticket" not in said
    assert not os.path.exists(kept)
    relay.stop()


# --- the client and openssl s_server ---

def server(relay, *options, alpn=("-alpn", "countersign-join/1")):
    """s_server with the relay's own certificate; two clients come: one learns, one trusts."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    chain = os.path.join(relay.tmp, "chain.pem")
    with open(chain, "wb") as out:
        for name in ("intermediate.crt", "root.crt"):
            with open(os.path.join(relay.dir, "ca", name), "rb") as f:
                shutil.copyfileobj(f, out)
    t = Talk("s_server", "-accept", f"127.0.0.1:{port}", "-tls1_3", "-cert",
             os.path.join(relay.dir, "relay.crt"), "-key", os.path.join(relay.dir, "relay.key"),
             "-cert_chain", chain, *alpn, *options)
    t.until(b"ACCEPT")
    return t, port


def guest(relay, port):
    m = Member(relay, "guest")
    return m.start("handshake", f"127.0.0.1:{port}", "--json")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("tickets", [0, 2, 8])
def test_tickets_of_openssl_are_dropped(relay, suite, tickets):
    t, port = server(relay, "-ciphersuites", suite, "-num_tickets", str(tickets))
    with t:
        p = guest(relay, port)
        t.until(b"CIPHER is " + suite.encode())
        t.put(b"hello from openssl\n")
        out, err = p.communicate(timeout=SECONDS)
    assert p.returncode == 0, (out, err, t.said)
    last = json.loads(out.splitlines()[-1])
    assert last["suite"] == suite and last["alpn"] == "countersign-join/1"


def test_too_many_tickets(relay):
    t, port = server(relay, "-num_tickets", "9")
    with t:
        p = guest(relay, port)
        out, err = p.communicate(timeout=SECONDS)
    assert p.returncode != 0
    assert "a handshake message behind the handshake" in out + err


def test_a_server_of_no_protocol_of_ours(relay):
    """Told at once, before its certificate: alert 120."""
    t, port = server(relay, alpn=())
    with t:
        p = guest(relay, port)
        t.until(b"alert number 120")
        out, err = p.communicate(timeout=SECONDS)
    assert p.returncode != 0
    assert "the relay speaks no application protocol of ours" in out + err, (out, err)


def test_the_verdict_may_come_under_a_new_key(relay):
    """s_server changes its keys before its first word."""
    t, port = server(relay)
    with t:
        p = guest(relay, port)
        t.until(b"CIPHER is ")
        t.put(b"K\n")
        t.put(b"hello from openssl\n")
        out, err = p.communicate(timeout=SECONDS)
    assert p.returncode == 0, (out, err, t.said)


def test_a_server_that_leaves_lets_nobody_in(relay):
    t, port = server(relay)
    with t:
        p = guest(relay, port)
        t.until(b"CIPHER is ")
        t.put(b"q\n")
        out, err = p.communicate(timeout=SECONDS)
    assert p.returncode != 0
    assert "cut: " in err, (out, err)


def test_no_two_connections_have_a_key_in_common(relay, alice, tmp_path):
    """H16: a nonce is the key's IV with the number of its record, and numbers begin anew with each
    key; so it comes twice only under another key. Side by side, one after the other, and after a
    restart: never the same secret, in either direction, and never one for both."""
    log = f"{tmp_path}/keys"
    for _ in range(2):
        for _ in range(3):
            with client(alice, "-keylogfile", log) as one, client(alice, "-keylogfile", log) as two:
                ping(one, 1)
                ping(two, 1)
        relay.restart()
    with open(log, encoding="ascii") as f:
        rows = [line.split() for line in f if "TRAFFIC_SECRET" in line]
    secrets = [secret for _, _, secret in rows]
    assert len(rows) == 12 * 4 and len(set(secrets)) == len(secrets), rows
    assert {kind for kind, _, _ in rows} == {
        f"{side}_{what}" for side in ("CLIENT", "SERVER")
        for what in ("HANDSHAKE_TRAFFIC_SECRET", "TRAFFIC_SECRET_0")}
