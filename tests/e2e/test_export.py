"""What a member hands to somebody else: messages of a room under the relay's checkpoint, one alone, some
without their texts; both judges accept it and no other (M8, M9)."""

import base64
import json
import os
import re

import pytest

from evidence import both, tar
from relay import Relay
from screen import Screen

WORDS = ["first of all", "the secret", "à bientôt", "x | y\nz", "last"]


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("relay")) as r:
        r.run()
        alice, bob = r.member("alice", "--admin"), r.member("bob")
        alice("room", "create", "ops", "--history", "all")
        bob("room", "join", "ops")
        for text in WORDS:
            alice("send", "ops", text)
        yield alice, bob


def files_of(path):
    with open(path, "rb") as f:
        data = f.read()
    out, at = {}, 0
    while data[at]:
        name = data[at:at + 100].rstrip(b"\0").decode()
        size = int(data[at + 124:at + 135], 8)
        out[name] = data[at + 512:at + 512 + size]
        at += 512 + -(-size // 512) * 512
    return data, out


def root_of(member):
    return os.path.join(json.loads(member("me", "--json"))["directory"], "root.der")


def judged(tmp_path, data, member):
    where = tmp_path / f"judged-{len(os.listdir(tmp_path))}"
    where.mkdir()
    return both(where, data, root_of(member))


def signed(files):
    """Lines and texts as they are in it."""
    return [base64.b64decode(l.split(b"|")[2]) for l in files["transcript.txt"].splitlines()]


def numbers(files):
    return [int(l.split(b"|")[0]) for l in files["transcript.txt"].splitlines()]


def test_a_room(talk, tmp_path):
    alice, bob = talk
    path = tmp_path / "all.tar"
    row = json.loads(bob("export", "ops", "--json", "-o", path))
    data, files = files_of(path)
    assert row["event"] == "exported" and (row["first"], row["last"]) == (1, 7) and row["withheld"] == 0
    assert numbers(files) == list(range(1, 8))
    assert judged(tmp_path, data, bob) == 0
    assert os.stat(path).st_mode & 0o777 == 0o600
    bob("export", "ops", "-o", path, status=73)  # nothing is written over


def test_texts_that_are_left_out(talk, tmp_path):
    """The others verify, and nothing of what was left out is in the file."""
    alice, bob = talk
    path = tmp_path / "redacted.tar"
    row = json.loads(bob("export", "ops", "--json", "--redact", "4,6", "--output", path))
    data, files = files_of(path)
    assert row["withheld"] == 2 and numbers(files) == list(range(1, 8))
    cts = signed(files)
    assert not any(b"the secret" in c or b"x | y" in c for c in cts)
    assert b"first of all" in cts[2] and b"last" in cts[6]
    assert judged(tmp_path, data, bob) == 0


def test_one_message_alone(talk, tmp_path):
    alice, bob = talk
    path = tmp_path / "one.tar"
    bob("prove", "ops", "4", "-o", path)
    data, files = files_of(path)
    own = sum(len(files[f]) for f in ("checkpoint.txt", "checkpoint.sig", "transcript.txt", "proof.txt"))
    assert own < 4096 and numbers(files) == [4]
    assert b"the secret" in signed(files)[0] and judged(tmp_path, data, bob) == 0
    for name in "checkpoint.txt", "transcript.txt", "proof.txt":
        changed = dict(files)
        changed[name] = files[name].replace(b"4|", b"5|", 1) if name == "transcript.txt" else \
            re.sub(rb"[A-Za-z]{4}(?=[^\n]*\n\Z|[^\n]*\n)", b"AAAA", files[name], count=1)
        assert judged(tmp_path, tar(changed.items()), bob) != 0, name


def test_between_two_times(talk, tmp_path):
    alice, bob = talk
    rows = [json.loads(l) for l in bob("recv", "--json", "--since", "k1-0").splitlines()]
    at = {r["text"]: r["time"] for r in rows if "text" in r}
    path = tmp_path / "some.tar"
    row = json.loads(bob("export", "ops", "--json", "--since", at[WORDS[1]], "--until", at[WORDS[3]],
                         "-o", path))
    data, files = files_of(path)
    assert numbers(files) == [4, 5, 6] and (row["first"], row["last"]) == (4, 6)
    assert judged(tmp_path, data, bob) == 0


@pytest.mark.parametrize("what,status", [
    (("export", "ops"), 64),
    (("export", "nowhere", "-o", "x.tar"), 66),
    (("export", "ops", "--since", "yesterday", "-o", "x.tar"), 64),
    (("export", "ops", "--redact", "3,,4", "-o", "x.tar"), 64),
    (("export", "ops", "--until", "2001-01-01", "-o", "x.tar"), 66),
    (("prove", "ops", "0", "-o", "x.tar"), 64),
    (("prove", "ops", "8", "-o", "x.tar"), 66),
    (("send", "ops", "hello", "-o", "x.tar"), 64),
], ids=lambda v: "-".join(v[:2]) if isinstance(v, tuple) else "")
def test_what_cannot_be_exported(talk, tmp_path, what, status):
    alice, bob = talk
    path = tmp_path / "x.tar"
    bob(*(path if w == "x.tar" else w for w in what), status=status)
    assert not path.exists()


def test_who_came_later(talk, tmp_path):
    """Of a room in which newcomers read from their joining on: what was before is in no file, and what
    he read is proven all the same."""
    alice, bob = talk
    alice("room", "create", "late")
    for i in range(4):
        alice("send", "late", f"before {i}")
    bob("room", "join", "late")
    alice("send", "late", "after")
    path = tmp_path / "late.tar"
    bob("export", "late", "-o", path)
    data, files = files_of(path)
    assert numbers(files)[-1] == 7 and numbers(files)[0] > 5
    assert not any(b"before" in s for s in signed(files)) and judged(tmp_path, data, bob) == 0


def test_from_the_screen(talk, tmp_path):
    """Typed it writes the file; pasted it does not."""
    alice, bob = talk
    path = tmp_path / "screen.tar"
    with Screen(bob, cols=160) as s:
        s.login()
        s.wait("#ops")
        s.type("/w ops\r")
        s.wait("[#ops]")
        s.paste(f"/transcript export {path} 4")
        s.type("\r")
        s.wait("pasted, so not run")
        assert not path.exists()
        s.type("\x03/transcript export\r")
        s.wait("usage: /transcript export FILE")
        s.type(f"\x03/transcript export {path} 4,6\r")
        s.wait("2 without text:")
        s.quit()
    data, files = files_of(path)
    assert not any(b"the secret" in c or b"x | y" in c for c in signed(files))
    assert numbers(files) == list(range(1, 8)) and judged(tmp_path, data, bob) == 0
