"""Guests and members who mean harm, all at once, while two members talk: nobody is kept waiting,
memory stays where it was, and when they are gone nothing of them is left."""

import asyncio
import json
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from relay import CLIENT, SECONDS, Relay

EACH = 12           # guests of every kind, always there
PATIENCE = 5.0      # seconds that a message may take through all this, on a busy machine
MESSAGES = 20
CHAT, JOIN = "countersign/1", "countersign-join/1"
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
        relay.run("--handshakes", 24, "--per-source", 80)
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


class Stalled:
    """A guest who stops in the middle of a handshake, from an address of its own."""

    def __init__(self, port, n, signs):
        self.sock = socket.socket()
        self.sock.bind((f"127.0.{1 + n // 200}.{1 + n % 200}", 0))
        self.sock.settimeout(SECONDS)
        hello = self.hello()
        self.sock.connect(("127.0.0.1", port))
        # all of it makes the relay derive keys and sign; without its last byte it costs nothing
        self.sock.sendall(hello if signs else hello[:-1])
        self.sock.setblocking(False)

    @staticmethod
    def hello():
        ours = ssl.MemoryBIO()
        try:
            context().wrap_bio(ssl.MemoryBIO(), ours).do_handshake()
        except ssl.SSLWantReadError:
            return ours.read()
        raise AssertionError("a handshake with nobody")

    def fate(self):
        """waits, answered (the relay has signed) or out."""
        try:
            return "answered" if self.sock.recv(1, socket.MSG_PEEK) else "out"
        except BlockingIOError:
            return "waits"
        except OSError:
            return "out"


def stall(relay, count):
    """The guests of `count` who got in, when all have been judged."""
    crowd = []
    for n in range(count):
        try:
            crowd.append(Stalled(relay.port, n, n % 2))
        except OSError:
            pass  # turned away while it spoke
    end = time.monotonic() + SECONDS
    while True:
        fates = [guest.fate() for guest in crowd]
        inside = len(fates) - fates.count("out")
        if (inside <= 24 and "answered" in fates) or time.monotonic() > end:
            return crowd, inside, fates
        time.sleep(0.01)


def test_members_talk_through_four_hundred_stalled_handshakes(room):
    """H21: 200 who stop before the expensive step and 200 behind it, from as many addresses. Few
    are let in, members are served meanwhile, and when they are gone the next newcomer gets in."""
    relay, (alice, bob) = room
    talk(alice, bob, 3)
    logins = relay.log().count("event=login")
    crowd, inside, fates = stall(relay, 400)
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
    relay.member("newcomer")
    relay.stop()
