"""The wire between the real client and the real relay, harmed byte by byte and record by record.

`make check` takes a sample of the bytes, `make check-flips` all of them (marker flips)."""

import contextlib
import json
import os
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy import Coalesce, Cut, Drip, Flip, Proxy, Records, records
from relay import SECONDS, Member, Relay, messages

SEED = int(os.environ.get("SEED", "1"))
CLOSE = 5 + 32       # the close_notify that ends either direction
CUT = "cut: the relay's stream ended without a close"
LOGIN_SECONDS = 3 if SECONDS == 60 else 8  # a busy machine takes its time over a password
DAMAGED = "a record was damaged or forged"


class Lab:
    """A relay, a proxy before it, and members whose clients know only the proxy: each of their
    connections is one that it passed on, and one that the relay's log tells the end of."""

    def __init__(self, tmp):
        self.relay = Relay(tmp).run("--handshake-seconds", LOGIN_SECONDS, "--per-source", 1000,
                                    "--handshakes", 1000)
        self.proxy = Proxy(self.relay.port)
        self.alice = self.member("alice", "--admin")
        self.bob = self.member("bob")
        self.alice("room", "create", "ops")
        self.bob("room", "join", "ops")
        self.settled()
        self.descriptors = self.count()
        self.clean = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proxy.__exit__()
        self.relay.__exit__()

    def count(self):
        """Descriptors of the relay, which shows them to root alone."""
        if os.geteuid() != 0:
            return 0
        return len(os.listdir(f"/proc/{self.relay.process.pid}/fd"))

    def member(self, name, *options):
        m = Member(self.relay, name)
        m.join(self.relay.admin("invite", *options, "--at",
                                f"127.0.0.1:{self.proxy.port}").strip(), name)
        return m

    def settled(self):
        """The relay has told the end of every connection: what it logs from here on is of the
        next one. A client's end is no sign of it, for the relay may not have come so far."""
        end = time.monotonic() + SECONDS
        while (ended := sum(self.relay.log().count(f"event={e}") for e in ("refused", "gone"))) \
                < self.proxy.accepted and time.monotonic() < end:
            time.sleep(0.002)
        assert ended == self.proxy.accepted, self.relay.log()[-2000:]

    def unharmed(self):
        """Nothing is left behind, and the next connection is as good as the first."""
        self.proxy.harm()
        self.alice("handshake")
        self.settled()
        end = time.monotonic() + SECONDS
        while self.count() > self.descriptors and time.monotonic() < end:
            time.sleep(0.02)
        assert self.count() <= self.descriptors, self.relay.log()[-2000:]
        return True

    def flight(self, *argv):
        """What passes either way when nothing is harmed."""
        if argv not in self.clean:
            self.proxy.harm()
            self.proxy.forget()
            self.alice(*argv)
            self.clean[argv] = self.proxy.forget()
        return self.clean[argv]

    def handshake(self, **fault):
        """(exit status, standard error, established, what the relay logged of it)"""
        self.settled()
        self.proxy.harm(**fault)
        began = len(self.relay.lines)
        p = self.alice.run("handshake", "--json")
        self.settled()
        self.proxy.harm()
        logged = "\n".join(self.relay.lines[began:])
        return p.returncode, p.stderr, '"event":"established"' in p.stdout, logged


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("wire")) as made:
        yield made
        made.relay.stop()


def handshake_bytes(lab, way):
    """How many bytes of this direction a handshake has, and its records. A signature of the relay's
    is longer or shorter by one block."""
    data = lab.flight("handshake", "--json")[way]
    return len(data) - CLOSE - (16 if way == "down" else 0), records(data)[:-1]


def harmless(lab, way, at, bit):
    """Only the second byte of the version in the header of a record in the clear is nobody's
    business: it must be ignored for all purposes (RFC 8446 5.1). Those of sealed records are
    authenticated."""
    data = lab.flight("handshake", "--json")[way]
    clear = [where for where, _ in records(data) if data[where] in (20, 22)]
    assert len(clear) == 2
    return bit < 2 and at - 2 in clear


def flip_failure(lab, way, at, bit):
    """Words when a connection came of a handshake with this bit flipped, else None."""
    status, said, established, logged = lab.handshake(**{way: Flip(at, 1 << bit)})
    if harmless(lab, way, at, bit):
        return None if status == 0 and established else f"{way} byte {at} is not ignored: {status}"
    # the relay has its part when the client's Finished came whole; `hello` follows that
    too_far = way == "up" and "event=connected" in logged or "event=login" in logged
    if established or too_far or status not in (69, 74, 76, 77) or not said:
        return f"{way} byte {at} bit {bit}: {status} {said} {logged}"
    return None


def cut_failure(lab, way, at, how):
    status, said, established, logged = lab.handshake(**{way: Cut(at, how)})
    too_far = way == "up" and "event=connected" in logged or "event=login" in logged
    right = {"fin": (74,), "half": (74,), "rst": (69, 74)}[how]
    told = CUT in said or how == "rst" and "connection reset" in said
    if established or too_far or status not in right or not told:
        return f"{way} {how} after {at}: {status} {said} {logged}"
    return None


def sample(lab, way, count):
    """The type, length and last byte of each record, and some in between."""
    size, parts = handshake_bytes(lab, way)
    rng = random.Random(SEED)
    at = {parts[1][0], parts[2][0] + 4}
    for where, n in parts:
        at |= {where, where + 5, where + n - 1}
    at = sorted(rng.sample(sorted(i for i in at if i < size), count // 2))
    return at + [rng.randrange(size) for _ in range(count - len(at))]


# --- handshake: flipped, cut, out of order ---

@pytest.mark.parametrize("way", ["up", "down"])
def test_one_flipped_bit_makes_no_connection(lab, way):
    """H2. Neither end has a connection, the client says what happened, the relay goes on."""
    rng = random.Random(SEED)
    failures = [flip_failure(lab, way, at, rng.randrange(8)) for at in sample(lab, way, 16)]
    assert not any(failures), (SEED, [f for f in failures if f])
    assert lab.unharmed()


@pytest.mark.parametrize("how", ["fin", "rst", "half"])
def test_a_cut_handshake_is_called_cut(lab, how):
    """H7, F12: wherever it is cut, and however."""
    failures = []
    for way in ("up", "down"):
        failures += [cut_failure(lab, way, at, how) for at in sample(lab, way, 4) + [0]]
    assert not any(failures), (SEED, [f for f in failures if f])
    assert lab.unharmed()


COMPATIBILITY = 1  # change_cipher_spec, which has no meaning in TLS 1.3 and is in no count


@pytest.mark.parametrize("what", ["drop", "twice", "swap"])
def test_records_of_a_handshake_come_once_in_order(lab, what):
    """H8, H9: no record can be left out, said twice or exchanged with the next; but for the one
    that TLS 1.3 keeps for old boxes on the way and takes no notice of."""
    for way in ("up", "down"):
        for at in {"drop": (2, 3), "twice": (0, 2, 3), "swap": (0, 2, 3)}[what]:
            status, said, established, logged = lab.handshake(**{way: Records(at, what)})
            if what == "swap" and at + 1 == COMPATIBILITY and way == "down":
                continue  # server hello and that record
            assert not established and status in (74, 76), (way, at, said, logged)
            assert way == "down" or "event=connected" not in logged, (at, logged)
    assert lab.unharmed()


@pytest.mark.parametrize("way", ["up", "down"])
def test_the_compatibility_record_means_nothing(lab, way):
    """H8: with or without it, the records behind it keep their numbers."""
    for what in ("drop", "twice"):
        assert lab.handshake(**{way: Records(COMPATIBILITY, what)})[2]
    assert lab.unharmed()


# --- after login ---

def texts(member):
    out = member("recv", "--json", "--since", "k1-0")
    return [r["text"] for r in messages(out)]


def told(lab, text, **fault):
    """alice says it over a harmed wire, then unharmed whatever is left: the first status."""
    lab.proxy.harm(**fault)
    p = lab.alice.run("send", "--timeout", "3", "ops", text)
    lab.proxy.harm()
    lab.alice("recv")
    lab.settled()
    return p.returncode, p.stderr


def promised(lab, text, status, said):
    """What alice was told of it holds."""
    has = texts(lab.bob).count(text)
    assert has == 1 if status == 0 or "kept" in said else has <= 1, (text, has, status, said)


def send_records(lab):
    flight = lab.flight("send", "ops", "the measure of all things")
    return {way: records(data) for way, data in flight.items()}


@pytest.mark.parametrize("way, back, what", [
    ("up", 2, "twice"), ("up", 3, "drop"), ("up", 3, "twice"),
    ("down", 3, "twice"), ("down", 3, "drop"), ("down", 4, "twice"),
])
def test_records_of_a_conversation(lab, way, back, what):
    """H9: login, welcome, entry and answer left out or said twice (`back` counts from the
    close_notify): at most one sentence, and what was promised or kept is there once."""
    at = len(send_records(lab)[way]) - back
    text, began = f"{way} {back} {what}", len(lab.relay.lines)
    status, said = told(lab, text, **{way: Records(at, what)})
    assert said.count("countersign: ") == (status != 0), (status, said)
    assert status in (0, 69, 75, 76), (status, said)
    logged = "\n".join(lab.relay.lines[began:])
    assert what == "drop" or DAMAGED in logged, (status, said, logged)
    promised(lab, text, status, said)
    assert lab.unharmed()


def test_a_cut_conversation_is_called_cut(lab):
    """H7: the stream ends without the relay's close. Nobody `left`, and nothing is lost."""
    where = {way: n[-2][0] for way, n in send_records(lab).items()}
    for way in ("up", "down"):
        text, began = f"cut {way}", len(lab.relay.lines)
        status, said = told(lab, text, **{way: Cut(where[way] + 20)})
        assert status in (74, 75) and "cut" in said and "left" not in said, (status, said)
        assert "why=cut" in "\n".join(lab.relay.lines[began:])
        promised(lab, text, status, said)
    assert lab.unharmed()


def test_drip_and_coalesce_change_nothing(lab):
    """F11: a byte at a time, or all at once."""
    for name, fault in ("drip", Drip()), ("coalesce", Coalesce()):
        long = f"{name} " * 200
        for text in name, long.strip():
            assert told(lab, text, up=fault, down=fault) == (0, "")
            assert texts(lab.bob)[-1] == text
    assert lab.unharmed()


def test_a_half_closed_stream_is_an_end(lab):
    """F12: the client's stream ends, the relay's goes on: the connection is over for both."""
    end, began = send_records(lab)["up"][-2][0], len(lab.relay.lines)
    status, said = told(lab, "half", up=Cut(end, "half"))
    assert status in (74, 75) and "cut" in said, (status, said)
    assert "why=cut" in "\n".join(lab.relay.lines[began:])
    promised(lab, "half", status, said)
    assert lab.unharmed()


# --- what was said once is worth nothing again ---

def replayed(port, flight):
    """What the relay answers to recorded bytes of a client."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as s:
        got = b""
        with contextlib.suppress(ConnectionError):
            s.sendall(flight)
            while piece := s.recv(65536):
                got += piece
        return got


def test_a_recorded_flight_logs_nobody_in(lab):
    """H6: the bytes of a whole login and message, again, and again after a restart; at once and
    record by record."""
    flight = lab.flight("send", "ops", "said once")
    said = texts(lab.bob)
    for _ in range(2):
        lab.settled()
        began = len(lab.relay.lines)
        for bytes_ in flight["up"], flight["up"][:records(flight["up"])[2][0]]:
            assert len(replayed(lab.proxy.port, bytes_)) < len(flight["down"])
        lab.settled()
        logged = "\n".join(lab.relay.lines[began:])
        assert logged.count("event=refused") == 2, logged
        assert "event=connected" not in logged and "event=login" not in logged
        lab.relay.restart("--handshake-seconds", 1)
        lab.descriptors = lab.count()
    assert texts(lab.bob) == said and said.count("said once") == 1
    assert lab.unharmed()


class Player(Proxy):
    """Plays the relay: says `words`, or whatever the client said itself when that is None."""

    def __init__(self, words):
        self.words = words
        super().__init__(0)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                self.accepted += 1
                threading.Thread(target=self._play, args=(client,), daemon=True).start()

    def _play(self, client):
        with contextlib.suppress(OSError), client:
            while data := client.recv(65536):
                self.seen["up"] += data
                client.sendall(data if self.words is None else self.words)
                if self.words is not None:
                    self.words = b""


@pytest.mark.parametrize("what", ["recorded", "reflected"])
def test_words_of_another_connection_convince_no_client(lab, what):
    """H5, H6: the relay's own recorded bytes, and the client's own sent back to it."""
    words = lab.flight("handshake", "--json")["down"] if what == "recorded" else None
    with Player(words) as player:
        lab.proxy.target, port = player.port, lab.proxy.target
        try:
            p = lab.alice.run("handshake", "--json")
        finally:
            lab.proxy.target = port
        assert p.returncode == 76 and '"established"' not in p.stdout, (p.returncode, p.stderr)
        assert player.accepted == 1
        lab.proxy.accepted -= 1  # the relay knows nothing of it
        # no certificate of the member's was said to whoever that was
        assert len(player.seen["up"]) < 600
    assert lab.unharmed()


# --- all of them: make check-flips ---

@pytest.mark.flips
@pytest.mark.parametrize("what", ["flip", "fin"])
def test_every_byte_of_a_handshake(tmp_path, what):
    """H2, H7, for each byte of each direction; two relays, so that each log speaks of one."""
    def all_of(way):
        rng = random.Random(f"{SEED} {way}")
        with Lab(os.path.join(tmp_path, way)) as lab:
            size, _ = handshake_bytes(lab, way)
            if what == "flip":
                found = [flip_failure(lab, way, at, rng.randrange(8)) for at in range(size)]
            else:
                found = [cut_failure(lab, way, at, what) for at in range(size)]
            assert lab.unharmed()
            lab.relay.stop()
        return size, [f for f in found if f]
    for way in ("up", "down"):
        os.mkdir(os.path.join(tmp_path, way))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(all_of, ["up", "down"]))
    assert all(size > 2000 for size, _ in results)
    assert not any(found for _, found in results), (SEED, results)
