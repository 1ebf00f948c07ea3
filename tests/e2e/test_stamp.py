"""A third clock (docs/evidence.md 5.2): `countersign stamp` and `export --tsa` against an authority of openssl, and
everything that an authority, or somebody on the way, can say instead. Both judges, openssl as a third."""

import os
import subprocess

import pytest

import tsa
from evidence import BUILD, Room, World, nothing, ours, script, session, tar
from relay import CLIENT, Relay


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tsa.Authority(tmp_path_factory.mktemp("tsa") / "a")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return tsa.Authority(tmp_path_factory.mktemp("stranger") / "b", key="ec", digest="sha384", ess="sha1")


@pytest.fixture(scope="module")
def files(world):
    room = Room(world).say(world.alice, "hello").say(world.bob, "hi")
    return {"session": session(room), "messages": room.bundle()}


def stamp(tmp_path, bundle, url, ca, *more, env=None):
    """(status, what stands on standard error, the bundle that was written)"""
    (tmp_path / "in.tar").write_bytes(tar(bundle.items()))
    out = tmp_path / "out.tar"
    p = subprocess.run([f"{BUILD}/countersign", "stamp", tmp_path / "in.tar", "--tsa", url, "--tsa-ca", ca, "-o", out,
                        *more], env={**nothing(tmp_path), **(env or {})}, text=True, timeout=60, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    written = out.read_bytes() if out.exists() else None
    if written:
        out.unlink()
    return p.returncode, p.stderr, written


def judged(tmp_path, data, ca, tsa_ca):
    path = tmp_path / "judged.tar"
    path.write_bytes(data)
    mine = ours(path, "--ca", ca, *(("--tsa-ca", tsa_ca) if tsa_ca else ()))
    other = script(path, ca, "", *((tsa_ca,) if tsa_ca else ()))
    assert mine[:2] == other[:2] and mine[2].split(":")[0] == other[2].split(":")[0], (mine, other)
    return mine[2].split(":")[0]


# --- what is true ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, of", [("session", "receipt"), ("messages", "checkpoint")])
def test_stamped(tmp_path, world, authority, stranger, files, kind, of):
    with tsa.honest(authority) as server:
        status, said, data = stamp(tmp_path, files[kind], server.url, authority.ca)
        assert (status, said) == (0, "") and server.asked[0][0] == "application/timestamp-query"
        query = server.asked[0][1]
    root = world.ca / "root.crt"
    assert judged(tmp_path, data, root, authority.ca) == ""
    assert judged(tmp_path, data, root, stranger.ca) == f"{of}.tsr"
    assert judged(tmp_path, data, root, None) == ""
    at = data.rindex(f"{of}.tsr\0".encode())
    reply = data[at + 512:at + 512 + int(data[at + 124:at + 135], 8)]
    (authority.home / "tsr").write_bytes(reply)
    (authority.home / "data").write_bytes(files[kind]["receipt.p7s" if of == "receipt" else "checkpoint.sig"])
    (authority.home / "asked").write_bytes(query)
    assert b"Verification: OK" in authority.openssl("ts", "-verify", "-in", "tsr", "-data", "data", "-CAfile", "ca.pem")
    assert b"Verification: OK" in authority.openssl("ts", "-verify", "-in", "tsr", "-queryfile", "asked", "-CAfile",
                                                    "ca.pem")
    (tmp_path / "in.tar").write_bytes(data)
    text = subprocess.run([f"{BUILD}/countersign", "verify", "--tsa-ca", authority.ca, tmp_path / "in.tar"],
                          stdout=subprocess.PIPE, text=True).stdout
    assert f"by time.example: the {of} was there" in text
    again = subprocess.run([f"{BUILD}/countersign", "stamp", tmp_path / "in.tar", "--tsa", server.url, "--tsa-ca",
                            authority.ca, "-o", tmp_path / "again"], stderr=subprocess.PIPE, text=True)
    assert again.returncode == 66 and "it has a time stamp already" in again.stderr
    assert not (tmp_path / "again").exists()


def test_of_something_else(tmp_path, world, authority, files):
    """A time stamp of another bundle, spoiled, or none that anybody would read."""
    other, good = authority.stamp(b"something else"), authority.stamp(files["session"]["receipt.p7s"])
    half = good[:-40] + bytes([good[-40] ^ 1]) + good[-39:]
    for lie in other, half, bytes(16 * 1024 + 1):
        data = tar({**files["session"], "receipt.tsr": lie}.items())
        assert judged(tmp_path, data, world.ca / "root.crt", authority.ca) == "receipt.tsr", lie[:20]


# --- what an authority may say instead --------------------------------------------------------------------------

REFUSED = bytes.fromhex("30053003020102")


def lies(authority, stranger, files):
    p7s = files["session"]["receipt.p7s"]
    return {
        "another nonce": (65, "another request", lambda q: (200, authority.reply(q[:-4] + bytes([q[-4] ^ 1]) + q[-3:]))),
        "no nonce": (65, "another request", lambda q: (200, authority.stamp(p7s))),
        "something else": (65, "something else", lambda q: (200, authority.stamp(b"else"))),
        "refused": (69, "refused (status 2)", lambda q: (200, REFUSED)),
        "another CA": (77, "not under the CA", lambda q: (200, stranger.reply(q))),
        "cut": (65, "no time stamp", lambda q: (200, authority.reply(q)[:-1])),
        "more behind it": (65, "no time stamp", lambda q: (200, authority.reply(q) + b"\0")),
        "spoiled": (65, "signature", lambda q: (200, authority.reply(q)[:-1] + b"\0")),
        "a page": (65, "no time stamp in DER", lambda q: (200, b"<html>")),
        "nothing": (65, "no time stamp in DER", lambda q: (200, b"")),
        "too much": (75, "more than 16384 bytes", lambda q: (200, bytes(20000))),
        "not there": (69, "HTTP status 404", lambda q: (404, b"")),
        "elsewhere": (69, "HTTP status 302", lambda q: (302, b"")),
        "silence": (69, "does not answer within 1 s", lambda q: None),
    }


def test_lies(tmp_path, authority, stranger, files):
    for what, (status, why, answer) in lies(authority, stranger, files).items():
        with tsa.Server(answer) as server:
            more = ("--timeout", "1") if what == "silence" else ()
            got = stamp(tmp_path, files["session"], server.url, authority.ca, *more)
            assert len(server.asked) == 1, what
        assert got[0] == status and got[2] is None, (what, got)
        assert why in got[1] and server.url in got[1] and got[1].count("\n") == 1, (what, got[1])
        assert "nothing was written" in got[1]


def test_nobody_is_there(tmp_path, authority, files):
    with tsa.honest(authority) as server:
        url = server.url
    status, said, data = stamp(tmp_path, files["session"], url, authority.ca)
    assert status == 69 and url in said and data is None
    for url in ("ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1:1"):
        status, said, data = stamp(tmp_path, files["session"], url, authority.ca)
        assert status == 64 and "no URL of http:// or https://" in said and data is None, url


def test_https(tmp_path, authority, files):
    """Whose certificate nobody knows gets no question; with it the same comes as over http."""
    authority.issue(authority.new, "server", "server", "server")
    with tsa.Server(lambda q: (200, authority.reply(q)), tls=authority) as server:
        status, said, data = stamp(tmp_path, files["session"], server.url, authority.ca)
        assert status == 69 and "certificate" in said and data is None and server.asked == []
        status, said, data = stamp(tmp_path, files["session"], server.url, authority.ca,
                                   env={"SSL_CERT_FILE": str(authority.ca)})
        assert (status, said) == (0, "") and len(server.asked) == 1 and data


def test_what_cannot_be_stamped(tmp_path, authority, files):
    (tmp_path / "in.tar").write_bytes(b"x")
    with tsa.honest(authority) as server:
        spoiled = {**files["session"], "relay.sig": bytes(384)}
        status, said, data = stamp(tmp_path, spoiled, server.url, authority.ca)
        assert status == 65 and "it is not valid: relay.sig" in said and data is None
        status, said, data = stamp(tmp_path, files["session"], server.url, authority.home / "tsa.key")
        assert status != 0 and "--tsa-ca" in said and data is None
        assert server.asked == []
    for argv in (["stamp", "x"], ["stamp", "x", "--tsa", "http://x/", "-o", "y"],
                 ["export", "x", "--tsa", "http://x/", "-o", "y"], ["export", "x", "--tsa-ca", "x", "-o", "y"]):
        p = subprocess.run([CLIENT, *argv], env=nothing(tmp_path), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        assert p.returncode == 64 and not (tmp_path / "y").exists(), (argv, p.stderr)


# --- export ---------------------------------------------------------------------------------------------------

def test_export(tmp_path, authority):
    with Relay(tmp_path) as relay:
        relay.run()
        alice = relay.member("alice", "--admin")
        alice("room", "create", "ops")
        alice("send", "ops", "hello")
        out = tmp_path / "ops.tar"
        with tsa.Server(lambda q: (200, REFUSED)) as server:
            alice("export", "ops", "-o", str(out), "--tsa-ca", str(authority.ca), "--tsa", server.url, status=69)
            assert not out.exists()
        with tsa.honest(authority) as server:
            alice("export", "ops", "-o", str(out), "--tsa-ca", str(authority.ca), "--tsa", server.url)
    assert ours(out, "--tsa-ca", authority.ca)[0] == 77 and os.path.getsize(out) > 0
    assert script(out, "", "", authority.ca)[0] == 77
