"""Ephemeral rooms between the real programs: nothing on the relay's disk, an end with the relay that
alarms nobody, and nothing of it left with the client afterwards."""

import json
import os
import sqlite3

import pytest

from relay import Relay
from wire import Puppet, say

SECRET = "burn after reading 4711"


@pytest.fixture
def room(tmp_path):
    with Relay(tmp_path) as r:
        r.run()
        alice, bob = r.member("alice", "--admin"), r.member("bob")
        alice("room", "create", "smoke", "--ephemeral", "--history", "all")
        bob("room", "join", "smoke")
        yield r, alice, bob


def texts(member, *argv):
    out = [json.loads(line) for line in member("recv", "--json", *argv).splitlines()]
    return [r["text"] for r in out if r["event"] == "entry" and "text" in r]


def rows(member, what):
    store = [os.path.join(d, f) for d, _, names in os.walk(member.home) for f in names
             if f == "store.db"]
    with sqlite3.connect(store[0]) as db:
        return db.execute(what).fetchall()


def on_disk(where, text):
    for d, _, names in os.walk(where):
        for name in names:
            with open(os.path.join(d, name), "rb") as f:
                if text.encode() in f.read():
                    return name
    return None


def test_it_is_read_while_it_lives_and_never_on_the_relays_disk(room):
    relay, alice, bob = room
    alice("send", "smoke", SECRET)
    assert texts(bob, "--since", "k1-0") == [SECRET]
    relay.stop()
    assert on_disk(relay.dir, SECRET) is None
    with sqlite3.connect(f"{relay.dir}/relay.db") as db:
        tables = [t for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert tables
        for table in tables:
            for row in db.execute(f"SELECT * FROM {table}"):
                assert "smoke" not in row, table


def test_its_end_alarms_nobody_and_leaves_nothing(room):
    relay, alice, bob = room
    alice("room", "create", "stone", "--history", "all")
    bob("room", "join", "stone")
    alice("send", "stone", "this stays")
    alice("send", "smoke", SECRET)
    assert sorted(texts(bob, "--since", "k1-0")) == sorted(["this stays", SECRET])
    assert rows(bob, "SELECT count(*) FROM entry WHERE account <> ''")[0][0] >= 2
    relay.stop()
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    for member in (alice, bob):
        said = member("recv", "--json", "--since", "k1-0")
        found = [json.loads(line) for line in said.splitlines()]
        assert not [r for r in found if r["event"] in ("alarm", "refused") or r.get("refused")]
        assert [r["text"] for r in found if r["event"] == "entry"] == ["this stays"]
        rooms = rows(member, "SELECT count(DISTINCT room) FROM entry WHERE line <> ''")
        assert rooms[0][0] == 1
        assert rows(member, "SELECT count(*) FROM outbox")[0][0] == 0
    alice("send", "smoke", "nobody hears", status=66)
    alice("room", "create", "smoke", "--ephemeral", "--history", "all")  # the name is free
    bob("room", "join", "smoke")
    alice("send", "smoke", "anew")
    assert texts(bob, "--since", "k1-0")[-1] == "anew"


def test_only_the_latest_are_there_for_who_comes_late(room):
    relay, alice, bob = room
    late = Puppet(relay, "lara").join().login()
    talker = Puppet(relay, "tilda").join().login()
    answer = talker.ask("room-join", name="smoke")["room"]
    talker.enter("room-join", name="smoke")
    assert answer["ephemeral"] is True
    for i in range(5):  # five of these are more than a window's bytes
        assert talker.say(answer["id"], say(f"{i}" + "x" * 65000))["type"] == "numbered"
    seen = late.ask("room-join", name="smoke")["room"]
    late.enter("room-join", name="smoke")
    assert 1 < seen["from"] <= seen["number"]
    page = late.ask("history", room=seen["id"], after=0, count=100)
    numbers = [e["number"] for e in page["entries"]]
    assert page["first"] == numbers[0] >= seen["from"] and numbers[-1] >= 5
    # bob was away for longer than that: told so, and not alarmed
    got = [json.loads(line) for line in bob("recv", "--json", "--since", "k1-0").splitlines()]
    assert not [r for r in got if r["event"] == "alarm" or r.get("refused")]
    assert [r["text"][0] for r in got if r["event"] == "entry" and "text" in r][-1] == "4"
