"""Bundles of evidence made by hand: an implementation of docs/evidence.md of its own, with keys and
certificates of countersign-ca and signatures of openssl. What it makes is true unless told otherwise,
so a test says in one line what is false about it."""

import ast
import base64
import concurrent.futures
import hashlib
import json
import os
import subprocess
import time

import pytest

BUILD = os.path.abspath(os.environ.get("COUNTERSIGN_BUILD", "build"))
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DAY = 24 * 3600 * 1000
ZEROS = "0" * 64


def run(*argv, cwd=None, data=None):
    p = subprocess.run([str(a) for a in argv], cwd=cwd, input=data, timeout=120,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 0, (argv, p.stdout, p.stderr)
    return p.stdout


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def b64(data):
    return base64.b64encode(data).decode()


# --- RFC 6962, from its text ----------------------------------------------------------------------

def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves):
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha(b"\1", mth(leaves[:k]), mth(leaves[k:]))


def path(first, end, leaves):
    """What has to be added to leaves[first:end] to get the root."""
    if end <= 0 or first >= len(leaves):
        return [mth(leaves)]
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    left, right = path(first, end, leaves[:k]), path(first - k, end - k, leaves[k:])
    return right + left if first >= k else left + right


def consistency(m, leaves, whole=True):
    """RFC 6962 2.1.2, SUBPROOF."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return consistency(m, leaves[:k], whole) + [mth(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [mth(leaves[:k])]


# --- tar, byte for byte -----------------------------------------------------------------------------

def header(name, size, **changed):
    """changed: offset=bytes pairs, written before the checksum."""
    h = bytearray(512)
    for at, text in ((0, name.encode()), (100, b"0000644"), (108, b"0000000"), (116, b"0000000"),
                     (124, b"%011o" % size), (136, b"00000000000"), (148, b" " * 8), (156, b"0"),
                     (257, b"ustar\x0000"), (329, b"0000000"), (337, b"0000000")):
        h[at:at + len(text)] = text
    for at, text in changed.items():
        h[int(at[1:]):int(at[1:]) + len(text)] = text
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)


def tar(files):
    out = b""
    for name, data in files:
        out += header(name, len(data)) + data + bytes(-len(data) % 512)
    return out + bytes(1024)


# --- who speaks ---------------------------------------------------------------------------------------

class Signer:
    """A key and its certificate, made by countersign-ca."""

    def __init__(self, home, ca, name, *what, days=None):
        more = ("--days", days) if days else ()
        run(f"{BUILD}/countersign-ca", "issue", "--dir", ca, "--out", home / name, *more, *what)
        self.key = home / f"{name}.key"
        self.der = run("openssl", "x509", "-in", home / f"{name}.crt", "-outform", "DER")
        self.fp = hashlib.sha256(self.der).hexdigest()

    def sign(self, data, salt=32):
        return run("openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                   f"rsa_pss_saltlen:{salt}", "-sign", self.key, data=data)


class World:
    """One CA with a relay's evidence certificate and three devices of two people."""

    def __init__(self, home, name="relay.example", ca=None):
        """ca: the folder of one that is there already."""
        self.home, self.ca = home, ca or home / "ca"
        if ca is None:
            run(f"{BUILD}/countersign-ca", "init", "--dir", self.ca, name)
        self.relay = self.signer("relay", "evidence", name)
        self.alice = self.signer("alice", "device", "alice", "laptop")
        self.bob = self.signer("bob", "device", "bob", "desk")
        self.phone = self.signer("phone", "device", "bob", "phone")
        self.now = int(time.time() * 1000)

    def signer(self, name, *what, days=None):
        return Signer(self.home, self.ca, name, *what, days=days)

    def der(self, name):
        return run("openssl", "x509", "-in", self.ca / name, "-outform", "DER")

    def authority(self):
        return {"root.der": self.der("root.crt"), "issuer.der": self.der("intermediate.crt"),
                "crl.der": (self.ca / "crl.der").read_bytes()}

    def revoke(self, signer):
        run(f"{BUILD}/countersign-ca", "revoke", "--dir", self.ca, signer.fp)


# --- what is said ---------------------------------------------------------------------------------------

class Room:
    """A room as an honest relay has it; `say` takes what should not be honest."""

    def __init__(self, world, room="0123456789abcdef0123456789abcdef"):
        self.world, self.room = world, room
        self.entries, self.heads, self.chains = [], [bytes(32)], {}

    def say(self, author, text, **lie):
        seq, prev = self.chains.get(author.fp, (0, ZEROS))
        n = len(self.entries)
        at = lie.get("time", self.world.now + n * 1000)
        body = lie.get("opening", sha(b"%d" % n)) + json.dumps({"kind": "say", "text": text}).encode()
        seen = lie.get("seen", (n, self.heads[n].hex()))
        fields = {"word": "countersign-entry-1", "room": self.room, "epoch": 0, "seq": seq + 1,
                  "ts": at - 5, "author": author.fp, "prev": prev,
                  "body": hashlib.sha256(body).hexdigest(), "commitment": sha(b"\2", body).hex(),
                  "seen": f"{seen[0]}.{seen[1]}"}
        fields.update({k: v for k, v in lie.items() if k in fields and k != "seen"})
        line = lie.get("line", "|".join(str(v) for v in fields.values())).encode()
        self.entries.append({"line": line, "sig": lie.get("by", author).sign(line), "body": body,
                             "time": at, "fp": author.fp})
        self.chains[author.fp] = (seq + 1, hashlib.sha256(line).hexdigest())
        self.heads.append(sha(self.heads[-1], line, b"|%d" % at))
        return self

    def leaves(self):
        return [sha(b"\0", e["line"], b"|%d" % e["time"]) for e in self.entries]

    def records(self, first, last, withheld=()):
        out = []
        for n in range(first, last + 1):
            e = self.entries[n - 1]
            ct = e["line"] + (b"" if n in withheld else b"\n" + e["body"])
            out.append(f"{n}|{e['time']}|{b64(ct)}|{b64(e['sig'])}|{e['fp']}\n")
        return out

    def checkpoint(self, size=None, signer=None, at=None, leaves=None):
        size = size or len(self.entries)
        signer = signer or self.world.relay
        root = mth((leaves or self.leaves())[:size])
        at = at or max(self.world.now + size * 1000, *(e["time"] for e in self.entries[:size]))
        text = (f"countersign-checkpoint-1/room/{self.room}\n{size}\n{b64(root)}\n"
                f"time {at}\nsigner {signer.fp}\n").encode()
        return text, signer.sign(text)

    def bundle(self, first=1, last=None, size=None, withheld=(), **of):
        """The files of a bundle of messages, by name and in order."""
        size = size or len(self.entries)
        last = last or size
        text, sig = of.get("checkpoint") or self.checkpoint(size)
        proof = path(first - 1, last, self.leaves()[:size])
        files = {"VERIFY.txt": GUIDE, "checkpoint.txt": text, "checkpoint.sig": sig, "checkpoint.tsr": of.get("tsr", b""),
                 "transcript.txt": "".join(self.records(first, last, withheld)).encode(),
                 "proof.txt": "".join(b64(h) + "\n" for h in proof).encode(),
                 **self.world.authority()}
        signers = {s.fp: s for s in of.get("signers", [self.world.relay])}
        authors = {e["fp"] for e in self.entries[first - 1:last]}
        known = {s.fp: s for s in vars(self.world).values() if isinstance(s, Signer)}
        known.update({s.fp: s for s in of.get("more", [])})
        for fp in sorted(authors | set(signers)):
            files[f"certs/{fp}.der"] = (signers.get(fp) or known[fp]).der
        return files


# --- what is signed of a session -----------------------------------------------------------------------

RECEIPT = ("type", "session", "link", "suite", "signer", "peer", "peer_cert_fingerprint", "created_at",
           "room", "first_seqno", "last_seqno", "message_count", "base", "transcript_hash", "tree_size",
           "tree_root", "previous")


def receipt_text(talk, first, last, client, /, **lie):
    fields = {"type": "countersign-receipt-1", "session": "5e" * 16, "link": "tls",
              "suite": "TLS_AES_256_GCM_SHA384", "signer": client.fp, "peer": "relay",
              "peer_cert_fingerprint": "ab" * 32,
              "created_at": talk.entries[last - 1]["time"] + 10, "room": talk.room,
              "first_seqno": first, "last_seqno": last, "message_count": last - first + 1,
              "base": talk.heads[first - 1].hex(), "transcript_hash": talk.heads[last].hex(),
              "tree_size": last, "tree_root": mth(talk.leaves()[:last]).hex(), "previous": ZEROS}
    fields.update({k: v for k, v in lie.items() if k in RECEIPT})
    return "".join(f"{k} {fields[k]}\n" for k in RECEIPT).encode()


def seal(text, role, signer, at, key=None):
    """(its text, its signature)"""
    words = f"role {role}\nsigner {signer.fp}\ntime {at}\n".encode()
    return words, (key or signer).sign(text + words)


def der(tag, *parts):
    data = b"".join(parts)
    n = len(data)
    size = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big")
    return bytes([tag]) + size + data


def oid(text):
    first, second, *more = (int(n) for n in text.split("."))
    out = bytes([40 * first + second])
    for n in more:
        part = [n & 127]
        while n := n >> 7:
            part.insert(0, n & 127 | 128)
        out += bytes(part)
    return der(6, out)


def der_parts(data):
    """The elements of which this is one after the other, heads included."""
    at, out = 0, []
    while at < len(data):
        n, head = data[at + 1], 2
        if n > 127:
            head += n - 128
            n = int.from_bytes(data[at + 2:at + head], "big")
        out.append(data[at:at + head + n])
        at += head + n
    return out


def der_inside(data):
    return der_parts(data)[0][2 + (data[1] & 127 if data[1] > 127 else 0):]


SHA256 = der(0x30, oid("2.16.840.1.101.3.4.2.1"))
PKCS7, PKCS9 = "1.2.840.113549.1.7", "1.2.840.113549.1.9"


def pss_of(salt=32):
    hashed = der(0x30, oid("2.16.840.1.101.3.4.2.1"), der(5))
    mgf = der(0x30, oid("1.2.840.113549.1.1.8"), hashed)
    return der(0x30, oid("1.2.840.113549.1.1.10"),
               der(0x30, der(0xA0, hashed), der(0xA1, mgf), der(0xA2, der(2, bytes([salt])))))


def cades(text, signer, issuer, at, key=None, **lie):
    """RFC 5652 and EN 319 122-1, from their text: a detached signature of one signer."""
    def attribute(name, value):
        return der(0x30, oid(name), der(0x31, value))

    when = time.strftime("%y%m%d%H%M%SZ", time.gmtime(at // 1000)).encode()
    attributes = [attribute(PKCS9 + ".3", oid(lie.get("type", PKCS7 + ".1"))),
                  attribute(PKCS9 + ".5", der(0x17, when)),
                  attribute(PKCS9 + ".4", der(4, lie.get("digest", sha(text)))),
                  attribute(PKCS9 + ".16.2.47",
                            der(0x30, der(0x30, der(0x30, der(4, lie.get("names", sha(signer.der)))))))]
    attributes = b"".join(sorted(lie.get("attributes", lambda a: a)(attributes)))
    tbs = der_parts(der_inside(der_inside(signer.der)))
    info = der(0x30, der(2, b"\1"), der(0x30, tbs[3], tbs[1]), SHA256, der(0xA0, attributes), pss_of(),
               der(4, (key or signer).sign(der(0x31, attributes))), lie.get("unsigned", b""))
    return der(0x30, oid(PKCS7 + ".2"), der(0xA0, der(
        0x30, der(2, b"\1"), der(0x31, SHA256), der(0x30, oid(PKCS7 + ".1")),
        der(0xA0, *sorted(lie.get("certs", [signer.der, issuer]))), der(0x31, info))))


def session(room, first=1, last=None, withheld=(), client=None, member=None, relay=True, **lie):
    """The files of a bundle of a session. lie: fields of the receipt, or `text`; `seals` by role."""
    world, last = room.world, last or len(room.entries)
    client = client or world.alice
    text = lie.get("text") or receipt_text(room, first, last, client, **lie)
    at = lie.get("created_at", room.entries[last - 1]["time"] + 10)
    seals = {"client": seal(text, "client", client, at)}
    if relay:
        seals["relay"] = seal(text, "relay", world.relay, at + 20)
    if member:
        seals["member"] = seal(text, "member", member, at + 30)
    seals.update(lie.get("seals", {}))
    files = {"VERIFY.txt": GUIDE, "receipt.txt": text}
    for role in "client", "relay", "member":
        files[f"{role}.txt"], files[f"{role}.sig"] = seals.get(role, (b"", b""))
    files["receipt.p7s"] = lie.get("p7s") or (
        cades(text, client, world.authority()["issuer.der"], at) if isinstance(at, int) else b"")
    files["receipt.tsr"] = lie.get("tsr", b"")
    files["transcript.txt"] = "".join(room.records(first, last, withheld)).encode()
    files.update(world.authority())
    known = {s.fp: s for s in vars(world).values() if isinstance(s, Signer)}
    known.update({s.fp: s for s in lie.get("more", [])})
    needed = {e["fp"] for e in room.entries[first - 1:last]}
    needed |= {t.decode().split("signer ")[1].split("\n")[0] for t, _ in seals.values() if t}
    for fp in sorted(needed):
        if fp in known:
            files[f"certs/{fp}.der"] = known[fp].der
    return files


def guide_of_source():
    """The text in common/evidence/guide.c, read out of its C strings."""
    with open(f"{ROOT}/common/evidence/guide.c", encoding="ascii") as f:
        lines = [l.strip().rstrip("\\ ") for l in f if l.startswith('    "')]
    return "".join(ast.literal_eval(l) for l in lines).encode()


def contradiction(world, first, second, leaves):
    """Two checkpoints (text, signature), and the leaves of the second one's tree."""
    size = int(first[0].split(b"\n")[1])
    newer = int(second[0].split(b"\n")[1])
    proof = [mth(leaves[:size])] + consistency(size, leaves[:newer])
    files = {"VERIFY.txt": GUIDE, "checkpoint.txt": first[0], "checkpoint.sig": first[1],
             "later.txt": second[0], "later.sig": second[1],
             "proof.txt": "".join(b64(h) + "\n" for h in proof).encode(), **world.authority()}
    signers = {c[0].decode().split("signer ")[1].strip() for c in (first, second)}
    known = {s.fp: s for s in vars(world).values() if isinstance(s, Signer)}
    for fp in sorted(signers):
        files[f"certs/{fp}.der"] = known[fp].der
    return files


GUIDE = guide_of_source()


# --- the two judges --------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def room(world):
    return Room(world).say(world.alice, "hello").say(world.bob, "hi, | and\nso on").say(
        world.alice, "à bientôt")


def nothing(tmp_path):
    """No account, no configuration, no network: an empty home, and no other variable."""
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def ours(path, *more, env=None):
    """(status, first line, place)"""
    p = subprocess.run([f"{BUILD}/countersign", "verify", *more, path], env=env, timeout=60,
                       text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = p.stdout.splitlines()
    assert p.returncode in (0, 65, 77), (p.returncode, p.stdout, p.stderr)
    return p.returncode, lines[0], lines[1] if p.returncode == 65 else ""


def script(path, *more, env=None, sh="/bin/sh"):
    p = subprocess.run([sh, f"{ROOT}/docs/verify.sh", path, *more], env=env, timeout=300, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = p.stdout.splitlines()
    assert p.returncode in (0, 65, 77) and p.stderr == "", (p.returncode, p.stdout, p.stderr)
    return p.returncode, lines[0], lines[1] if p.returncode == 65 else ""


UNANCHORED = "UNANCHORED: consistent, but anybody can make such a root"


def both(tmp_path, data, ca=None, crl=None):
    """What both say of an archive: the place at fault (file, and line in it), or 0: as good as it can
    be, which without a root is not yet valid. crl only with ca."""
    path = tmp_path / "bundle.tar"
    path.write_bytes(data if isinstance(data, bytes) else tar(data.items()))
    env = nothing(tmp_path)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        other = pool.submit(script, path, *(o for o in (ca, crl) if o), env=env)
        more = (*(("--ca", ca) if ca else ()), *(("--crl", crl) if crl else ()))
        a, b = ours(path, *more, env=env), other.result()
    assert a[:2] == b[:2], (a, b)
    assert a[:2] in ((65, "INVALID"), (0, "VALID") if ca else (77, UNANCHORED)), a
    assert a[2].split(":")[0] == b[2].split(":")[0], (a, b)
    assert sorted(os.listdir(tmp_path)) == ["bundle.tar"]
    return a[2] or 0


def files_with(room, name, data):
    files = room.bundle()
    files[name] = data
    return files
