"""Everything that must be refused, tried against the real programs: certificates, invites, logins,
frames, entries and names as an attacker would send them. After each the relay serves the others."""

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import time

import pytest

from relay import BUILD, SECONDS, Member, Relay, alert, openssl
from wire import CHAT, JOIN, ZEROS, Puppet, Tls, b64, crc24, say


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    """One for all that does not end it; whoever needs another takes a copy of his own."""
    with Relay(tmp_path_factory.mktemp("refusals")) as r:
        r.run("--per-source", 100, "--max-conns", 1000)
        yield r
        r.stop()  # it outlived everything, and ends in order


@pytest.fixture(scope="module")
def alice(relay):
    """A member of good faith with a connection that must live through all of it."""
    return Puppet(relay, "alice").join().login()


@pytest.fixture(scope="module")
def mallory(relay):
    return Puppet(relay, "mallory").join()


@pytest.fixture(autouse=True)
def unharmed(alice):
    yield
    assert alice.alive()


@pytest.fixture(scope="module")
def room(alice):
    return alice.enter("room-create", name="ops", private=False, history="all")


def audit(relay, event):
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        return sum(n for n, in db.execute("select count from audit_log where event || ' ' || reason"
                                          " = ?", (event,)))


def bad_entries(relay):
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        return db.execute("select coalesce(sum(count), 0) from audit_log where reason like "
                          "'bad-entry%'").fetchone()[0]


def audited(relay, before):
    """Rows are committed with the next group: soon, but not before the answer."""
    end = time.monotonic() + SECONDS
    while bad_entries(relay) <= before and time.monotonic() < end:
        time.sleep(0.02)
    return bad_entries(relay) > before


def quiet(relay):
    with relay.news:
        relay.seen = len(relay.lines)


# --- certificates ---

EXT = {
    "device": "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,"
              "nonRepudiation\nextendedKeyUsage=clientAuth\nsubjectAltName=URI:countersign:{}\n",
    "relay": "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
             "extendedKeyUsage=serverAuth\nsubjectAltName={}\n",
}


def issue(relay, where, kind, san, start="20200101000000Z", end="20490101000000Z",
          subject="/CN=alice/OU=laptop"):
    """A certificate of the relay's own CA with dates and names of our choice, by openssl ca."""
    os.makedirs(where)
    key, csr, crt, conf = (f"{where}/{n}" for n in ("key.pem", "csr.pem", "crt.pem", "conf"))
    with open(conf, "w", encoding="ascii") as f:
        f.write("[ca]\ndefault_ca=c\n[c]\ndatabase={0}/index\nserial={0}/serial\nnew_certs_dir={0}"
                "\n"
                "default_md=sha256\npolicy=p\nunique_subject=no\nrand_serial=yes\n[p]\n"
                "commonName=optional\norganizationalUnitName=optional\n[x]\n"
                "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n".format(where))
        f.write(EXT[kind].format(san))
    open(f"{where}/index", "w", encoding="ascii").close()
    alg = ["rsa:2048"] if kind == "device" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", "-newkey", *alg, "-nodes", "-keyout", key, "-subj", subject,
                    "-out", csr], check=True, capture_output=True)
    ca = f"{relay.dir}/ca/intermediate"
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", conf, "-extensions", "x",
                    "-cert", f"{ca}.crt", "-keyfile", f"{ca}.key", "-startdate", start, "-enddate",
                    end, "-in", csr, "-out", crt], check=True, capture_output=True)
    with open(crt, "a", encoding="ascii") as f, open(f"{ca}.crt", encoding="ascii") as g:
        f.write(g.read())
    return key, crt


def greeting(relay, key, crt):
    """The alert that this certificate gets, or None when the relay says hello."""
    return alert(openssl(relay, "-alpn", CHAT, "-key", key, "-cert", crt, "-cert_chain", crt,
                         keep=0.5))


@pytest.mark.parametrize("start, end, number", [
    ("20200101000000Z", "20210101000000Z", 45),
    ("20480101000000Z", "20490101000000Z", 45),
    ("20200101000000Z", "20490101000000Z", 46),
])
def test_device_certificates_out_of_date(relay, tmp_path, start, end, number):
    key, crt = issue(relay, f"{tmp_path}/x", "device", "alice/laptop", start, end)
    assert greeting(relay, key, crt) == number


def test_relay_certificate_as_device(relay):
    assert greeting(relay, f"{relay.dir}/relay.key", f"{relay.dir}/relay.crt") in (42, 43)


def test_a_device_whose_san_is_anothers(relay, tmp_path):
    key, crt = issue(relay, f"{tmp_path}/x", "device", "bob/laptop")
    assert greeting(relay, key, crt) == 42


@pytest.fixture(scope="module")
def member(relay):
    return relay.member("martin")


def impostor(relay, member, key, crt, issuers=None):
    """What the member's client says of whoever answers with this on its relay's port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    where = json.loads(member("me", "--json"))["directory"]
    other = f"{where}-2"
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(where, other)
    path = f"{other}/account"
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert str(relay.port) in text
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(str(relay.port), str(port)))
    p = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", key,
                          "-cert", crt, "-cert_chain", issuers or crt, "-tls1_3", "-alpn", CHAT,
                          "-cipher", "DEFAULT@SECLEVEL=0", "-Verify", "3", "-CAfile", relay.root(), "-naccept", "1"], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in p.stdout:
            if "ACCEPT" in line:
                break
        got = member.run("--profile", os.path.basename(other), "--timeout", "8", "recv")
        said, _ = p.communicate(timeout=SECONDS)
    finally:
        p.kill()
        p.wait()
    return got, said


@pytest.mark.parametrize("kind, san, start, end, word, number", [
    ("relay", "IP:127.0.0.1", "20200101000000Z", "20210101000000Z", "expired", 45),
    ("relay", "IP:127.0.0.1", "20480101000000Z", "20490101000000Z", "not valid before", 45),
    ("relay", "IP:127.0.0.2", "20200101000000Z", "20490101000000Z", "127.0.0.1", 42),
    ("relay", "DNS:127.0.0.1", "20200101000000Z", "20490101000000Z", "127.0.0.1", 42),
    ("device", "alice/laptop", "20200101000000Z", "20490101000000Z", "", None),
])
def test_relay_certificates_that_the_client_refuses(relay, member, tmp_path, kind, san, start, end,
                                                    word, number):
    """All of the right CA: out of date, for another address, and a device's own."""
    key, crt = issue(relay, f"{tmp_path}/x", kind, san, start, end)
    got, said = impostor(relay, member, key, crt)
    assert got.returncode == 77, (got.returncode, got.stderr, said)
    assert word in got.stderr and "countersign: " in got.stderr, got.stderr
    assert number is None or alert(said) == number, said
    assert "alice" not in said.replace(san, "") and "martin" not in said


def test_no_wait_before_the_next_try(relay, member, tmp_path, monkeypatch):
    """Waits are drawn from nothing on; drawn as nothing they must not dial at once, for whoever
    says that the connection is gone still reads its link."""
    key, crt = issue(relay, f"{tmp_path}/x", "device", "alice/laptop", "20200101000000Z",
                     "20490101000000Z")
    monkeypatch.setattr("relay.CLIENT", os.path.join(BUILD, "weak"))
    monkeypatch.setitem(member.env, "COUNTERSIGN_WEAK", "wait")
    got, said = impostor(relay, member, key, crt)
    assert got.returncode in (69, 77), (got.returncode, got.stderr, said)
    assert "countersign: " in got.stderr


def test_another_relay_of_the_same_name(relay, member, tmp_path):
    """Its own CA vouches for the address; the member's client knows another."""
    with Relay(tmp_path, init=("--extra-san", "127.0.0.9")) as other:
        got, said = impostor(relay, member, f"{other.dir}/relay.key", f"{other.dir}/relay.crt")
    assert got.returncode == 77 and alert(said) == 48, (got.stderr, said)
    assert "martin" not in said


# --- logins ---

def test_stolen_device_without_the_password(relay):
    """Certificate and key alone: no login, one row in the audit log, the same answer each time."""
    eve = Puppet(relay, "eve").join().greet()
    answers = [eve.proof(secret=os.urandom(32))]
    assert answers[0]["code"] == "auth" and eve.tls.closed() == []
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        rows = db.execute("select reason, address, count from audit_log where event = "
                          "'login-failure'").fetchall()
    assert rows and all(r[1] == "127.0.0.1" for r in rows), rows
    for _ in range(5):
        eve.greet()
        answers.append(eve.proof(secret=os.urandom(32)))
    assert all(a == answers[0] for a in answers)
    assert eve.greet().proof()["code"] == "busy"  # even the right one waits now (A2)


def test_another_exporter_is_another_login(relay):
    """A man in the middle cannot pass the proof on (H20)."""
    frank = Puppet(relay, "frank").join().greet()
    assert frank.proof(exporter=os.urandom(32))["code"] == "auth"
    frank.login()


def test_certificate_and_password_of_two_people(relay, mallory):
    """H19: mine with yours is nobody."""
    grace = Puppet(relay, "grace").join().greet()
    assert grace.proof(secret=mallory.secret)["code"] == "auth"


def test_resume_tokens(relay, mallory):
    """Bound to the device, good once, and the connection stays to log in with the password."""
    heidi = Puppet(relay, "heidi").join().login()
    token = heidi.welcome["token"]
    mallory.greet()
    mallory.tls.send(type="resume", id=1, token=token)
    assert mallory.tls.take()["code"] == "auth"
    assert mallory.proof()["type"] == "welcome"
    heidi.greet()
    heidi.tls.send(type="resume", id=1, token=token)
    again = heidi.tls.take()
    assert again["type"] == "welcome" and "proof" not in again and again["token"] != token
    heidi.greet()
    heidi.tls.send(type="resume", id=1, token=again["token"])
    assert heidi.tls.take()["type"] == "welcome"
    heidi.greet()
    heidi.tls.send(type="resume", id=1, token=token)  # its successor was used
    assert heidi.tls.take()["code"] == "auth"
    heidi.close()
    mallory.close()


# --- invites ---

def test_used_altered_and_expired_invites(relay):
    used = relay.invite()
    assert Puppet(relay, "ivan").try_join(used)["type"] == "joined"
    thief = Puppet(relay, "judy")
    assert (no := thief.try_join(used))["code"] == "auth"
    # another token under a right checksum: the relay has to know it
    line = relay.invite()
    head, token, _ = line.rsplit(".", 2)
    body = head + "." + ("A" if token[0] != "A" else "B") + token[1:]
    forged = f"{body}.{crc24(body.encode())}"
    assert line.endswith(crc24(line.rpartition(".")[0].encode()))
    assert thief.try_join(forged) == no
    expired = relay.invite("--hours", 1)
    token = expired.split(".")[-2]
    key = hashlib.sha256(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))).digest()
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db", timeout=SECONDS)) as db:
        db.execute("update invites set expires = made - 1 where token = ?", (key,))
        db.commit()
        assert db.total_changes == 1
    assert thief.try_join(expired) == no
    assert audit(relay, "join-refused invite-used") == 1
    assert audit(relay, "join-refused invite-unknown") == 1
    assert audit(relay, "join-refused invite-expired") == 1
    assert thief.try_join(line)["type"] == "joined"  # the good one was not burnt


def test_the_client_says_why(relay):
    line = relay.invite()
    body = line.rpartition(".")[0]
    body = body[:-1] + ("A" if body[-1] != "A" else "Q")
    p = Member(relay, "karl").run("--name", "karl", "--device", "x", "--no-open", "join", "-",
                                  stdin=f"{body}.{crc24(body.encode())}\n")
    assert p.returncode in (65, 77), p.stderr


def test_one_changed_character_makes_no_connection(relay):
    line = relay.invite()
    karl = Member(relay, "karl")
    quiet(relay)
    before = len(relay.lines)
    for at in range(20, len(line), 16):
        altered = line[:at] + ("0" if line[at] != "0" else "1") + line[at + 1:]
        p = karl.run("--name", "karl", "--device", "x", "--no-open", "join", "-",
                     stdin=altered + "\n")
        assert p.returncode == 65 and "nothing was sent" in p.stderr, (altered, p.stderr)
    karl.join(line, "karl")
    news = [entry for entry in relay.lines[before:] if "event=joining" in entry]
    assert len(news) == 1, news


@pytest.mark.parametrize("changed, code", [
    ({"name": "alice"}, "taken"), ({"name": "ALICE"}, "taken"),
    ({"name": "al\u0456ce"}, "bad-name"),
    ({"name": "a1ice"}, "taken"), ({"name": "root"}, "bad-name"), ({"name": "relay"}, "bad-name"),
    ({"name": ""}, None), ({"name": "x" * 300}, None), ({"name": "1234"}, "bad-name"),
    ({"name": "a\x1b[31mb"}, "bad-name"), ({"name": "ab\u202ecd"}, "bad-name"),
    ({"name": "ab\u200bcd"}, "bad-name"), ({"name": "a\nb"}, "bad-name"),
    ({"device": "x\x1b]0;y\x07"}, "bad-name"), ({"device": ""}, None),
    ({"csr": b64(b"no request")}, "malformed"), ({"csr": "!!!"}, "malformed"),
    ({"token": b64(b"short")}, "malformed"),
    ({"t": 10 ** 9}, None), ({"stored-key": b64(b"x")}, "malformed"), ({"salt": ""}, "malformed"),
])
def test_joining_with_a_wrong_field(relay, alice, changed, code):
    """None of them burns the invite."""
    del alice
    invite = relay.invite()
    answer = Puppet(relay, "leo").try_join(invite, **changed)
    assert answer["type"] == "error" and code in (None, answer["code"]), answer
    name = f"ok-{relay.lines.__len__()}"
    assert Puppet(relay, name).try_join(invite)["type"] == "joined"


# --- frames ---

def frame(text):
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return struct.pack(">I", len(data)) + data


HELLO = '{"type":"hello","v":1,"features":[]}'
BROKEN = {
    "no JSON": frame("abcd"),
    "empty": frame(""),
    "array": frame("[]"),
    "string": frame('"hello"'),
    "no type": frame("{}"),
    "type is a number": frame('{"type":1}'),
    "unknown type": frame('{"type":"frobnicate","id":1}'),
    "duplicate keys": frame('{"type":"ping","type":"ping"}'),
    "duplicate keys after unescaping": frame('{"type":"ping","\\u0074ype":"ping"}'),
    "deep": frame('{"type":"ping","x":' + "[" * 200 + "]" * 200 + "}"),
    "very deep": frame('{"type":"ping","x":' + "[" * 30000),
    "trailing": frame('{"type":"ping"} {}'),
    "comma": frame('{"type":"ping",}'),
    "NUL": frame('{"type":"ping","x":"\\u0000"}'),
    "raw NUL": frame(b'{"type":"ping"}\0'),
    "lone surrogate": frame('{"type":"ping","x":"\\ud800"}'),
    "bad UTF-8": frame(b'{"type":"ping","x":"\xff\xfe"}'),
    "overlong UTF-8": frame(b'{"type":"ping","x":"\xc0\xaf"}'),
    "float": frame('{"type":"ping","x":1.5}'),
    "exponent": frame('{"type":"ping","x":1e999}'),
    "minus nothing": frame('{"type":"ping","x":-0x1}'),
    "too big a number": frame('{"type":"ping","x":9007199254740993}'),
    "leading zero": frame('{"type":"ping","x":01}'),
    "control byte in a string": frame(b'{"type":"ping","x":"\x1b"}'),
    "byte order mark": frame(b'\xef\xbb\xbf{"type":"ping"}'),
    "many keys": frame("{" + ",".join(f'"k{i}":0' for i in range(2000)) + ',"type":"ping"}'),
    "oversized prefix": b"\xff\xff\xff\xff",
    "prefix above the limit": struct.pack(">I", (1 << 20) + 1),
    "relay's own words": frame('{"type":"welcome","re":1}'),
    "hello again": frame(HELLO),
}


def ends(tls, data):
    """The relay's last words to this, which ended the connection."""
    tls.raw(data)
    said = tls.closed()
    return said[-1] if said else None


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("state", ["hello", "login", "member", "guest"])
def test_malformed_frames(relay, mallory, alice, state, what):
    """One connection ends, with a word and a line in the log; nobody else notices."""
    if state == "guest":
        tls = Tls(relay.port, JOIN)
        assert tls.take()["type"] == "hello"
        tls.raw(frame(HELLO))
    else:
        if state == "member":
            mallory.login()
        elif state == "login":
            mallory.greet()
        else:
            mallory.connect()
            if what == "hello again":
                mallory.tls.raw(frame(HELLO))
        tls = mallory.tls
    last = ends(tls, BROKEN[what])
    assert last is None or (last["type"], last["re"]) == ("error", 0), last
    assert last is None or last["code"] in ("malformed", "state"), last
    tls.close()
    mallory.tls = None
    assert alice.alive()


def test_malformed_frames_are_logged_with_the_reason(alice, tmp_path):
    """Before login, for guests, for members. A relay of its own: floods are one line."""
    del alice
    with Relay(tmp_path) as own:
        own.run()
        oscar = Puppet(own, "oscar").join()
        guest = Tls(own.port, JOIN)
        guest.take()
        for come, event in (lambda: guest, "gone"), (lambda: oscar.connect().tls, "refused"), \
                (lambda: oscar.login().tls, "gone"):
            tls = come()
            quiet(own)
            ends(tls, BROKEN["duplicate keys"])
            assert "malformed" in own.wait(event)["why"]
        own.stop()
        with contextlib.closing(sqlite3.connect(f"{own.dir}/relay.db")) as db:
            rows = db.execute("select reason from audit_log "
                              "where event = 'disconnect'").fetchall()
        assert any("malformed" in r for r, in rows), rows


@pytest.mark.parametrize("fields", [
    {"type": "room-list", "id": 1}, {"type": "proof", "id": 1, "proof": b64(bytes(32))},
    {"type": "entry", "line": "x", "sig": "", "body": ""}, {"type": "history", "id": 1},
    {"type": "join", "id": 1}, {"type": "resume", "id": 1, "token": b64(bytes(5))},
    {"type": "login", "id": 0, "nonce": b64(bytes(32))},
    {"type": "login", "id": 1, "nonce": b64(bytes(31))},
    {"type": "login", "id": 1, "nonce": "A" * 43},
    {"type": "login", "id": 1, "nonce": b64(bytes(32)) + "\n"},
])
def test_frames_before_login(mallory, fields):
    mallory.greet()
    mallory.tls.send(**fields)
    said = mallory.tls.closed()
    assert said and said[-1]["code"] in ("state", "malformed"), said
    mallory.close()


def test_login_twice(mallory):
    mallory.login()
    mallory.tls.send(type="login", id=9, nonce=b64(bytes(32)))
    assert mallory.tls.closed()[-1]["code"] == "state"
    mallory.close()


@pytest.mark.parametrize("fields", [
    {"type": "login", "id": 1, "nonce": b64(bytes(32))}, {"type": "room-list", "id": 1},
    {"type": "resume", "id": 1, "token": b64(bytes(32))},
])
def test_chat_frames_at_the_door_for_guests(relay, fields):
    tls = Tls(relay.port, JOIN)
    tls.take()
    tls.raw(frame(HELLO))
    tls.send(**fields)
    assert tls.closed()[-1]["code"] in ("state", "malformed")
    tls.close()


def test_a_second_join_ends_the_connection(relay):
    mike = Puppet(relay, "mike")
    tls = Tls(relay.port, JOIN)
    tls.take()
    tls.raw(frame(HELLO))
    first = mike.join_frame(relay.invite())
    tls.send(**first)
    assert tls.take()["type"] == "joined"
    tls.send(**first)
    assert all(f["type"] == "error" for f in tls.closed())
    tls.close()


# --- entries ---

@pytest.fixture
def member_of(mallory, room):
    """mallory, logged in with a fresh device's memory, in the room."""
    mallory.login()
    mallory.seqs.setdefault(room, (0, ZEROS))
    mallory.enter("room-join", name="ops")
    info = next((r for r in mallory.login().welcome["rooms"] if r["id"] == room))
    own = info.get("own")
    mallory.seqs[room] = (0, ZEROS)
    if own:
        mallory.seqs[room] = (int(own["line"].split("|")[3]),
                              hashlib.sha256(own["line"].encode()).hexdigest())
    yield mallory
    mallory.close()


@pytest.mark.parametrize("changed", [
    {"tag": "countersign-entry-2"}, {"epoch": 1}, {"seq": 99}, {"seq": "01"}, {"seq": 0},
    {"fp": ZEROS}, {"prev": "1" * 64}, {"body": "2" * 64}, {"seen": "99." + ZEROS},
    {"seen": "0." + "1" * 64}, {"sig": bytes(256)}, {"bytes": b"another body" * 5},
    {"ts": "-1"}, {"seen": "0." + ZEROS + "|more"},
    {"room": "0" * 32 + "\n"}, {"commit": "ZZ" * 32},
])
def test_entries_that_are_not_right(relay, member_of, room, changed):
    before = bad_entries(relay)
    member_of.tls.send(**member_of.entry(room, say("x"), **changed))
    last = member_of.tls.closed()[-1]
    assert last["re"] == 0 and last["code"] in ("bad-entry", "malformed"), last
    if last["code"] == "bad-entry":
        assert audited(relay, before)


def test_an_entry_of_the_future_is_not_numbered(member_of, room):
    """It is no lie either: the same bytes may come again when their time has come."""
    member_of.tls.send(**member_of.entry(room, say("x"), ts=99999999999999))
    while (answer := member_of.tls.take())["type"] not in ("again", "numbered", "error"):
        pass
    assert answer["type"] == "again" and answer["wait"] > 0, answer
    assert member_of.alive()


def test_a_room_one_is_not_in(relay, alice, member_of):
    room = alice.enter("room-create", name=f"den-{len(relay.lines)}", private=True, history="all")
    for content in (say("let me in"), b'{"kind":"leave"}'):
        assert member_of.say(room, content)["code"] == "denied"
    assert member_of.invite(room, "mallory")["code"] == "denied"
    for what in ("history", "members", "roll", "room-topic"):
        answer = member_of.ask(what, room=room, after=0, count=10, topic="mine", name="mallory")
        assert answer["code"] in ("no-such", "denied"), (what, answer)
    assert len(alice.ask("history", room=room, after=0, count=10)["entries"]) == 1  # her join


def test_one_sequence_number_two_texts(member_of, room):
    first = member_of.entry(room, say("first"))
    member_of.tls.send(**first)
    while (got := member_of.tls.take())["type"] != "numbered":
        pass
    member_of.tls.send(**first)  # the same bytes: the same number
    while (again := member_of.tls.take())["type"] != "numbered":
        pass
    assert again == got
    member_of.tls.send(**member_of.entry(room, say("second")))
    assert member_of.tls.closed()[-1]["code"] == "bad-entry"


# --- hostile words ---

HOSTILE = ["\x1b[2J\x1b[31m", "\x1b]52;c;AAAA\x07", "\x9b31m", "\u202etxt.exe\u202c", "a\u200bb",
           "\x1bP$q\x1b\\", "*** alice left\r", "%n%s", "x' OR '1'='1", "e" + "\u0301" * 400]
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\r]")


def test_hostile_words_reach_nobody_raw(relay, room, member_of):
    """In every field that a member controls: refused, or printed as visible characters only."""
    bob = relay.member(f"bob{len(relay.lines)}")
    bob("room", "join", "ops")
    for text in HOSTILE:
        assert member_of.say(room, say(text))["type"] == "numbered"
        kind = json.dumps({"kind": text}).encode()
        assert member_of.say(room, kind)["type"] in ("numbered", "void")
    assert member_of.say(room, say("x" * 65536))["type"] == "numbered"
    assert member_of.say(room, say("x" * 65537))["type"] == "void"
    assert member_of.say(room, b'{"kind":"say","text":"a\\u0000b"}')["type"] == "void"
    assert member_of.say(room, b"not JSON \x1b[2J")["type"] == "void"
    for text in HOSTILE:
        for what, fields in (("room-create", {"name": text, "private": False, "history": "all"}),
                             ("room-join", {"name": text}), ("room-open", {"name": text}),
                             ("person", {"name": text}),
                             ("room-topic", {"room": room, "topic": text})):
            answer = member_of.ask(what, **fields)
            if answer is None or answer.get("re") == 0:
                member_of.login()
            else:
                assert answer["type"] == "error", (what, text, answer)
    p = bob.run("recv")
    assert p.returncode == 0, p.stderr
    for shown in (p.stdout, p.stderr, bob("room", "list"), bob("room", "members", "ops"),
                  relay.log(), relay.admin("user", "list")):
        assert not RAW.search(shown), RAW.search(shown)
        assert "\u0301" * 50 not in shown
    for line in relay.log().splitlines():
        assert re.match(r"time=\S+ event=[a-z-]+( |$)", line), line
    # a program gets the exact text, escaped as JSON
    got = [json.loads(r) for r in bob("recv", "--json", "--since", "k1-0").splitlines()]
    told = [r["text"] for r in got if "text" in r]
    assert [t for t in told if t in HOSTILE] == HOSTILE
    assert "x" * 65536 in told and "x" * 65537 not in told
