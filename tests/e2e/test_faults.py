"""The system below the programs fails: disks, clocks, signals, the network. Most of it is left to
`make check-faults` (marker faults), wants root and says why when it is left out."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from proxy import Proxy
from disk import needs_root, small_disk
from relay import BUILD, CLIENT, SECONDS, Member, Relay, countersignd, message, messages

TRACED = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}  # one tracer at a time
FAKETIME = next((p for p in ("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
                             "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1")
                 if os.path.exists(p)), None)
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="no faketime: apt install faketime")
faults = pytest.mark.faults


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
    alice("send", "ops", "first")
    return alice, bob


def sound(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("pragma integrity_check").fetchone() == ("ok",)


def says_one_sentence(p):
    """No trace of a crash, and one reason."""
    assert p.returncode > 0, (p.returncode, p.stderr)
    assert p.stderr.count("countersign: ") == 1 and len(p.stderr.splitlines()) <= 3, p.stderr
    return True


# --- the disk of the relay ---

def strace(relay, inject, ready):
    p = subprocess.Popen(["strace", "-f", "-o", f"{relay.tmp}/strace", "-e", "trace=" + ready,
                          "-e", "inject=" + inject, "-p", str(relay.process.pid)],
                         stderr=subprocess.PIPE, text=True)
    line = p.stderr.readline()  # "strace: Process N attached"
    if "attached" not in line:
        pytest.skip(f"strace may not attach here: {line}")
    return p


@faults
@needs_strace
@pytest.mark.parametrize("calls, error", [("fdatasync,fsync", "EIO"), ("pwrite64", "ENOSPC"),
                                          ("pwrite64", "EIO"), ("fdatasync,fsync", "ENOSPC")])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_disk_of_the_relay_fails(relay, calls, error, after):
    """F4: from call `after` on nothing is written any more. What was acknowledged before is there
    after a new start, nothing was acknowledged later, and the relay ended with its reason."""
    relay.run(env=TRACED)
    alice, bob = two(relay)
    tracer = strace(relay, f"{calls}:error={error}:when={after}+", calls)
    acked, tried, p = ["first"], ["first"], None
    end = time.monotonic() + 4 * SECONDS
    while relay.process.poll() is None and time.monotonic() < end:
        tried.append(f"message {len(tried)}")
        p = alice.run("--timeout", "3", "send", "ops", tried[-1])
        if p.returncode == 0:
            acked.append(tried[-1])
    assert p.returncode == 0 or says_one_sentence(p)
    assert relay.process.wait(SECONDS) == 74, relay.log()
    tracer.wait(SECONDS)
    assert relay.log().count("event=fatal") == 1
    assert sound(f"{relay.dir}/relay.db")
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    alice("recv")  # what was kept goes out
    got = texts(bob)
    assert [t for t in got if t in acked] == acked
    assert len(got) == len(set(got)) and set(got) <= set(tried)
    relay.stop()


def fill(path):
    with contextlib.suppress(OSError), open(f"{path}/ballast", "wb", buffering=0) as f:
        for size in (1 << 16, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    f.write(b"\0" * size)
    return f"{path}/ballast"


@faults
@needs_root
def test_disk_of_the_relay_is_full(tmp_path):
    """F4: it says so and ends; with room again everything goes on."""
    with small_disk(f"{tmp_path}/disk", "8m") as disk, Relay(disk) as relay:
        relay.run()
        alice, bob = two(relay)
        move(alice, tmp_path)
        ballast = fill(disk)
        p, tries = None, 0
        while (p is None or p.returncode == 0) and tries < 50:
            p = alice.run("--timeout", "3", "send", "ops", "x" * 60000)
            tries += 1
        assert p.returncode in (69, 74, 75) and says_one_sentence(p), (p.returncode, p.stderr)
        assert relay.process.wait(SECONDS) == 74 and relay.log().count("event=fatal") == 1
        os.unlink(ballast)
        assert sound(f"{relay.dir}/relay.db")
        relay.run("--listen", f"127.0.0.1:{relay.port}")
        alice.run("send", "ops", "room again")
        assert texts(bob)[-1] == "room again" and texts(bob)[0] == "first"
        relay.stop()


def move(member, where):
    """The member's files are on another disk than the relay's."""
    home = f"{where}/{member.name}"
    shutil.copytree(member.home, home)
    member.env = {k: v.replace(member.home, home) for k, v in member.env.items()}
    member.password = member.password.replace(member.home, home)
    member.home = home


# --- the disk of the client ---

@faults
@needs_strace
@pytest.mark.parametrize("calls, error", [("fdatasync,fsync", "EIO"), ("pwrite64", "ENOSPC"),
                                          ("pwrite64", "EIO")])
@pytest.mark.parametrize("after", [1, 2, 3, 5, 8])
def test_disk_of_the_client_fails(relay, calls, error, after):
    """F4: nothing leaves that is not on disk; one sentence; afterwards all is as it was."""
    relay.run()
    alice, bob = two(relay)
    p = subprocess.run(["strace", "-f", "-o", f"{relay.tmp}/strace", "-e", "trace=" + calls, "-e",
                        f"inject={calls}:error={error}:when={after}+", CLIENT, "--password-file",
                        alice.password, "send", "--timeout", str(SECONDS), "ops", "second"],
                       env=alice.env | {"ASAN_OPTIONS": "detect_leaks=0"}, text=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=2 * SECONDS,
                       check=False)
    assert p.returncode == 0 or says_one_sentence(p), p.stderr
    with open(f"{relay.tmp}/strace", encoding="utf-8", errors="replace") as f:
        failed = "(INJECTED)" in f.read()
    assert failed or p.returncode == 0, "it failed without a fault"
    if failed and after == 1:
        assert p.returncode != 0, "a message was sent that is on no disk"
    alice("send", "ops", "third")
    got = texts(bob)
    assert got[0] == "first" and got[-1] == "third" and got.count("second") <= 1
    assert p.returncode != 0 or "second" in got
    assert texts(alice) == got
    relay.stop()


@faults
@needs_root
def test_disk_of_the_client_is_full(relay, tmp_path):
    relay.run()
    alice, bob = two(relay)
    state = alice.env["XDG_DATA_HOME"], alice.env["XDG_STATE_HOME"]
    with contextlib.ExitStack() as disks:
        full = []
        for path in state:
            shutil.copytree(path, path + ".kept")
            disks.enter_context(small_disk(path, "4m"))
            shutil.copytree(path + ".kept", path, dirs_exist_ok=True)
            full.append(fill(path))
        p = alice.run("send", "--timeout", "5", "ops", "x" * 60000)
        assert says_one_sentence(p) and "x" * 60000 not in texts(bob)
        for ballast in full:
            os.unlink(ballast)
        alice("send", "ops", "room again")
        assert texts(bob)[-1] == "room again" == texts(alice)[-1]
    relay.stop()


# --- clocks ---

CLOCK = ("LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC")


def at(when, env=None):
    """The environment in which it is then; only the wall clock is another."""
    return (env or os.environ) | dict(zip(CLOCK, (FAKETIME, when, "1")))


@contextlib.contextmanager
def clock(when):
    """Every program that is started meanwhile lives then, and so do the members made meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CLOCK:
            patch.setenv(name, at(when)[name])
        yield


def then(member, when, *argv):
    """One command of this member by another clock."""
    member.env, now = at(when, member.env), member.env
    try:
        return member.run(*argv)
    finally:
        member.env = now


def made(relay, when):
    """A relay and two members that were made then; their clocks go right from now on."""
    with clock(when):
        shutil.rmtree(relay.dir)
        countersignd("init", "127.0.0.1", "--dir", relay.dir, "--listen", "127.0.0.1:0")
        relay.run()
        members = two(relay)
        relay.stop()
    for m in members:
        for name in CLOCK:
            del m.env[name]
    return members


@faults
@needs_faketime
def test_clock_of_a_client_is_wrong(relay):
    """F9: a day behind or a minute ahead sends and reads as ever; where the certificates are over it says so and sends
    nothing; afterwards nothing is broken."""
    alice, bob = made(relay, "-3d")
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    for when, fine in ("-20h", True), ("+1m", True), ("+300d", False), ("-30d", False):
        p = then(alice, when, "send", "--timeout", "5", "ops", f"at {when}")
        if fine:
            assert p.returncode in (0, 75), (when, p.returncode, p.stderr)
        else:
            assert says_one_sentence(p) and p.returncode == 77, (when, p.returncode, p.stderr)
            assert "certificate" in p.stderr or "revocation" in p.stderr, p.stderr
    alice("send", "ops", "now")
    got = texts(bob)
    assert got[0] == "first" and got[-1] == "now" and not {"at +300d", "at -30d"} & set(got)
    assert len(got) == len(set(got)) and texts(alice) == got
    relay.stop()


@faults
@needs_faketime
def test_clock_of_the_relay_goes_backwards(relay):
    """F9: numbers decide, not times: order and history stay. What would be hours ahead of the relay
    is not signed, and the person reads why."""
    alice, bob = made(relay, "-3d")
    for when in "+3h", "-3h", "+0":
        with clock(when):
            relay.run("--listen", f"127.0.0.1:{relay.port}")
        p = alice.run("send", "ops", f"at {when}")
        if when == "-3h":
            assert says_one_sentence(p) and p.returncode == 75, (p.returncode, p.stderr)
            assert "clock is 180 min ahead" in p.stderr and "nothing was sent" in p.stderr
        else:
            assert p.returncode == 0, (when, p.stderr)
        relay.stop()
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    assert texts(bob) == ["first", "at +3h", "at +0"] == texts(alice)
    relay.stop()


@faults
@needs_faketime
def test_signed_too_early_goes_out_in_its_time(relay, tmp_path):
    """F9: without a relay to compare with, what is an hour ahead is signed and kept. The relay takes
    these bytes in their time, and nothing overtakes them."""
    alice, bob = made(relay, "-3d")
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    now = tmp_path / "clock"
    now.write_text("+0")
    env = at("+0", alice.env) | {"FAKETIME_TIMESTAMP_FILE": str(now), "FAKETIME_NO_CACHE": "1"}
    del env["FAKETIME"]
    with subprocess.Popen([CLIENT, "--password-file", alice.password, "plain", "--json", "--room",
                           "ops"], text=True, env=env, bufsize=1, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p, ends(p):
        until(p.stdout, "text", "first")
        relay.kill()
        now.write_text("+1h")
        p.stdin.write("early\n")
        relay.run("--listen", f"127.0.0.1:{relay.port}")
        relay.wait("login")
        bob("send", "ops", "meanwhile")
        until(p.stdout, "text", "meanwhile")
        assert texts(bob) == ["first", "meanwhile"]
        relay.stop()
        with clock("+1h"):
            relay.run("--listen", f"127.0.0.1:{relay.port}")
        until(p.stdout, "text", "early")
        p.stdin.write("later\n")
        until(p.stdout, "text", "later")
        p.communicate()
    assert texts(bob) == ["first", "meanwhile", "early", "later"]
    relay.stop()


@contextlib.contextmanager
def ends(p):
    """Whoever waits for a word of this program that never comes sees it end."""
    watch = threading.Timer(2 * SECONDS, p.kill)
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def until(lines, key, value):
    """Reads a client's JSON until a numbered row says so."""
    for line in lines:
        row = json.loads(line)
        if row.get(key) == value and row.get("number"):
            return row
    raise AssertionError(f"no {key} {value}")


@faults
@needs_faketime
def test_2038(relay):
    """F9: the 32 bit clock ends on 2038-01-19 at 03:14:08; a relay is made before it, and talked
    over after it."""
    alice, bob = made(relay, "@2038-01-19 03:13:00")
    with clock("@2038-01-19 03:20:00"):
        relay.run("--listen", f"127.0.0.1:{relay.port}")
    assert then(alice, "@2038-01-19 03:20:10", "send", "ops", "after").returncode == 0
    p = then(bob, "@2038-01-19 03:20:20", "recv", "--json", "--since", "k1-0")
    assert [r["text"] for r in messages(p.stdout)] == ["first", "after"]
    relay.stop()


# --- signals, the network, sudden ends ---

@faults
@needs_strace
def test_interrupted_calls(relay):
    """F10: every other read, write and wait is interrupted, in the relay and in the client."""
    relay.run(env=TRACED)
    alice, bob = two(relay)
    calls = "read,write,pread64,pwrite64,recvfrom,sendto,epoll_wait,epoll_pwait,recvmsg,sendmsg"
    tracer = strace(relay, f"{calls}:error=EINTR:when=2+2", calls)
    for i in range(5):
        assert alice.run("send", "--timeout", "20", "ops", f"relay {i}").returncode == 0
    tracer.send_signal(signal.SIGINT)
    tracer.wait(SECONDS)
    p = subprocess.run(["strace", "-f", "-o", f"{relay.tmp}/strace", "-e", "trace=" + calls, "-e",
                        f"inject={calls}:error=EINTR:when=40+2", CLIENT, "--password-file",
                        alice.password, "send", "--timeout", "20", "ops", "client"], check=False,
                       env=alice.env | {"ASAN_OPTIONS": "detect_leaks=0"}, text=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=2 * SECONDS)
    assert p.returncode == 0, p.stderr
    assert texts(bob) == ["first", *[f"relay {i}" for i in range(5)], "client"]
    relay.stop()


plain = pytest.mark.skipif(os.path.basename(BUILD) in ("asan", "tsan"),
                           reason="a sanitizer has calls of its own in front of these")


@plain
def test_half_of_every_third_transfer(relay):
    """F4, F11: reads and writes of sockets and files take less than was asked for, in the relay and in
    both clients; nobody notices, and both databases are whole."""
    short = {"LD_PRELOAD": f"{BUILD}/short.so"}
    relay.run(env=os.environ | short)
    alice, bob = two(relay)
    for m in alice, bob:
        m.env |= short
    said = ["first", *[f"{i}" * (1 << i) for i in range(10)], "x" * 60000]
    for text in said[1:]:
        alice("send", "ops", text)
    assert texts(bob) == said == texts(alice)
    relay.stop()
    assert sound(f"{relay.dir}/relay.db")
    assert sound(json.loads(alice("me", "--json"))["directory"] + "/store.db")


@faults
@needs_strace
@pytest.mark.parametrize("calls, fault", [
    ("accept4", "ECONNABORTED"), ("accept4", "EMFILE"), ("accept4", "ENOMEM"), ("accept4", "EPROTO"),
    ("epoll_wait,epoll_pwait", "EINTR"), ("recvfrom", "EAGAIN"), ("recvfrom", "EINTR"),
    ("sendto", "EAGAIN"), ("sendto", "EINTR"), ("fcntl", "EAGAIN"), ("getrandom", "EINTR"),
    ("pread64", "EINTR"), ("pwrite64", "EINTR"), ("fdatasync,fsync", "EINTR")])
def test_every_third_call_fails_for_a_while(relay, calls, fault):
    """F11: what is temporary ends nobody's connection for good: the relay goes on, or ends with its
    reason where it may not believe in its disk; what was acknowledged is there, once."""
    relay.run(env=TRACED)
    alice, bob = two(relay)
    tracer = strace(relay, f"{calls}:error={fault}:when=2+3", calls)
    acked, tried = ["first"], ["first"]
    for i in range(4):
        tried.append(f"message {i}")
        if alice.run("--timeout", "10", "send", "ops", tried[-1]).returncode == 0:
            acked.append(tried[-1])
    ended = relay.process.poll() is not None
    if ended:
        assert relay.process.wait(SECONDS) == 74 and relay.log().count("event=fatal") == 1, relay.log()
        relay.run("--listen", f"127.0.0.1:{relay.port}")
    else:
        tracer.send_signal(signal.SIGINT)
    tracer.wait(SECONDS)
    assert ended <= (calls in ("fdatasync,fsync", "fcntl", "pwrite64", "pread64"))
    assert ended or acked == tried, relay.log()
    alice("send", "ops", "the last")
    got = texts(bob)
    assert [t for t in got if t in acked] == acked and got[-1] == "the last"
    assert len(got) == len(set(got)) and set(got) <= {*tried, "the last"}
    relay.stop()
    assert sound(f"{relay.dir}/relay.db")


@faults
@needs_faketime
def test_clock_jumps_and_repeats_a_second(relay, tmp_path):
    """F9: the wall clock of a running relay stands, goes back by the second of a leap, and jumps two
    minutes on; nothing waits for it, and every message is there once, in its order."""
    now = tmp_path / "clock"
    now.write_text("+0")
    env = at("+0") | {"FAKETIME_TIMESTAMP_FILE": str(now), "FAKETIME_NO_CACHE": "1"}
    del env["FAKETIME"]
    relay.run(env=env)
    alice, bob = two(relay)
    said = ["first"]
    for when in "-1", "+0", "-1", "+120", "+119", "-60", "+0":
        now.write_text(when)
        said.append(f"{len(said)} at {when}")
        alice("send", "ops", said[-1])
    assert texts(bob) == said == texts(alice)
    relay.stop()


@faults
def test_a_stalled_link_is_noticed_and_left(relay):
    """F12: nothing passes and nothing ends. Both sides find out within twice PING_MS, the member
    connects anew, and what was said meanwhile arrives once."""
    relay.run()
    bob = relay.member("bob", "--admin")
    bob("room", "create", "ops")
    with Proxy(relay.port) as proxy:
        alice = Member(relay, "alice")
        alice.join(relay.admin("invite", "--at", f"127.0.0.1:{proxy.port}").strip(), "alice")
        alice("room", "join", "ops")
        follow = alice.start("recv", "--follow", "--json")
        bob("send", "ops", "through")
        assert message(follow.stdout)["text"] == "through"
        accepted = proxy.accepted
        proxy.hold(up=0, down=0)
        bob("send", "ops", "into the hole")
        assert proxy.held.wait(100)
        end = time.monotonic() + 100
        while proxy.accepted == accepted and time.monotonic() < end:
            time.sleep(0.2)
        assert proxy.accepted > accepted, "the client still waits"
        proxy.drop()
        assert message(follow.stdout)["text"] == "into the hole"
        follow.kill()
        follow.communicate()
    assert texts(alice) == ["through", "into the hole"]
    relay.stop()


def listen(lines, text, heard, shown):
    """Keeps what a client shows as numbered by the relay; heard is set at this text."""
    for line in lines:
        with contextlib.suppress(ValueError):  # the last line may be cut
            row = json.loads(line)
            if row["event"] == "entry" and row.get("number"):
                shown.append(row["text"])
            if row.get("text") == text:
                heard.set()


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=faults)])
def test_kill_9_of_the_client_while_it_speaks(relay, rounds):
    """F3, M11: at any moment, again and again. Whatever it had shown as sent is there, nothing
    twice, in order, and its store is sound."""
    relay.run()
    alice, bob = two(relay)
    rng, said, shown = random.Random(rounds), ["first"], []
    for n in range(rounds):
        p = subprocess.Popen([CLIENT, "--password-file", alice.password, "plain", "--json",
                              "--room", "ops"], text=True, env=alice.env, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        heard = threading.Event()
        reader = threading.Thread(target=listen, args=(p.stdout, f"{n}.0", heard, shown))
        reader.start()
        with contextlib.suppress(BrokenPipeError):
            for i in range(100):
                said.append(f"{n}.{i}")
                p.stdin.write(f"{n}.{i}\n")
                p.stdin.flush()
                if i == 0:
                    assert heard.wait(SECONDS), relay.log()
                    threading.Timer(rng.uniform(0, 0.1), p.kill).start()
                time.sleep(0.001)
        p.wait()
        reader.join()
        p.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            p.stdin.close()
    alice("send", "ops", "last")
    said.append("last")
    got = texts(bob)
    assert got[-1] == "last" and len(got) == len(set(got))
    assert set(shown) <= set(got) and len(shown) >= rounds / 2
    places = [said.index(t) for t in got]
    assert places == sorted(places)
    assert texts(alice) == got and len(got) >= rounds
    where = json.loads(alice("me", "--json"))["directory"]
    assert sound(f"{where}/store.db") and sound(f"{relay.dir}/relay.db")
    relay.stop()
