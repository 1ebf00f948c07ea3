"""Relays that lie in their frames: they have the real relay's certificate and key.

    with Liar(relay) as liar:                    # says liar.frames to each who comes
    with Between(relay, edit) as between:        # edit(frame) changes what a guest hears
"""

import contextlib
import json
import socket
import ssl
import struct
import threading

from relay import SECONDS
from wire import CHAT, JOIN, Tls


def framed(*frames):
    return b"".join(struct.pack(">I", len(f)) + f for f in frames)


class Server:
    """One client after the other over TLS, each given to serve()."""

    def __init__(self, relay, alpn, cert=None, key=None):
        self.relay = relay
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.minimum_version, self.ctx.num_tickets = ssl.TLSVersion.TLSv1_3, 0
        self.ctx.load_cert_chain(cert or self.chain(), key or f"{relay.dir}/relay.key")
        if alpn == CHAT:
            self.ctx.verify_mode = ssl.CERT_REQUIRED
            self.ctx.load_verify_locations(relay.root())
        self.ctx.set_alpn_protocols([alpn])
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def chain(self):
        """Leaf, intermediate and root, as a guest needs them."""
        path = f"{self.relay.tmp}/chain.pem"
        with open(path, "wb") as out:
            for part in "relay.crt", "ca/intermediate.crt", "ca/root.crt":
                with open(f"{self.relay.dir}/{part}", "rb") as f:
                    out.write(f.read())
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()

    def _accept(self):
        while True:
            try:
                raw, _ = self.server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), raw:
                raw.settimeout(SECONDS)
                with self.ctx.wrap_socket(raw, server_side=True) as s:
                    self.serve(s)

    def serve(self, s):
        raise NotImplementedError


class Liar(Server):
    """Says the same frames to everybody; heard is set when somebody was told."""

    def __init__(self, relay, alpn=CHAT, cert=None, key=None):
        self.frames, self.heard = [], threading.Event()
        super().__init__(relay, alpn, cert, key)

    def serve(self, s):
        s.sendall(framed(*self.frames))
        self.heard.set()
        while s.recv(65536):
            pass


class Between(Server):
    """Between a guest and the real relay; what the relay says goes through edit. (A login would not
    come through: its proof is bound to the channel. Joining is not a login.)"""

    def __init__(self, relay, edit):
        self.edit = edit
        super().__init__(relay, JOIN)

    def serve(self, s):
        relay = Tls(self.relay.port, JOIN)
        self._down(relay, s)
        for _ in "hello", "join":
            size = self._whole(s, 4)
            relay.raw(size + self._whole(s, struct.unpack(">I", size)[0]))
        self._down(relay, s)
        relay.bye()

    def _down(self, relay, s):
        s.sendall(framed(json.dumps(self.edit(relay.take())).encode()))

    @staticmethod
    def _whole(s, n):
        data = b""
        while len(data) < n:
            if not (more := s.recv(n - len(data))):
                raise OSError("the guest has gone")
            data += more
        return data
