"""What must stay secret stays so: on the wire, on disk, in logs, arguments and environments."""

import base64
import os
import re
import stat
import subprocess
import threading

import pytest

from proxy import Proxy
from relay import CLIENT, PASSWORD, RELAY, SECONDS, Member, Relay

TEXT = "MARKER-quokka-7f3a91"
TOPIC = "MARKER-topic-wombat"


def forms(secret):
    """The secret as it would stand somewhere: as it is, in hex, in base64 at any offset."""
    data = secret.encode() if isinstance(secret, str) else secret
    out = {data, data.hex().encode(), data.hex().upper().encode(), data.decode("latin-1").encode(
        "utf-16-le")}
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + data)
        # the characters that depend on the secret alone
        keep = text[(0, 2, 3)[offset]:(offset + len(data)) * 8 // 6]
        out |= {keep, keep.replace(b"+", b"-").replace(b"/", b"_")}
    return out


def found(secret, data):
    return any(form in data for form in forms(secret))


def token_of(invite):
    return invite.split(".")[-2]


class Scene:
    """A conversation of two through a proxy that records it, and all that was seen beside it."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.here = os.path.join(tmp, "here")
        os.mkdir(self.here, 0o700)
        self.beside = b""

    def watch(self, argv, env, stdin=""):
        """Runs a client, looking at its arguments and environment all the time."""
        p = subprocess.Popen(argv, env=env, text=True, cwd=self.here, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        done = threading.Event()

        def look():
            while not done.is_set():
                self.look(p.pid)
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            out, said = p.communicate(stdin, timeout=SECONDS)
        finally:
            done.set()
            watcher.join()
        assert p.returncode == 0, (argv, said)
        self.beside += said.encode()
        return out

    def look(self, pid):
        for name in "cmdline", "environ":
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    data = f.read()
            except OSError:
                continue
            if data not in self.beside:
                self.beside += data

    def play(self):
        with Relay(self.tmp) as self.relay:
            self.relay.run()
            self.look(self.relay.process.pid)
            with Proxy(self.relay.port) as proxy:
                self.invites, self.members = [], []
                for name in "rosalind", "frederick":
                    m = Member(self.relay, name)
                    at = self.relay.admin("invite", "--at", f"127.0.0.1:{proxy.port}").strip()
                    options = ["--password-file", m.password]
                    self.watch([CLIENT, *options, "--name", name, "--device", "laptop",
                                "--no-open", "join", "-"], m.env, at + "\n")
                    self.invites.append(at)
                    self.members.append(m)
                a, b = self.members
                a("room", "create", "burrow", "--history", "all")
                a("room", "topic", "burrow", TOPIC)
                b("room", "join", "burrow")
                self.watch([CLIENT, "--password-file", a.password, "send", "burrow", "-"], a.env,
                           TEXT)
                assert TEXT in self.watch([CLIENT, "--password-file", b.password, "recv"], b.env)
                b("send", "@rosalind", TEXT + "-direct")
                a("recv")
                self.wire = proxy.bytes()
            self.look(self.relay.process.pid)
            self.relay.stop()
        return self


def tree(top):
    return {os.path.join(d, n) for d, dirs, files in os.walk(top) for n in dirs + files}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("secrets")).play()


def content(top):
    for path in tree(top):
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, "rb") as f:
                yield path, f.read()


def test_the_search_finds_what_is_there():
    """A search that finds nothing anywhere would pass every test below."""
    for data in (TEXT.encode(), base64.b64encode(b"x" + TEXT.encode()),
                 TEXT.encode().hex().encode(), base64.b64encode(b"{\"text\":\"" + TEXT.encode() + b"\"}")):
        assert found(TEXT, b"abc" + data + b"def")
    assert not found(TEXT, b"MARKER-quokka-7f3a9x" * 100)


def test_wire(scene):
    """Names, rooms, topics, texts, passwords and tokens: the network sees none of them."""
    assert len(scene.wire) > 20000
    assert b"\x16\x03" in scene.wire
    for secret in (TEXT, TOPIC, PASSWORD, "rosalind", "frederick", "burrow", "countersign:",
                   *map(token_of, scene.invites)):
        assert not found(secret, scene.wire), secret
    assert b"127.0.0.1 CA" not in scene.wire  # certificates are sealed too in TLS 1.3


def test_log_arguments_environment(scene):
    seen = scene.beside + scene.relay.log().encode()
    assert RELAY.encode() in seen and b"event=login" in seen and b"XDG_DATA_HOME" in seen
    for secret in (TEXT, TOPIC, PASSWORD, *map(token_of, scene.invites)):
        assert not found(secret, seen), secret


def test_client_files(scene):
    """Neither the messages, nor the password, nor a key that works without it."""
    files = [(p, data) for m in scene.members for p, data in content(m.home) if p != m.password]
    assert len(files) >= 10
    for path, data in files:
        for secret in (TEXT, TOPIC, PASSWORD, *map(token_of, scene.invites)):
            assert not found(secret, data), (secret, path)
        assert b"PRIVATE KEY" not in data, path
        # RSA in PKCS#1 or PKCS#8 DER, with its public exponent in place
        assert not re.search(rb"\x30\x82..\x02\x01\x00(\x30\x0d\x06\x09\x2a\x86|\x02\x82)", data,
                             re.S), path


def test_relay_files(scene):
    """The relay reads rooms of this version; passwords and invites it never had."""
    files = list(content(scene.relay.dir))
    assert any(TEXT.encode() in data for _, data in files)  # the search is in the right place
    for path, data in files:
        token = [base64.urlsafe_b64decode(token_of(i) + "=" * (-len(token_of(i)) % 4))
                 for i in scene.invites]
        for secret in (PASSWORD, *map(token_of, scene.invites)):
            assert not found(secret, data), (secret, path)
        assert not any(t in data for t in token), path


def test_modes(scene):
    """0600 and 0700, whatever the umask was."""
    for member in scene.members:
        for path in tree(member.home):
            mode = os.lstat(path).st_mode
            want = 0o700 if stat.S_ISDIR(mode) else 0o600
            assert stat.S_IMODE(mode) == want, (path, oct(mode))
    for path in tree(scene.relay.dir):
        mode = os.lstat(path).st_mode
        public = path.endswith((".crt", ".der", ".conf"))
        want = 0o700 if stat.S_ISDIR(mode) else 0o644 if public else 0o600
        assert stat.S_IMODE(mode) & ~want == 0, (path, oct(mode))


def test_nothing_elsewhere(scene):
    """Clients write below their XDG directories, and the relay below its own."""
    for member in scene.members:
        xdg = tuple(v for k, v in member.env.items() if k.startswith("XDG_"))
        stray = [p for p in tree(member.home) if not p.startswith(xdg) and p != member.password]
        assert not stray
    home = {os.path.basename(m.home) for m in scene.members}
    assert set(os.listdir(scene.tmp)) == home | {"relay", "here"}
    assert os.listdir(scene.here) == []


def test_the_careless_umask(tmp_path):
    with Relay(tmp_path) as relay:
        relay.run()
        m = Member(relay, "umasked")
        p = subprocess.run([CLIENT, "--password-file", m.password, "--name", "umasked", "--device",
                            "x", "--no-open", "join", "-"], env=m.env, text=True, umask=0,
                           input=relay.invite() + "\n", capture_output=True, timeout=SECONDS)
        assert p.returncode == 0, p.stderr
        loose = [q for q in tree(m.home) if stat.S_IMODE(os.lstat(q).st_mode) & 0o077]
        assert not loose
        relay.stop()
