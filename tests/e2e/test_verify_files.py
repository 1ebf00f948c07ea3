"""The same two judges as in test_verify.py over everything around what is said: checkpoints,
certificates, proofs, the archive, and a relay's contradictions with itself (M9)."""

import calendar
import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from evidence import (BUILD, DAY, ROOT, Room, Signer, World, b64, both, contradiction, files_with,
                      header, nothing, ours, room, run, script, sha, tar, world)
from relay import Relay


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """Another CA that gave itself the same names."""
    return World(tmp_path_factory.mktemp("strange"))


def now():
    return int(time.time() * 1000)


def renamed(files, old, new):
    return [(new if n == old else n, d) for n, d in files.items()]


def moved(files, name, place):
    items = [i for i in files.items() if i[0] != name]
    items.insert(place, (name, files[name]))
    return tar(items)


def test_checkpoints(tmp_path, world, room):
    """Of another size, another root, another room, signed by one who may not."""
    text, sig = room.checkpoint()

    def signed(text, by=world.relay):
        return both(tmp_path, room.bundle(checkpoint=(text, by.sign(text)), signers=[by]))
    assert signed(text.replace(b"\n3\n", b"\n2\n")).startswith("proof.txt: ")
    assert signed(text.replace(b"\n3\n", b"\n4\n")).startswith("proof.txt: ")
    assert signed(text.replace(room.room.encode(), b"f" * 32)).startswith("transcript.txt line 1: ")
    assert signed(text.replace(b"room/", b"audit/")).startswith("checkpoint.txt: ")
    # signed rightly, by another than it says; by a device; by whom nobody knows
    assert both(tmp_path, room.bundle(checkpoint=(text, world.bob.sign(text)))).startswith(
        "checkpoint.sig: ")
    other = text.replace(world.relay.fp.encode(), world.bob.fp.encode())
    assert signed(other, world.bob).startswith(f"certs/{world.bob.fp}.der: ")
    other = text.replace(world.relay.fp.encode(), b"0" * 64)
    assert both(tmp_path, room.bundle(checkpoint=(other, world.relay.sign(other)))).startswith(
        "checkpoint.txt: ")
    # of another session of the same relay
    r = Room(world).say(world.alice, "elsewhere").say(world.bob, "yes").say(world.alice, "so")
    assert both(tmp_path, room.bundle(checkpoint=r.checkpoint())).startswith("proof.txt: ")


def test_certificates(tmp_path, world, strange, room):
    root = world.ca / "root.crt"
    # a whole bundle under a CA of one's own: consistent, and refused by whoever knows his CA
    theirs = Room(strange).say(strange.alice, "I owe you")
    assert both(tmp_path, theirs.bundle()) == 0
    assert both(tmp_path, theirs.bundle(), root).startswith("root.der: ")
    # a self-made certificate among good ones
    home = tmp_path / "self"
    home.mkdir()
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=alice/OU=laptop",
        "-addext", "subjectAltName=URI:countersign:alice/laptop", "-keyout", home / "self.key",
        "-out", home / "self.crt", "-addext", "extendedKeyUsage=clientAuth", "-addext",
        "keyUsage=critical,digitalSignature,nonRepudiation", "-addext", "basicConstraints=CA:FALSE")
    mallory = Signer.__new__(Signer)
    mallory.key = home / "self.key"
    mallory.der = run("openssl", "x509", "-in", home / "self.crt", "-outform", "DER")
    mallory.fp = hashlib.sha256(mallory.der).hexdigest()
    files = Room(world).say(mallory, "I owe you").bundle(more=[mallory])
    key = mallory.sign  # the key is read before its folder goes
    shutil.rmtree(home)
    assert key and both(tmp_path, files, root).startswith(f"certs/{mallory.fp}.der: ")
    # a certificate of the other CA; the relay's evidence certificate as an author's
    files = Room(world).say(strange.alice, "I owe you").bundle(more=[strange.alice])
    assert both(tmp_path, files, root).startswith(f"certs/{strange.alice.fp}.der: ")
    files = Room(world).say(world.relay, "I owe you").bundle()
    assert both(tmp_path, files, root).startswith(f"certs/{world.relay.fp}.der: ")
    # a certificate that nobody needs, one that is missing, root and issuer exchanged
    files = room.bundle(signers=[world.relay, world.phone])
    assert both(tmp_path, files).startswith(f"certs/{world.phone.fp}.der: ")
    files = room.bundle()
    del files[f"certs/{world.bob.fp}.der"]
    assert both(tmp_path, files).startswith("transcript.txt line 2: ")
    files = room.bundle()
    files["issuer.der"] = files["root.der"]
    assert both(tmp_path, files).startswith("crl.der: ")
    # the list of another CA, none at all, one with a byte behind it
    for crl in (strange.ca / "crl.der").read_bytes(), b"", room.bundle()["crl.der"] + b"\0":
        assert both(tmp_path, files_with(room, "crl.der", crl)).startswith("crl.der: ")
    for name in "root.der", "issuer.der":
        assert both(tmp_path, files_with(room, name, room.bundle()[name] + b"\0")).startswith(name)


def test_revoked_and_outdated(tmp_path, tmp_path_factory):
    """A revocation counts from its date; time does not bring a certificate back."""
    w = World(tmp_path_factory.mktemp("revoked"))
    lost = w.signer("lost", "device", "alice", "lost", days=1)
    before = Room(w).say(lost, "before", time=now() - 60_000)
    w.revoke(lost)
    assert both(tmp_path, before.bundle(more=[lost])) == 0
    after = before.say(lost, "after", time=now() + 60_000)
    assert both(tmp_path, after.bundle(more=[lost])).startswith(f"certs/{lost.fp}.der: ")
    short = w.signer("short", "device", "carol", "short", days=1)
    late = Room(w).say(short, "late", time=w.now + 2 * DAY)
    assert both(tmp_path, late.bundle(more=[short])).startswith(f"certs/{short.fp}.der: ")
    early = Room(w).say(w.bob, "early", time=w.now - DAY).say(w.bob, "in time")
    assert both(tmp_path, early.bundle()).startswith(f"certs/{w.bob.fp}.der: ")
    # the relay's own certificate when it signed, and a list that had run out by then
    good = Room(w).say(w.bob, "x")
    old = good.checkpoint(at=w.now - DAY)
    assert both(tmp_path, good.bundle(checkpoint=old)).startswith(f"certs/{w.relay.fp}.der: ")
    stale = good.checkpoint(at=w.now + 31 * DAY)
    assert both(tmp_path, good.bundle(checkpoint=stale)).startswith("crl.der: ")


BASE = """basicConstraints=critical,CA:FALSE
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
SIGNS = "keyUsage=critical,digitalSignature,nonRepudiation"
DEVICE = "extendedKeyUsage=clientAuth\n"
EVIDENCE = "extendedKeyUsage=2.25.8406729532635785283492383773779946475\n"
NAMED = "subjectAltName=URI:countersign:alice/laptop\n"


def issued(home, world, extensions, subject="/CN=alice/OU=laptop"):
    """A certificate of the right CA that countersign-ca would not make."""
    s = Signer.__new__(Signer)
    s.key, ext, csr, crt = (home / f"x.{end}" for end in ("key", "ext", "csr", "crt"))
    ext.write_text(BASE + extensions)
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", s.key, "-out", csr)
    run("openssl", "x509", "-req", "-in", csr, "-CA", world.ca / "intermediate.crt", "-CAkey",
        world.ca / "intermediate.key", "-set_serial", str(time.time_ns()), "-days", "20", "-sha256",
        "-extfile", ext, "-out", crt)
    s.der = run("openssl", "x509", "-in", crt, "-outform", "DER")
    s.fp = hashlib.sha256(s.der).hexdigest()
    return s


@pytest.mark.parametrize("extensions, good", [
    (f"{SIGNS}\n{DEVICE}{NAMED}", True),
    (f"{SIGNS},dataEncipherment\n{DEVICE}{NAMED}", True),
    (f"{SIGNS},keyCertSign\n{DEVICE}{NAMED}", False),
    (f"{SIGNS}\n{DEVICE}", False),
    (f"{SIGNS}\n{DEVICE}subjectAltName=URI:countersign:bob/desk\n", False),
    (f"{SIGNS}\n{DEVICE}subjectAltName=URI:countersign:alice/laptop,URI:countersign:bob/desk\n", False)])
def test_names_and_uses_of_a_device(tmp_path, tmp_path_factory, world, extensions, good):
    s = issued(tmp_path_factory.mktemp("issued"), world, extensions)
    soon = now() + 1000
    said = both(tmp_path, Room(world).say(s, "x", time=soon).bundle(more=[s]))
    assert said == 0 if good else said.startswith(f"certs/{s.fp}.der: ")


def test_the_last_second(tmp_path, tmp_path_factory, world):
    """It counts as a whole, and nothing after it."""
    s = issued(tmp_path_factory.mktemp("issued"), world, f"{SIGNS}\n{DEVICE}{NAMED}")
    text = run("openssl", "x509", "-inform", "DER", "-noout", "-enddate", data=s.der).decode()
    end = calendar.timegm(time.strptime(text.strip(), "notAfter=%b %d %H:%M:%S %Y GMT")) * 1000
    assert both(tmp_path, Room(world).say(s, "x", time=end + 999).bundle(more=[s])) == 0
    assert both(tmp_path, Room(world).say(s, "x", time=end + 1000).bundle(more=[s])).startswith(
        f"certs/{s.fp}.der: ")


def test_a_relay_without_a_name(tmp_path, tmp_path_factory, world):
    s = issued(tmp_path_factory.mktemp("issued"), world, f"{SIGNS}\n{EVIDENCE}", "/CN=relay.example")
    room = Room(world).say(world.alice, "x")
    files = room.bundle(checkpoint=room.checkpoint(signer=s, at=now() + 1000), signers=[s])
    assert both(tmp_path, files).startswith(f"certs/{s.fp}.der: ")


@pytest.mark.parametrize("extension", ["2.5.29.27=critical,DER:02:01:01", "2.5.29.28=critical,DER:30:00", ""])
def test_lists_that_are_not_whole(tmp_path, tmp_path_factory, world, room, extension):
    """A delta, a part, and one without a number or version 2."""
    home = tmp_path_factory.mktemp("list")
    (home / "index").write_text("")
    (home / "number").write_text("7FFFFFFF\n")
    (home / "conf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={home}/index\ndefault_md=sha256\ndefault_crl_days=30\n"
        + (f"crlnumber={home}/number\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n{extension}\n"
           if extension else ""))
    run("openssl", "ca", "-config", home / "conf", "-gencrl", "-keyfile", world.ca / "intermediate.key",
        "-cert", world.ca / "intermediate.crt", "-out", home / "pem")
    der = run("openssl", "crl", "-in", home / "pem", "-outform", "DER")
    assert both(tmp_path, files_with(room, "crl.der", der)).startswith("crl.der: ")


def tlv(tag, *parts):
    """DER of at most 64 KiB."""
    body = b"".join(parts)
    n = len(body)
    head = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big")
    return bytes([tag]) + head + body


def parts_of(der):
    """What is inside one element, cut into elements."""
    def cut(b):
        n, head = b[1], 2
        if n >= 128:
            head += n - 128
            n = int.from_bytes(b[2:head], "big")
        return b[:head + n], b[head:head + n], b[head + n:]
    out, rest = [], cut(der)[1]
    while rest:
        one, _, rest = cut(rest)
        out.append(one)
    return out


@pytest.mark.parametrize("critical, good", [(b"", True), (b"\x01\x01\xff", False)])
def test_an_entry_with_an_extension(tmp_path, world, room, critical, good):
    """A reason for a revocation; and one that is critical, which may say that another CA's is meant."""
    tbs, algorithm, _ = parts_of((world.ca / "crl.der").read_bytes())
    fields = parts_of(tbs)
    reason = tlv(0x30, b"\x06\x03\x55\x1d\x15", critical, tlv(4, b"\x0a\x01\x01"))
    entry = tlv(0x30, b"\x02\x04\x01\x02\x03\x04", tlv(0x17, b"260101000000Z"), tlv(0x30, reason))
    tbs = tlv(0x30, *fields[:5], tlv(0x30, entry), fields[-1])
    sig = run("openssl", "dgst", "-sha256", "-sign", world.ca / "intermediate.key", data=tbs)
    der = tlv(0x30, tbs, algorithm, tlv(3, b"\0", sig))
    said = both(tmp_path, files_with(room, "crl.der", der))
    assert said == 0 if good else said.startswith("crl.der: ")


def test_an_older_list_inside(tmp_path, tmp_path_factory):
    """The maker of a bundle chooses its list; a newer one, brought by who checks, counts too."""
    w = World(tmp_path_factory.mktemp("older"))
    root = w.ca / "root.crt"
    room = Room(w).say(w.alice, "after the revocation", time=now() + 60_000)
    files = room.bundle()
    w.revoke(w.alice)
    lists = tmp_path_factory.mktemp("lists")
    run("openssl", "crl", "-inform", "DER", "-in", w.ca / "crl.der", "-out", lists / "new.pem")
    assert both(tmp_path, files, root) == 0
    for newer in w.ca / "crl.der", lists / "new.pem":
        assert both(tmp_path, files, root, newer).startswith(f"certs/{w.alice.fp}.der: ")
    assert both(tmp_path, files, root, w.ca / "root-crl.der").startswith("the list that was given: ")


def test_proofs(tmp_path, room):
    proof = room.bundle(2, 2)["proof.txt"].decode().splitlines(True)
    assert len(proof) == 2
    for wrong in (proof[1] + proof[0], proof[0], "", "".join(proof) + proof[0], proof[0] * 2,
                  proof[0] + proof[1][:-1], proof[0] + "\n" + proof[1], "x" * 44 + "\n",
                  proof[0] + b64(sha(b"other")) + "\n"):
        files = room.bundle(2, 2)
        files["proof.txt"] = wrong.encode()
        assert both(tmp_path, files).startswith("proof.txt: ")


def test_archives(tmp_path, room):
    files = room.bundle()
    good = tar(files.items())
    size = len(files["VERIFY.txt"])
    first = header("VERIFY.txt", size)
    cases = {
        "cut short": good[:-512], "cut in the middle": good[:5000], "empty": b"",
        "only zeros": bytes(1024), "zeros behind it": good + bytes(512), "a byte behind it": good + b"x",
        "not an archive": b"countersign " * 200,
        "one block of zeros": good[:-1024] + bytes(512) + b"x" * 512,
        "another mode": header("VERIFY.txt", size, _100=b"0000755") + good[512:],
        "another time": header("VERIFY.txt", size, _136=b"00000000001") + good[512:],
        "an owner": header("VERIFY.txt", size, _265=b"root") + good[512:],
        "a link": header("VERIFY.txt", size, _156=b"2") + good[512:],
        "bytes behind the name": header("VERIFY.txt", size, _90=b"x") + good[512:],
        "a sum": first[:148] + b"000000\0 " + first[156:] + good[512:],
        "a huge size": header("VERIFY.txt", size, _124=b"77777777777") + good[512:],
        "padding": good[:512 + size] + b"x" + good[512 + size + 1:],
        "a name out of the directory": tar(renamed(files, "VERIFY.txt", "../VERIFY.txt")),
    }
    for what, data in cases.items():
        place = both(tmp_path, data)
        assert place and place.startswith(("bundle: ", "../VERIFY.txt: ")), (what, place)
    assert both(tmp_path, moved(files, "proof.txt", 3)).startswith("proof.txt: ")
    assert both(tmp_path, moved(files, "root.der", 0)).startswith("root.der: ")
    assert both(tmp_path, tar([*files.items(), ("notes.txt", b"")])).startswith("notes.txt: ")
    certs = [i for i in files.items() if i[0].startswith("certs/")]
    fixed = [i for i in files.items() if not i[0].startswith("certs/")]
    assert both(tmp_path, tar(fixed + certs[::-1])).startswith("certs/")
    assert both(tmp_path, tar(fixed + certs + certs[-1:])).startswith("certs/")
    bobs = f"certs/{room.world.bob.fp}.der"
    assert both(tmp_path, files_with(room, bobs, room.world.phone.der)).startswith(bobs)
    for name in files:
        if not name.startswith("certs/"):
            less = {k: v for k, v in files.items() if k != name}
            assert both(tmp_path, less) != 0, name
    assert both(tmp_path, files_with(room, "VERIFY.txt", b"Believe me.\n")).startswith("VERIFY.txt: ")


# --- a relay that contradicts itself -----------------------------------------------------------------------

def test_contradictions(tmp_path, world, room):
    """Two checkpoints of one room that cannot both be true convince anybody; two that can, nobody."""
    other = Room(world)
    other.entries = [dict(e) for e in room.entries]
    other.entries[1]["time"] += 1  # back-dated, or forward
    say = Room(world).say(world.alice, "hello").say(world.bob, "another history")
    root = world.ca / "root.crt"
    for first, second in ((room.checkpoint(3), other.checkpoint(3)),
                          (room.checkpoint(2), other.checkpoint(3))):
        assert both(tmp_path, contradiction(world, first, second, other.leaves()), root) == 0
    assert both(tmp_path, contradiction(world, room.checkpoint(2), say.checkpoint(2),
                                        say.leaves()), root) == 0
    assert "proof.txt: the two checkpoints agree" == both(
        tmp_path, contradiction(world, room.checkpoint(1), other.checkpoint(3), other.leaves()), root)
    assert "proof.txt: the two checkpoints agree" == both(
        tmp_path, contradiction(world, room.checkpoint(3), room.checkpoint(3), room.leaves()), root)
    # somebody else's word, another room's, an invented past, the wrong way round
    good = contradiction(world, room.checkpoint(2), other.checkpoint(3), other.leaves())

    def but(**files):
        return both(tmp_path, {**good, **{k.replace("_", "."): v for k, v in files.items()}}, root)
    assert but(later_sig=world.bob.sign(good["later.txt"])).startswith("later.sig: ")
    assert but(checkpoint_sig=good["later.sig"]).startswith("checkpoint.sig: ")
    assert but(proof_txt=b"").startswith("proof.txt: ")
    proof = good["proof.txt"].splitlines(True)
    assert but(proof_txt=b64(sha(b"invented")).encode() + b"\n" + b"".join(proof[1:])).startswith(
        "proof.txt: ")
    elsewhere = Room(world, "f" * 32).say(world.alice, "x").say(world.bob, "y").say(world.bob, "z")
    assert but(later_txt=elsewhere.checkpoint()[0], later_sig=elsewhere.checkpoint()[1]).startswith(
        "later.txt: ")
    assert but(checkpoint_txt=good["later.txt"], checkpoint_sig=good["later.sig"],
               later_txt=good["checkpoint.txt"], later_sig=good["checkpoint.sig"]).startswith(
                   "proof.txt: ")
    files = dict(good)
    files[f"certs/{world.phone.fp}.der"] = world.phone.der
    files = dict(sorted(files.items(), key=lambda i: (i[0].startswith("certs/"),
                                                      i[0] if i[0].startswith("certs/") else "")))
    assert both(tmp_path, files).startswith(f"certs/{world.phone.fp}.der: ")


# --- every byte ---------------------------------------------------------------------------------------------

def test_bytes_changed(tmp_path, world, room):
    """A byte of each kind of place, by both; unit/chat/test_judge.c changes every byte."""
    files = room.bundle(2, 2)
    good = tar(files.items())
    at = 0
    for name, data in files.items():
        for offset in (at + 5, at + 512 + len(data) // 2):
            bad = bytearray(good)
            bad[offset] ^= 1
            assert both(tmp_path, bytes(bad)) != 0, (name, offset)
        at += 512 + len(data) + -len(data) % 512


def test_an_author_whose_certificate_is_none(tmp_path, world, room):
    """The certificate is wrong, not the line."""
    files = room.bundle()
    old = world.bob
    junk = b"no certificate"
    fp = hashlib.sha256(junk).hexdigest()
    del files[f"certs/{old.fp}.der"]
    files["transcript.txt"] = files["transcript.txt"].replace(old.fp.encode(), fp.encode())
    files[f"certs/{fp}.der"] = junk
    files = dict(sorted(files.items(), key=lambda i: (i[0].startswith("certs/"),
                                                      i[0] if i[0].startswith("certs/") else "")))
    assert both(tmp_path, files).startswith(f"certs/{fp}.der: ")


def test_too_big(tmp_path):
    """A verdict like any other, and nothing is read for it."""
    path = tmp_path / "big.tar"
    with open(path, "wb") as f:
        f.truncate(512 * 1024 * 1024 + 1)
    env = nothing(tmp_path)
    assert ours(path, env=env) == (65, "INVALID", "bundle: too big")
    assert script(path, env=env) == (65, "INVALID", "bundle: too big")
    p = subprocess.run([f"{BUILD}/countersign", "verify", "--json", path], env=env, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    v = json.loads(p.stdout)
    assert (v["verdict"], v["where"], v["why"]) == ("invalid", "bundle", "too big")


# --- the command ----------------------------------------------------------------------------------------------

def test_the_root_of_the_account_here(tmp_path, tmp_path_factory, world, room):
    """It is named, and does not decide: whoever has no account is told the same."""
    with Relay(tmp_path) as relay:
        relay.run()
        alice = relay.member("alice", "--admin")
        theirs = World(tmp_path_factory.mktemp("theirs"), "127.0.0.1", Path(relay.dir) / "ca")
        for w, known in ((theirs, True), (world, False)):
            path = tmp_path / "b.tar"
            path.write_bytes(tar(Room(w).say(w.alice, "x").bundle().items()))
            said = alice("verify", path, status=77)
            assert ("the account \"default\" here has joined under it: --ca " in said) == known
            assert ("compare this SHA-256" in said) != known
            v = json.loads(alice("verify", path, "--json", status=77))
            assert v.get("profile") == ("default" if known else None) and not v["valid"]
            if known:  # the file that is named is the one to give
                root = said.split("--ca ")[1].splitlines()[0]
                assert alice("verify", path, "--ca", root).startswith("VALID\n")


def test_used_wrongly(tmp_path, room):
    env = nothing(tmp_path)

    def status(*argv):
        return subprocess.run([f"{BUILD}/countersign", "verify", *argv], env=env, text=True,
                              timeout=60, stdout=subprocess.PIPE, stderr=subprocess.PIPE).returncode
    path = tmp_path / "b.tar"
    path.write_bytes(tar(room.bundle().items()))
    assert status() == 64 and status(path, path) == 64 and status(path, "--follow") == 64
    assert status(tmp_path / "none") == 66 and status(path, "--ca", tmp_path / "none") == 66
    assert status(path, "--ca", path) == 65
    p = subprocess.run([f"{BUILD}/countersign", "verify", "--json", __file__], env=env, text=True,
                       timeout=60, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    v = json.loads(p.stdout)
    assert p.returncode == 65 and not v["valid"] and v["where"] == "bundle" and v["why"]
    for argv, code in (((), 64), (("none",), 66), ((path, "none"), 66), ((path, __file__), 65)):
        p = subprocess.run(["/bin/sh", f"{ROOT}/docs/verify.sh", *argv], env=env, text=True,
                           timeout=60, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.returncode == code, p
