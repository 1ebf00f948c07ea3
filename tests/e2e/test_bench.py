"""The bench's generator believes nobody: whoever loses, doubles, swaps or changes a message, or
hangs up, makes its run fail. A small honest server shows that it can also succeed."""

import base64
import os
import socket
import ssl
import struct
import subprocess
import threading

import pytest

BUILD = os.environ.get("COUNTERSIGN_BUILD", "build")
LOAD = os.path.join(BUILD, "bench", "load")
CONNS, MESSAGES = 3, 60
HELLO, JOIN, SAY = b"HJS"

pytestmark = pytest.mark.skipif(not os.path.exists(LOAD),
                                reason="the bench is not built: make bench")


def openssl(where, *args):
    subprocess.run(["openssl", *args], cwd=where, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """What tests/bench/enrol writes, from one self-signed certificate."""
    where = tmp_path_factory.mktemp("members")
    openssl(where, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
            "root.pem", "-subj", "/CN=bench", "-days", "1")
    openssl(where, "x509", "-in", "root.pem", "-out", "issuer.pem")
    openssl(where, "x509", "-in", "root.pem", "-outform", "DER", "-out", "leaf.der")
    leaf = base64.b64encode((where / "leaf.der").read_bytes()).decode()
    (where / "members").write_text("".join(
        f"m{i} {i:032x} {0:064x} {leaf}\n" for i in range(CONNS)))
    return where


class Raw:
    """tests/bench/raw.h behind TLS 1.3: one room; `fault(reader, n, frame)` gives the frames that
    this reader gets in place of the n-th, or None to be cut off."""

    def __init__(self, members, fault):
        self.fault, self.room, self.lock = fault, [], threading.Lock()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(members / "root.pem", members / "key.pem")
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.guests, daemon=True).start()

    def guests(self):
        while True:
            try:
                guest, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(guest,), daemon=True).start()

    def serve(self, sock):
        try:
            guest = self.tls.wrap_socket(sock, server_side=True)
            stream = guest.makefile("rb")
            while head := stream.read(4):
                self.frame(guest, head + stream.read(struct.unpack(">I", head)[0]))
        except OSError:
            pass

    def frame(self, guest, frame):
        with self.lock:
            if frame[4] == JOIN:
                self.room.append([guest, 0])
            if frame[4] != SAY:
                guest.sendall(frame)
                return
            for i, reader in enumerate(self.room):
                reader[1] += 1
                self.tell(i, reader, frame)

    def tell(self, i, reader, frame):
        got = [frame] if i != 1 else self.fault(reader[1], frame)
        if got is None:
            reader[0].shutdown(socket.SHUT_RDWR)
        else:
            reader[0].sendall(b"".join(got))


def load(members, fault):
    server = Raw(members, fault)
    try:
        return subprocess.run(
            [LOAD, "--driver", "raw", "--port", str(server.port), "--pid", str(os.getpid()),
             "--members", members, "--conns", str(CONNS), "--senders", "1", "--messages",
             str(MESSAGES), "--window", "4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=60)
    finally:
        server.door.close()


def swap(n, frame, kept=[]):
    if n == 30:
        kept.append(frame)
        return []
    return [frame, kept.pop()] if n == 31 else [frame]


FAULTS = {
    "lost": (lambda n, f: [] if n == 30 else [f], "30 of sender 0, 29 was due"),
    "lost at the end": (lambda n, f: [] if n == MESSAGES else [f], "never came"),
    "doubled": (lambda n, f: [f, f] if n == 30 else [f], "29 of sender 0, 30 was due"),
    "doubled at the end": (lambda n, f: [f, f] if n == MESSAGES else [f], "was due"),
    "swapped": (swap, "30 of sender 0, 29 was due"),
    "of nobody": (lambda n, f: [f[:6] + b"0009" + f[10:]] if n == 30 else [f], "of sender 9"),
    "cut short": (lambda n, f: [struct.pack(">I", len(f) - 5) + f[4:-1]] if n == 30 else [f],
                  "nobody said"),
    "hung up": (lambda n, f: None if n == 30 else [f], "the server closed"),
}


def test_bench_honest_server_passes(members):
    done = load(members, lambda n, f: [f])
    assert done.returncode == 0, done.stderr
    figures = dict(line.split("\t") for line in done.stdout.splitlines())
    assert 305 < float(figures["wire_bytes"]) < 340


@pytest.mark.parametrize("name", FAULTS)
def test_bench_fault_fails(members, name):
    fault, reason = FAULTS[name]
    done = load(members, fault)
    assert done.returncode == 76
    assert reason in done.stderr
    assert done.stdout == ""
