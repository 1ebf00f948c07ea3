"""Receipts of sessions and their flat transcripts before both judges (M8, M9): every byte, every field,
every line, every signer. `countersign verify` and docs/verify.sh must agree on verdict and place."""

import json
import shutil
import subprocess

import pytest

from evidence import (BUILD, PKCS7, PKCS9, RECEIPT, ZEROS, Room, World, both, cades, der, nothing, oid, ours,
                      receipt_text, room, run, script, seal, session, sha, tar, world)


@pytest.fixture(scope="module")
def mallory(tmp_path_factory):
    """Another CA, with the same names."""
    return World(tmp_path_factory.mktemp("mallory"))


def judged(*of):
    """The file at fault, and the line of the transcript; 0: none is."""
    said = both(*of)
    return said and said.split(":")[0]


# --- what is true ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("first, last, withheld, relay, member", [
    (1, 3, (), True, False), (1, 3, (2,), True, True), (2, 3, (), False, False), (3, 3, (3,), True, True)])
def test_true(tmp_path, world, room, first, last, withheld, relay, member):
    files = session(room, first, last, withheld, relay=relay, member=world.bob if member else None)
    assert judged(tmp_path, files, world.ca / "root.crt") == 0
    assert judged(tmp_path, files) == 0


def test_what_is_said_of_it(tmp_path, world, room):
    path = tmp_path / "s.receipt"
    path.write_bytes(tar(session(room, 2, 3, member=world.bob).items()))
    v = json.loads(run(f"{BUILD}/countersign", "verify", path, "--json", "--ca", world.ca / "root.crt"))
    assert v["verdict"] == "valid" and v["kind"] == "session" and v["room"] == room.room
    assert v["first"] == 2 and v["last"] == 3 and v["session"] == "5e" * 16 and v["link"] == "tls"
    assert v["suite"] == "TLS_AES_256_GCM_SHA384" and v["previous"] == ZEROS
    assert v["transcript-hash"] == room.heads[3].hex() and v["peer"] == "ab" * 32
    assert [(s["role"], s["name"], s["fp"]) for s in v["seals"]] == [
        ("client", "alice", world.alice.fp), ("relay", "relay.example", world.relay.fp),
        ("member", "bob", world.bob.fp)]
    text = run(f"{BUILD}/countersign", "verify", path, "--ca", world.ca / "root.crt").decode()
    assert "by relay    relay.example" in text and "by member   bob on desk" in text
    said = script(path, world.ca / "root.crt")
    assert said[:2] == (0, "VALID")
    path.write_bytes(tar(session(room, relay=False).items()))
    text = run(f"{BUILD}/countersign", "verify", path, "--ca", world.ca / "root.crt").decode()
    assert "by relay    not sealed" in text


# --- a field that was changed afterwards, and one that was signed so ----------------------------------------

OTHER = {"type": "countersign-receipt-2", "session": "5f" * 16, "link": "ecdhe", "suite": "none", "signer": "cd" * 32,
         "peer": "client", "peer_cert_fingerprint": "ac" * 32, "created_at": 1, "room": "ab" * 16,
         "first_seqno": 2, "last_seqno": 2, "message_count": 2, "base": "01" * 32, "transcript_hash": "02" * 32,
         "tree_size": 2, "tree_root": "03" * 32, "previous": "04" * 32}


@pytest.mark.parametrize("field", RECEIPT)
def test_edited(tmp_path, world, room, field):
    """M9: nothing in it is unsigned."""
    files = session(room, member=world.bob)
    files["receipt.txt"] = receipt_text(room, 1, 3, world.alice, **{field: OTHER[field]})
    assert judged(tmp_path, files, world.ca / "root.crt") != 0


@pytest.mark.parametrize("lie, place", [
    ({"message_count": 4}, "receipt.txt"), ({"first_seqno": 0, "message_count": 4}, "receipt.txt"),
    ({"first_seqno": 2, "message_count": 2}, "transcript.txt"),
    ({"last_seqno": 2, "message_count": 2, "tree_size": 2}, "transcript.txt"),
    ({"last_seqno": 4, "message_count": 4}, "transcript.txt"),
    ({"last_seqno": 0, "message_count": 0, "tree_size": 0}, "receipt.txt"),
    ({"base": "01" * 32}, "receipt.txt"), ({"transcript_hash": "02" * 32}, "receipt.txt"),
    ({"tree_size": 4}, "receipt.txt"), ({"tree_size": 0}, "receipt.txt"),
    ({"room": "ab" * 16}, "transcript.txt line 1"), ({"signer": "cd" * 32}, "client.txt"),
    ({"peer": "client"}, "receipt.txt"), ({"type": "receipt"}, "receipt.txt"),
    ({"link": ""}, "receipt.txt"), ({"suite": "a" * 49}, "receipt.txt"), ({"suite": " a"}, "receipt.txt"),
    ({"suite": "\u00e9"}, "receipt.txt"), ({"previous": "AB" * 32}, "receipt.txt"),
    ({"session": "5e" * 15}, "receipt.txt"), ({"created_at": "01"}, "receipt.txt"),
    ({"tree_root": "0" * 63}, "receipt.txt")])
def test_signed_so(tmp_path, world, room, lie, place):
    """A client that signs nonsense, with a relay that signs what it is given."""
    at = room.entries[2]["time"] + 10
    text = receipt_text(room, 1, 3, world.alice, **lie)
    seals = {"client": seal(text, "client", world.alice, at), "relay": seal(text, "relay", world.relay, at)}
    assert judged(tmp_path, session(room, text=text, seals=seals), world.ca / "root.crt") == place


@pytest.mark.parametrize("change", [
    lambda t: t[:-1], lambda t: t + b"\n", lambda t: t + b"x 1\n", lambda t: t.replace(b"\n", b"\r\n"), lambda t: b"",
    lambda t: t.replace(b"link tls", b"link  tls"), lambda t: t.replace(b"link", b"Link"),
    lambda t: t.replace(b"first_seqno 1\n", b""), lambda t: t + t, lambda t: t.replace(b"tls\n", b"tls\0\n"),
    lambda t: b"\n".join(sorted(t.split(b"\n")[:-1])) + b"\n"])
def test_other_spellings(tmp_path, world, room, change):
    at = room.entries[2]["time"] + 10
    text = change(receipt_text(room, 1, 3, world.alice))
    seals = {"client": seal(text, "client", world.alice, at)}
    assert judged(tmp_path, session(room, text=text or b" ", relay=False, seals=seals)) == "receipt.txt"


# --- who sealed it ---------------------------------------------------------------------------------------

def sealed(world, room, role, signer, **how):
    """What a bundle is with this seal in it: the role and time that it says, and the key that signed."""
    text = receipt_text(room, 1, 3, world.alice)
    at = room.entries[2]["time"] + 10 + how.get("later", 0)
    made = seal(text, how.get("says", role), signer, at, how.get("key"))
    return session(room, seals={role: made}, more=[signer])


def test_another_signer(tmp_path, world, room, mallory):
    """M9: signer swapped; a certificate that somebody made for himself; another's role; another session's."""
    ca = world.ca / "root.crt"
    bob, alice, relay = world.bob, world.alice, world.relay
    assert judged(tmp_path, sealed(world, room, "client", bob), ca) == "client.txt"
    assert judged(tmp_path, sealed(world, room, "client", alice, key=bob), ca) == "client.sig"
    assert judged(tmp_path, sealed(world, room, "client", alice, later=1), ca) == "client.txt"
    assert judged(tmp_path, sealed(world, room, "client", alice, says="member"), ca) == "client.txt"
    assert judged(tmp_path, sealed(world, room, "relay", relay, key=bob), ca) == "relay.sig"
    assert judged(tmp_path, sealed(world, room, "relay", relay, says="client"), ca) == "relay.txt"
    assert judged(tmp_path, sealed(world, room, "relay", bob), ca) == f"certs/{bob.fp}.der"
    assert judged(tmp_path, sealed(world, room, "relay", mallory.relay), ca) == f"certs/{mallory.relay.fp}.der"
    assert judged(tmp_path, sealed(world, room, "member", relay), ca) == f"certs/{relay.fp}.der"
    assert judged(tmp_path, sealed(world, room, "member", alice), ca) == "member.sig"
    assert judged(tmp_path, sealed(world, room, "member", mallory.bob), ca) == f"certs/{mallory.bob.fp}.der"
    assert judged(tmp_path, sealed(world, room, "member", bob, key=alice), ca) == "member.sig"
    assert judged(tmp_path, session(room), mallory.ca / "root.crt") == "root.der"


def test_seals_of_another_receipt(tmp_path, world, room):
    """M9: receipt of another session, its seals, its transcript."""
    good, other = session(room), session(room, session="77" * 16, member=world.bob)
    for name, place in (("receipt.txt", "client.sig"), ("client.sig", "client.sig"),
                        ("relay.sig", "relay.sig"), ("member.sig", "member.txt")):
        files = dict(good)
        files[name] = other[name]
        assert judged(tmp_path, files, world.ca / "root.crt") == place, name
    files = dict(good)
    files.update({n: d for n, d in session(room, 2, 3).items() if n == "transcript.txt"})
    assert judged(tmp_path, files) == "transcript.txt line 1"


@pytest.mark.parametrize("name", ["client", "relay"])
def test_half_a_seal(tmp_path, world, room, name):
    for end in ".txt", ".sig":
        files = session(room)
        files[name + end] = b""
        assert judged(tmp_path, files, world.ca / "root.crt") == name + (".txt" if end == ".txt" else ".sig")
    files = session(room)
    files[name + ".txt"] = files[name + ".sig"] = b""
    place = judged(tmp_path, files, world.ca / "root.crt")
    assert place == ("client.txt" if name == "client" else f"certs/{world.relay.fp}.der")


def test_sealed_before_it_was_said(tmp_path, world, room):
    early = room.entries[2]["time"] - 1
    text = receipt_text(room, 1, 3, world.alice, created_at=early)
    seals = {"client": seal(text, "client", world.alice, early)}
    assert judged(tmp_path, session(room, text=text, seals=seals)) == "transcript.txt line 3"
    text = receipt_text(room, 1, 3, world.alice)
    seals = {"relay": seal(text, "relay", world.relay, early)}
    assert judged(tmp_path, session(room, seals=seals)) == "transcript.txt line 3"


def test_revoked_before_it_was_sealed(tmp_path, tmp_path_factory):
    home = World(tmp_path_factory.mktemp("revoked"))
    home.revoke(home.bob)
    home.now += 60 * 1000
    talk = Room(home).say(home.alice, "hello").say(home.alice, "again")
    assert judged(tmp_path, session(talk), home.ca / "root.crt") == 0
    files = session(talk, member=home.bob)
    assert judged(tmp_path, files, home.ca / "root.crt") == f"certs/{home.bob.fp}.der"


# --- the client's signature as CMS (evidence.md 5.1) ------------------------------------------------------

UNSIGNED = der(0xA1, der(0x30, oid(PKCS9 + ".6"), der(0x31, der(2, b"\1"))))
BOTH = ("by another's key", "another CA inside", "without its time", "an unsigned attribute")


def test_cades(tmp_path, world, room, mallory):
    text, at = receipt_text(room, 1, 3, world.alice), room.entries[2]["time"] + 10
    issuer = world.authority()["issuer.der"]
    good = cades(text, world.alice, issuer, at)
    lies = {
        "none": b" ", "of another text": cades(text + b" ", world.alice, issuer, at),
        "of another time": cades(text, world.alice, issuer, at + 1000),
        "by another": cades(text, world.bob, issuer, at),
        "by another's key": cades(text, world.alice, issuer, at, key=world.bob),
        "of a certificate with this name": cades(text, mallory.alice, issuer, at),
        "another CA inside": cades(text, world.alice, world.authority()["root.der"], at),
        "a third certificate": cades(text, world.alice, issuer, at, certs=[world.alice.der, issuer, world.bob.der]),
        "another digest": cades(text, world.alice, issuer, at, digest=bytes(32)),
        "another certificate's hash": cades(text, world.alice, issuer, at, names=bytes(32)),
        "without its time": cades(text, world.alice, issuer, at, attributes=lambda a: a[:1] + a[2:]),
        "an attribute twice": cades(text, world.alice, issuer, at, attributes=lambda a: a + a[:1]),
        "another type": cades(text, world.alice, issuer, at, type=PKCS7 + ".2"),
        "an unsigned attribute": cades(text, world.alice, issuer, at, unsigned=UNSIGNED),
        "cut": good[:-1], "more": good + b"\0"}
    path = tmp_path / "b.tar"
    for what, lie in lies.items():
        path.write_bytes(tar(session(room, p7s=lie).items()))
        assert ours(path)[2].split(":")[0] == "receipt.p7s", what
        if what in BOTH:
            assert script(path)[2] == ours(path)[2], what


def test_cades_for_openssl(tmp_path, world, room):
    """The command of VERIFY.txt, on what is written and on every part of it that was changed."""
    text, at = receipt_text(room, 1, 3, world.alice), room.entries[2]["time"] + 10
    good = cades(text, world.alice, world.authority()["issuer.der"], at)

    def accepts(p7s, content=text):
        (tmp_path / "receipt.p7s").write_bytes(p7s)
        (tmp_path / "receipt.txt").write_bytes(content)
        return subprocess.run(
            ["openssl", "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "receipt.p7s", "-content",
             "receipt.txt", "-CAfile", world.ca / "root.crt", "-purpose", "any", "-attime", str(at // 1000),
             "-out", "/dev/null"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    signed = good.index(sha(text))
    assert accepts(good) and not accepts(good, text[:-1]) and not accepts(good, text.replace(b"tls", b"tlz"))
    for at_byte in (signed - 60, signed, signed + 31, signed + 60, len(good) - 384, len(good) - 1):
        assert not accepts(good[:at_byte] + bytes([good[at_byte] ^ 1]) + good[at_byte + 1:]), at_byte


# --- the transcript ----------------------------------------------------------------------------------------

CHANGES = {
    "first dropped": lambda l: l[1:], "last dropped": lambda l: l[:-1], "middle dropped": lambda l: l[:1] + l[2:],
    "swapped": lambda l: [l[1], l[0], l[2]], "doubled": lambda l: l[:1] + l, "none": lambda l: [],
    "one added": lambda l: l + [l[2].replace("3|", "4|", 1)], "a bar": lambda l: l[:2] + ["|" + l[2]],
    "CRLF": lambda l: [x.replace("\n", "\r\n") for x in l], "no end": lambda l: l[:2] + [l[2][:-1]],
    "renumbered": lambda l: [f"{i + 2}|" + x.split("|", 1)[1] for i, x in enumerate(l)],
    "another time": lambda l: [l[0].replace("|", "|1", 1)] + l[1:],
    "empty line": lambda l: ["\n"] + l,
}


@pytest.mark.parametrize("what", CHANGES)
def test_lines(tmp_path, world, room, what):
    """M8, of the transcript inside and of the flat file beside it: which line is another."""
    files = session(room, member=world.bob)
    lines = room.records(1, 3)
    changed = "".join(CHANGES[what](lines)).encode()
    flat, archive = tmp_path / "t.txt", tmp_path / "t.receipt"
    archive.write_bytes(tar(files.items()))
    flat.write_bytes(changed)
    first = next((i for i, (a, b) in enumerate(zip(changed.decode().split("\n"), "".join(lines).split("\n")))
                  if a != b), None)
    for judge in ours(flat, env=nothing(tmp_path)), script(flat, env=nothing(tmp_path)):
        assert judge[:2] == (65, "INVALID") and judge[2].startswith("the transcript line "), (what, judge)
        if what != "no end":
            assert judge[2] == f"the transcript line {first + 1}: not what was sealed", judge
    flat.unlink()
    archive.unlink()
    files["transcript.txt"] = changed
    assert judged(tmp_path, files) != 0


def test_flat_and_receipt(tmp_path, world, room):
    ca = world.ca / "root.crt"
    flat, archive = tmp_path / "t.txt", tmp_path / "t.receipt"
    flat.write_bytes("".join(room.records(1, 3)).encode())
    archive.write_bytes(tar(session(room).items()))
    assert ours(flat, "--ca", ca) == (0, "VALID", "") and script(flat, ca) == (0, "VALID", "")
    archive.write_bytes(tar(session(room, 1, 3, (2,)).items()))
    assert ours(flat, "--ca", ca)[2] == script(flat, ca)[2] == "the transcript line 2: not what was sealed"
    archive.write_bytes(tar(room.bundle().items()))
    why = "bundle: no receipt of a session stands beside the transcript"
    assert ours(flat, "--ca", ca)[2] == script(flat, ca)[2] == why
    archive.unlink()
    for argv in ([f"{BUILD}/countersign", "verify", flat], ["/bin/sh", "docs/verify.sh", flat]):
        with pytest.raises(AssertionError):
            run(*argv)


def test_bytes_changed(tmp_path, world, room):
    """Every byte of the flat file; of the bundle every byte of what is signed and of the signatures that
    both judges can be asked about in the time there is, and the rest by ours alone."""
    ca = world.ca / "root.crt"
    files = session(room, 2, 3, member=world.bob)
    data, flat = tar(files.items()), files["transcript.txt"]
    (tmp_path / "t.receipt").write_bytes(data)
    for at in range(0, len(flat), 97):
        (tmp_path / "t.txt").write_bytes(flat[:at] + bytes([flat[at] ^ 1]) + flat[at + 1:])
        assert ours(tmp_path / "t.txt", "--ca", ca)[0] == 65, at
    for at in range(0, len(data), 211):
        (tmp_path / "b.tar").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        assert ours(tmp_path / "b.tar", "--ca", ca)[0] == 65, at
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    for at in range(1, len(data), len(data) // 24):
        assert judged(tmp_path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], ca) != 0, at
