"""The link `cianr` between real programs, and a second client that was written from the document
alone: rooms over three links, the steps of seed 002, its two refusals."""

import base64
import contextlib
import hashlib
import json
import os
import re
import sqlite3
import ssl
import subprocess

import pytest

import cianr
from proxy import Proxy
from relay import CLIENT, PASSWORD, SECONDS, Member, Relay
from wire import CHAT, Puppet, say

LINKS = ("--links", "tls ecdhe cianr")
NAMES = ["hello", "server_hello", "dh_client", "dh_server", "temporary key", "register or login",
         "session dh_client", "session dh_server", "session key", "client finished",
         "server finished"]


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        r.run(*LINKS)
        yield r


def member(relay, name, link, *options):
    m = Member(relay, name)
    m("--name", name, "--device", "laptop", "--no-open", "--link", link, "join", "-",
      stdin=relay.invite(*options) + "\n")
    return m


def texts(m):
    rows = map(json.loads, m("recv", "--json").splitlines())
    return [r["text"] for r in rows if r["event"] == "entry" and "text" in r]


def test_a_room_over_three_links(relay):
    alice, bob, carol = (member(relay, name, link, *options) for name, link, *options in (
        ("alice", "tls", "--admin"), ("bob", "ecdhe"), ("carol", "cianr")))
    alice("room", "create", "ops", "--history", "all")
    for m, text in (alice, "over tls"), (bob, "over ecdhe"), (carol, "over cianr"):
        if m is not alice:
            m("room", "join", "ops")
        m("send", "ops", text)
    assert texts(carol) == texts(alice) == ["over tls", "over ecdhe", "over cianr"]
    relay.restart(*LINKS)
    carol("send", "ops", "after a restart")
    assert texts(alice) == ["after a restart"]


def test_the_steps_of_the_document(relay, tmp_path):
    p = subprocess.run([CLIENT, "handshake", f"127.0.0.1:{relay.port}", "--link", "cianr",
                        "--json"], text=True, capture_output=True, timeout=SECONDS, check=True,
                       env=os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)})
    rows = [json.loads(line) for line in p.stdout.splitlines()]
    steps = [r for r in rows if r["event"] == "step" and not r["waiting"]]
    assert [s["name"] for s in steps] == NAMES
    assert [s["direction"] for s in steps] == ["out", "in", "out", "in", "none", "out", "out",
                                               "in", "none", "out", "in"]
    assert (rows[-1]["event"], rows[-1]["link"], rows[-1]["suite"]) == \
        ("established", "cianr", "AES-128-CBC, HMAC-SHA256")


def test_the_relay_signs_with_rsa(relay):
    carol = member(relay, "carol", "cianr", "--admin")
    carol("room", "create", "den")
    assert "RSA-PSS by CN=127.0.0.1" in carol("handshake")


@pytest.fixture
def puppet(relay):
    return Puppet(relay, "mallory", link="cianr", dial=cianr.Cianr).join("--admin")


def test_another_program_joins_and_talks(relay, puppet):
    puppet.login()
    room = puppet.enter("room-create", name="den", private=False, history="all")
    assert puppet.say(room, say("hello"))["type"] == "numbered"
    assert puppet.say(room, say("x" * 40000))["type"] == "numbered"


def test_a_clock_of_another_year_changes_nothing(relay, puppet):
    late = Puppet(relay, "eve", link="cianr",
                  dial=lambda *a, **k: cianr.Cianr(*a, skew=-400 * 24 * 3600 * 1000, **k))
    late.join().login()
    assert late.ask("room-list")["type"] == "rooms"


def refused(relay, p, word, key=None, **lies):
    with pytest.raises(cianr.Refused, match=word):
        cianr.Cianr(relay.port, CHAT, p.cert, key or p.key, **lies)
    return relay.wait("refused")["why"]


def test_a_client_that_lies(relay, puppet):
    """One word for all of it, and the reason in the relay's own log."""
    one = base64.b64encode(bytes(255) + b"\1")

    def value(content):
        return re.sub(rb'"A":"[^"]*"', b'"A":"' + one + b'"', content)

    lies = (
        ("malformed", {"step1": lambda c: c.replace(b'"chat"', b'"talk"')}),
        ("malformed", {"step1": lambda c: c.replace(b",", b", ")}),
        ("not from 2 to p - 2", {"step3": value}),
        ("malformed", {"step3": lambda c: c.replace(b'"A"', b'"g":2,"p":23,"A"')}),
        ("malformed", {"step6": lambda c: c.replace(b"login", b"register")}),
        ("signature is not over", {"step6": lambda c: c[:60] + b"AAAA" + c[64:]}),
        ("not from 2 to p - 2", {"step7": value}),
        ("signature is not over", {"step10": lambda c: c[:60] + b"AAAA" + c[64:]}),
        ("wrong length", {"step10": lambda c: c + b"\n"}),
    )
    for why, how in lies:
        assert why in refused(relay, puppet, "^refused$", **how)


def blamed(relay):
    """Whose certificates stand in the audit table for what was refused."""
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        return [row[0].strip("0") for row in db.execute(
            "select fingerprint from audit_log where event = 'refused' and reason = 'handshake'")]


def test_somebody_elses_certificate(relay, puppet):
    """H4: the certificate alone is no identity, and its owner is not named for who shows it."""
    other = Puppet(relay, "eve", link="cianr", dial=cianr.Cianr).join()
    assert "signature is not over" in refused(relay, puppet, "^refused$", key=other.key)
    relay.stop()
    assert set(blamed(relay)) == {""}


def test_who_has_proven_to_be_it_is_named(relay, puppet):
    with open(puppet.cert, encoding="ascii") as f:
        leaf = ssl.PEM_cert_to_DER_cert(f.read().split("-----END")[0] + "-----END CERTIFICATE-----")
    refused(relay, puppet, "^refused$", step10=lambda c: c + b"\n")
    relay.stop()
    assert blamed(relay) == [hashlib.sha256(leaf).hexdigest().strip("0")]


def test_a_certificate_that_is_refused_is_told(relay, puppet, tmp_path):
    cert, key = tmp_path / "self.crt", tmp_path / "self.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    puppet.cert, puppet.key = str(cert), str(key)
    assert "certificate" in refused(relay, puppet, "^bad-cert$")


def join(relay, name, *options, status=0, invite=None):
    m = Member(relay, name)
    m("--name", name, "--device", "laptop", "--no-open", *options, "join", "-", status=status,
      stdin=(invite or relay.invite()) + "\n")
    return m


def test_an_address_for_the_operator_alone(relay, puppet):
    """`--email`: whoever runs the relay sees it; no member does, nor the log, nor the wire."""
    address = "carol+chat@mail.example.org"
    with Proxy(relay.port) as proxy:
        invite = relay.admin("invite", "--at", f"127.0.0.1:{proxy.port}").strip()
        carol = join(relay, "carol", "--link", "cianr", "--email", address, invite=invite)
        puppet.login()
        room = puppet.enter("room-create", name="den", private=False, history="all")
        carol("room", "join", "den")
        carol("send", "den", "hello")
        seen = proxy.bytes()
    assert address.encode() not in seen
    heard = [puppet.ask("members", room=room), puppet.ask("person", name="carol"),
             puppet.ask("roll", room=room, after=0), puppet.ask("room-list"),
             puppet.ask("history", room=room, before=100, count=100)]
    assert any("carol" in json.dumps(h) for h in heard) and "mail.example" not in json.dumps(heard)
    rows = {line.split()[0]: line for line in relay.admin("user", "list").splitlines()}
    assert rows["carol"].endswith("  " + address) and "@" not in rows["mallory"]
    assert "mail.example" not in relay.log()
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        assert all(address not in map(str, row) for row in db.execute("select * from audit_log"))


def test_addresses_that_are_refused(relay):
    usage = (("--link", "cianr", "--email", "carol"), ("--link", "cianr", "--email", "a b@c"),
             ("--link", "cianr", "--email", ""), ("--link", "ecdhe", "--email", "carol@b.example"),
             ("--email", "carol@b.example"))
    for options in usage:
        join(relay, "carol", *options, status=64)
    join(relay, "carol", "--link", "cianr", "--email", "carol@b.example")
    invite = relay.invite()
    join(relay, "dave", "--link", "cianr", "--email", "CAROL@b.example", invite=invite, status=73)
    join(relay, "erin", "--link", "cianr", "--email", "erin@b.example", invite=invite)


def test_the_wire_shows_certificates_and_no_secret(relay):
    """The document's hello has the certificates in clear: whoever listens learns who comes, and
    nothing that is said."""
    with Proxy(relay.port) as proxy:
        invite = relay.admin("invite", "--admin", "--at", f"127.0.0.1:{proxy.port}").strip()
        carol = Member(relay, "rosalind")
        carol("--name", "rosalind", "--device", "burrow", "--no-open", "--link", "cianr", "join",
              "-", stdin=invite + "\n")
        carol("room", "create", "warren", "--history", "all")
        carol("send", "warren", "MARKER-quokka-7f3a9x")
        seen = proxy.bytes()
    assert b"countersign cianr 1\n" in seen and b'"type":"server_hello"' in seen
    shown = b"".join(base64.b64decode(m) for m in re.findall(rb'_cert":"([^"]*)"', seen))
    for secret in "warren", "MARKER-quokka", PASSWORD, invite.split(".")[-2]:
        assert secret.encode() not in seen + shown, secret
    assert b"rosalind" in shown
