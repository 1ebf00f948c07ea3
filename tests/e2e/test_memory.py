"""F5: memory runs out at any moment. F14: what a program's memory gives away."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from relay import BUILD, CLIENT, PASSWORD, RELAY, SECONDS, Relay, messages, template

NOMEM = os.path.join(BUILD, "nomem.so")
FOREVER = 10 ** 9
faults = pytest.mark.faults
plain = pytest.mark.skipif(os.path.basename(BUILD) in ("asan", "tsan"),
                           reason="a sanitizer has its own allocator and much shadow")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root reads another's memory")


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        yield r


def texts(member):
    out = member("recv", "--json", "--since", "k1-0")
    return [r["text"] for r in messages(out)]


def two(relay):
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "ops")
    bob("room", "join", "ops")
    return alice, bob


def out_of_memory(relay, at, calls=1):
    """The environment in which allocations fail from the `at`th on; 0: they are only counted."""
    return {"LD_PRELOAD": NOMEM, "NOMEM_AT": str(at), "NOMEM_FOR": str(calls),
            "NOMEM_COUNT": f"{relay.tmp}/count"}


def counted(relay):
    with open(f"{relay.tmp}/count", encoding="ascii") as f:
        return int(f.read())


def send(relay, member, text, at, calls=1):
    env = member.env
    member.env = env | out_of_memory(relay, at, calls)
    try:
        return member.run("send", "--timeout", "10", "ops", text)
    finally:
        member.env = env


def points(n, many):
    """That many moments among n, the first and the last with them."""
    return sorted({1 + i * (n - 1) // (many - 1) for i in range(many)})


@plain
@pytest.mark.parametrize("many", [5, pytest.param(100, marks=faults)])
def test_memory_of_the_client_runs_out(relay, many):
    """For one allocation, and for all from then on: no crash, one sentence, nothing acknowledged
    that is not there, nothing twice."""
    relay.run()
    alice, bob = two(relay)
    assert send(relay, alice, "counted", 0).returncode == 0
    acked, said = ["counted"], ["counted"]
    for at in points(counted(relay), many):
        for calls in 1, FOREVER:
            text = f"{at} {calls}"
            said.append(text)
            p = send(relay, alice, text, at, calls)
            assert p.returncode >= 0, (at, calls, p.returncode, p.stderr)
            if p.returncode == 0:
                acked.append(text)
            else:
                assert p.stderr.count("countersign: ") == 1, (at, calls, p.stderr)
    assert len(acked) < len(said), "nothing failed"
    alice("send", "ops", "last")
    got = texts(bob)
    assert [t for t in got if t in acked] == acked and got[-1] == "last"
    assert [t for t in [*said, "last"] if t in got] == got  # once, in order
    assert texts(alice) == got
    relay.stop()


def serve(relay, alice, at, calls):
    """Alice speaks to a relay that runs out of memory. Was she told that it has her words?"""
    relay.run("--listen", f"127.0.0.1:{relay.port}", ready=False,
              env=os.environ | out_of_memory(relay, at, calls))
    try:
        relay.wait("listening")
    except AssertionError:
        assert relay.process.wait(SECONDS) > 0, (at, relay.log())
        relay.reader.join(SECONDS)
        return False
    p = alice.run("send", "--timeout", "5", "ops", f"{at} {calls}")
    assert p.returncode >= 0
    if relay.process.poll() is None:
        relay.kick(signal.SIGTERM)
    status = relay.process.wait(SECONDS)
    relay.reader.join(SECONDS)
    # The signal may meet a program that has said why it ends, and listens no more.
    late = status == -signal.SIGTERM and "countersignd: " in relay.log()
    assert status >= 0 or late, (at, calls, status, relay.log())
    return p.returncode == 0


@plain
@pytest.mark.parametrize("many", [pytest.param(80, marks=faults)])
def test_memory_of_the_relay_runs_out(relay, many):
    """It goes on, cuts one connection, or ends with its reason; what it acknowledged is there."""
    relay.run()
    alice, bob = two(relay)
    relay.stop()
    assert serve(relay, alice, 0, 1)
    acked, said = ["0 1"], ["0 1"]
    for at in points(counted(relay), many):
        for calls in 1, FOREVER:
            said.append(f"{at} {calls}")
            if serve(relay, alice, at, calls):
                acked.append(said[-1])
    assert len(acked) < len(said), "nothing failed"
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    alice("send", "ops", "last")
    got = texts(bob)
    assert [t for t in got if t in acked] == acked and got[-1] == "last"
    assert [t for t in [*said, "last"] if t in got] == got
    relay.stop()


# --- what a look at the memory finds ---

def memory(pid):
    """All that root can read of a process."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            begin, end, rights, name = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)",
                                                line).groups()
            if rights.startswith("r") and name not in ("[vvar]", "[vsyscall]"):
                mem.seek(int(begin, 16))
                with contextlib.suppress(OSError):  # a file that is shorter than its mapping
                    yield mem.read(int(end, 16) - int(begin, 16))


def holds(pid, what):
    return any(what in piece for piece in memory(pid))


@plain
@as_root
def test_no_password_in_memory_after_login(relay):
    """F14: neither the client, once it is logged in and reads on, nor the relay, ever."""
    relay.run()
    alice, bob = two(relay)
    follow = alice.start("recv", "--follow", "--json")
    bob("send", "ops", "a word that is looked for")
    while "a word that" not in follow.stdout.readline():  # joins come before it
        assert follow.poll() is None
    word = PASSWORD.encode()
    assert holds(follow.pid, b"alice"), "the search finds nothing at all"
    assert not holds(follow.pid, word), "the client still has the password"
    assert not holds(relay.process.pid, word), "the relay has seen the password"
    follow.kill()
    follow.communicate()
    relay.stop()


def limits(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return next(line for line in f if line.startswith("Max core file size")).split()[4:6]


@plain
def test_no_core_and_no_look_from_outside(relay):
    """F14: neither a core nor /proc is for the same user; only root could look."""
    relay.run()
    alice = relay.member("alice", "--admin")
    alice("room", "create", "ops")
    alice("send", "ops", "it reads")
    follow = alice.start("recv", "--follow", "--json")
    while "it reads" not in follow.stdout.readline():
        assert follow.poll() is None
    for pid in relay.process.pid, follow.pid:
        assert limits(pid) == ["0", "0"]
    follow.kill()
    follow.communicate()
    relay.stop()
    as_nobody = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as reach:  # of nobody, wherever the build is
        os.chmod(reach, 0o755)
        look_from_outside(shutil.copy(CLIENT, reach), as_nobody)


@plain
def test_no_look_at_a_relay_from_outside():
    """F14: nor at a relay that runs as somebody who is not root."""
    as_nobody = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as reach:
        os.chmod(reach, 0o755)
        shutil.copytree(template(), f"{reach}/relay")
        if as_nobody:
            for where, _, names in os.walk(f"{reach}/relay"):
                for path in where, *(f"{where}/{n}" for n in names):
                    os.chown(path, 65534, 65534)
        with subprocess.Popen([shutil.copy(RELAY, reach), "run", "--dir", f"{reach}/relay"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True,
                              stderr=subprocess.PIPE, cwd="/", env={}, **as_nobody) as p:
            log = []
            try:
                while not log or "event=listening" not in log[-1]:
                    log.append(p.stderr.readline())
                    assert log[-1], log
                hidden_from(p.pid, as_nobody)
            finally:
                p.kill()


def hidden_from(pid, somebody):
    for name in "mem", "environ", "maps":
        look = subprocess.run(["cat", f"/proc/{pid}/{name}"], capture_output=True, cwd="/",
                              check=False, **somebody)
        assert look.returncode != 0 and look.stdout == b"", name


def look_from_outside(client, as_nobody):
    with subprocess.Popen([client, "--no-open", "join", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                          env={"HOME": "/nonexistent"}, **as_nobody) as p:
        try:
            settled(p.pid)
            hidden_from(p.pid, as_nobody)
        finally:
            p.kill()


def settled(pid):
    """It waits for its standard input."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as f, \
                open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            if "pipe" in f.read() or stat.read().rpartition(")")[2].split()[0] == "S":
                return
    raise AssertionError("it does not wait")
