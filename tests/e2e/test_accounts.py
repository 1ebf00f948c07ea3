"""Accounts under attack, over the wire: guessing, tokens, invites, passwords, privilege (A2 to A8)."""

import base64
import contextlib
import hashlib
import os
import sqlite3
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from relay import SECONDS, Member, Relay
from wire import JOIN, Puppet, Tls, b64, say


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("accounts")) as r:
        r.run("--per-source", 200, "--max-conns", 1000, "--handshakes", 200)
        yield r
        r.stop()


@pytest.fixture(scope="module")
def witness(relay):
    """A member whose connection must live through all of it."""
    return Puppet(relay, "witness").join().login()


@pytest.fixture(autouse=True)
def unharmed(witness):
    yield
    assert witness.alive()


def rows(relay, text, *values):
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        return db.execute(text, values).fetchall()


def told(frame):
    """What a refusal says but for the number it answers."""
    return {k: v for k, v in (frame or {}).items() if k != "re"}


# --- A2, A3: guessing ---

def test_guessing_is_slowed_for_whoever_guesses(relay):
    """A few are free, then it takes longer each time; the right password waits as well. Whoever has a
    token does not: he has proven himself before (A3)."""
    nina = Puppet(relay, "nina").join().login()
    token = nina.welcome["token"]
    wrong = []
    for _ in range(6):
        nina.greet()
        wrong.append(nina.proof(secret=os.urandom(32)))
    assert all(told(w) == told(wrong[0]) and w["code"] == "auth" for w in wrong)
    assert nina.greet().proof()["code"] == "busy"
    nina.tls.send(type="resume", id=5, token=token)
    assert nina.tls.take()["type"] == "welcome"
    # another account from the same address is another count
    Puppet(relay, "oona").join().login().close()
    assert Puppet(relay, "pia").join().greet().proof()["type"] == "welcome"
    # and waiting is enough: the time of the first wait
    end = time.monotonic() + SECONDS
    while (got := nina.greet().proof())["type"] != "welcome":
        assert got["code"] == "busy" and time.monotonic() < end
        time.sleep(0.2)
    nina.close()


def test_challenges_are_no_more_guesses(relay):
    """As many challenges as one likes side by side, but not as many guesses."""
    rita = Puppet(relay, "rita").join()
    answers = []
    for _ in range(12):
        rita.greet()
        answers.append(rita.proof(secret=os.urandom(32))["code"])
    assert answers == ["auth"] * 6 + ["busy"] * 6
    rita.close()


# --- A4: passwords ---

@pytest.mark.parametrize("about, password", [
    ("one mebibyte", "x" * (1 << 20)), ("a byte too long", "x" * 1025),
    ("a NUL in it", "correct horse\0battery staple"), ("nothing", ""),
], ids=lambda v: v if len(v) < 20 else "")
def test_passwords_that_nobody_hashes(relay, about, password):
    m = Member(relay, "sid")
    with open(m.password, "w", encoding="utf-8") as f:
        f.write(password)
    before = len(relay.lines)
    p = m.run("--name", "sid", "--device", "x", "--no-open", "join", "-",
              stdin=relay.invite() + "\n")
    assert p.returncode in (64, 65, 75, 77, 78) and "password" in p.stderr, (about, p.stderr)
    assert "x" * 100 not in p.stderr
    assert "event=joining" not in "\n".join(relay.lines[before:])


def test_a_password_is_its_characters(relay):
    """Composed or decomposed, it is one password (NFC); in other letters it is another."""
    word = "gr\u00fc\u00dfe an \u00c5ngstr\u00f6m"
    uma = Member(relay, "uma")

    def with_password(text):
        with open(uma.password, "w", encoding="utf-8") as f:
            f.write(text)
    with_password(unicodedata.normalize("NFC", word))
    uma.join(relay.invite(), "uma")
    with_password(unicodedata.normalize("NFD", word))
    uma("room", "list")
    with_password(word.replace("\u00fc", "u"))
    assert uma.run("room", "list").returncode == 77


def test_a_join_that_was_begun_goes_on(tmp_path):
    """Its key waits under the password it was begun with; the login that it made anew is the one
    that counts."""
    with Relay(tmp_path) as own:
        own.run()
        tess, invite = Member(own, "tess"), own.invite()
        own.stop()
        tess.join(invite, "tess", status=69)
        own.run("--listen", f"127.0.0.1:{own.port}")
        right, wrong = tess.password, str(tmp_path / "wrong")
        with open(os.open(wrong, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
            f.write("another password")
        tess.password = wrong
        tess.join(invite, "tess", status=77)
        tess.password = right
        tess.join(invite, "tess")
        assert "tess" in tess("me")


def test_the_relay_never_hashes_a_password(relay):
    """What a login costs the relay is two MACs: nobody can make it fill 64 MiB, however often. The
    parameters that a device chose are a number to it."""
    dear = Puppet(relay, "vera").join(t=16, m=1 << 20)
    before, began = resident(relay), time.process_time()
    for _ in range(5):
        dear.greet()
        dear.tls.send(type="login", id=1, nonce=b64(os.urandom(32)))
        assert (c := dear.tls.take())["type"] == "challenge" and c["m"] == 1 << 20
    assert resident(relay) - before < 16 * 1024, "it hashed"
    assert time.process_time() - began < SECONDS
    with open(f"{os.path.dirname(__file__)}/../../server/core/core_login.c", encoding="utf-8") as f:
        assert "argon" not in f.read().replace("argon_cost", "").lower()


def resident(relay):
    """Kilobytes at the most so far."""
    with open(f"/proc/{relay.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


# --- A5: invites ---

def test_fifty_at_once_redeem_one_invite(tmp_path):
    """Fifty keys, fifty connections, one moment: one account. Then whoever lost waits."""
    with Relay(tmp_path) as relay:
        relay.run("--per-source", 100, "--max-conns", 200, "--handshakes", 100)
        invite = relay.invite()
        people = [Puppet(relay, f"racer{i}x") for i in range(50)]
        with ThreadPoolExecutor(8) as pool:
            frames = list(pool.map(lambda p: p.join_frame(invite), people))
        doors = []
        for _ in people:
            tls = Tls(relay.port, JOIN)
            assert tls.take()["type"] == "hello"
            tls.send(type="hello", v=1, features=[])
            doors.append(tls)
        start = threading.Barrier(len(doors))
        answers = [None] * len(doors)

        def redeem(i):
            start.wait()
            doors[i].send(**frames[i])
            answers[i] = doors[i].take()
        threads = [threading.Thread(target=redeem, args=(i,)) for i in range(len(doors))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for tls in doors:
            tls.close()
        joined = [a for a in answers if a["type"] == "joined"]
        refused = [told(a) for a in answers if a["type"] == "error"]
        assert len(joined) == 1 and len(refused) == 49, answers
        assert {a["code"] for a in refused} <= {"auth", "busy"}
        names = [n for n, in rows(relay, "select name from users where name like 'racer%'")]
        assert names == [joined[0]["name"]]
        relay.stop()


def test_guessed_invites_are_slowed(tmp_path):
    """Tokens out of the air: six are judged, then whoever guesses waits; the invite stays good."""
    with Relay(tmp_path) as own:
        own.run()
        good = own.invite()
        wendy = Puppet(own, "wendy")
        frame = wendy.join_frame(good)
        codes = []
        for _ in range(8):
            tls = Tls(own.port, JOIN)
            tls.take()
            tls.send(type="hello", v=1, features=[])
            tls.send(**frame | {"token": b64(os.urandom(16))})
            codes.append(tls.take()["code"])
            tls.close()
        assert codes == ["auth"] * 6 + ["busy"] * 2
        assert rows(own, "select count(*) from users") == [(0,)]
        own.stop()


# --- A6: tokens ---

def resumed(puppet, token):
    puppet.greet()
    puppet.tls.send(type="resume", id=1, token=token)
    return puppet.tls.take()


def test_a_token_ends_with_what_it_stands_for(relay):
    """Logout, disabling, revocation, another password: each ends it, with one and the same answer."""
    def member(name):
        p = Puppet(relay, name).join().login()
        return p, p.welcome["token"]
    answers = {}
    xena, token = member("xena")
    assert resumed(xena, token)["type"] == "welcome"      # cut off: good
    xena, token = member("xavier")
    xena.tls.bye()
    relay.wait("gone", why="closed")
    answers["logout"] = resumed(xena, token)
    xander, token = member("xander")
    half_open, xander.tls = xander.tls, None
    token = resumed(xander, token)["token"]
    xander.tls.bye()
    relay.wait("gone", why="closed")
    answers["logout beside a dead connection"] = resumed(xander, token)
    half_open.close()
    yara, token = member("yara")
    relay.admin("user", "disable", "yara")
    relay.wait("gone")
    answers["disabled"] = resumed(yara, token)
    relay.admin("user", "enable", "yara")
    answers["enabled again"] = resumed(yara, token)
    zack, token = member("zack")
    Puppet(relay, "zack", device="other").join("--for", "zack", "--keep-devices")
    answers["another password"] = resumed(zack, token)
    assert zack.proof()["type"] == "error"                # the former password is none
    assert {str(told(a)) for a in answers.values()} == {str(told(answers["logout"]))}, answers
    assert answers["logout"]["code"] == "auth"
    for p in xena, xander, yara, zack:
        p.close()


def test_a_token_of_a_revoked_device_meets_a_closed_door(relay):
    abel = Puppet(relay, "abel").join().login()
    token = abel.welcome["token"]
    Puppet(relay, "abel", device="other").join("--for", "abel")
    assert abel.connect().hello is None  # not even a hello
    assert rows(relay, "select count(*) from sessions where current = ? or former = ?",
                *[hashlib.sha256(base64.b64decode(token)).digest()] * 2) == [(0,)]


def test_a_token_is_no_others(relay, witness):
    """Another certificate, another account; and from there the password is still the way in."""
    beth = Puppet(relay, "beth").join().login()
    other = Puppet(relay, "cleo").join()
    assert resumed(other, beth.welcome["token"])["code"] == "auth"
    assert other.proof()["type"] == "welcome"
    assert beth.alive() and witness.alive()
    assert resumed(beth, beth.welcome["token"])["type"] == "welcome"
    beth.close()
    other.close()


def test_a_dump_of_the_database_opens_nothing(relay):
    """What is kept of tokens and invites is hashes, and a hash is no token."""
    dora = Puppet(relay, "dora").join().login()
    token = base64.b64decode(dora.welcome["token"])
    invite = base64.urlsafe_b64decode((t := relay.invite().split(".")[-2]) + "=" * (-len(t) % 4))
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        tables = [n for n, in db.execute("select name from sqlite_master where type = 'table'")]
        cells = {bytes(c) for t in tables for row in db.execute(f"select * from {t}")
                 for c in row if isinstance(c, bytes)}
    assert hashlib.sha256(token).digest() in cells and hashlib.sha256(invite).digest() in cells
    assert not any(secret in c for secret in (token, invite) for c in cells)
    assert resumed(dora, b64(hashlib.sha256(token).digest()))["code"] == "auth"
    eli = Puppet(relay, "eli")
    no = eli.try_join(relay.invite(), token=b64(hashlib.sha256(invite).digest()[:16]))
    assert no["code"] == "auth"
    dora.close()


# --- A7: names that are one name ---

@pytest.mark.parametrize("name, code", [
    ("J\u00fcrgen", "taken"), ("Ju\u0308rgen", "bad-name"), ("J\u00dcRGEN", "taken"),
    ("jurgen", "taken"), ("j\u00fcrgen ", "bad-name"), (" j\u00fcrgen", "bad-name"),
    ("j\u00fcrg\u0435n", "bad-name"), ("\uff4a\u00fcrgen", "bad-name"), ("j\u00fcrgen\u200d", "bad-name"),
    ("admin", "bad-name"), ("ADMIN", "bad-name"), ("a" * 33, "bad-name"), ("a" * 255, "bad-name"),
    ("a" * 1025, "malformed"),
])
def test_one_name_has_one_owner(relay, name, code):
    if not rows(relay, "select 1 from users where name = ?", "j\u00fcrgen"):
        Puppet(relay, "j\u00fcrgen").join()
    answer = Puppet(relay, name).try_join(relay.invite())
    assert answer["type"] == "error" and answer["code"] == code, answer


# --- A8: what whoever may ---

def frames(room):
    """Every request about a room, as protocol.md has them."""
    return {
        "history": {"room": room, "after": 0, "count": 10}, "members": {"room": room},
        "roll": {"room": room, "after": 0}, "room-topic": {"room": room, "topic": "mine"},
        "room-join": {"name": "crypt"},
    }


ALLOWED = {  # who gets no error, of a private room
    "owner": {"history", "members", "roll", "room-topic", "room-join"},
    "member": {"history", "members", "roll", "room-topic", "room-join"},
    "invited": {"room-join"},
    "former": set(),
    "stranger": set(),
    "admin": set(),
}


@pytest.fixture(scope="module")
def crypt(relay, witness):
    """A private room, and one person of each role; a guest whom they may invite."""
    who = {role: Puppet(relay, f"a8{role}").join(*(["--admin"] if role == "admin" else [])).login()
           for role in ALLOWED}
    Puppet(relay, "a8guest").join()
    owner = who["owner"]
    room = owner.enter("room-create", name="crypt", private=True, history="all")
    for role in ("member", "invited", "former"):
        assert owner.invite(room, f"a8{role}")["type"] == "numbered"
    for role in ("member", "former"):
        who[role].enter("room-join", name="crypt")
    assert who["former"].leave(room)["type"] == "numbered"
    assert owner.say(room, say("between us"))["type"] == "numbered"
    yield room, who
    for p in who.values():
        p.close()


VERBS = ("history", "members", "roll", "room-topic", "room-join")


@pytest.mark.parametrize("role", ["stranger", "admin", "former", "invited", "member", "owner"])
def test_rights_in_a_private_room(crypt, role):
    """Role by verb; whoever may not learns neither a word of it nor whether it is there."""
    room, who = crypt
    for verb in VERBS:
        answer = who[role].ask(verb, **frames(room)[verb])
        allowed = verb in ALLOWED[role]
        assert (answer["type"] != "error") == allowed, (role, verb, answer)
        assert allowed or "between us" not in str(answer)
        if not allowed and role in ("stranger", "admin", "former"):
            other = frames("0" * 32)[verb] | ({"name": "nowhere"} if verb == "room-join" else {})
            nothing = who[role].ask(verb, **other)
            assert told(answer) == told(nothing), (role, verb, answer, nothing)
    if role in ("stranger", "admin", "former"):
        assert who[role].say(room, say("me too"))["code"] == "denied"
        assert who[role].leave(room)["code"] == "denied"
        assert who[role].invite(room, "a8guest")["code"] == "denied"
        listed = who[role].ask("room-list")["rooms"]
        assert room not in [r["id"] for r in listed]


def test_ids_are_not_guessed(crypt, witness):
    """Neighbours of a room's id, numbers instead of it, and the certificates of strangers."""
    room, who = crypt
    last = int(room, 16)
    for guess in (f"{(last + 1) % 2 ** 128:032x}", f"{last ^ 1:032x}", "f" * 32, "0" * 31 + "1"):
        assert witness.ask("history", room=guess, after=0, count=1)["code"] == "no-such"
    assert witness.ask("cert", fp=who["owner"].leaf)["code"] == "no-such"
    assert witness.ask("cert", fp="0" * 64)["code"] == "no-such"


def test_there_are_no_verbs_of_an_operator_on_the_wire(relay):
    """An admin's connection can do what a member's can: invites, disabling and revocation are done
    on the relay's own machine."""
    for verb in ("invite", "user-disable", "user-enable", "revoke", "audit", "shutdown", "reload"):
        boss = Puppet(relay, f"boss{verb}"[:20]).join("--admin").login()
        boss.tls.send(type=verb, id=9, name="witness")
        assert boss.tls.closed()[-1]["code"] == "malformed"
        boss.close()
