"""F7: databases that are held, damaged, cut short or of another version. Nobody crashes, nobody is
told what is not so, and nothing empty takes the place of what was there."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading

import pytest

from relay import CLIENT, SECONDS, Relay, countersignd, message, messages
from test_writes import burst, entries
from wire import Puppet

PAGE = 4096
BUSY_S = 5  # how long the relay's store waits by itself before it says so
faults = pytest.mark.faults


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        yield r


def two(relay, said=("first", "second", "third")):
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "ops")
    bob("room", "join", "ops")
    for text in said:
        alice("send", "ops", text)
    return alice, bob


def texts(p):
    assert p.returncode >= 0, p.stderr  # no signal ended it
    return [r["text"] for r in messages(p.stdout)]


def recv(member):
    return member.run("recv", "--json", "--since", "k1-0")


def store_of(member):
    return json.loads(member("me", "--json"))["directory"] + "/store.db"


@contextlib.contextmanager
def held(path):
    """Another process is in the middle of a transaction that writes."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("begin immediate")
        yield
        db.execute("rollback")


def listen(lines, text, numbered):
    """Sets numbered when the relay has acknowledged this text."""
    for row in map(json.loads, lines):
        if row.get("text") == text and row.get("number"):
            numbered.set()


@pytest.mark.parametrize("seconds", [BUSY_S + 2, pytest.param(30, marks=faults)])
def test_relay_waits_while_its_database_is_held(relay, seconds):
    """Nothing is acknowledged meanwhile, nobody is cut, and what was said goes in afterwards."""
    relay.run()
    alice, bob = two(relay)
    with subprocess.Popen([CLIENT, "--password-file", alice.password, "plain", "--json", "--room",
                           "ops"], text=True, env=alice.env, bufsize=1, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        while message(p.stdout)["text"] != "third":
            pass
        numbered = threading.Event()
        reader = threading.Thread(target=listen, args=(p.stdout, "patience", numbered))
        reader.start()
        gone = relay.log().count("event=gone")
        with held(f"{relay.dir}/relay.db"):
            p.stdin.write("patience\n")
            relay.wait("waiting")
            assert not numbered.wait(seconds - BUSY_S), "acknowledged while the lock is held"
        assert numbered.wait(SECONDS), relay.log()
        assert relay.log().count("event=gone") == gone, "somebody was cut"
        p.stdin.close()
        reader.join()
    assert texts(recv(bob)) == ["first", "second", "third", "patience"]
    assert relay.process.poll() is None and "event=fatal" not in relay.log()
    relay.stop()


def test_a_relay_is_stopped_while_its_database_is_held(relay):
    """Nobody has to find out first who holds it. What was acknowledged to nobody is said again."""
    relay.run()
    alice, bob = two(relay)
    with subprocess.Popen([CLIENT, "--password-file", alice.password, "plain", "--json", "--room",
                           "ops"], text=True, env=alice.env, bufsize=1, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        while message(p.stdout)["text"] != "third":
            pass
        numbered = threading.Event()
        reader = threading.Thread(target=listen, args=(p.stdout, "patience", numbered))
        reader.start()
        with held(f"{relay.dir}/relay.db"):
            p.stdin.write("patience\n")
            relay.wait("waiting")
            relay.stop()
            assert "event=stopped" in relay.log() and "event=fatal" not in relay.log()
            assert not numbered.is_set()
        relay.run("--listen", f"127.0.0.1:{relay.port}")
        assert numbered.wait(SECONDS), relay.log()
        p.stdin.close()
        reader.join()
    assert texts(recv(bob)) == ["first", "second", "third", "patience"]
    relay.stop()


def test_nobody_who_reads_is_cut_after_a_held_database(relay):
    """What came meanwhile goes out at once, and is more than may wait for one reader (F1)."""
    each, out_kib = 7, 2056
    relay.run("--out-kib", out_kib)
    talkers = [Puppet(relay, f"talker-{c}").join().login() for c in "abcd"]
    room = talkers[0].enter("room-create", name="ops", private=False, history="joined")
    ears = [Puppet(relay, f"ear-{c}").join().login() for c in "ab"]
    for p in talkers[1:] + ears:
        p.enter("room-join", name="ops")
    for p in ears:  # what the kernel does not hold back is the reader's own business
        p.tls.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    data = [burst(t, room, each, "x" * 63000) for t in talkers]
    assert sum(map(len, data)) > out_kib * 1024
    got = {}

    def listen(p, count):
        got[p.name] = entries(p, count)
    threads = [threading.Thread(target=t.tls.raw, args=(d,)) for t, d in zip(talkers, data)]
    readers = [threading.Thread(target=listen, args=(p, 4 * each)) for p in ears]
    with held(f"{relay.dir}/relay.db"):
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        relay.wait("waiting")
        for t in readers:
            t.start()
    for t in readers:
        t.join()
    assert got == {p.name: 4 * each for p in ears}
    assert "reads too slowly" not in relay.log()
    relay.stop()


def test_operator_waits_for_a_held_database_and_says_so(relay):
    with held(f"{relay.dir}/relay.db"):
        assert "lock" in relay.admin("invite", "--at", "127.0.0.1:7443", status=75)
    relay.admin("invite", "--at", "127.0.0.1:7443")


def test_client_waits_for_its_held_store(relay):
    relay.run()
    alice, bob = two(relay)
    with held(store_of(alice)):
        p = alice.run("send", "--timeout", "9", "ops", "held")
        assert p.returncode in (74, 75) and "lock" in p.stderr, (p.returncode, p.stderr)
    alice("send", "ops", "free")
    assert texts(recv(bob)) == ["first", "second", "third", "free"]
    relay.stop()


# --- damage ---

def damaged(path, page, rng):
    """One bit of this page is another; of the first one a bit of the file's magic."""
    with open(path, "r+b") as f:
        f.seek(page * PAGE + rng.randrange(PAGE if page > 0 else 16))
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 1 << rng.randrange(8)]))


def pages(path, every):
    return range(0, os.path.getsize(path) // PAGE, every)


def started(relay):
    """Does it serve from this database? If not, it said why in one sentence and ended."""
    relay.run("--listen", f"127.0.0.1:{relay.port}", ready=False)
    try:
        relay.wait("listening")
        return True
    except AssertionError:
        ended(relay, 65, 74, 78)
        assert any(w and w.startswith("countersignd: ") for w in relay.lines[-3:]), relay.log()
        return False


def ended(relay, *status):
    assert relay.process.wait(SECONDS) in status, relay.log()
    relay.reader.join(SECONDS)  # its last words are not the next one's first


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=faults)])
def test_a_flipped_bit_in_any_page_of_the_relay(relay, every):
    """It does not start, or serves what is right, or says that it is not: a reader checks all."""
    relay.run()
    alice, bob = two(relay, [f"message {i} {'x' * 1500}" for i in range(8)])
    said = texts(recv(bob))
    relay.stop()
    path, rng = f"{relay.dir}/relay.db", random.Random(1)
    shutil.copy(path, f"{relay.tmp}/whole")
    refused = 0
    for page in pages(path, every):
        shutil.copy(f"{relay.tmp}/whole", path)
        damaged(path, page, rng)
        before = open(path, "rb").read()
        if not started(relay):
            refused += 1
            assert open(path, "rb").read() == before, f"page {page} was changed"
            continue
        p = bob.run("--timeout", "20", "recv", "--json", "--since", "k1-0")
        assert set(texts(p)) <= set(said), f"page {page}"
        if relay.process.poll() is None:
            relay.kick(signal.SIGTERM)
        ended(relay, 0, 65, 74)
    assert refused > 0
    shutil.copy(f"{relay.tmp}/whole", path)
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    alice("send", "ops", "whole again")
    assert texts(recv(bob)) == [*said, "whole again"]
    relay.stop()


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=faults)])
def test_a_flipped_bit_in_any_page_of_the_client(relay, every):
    """One sentence, or what was said: rows are sealed, so no other words come out."""
    relay.run()
    alice, bob = two(relay, [f"message {i} {'y' * 1500}" for i in range(8)])
    said, path, rng = texts(recv(bob)), store_of(bob), random.Random(2)
    shutil.copy(path, f"{relay.tmp}/whole")
    for page in pages(path, every):
        shutil.copy(f"{relay.tmp}/whole", path)
        damaged(path, page, rng)
        p = bob.run("--timeout", "20", "recv", "--json", "--since", "k1-0")
        got = texts(p)
        assert set(got) <= set(said) and got == sorted(got), f"page {page}"
        assert p.returncode == 0 or p.stderr.startswith("countersign: "), (page, p.stderr)
    shutil.copy(f"{relay.tmp}/whole", path)
    alice("send", "ops", "whole again")
    assert texts(recv(bob)) == [*said, "whole again"]
    relay.stop()


@pytest.mark.parametrize("cuts", [2, pytest.param(24, marks=faults)])
def test_a_write_ahead_log_cut_anywhere(relay, cuts):
    """What a disk that lied has lost is gone; the rest is a prefix, and people go on from there."""
    relay.run("--listen", "127.0.0.1:0")
    alice, bob = two(relay)
    relay.kill()
    path = f"{relay.dir}/relay.db"
    whole = os.path.getsize(path + "-wal")
    assert whole > 0
    for f in ("relay.db", "relay.db-wal"):
        shutil.copy(f"{relay.dir}/{f}", f"{relay.tmp}/{f}")
    for cut in range(cuts):
        for f in ("relay.db", "relay.db-wal"):
            shutil.copy(f"{relay.tmp}/{f}", f"{relay.dir}/{f}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + "-shm")
        os.truncate(path + "-wal", whole * cut // cuts + cut)
        if started(relay):
            got = texts(bob.run("--timeout", "20", "recv", "--json", "--since", "k1-0"))
            assert got == ["first", "second", "third"][:len(got)], (cut, got)
            relay.stop()
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("pragma integrity_check").fetchone() == ("ok",)


# --- other versions, and none ---

def test_an_older_schema_is_renewed_and_nobody_is_lost(relay):
    """Version 1, from before members signed for themselves and the audit log had an index. Rooms of
    that time are test_seats.c's and test_store.c's."""
    relay.run()
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    relay.stop()
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        version = db.execute("pragma user_version").fetchone()[0]
        db.executescript("drop table audit_keys; drop table audit_checkpoints; drop index audit_known;"
                         "drop index audit_number; drop index audit_open; drop index audit_folded;"
                         "alter table audit_log drop column number; alter table audit_log drop column sealed;"
                         "alter table audit_log drop column nodes;"
                         "create unique index audit_folded on audit_log (event, reason, address, time) where folded;"
                         "drop index audit_time; drop index messages_seats; drop table receipts; drop table logins;"
                         "drop table checkpoints; drop table signers;"
                         "alter table messages drop column nodes;"
                         "alter table messages drop column seats;"
                         "alter table members drop column joined; pragma user_version = 1")
    assert "older version" in countersignd("doctor", "--dir", relay.dir, status=78)
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        assert db.execute("pragma user_version").fetchone()[0] == version
    alice("room", "create", "ops")
    bob("room", "join", "ops")
    alice("send", "ops", "renewed")
    assert texts(recv(bob)) == ["renewed"]
    relay.stop()


@pytest.mark.parametrize("harm", ["newer", "foreign", "garbage"])
def test_a_store_that_is_not_ours_stays(relay, harm):
    relay.run()
    alice, _ = two(relay)
    path = store_of(alice)
    if harm == "garbage":
        with open(path, "r+b") as f:
            f.write(b"not a database at all" * 100)
    else:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("pragma user_version = 999" if harm == "newer"
                       else "pragma application_id = 7")
    before = open(path, "rb").read()
    p = alice.run("send", "ops", "lost?")
    assert p.returncode == 65 and p.stderr.startswith("countersign: "), (p.returncode, p.stderr)
    assert open(path, "rb").read() == before
    relay.stop()


def test_a_client_that_lost_its_store_goes_on(relay):
    """Its chain is with the relay: adopted after its own signature verified, nothing comes twice."""
    relay.run()
    alice, bob = two(relay)
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.truncate(store_of(alice) + suffix, 0)
    alice("send", "ops", "fourth")
    assert texts(recv(bob)) == ["first", "second", "third", "fourth"] == texts(recv(alice))
    relay.stop()
