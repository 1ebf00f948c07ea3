"""P6, P8: what others chose reaches no terminal as anything but visible characters: what members say,
what they and a lying relay name things, reasons, certificates, names of files. Judged are the bytes that
the real programs write, in a pseudo-terminal where they ask for one."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time

import pytest

from hostile import CORPUS, LINES, MIXED, clip, judge
from liar import Between, Liar
from relay import BUILD, CLIENT, PASSWORD, RELAY, SECONDS, Member, Relay
from screen import ESC, Screen
from wire import CHAT, JOIN, Puppet, Tls, say

CA = os.path.join(BUILD, "countersign-ca")


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("escapes")) as r:
        r.run("--per-source", 100)
        yield r
        r.stop()


@pytest.fixture(scope="module")
def people(relay):
    """bob reads in #lab, where mallory says what she likes."""
    bob, mallory = relay.member("bob"), Puppet(relay, "mallory").join().login()
    room = mallory.enter("room-create", name="lab", private=False, history="all")
    bob("room", "join", "lab")
    for text in (*CORPUS.values(), "\n".join(LINES), "this is the end"):
        got = mallory.say(room, say(text))
        assert got["type"] == "numbered", (got, text)
    return bob, mallory, room


def written(member, *argv, stdin=b""):
    p = subprocess.run([CLIENT, "--password-file", member.password, *argv], input=stdin,
                       env=member.env, capture_output=True, timeout=SECONDS, check=False)
    return p.stdout + p.stderr


# --- what a member says ---

def test_bodies_on_a_screen(people):
    with Screen(people[0], rows=60, cols=200) as s:
        s.login()
        s.wait("[1:#lab]")
        s.wait("this is the end")
        for _ in range(12):  # all of it is drawn once
            s.type("\x1b[5~")
            s.read(0.2)
        s.until(lambda: "^[[4242A" in s.text() or "^[[4242A" in s.raw.decode(), "the first of them")
        assert s.screen.title == "" and s.quit() == 0
        judge(s.raw, own=True)


def test_bodies_in_lines(people):
    """recv and plain: one message cannot pretend to be two, and programs get the exact text."""
    since = ("--since", "k1-0")
    raw = written(people[0], *since, "recv")
    judge(raw, own=False)
    assert b"^[[4242A" in raw and b"<9B>4242A" in raw and b"<U+202E>gpj" in raw
    assert not re.search(rb"^(\*\*\*|time=|-!-)", raw, re.M), "a line of others stands on its own"
    judge(written(people[0], "--room", "lab", "plain"), own=False)
    told = [json.loads(row) for row in written(people[0], "--json", *since, "recv").splitlines()]
    assert [m["text"] for m in told if "text" in m][:len(CORPUS)] == list(CORPUS.values())


def test_lines_on_a_terminal(people):
    """The same when the output of recv is a terminal."""
    argv = ["--password-file", people[0].password, "--since", "k1-0", "recv"]
    with Screen(people[0], rows=60, cols=200, argv=argv) as s:
        assert s.end() == 0
        judge(s.raw, own=True)
        assert b"^[[4242A" in s.raw


# --- what a member names things ---

def asked(puppet, what, **fields):
    """The relay's answer; who broke the protocol comes again."""
    got = puppet.ask(what, **fields)
    if got is None or got.get("re") == 0:
        puppet.login()
    return got or {"type": "error", "code": "cut", "text": ""}


def test_topics_on_a_screen(people):
    """A topic may be any one line: those that the relay takes are shown harmless, in the bar, in the
    line about the change and in the list of rooms."""
    bob, mallory, room = people
    topics = [clip(t, 500) for t in (*CORPUS.values(), *LINES)]
    with Screen(bob, rows=60, cols=200) as s:
        s.login()
        s.wait("this is the end")
        taken = [t for t in topics
                 if asked(mallory, "room-topic", room=room, topic=t)["type"] == "ok"]
        assert CORPUS["bidi"] in taken and CORPUS["tags"] in taken and LINES[0] in taken
        assert not [t for t in taken if re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", t)]
        for text in CORPUS["bidi"], "the end of topics":
            assert mallory.ask("room-topic", room=room, topic=text)["type"] == "ok"
            s.until(lambda: "gpj.exe" in s.text() or "the end of topics" in s.text(), text)
            judge(written(bob, "room", "list"), own=False)
        s.wait("the end of topics")
        assert s.screen.title == "" and s.quit() == 0
        assert b"<U+202E>gpj.exe" in s.raw
        judge(s.raw, own=True)


def test_names_that_are_none(people):
    """No room, person or device has a name of the corpus; the refusal says so in clean words."""
    mallory = people[1]
    guest, invite = Puppet(people[0].relay, "nameless"), people[0].relay.invite()
    for text in (*CORPUS.values(), *LINES):
        name = clip(text, 120)
        if name in ("null", "NaN"):
            continue  # these are names
        answers = [asked(mallory, "room-create", name=name, private=False, history="all"),
                   asked(mallory, "room-join", name=name), asked(mallory, "person", name=name)]
        if text in (CORPUS["osc 52"], CORPUS["bidi"], LINES[5]):
            answers += [guest.try_join(invite, name=name), guest.try_join(invite, device=name)]
        for got in answers:
            assert got["type"] == "error", (name, got)
            assert got["code"] in ("bad-name", "no-such", "malformed"), (name, got)
            judge(got["text"].encode(), own=False)
    assert guest.try_join(invite)["type"] == "joined"


# --- what a relay says, from a database that its operator changed ---

@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """alice and bob in #lab, and how all of it was."""
    with Relay(tmp_path_factory.mktemp("lies")) as relay:
        relay.run("--per-source", 100)
        alice, bob = relay.member("alice"), relay.member("bob")
        alice("room", "create", "lab", "--history", "all")
        bob("room", "join", "lab")
        alice("send", "lab", "hello")
        relay.stop()
        for path in relay.dir, bob.home:
            shutil.copytree(path, path + ".kept")
        yield relay, bob


@pytest.fixture
def rested(scene):
    """The same, and whatever a test leaves behind is gone."""
    yield scene
    scene[0].kill()


def restore(path):
    shutil.rmtree(path)
    shutil.copytree(path + ".kept", path)


LIES = {  # no relay says a topic with control bytes, and no client takes one
    "topic": ("update rooms set topic = ?", CORPUS["bidi"] + CORPUS["tags"]),
    "room": ("update rooms set name = ?", MIXED),
    "person": ("update users set name = ? where name = 'alice'", MIXED),
    "device": ("update devices set name = ? where rowid = (select min(rowid) from devices)", MIXED),
    "reason": ("update messages set body = null, why = ? "
               "where number = (select max(number) from messages)", MIXED + CORPUS["dcs"]),
}


@pytest.mark.parametrize("what", LIES)
def test_a_relay_that_lies_in_names(rested, what):
    """Shown as what they are, or refused with a sentence; so is what its own operator sees."""
    relay, bob = rested
    restore(relay.dir)
    restore(bob.home)
    statement, text = LIES[what]
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        assert db.execute(statement, [text]).rowcount == 1
        db.commit()
    relay.run("--listen", f"127.0.0.1:{relay.port}", "--per-source", 100)
    shown = b""
    for argv in ("room", "list"), ("room", "members", "lab"), ("--since", "k1-0", "recv"):
        shown += written(bob, "--timeout", "10", *argv)
    judge(shown, own=False)
    for raw in relay.admin("user", "list"), relay.admin("user", "disable", text, status=66):
        judge(raw.encode(), own=False)
    with Screen(bob) as s:
        s.wait("Password:")
        s.type(PASSWORD + "\r")
        s.until(lambda: re.search(r"\[1:|broke the protocol|FAILED", s.text()), "an end")
        for command in "/names", "/list", "/inspect alice":  # what comes in one read is a paste
            s.type(command + "\r")
            s.gone(command)
        s.type(ESC)
        s.quit()
        judge(s.raw, own=True)
        shown += s.raw
    assert re.search(rb"\^\[\[4242A|<U\+202E>|broke the protocol|dropped its text", shown), shown
    relay.stop()
    judge(relay.log().encode(), own=False)


# --- what a relay says in its frames ---

def leading_to(member, port):
    """A profile of this member's whose relay is at another port."""
    where = json.loads(member("me", "--json"))["directory"]
    other = f"{where}-{port}"
    shutil.copytree(where, other)
    with open(f"{other}/account", encoding="utf-8") as f:
        text = f.read()
    with open(f"{other}/account", "w", encoding="utf-8") as f:
        f.write(text.replace(f"port = {member.relay.port}\n", f"port = {port}\n"))
    return os.path.basename(other)


def hello(name="relay"):
    return json.dumps({"type": "hello", "v": 1, "features": [], "now": int(time.time() * 1000),
                       "relay": name}).encode()


def error(text, code="busy"):
    return json.dumps({"type": "error", "re": 0, "code": code, "text": text}).encode()


def test_a_relay_that_lies_in_frames(people):
    """Its name, its reasons, words and keys nobody knows, bytes that are no UTF-8."""
    bob = people[0]
    cases = [[hello(clip(t, 120)), error("no")] for t in (MIXED, CORPUS["marks"])]
    cases += [[hello(), error(clip(CORPUS[k], 200))]
              for k in ("osc 52", "decrqss", "apc, pm, sos", "bidi", "marks")]
    cases += [[hello(), error(MIXED, c)] for c in ("malformed", MIXED)]
    cases += [[hello(), json.dumps({MIXED: MIXED}).encode()],
              [hello(), json.dumps({"type": MIXED}).encode()],
              [hello(), b'{"type":"\x9b4242A\x1b]0;o\x07"}'], [b"\x1b]0;owned\x07" * 9],
              [hello(), b'{"type":"error","re":0,"code":"busy","text":"\x9b4242A\xff\x90"}']]
    with Liar(bob.relay) as liar:
        profile = leading_to(bob, liar.port)
        for liar.frames in cases:
            liar.heard.clear()
            raw = written(bob, "--profile", profile, "--timeout", "2", "room", "list")
            assert liar.heard.is_set() and raw.startswith(b"countersign: "), raw
            judge(raw, own=False)
            assert raw.count(b"\n") == 1, raw
        liar.frames = [hello(), error(MIXED)]
        with Screen(bob, argv=["--profile", profile]) as s:
            s.wait("Password:")
            s.type(PASSWORD + "\r")
            s.until(lambda: b"^[[4242A" in s.raw, "the reason, readable")
            s.quit()
            judge(s.raw, own=True)


def test_the_name_of_a_relay(people):
    """It is kept with the account: as it may be shown, and as one line of that file."""
    relay = people[0].relay
    name = "\nhost = example.org\n" + MIXED
    with Between(relay, lambda f: f | {"relay": name} if f["type"] == "hello" else f) as between:
        guest = Member(relay, "guest")
        raw = guest.join(relay.admin("invite", "--at", f"127.0.0.1:{between.port}").strip(), "guest")
    judge(raw.encode(), own=False)
    assert "^Jhost = example.org^J^[[4242A" in raw
    me = json.loads(guest("me", "--json"))
    assert me["host"] == "127.0.0.1" and me["port"] == between.port
    with open(f"{me['directory']}/account", "rb") as f:
        judge(f.read(), own=False)
    judge(written(guest, "me"), own=False)


# --- certificates and files ---

def certificate(where, subject):
    """A CA of our own, whose names openssl writes as they are."""
    key, crt = f"{where}/x.key", f"{where}/x.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-utf8", "-subj",
                    f"/CN={subject}/O={subject}", "-addext", "subjectAltName=IP:127.0.0.1", "-out",
                    crt, "-days", "9"], check=True, capture_output=True)
    return key, crt


@pytest.mark.parametrize("what", ["csi", "c1 as UTF-8", "bidi", "osc 52", "wide"])
def test_certificates_of_a_ca_of_ones_own(people, tmp_path, what):
    """Shown by countersign-ca and by a handshake with whoever presents one; logged by the relay."""
    bob, relay = people[0], people[0].relay
    subject = clip(CORPUS[what], 60).replace("/", "").replace("\\", "")
    key, crt = certificate(str(tmp_path), subject)
    p = subprocess.run([CA, "show", crt], capture_output=True, check=False, timeout=SECONDS)
    assert p.stdout + p.stderr
    judge(p.stdout + p.stderr, own=False)
    with Liar(relay, JOIN, crt, key) as liar:
        for argv in ("handshake",), ("--json", "handshake"):
            raw = written(bob, "--profile", "none", *argv, f"127.0.0.1:{liar.port}")
            assert raw
            judge(raw, own=False)
    with contextlib.closing(Tls(relay.port, CHAT, crt, key)) as stranger:
        stranger.closed()
    judge(relay.log().encode(), own=False)


def test_names_of_files(people, tmp_path):
    """What does not exist is named, readably, also when its name is no UTF-8."""
    bob = people[0]
    for name in MIXED.encode(), CORPUS["osc 52"].encode(), b"\x9b4242A\x90\xff":
        path = os.fsencode(tmp_path) + b"/" + name.replace(b"/", b"")
        for argv in ([CLIENT, "verify", path], [CLIENT, "verify", "--ca", path, path],
                     [CLIENT, "--password-file", path, "recv"], [CLIENT, name], [CA, "show", path],
                     [CLIENT, "--password-file", bob.password, "send", name, "x"],
                     [RELAY, "doctor", "--dir", path], [RELAY, "run", "--dir", path], [RELAY, name],
                     [RELAY, "run", b"--" + name], [RELAY, "run", b"--listen=" + name],
                     [CA, "crl", "--dir", path], [CA, name], [CA, "issue", "relay", name]):
            p = subprocess.run(argv, env=bob.env, capture_output=True, stdin=subprocess.DEVNULL,
                               timeout=SECONDS, check=False)
            assert p.returncode != 0 and p.stderr, argv
            judge(p.stdout + p.stderr, own=False)
        p = subprocess.run([CA, "init", "--dir", path, "Test"], capture_output=True, check=True,
                           timeout=SECONDS)
        judge(p.stdout + p.stderr, own=False)
