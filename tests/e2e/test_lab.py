"""`countersign lab`: the table that docs/links.md shows, what one attack looks like, exit statuses."""

import json
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


@pytest.mark.parametrize("argv", [(), ("all", "--link", "tls"), ("mitm",), ("mitm", "tls"),
                                  ("nothing", "--link", "tls"), ("all", "mitm")])
def test_wrong_use(argv):
    assert "usage: countersign lab all" in lab(*argv, status=64)
