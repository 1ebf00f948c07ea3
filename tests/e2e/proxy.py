"""A TCP proxy between client and relay: records what passes, and holds it back when told.

    with Proxy(relay.port) as p:
        relay.invite("--at", f"127.0.0.1:{p.port}")
        p.hold(up=8192)          # from 8192 further bytes towards the relay on nothing passes
        p.held.wait(SECONDS)
        p.drop()                 # both sides see the connection end
"""

import contextlib
import socket
import threading


class Proxy:
    def __init__(self, port):
        self.target = port
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.lock = threading.Lock()
        self.seen = {"up": bytearray(), "down": bytearray()}
        self.limit = {"up": None, "down": None}
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
            with self.lock:
                self.pairs.append((client, relay))
            for way, a, b in ("up", client, relay), ("down", relay, client):
                threading.Thread(target=self._pump, args=(way, a, b), daemon=True).start()

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

    def _pump(self, way, a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                if self._passes(way, data):
                    b.sendall(data)
            b.shutdown(socket.SHUT_WR)
