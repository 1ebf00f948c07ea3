"""A real relay for the tests: made once, copied for each test, started on port 0.

    with Relay(tmp_path) as relay:          # or the fixture in your own file
        relay.run()                         # ready when this returns
        line = relay.invite("--admin")
        alice = relay.member("alice")       # joined, with directories of its own
        alice("send", "lobby", "hello")
        relay.wait("login")                 # the next log line of that event, as a dict

Everything ends with the with-block, whatever happened in it.
"""

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time

BUILD = os.path.abspath(os.environ.get("COUNTERSIGN_BUILD", "build"))
RELAY = os.path.join(BUILD, "countersignd")
CLIENT = os.path.join(BUILD, "countersign")
SECONDS = 60 if "tsan" not in BUILD and "asan" not in BUILD else 120
PASSWORD = "correct horse battery staple"

# A relay cannot be traced by anybody but root, and LeakSanitizer traces.
if os.geteuid() != 0:
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")

# Where every file of one `make check` shares its templates; a file on its own has a place of its own.
_own_templates = None


def countersignd(*argv, status=0, **more):
    """Runs one command of the relay's program; gives stdout and stderr together."""
    more.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.run([RELAY, *map(str, argv)], text=True, timeout=SECONDS,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    assert p.returncode == status, (argv, p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def templates():
    global _own_templates
    shared = os.environ.get("COUNTERSIGN_TEMPLATES")
    if shared is None and _own_templates is None:
        _own_templates = tempfile.TemporaryDirectory(prefix="countersign-relay-")
    return shared or _own_templates.name


def template(name="127.0.0.1", *more):
    """A relay's directory as init made it; RSA keys take a while, so it is made once."""
    key = hashlib.sha256(repr((name, *more)).encode()).hexdigest()[:16]
    where = os.path.join(templates(), key)
    with open(f"{where}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(where):
            host = f"[{name}]" if ":" in name else name
            with tempfile.TemporaryDirectory(dir=templates()) as new:
                countersignd("init", name, "--dir", f"{new}/relay", "--listen", "127.0.0.1:0",
                             "--at", f"{host}:7443", *more)
                os.rename(f"{new}/relay", where)
    return where


def fields(line):
    """event=x why="a b" as a dict."""
    return dict(w.partition("=")[::2] for w in shlex.split(line))


class Relay:
    def __init__(self, tmp, name="127.0.0.1", init=()):
        self.tmp = str(tmp)
        self.dir = os.path.join(self.tmp, "relay")
        self.name = name
        self.lines = []
        self.seen = 0
        self.process = None
        self.port = 0
        self.news = threading.Condition()
        shutil.copytree(template(name, *init), self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- the process ---

    def run(self, *options, ready=True, limits=None, env=None):
        """Starts it; returns when it listens. limits: called in the child before exec."""
        self.seen = len(self.lines)
        self.process = subprocess.Popen(
            [RELAY, "run", "--dir", self.dir, *map(str, options)], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=limits, env=env)
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()
        if ready:
            self.port = int(self.wait("listening")["port"])
        return self

    def _read(self, process):
        for line in process.stderr:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.lines.append(None)
            self.news.notify_all()

    def wait(self, event, seconds=SECONDS, **match):
        """The next line, after those waited for before, of this event with these fields."""
        end = time.monotonic() + seconds
        with self.news:
            while True:
                while self.seen < len(self.lines):
                    line = self.lines[self.seen]
                    self.seen += 1
                    if line is None:
                        raise AssertionError(f"relay ended before {event}:\n{self.log()}")
                    got = fields(line) if line.startswith("time=") else {}
                    if got.get("event") == event and match.items() <= got.items():
                        return got
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no {event} {match} in:\n{self.log()}")
                self.news.wait(left)

    def log(self):
        return "\n".join(line for line in self.lines if line is not None)

    def kick(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, status=0):
        """Ends it in order and checks how it ended."""
        self.kick(number)
        assert self.process.wait(SECONDS) == status, self.log()
        self.reader.join(SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(SECONDS)

    def restart(self, *options):
        """The same relay again, on the port it had."""
        self.stop()
        return self.run("--listen", f"127.0.0.1:{self.port}", *options)

    # --- the operator ---

    def admin(self, *argv, status=0):
        return countersignd(*argv, "--dir", self.dir, status=status)

    def invite(self, *options):
        return self.admin("invite", "--at", f"{self.name}:{self.port}", *options).strip()

    def root(self):
        return os.path.join(self.dir, "ca", "root.crt")

    # --- members ---

    def member(self, name, *options, device="laptop"):
        """A new account on this relay."""
        m = Member(self, name)
        m.join(self.invite(*options), name, device)
        return m


def message(stream):
    """The next message that a client prints as JSON; who joins or leaves is not one."""
    for line in stream:
        if (row := json.loads(line))["event"] == "entry":
            return row
    raise AssertionError("the client ended")


def messages(text):
    """Every message in what a client printed as JSON."""
    return [r for r in map(json.loads, text.splitlines()) if r["event"] == "entry"]


class Member:
    """The real client with directories of its own: member(...) runs one command of it."""

    def __init__(self, relay, name):
        self.relay, self.name = relay, name
        self.home = tempfile.mkdtemp(prefix="home-", dir=relay.tmp)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")} | {
            "HOME": self.home, "LC_ALL": "C.UTF-8"}
        for kind in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR"):
            path = os.path.join(self.home, kind.lower())
            os.mkdir(path, 0o700)
            self.env["XDG_" + kind] = path
        self.password = os.path.join(self.home, "password")
        fd = os.open(self.password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, PASSWORD.encode())
        os.close(fd)

    def run(self, *argv, stdin=""):
        return subprocess.run([CLIENT, "--password-file", self.password, *map(str, argv)],
                              text=True, input=stdin, env=self.env, timeout=SECONDS,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, *argv, status=0, stdin=""):
        p = self.run(*argv, stdin=stdin)
        assert p.returncode == status, (argv, p.returncode, p.stdout, p.stderr, self.relay.log())
        return p.stdout

    def join(self, invite, name, device="laptop", status=0):
        return self("--name", name, "--device", device, "--no-open", "join", "-",
                    status=status, stdin=invite + "\n")

    def start(self, *argv):
        """A command that goes on, such as recv --follow; the caller ends it."""
        return subprocess.Popen([CLIENT, "--password-file", self.password, *map(str, argv)],
                                text=True, env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def openssl(relay, *options, seconds=10, keep=2.0):
    """What openssl s_client has to say of a connection that stays open for `keep` seconds."""
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.port}",
                          "-CAfile", relay.root(), *options], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        p.wait(keep)  # its standard input stays open meanwhile, and with it the connection
    except subprocess.TimeoutExpired:
        pass
    try:
        out, _ = p.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        out, _ = p.communicate()
    return out.decode("utf-8", "replace")


def alert(text):
    """The number of the TLS alert in openssl's words, or None."""
    found = re.search(r"SSL alert number (\d+)", text)
    return int(found.group(1)) if found else None
