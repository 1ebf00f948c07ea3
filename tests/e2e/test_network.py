"""F10 to F12: signals, and lines that reset, stand still, crawl or come and go. What was said arrives
once, and nobody hangs."""

import json
import signal
import subprocess
import threading
import time

import pytest

from proxy import Coalesce, Cut, Drip, Proxy, Rate
from relay import CLIENT, SECONDS, Member, Relay, messages


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        r.run()
        yield r
        r.stop()


@pytest.fixture
def room(relay):
    """bob beside the proxy, alice behind it."""
    bob = relay.member("bob", "--admin")
    bob("room", "create", "ops")
    with Proxy(relay.port) as proxy:
        alice = Member(relay, "alice")
        alice.join(relay.admin("invite", "--at", f"127.0.0.1:{proxy.port}").strip(), "alice")
        alice("room", "join", "ops")
        yield relay, proxy, alice, bob


def texts(member):
    out = member("recv", "--json", "--since", "k1-0")
    return [r["text"] for r in messages(out)]


class Follow:
    """recv --follow; ends with the block."""

    def __init__(self, member):
        self.p = member.start("recv", "--follow", "--json")
        self.watch = threading.Timer(2 * SECONDS, self.p.kill)  # whoever waits in vain sees an end

    def __enter__(self):
        self.watch.start()
        return self

    def __exit__(self, *_):
        self.watch.cancel()
        self.p.kill()
        self.p.communicate()

    def until(self, text):
        for line in self.p.stdout:
            if json.loads(line).get("text") == text:
                return
        raise AssertionError(f"{text!r} never came: {self.p.stderr.read()}")


def test_a_stopped_relay_goes_on(relay, room):
    """SIGSTOP and SIGCONT: nobody is cut, nothing is lost."""
    _, _, alice, bob = room
    with Follow(alice) as follow:
        bob("send", "ops", "before")
        follow.until("before")
        relay.kick(signal.SIGSTOP)
        send = bob.start("send", "--timeout", "60", "ops", "meanwhile")
        state(relay.process.pid, "T")
        with pytest.raises(subprocess.TimeoutExpired):
            send.wait(2)  # a stopped relay acknowledges nothing
        relay.kick(signal.SIGCONT)
        assert send.wait(2 * SECONDS) == 0
        send.communicate()
        follow.until("meanwhile")
    assert texts(bob) == ["before", "meanwhile"]


def test_a_stopped_client_goes_on(room):
    _, _, alice, bob = room
    with Follow(alice) as follow:
        bob("send", "ops", "before")
        follow.until("before")
        follow.p.send_signal(signal.SIGSTOP)
        state(follow.p.pid, "T")
        bob("send", "ops", "meanwhile")
        follow.p.send_signal(signal.SIGCONT)
        follow.until("meanwhile")


def state(pid, letter):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            if f.read().rpartition(")")[2].split()[0] == letter:
                return
    raise AssertionError(f"process {pid} is not in state {letter}")


def test_a_reader_that_goes_away(room):
    """SIGPIPE: whoever prints into a closed pipe says so and ends."""
    _, _, alice, bob = room
    bob("send", "ops", "x" * 60000)
    p = alice.start("recv", "--follow", "--json")
    p.stdout.close()
    bob("send", "ops", "y" * 60000)
    assert p.wait(SECONDS) == 74
    assert "cannot be written" in p.stderr.read()
    p.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_client_in_order(room, number):
    """Also where SIGINT came to us ignored, as behind nohup or a shell's &."""
    _, _, alice, bob = room
    p = subprocess.Popen(["env", "--ignore-signal=INT", CLIENT, "--password-file", alice.password,
                          "recv", "--follow", "--json"], text=True, env=alice.env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    bob("send", "ops", "here")
    while "here" not in p.stdout.readline():  # joins come before it
        assert p.poll() is None
    p.send_signal(number)
    out, err = p.communicate(timeout=SECONDS)
    assert p.returncode >= 0, (out, err)


def test_sighup_ends_no_word(room):
    """The terminal of a client goes: what it had said is with the relay or in its outbox."""
    _, _, alice, bob = room
    p = subprocess.Popen([CLIENT, "--password-file", alice.password, "plain", "--json", "--room",
                          "ops"], text=True, env=alice.env, stdin=subprocess.PIPE, bufsize=1,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write("last words\n")
    for line in p.stdout:
        if json.loads(line).get("number"):
            break
    p.send_signal(signal.SIGHUP)
    p.communicate(timeout=SECONDS)
    assert texts(bob) == ["last words"]


@pytest.mark.parametrize("how", ["rst", "fin", "half"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_the_line_ends_in_the_middle(room, way, how):
    """Reset, closed or half-closed after the handshake: the client connects anew by itself, and
    what was said in between comes once."""
    _, proxy, alice, bob = room
    proxy.harm(**{way: Cut(9000 if way == "up" else 6000, how)})
    with Follow(alice) as follow:
        for n in range(3):
            bob("send", "ops", f"{n} {'z' * 3000}")
        proxy.harm()
        follow.until(f"2 {'z' * 3000}")
    assert texts(alice) == texts(bob) == [f"{n} {'z' * 3000}" for n in range(3)]


@pytest.mark.parametrize("fault", [Drip(), Coalesce(), Rate(20000)], ids=["drip", "coalesce", "slow"])
def test_a_bad_line_is_a_line(room, fault):
    """Byte by byte, in lumps, at 20 kB a second: slower, and nothing else."""
    _, proxy, alice, bob = room
    proxy.harm(up=fault, down=fault)
    alice("--timeout", "60", "send", "ops", "up " + "u" * 8000)
    bob("send", "ops", "down " + "d" * 8000)
    assert texts(alice) == ["up " + "u" * 8000, "down " + "d" * 8000] == texts(bob)


def test_partition_of_some(relay, room):
    """Whoever is cut off keeps what he says; the others talk on; together all agree."""
    _, proxy, alice, bob = room
    carol = relay.member("carol")
    carol("room", "join", "ops")
    proxy.hold(up=0, down=0)
    p = alice.run("send", "--timeout", "3", "ops", "from the island")
    assert p.returncode in (69, 75), (p.returncode, p.stderr)
    bob("send", "ops", "one")
    carol("send", "ops", "two")
    proxy.drop()
    alice("send", "ops", "three")
    assert texts(bob) == texts(carol) == texts(alice)
    assert texts(bob)[:2] == ["one", "two"] and texts(bob)[-1] == "three"
