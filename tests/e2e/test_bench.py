"""The bench's generator believes nobody: whoever loses, doubles, swaps or changes a message, or
hangs up, makes its run fail. A small honest server shows that it can also succeed; and over each
link it shakes hands with our relay, to the end or halfway."""

import base64
import os
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from relay import SECONDS, Member, Relay

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


# --- over our links ---

LINKS = ["tls", "ecdhe", "cianr", "sovereign", "classic"]


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    """A relay that speaks all of them, three enrolled members, and one who is not the bench's."""
    where = tmp_path_factory.mktemp("relay")
    with Relay(where) as r:
        r.run("--links", " ".join(LINKS), "--per-source", "100", "--handshakes", "100")
        r.enrolled = where / "members"
        r.enrolled.mkdir()
        subprocess.run([os.path.join(BUILD, "bench", "enrol"), r.dir, str(r.port), str(CONNS),
                        r.enrolled], check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
        r.alice = Member(r, "alice")
        r.alice.join(r.invite("--admin"), "alice")
        r.alice("room", "create", "den")
        yield r


def command(relay, mode, link, *more):
    driver = "classic" if link == "classic" else "countersign"
    return [LOAD, "--mode", mode, "--driver", driver, "--link", link, "--port", str(relay.port),
            "--pid", str(relay.process.pid), "--members", str(relay.enrolled), "--conns",
            str(CONNS), *more]


def run(relay, mode, link, *more):
    return subprocess.run(command(relay, mode, link, *more), text=True, timeout=SECONDS,
                          stdin=subprocess.DEVNULL, capture_output=True)


def figures(text):
    return {n: float(v) for n, v in (line.split("\t") for line in text.splitlines())}


@pytest.mark.parametrize("link", LINKS)
def test_bench_shakes_over_each_link(relay, link):
    """Each run is one link's: the relay says which it spoke."""
    done = run(relay, "shakes", link, "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert all(v >= 0 for v in figures(done.stdout).values()) and figures(done.stdout)


@pytest.mark.parametrize("link", LINKS)
def test_bench_half_open_keeps_nobody_out(relay, link):
    """They are half open until they are told to end, and whoever is a member is served."""
    with subprocess.Popen(command(relay, "half", link, "--seconds", "60"), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as half:
        try:
            told = half.stdout.readline()
            assert told.split("\t")[0] == "half_open" and float(told.split("\t")[1]) == CONNS
            relay.alice("send", "den", f"beside {link}")
            assert half.poll() is None
        finally:
            half.terminate()
            half.communicate()


def test_bench_half_again_is_a_flood(relay):
    done = run(relay, "half", "ecdhe", "--seconds", "2", "--again")
    assert done.returncode == 0, done.stderr
    assert figures(done.stdout)["again_per_s"] > 0


@pytest.mark.parametrize("argv", [("shakes", "telnet"), ("nothing", "tls")])
def test_bench_what_there_is_not(relay, argv):
    done = run(relay, *argv)
    assert done.returncode != 0 and argv[0 if argv[1] == "tls" else 1] in done.stderr
    assert done.stdout == ""


def test_bench_a_link_that_is_not_spoken_fails(relay):
    relay.restart("--links", "tls", "--per-source", "100")
    done = run(relay, "shakes", "ecdhe", "--seconds", "1")
    assert done.returncode != 0 and done.stderr
