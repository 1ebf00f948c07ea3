"""A scene in which the relay can lie (M1, M3, M4, M7): the real relay over a database that its operator
changes while it rests, and the real clients.

    from stage import Stage, heard, scene, stage      (both fixtures)"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3

import pytest

from relay import Relay


def trees_anew(db):
    """The trees that go with what the database says now: a liar has no reason to be found by them. What
    was deleted counts as an entry of zeros."""
    peaks, of, at = [], None, 0
    for row, room, number, line, time in db.execute("select rowid, room, number, line, time from "
                                                    "messages order by room, number").fetchall():
        if room != of:
            peaks, of, at = [], room, 0
        while at < number:
            at += 1
            leaf = f"{line}|{time}".encode() if at == number else b""
            nodes = [hashlib.sha256(b"\0" + leaf).digest()]
            while peaks and peaks[-1][0] == len(nodes):
                nodes.append(hashlib.sha256(b"\1" + peaks.pop()[1] + nodes[-1]).digest())
            peaks.append((len(nodes), nodes[-1]))
        db.execute("update messages set nodes = ? where rowid = ?", (b"".join(nodes), row))
    db.execute("delete from checkpoints")  # it signs what it says now


class Stage:
    """alice, bob and carol in #ops, with something said; a directory to go back to."""

    def __init__(self, tmp):
        self.relay = Relay(tmp).run()
        self.alice = self.relay.member("alice")
        self.bob, self.carol = self.relay.member("bob"), self.relay.member("carol")
        self.alice("room", "create", "ops", "--history", "all")
        self.bob("room", "join", "ops")
        self.carol("room", "join", "ops")
        self.alice("room", "create", "cellar", "--private")
        self.alice("room", "invite", "cellar", "bob")
        self.bob("room", "join", "cellar")
        self.alice("room", "create", "side", "--history", "all")
        self.carol("room", "join", "side")
        self.alice("send", "ops", "one")
        self.bob("recv")  # so that what he says vouches for what was before
        self.bob("send", "ops", "two")

    @property
    def path(self):
        return f"{self.relay.dir}/relay.db"

    def lie(self, *statements):
        """The operator at his database, while the relay rests."""
        self.relay.stop()
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.execute("pragma foreign_keys = off")
            for text, *values in statements:
                db.execute(text, values)
            trees_anew(db)
            db.commit()
        self.relay.run("--listen", f"127.0.0.1:{self.relay.port}")

    def rows(self):
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            at = db.execute("select * from messages order by room, number")
            names = [c[0] for c in at.description]
            return [dict(zip(names, r)) for r in at]

    def room(self, name):
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            return db.execute("select id from rooms where name = ?", (name,)).fetchone()[0]

    def keep(self):
        """A copy of all there is now."""
        self.relay.stop()
        where = f"{self.relay.tmp}/kept-{len(os.listdir(self.relay.tmp))}"
        shutil.copytree(self.relay.dir, where)
        self.relay.run("--listen", f"127.0.0.1:{self.relay.port}")
        return where

    def back(self, where):
        """Another history: the relay goes on from a copy."""
        self.relay.stop()
        shutil.rmtree(self.relay.dir)
        shutil.copytree(where, self.relay.dir)
        self.relay.run("--listen", f"127.0.0.1:{self.relay.port}")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        s = Stage(tmp_path_factory.mktemp("liar"))
        stack.enter_context(s.relay)
        s.honest, s.homes = s.keep(), {}
        for m in s.alice, s.bob, s.carol:
            s.homes[m.home] = f"{s.relay.tmp}/fresh-{m.name}"
            shutil.copytree(m.home, s.homes[m.home])
        yield s
        s.relay.stop()


@pytest.fixture
def stage(scene):
    """The honest history, everybody as he was then; carol has read none of it."""
    scene.back(scene.honest)
    for home, fresh in scene.homes.items():
        shutil.rmtree(home)
        shutil.copytree(fresh, home)
    return scene


def heard(member):
    """What a reader is told, and how it ended."""
    p = member.run("recv", "--json")
    lines = [json.loads(line) for line in p.stdout.splitlines()]
    return p.returncode, [m["text"] for m in lines if "text" in m and not m.get("refused")], \
        p.stdout + p.stderr


def body(text):
    return os.urandom(32) + json.dumps({"kind": "say", "text": text}).encode()


def head(before, line, time):
    return hashlib.sha256(before + f"{line}|{time}".encode()).digest()
