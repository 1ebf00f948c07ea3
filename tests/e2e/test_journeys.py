"""What people do with it, from the first minute on: the README's journeys, rooms with three
members, restarts, lost machines, and that what was acknowledged is there once, in order."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from proxy import Proxy
from relay import BUILD, CLIENT, PASSWORD, SECONDS, Member, Relay, alert, message, openssl
from screen import Screen

pexpect = pytest.importorskip("pexpect")

README = os.path.join(os.path.dirname(__file__), "..", "..", "README.md")


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        r.run()
        yield r


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def entries(member, *argv):
    """Everything the member may read, from the first message on."""
    got = rows(member("recv", "--json", "--since", "k1-0", *argv))
    return [r for r in got if r["event"] == "entry"]


def texts(member, *argv):
    return [r["text"] for r in entries(member, *argv)]


@contextlib.contextmanager
def running(process):
    """A client that goes on; it ends with the block."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def plain(member, room):
    """The line client, ready: it says what comes on its standard input."""
    return subprocess.Popen([CLIENT, "--password-file", member.password, "plain", "--json",
                             "--room", room], text=True, bufsize=1, env=member.env,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def next_text(process):
    return message(process.stdout)["text"]


# --- the first minute ---

def readme(prompt):
    """The commands of the README that follow this prompt, as they stand there."""
    with open(README, encoding="utf-8") as f:
        found = re.findall(rf"^ +{prompt}\$ +(.*?)(?: +#.*)?$", f.read(), re.M)
    assert found
    return found


def at_terminal(command, env):
    return pexpect.spawn("/bin/sh", ["-c", command], env=env | {"TERM": "xterm"}, encoding="utf-8",
                         timeout=SECONDS, dimensions=(24, 80))


def test_own_relay_as_the_readme_says(tmp_path):
    """init, run, join at a terminal, and every day: the words of the README, paths apart."""
    init, run = readme("relay")
    join = readme("laptop")[0]
    assert (init, run, join) == ("countersignd init relay.example", "countersignd run",
                                 "countersign join")
    env = dict(os.environ, PATH=f"{BUILD}:{os.environ['PATH']}", LC_ALL="C.UTF-8")
    where = f" --dir {tmp_path}/relay"
    # only the name is another: relay.example is nobody's
    told = subprocess.run(init.replace("relay.example", "localhost") + where +
                          " --listen 127.0.0.1:0 --at localhost:7443", shell=True, env=env,
                          text=True, check=True, stdout=subprocess.PIPE).stdout
    invite = re.search(r"countersign://\S+", told)[0]
    assert invite.startswith("countersign://localhost:7443/#1.")
    relay = subprocess.Popen("exec " + run + where, shell=True, env=env, text=True,
                             stderr=subprocess.PIPE)
    with running(relay):
        port = next(re.search(r"port=(\d+)", line)[1] for line in relay.stderr
                    if "event=listening" in line)
        invite = subprocess.run(f"countersignd invite --at localhost:{port}" + where, shell=True,
                                env=env, text=True, check=True, stdout=subprocess.PIPE).stdout
        home = {"HOME": str(tmp_path / "alice")}
        os.mkdir(home["HOME"], 0o700)
        laptop = {k: v for k, v in env.items() if not k.startswith("XDG_")} | home
        p = at_terminal(join, laptop)
        p.expect(r"Invite \(not shown\): ")
        p.sendline(invite.strip())
        p.expect("Your name: ")
        p.sendline("alice")
        p.expect("Name of this device .*: ")
        p.sendline("laptop")
        for _ in range(2):
            p.expect(r"[^\r\n]*: $")
            p.sendline(PASSWORD)
        p.expect("joined +localhost")
        p.expect("next +countersign")
        p.expect("TLS 1.3 ok")  # the screen is open, without asking for the password again
        p.send("/quit\r")
        p.expect(pexpect.EOF)
        p.close()
        assert p.exitstatus == 0
        p = at_terminal("countersign", laptop)
        p.expect("Password: ")
        p.sendline(PASSWORD)
        p.expect("TLS 1.3 ok")
        p.send("/quit\r")
        p.expect(pexpect.EOF)
        p.close()
        assert p.exitstatus == 0
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(SECONDS) == 0


def test_a_mistake_at_a_prompt_costs_no_answer(relay):
    """Each question of join is put again, with a sentence that says what was wrong with the answer:
    in whole words, though the terminal is narrow, and without an option's name."""
    invite = relay.invite("--admin")
    cut = invite[:-1] + ("0" if invite[-1] != "0" else "1")
    with Screen(Member(relay, "alice"), rows=60, cols=40, argv=["join"]) as s:
        for prompt, answers in (
                ("Invite (not shown):", (("garbage", "begins with"), (cut, "checksum is wrong"),
                                         (invite, ""))),
                ("Your name:", (("", "at least one"), ("al ice", "has no spaces"),
                                ("alice", ""))),
                ("Name of this device", (("lap top", "- _ . may stand"), ("laptop", ""))),
                ("New password", (("short", "at least 8"), (PASSWORD, "")))):
            for n, (answer, why) in enumerate(answers, 1):
                s.until(lambda: s.text().count(prompt) == n, f"{n} times {prompt}")
                s.type(answer + "\r")
                s.wait(why)
        s.wait("The same again:")
        s.type("something else\r")
        s.wait("the two passwords differ")
        s.until(lambda: s.text().count("New password") == 3, "the question for both again")
        asked = s.text()
        assert not any(word in asked for word in ("--name", "Your name: a name", invite))
        words = " ".join(asked.split())  # of a sentence that has two rows, none is cut
        assert "a name has no spaces: letters, 0-9 and - _ . may stand in it" in words
        s.type(PASSWORD + "\r")
        s.until(lambda: s.text().count("The same again:") == 2, "the second time")
        s.type(PASSWORD + "\r")
        s.wait("TLS 1.3 ok")
        assert s.quit() == 0


def test_joining_a_relay_that_is_there(relay):
    """The second person: an invite, one command, the first message on the other screen."""
    alice = relay.member("alice", "--admin")
    alice("room", "create", "ops", "--history", "all")
    alice("send", "ops", "welcome")
    bob = Member(relay, "bob")
    said = bob.join(relay.invite(), "bob")
    assert len(said.splitlines()) == 5 and "joined" in said
    bob("room", "join", "ops")
    assert texts(bob) == ["welcome"]
    bob("send", "ops", "thank you")
    assert texts(alice) == ["welcome", "thank you"]
    # both see the same fingerprints of each other
    own = {m: rows(m("me", "--json"))[0]["sha256"] for m in (alice, bob)}
    seen = {r["author"]: r["certificate"] for r in entries(alice)}
    assert seen == {"alice": own[alice], "bob": own[bob]}


# --- three members ---

@pytest.fixture
def three(relay):
    return [relay.member("alice", "--admin"), relay.member("bob"), relay.member("carol")]


def test_three_members_and_history(three):
    alice, bob, carol = three
    alice("room", "create", "open", "--history", "all")
    alice("room", "create", "late", "--history", "joined")
    for room in ("open", "late"):
        bob("room", "join", room)
        alice("send", room, f"{room} 1")
        bob("send", room, f"{room} 2")
        carol("room", "join", room)
        carol("send", room, f"{room} 3")
    assert texts(carol, "--room", "open") == ["open 1", "open 2", "open 3"]
    assert texts(carol, "--room", "late") == ["late 3"]
    for member in (alice, bob):
        assert texts(member, "--room", "late") == ["late 1", "late 2", "late 3"]
        assert all(e["sig"] == "good" and "refused" not in e for e in entries(member))
    numbers = [e["number"] for e in entries(carol, "--room", "late")]
    assert numbers == [6]  # two joins, two messages, her join


def test_who_left_does_not_read_on(three):
    alice, bob, carol = three
    alice("room", "create", "late")
    for member in (bob, carol):
        member("room", "join", "late")
    alice("send", "late", "one")
    assert texts(carol, "--room", "late") == ["one"]
    carol("room", "leave", "late")
    alice("send", "late", "behind her back")
    carol("send", "late", "x", status=66)
    carol("room", "join", "late")
    bob("send", "late", "two")
    assert "behind her back" not in texts(carol, "--room", "late")
    assert texts(carol, "--room", "late")[-1] == "two"
    carol("send", "late", "three")
    assert texts(alice, "--room", "late") == ["one", "behind her back", "two", "three"]
    assert all("refused" not in e for e in entries(alice) + entries(carol))


def test_direct_messages_stay_between_two(three):
    alice, bob, carol = three
    alice("send", "@bob", "for bob")
    bob("send", "@alice", "for alice")
    carol("send", "@bob", "from carol")
    assert texts(alice) == ["for bob", "for alice"]
    assert sorted(texts(bob)) == ["for alice", "for bob", "from carol"]
    assert texts(carol) == ["from carol"]


def test_private_room_by_invitation(three):
    alice, bob, carol = three
    alice("room", "create", "board", "--private", "--history", "all")
    alice("send", "board", "early")
    for member in (bob, carol):
        assert "board" not in member("room", "list")
        member("room", "join", "board", status=66)
    alice("room", "invite", "board", "bob")
    assert texts(bob) == []  # an invitation alone shows nothing
    bob("room", "join", "board")
    assert texts(bob) == ["early"]
    carol("room", "join", "board", status=66)
    bob("room", "invite", "board", "carol")  # any member may
    carol("room", "join", "board")
    carol("room", "leave", "board")
    carol("room", "join", "board", status=66)  # good for one joining
    bob("room", "topic", "board", "figures of the third quarter")
    listed = {r["room"]: r["topic"] for r in rows(alice("room", "list", "--json"))
              if r["event"] == "room"}
    assert listed["board"] == "figures of the third quarter"


def test_topic_of_a_public_room_is_the_owners(three):
    alice, bob, _ = three
    alice("room", "create", "square")
    bob("room", "join", "square")
    assert bob.run("room", "topic", "square", "mine now").returncode != 0
    alice("room", "topic", "square", "for all")
    assert "mine now" not in bob("room", "list") and "for all" in bob("room", "list")


# --- the relay goes and comes ---

def test_restart_loses_and_doubles_nothing(relay, three):
    """Two clients stay open over a stop, a kill -9 and an hour of silence; what is said meanwhile
    goes out by itself, once."""
    alice, bob, _ = three
    alice("room", "create", "ops", "--history", "all")
    bob("room", "join", "ops")
    with running(plain(alice, "ops")) as says, \
            running(bob.start("recv", "--follow", "--json")) as reads:
        def say(text):
            says.stdin.write(text + "\n")
        say("before")
        assert next_text(says) == next_text(reads) == "before"
        relay.stop()
        say("while it is down")
        relay.run("--listen", f"127.0.0.1:{relay.port}")
        say("after")
        got = [next_text(reads) for _ in range(2)]
        assert got == ["while it is down", "after"]
        relay.kill()
        say("while it is dead")
        relay.run("--listen", f"127.0.0.1:{relay.port}")
        assert next_text(reads) == "while it is dead"
        assert says.poll() is None and reads.poll() is None
    everything = ["before", "while it is down", "after", "while it is dead"]
    assert texts(alice) == texts(bob) == everything


def audit(relay, event):
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        return [dict(zip(("event", "account", "fingerprint", "reason", "address", "count"), row))
                for row in db.execute("select event, account, fingerprint, reason, address, count "
                                      "from audit_log where event = ? order by time", (event,))]


def test_a_cut_connection_is_resumed_without_the_password(relay, three):
    alice = three[0]
    alice("room", "create", "ops", "--history", "all")
    with Proxy(relay.port) as proxy:
        dave = Member(relay, "dave")
        dave.join(relay.admin("invite", "--at", f"127.0.0.1:{proxy.port}").strip(), "dave")
        dave("room", "join", "ops")
        with running(dave.start("recv", "--follow", "--json")) as reads:
            alice("send", "ops", "one")
            assert next_text(reads) == "one"
            logins = len(audit(relay, "login"))
            proxy.drop()
            alice("send", "ops", "two")
            assert next_text(reads) == "two"
        new = audit(relay, "login")[logins:]
        assert sorted(r["reason"] for r in new) == ["password", "token"]  # alice, dave


# --- the client goes and comes ---

LONG = "long " * 4000  # more than anything else that a client says


@pytest.fixture
def held(relay):
    """dave's client behind a proxy, a reader that sees what the relay has."""
    alice = relay.member("alice", "--admin")
    alice("room", "create", "ops", "--history", "all")
    with Proxy(relay.port) as proxy:
        dave = Member(relay, "dave")
        dave.join(relay.admin("invite", "--at", f"127.0.0.1:{proxy.port}").strip(), "dave")
        dave("room", "join", "ops")
        dave("send", "ops", "first")
        yield proxy, dave, alice


def line_of(member, seq):
    return [e for e in entries(member) if e["seq"] == seq and e["author"] == "dave"]


@pytest.mark.parametrize("way", ["up", "down"])
def test_kill_between_disk_and_acknowledgement(held, way):
    """The entry never reached the relay, or its acknowledgement never came back: the next
    connection sends the same bytes, and there is one copy."""
    proxy, dave, alice = held
    with running(plain(dave, "ops")) as says:
        says.stdin.write("second\n")
        while next_text(says) != "second":
            pass
        proxy.hold(**{way: 8192 if way == "up" else 0})
        says.stdin.write(LONG + "\n")
        assert proxy.held.wait(SECONDS)
        says.kill()
        says.wait()
    before = texts(alice)
    assert before == (["first", "second"] if way == "up" else ["first", "second", LONG])
    proxy.drop()
    dave("send", "ops", "last")
    assert texts(alice) == ["first", "second", LONG, "last"] == texts(dave)
    assert [e["seq"] for e in entries(alice)] == [2, 3, 4, 5]  # 1 is his join


def test_send_without_an_answer_keeps_the_message(held):
    """Exit 75: not sent, not lost. The bytes that go out later are those that were signed."""
    proxy, dave, alice = held
    proxy.hold(up=16384)
    p = dave.run("send", "--timeout", "3", "ops", LONG)
    assert p.returncode == 75 and "kept" in p.stderr, p.stderr
    proxy.drop()
    assert texts(alice) == ["first"]
    dave("recv")
    assert texts(alice) == ["first", LONG]
    dave("recv")
    assert texts(alice) == ["first", LONG] == texts(dave)


def test_two_clients_on_one_profile(held):
    _, dave, alice = held
    with running(dave.start("recv", "--follow", "--json")) as reads:
        assert next_text(reads) == "first"
        p = dave.run("send", "ops", "from the other one")
        assert p.returncode == 75 and "--profile" in p.stderr
        alice("send", "ops", "goes on")
        assert next_text(reads) == "goes on"
    dave("send", "ops", "now")
    assert texts(alice) == ["first", "goes on", "now"]


# --- M11: acknowledged means on disk ---

ROUNDS = 10


@pytest.mark.parametrize("rounds", [
    ROUNDS, pytest.param(200, marks=pytest.mark.faults)])
def test_kill_9_of_the_relay_under_load(relay, three, rounds):
    """Three members say what they can while the relay dies again and again. Whatever a client was
    told that the relay has is there: once, in the order of its author, in an unbroken chain."""
    three[0]("room", "create", "ops", "--history", "all")
    for member in three[1:]:
        member("room", "join", "ops")
    stop, lock = threading.Event(), threading.Condition()
    acked, said = {m.name: [] for m in three}, {m.name: [] for m in three}

    def sends(member):
        while not stop.is_set():
            text = f"{member.name} {len(said[member.name])}"
            said[member.name].append(text)
            p = member.run("send", "--json", "--timeout", "5", "ops", text)
            if p.returncode == 0:
                with lock:
                    acked[member.name].append((rows(p.stdout)[0]["number"], text))
                    lock.notify_all()
            else:
                assert p.returncode in (69, 75), (p.returncode, p.stderr)

    threads = [threading.Thread(target=sends, args=(m,)) for m in three]
    for t in threads:
        t.start()
    try:
        for _ in range(rounds):
            with lock:  # somebody was acknowledged since the last start, then it dies
                have = sum(map(len, acked.values()))
                assert lock.wait_for(lambda: sum(map(len, acked.values())) > have, SECONDS)
            relay.kill()
            relay.run("--listen", f"127.0.0.1:{relay.port}")
    finally:
        stop.set()
        for t in threads:
            t.join()
    for member in three:
        member("recv")  # whatever is left in an outbox goes out
    got = entries(three[0], "--room", "ops")
    first = got[0]["number"]  # behind three joins
    assert [e["number"] for e in got] == list(range(first, first + len(got)))
    assert all(e["sig"] == "good" and "refused" not in e for e in got)
    by_number = {e["number"]: e["text"] for e in got}
    for name, promises in acked.items():
        assert all(by_number[number] == text for number, text in promises)
        mine = [e for e in got if e["author"] == name]
        assert [e["seq"] for e in mine] == list(range(2, len(mine) + 2))  # 1 is the join
        order = [said[name].index(e["text"]) for e in mine]
        assert order == sorted(set(order))
    assert [e["text"] for e in entries(three[1], "--room", "ops")] == [e["text"] for e in got]


# --- lost machines, unwelcome people ---

def conn_of(relay, member):
    """recv --follow of this member and its connection's number."""
    process = member.start("recv", "--follow", "--json")
    return process, relay.wait("login")["conn"]


def quiet(relay):
    """Log lines up to here are read."""
    with relay.news:
        relay.seen = len(relay.lines)


@pytest.mark.parametrize("keep", [False, True])
def test_a_lost_laptop(relay, three, keep):
    alice, bob, _ = three
    alice("room", "create", "ops", "--history", "all")
    bob("room", "join", "ops")
    bob("send", "ops", "from the old one")
    quiet(relay)
    watcher = alice.start("recv", "--follow", "--json")
    relay.wait("login")
    old, conn = conn_of(relay, bob)
    with running(watcher), running(old):
        invite = relay.invite("--for", "bob", *(["--keep-devices"] if keep else []))
        new = Member(relay, "bob")
        Member(relay, "eve").join(invite, "eve", status=65)  # his name and no other
        new.join(invite, "bob", device="phone")
        if not keep:
            relay.wait("gone", conn=conn)
        new("send", "ops", "from the new one")
        assert texts(new) == ["from the old one", "from the new one"]
        row = next(r for r in map(json.loads, watcher.stdout)
                   if r["event"] == "entry" and r["text"] == "from the new one")
        assert (row["author"], row["device"], row["sig"]) == ("bob", "phone", "good")
        watcher.send_signal(signal.SIGTERM)
        assert "bob" in watcher.stderr.read()  # a loud line: nobody vouched for it
        if keep:
            assert old.poll() is None
    p = bob.run("send", "ops", "the thief says")
    if keep:
        assert p.returncode == 0
        return
    assert p.returncode in (76, 77) and "revoked" in p.stderr, (p.returncode, p.stderr)
    assert [r["reason"] for r in audit(relay, "registration")][-1] == "further-device"
    end = time.monotonic() + SECONDS  # the row is written behind the answer: no event tells of it
    while not any("revoked" in r["reason"] for r in audit(relay, "refused")):
        assert time.monotonic() < end
        time.sleep(0.05)
    # what the old one said stays good
    assert [e["sig"] for e in entries(alice)] == ["good", "good"]


def test_disable_cuts_and_enable_lets_in(relay, three):
    _, bob, _ = three
    quiet(relay)
    live, conn = conn_of(relay, bob)
    with running(live):
        relay.admin("user", "disable", "bob")
        relay.wait("gone", conn=conn)
        assert live.wait(SECONDS) == 77
    assert bob.run("room", "list").returncode == 77
    relay.admin("user", "enable", "bob")
    bob("room", "list")


def test_tls_stays_what_it_was_through_all_that(relay, three):
    """The door is as narrow after the rush as before it."""
    relay.restart()
    assert alert(openssl(relay, "-alpn", "countersign/1")) == 116
    three[0]("room", "list")
