"""A relay under load for a minute: members talk, come and go, an operator disables people, and
it reads its configuration anew. `make tsan` runs this against a relay built with ThreadSanitizer."""

import os
import signal
import socket
import threading
import time

import pytest

from relay import Relay
from wire import CHAT, JOIN, Puppet, Tls, say

pytestmark = pytest.mark.tsan

LOAD_SECONDS = int(os.environ.get("LOAD_SECONDS", "60"))
TALKERS, CHURNERS = 4, 3


class Load:
    def __init__(self, relay):
        self.relay, self.end = relay, time.monotonic() + LOAD_SECONDS
        self.faults, self.numbered, self.logins = [], 0, 0
        self.lock = threading.Lock()

    def busy(self):
        return time.monotonic() < self.end and not self.faults

    def run(self, *works):
        def guarded(work):
            try:
                work()
            except Exception as e:  # shown by the test, with the relay's log
                self.faults.append(e)
        threads = [threading.Thread(target=guarded, args=(w,)) for w in works]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def talker(self, puppet, room):
        """Says as much as the relay takes, and reads what the others say."""
        def work():
            n = 0
            while self.busy():
                answer = puppet.say(room, say(f"{puppet.name} {n}"))
                assert answer and answer["type"] in ("numbered", "again"), answer
                n += answer["type"] == "numbered"
                puppet.others.clear()
                if n % 25 == 0:
                    assert puppet.ask("history", room=room, after=0, count=20)["entries"]
                    assert puppet.ask("members", room=room)["type"] == "members"
            with self.lock:
                self.numbered += n
        return work

    def churner(self, puppet, room):
        """Comes, reads, goes, sometimes rudely."""
        def work():
            n = 0
            while self.busy():
                puppet.login()
                if n % 3 == 0:
                    assert puppet.leave(room)["type"] == "numbered"
                    puppet.enter("room-join", name="load")
                elif n % 3 == 1:
                    puppet.tls.raw(b"\xff\xff\xff\xff")
                    puppet.tls.closed()
                puppet.close()
                n += 1
            with self.lock:
                self.logins += n
        return work

    def rabble(self):
        """Guests, half handshakes, silence."""
        while self.busy():
            guest = Tls(self.relay.port, JOIN)
            guest.take()
            Tls(self.relay.port, CHAT).close()  # without a certificate
            with socket.create_connection(("127.0.0.1", self.relay.port)) as s:
                s.sendall(b"\x16\x03\x01\x02\x00")
            guest.close()

    def operator(self):
        """What an operator does beside a running relay."""
        while self.busy():
            self.relay.kick(signal.SIGHUP)
            self.relay.wait("reloaded")
            self.relay.admin("user", "disable", "victim")
            self.relay.admin("user", "enable", "victim")
            self.relay.invite()


def test_load(tmp_path):
    with Relay(tmp_path) as relay:
        relay.run("--threads", 2, "--workers", 2, "--per-source", 200, "--handshakes", 200,
                  "--max-conns", 500)
        people = [Puppet(relay, f"talker-{i}x").join().login() for i in "abcd"[:TALKERS]]
        people += [Puppet(relay, f"guest-{i}x").join() for i in "efg"[:CHURNERS]]
        Puppet(relay, "victim").join()
        room = people[0].enter("room-create", name="load", private=False, history="all")
        for p in people[1:]:
            if p.tls is None:
                p.login()
            p.enter("room-join", name="load")
        load = Load(relay)
        load.run(*[load.talker(p, room) for p in people[:TALKERS]],
                 *[load.churner(p, room) for p in people[TALKERS:]], load.rabble, load.operator)
        assert not load.faults, (load.faults, relay.log()[-3000:])
        for p in people:
            p.close()
        relay.stop()
        assert "ThreadSanitizer" not in relay.log()
        assert load.numbered > 20 and load.logins > 5, (load.numbered, load.logins)
