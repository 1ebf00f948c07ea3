"""One corpus of good and tampered bundles, two judges that know nothing of each other: `countersign
verify` and docs/verify.sh. They must agree, on the verdict and on the place (M8, M9). Here what is
said; test_verify_files.py has everything around it."""

import hashlib
import json
import subprocess

import pytest

from evidence import (BUILD, DAY, ROOT, UNANCHORED, ZEROS, Room, b64, both, files_with, mth, ours, room, run, script,
                      tar, world)


# --- what is true ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("first, last, size, withheld", [
    (1, 3, 3, ()), (2, 2, 3, ()), (1, 2, 3, (2,)), (1, 1, 1, ())])
def test_true(tmp_path, world, room, first, last, size, withheld):
    assert both(tmp_path, room.bundle(first, last, size, withheld), world.ca / "root.crt") == 0


def test_what_is_said_of_it(tmp_path, world, room):
    """What the verdict tells, with and without somebody's own root."""
    path = tmp_path / "one.tar"
    path.write_bytes(tar(room.bundle(2, 2).items()))
    p = run(f"{BUILD}/countersign", "verify", path, "--json", "--ca", world.ca / "root.crt")
    v = json.loads(p)
    assert v["valid"] and v["anchored"] and v["kind"] == "messages" and v["room"] == room.room
    assert v["first"] == v["last"] == 2 and v["withheld"] == 0
    assert v["authors"] == [{"name": "bob", "device": "desk", "fp": world.bob.fp, "messages": 1}]
    assert v["relay"] == "relay.example" and v["checkpoint"]["size"] == 3
    assert v["checkpoint"]["root"] == mth(room.leaves()).hex()
    assert v["verdict"] == "valid"
    p = subprocess.run([f"{BUILD}/countersign", "verify", path, "--json"], timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    v = json.loads(p.stdout)
    assert p.returncode == 77 and v["verdict"] == "unanchored" and v["valid"] is False
    p = subprocess.run([f"{BUILD}/countersign", "verify", path], timeout=60, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 77 and p.stdout.startswith(UNANCHORED + "\n")
    assert "hi, | and\nso on\n" in p.stdout and "proves not" in p.stdout


def test_what_the_script_says_of_it(tmp_path, world, room):
    """Who said how much, by which keys, and what that is worth."""
    path = tmp_path / "all.tar"
    path.write_bytes(tar(room.bundle().items()))
    said = run("/bin/sh", f"{ROOT}/docs/verify.sh", path, world.ca / "root.crt").decode().splitlines()
    assert said[0] == "VALID"
    assert said[1] == f"messages 1 to 3 of room {room.room}, 0 without their text"
    assert said[2] == ("signer anchored: yes; root SHA-256 "
                       + hashlib.sha256(world.der("root.crt")).hexdigest())
    assert f"author: 2 of them; subject=CN=alice, OU=laptop; certificate {world.alice.fp}" in said
    assert f"author: 1 of them; subject=CN=bob, OU=desk; certificate {world.bob.fp}" in said
    assert f"relay: subject=CN=relay.example; certificate {world.relay.fp}" in said
    assert f"checkpoint: 3 entries, signed at {world.now + 3000} ms since 1970" in said
    assert any(l.startswith("revocations: as of ") for l in said)
    assert any(l.startswith("proves not: ") for l in said)


def test_der_root(tmp_path, world, room):
    (tmp_path / "root.der").write_bytes(world.der("root.crt"))
    path = tmp_path / "b.tar"
    path.write_bytes(tar(room.bundle(3, 3).items()))
    assert ours(path, "--ca", tmp_path / "root.der")[0] == 0
    assert script(path, tmp_path / "root.der")[0] == 0


def test_a_message_alone_is_small_and_tells_nothing_else(room, world):
    files = room.bundle(2, 2)
    own = [d for n, d in files.items() if n in ("checkpoint.txt", "checkpoint.sig",
                                                "transcript.txt", "proof.txt")]
    assert sum(map(len, own)) < 4096
    everything = tar(files.items())
    for other in 0, 2:
        e = room.entries[other]
        for secret in e["body"], e["line"], b64(e["body"]).encode(), e["sig"]:
            assert secret not in everything
    assert f"certs/{world.alice.fp}.der" not in files


def test_tar_and_openssl_alone(tmp_path, world, room):
    """The commands of VERIFY.txt, as they stand there, in a directory where it was unpacked."""
    (tmp_path / "b.tar").write_bytes(tar(room.bundle().items()))
    run("tar", "xf", "b.tar", cwd=tmp_path)
    at = world.now // 1000 + 1
    commands, more = [], ""
    for line in (tmp_path / "VERIFY.txt").read_text().splitlines():
        if line.startswith("     ") and ("openssl" in line or "sed" in line or "tail" in line) or more:
            more += line.strip()
            if more.endswith("\\"):
                more = more[:-1]
            else:
                commands, more = commands + [more], ""
    assert len(commands) == 21
    out = ""
    for c in commands:
        if "leaf" in c:
            c = c.replace("TS", str(room.entries[2]["time"]))
        if "node" in c or "cms" in c or "openssl ts" in c:  # no receipt, no time stamp here
            continue
        signer = world.relay if "checkpoint" in c else world.alice
        for fp in (world.relay.fp, world.alice.fp):
            if "F.pem" in c or "F.pub" in c:
                who = c.replace("F.pem", f"{fp}.pem").replace("F.pub", f"{fp}.pub")
                who = who.replace("certs/F.der", f"certs/{fp}.der").replace(" T ", f" {at} ")
                if "-verify F.pub" in c and fp != signer.fp:
                    continue
                out += run("sh", "-c", who, cwd=tmp_path).decode()
            else:
                out += run("sh", "-c", c, cwd=tmp_path).decode()
    assert out.count("Verified OK") == 2 and out.count(".pem: OK") == 2
    assert room.entries[2]["body"][32:].decode() in out
    assert (tmp_path / "leaf").read_bytes() == room.leaves()[2]


# --- what is not ------------------------------------------------------------------------------------------

def lines_changed(room, change):
    lines = room.records(1, 3)
    return files_with(room, "transcript.txt", "".join(change(lines)).encode())


def field(room, n, at, value):
    """Field `at` of line n, as value(old)."""
    def change(lines):
        parts = lines[n - 1][:-1].split("|")
        parts[at] = value(parts[at])
        return lines[:n - 1] + ["|".join(parts) + "\n"] + lines[n:]
    return lines_changed(room, change)


def said(world, *more, **lie):
    """A room whose relay and authors lie: everything is signed, the tree is right."""
    return Room(world).say(world.alice, "true").say(world.alice, "false", **lie).bundle(more=more)


TRANSCRIPTS = {
    "first line dropped": (lambda r: lines_changed(r, lambda l: l[1:]), "proof.txt"),
    "middle line dropped": (lambda r: lines_changed(r, lambda l: [l[0], l[2]]),
                            "transcript.txt line 2"),
    "last line dropped": (lambda r: lines_changed(r, lambda l: l[:2]), "proof.txt"),
    "two lines swapped": (lambda r: lines_changed(r, lambda l: [l[1], l[0], l[2]]),
                          "transcript.txt line 2"),
    "a line doubled": (lambda r: lines_changed(r, lambda l: l + l[2:]), "transcript.txt line 4"),
    "all lines gone": (lambda r: lines_changed(r, lambda l: []), "transcript.txt line 1"),
    "carriage returns": (lambda r: lines_changed(r, lambda l: [x[:-1] + "\r\n" for x in l]),
                         "transcript.txt line 1"),
    "last line feed gone": (lambda r: lines_changed(r, lambda l: l[:2] + [l[2][:-1]]),
                            "transcript.txt line 3"),
    "an empty line": (lambda r: lines_changed(r, lambda l: l + ["\n"]), "transcript.txt line 4"),
    "a full stop behind": (lambda r: lines_changed(r, lambda l: l + [".\n"]), "transcript.txt line 4"),
    "a full stop between": (lambda r: lines_changed(r, lambda l: l[:1] + [".\n"] + l[1:]),
                            "transcript.txt line 2"),
    "a full stop for a line feed": (lambda r: lines_changed(r, lambda l: l[:2] + [l[2][:-1] + "."]),
                                    "transcript.txt line 3"),
    "a NUL": (lambda r: field(r, 2, 1, lambda v: v + "\0"), "transcript.txt line 2"),
    "a bar more": (lambda r: field(r, 2, 4, lambda v: v + "|"), "transcript.txt line 2"),
    "a number": (lambda r: field(r, 1, 0, lambda v: "4"), "transcript.txt line 2"),
    "a number in the middle": (lambda r: field(r, 2, 0, lambda v: "7"), "transcript.txt line 2"),
    "a time": (lambda r: field(r, 2, 1, lambda v: str(int(v) + 1)), "transcript.txt line 3"),
    "the last time": (lambda r: field(r, 3, 1, lambda v: str(int(v) + 1)), "proof.txt"),
    "a zero before a time": (lambda r: field(r, 2, 1, lambda v: "0" + v), "transcript.txt line 2"),
    "a word of the text": (lambda r: field(r, 1, 2, lambda v: b64(
        r.entries[0]["line"] + b"\n" + r.entries[0]["body"].replace(b"hello", b"hullo"))),
        "transcript.txt line 1"),
    "an opening": (lambda r: field(r, 1, 2, lambda v: b64(
        r.entries[0]["line"] + b"\n" + bytes(32) + r.entries[0]["body"][32:])),
        "transcript.txt line 1"),
    "base64 with a line feed": (lambda r: field(r, 1, 2, lambda v: v[:64] + "\n" + v[64:]),
                                "transcript.txt line 1"),
    "a signature of another line": (lambda r: field(r, 1, 3, lambda v: b64(r.entries[1]["sig"])),
                                    "transcript.txt line 1"),
    "another author's name on it": (lambda r: field(r, 2, 4, lambda v: r.world.alice.fp),
                                    "transcript.txt line 2"),
    "an author who is not here": (lambda r: field(r, 2, 4, lambda v: r.world.phone.fp),
                                  "transcript.txt line 2"),
}


@pytest.mark.parametrize("what", TRANSCRIPTS)
def test_transcript(tmp_path, room, what):
    files, place = TRANSCRIPTS[what]
    assert both(tmp_path, files(room)).split(":")[0] == place


LIES = {
    "seq left out": {"seq": 3},
    "seq again": {"seq": 1},
    "prev of nobody": {"prev": "ab" * 32},
    "another body": {"body": "cd" * 32},
    "another commitment": {"commitment": "ef" * 32},
    "another room": {"room": "f" * 32},
    "another epoch": {"epoch": 1},
    "another word": {"word": "countersign-entry-2"},
    "has seen the future": {"seen": (2, ZEROS)},
    "has seen another history": {"seen": (1, "12" * 32)},
    "has seen nothing, wrongly": {"seen": (0, "12" * 32)},
    "a leading zero": {"seq": "02"},
    "a negative time": {"ts": -5},
    "capitals": {"prev": "AB" * 32},
    "one field more": {"epoch": "0|0"},
    "an empty field at the end": {"seen": (0, ZEROS + "|")},
    "a NUL in it": {"epoch": "0\0"},
}


@pytest.mark.parametrize("what", LIES)
def test_a_relay_and_an_author_who_lie_together(tmp_path, world, what):
    """Signed, in the tree, under the checkpoint, and yet against the rules of entries."""
    assert both(tmp_path, said(world, **LIES[what])).split(":")[0] == "transcript.txt line 2"


@pytest.mark.parametrize("lie", [{"seq": 2}, {"prev": "ab" * 32}])
def test_a_beginning_that_is_none(tmp_path, world, lie):
    """From number 1 on, everybody's first message is his first."""
    assert both(tmp_path, Room(world).say(world.alice, "x", **lie).bundle()).startswith(
        "transcript.txt line 1: ")


def test_signed_by_another(tmp_path, world):
    assert both(tmp_path, said(world, by=world.bob)).startswith("transcript.txt line 2: ")


def test_a_salt_of_another_length(tmp_path, world):
    r = Room(world).say(world.alice, "hello")
    r.entries[0]["sig"] = world.alice.sign(r.entries[0]["line"], salt=20)
    assert both(tmp_path, r.bundle()).startswith("transcript.txt line 1: ")


def test_received_after_the_checkpoint(tmp_path, world):
    """The relay cannot have had it in a tree that it signed before."""
    r = Room(world).say(world.alice, "first").say(world.bob, "late", time=world.now + 20 * DAY)
    assert both(tmp_path, r.bundle(checkpoint=r.checkpoint(at=world.now + 20 * DAY - 1))) == (
        "transcript.txt line 2: ts: received after it was signed for")
    assert both(tmp_path, r.bundle(checkpoint=r.checkpoint(at=world.now + 20 * DAY))) == 0


@pytest.mark.parametrize("ahead, place", [(300_000, 0), (300_001, "transcript.txt line 1"),
                                          (400 * DAY, "transcript.txt line 1"),
                                          (2**53 - 1, "transcript.txt line 1")])
def test_a_clock_ahead(tmp_path, world, ahead, place):
    """No relay takes what was signed more than five minutes ahead of its clock."""
    ts = min(world.now + ahead, 2**53 - 1)
    said = both(tmp_path, Room(world).say(world.alice, "x", ts=ts).bundle())
    assert (said and said.split(":")[0]) == place


def test_prev_of_another_account(tmp_path, world):
    r = Room(world).say(world.alice, "hers")
    line = hashlib.sha256(r.entries[0]["line"]).hexdigest()
    assert both(tmp_path, r.say(world.bob, "his", prev=line).bundle()) == (
        "transcript.txt line 2: prev is a line of another account")


def test_another_device_follows(tmp_path, world):
    """A certificate's first line may follow its account's last one, and nothing that is not there."""
    r = Room(world).say(world.bob, "from the desk")
    line = hashlib.sha256(r.entries[0]["line"]).hexdigest()
    assert both(tmp_path, r.say(world.phone, "from the phone", prev=line).bundle()) == 0
