"""H18: a corpus of bad certificates, shown to cert_check and offered by a real peer to the real
programs, in both roles. One thing is wrong with each, and that thing is what is said of it."""

import contextlib
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import time

import pytest

from badcerts import CASES, DAY, NOW, Corpus, Form, octets, oid, seq
from relay import BUILD, SECONDS, Relay, alert, openssl
from test_refusals import impostor
from wire import CHAT, Puppet

JUDGE = os.path.join(BUILD, "judge")


def alerts():
    """The number for each word, as common/crypto/x509.h has them."""
    with open(os.path.join(os.path.dirname(__file__), "../../common/crypto/x509.h"),
              encoding="utf-8") as f:
        return {word: int(n) for n, word in
                re.findall(r'X\(CERT_\w+, (\d+),\s*"[^"]*",\s*"([\w-]+)"\)', f.read())}


ALERTS = alerts()


class Court:
    def __init__(self, tmp):
        self.tmp = str(tmp)
        self.relay = Relay(tmp).run("--per-source", 100, "--max-conns", 1000)
        self.corpus = Corpus(tmp, f"{self.relay.dir}/ca")
        self.member = self.relay.member("martin")
        self.alice = Puppet(self.relay, "zoe").join().login()
        ca = f"{self.relay.dir}/ca"
        for name in "root", "intermediate":
            subprocess.run(["openssl", "x509", "-in", f"{ca}/{name}.crt", "-outform", "DER", "-out",
                            f"{self.tmp}/{name}.der"], check=True)
        self.crl = f"{ca}/crl.der"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.relay.__exit__()

    def chain(self, case, role):
        """Paths of DER files, and what openssl wants to present them."""
        chain, key = self.corpus.make(case, role)
        paths = [f"{self.tmp}/chain-{i}.der" for i in range(len(chain))]
        for path, der in zip(paths, chain):
            with open(path, "wb") as f:
                f.write(der)
        leaf, issuers = f"{self.tmp}/leaf.pem", f"{self.tmp}/issuers.pem"
        for path, ders in (leaf, chain[:1]), (issuers, chain[1:] or chain):
            with open(path, "w", encoding="ascii") as f:
                f.write("".join(map(ssl.DER_cert_to_PEM_cert, ders)))
        return paths, (key, leaf, issuers)

    def judge(self, role, paths, crl=None):
        p = subprocess.run([JUDGE, role, "127.0.0.1", f"{self.tmp}/root.der",
                            f"{self.tmp}/intermediate.der", crl or self.crl, *paths], text=True,
                           stdout=subprocess.PIPE, check=False)
        assert p.returncode in (0, 1)
        assert (p.returncode == 0) == (p.stdout == "ok\n")
        return p.stdout.strip()

    def reasons(self):
        with contextlib.closing(sqlite3.connect(f"{self.relay.dir}/relay.db")) as db:
            return {reason: n for reason, n in db.execute(
                "select reason, sum(count) from audit_log where event = 'refused' group by reason")}

    def audited(self, reason, before):
        """Rows are committed with the next group."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self.reasons().get(reason, 0) > before.get(reason, 0):
                return True
            time.sleep(0.02)
        return False


@pytest.fixture(scope="module")
def court(tmp_path_factory):
    with Court(tmp_path_factory.mktemp("court")) as c:
        yield c
        c.relay.stop()


@pytest.fixture(autouse=True)
def unharmed(court):
    yield
    assert court.alice.alive()


def cases(role):
    return [c for c in CASES if role in c.roles]


@pytest.mark.parametrize("role", ["device", "relay"])
def test_cert_check_says_the_word(court, role):
    wrong = []
    for case in cases(role):
        got = court.judge(role, court.chain(case, role)[0])
        if got != case.word:
            wrong.append((case.about, case.word, got))
    assert not wrong


def ids(case):
    return case.about.replace(" ", "-")


@pytest.mark.parametrize("case", [c for c in cases("device") if c.offered], ids=ids)
def test_the_relay_refuses_a_device(court, case):
    """The alert names the rule, the audit log has its word, nobody was greeted."""
    _, (key, leaf, issuers) = court.chain(case, "device")
    before = court.reasons()
    said = openssl(court.relay, "-alpn", CHAT, "-cipher", "DEFAULT@SECLEVEL=0", "-key", key,
                   "-cert", leaf, "-cert_chain", issuers, keep=5)
    word = "not-enrolled" if case.word == "ok" else case.told
    assert '"hello"' not in said
    assert alert(said) == ALERTS[word], said
    assert court.audited(word, before), (word, court.reasons())


@pytest.mark.parametrize("case", [c for c in cases("relay") if c.offered and c.word != "ok"],
                         ids=ids)
def test_the_client_refuses_a_relay(court, case):
    """It says so and leaves with the rule's alert, before it has named itself."""
    _, offer = court.chain(case, "relay")
    got, said = impostor(court.relay, court.member, *offer)
    assert got.returncode == 77, (got.returncode, got.stderr, said)
    # what we did not read makes the kernel answer with a reset, which can overtake the alert
    late = {None} if case.word == "too-big" else set()
    assert alert(said) in {ALERTS[case.told]} | late, (got.stderr, said)
    assert "certificate" in got.stderr and "\x1b" not in got.stderr and "\x9b" not in got.stderr
    assert "martin" not in said


# --- revocation ---

@pytest.mark.parametrize("about, word, row, start, end", [
    ("not on the list", "ok", False, NOW - DAY, NOW + DAY),
    ("on the list", "revoked", True, NOW - DAY, NOW + DAY),
    ("the list has expired", "crl-expired", False, NOW - 2 * DAY, NOW - 60),
    ("on a list that has expired", "crl-expired", True, NOW - 2 * DAY, NOW - 60),
    ("the list is from the future", "crl-expired", False, NOW + DAY, NOW + 2 * DAY),
    ("there is no list", "crl-missing", False, None, None),
])
def test_lists_fail_closed(court, about, word, row, start, end):
    """For whoever demands one, as the relay and readers of entries do."""
    f = Form("device", court.corpus.key("rsa2048"), court.corpus.issuer("ours"))
    leaf, crl = f"{court.tmp}/{word}-leaf.der", f"{court.tmp}/{word}.crl"
    for path, der in ((leaf, court.corpus.sign(f)),
                      (crl, start and court.corpus.revoked([f.serial] * row, start, end))):
        if der:
            with open(path, "wb") as out:
                out.write(der)
    assert court.judge("device", [leaf], crl if start else "-") == word, about


@pytest.mark.parametrize("about, says, form", [
    ("plain", None, {}),
    ("a row with a reason", None, {"entry": seq(seq(oid("2.5.29.21"), octets(b"\x0a\x01\x01")))}),
    ("a row with something critical", "an entry with a critical extension",
     {"entry": seq(seq(oid("1.2.3.4"), b"\x01\x01\xff", octets(b"\x05\x00")))}),
    ("signed over SHA-1", "no CA known here signed", {"digest": "sha1"}),
    ("another algorithm beside it", "names two signature algorithms", {"beside": b""}),
    ("no word of the next one", "does not say when the next one comes", {"end": None}),
])
def test_lists_of_another_form(court, about, says, form):
    """Each rightly signed by our own CA; one that we do not understand is none."""
    path = f"{court.tmp}/odd.crl"
    with open(path, "wb") as out:
        out.write(court.corpus.revoked([4711], NOW - DAY, **({"end": NOW + DAY} | form)))
    p = subprocess.run([JUDGE, "device", "-", f"{court.tmp}/root.der",
                        f"{court.tmp}/intermediate.der", path, path], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (p.returncode == 2) == (says is not None), (about, p.stdout, p.stderr)
    assert says is None or says in p.stderr, (about, p.stderr)


def test_a_revoked_device(court):
    """Made and revoked by the CA's own program: refused as such, though it never had an account."""
    made, ca = f"{court.tmp}/lost", os.path.join(BUILD, "countersign-ca")
    subprocess.run([ca, "issue", "--dir", f"{court.relay.dir}/ca", "--out", made, "device", "lost",
                    "laptop"], check=True, capture_output=True)
    before = court.reasons()

    def answer():
        return alert(openssl(court.relay, "-alpn", CHAT, "-key", f"{made}.key", "-cert",
                             f"{made}.crt", keep=5))
    assert answer() == ALERTS["not-enrolled"]
    fp = subprocess.run(["openssl", "x509", "-in", f"{made}.crt", "-noout", "-fingerprint",
                         "-sha256"], text=True, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run([ca, "revoke", "--dir", f"{court.relay.dir}/ca",
                    fp.partition("=")[2].strip().replace(":", "").lower()], check=True,
                   capture_output=True)
    court.relay.kick(signal.SIGHUP)
    court.relay.wait("reloaded")
    end = time.monotonic() + SECONDS
    while answer() != ALERTS["revoked"]:  # the date on a list is the next whole second
        assert time.monotonic() < end
    assert court.audited("revoked", before)
