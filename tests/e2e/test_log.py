"""P10: whatever others choose to say, the relay's log is one line of key=value pairs an event, and no
line or pair of it is theirs. Judged by a reader written from log.h and kv.h alone."""

import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess

import pytest

from cianr import Cianr
from cianr import Refused as CianrRefused
from ecdhe import Ecdhe
from ecdhe import Refused as EcdheRefused
from hostile import CORPUS, LINES, MIXED, clip
from relay import SECONDS, Relay, countersignd
from wire import CHAT, JOIN, Puppet, Tls, say

TIME = "2026-01-01T00:00:00.000Z"
# What a log line of ours looks like, said by somebody else: another line, another pair, another end.
FORGED = [
    f"\ntime={TIME} event=login conn=4242 device=4242424242424242",
    f"\r\ntime={TIME} event=login conn=4242 device=4242424242424242\r\n",
    f"\rtime={TIME} event=stopped\r", f"\x85time={TIME} event=stopped\u2028event=stopped\u2029",
    f"x\x0btime={TIME} event=stopped\x0cevent=stopped", ' source=10.42.42.42 event=login',
    '" source=10.42.42.42 event="login', '\\" source=10.42.42.42 x="', "x\\", '\\\\"', "\\x0a\\n",
    "'", '"', "=", " ", "a=b", "source=10.42.42.42", "why=none", "x" * 5000, '"' * 5000,
    "\x00event=stopped", "\x7f\x1b[2K\x1b[1Aevent=login", "\u2028" * 1000,
]
TEXTS = [*FORGED, *LINES, *CORPUS.values(), MIXED]
BYTES = [b"\xff\xfe\xfd", b"\x9b2K\x9d0;o\x9c", b"\xc0\x8aevent=login", b"\xed\xa0\x8a", b"\xf8\x88\x80",
         b"\nevent=\xfflogin\n"]  # no UTF-8, two of them an overlong newline

LINE_MAX = 2048 + 32
VALUE = r'(?:[A-Za-z0-9._:/@+-]+|"(?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{2})*")'
ROW = re.compile(rf"time=(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z) event=([a-z-]+)((?: [a-z_]+={VALUE})*)")
CONN = {"conn", "why", "source"}
PAIRS = {"listening": {"addr", "port"}, "login": {"conn", "device"}, "connected": CONN,
         "joining": CONN, "guest": CONN, "gone": CONN, "refused": CONN, "kept": {"why"},
         "reload-failed": {"why"}, "reloaded": set(), "stopping": set(), "stopped": set()}
FOLDED = {"source", "left_out"}


def value(text):
    """What stands behind = as the bytes that it stands for."""
    if text[0] != '"':
        return text.encode()
    return re.sub(rb'\\x([0-9a-f]{2})|\\(["\\])',
                  lambda m: bytes([int(m[1], 16)]) if m[1] else m[2], text[1:-1].encode())


def rows(raw):
    """Every line as its event and pairs; each is whole, of a known kind, and nobody else's."""
    assert raw.endswith(b"\n")
    for line in raw[:-1].split(b"\n"):
        text = line.decode("ascii")
        m = ROW.fullmatch(text)
        assert m and len(line) <= LINE_MAX and m[1] != TIME, line
        pairs = re.findall(rf" ([a-z_]+)=({VALUE})", m[3])
        keys = [k for k, _ in pairs]
        assert len(keys) == len(set(keys)), line
        assert set(keys) <= PAIRS[m[2]] or set(keys) == FOLDED, line
        got = {k: value(v) for k, v in pairs}
        assert re.fullmatch(rb"127\.0\.0\.\d+|::1|any|", got.get("source", b"")), line
        assert re.fullmatch(rb"\d*", got.get("conn", b"")) and got.get("conn") != b"4242", line
        assert re.fullmatch(rb"[0-9a-f]*", got.get("device", b"")), line
        assert not got.get("device", b"").startswith(b"4242"), line
        yield m[2], got


class Logged(Relay):
    """A relay whose log is a file, byte by byte: reading it as lines is what is tested here."""

    def raw(self):
        with open(f"{self.tmp}/log", "rb") as f:
            return f.read()

    def _read(self, process):
        with open(f"{self.tmp}/log", "ab") as log:
            for line in process.stderr.buffer:
                log.write(line)
                log.flush()
                with self.news:
                    self.lines.append(line.decode("ascii", "replace").rstrip("\n"))
                    self.news.notify_all()
        with self.news:
            self.lines.append(None)
            self.news.notify_all()

    def finish(self):
        """Ends it; gives its events, after they and the audit table were judged."""
        self.stop()
        got = list(rows(self.raw()))
        with contextlib.closing(sqlite3.connect(f"{self.dir}/relay.db")) as db:
            for row in db.execute("select event, reason, address, account from audit_log"):
                assert re.fullmatch("[a-z-]+", row[0]) and re.fullmatch("[ -~]*", row[1]), row
                assert not re.search("4242|10.42|event", row[1]), row
                assert re.fullmatch(r"127\.0\.0\.\d+|::1|::/64|operator|\*|", row[2]), row
                assert row[3] in ("", "mallory", "guest"), row
        assert [e for e, _ in got if e in ("stopping", "stopped")] == ["stopping", "stopped"]
        return got


@pytest.fixture
def relay(tmp_path):
    with Logged(tmp_path) as r:
        r.run("--links", "tls ecdhe cianr sovereign classic", "--per-source", 1000,
              "--handshakes", 1000)
        yield r


def frames(room, text):
    """Requests that carry it in each field where words of people belong, and where none do."""
    yield {"type": "room-create", "name": text, "private": False, "history": "all"}
    yield {"type": "room-join", "name": text}
    yield {"type": "room-topic", "room": room, "topic": text}
    yield {"type": "person", "name": text}
    yield {"type": "room-topic", "room": text, "topic": "x"}
    yield {"type": text}
    yield {text: text, "type": "room-list"}


def test_frames_of_a_member(relay):
    """Types, keys, names, topics, ids, lines of entries, what is said."""
    mallory = Puppet(relay, "mallory").join("--admin").login()
    room = mallory.enter("room-create", name="lab", private=False, history="all")
    logins, ends = 1, 0
    for n, text in enumerate(TEXTS):
        for f in frames(room, clip(text, 1000)):
            answer = mallory.ask(f.pop("type"), **f)
            if answer is None or answer.get("re") == 0:
                logins, ends = logins + 1, ends + 1
                mallory.login()
        field = ("tag", "room", "fp", "seen")[n % 4]
        mallory.tls.send(**mallory.entry(room, say(text), **{field: clip(text, 100)}))
        assert mallory.tls.closed()
        mallory.login()
        logins, ends = logins + 1, ends + 1
        assert mallory.say(room, say(text)) is not None
    for raw in BYTES:
        for text in b'{"type":"%s"}' % raw, b'{"%s":1}' % raw, raw:
            mallory.tls.raw(struct.pack(">I", len(text)) + text)
            assert mallory.tls.closed()[-1]["type"] == "error"
            mallory.login()
            logins, ends = logins + 1, ends + 1
    mallory.close()
    count = collections.Counter(e for e, _ in relay.finish())
    assert count["login"] == logins and ends > 200


def test_who_joins(relay):
    """Names, devices, tokens and requests for certificates of somebody without an account."""
    guest, invite = Puppet(relay, "guest"), relay.invite()
    for n, text in enumerate(TEXTS):
        for field in "name", "device", ("token", "csr", "salt", "server-key")[n % 4]:
            frame = {"type": "join", "id": 1, "token": "A" * 22 + "==", "name": "guest", "device": "x",
                     "csr": "AAAA", "salt": "A" * 22 + "==", "t": 3, "m": 65536,
                     "stored-key": "A" * 43 + "=", "server-key": "A" * 43 + "="}
            with contextlib.closing(Tls(relay.port, JOIN)) as tls:
                tls.take()
                tls.send(type="hello", v=1, features=[text])
                tls.send(**frame | {field: text})
                assert tls.take()["type"] == "error"
    assert guest.try_join(invite)["type"] == "joined"
    relay.finish()


def certificate(where, kind, subject):
    """One of nobody's CA; its names are what openssl could be brought to write."""
    key, crt = f"{where}/x.key", f"{where}/x.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-utf8",
                    "-subj", f"/CN={subject}/O={subject}", "-addext", "subjectAltName=email:x",
                    "-out", crt, "-days", "9"], check=True, capture_output=True)
    return crt, key


def test_certificates_of_strangers(relay, tmp_path):
    """Over every link that shows one; also where a name holds a NUL or no UTF-8."""
    shown = 0
    for text in (FORGED[0], FORGED[5], FORGED[6], FORGED[8], CORPUS["csi"], CORPUS["c1 as UTF-8"], "N\x01N"):
        subject = clip(text, 60).replace("\\", "\\\\").replace("/", "\\/")
        crt, key = certificate(str(tmp_path), ["rsa:2048"], subject)
        with open(crt, encoding="ascii") as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        shown += strangers(relay, crt, key, Tls, Ecdhe, Cianr)
    for other in b"\0", b"\xff", b"\n":  # read before its signature is judged; openssl takes it not
        with open(crt, "w", encoding="ascii") as f:
            f.write(ssl.DER_cert_to_PEM_cert(der.replace(b"N\x01N", b"N" + other + b"N")))
        shown += strangers(relay, crt, key, Ecdhe, Cianr)
    assert shown == 7 * 3 + 3 * 2
    got = relay.finish()
    refused = [p for e, p in got if e == "refused" and "why" in p]
    assert len(refused) >= 10 and not any(e == "login" for e, _ in got)


def strangers(relay, crt, key, *links):
    """How many links it was shown over; each says no."""
    for dial in links:
        if dial is Tls:
            with contextlib.closing(Tls(relay.port, CHAT, crt, key)) as tls:
                assert tls.closed() == []
        else:
            with pytest.raises((EcdheRefused, CianrRefused)):
                dial(relay.port, CHAT, crt, key)
    return len(links)


def test_first_bytes(relay):
    """Greetings of other protocols, and words for a TLS that never comes: server names, ALPN."""
    for n, text in enumerate(TEXTS):
        for first in text.encode(), b"countersign ecdhe 1\n" + text.encode():
            with socket.create_connection(("127.0.0.1", relay.port), SECONDS,
                                          (f"127.0.0.{n + 2}", 0)) as s:
                s.sendall(first)
                s.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    while s.recv(65536):
                        pass
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
        ctx.set_alpn_protocols([clip(text, 200).encode().decode("ascii", "ignore") or "x"])
        with socket.create_connection(("127.0.0.1", relay.port), SECONDS) as s, \
                contextlib.suppress(OSError):
            ctx.wrap_socket(s).close()
    got = relay.finish()
    assert sum(e == "refused" for e, _ in got) >= len(TEXTS)


def test_reasons_of_guests(relay):
    """The one text of strangers that the log repeats (classic's err): each is there, as it was
    said but for what cannot be seen, within one pair of one line."""
    said = {}
    for n, text in enumerate(clip(t, 1000) for t in TEXTS):
        said[f"127.0.0.{n + 2}".encode()] = text
        with socket.create_connection(("127.0.0.1", relay.port), SECONDS, (f"127.0.0.{n + 2}", 0)) as s:
            s.sendall(b'{"type":"hello"}\n')
            assert s.recv(65536)[:1] == b"{"
            s.sendall(json.dumps({"type": "err", "reason": text}).encode() + b"\n")
            with contextlib.suppress(ConnectionResetError):
                while s.recv(65536):
                    pass
    why = {p["source"]: p["why"] for e, p in relay.finish() if e == "refused" and "why" in p}
    assert why.keys() == said.keys()
    for source, text in said.items():
        head = b"the other end says: "
        plain = re.match("[ -~]*", text)[0].encode()[:100]
        assert why[source].startswith(head + plain), (why[source], text)


def test_addresses(tmp_path):
    """A source is an address and nothing more, in the one form that both families have."""
    with Logged(tmp_path) as relay:
        relay.run("--listen", "[::]:0")
        for host in "::1", "127.0.0.1":
            with socket.create_connection((host, relay.port), SECONDS) as s:
                s.sendall(b"event=login\n")
                while s.recv(100):
                    pass
        got = relay.finish()
    assert [p["source"] for e, p in got if e == "refused"] == [b"::1", b"127.0.0.1"]


def test_names_of_files_and_settings(tmp_path):
    """What the operator's own disk is called: a directory, a file that cannot be read anew."""
    where = tmp_path / 'x" event=login y="\\ \u2028\x9b2K\u202e'
    where.mkdir()
    with Logged(tmp_path) as relay:
        shutil.move(relay.dir, where / "relay")
        relay.dir = str(where / "relay")
        relay.run()
        os.rename(f"{relay.dir}/relay.crt", f"{relay.dir}/kept")
        relay.kick(signal.SIGHUP)
        assert "event=login" in relay.wait("reload-failed")["why"]
        os.rename(f"{relay.dir}/kept", f"{relay.dir}/relay.crt")
        with open(f"{relay.dir}/countersignd.conf", "a", encoding="utf-8") as f:
            f.write(f'\nmax-conns = {MIXED} event=login" x="\n')
        relay.kick(signal.SIGHUP)
        assert relay.wait("reload-failed")["why"]
        out = countersignd("run", "--dir", relay.dir, status=78).encode()
        assert out.count(b"\n") == 1 and not re.search(b"[\0-\x09\x0b-\x1f\x7f]", out), out
        relay.finish()
