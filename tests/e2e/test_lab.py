"""`countersign lab`: the table that docs/links.md shows, what one attack looks like, exit statuses."""

import json
import os
import subprocess

import pytest

from relay import CLIENT, SECONDS

LINKS = ["tls", "ecdhe", "cianr", "sovereign", "classic"]
ATTACKS = ["mitm", "downgrade", "replay", "tamper", "reflect", "truncate", "reorder", "stolen-key"]


def lab(*argv, status=0):
    p = subprocess.run([CLIENT, "lab", *argv], text=True, timeout=SECONDS, capture_output=True,
                       stdin=subprocess.DEVNULL)
    assert p.returncode == status, (p.stdout, p.stderr)
    return p.stdout if status == 0 else p.stderr


def test_the_table_is_the_documentations():
    table = lab("all")
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == LINKS
    for attack, row in zip(ATTACKS, rows[1:], strict=True):
        lost = "stopped" if attack == "tamper" else "WON"
        assert row == [attack, *["stopped"] * 4, lost]
    with open("docs/links.md", encoding="utf-8") as f:
        assert f"```\n{table}```\n" in f.read()


def test_all_of_it_as_json():
    rows = [json.loads(line) for line in lab("all", "--json").splitlines()]
    assert [(r["attack"], r["link"]) for r in rows] == [(a, l) for a in ATTACKS for l in LINKS]
    assert all(r["event"] == "lab" and r["outcome"] == r["expected"] and r["why"] for r in rows)
    assert not [r for r in rows if r["outcome"] == "won" and "step" in r]


def columns(text):
    """What each of the three says, in order."""
    rows = text.splitlines()[2:-1]
    return [[r[c:c + 38].strip() for r in rows if r[c:c + 38].strip() and not r[:c].strip()]
            for c in (0, 38, 76)]


def test_a_lost_attack_side_by_side():
    text = lab("mitm", "--link", "classic")
    assert text.splitlines()[1].split() == ["client", "attacker", "relay"]
    client, attacker, relay = columns(text)
    assert client[:4] == ["1 hello >", "2 pubkey <", "3 key >", "4 ok <"]
    assert 'reads "the safe is behind the' in attacker and 'says "send all of it to me"' in attacker
    assert relay[-1] == 'reads "send all of it to me"'
    assert text.splitlines()[-1].startswith("WON: he reads")


@pytest.mark.parametrize("link,last", [("tls", "Verdict"), ("ecdhe", "Server Finished"),
                                       ("cianr", "server finished"), ("sovereign", "SecureAck")])
def test_a_stopped_attack_says_where(link, last):
    text = lab("reorder", "--link", link)
    client, attacker, relay = columns(text)
    assert client.count("established") == relay.count("established") == 1
    assert attacker == ["sends the second one first"]
    assert not [r for r in relay if r.startswith("reads")]
    assert text.splitlines()[-1].startswith(f"stopped after {last}: the relay: ")


WEAK = os.path.join(os.environ.get("COUNTERSIGN_BUILD", "build"), "weak")
OWN = LINKS[:4]


def weak(defence, *argv):
    return subprocess.run([WEAK, "lab", *argv], text=True, timeout=SECONDS, capture_output=True,
                          stdin=subprocess.DEVNULL, env=os.environ | {"COUNTERSIGN_WEAK": defence})


@pytest.mark.parametrize("defence,attack,links,what", [
    ("path", "mitm", OWN, "he reads the client's words and puts his in their place"),
    ("seal", "tamper", OWN, ""),
    ("order", "reorder", ["tls", "ecdhe"], "the relay hears them the wrong way round"),
    ("end", "truncate", OWN, "the relay takes it for a farewell"),
    ("directions", "reflect", OWN, "the client takes its own words for the relay's"),
    ("offer", "downgrade", ["ecdhe"], "both go on with less, and do not know"),
    ("draws", "replay", OWN[1:], "the relay hears the whole session once more"),
    ("draws", "stolen-key", OWN[1:], "he reads what was said before he came")])
def test_a_link_without_a_defence_loses(defence, attack, links, what):
    """What the lab says is what happened: take away what stops an attack, and it is told that it
    was won, what was won, and that this is not as it ought to be."""
    # What is not in links has something else: the ratchet, a MAC over number, credentials that do
    # not fit the other purpose, TLS 1.2 that is not compiled in, a generator of its own.
    for link in OWN:
        done = weak(defence, attack, "--link", link)
        status, last = (1, "WON: " + what) if link in links else (0, "stopped")
        assert done.returncode == status, (link, done)
        assert done.stdout.splitlines()[-1].startswith(last), (link, done)
    done = weak(defence, "all")
    row = next(r.split() for r in done.stdout.splitlines() if r.startswith(attack))
    assert done.returncode == 1 and [l for l, c in zip(OWN, row[1:]) if c != "stopped"] == links


def test_it_loses_for_want_of_that_defence_alone():
    assert weak("", "all").returncode == 0


@pytest.mark.parametrize("argv", [(), ("all", "--link", "tls"), ("mitm",), ("mitm", "tls"),
                                  ("nothing", "--link", "tls"), ("all", "mitm")])
def test_wrong_use(argv):
    assert "usage: countersign lab all" in lab(*argv, status=64)
