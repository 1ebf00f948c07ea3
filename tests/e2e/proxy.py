"""A TCP proxy between client and relay: records what passes, holds it back or does worse to it.

    with Proxy(relay.port) as p:
        relay.invite("--at", f"127.0.0.1:{p.port}")
        p.hold(up=8192)          # from 8192 further bytes towards the relay on nothing passes
        p.held.wait(SECONDS)
        p.drop()                 # both sides see the connection end
        p.harm(up=Flip(100))     # from the next connection on, each anew: see the faults below
        p.harm()                 # the next ones are left alone

A fault takes the bytes of one direction as they come and yields what goes on instead; it may raise
End. Records are those of TLS: five bytes of header, the last two the length.
"""

import contextlib
import select
import socket
import struct
import threading
import time


class End(Exception):
    """how: fin and rst end both directions, half only this one, stall none of them."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


class Flip:
    """One bit of byte `at`."""

    def __init__(self, at, bit=1):
        self.at, self.bit, self.n = at, bit, 0

    def fresh(self):
        return type(self)(self.at, self.bit)

    def pass_on(self, data):
        i = self.at - self.n
        self.n += len(data)
        if 0 <= i < len(data):
            data = data[:i] + bytes([data[i] ^ self.bit]) + data[i + 1:]
        yield data


class Cut:
    """`at` bytes pass, then it ends."""

    def __init__(self, at, how="fin"):
        self.left, self.how = at, how

    def fresh(self):
        return Cut(self.left, self.how)

    def pass_on(self, data):
        if len(data) < self.left:
            self.left -= len(data)
            yield data
            return
        yield data[:self.left]
        raise End(self.how)


class Drip:
    """One byte at a time."""

    def fresh(self):
        return self

    def pass_on(self, data):
        for i in range(len(data)):
            yield data[i:i + 1]


class Coalesce:
    """What comes within 20 ms goes on as one piece; the pump looks at `gather`."""
    gather = 0.02

    def fresh(self):
        return self

    def pass_on(self, data):
        yield data


class Rate:
    """So many bytes a second at most."""

    def __init__(self, rate):
        self.rate = rate

    def fresh(self):
        return self

    def pass_on(self, data):
        for i in range(0, len(data), 512):
            time.sleep(len(data[i:i + 512]) / self.rate)  # that is the fault
            yield data[i:i + 512]


class Records:
    """Something happens to record `at` (0 is the first): drop, twice, swap with the next."""

    def __init__(self, at, what):
        self.at, self.what, self.n = at, what, 0
        self.rest, self.kept = b"", b""

    def fresh(self):
        return Records(self.at, self.what)

    def pass_on(self, data):
        self.rest += data
        while len(self.rest) >= 5 and len(self.rest) >= 5 + (size := record_size(self.rest)):
            record, self.rest = self.rest[:5 + size], self.rest[5 + size:]
            yield from self._record(record)

    def _record(self, record):
        n, self.n = self.n, self.n + 1
        if n == self.at and self.what == "swap":
            self.kept = record
        elif n == self.at and self.what == "drop":
            return
        else:
            yield record + (record if n == self.at and self.what == "twice" else self.kept)
            self.kept = b""


def record_size(data):
    return struct.unpack(">H", data[3:5])[0]


def records(data):
    """(where, size with its header) of every TLS record in what passed one way."""
    at, found = 0, []
    while at + 5 <= len(data):
        size = 5 + record_size(data[at:])
        found.append((at, size))
        at += size
    return found


class Proxy:
    def __init__(self, port):
        self.target = port
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.lock = threading.Lock()
        self.seen = {"up": bytearray(), "down": bytearray()}
        self.limit = {"up": None, "down": None}
        self.fault = {"up": None, "down": None}
        self.held = threading.Event()
        self.pairs = []
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()
        self.drop()

    def hold(self, **limit):
        """up, down: how many more bytes pass that way before nothing does, in either direction
        of them that are named."""
        with self.lock:
            self.held.clear()
            for way in ("up", "down"):
                self.limit[way] = limit.get(way)

    def harm(self, **fault):
        """up, down: what is done to the bytes of every connection that begins from now on."""
        with self.lock:
            self.fault = {way: fault.get(way) for way in ("up", "down")}

    def forget(self):
        """What passed so far; from here the record begins anew."""
        with self.lock:
            seen, self.seen = self.seen, {"up": bytearray(), "down": bytearray()}
        return {way: bytes(data) for way, data in seen.items()}

    def drop(self):
        """Ends every connection, and lets the next ones pass."""
        self.hold()
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
                s.close()

    def bytes(self):
        with self.lock:
            return bytes(self.seen["up"]) + bytes(self.seen["down"])

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
                relay = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self.accepted += 1
            for s in client, relay:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.append((client, relay))
                faults = {way: f and f.fresh() for way, f in self.fault.items()}
            reset = threading.Event()
            for way, a, b in ("up", client, relay), ("down", relay, client):
                threading.Thread(target=self._pump, args=(way, a, b, faults[way], reset),
                                 daemon=True).start()

    def _passes(self, way, data):
        """Does this go on? A limit that is reached stops both directions at once."""
        with self.lock:
            self.seen[way] += data
            left = self.limit[way]
            if left is None:
                return True
            self.limit[way] = left = left - len(data)
            if left >= 0:
                return True
            self.limit["up"] = self.limit["down"] = 0
            self.held.set()
            return False

    def _pump(self, way, a, b, fault, reset):
        with contextlib.suppress(OSError, ValueError):
            try:
                while data := self._take(a, fault):
                    if self._passes(way, data):
                        for piece in fault.pass_on(data) if fault else [data]:
                            b.sendall(piece)
                if not reset.is_set():
                    b.shutdown(socket.SHUT_WR)
            except End as end:
                self._end(end.how, a, b, reset)

    @staticmethod
    def _take(sock, fault):
        data = sock.recv(65536)
        if wait := getattr(fault, "gather", 0):
            while data and select.select([sock], [], [], wait)[0] and (more := sock.recv(65536)):
                data += more
        return data

    @staticmethod
    def _end(how, a, b, reset):
        if how == "rst":
            reset.set()
            for s in a, b:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RD)  # the other pump lets go of it
                s.close()
        elif how == "fin":
            for s in a, b:
                s.shutdown(socket.SHUT_RDWR)
        elif how == "half":
            b.shutdown(socket.SHUT_WR)
