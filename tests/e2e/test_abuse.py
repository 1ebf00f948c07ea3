"""Guests and members who mean harm, all at once, while two members talk: nobody is kept waiting,
memory stays where it was, and when they are gone nothing of them is left."""

import asyncio
import base64
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from relay import CLIENT, SECONDS, Member, Relay

EACH = 12           # guests of every kind, always there
PATIENCE = 5.0      # seconds that a message may take through all this, on a busy machine
MESSAGES = 20
CHAT, JOIN = "countersign/1", "countersign-join/1"
DRIVEN = "ecdhe", "cianr", "sovereign"
DEEP = 1_000_000


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE  # abuse asks for no papers
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    c.set_alpn_protocols([JOIN])
    return c


def frame(data):
    return struct.pack(">I", len(data)) + data


class Abuse:
    """EACH tasks of each kind against one port, begun anew whenever the relay ends them."""

    def __init__(self, port):
        self.port, self.count, self.fed = port, {}, {}
        self.tls = context()

    async def plain(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return reader, writer

    async def guest(self):
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)

    async def gone(self, reader):
        while await reader.read(65536):
            pass

    async def idle(self):
        """Connects and says nothing."""
        reader, _ = await self.plain()
        await self.gone(reader)

    async def slow(self):
        """A handshake by the byte."""
        reader, writer = await self.plain()
        ended = asyncio.ensure_future(self.gone(reader))
        for byte in b"\x16\x03\x01\x02\x00" + bytes(512):
            writer.write(bytes([byte]))
            await asyncio.wait([ended], timeout=0.2)
            if ended.done():
                break
        await ended

    async def churn(self):
        """Comes and goes, with a reset."""
        _, writer = await self.plain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                   struct.pack("ii", 1, 0))
        writer.close()
        await asyncio.sleep(0.02)

    async def shake(self):
        """Makes the relay sign, and leaves."""
        _, writer = await self.guest()
        writer.transport.abort()
        await asyncio.sleep(0.05)

    async def say(self, data):
        reader, writer = await self.guest()
        await reader.read(1)
        for i in range(0, len(data), 65536):
            writer.write(data[i:i + 65536])
            self.fed["bytes"] = self.fed.get("bytes", 0) + 65536
            await writer.drain()
        await self.gone(reader)

    async def oversized(self):
        """A length that nobody may send, and as many bytes as are taken."""
        await self.say(struct.pack(">I", 0x7fffffff) + b" " * (4 << 20))

    async def lying(self):
        """The length is within bounds, the rest never comes."""
        await self.say(struct.pack(">I", 4000) + b'{"type":')

    async def deep(self):
        """A million brackets in one frame."""
        await self.say(frame(b'{"type":"hello","v":1,"features":' + b"[" * DEEP))

    async def nested(self):
        """As many as fit into an allowed frame."""
        await self.say(frame(b'{"type":"hello","v":1,"features":' + b"[" * 4000))

    async def again(self, what, stop):
        while not stop.is_set():
            try:
                await asyncio.wait_for(getattr(self, what)(), 5)
            except (OSError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(0.1)
            self.count[what] = self.count.get(what, 0) + 1

    async def run(self, stop, kinds):
        tasks = [asyncio.ensure_future(self.again(k, stop)) for k in kinds for _ in range(EACH)]
        while not stop.is_set():
            await asyncio.sleep(0.05)
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


KINDS = ("idle", "slow", "churn", "shake", "oversized", "lying", "deep", "nested")


def resident(pid):
    """Kilobytes in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def talk(speaker, listener, count):
    """Says numbered lines in one client and waits for each in the other: seconds each took."""
    took = []
    for i in range(count):
        began = time.monotonic()
        speaker.stdin.write(f"line {i}\n")
        speaker.stdin.flush()
        while json.loads(listener.stdout.readline()).get("text") != f"line {i}":
            pass
        took.append(time.monotonic() - began)
    return sorted(took)


@pytest.fixture
def room(tmp_path):
    """A relay with two members in one room and their clients, which go on."""
    with Relay(tmp_path) as relay:
        relay.run("--handshakes", 24, "--per-source", 80, "--links", " ".join(("tls", *DRIVEN)))
        alice, bob = relay.member("alice", "--admin"), relay.member("bob")
        alice("room", "create", "ops")
        bob("room", "join", "ops")
        clients = [subprocess.Popen([CLIENT, "--password-file", m.password, "plain", "--json",
                                     "--room", "ops"], text=True, env=m.env,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL) for m in (alice, bob)]
        try:
            yield relay, clients
        finally:
            for c in clients:
                c.kill()
                c.communicate()


def impatient(relay):
    """Two seconds for newcomers from now on. Not before the members are in: their time to log in
    holds the hashing of a password, on a busy machine."""
    with open(f"{relay.dir}/countersignd.conf", "a", encoding="ascii") as f:
        f.write("handshake_seconds = 2\n")
    relay.kick(signal.SIGHUP)
    relay.wait("reloaded")


def test_members_talk_through_all_of_it(room):
    """H21, F1, F2, P1, P2."""
    relay, (alice, bob) = room
    talk(alice, bob, 3)
    impatient(relay)
    before, memory = relay.log().count("event=login"), resident(relay.process.pid)
    stop, abuse = threading.Event(), Abuse(relay.port)
    crowd = threading.Thread(target=lambda: asyncio.run(abuse.run(stop, KINDS)))
    crowd.start()
    try:
        relay.wait("refused")
        took = talk(alice, bob, MESSAGES)
        end = time.monotonic() + SECONDS
        while set(abuse.count) < set(KINDS) and time.monotonic() < end:
            time.sleep(0.05)  # each kind was turned out at least once
        took += talk(bob, alice, MESSAGES)
        highest = resident(relay.process.pid)
    finally:
        stop.set()
        crowd.join()
    assert max(took) < PATIENCE, took
    assert relay.log().count("event=login") == before, "a member was cut"
    # strangers have a bound, all together: nothing near what was sent
    assert highest < memory + 32 * 1024 or "asan" in CLIENT, (memory, highest, abuse.fed)
    assert set(abuse.count) == set(KINDS), abuse.count
    assert talk(alice, bob, 1)[0] < PATIENCE
    relay.stop()


def tls_hello():
    ours = ssl.MemoryBIO()
    try:
        context().wrap_bio(ssl.MemoryBIO(), ours).do_handshake()
    except ssl.SSLWantReadError:
        return ours.read()
    raise AssertionError("a handshake with nobody")


def said(link, *contents):
    """The magic of a link and its client's first steps, of these types (docs/protocol.md 10)."""
    return f"countersign {link} 1\n".encode() + b"".join(
        struct.pack(">BI", type, len(content)) + content for type, content in contents)


def cianr_hello():
    """As far as the relay's signature: a client that joins shows no certificate."""
    nonce, value = base64.b64encode(os.urandom(32)), base64.b64encode(b"\x01" + os.urandom(255))
    return said("cianr", (1, b'{"type":"hello","purpose":"join","client_cert":"AA==","nonce":"' +
                          nonce + b'"}'), (3, b'{"type":"dh_client","A":"' + value + b'"}'))


# What a newcomer says before he stops: all of it makes the relay sign or agree on a key.
HELLOS = {
    "tls": tls_hello,
    "ecdhe": lambda: said("ecdhe", (1, b"\0" + os.urandom(64) + b"\1\1")),
    "cianr": cianr_hello,
    "sovereign": lambda: said("sovereign", (1, b"\0" + os.urandom(64))),
}


class Stalled:
    """A guest who stops in the middle of a handshake, from an address of its own."""

    def __init__(self, port, n, signs, link):
        self.sock = socket.socket()
        self.sock.bind((f"127.0.{1 + n // 200}.{1 + n % 200}", 0))
        self.sock.settimeout(SECONDS)
        hello = HELLOS[link]()
        self.sock.connect(("127.0.0.1", port))
        # without its last byte it costs nothing
        self.sock.sendall(hello if signs else hello[:-1])
        self.sock.setblocking(False)

    def fate(self):
        """waits, answered (with a ServerHello, not with an alert or a refusal) or out."""
        try:
            return "answered" if self.sock.recv(1, socket.MSG_PEEK) in (b"\x16", b"\2") else "out"
        except BlockingIOError:
            return "waits"
        except OSError:
            return "out"


def stall(relay, count, link):
    """The guests of `count` who got in, when all have been judged."""
    crowd = []
    for n in range(count):
        try:
            crowd.append(Stalled(relay.port, n, n % 2, link))
        except OSError:
            pass  # turned away while it spoke
    end = time.monotonic() + SECONDS
    while True:
        fates = [guest.fate() for guest in crowd]
        inside = len(fates) - fates.count("out")
        if (inside <= 24 and "answered" in fates) or time.monotonic() > end:
            return crowd, inside, fates
        time.sleep(0.01)


def assert_served(relay, clients, count, link):
    """Members talk through so many newcomers who stopped, half of them before the expensive step and
    half behind it, from as many addresses. Few of these are let in."""
    alice, bob = clients
    logins = relay.log().count("event=login")
    crowd, inside, fates = stall(relay, count, link)
    try:
        assert 6 <= inside <= 24, fates  # places are what the relay bounds
        assert "answered" in fates and "waits" in fates, fates
        took = talk(alice, bob, 5) + talk(bob, alice, 5)
        assert any(g.fate() != "out" for g in crowd), "the crowd went before the members spoke"
    finally:
        for guest in crowd:
            guest.sock.close()
    assert max(took) < PATIENCE, took
    assert relay.log().count("event=login") == logins, "a member was cut"
    relay.wait("refused", why="early-drop")


def test_members_talk_through_four_hundred_stalled_handshakes(room):
    """H21: when they are gone the next newcomer gets in."""
    relay, clients = room
    talk(*clients, 3)
    assert_served(relay, clients, 400, "tls")
    relay.member("newcomer")
    relay.stop()


def test_members_talk_through_stalled_handshakes_of_every_link(room):
    """H21: two hundred over each of our own links, one link after the other; after each of them the
    next newcomer gets in by that link."""
    relay, clients = room
    talk(*clients, 3)
    for link in DRIVEN:
        assert_served(relay, clients, 200, link)
        newcomer = Member(relay, f"by-{link}")
        newcomer("--name", f"by-{link}", "--device", "laptop", "--no-open", "--link", link, "join",
                 "-", stdin=relay.invite() + "\n")
    relay.stop()
