"""Links of our own between real programs: rooms over different links, a pinned link, no fallback,
and a second client that was written from the document alone."""

import json
import os
import socket
import ssl as pem
import subprocess

import pytest

import ecdhe
from proxy import Proxy
from relay import CLIENT, PASSWORD, SECONDS, Member, Relay
from screen import Screen
from wire import CHAT, Puppet, say

BOTH = ("--links", "tls ecdhe")


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        r.run(*BOTH)
        yield r


def member(relay, name, link, *options):
    m = Member(relay, name)
    m("--name", name, "--device", "laptop", "--no-open", "--link", link, "join", "-",
      stdin=relay.invite(*options) + "\n")
    return m


def account(m):
    path = os.path.join(m.env["XDG_DATA_HOME"], "countersign", "default", "account")
    with open(path, encoding="utf-8") as f:
        return path, f.read()


def texts(m, *argv):
    rows = map(json.loads, m("recv", "--json", *argv).splitlines())
    return [r["text"] for r in rows if r["event"] == "entry" and "text" in r]


# --- one room, two links ---

def test_a_room_over_different_links(relay):
    alice, bob = member(relay, "alice", "tls", "--admin"), member(relay, "bob", "ecdhe")
    alice("room", "create", "ops", "--history", "all")
    bob("room", "join", "ops")
    alice("send", "ops", "over tls")
    bob("send", "ops", "over ecdhe")
    assert texts(bob) == texts(alice) == ["over tls", "over ecdhe"]
    relay.restart(*BOTH)
    bob("send", "ops", "after a restart")
    assert texts(alice) == ["after a restart"]


def test_the_link_is_pinned(relay):
    """H1: the relay stops speaking ecdhe; nobody who joined by it tries another by himself."""
    bob = member(relay, "bob", "ecdhe", "--admin")
    assert account(bob)[1].endswith("link = ecdhe\n")
    bob("room", "create", "den")
    relay.restart("--links", "tls")
    p = bob.run("--timeout", "3", "send", "den", "hello")
    assert p.returncode == 76 and "does the relay speak ecdhe 1?" in p.stderr
    assert relay.wait("refused")["why"]
    assert not any("event=connected" in line for line in relay.log().split("event=stopped")[-1]
                   .splitlines())
    bob("--link", "tls", "send", "den", "on demand")     # said so himself, and only for this once
    assert account(bob)[1].endswith("link = ecdhe\n")


def test_an_account_of_before_joined_by_tls(relay):
    alice = member(relay, "alice", "tls", "--admin")
    path, text = account(alice)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("link = tls\n", ""))
    alice("room", "create", "den")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("link = tls\n", "link = telnet\n"))
    assert alice.run("room", "list").returncode == 78


def test_a_relay_of_one_link_refuses_others(relay):
    relay.restart("--links", "ecdhe")
    p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.port}", "-alpn",
                        "countersign/1"], stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=SECONDS, check=False)
    assert p.returncode != 0
    assert "does not speak ecdhe 1" in relay.wait("refused")["why"]


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"countersign ecdhe 2\n", b"\x16\x02", b"x"])
def test_strange_first_bytes(relay, first):
    with socket.create_connection(("127.0.0.1", relay.port), timeout=SECONDS) as s:
        s.sendall(first)
        assert s.recv(100) == b""
    assert "begins like that" in relay.wait("refused")["why"]


# --- the handshake, for people and programs ---

NAMES = ["ClientHello", "ServerHello", "ECDHE", "HKDF", "Client Finished", "Server Finished"]


def test_the_six_lines_of_the_document(relay, tmp_path):
    p = subprocess.run([CLIENT, "handshake", f"127.0.0.1:{relay.port}", "--link", "ecdhe",
                        "--json"], text=True, capture_output=True, timeout=SECONDS, check=True,
                       env=os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)})
    rows = [json.loads(line) for line in p.stdout.splitlines()]
    steps = [r for r in rows if r["event"] == "step" and not r["waiting"]]
    assert [s["name"] for s in steps] == NAMES
    assert [s["direction"] for s in steps] == ["out", "in", "none", "none", "out", "in"]
    assert [s["bytes"] == 0 for s in steps] == [False, False, True, True, False, False]
    assert sum(r["event"] == "step" and r["waiting"] for r in rows) == 1
    last = rows[-1]
    assert (last["event"], last["link"], last["suite"]) == ("established", "ecdhe", "AES-GCM-256")


def test_the_view_shows_them_too(relay):
    bob = member(relay, "bob", "ecdhe", "--admin")
    said = bob("handshake")
    assert all(name in said for name in NAMES)
    assert "established: ecdhe 1, AES-GCM-256, X25519, for countersign/1" in said


THIRTEEN = ["ClientHello", "ServerHello", "ServerCertSend", "ClientCertRequest", "ClientCertSend",
            "SeedCode", "KeyExchange1", "KeyExchange2", "KeyConfirm1", "KeyConfirm2", "ClientAuth",
            "ServerAuth", "SecureAck"]


def test_the_thirteen_steps_and_a_talk_over_them(relay):
    relay.restart("--links", "tls sovereign")
    alice, bob = member(relay, "alice", "tls", "--admin"), member(relay, "bob", "sovereign")
    alice("room", "create", "ops", "--history", "all")
    bob("room", "join", "ops")
    bob("send", "ops", "over thirteen steps")
    assert texts(alice) == ["over thirteen steps"]
    rows = [json.loads(line) for line in bob("handshake", "--json").splitlines()]
    names = [r["name"] for r in rows if r["event"] == "step" and not r["waiting"]]
    assert sorted(names) == sorted(THIRTEEN)
    assert names[:6] == THIRTEEN[:6] and names[10:] == THIRTEEN[10:]
    drawn = next(r["detail"] for r in rows if r.get("name") == "SeedCode")
    assert drawn.endswith(": " + " ".join(names[6:10]))


def test_no_such_link(relay):
    m = Member(relay, "x")
    said = m.run("--link", "telnet", "me").stderr
    assert 'no link "telnet"; there are: tls ecdhe cianr sovereign classic' in said


# --- the relay's second leaf ---

def test_the_rsa_leaf_comes_by_itself(tmp_path):
    with Relay(tmp_path) as relay:
        for name in "relay-rsa.crt", "relay-rsa.key":
            os.unlink(os.path.join(relay.dir, name))
        doctor = subprocess.run([os.path.join(os.path.dirname(CLIENT), "countersignd"), "doctor",
                                 "--dir", relay.dir], text=True, capture_output=True,
                                timeout=SECONDS, check=False)
        assert "relay-rsa.crt is not there yet" in doctor.stdout
        relay.run(*BOTH)
        assert os.stat(os.path.join(relay.dir, "relay-rsa.key")).st_mode & 0o777 == 0o600
        member(relay, "bob", "ecdhe")("me")


@pytest.mark.parametrize("leaf, scheme", [("rsa", "RSA-PSS"), ("p256", "ECDSA P-256")])
def test_either_leaf(tmp_path, leaf, scheme):
    with Relay(tmp_path) as relay:
        relay.run(*BOTH, "--ecdhe-leaf", leaf)
        bob = member(relay, "bob", "ecdhe", "--admin")
        bob("room", "create", "den")
        assert scheme + " by CN=127.0.0.1" in bob("handshake")


# --- a certificate that signed itself, and its pin ---

SELF = (*BOTH, "--ecdhe-leaf", "self")


def shown(relay):
    """SHA-256 of the certificate that ecdhe shows, as openssl prints it."""
    out = subprocess.run(["openssl", "x509", "-in", os.path.join(relay.dir, "relay-self.crt"),
                          "-noout", "-fingerprint", "-sha256"], text=True, capture_output=True,
                         timeout=SECONDS, check=True).stdout
    return out.strip().split("=")[1]


def plain(pin):
    return pin.replace(":", "").lower()


def joins(m, invite, *options):
    return m.run("--name", m.name, "--device", "laptop", "--no-open", "--link", "ecdhe", *options,
                 "join", "-", stdin=invite + "\n")


@pytest.fixture
def selfish(tmp_path):
    with Relay(tmp_path) as r:
        r.run(*SELF)
        yield r


def test_a_pinned_certificate_is_enough_and_stays_pinned(selfish):
    pin = shown(selfish)
    bob = Member(selfish, "bob")
    assert joins(bob, selfish.invite("--admin"), "--pin", pin).returncode == 0
    assert account(bob)[1].endswith(f"link = ecdhe\npin = {plain(pin)}\n")
    assert "pinned SHA-256" in bob("me") and json.loads(bob("me", "--json"))["pin"] == plain(pin)
    bob("room", "create", "den")
    bob("send", "den", "over a certificate of its own")
    selfish.restart(*SELF)                                  # it is made once, not at each start
    assert shown(selfish) == pin
    rows = [json.loads(line) for line in bob("handshake", "--json").splitlines()]
    assert (rows[-1]["event"], rows[-1]["trust"]) == ("established", "leaf")
    assert rows[-1]["relay-sha256"] == plain(pin)
    said = bob("handshake")
    assert "the relay's certificate is the one that was pinned" in said
    alice = member(selfish, "alice", "tls")                 # the other links show what they showed
    assert "trust" in alice("handshake", "--json")


def test_without_its_pin_it_is_nobodys(selfish):
    p = joins(Member(selfish, "bob"), selfish.invite())
    assert p.returncode == 77 and "not the one of the invite" in p.stderr
    with Proxy(selfish.port) as proxy:
        m = Member(selfish, "eve")
        p = m.run("handshake", f"127.0.0.1:{proxy.port}", "--link", "ecdhe")
    assert p.returncode == 77 and "--pin " + plain(shown(selfish)) in p.stderr


def test_another_certificate_than_the_pinned_ends_it(selfish):
    """H1, H3: the client has said nothing but ClientHello; who it is comes three steps later."""
    pin = shown(selfish)
    bob = Member(selfish, "bob")
    assert joins(bob, selfish.invite("--admin"), "--pin", pin).returncode == 0
    bob("room", "create", "den")
    wrong = pin[:-2] + ("00" if pin[-2:] != "00" else "01")
    with Proxy(selfish.port) as proxy:
        p = bob.run("handshake", f"127.0.0.1:{proxy.port}", "--link", "ecdhe", "--pin", wrong)
        said = proxy.forget()["up"]
    assert p.returncode == 77 and f"SHA-256 {plain(pin)}" in p.stderr
    assert "did not show the certificate that was pinned" in p.stdout
    # magic, head, purpose, random, key, two suites; the answer to a failure
    assert len(said) == 20 + 5 + 65 + 3 + 5 and said.endswith(bytes(5))
    for name in "relay-self.crt", "relay-self.key":         # somebody else's, at the same place
        os.unlink(os.path.join(selfish.dir, name))
    selfish.restart(*SELF)
    p = bob.run("--timeout", "5", "send", "den", "to whom?")
    assert p.returncode == 77 and "not the one that was pinned" in p.stderr
    bob("--pin", shown(selfish), "send", "den", "to whom I say, and only for this once")
    assert account(bob)[1].endswith(f"pin = {plain(pin)}\n")


def test_what_a_pin_may_be(selfish):
    m, pin = Member(selfish, "bob"), shown(selfish)
    at = f"127.0.0.1:{selfish.port}"
    for bad in "", "12", pin[:-1], pin + ":00", "g" + pin[1:], pin.replace(":", "-"):
        p = m.run("handshake", at, "--link", "ecdhe", "--pin", bad)
        assert p.returncode == 64, bad
        assert f'--pin: "{bad[:70]}" is no SHA-256' in p.stderr and "nothing was sent" in p.stderr
    for link in (), ("--link", "tls"), ("--link", "cianr"), ("--link", "sovereign"):
        p = m.run("handshake", at, *link, "--pin", pin)
        assert p.returncode == 64 and "--pin belongs to --link ecdhe" in p.stderr
    for argv in (("lab", "mitm", "--link", "ecdhe"), ("handshake", "--local", "--link", "ecdhe"),
                 ("handshake", "--link", "all"), ("guest", at, "--link", "classic")):
        p = m.run(*argv, "--pin", pin)
        assert p.returncode == 64 and "--pin belongs to what connects" in p.stderr, argv
    for good in pin, plain(pin), pin.replace(":", " "):
        m("handshake", at, "--link", "ecdhe", "--pin", good)


# --- a second client ---

@pytest.fixture
def puppet(relay):
    return Puppet(relay, "mallory", link="ecdhe", dial=ecdhe.Ecdhe).join("--admin")


@pytest.mark.parametrize("suites", [(ecdhe.AES,), (ecdhe.CHACHA,), (ecdhe.CHACHA, ecdhe.AES, 77)])
def test_another_program_joins_and_talks(relay, suites):
    p = Puppet(relay, "mallory", link="ecdhe",
               dial=lambda *a, **k: ecdhe.Ecdhe(*a, suites=suites, **k))
    p.join("--admin").login()
    room = p.enter("room-create", name="den", private=False, history="all")
    assert p.say(room, say("hello"))["type"] == "numbered"
    with open(os.path.join(relay.dir, "relay-rsa.crt"), encoding="ascii") as f:
        der = pem.PEM_cert_to_DER_cert(f.read())
    assert p.tls.chain[0] == der


def refused(relay, p, **lies):
    with pytest.raises(ecdhe.Refused):
        ecdhe.Ecdhe(relay.port, CHAT, p.cert, p.key, **lies)
    return relay.wait("refused")["why"]


def test_a_client_that_lies(relay, puppet):
    """One answer for all of it, and the reason in the relay's own log."""
    def cut(n):
        return lambda content: content[:n]
    assert "wrong length" in refused(relay, puppet, finished=lambda c: c + b"\0")
    assert "saw another handshake" in refused(relay, puppet, finished=lambda c: c[:-32] + bytes(32))
    assert "signature is not over" in refused(
        relay, puppet, finished=lambda c: c[:-40] + bytes(8) + c[-32:])
    assert "no certificate" in refused(relay, puppet, finished=lambda c: b"\0\0\0" + c[-32:])
    assert "malformed" in refused(relay, puppet, finished=cut(500))
    assert "nothing we know" in refused(relay, puppet, hello=lambda h: b"\2" + h[1:])
    assert "no suite" in refused(relay, puppet, hello=lambda h: h[:-2] + b"\7\x08")
    assert "low order" in refused(relay, puppet, hello=lambda h: h[:33] + bytes(32) + h[65:])


def test_somebody_elses_certificate(relay, puppet):
    """H4: the certificate alone is no identity."""
    other = Puppet(relay, "eve", link="ecdhe", dial=ecdhe.Ecdhe).join()
    with pytest.raises(ecdhe.Refused):
        ecdhe.Ecdhe(relay.port, CHAT, puppet.cert, other.key)
    assert "signature is not over" in relay.wait("refused")["why"]


def test_a_login_belongs_to_its_link(relay):
    """H20: a proof over the exporter of one link is none on another."""
    p = Puppet(relay, "mallory", link="ecdhe", dial=ecdhe.Ecdhe).join()
    p.greet()
    p.link = "tls"
    assert p.proof()["code"] == "auth"
    p.link = "ecdhe"
    p.greet()
    assert p.proof(exporter=os.urandom(32))["code"] == "auth"
    p.login()


def test_a_recorded_flight_is_worth_nothing(relay, puppet):
    """H6: also after a restart."""
    with Proxy(relay.port) as proxy:
        ecdhe.Ecdhe(proxy.port, CHAT, puppet.cert, puppet.key).close()
        said = proxy.forget()["up"]
    for again in range(2):
        with socket.create_connection(("127.0.0.1", relay.port), timeout=SECONDS) as s:
            s.sendall(said)
            got = b""
            while more := s.recv(65536):
                got += more
        assert got.endswith(bytes(5))
        relay.wait("refused", why="Client Finished: damaged or forged on the way")
        if again == 0:
            relay.restart(*BOTH)


# --- what the network sees ---

def test_the_wire_shows_no_secret(relay):
    with Proxy(relay.port) as proxy:
        bob = Member(relay, "rosalind")
        invite = relay.admin("invite", "--admin", "--at", f"127.0.0.1:{proxy.port}").strip()
        bob("--name", "rosalind", "--device", "burrow", "--no-open", "--link", "ecdhe", "join",
            "-", stdin=invite + "\n")
        bob("room", "create", "warren", "--history", "all")
        bob("send", "warren", "MARKER-quokka-7f3a9x")
        seen = proxy.bytes()
    assert b"countersign ecdhe 1\n" in seen and len(seen) > 8000
    for secret in "rosalind", "burrow", "warren", "MARKER-quokka", PASSWORD, invite.split(".")[-2]:
        assert secret.encode() not in seen, secret


def test_a_certificate_refused_over_cianr_is_told_once(relay):
    """Its one answer names no rule; it is final all the same, and the screen says what next."""
    relay.restart("--links", "tls cianr")
    bob = member(relay, "bob", "cianr", "--admin")
    Puppet(relay, "bob", device="other").join("--for", "bob").close()
    with Screen(bob) as s:
        s.wait("Password:")
        s.type(PASSWORD + "\r")
        s.wait("because of our certificate (bad-cert)")
        s.wait("the relay's log has the rule")
        assert "retry" not in s.text()


def test_the_screen_shows_where_a_handshake_failed(relay):
    """At the step that was due, with its reason and what to do, also where there is little room."""
    bob = member(relay, "bob", "ecdhe", "--admin")
    for rows, cols in (24, 80), (10, 40):
        with Screen(bob, rows=rows, cols=cols, argv=["--pin", "00" * 32]) as s:
            s.wait("Password:")
            s.type(PASSWORD + "\r")
            s.wait("FAILED at step 2, ServerHello")
            s.wait("not the one that was pinned")
            s.until(lambda: any(r.lstrip().startswith("1 -") and "FAILED" not in r
                                for r in s.rows()), "first step above it")
            if rows == 24:
                s.wait("ask the operator for the SHA-256 of the relay's certificate")
    relay.restart("--links", "tls")
    with Screen(bob) as s:
        s.wait("Password:")
        s.type(PASSWORD + "\r")
        s.wait("FAILED at step 2, ServerHello")
        s.wait("does the relay speak ecdhe 1?")


@pytest.mark.parametrize("link, bar", [("ecdhe", "[ecdhe 1 ok"), ("cianr", "[cianr 1 ok"),
                                       ("sovereign", "[sovereign 1 ok")])
def test_the_screen_names_the_link(relay, link, bar):
    relay.restart("--links", f"tls {link}")
    bob = member(relay, "bob", link, "--admin")
    bob("room", "create", "den")
    with Screen(bob) as s:
        s.wait("Password:")
        s.type(PASSWORD + "\r")
        s.wait(bar)
        assert "TLS" not in s.text()
        s.type(f"over {link}\r")
        s.wait(f"bob >   over {link}")
        assert s.quit() == 0
