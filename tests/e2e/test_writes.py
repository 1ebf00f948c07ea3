"""What the relay writes, counted from outside with strace: one write per connection and turn of its
loop however many frames go, and none on a socket that is known to be full."""

import glob
import hashlib
import json
import re
import shutil
import socket
import struct
import subprocess

import pytest

from relay import Relay
from wire import Puppet, say

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")

SLICE = 64 * 1024  # WRITE_SLICE of common/util/limits.h
SEND = re.compile(r"sendto\((\d+), .*, (\d+), MSG_NOSIGNAL, NULL, 0\) += (-?\d+)")
READY = re.compile(r"\{events=([A-Z|]+), data=\{u32=(\d+)")


@pytest.fixture
def room(tmp_path):
    """One who talks and some who listen."""
    with Relay(tmp_path) as r:
        r.run()
        talker = Puppet(r, "tilda").join().login()
        room = talker.enter("room-create", name="ops", private=False, history="joined")
        ears = [Puppet(r, f"ear-{c}").join().login() for c in "abc"]
        for ear in ears:
            ear.enter("room-join", name="ops")
        yield r, talker, room, ears


class Trace:
    def __init__(self, relay):
        self.out = f"{relay.tmp}/trace"
        self.p = subprocess.Popen(["strace", "-ff", "-v", "-s", "64", "-o", self.out, "-e",
                                   "trace=sendto,epoll_wait,epoll_pwait", "-p",
                                   str(relay.process.pid)], stderr=subprocess.PIPE, text=True)
        line = self.p.stderr.readline()
        if "attached" not in line:
            pytest.skip(f"strace may not attach here: {line}")

    def turns(self):
        """For each turn of a loop: who was found ready to be written to, and (fd, asked, taken)."""
        self.p.terminate()
        self.p.wait()
        for path in glob.glob(self.out + ".*"):
            ready, sends = set(), []
            with open(path, encoding="ascii", errors="replace") as f:
                for line in f:
                    if line.startswith("epoll"):
                        yield ready, sends
                        ready = {int(fd) for events, fd in READY.findall(line)
                                 if "EPOLLOUT" in events}
                        sends = []
                    elif m := SEND.match(line):
                        sends.append(tuple(map(int, m.groups())))
            yield ready, sends


def burst(talker, room, count, text):
    """So many entries, signed beforehand, in one write of ours."""
    data = b""
    for _ in range(count):
        entry = talker.entry(room, say(text))
        talker.seqs[room] = (talker.seqs.get(room, (0, ""))[0] + 1,
                             hashlib.sha256(entry["line"].encode()).hexdigest())
        frame = json.dumps(entry).encode()
        data += struct.pack(">I", len(frame)) + frame
    return data


def entries(puppet, count):
    got = 0
    while got < count:
        frame = puppet.tls.take()
        assert frame, "the connection ended"
        got += frame["type"] == "entry" and "body" in frame
    return got


def test_one_write_carries_all_frames_of_a_turn(room):
    relay, talker, room_id, ears = room
    data = burst(talker, room_id, 40, "short")
    trace = Trace(relay)
    assert talker.tls.raw(data)
    for ear in ears:
        entries(ear, 40)
    counted = 0
    for _, sends in trace.turns():
        for fd in {fd for fd, _, _ in sends}:
            mine = [taken for other, _, taken in sends if other == fd]
            assert len(mine) <= 1 + sum(mine) // SLICE, sends
            counted += len(mine)
    # 120 deliveries and 40 answers; the entries come in few batches, not one by one
    assert 0 < counted < 100, counted


def test_a_full_socket_is_left_alone_until_it_has_room(room):
    relay, talker, room_id, ears = room
    slow = ears[0]
    slow.tls.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    with open("/proc/sys/net/ipv4/tcp_wmem", encoding="ascii") as f:
        kernel = int(f.read().split()[2])  # what it may take for one socket
    each = (kernel + (1 << 20)) // 4 // 80000  # an entry in JSON has 80 kB
    data = [burst(talker, room_id, each, "x" * 60000) for _ in range(4)]
    trace = Trace(relay)
    for part in data:
        assert talker.tls.raw(part)
        for ear in ears[1:]:
            entries(ear, each)
    entries(slow, 4 * each)
    full, filled = set(), 0
    for ready, sends in trace.turns():
        full -= ready
        for fd, asked, taken in sends:
            assert fd not in full, "a send on a socket that was full"
            if taken < asked:
                full.add(fd)
                filled += 1
    assert filled > 0, "no socket was ever full: the test shows nothing"
