"""countersignd by its real program: made, started, refused, cut, reloaded, stopped."""

import contextlib
import hashlib
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import sqlite3
import ssl
import stat
import struct
import subprocess
import threading
import time

import pytest

from relay import (BUILD, PASSWORD, RELAY, Member, Relay, alert, countersignd, openssl)


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        yield r


def connect(relay, seconds=20):
    s = socket.create_connection(("127.0.0.1", relay.port), timeout=seconds)
    s.settimeout(seconds)
    return s


def closed(sock, seconds=20):
    """True when the relay ends the connection in time; what it still says is read away."""
    sock.settimeout(seconds)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except socket.timeout:
        return False
    return True


def idle_cpu(pid, seconds):
    """Processor seconds that a process uses in this time."""
    def used():
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    before = used()
    time.sleep(seconds)
    return used() - before


# --- init ---

def test_init_makes_a_whole_relay(tmp_path):
    d = tmp_path / "relay"
    text = countersignd("init", "relay.example", "--dir", d, "--extra-san", "192.0.2.7,::1", umask=0)
    assert "countersign://relay.example:7443/#1." in text
    assert "root.key" in text and f"countersignd run --dir {d}" in text
    modes = {f: stat.S_IMODE(os.stat(d / f).st_mode) for f in
             (".", "ca", "relay.key", "seal.key", "relay.db", "ca/root.key", "ca/intermediate.key")}
    assert modes == {".": 0o700, "ca": 0o700, "relay.key": 0o600, "seal.key": 0o600,
                     "relay.db": 0o600, "ca/root.key": 0o600, "ca/intermediate.key": 0o600}
    sans = subprocess.run(["openssl", "x509", "-in", d / "relay.crt", "-noout", "-ext",
                           "subjectAltName"], text=True, capture_output=True, check=True).stdout
    assert "DNS:relay.example" in sans and "192.0.2.7" in sans and "0:0:0:0:0:0:0:1" in sans
    subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", d / "ca/root.crt",
                    "-untrusted", d / "ca/intermediate.crt", d / "relay.crt"], check=True,
                   capture_output=True)
    assert os.listdir(tmp_path) == ["relay"]


def test_init_touches_nothing_that_is_there(relay):
    before = {f: os.stat(os.path.join(relay.dir, f)).st_mtime_ns for f in os.listdir(relay.dir)}
    text = countersignd("init", "127.0.0.1", "--dir", relay.dir, status=73)
    assert "already there" in text
    after = {f: os.stat(os.path.join(relay.dir, f)).st_mtime_ns for f in os.listdir(relay.dir)}
    assert before == after and os.listdir(relay.tmp) == ["relay"]


def test_init_leaves_nothing_half_made(tmp_path):
    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))  # the database is bigger
    p = subprocess.run([RELAY, "init", "127.0.0.1", "--dir", tmp_path / "relay"],
                       preexec_fn=no_room, capture_output=True, text=True, timeout=60)
    assert p.returncode != 0 and p.stderr.startswith("making keys")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", "a b", "-x", "host_name", "a..b", "[::1", "host:99999",
                                  "relay.example:port", "x" * 300])
def test_init_refuses_names(tmp_path, name):
    p = subprocess.run([RELAY, "init", "--dir", tmp_path / "relay", "--", name],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode in (64, 78) and os.listdir(tmp_path) == []


# --- options ---

@pytest.mark.parametrize("argv, status, says", [
    ([], 64, "no command given"),
    (["frobnicate"], 64, "no such command"),
    (["\x9b2J\u202eevil"], 64, "<9B>2J<U+202E>evil: no such command"),
    (["run", "--no-such"], 64, "unknown option --no-such"),
    (["run", "-x"], 64, "unknown option -x"),
    (["run", "stray"], 64, "usage"),
    (["run", "--threads", "0"], 64, "threads"),
    (["run", "--threads"], 64, "needs a value"),
    (["run", "--max-conns", "1e3"], 64, "max_conns"),
    (["run", "--links", "tls telnet"], 78, "none that this version speaks"),
    (["run", "--ecdhe-leaf", "dsa"], 78, "rsa, p256 or self"),
    (["run", "--listen", "127.0.0.1:x"], 78, "port"),
    (["run", "--hours", "3"], 64, "unknown option"),
    (["invite", "--keep-devices"], 64, "--for"),
    (["invite", "--for", "nobody"], 66, "nobody: there is no such account"),
    (["user", "disable"], 64, "usage"),
    (["user", "disable", "nobody"], 66, "nobody: there is no such account"),
    (["run", "--config", "/nonexistent"], 66, "/nonexistent"),
])
def test_options_refused(relay, argv, status, says):
    command = argv[:1] + (["--dir", relay.dir] if argv else []) + argv[1:]
    text = countersignd(*command, status=status)
    assert says in text and len(text.splitlines()) <= 3


def test_configuration_faults_name_file_and_line(relay):
    path = os.path.join(relay.dir, "countersignd.conf")
    with open(path, "a", encoding="ascii") as f:
        f.write("max_conns = many\n")
    lines = len(open(path, encoding="ascii").readlines())
    assert f"{path}:{lines}: max_conns" in countersignd("run", "--dir", relay.dir, status=78)


def test_help_and_version():
    for argv in (["--help"], ["-h"], ["help"], ["run", "--help"], ["init", "--help"]):
        text = countersignd(*argv)
        assert text.startswith("usage:") and max(map(len, text.splitlines())) <= 80
    assert "countersignd" in countersignd("--version")
    for option in ("--threads", "--max-conns", "--handshakes", "--per-source", "--listen"):
        assert option in countersignd("run", "--help")


# --- starting ---

def test_keys_that_others_can_read_are_refused(relay):
    for f in ("relay.key", "seal.key", "ca/intermediate.key"):
        path = os.path.join(relay.dir, f)
        os.chmod(path, 0o644)
        text = countersignd("run", "--dir", relay.dir, status=78)
        assert "chmod" in text and f.rpartition("/")[2] in text, text
        assert "chmod" in countersignd("doctor", "--dir", relay.dir, status=78)
        os.chmod(path, 0o600)


def test_a_second_relay_is_refused(relay):
    relay.run()
    assert "another relay" in countersignd("run", "--dir", relay.dir, status=75)
    relay.stop()


def test_a_port_in_use_is_named(relay):
    with socket.create_server(("127.0.0.1", 0)) as other:
        at = f"127.0.0.1:{other.getsockname()[1]}"
        assert at in countersignd("run", "--dir", relay.dir, "--listen", at, status=69)


@pytest.mark.parametrize("harm", ["foreign", "garbage", "empty", "gone", "newer"])
def test_a_database_that_is_not_ours_stays(relay, harm):
    path = os.path.join(relay.dir, "relay.db")
    if harm == "foreign":
        os.unlink(path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("create table songs (title text)")
        os.chmod(path, 0o600)
    elif harm == "garbage":
        with open(path, "r+b") as f:
            f.write(b"not a database at all" * 100)
    elif harm == "empty":
        os.truncate(path, 0)
    elif harm == "gone":
        os.unlink(path)
    else:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("pragma user_version = 999999")
    before = open(path, "rb").read() if os.path.exists(path) else None
    for command in ("run", "invite"):
        p = subprocess.run([RELAY, command, "--dir", relay.dir], capture_output=True, text=True,
                           timeout=60)
        assert p.returncode in (65, 66), (p.returncode, p.stderr)
        assert p.stderr.startswith("countersignd: ") or "listening" not in p.stderr
    after = open(path, "rb").read() if os.path.exists(path) else None
    assert before == after


def test_it_tells_the_service_manager(relay):
    path = os.path.join(relay.tmp, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        relay.run(env=os.environ | {"NOTIFY_SOCKET": path})
        assert manager.recv(100) == b"READY=1"
        relay.stop()
        assert manager.recv(100) == b"STOPPING=1"


def test_both_families_on_one_socket(relay):
    relay.run("--listen", "[::]:0")
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, relay.port), timeout=20).close()
    relay.stop()


# --- who is refused, and with which alert ---

def test_the_certificate_verifies_and_joining_needs_none(relay):
    relay.run()
    text = openssl(relay, "-alpn", "countersign-join/1", "-verify_return_error", "-verify_ip",
                   "127.0.0.1", keep=1)
    assert "Verify return code: 0 (ok)" in text and '"type":"hello"' in text
    assert "TLSv1.3" in text and alert(text) is None
    relay.stop()


@pytest.mark.parametrize("options, number", [
    (["-alpn", "countersign/1"], 116),       # certificate_required
    (["-tls1_2", "-alpn", "countersign/1"], 70),  # protocol_version
    (["-alpn", "http/1.1"], 120),            # no_application_protocol
    ([], 120),
])
def test_alerts(relay, options, number):
    relay.run()
    assert alert(openssl(relay, *options)) == number
    relay.wait("refused")
    relay.stop()


def stranger(tmp, *, issued=None):
    """A key and a certificate that nobody here enrolled: of a CA of its own, or of the relay's."""
    key, crt = os.path.join(tmp, "k.pem"), os.path.join(tmp, "c.pem")
    if issued is None:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", crt, "-days", "2", "-subj", "/CN=alice/OU=laptop", "-addext",
                        "extendedKeyUsage=clientAuth", "-addext", "basicConstraints=CA:FALSE"],
                       check=True, capture_output=True)
    else:
        csr, ext = os.path.join(tmp, "c.csr"), os.path.join(tmp, "ext")
        with open(ext, "w", encoding="ascii") as f:
            f.write("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n"
                    "keyUsage=critical,digitalSignature,nonRepudiation\n"
                    "subjectAltName=URI:countersign:alice/laptop\n"
                    "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                        csr, "-subj", "/CN=alice/OU=laptop"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", csr, "-CA",
                        f"{issued}/ca/intermediate.crt", "-CAkey", f"{issued}/ca/intermediate.key",
                        "-days", "2", "-extfile", ext, "-out", crt, "-set_serial",
                        "0x4000000000000000000000000000000a"], check=True, capture_output=True)
    return ["-key", key, "-cert", crt]


def test_a_stranger_of_another_ca(relay):
    relay.run()
    text = openssl(relay, "-alpn", "countersign/1", *stranger(relay.tmp))
    assert alert(text) == 48  # unknown_ca
    relay.stop()


def test_a_certificate_of_our_ca_that_no_account_has(relay):
    """A stolen CA key alone makes no member: the relay knows its devices."""
    relay.run()
    text = openssl(relay, "-alpn", "countersign/1", *stranger(relay.tmp, issued=relay.dir))
    assert alert(text) == 46  # certificate_unknown
    relay.wait("refused")
    relay.stop()


def test_garbage_ends_the_connection_and_nothing_else(relay):
    relay.run()
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 300, b"\x16\x03\x01\xff\xff" + b"\x01" * 2000,
                 bytes(range(256)) * 64, b"\x15\x03\x03\x00\x02\x02\x28", b"\x17\x03\x03\x00\x00"):
        with connect(relay) as s:
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            assert closed(s)
    assert '"type":"hello"' in openssl(relay, "-alpn", "countersign-join/1", keep=0.5)
    relay.stop()


def test_what_happened_before_login_is_audited_in_folded_rows(relay):
    relay.run()
    for _ in range(3):
        openssl(relay, "-alpn", "countersign/1")
    relay.stop()
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        rows = db.execute("select event, reason, address, count from audit_log "
                          "where reason = 'missing'").fetchall()
    assert sum(r[3] for r in rows) == 3 and len(rows) <= 2  # a minute may end in between
    assert all(r[2] == "127.0.0.1" for r in rows)


# --- time and number ---

def test_slowloris_is_cut(relay):
    relay.run("--handshake-seconds", 1)
    with connect(relay) as silent, connect(relay) as drip:
        drip.sendall(b"\x16\x03\x01")
        begin = time.monotonic()
        assert closed(silent, 10) and closed(drip, 10)
        assert time.monotonic() - begin < 5
    relay.wait("refused", why="handshake took too long")
    relay.stop()


def test_a_guest_who_joins_nothing_is_cut(relay):
    relay.run("--handshake-seconds", 1)
    begin = time.monotonic()
    openssl(relay, "-alpn", "countersign-join/1", keep=20)
    assert time.monotonic() - begin < 10
    relay.stop()


def test_per_source(relay):
    relay.run("--per-source", 3, "--handshakes", 50)
    held = [connect(relay) for _ in range(3)]
    with connect(relay) as fourth:
        assert closed(fourth, 10)
    relay.wait("refused", why="per-source")
    held.pop().close()
    relay.wait("refused", why="hung up")
    with connect(relay) as again:
        assert not closed(again, 1)
    for s in held:
        s.close()
    relay.stop()


def test_max_conns(relay):
    relay.run("--max-conns", 2)
    held = [connect(relay) for _ in range(2)]
    with connect(relay) as third:
        assert closed(third, 10)
    relay.wait("refused", why="max-conns")
    for s in held:
        s.close()
    relay.stop()


def test_early_drop_above_half(relay):
    """Of 200 guests who stop before the first byte some are turned away long before the limit,
    and whoever fills the places keeps none out for sure (H21)."""
    relay.run("--handshakes", 20, "--per-source", 1000, "--max-conns", 1000)
    held = [connect(relay) for _ in range(200)]
    relay.wait("refused", why="early-drop")

    def inside():
        return sum(not select.select([s], [], [], 0)[0] for s in held)
    deadline = time.monotonic() + 20  # the kernel accepts faster than the relay judges
    while inside() > 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 10 <= inside() <= 20  # up to half nobody is turned away
    for s in held:
        s.close()
    relay.stop()


def test_no_descriptors_left(relay):
    """Without descriptors the relay neither spins nor dies, sends away who knocks, and takes guests
    again (F2)."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
    relay.run("--max-conns", 1000, "--handshakes", 1000, "--per-source", 1000,
              "--handshake-seconds", 60, limits=few)
    held = []
    for _ in range(80):
        try:
            held.append(connect(relay, 2))
        except OSError:
            break
    relay.wait("exhausted")
    with connect(relay) as late:
        assert closed(late), "left standing at the door"
    assert "event=refused" not in relay.log(), "nobody's time was over"
    assert idle_cpu(relay.process.pid, 2) < 0.2
    for s in held:
        s.close()
    deadline = time.monotonic() + 20
    while '"type":"hello"' not in openssl(relay, "-alpn", "countersign-join/1", keep=0.5):
        assert time.monotonic() < deadline, relay.log()
    relay.stop()


def test_a_door_that_can_open_nothing_waits(relay):
    """Not even the spare descriptor is to be had again: who knocks waits, and the relay does not
    ask for him all the time (F2)."""
    relay.run()
    pid = relay.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    with connect(relay):
        relay.wait("exhausted")
        assert idle_cpu(pid, 2) < 0.2
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert '"type":"hello"' in openssl(relay, "-alpn", "countersign-join/1", keep=0.5)
    relay.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="a relay hides its descriptors from all but root")
def test_churn_leaves_no_descriptor_behind(relay):
    relay.run("--per-source", 1000, "--handshakes", 1000, "--max-conns", 2000)

    def descriptors():
        return len(os.listdir(f"/proc/{relay.process.pid}/fd"))
    before = descriptors()
    for _ in range(300):
        s = connect(relay)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    deadline = time.monotonic() + 10
    while descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descriptors() <= before
    relay.stop()


def test_a_flood_is_one_line_with_a_count(relay):
    relay.run("--per-source", 1, "--max-conns", 2000)
    held = [connect(relay)]
    for _ in range(300):
        connect(relay).close()
    held[0].close()
    relay.stop()
    told = [line for line in relay.log().splitlines() if "per-source" in line]
    counts = [int(n) for n in re.findall(r"left_out=(\d+)", relay.log())]
    assert len(told) < 60 and counts and sum(counts) + len(told) >= 300


# --- signals ---

def test_sigterm_ends_in_order(relay):
    relay.run()
    with connect(relay):
        begin = time.monotonic()
        relay.stop(signal.SIGTERM)
        assert time.monotonic() - begin < 10
    assert relay.log().rstrip().endswith("event=stopped")
    relay.run().stop(signal.SIGINT)


def test_sigterm_says_goodbye_to_members(relay):
    relay.run()
    alice = relay.member("alice", "--admin")
    follow = alice.start("--json", "--follow", "recv")
    relay.wait("login")
    relay.stop()
    assert relay.log().rstrip().endswith("event=stopped")
    follow.kill()
    follow.communicate()


def test_sighup_drops_nobody_and_reads_anew(relay):
    relay.run()
    alice = relay.member("alice", "--admin")
    alice("room", "create", "lobby")
    relay.wait("gone", conn=relay.wait("login")["conn"])
    follow = alice.start("--json", "--follow", "recv")
    conn = relay.wait("login")["conn"]
    with open(f"{relay.dir}/countersignd.conf", "a", encoding="ascii") as f:
        f.write("max_conns = 1\n")
    relay.kick(signal.SIGHUP)
    relay.wait("reloaded")
    with connect(relay) as second:
        assert closed(second, 10)
    relay.wait("refused", why="max-conns")
    assert follow.poll() is None
    assert not re.search(rf"event=gone conn={conn}\b", relay.log())
    follow.kill()
    follow.communicate()
    relay.wait("gone", conn=conn)
    relay.stop()


def test_sighup_with_a_broken_file_keeps_the_old_one(relay):
    relay.run()
    with open(f"{relay.dir}/countersignd.conf", "a", encoding="ascii") as f:
        f.write("nonsense\n")
    relay.kick(signal.SIGHUP)
    assert "countersignd.conf" in relay.wait("reload-failed")["why"]
    assert '"type":"hello"' in openssl(relay, "-alpn", "countersign-join/1", keep=0.5)
    relay.stop()


def test_sighup_takes_all_or_nothing(relay):
    """What the file says is in order, what it names is not: none of it holds."""
    relay.run()
    follow = relay.member("alice", "--admin").start("--json", "--follow", "recv")
    relay.wait("login")
    with open(f"{relay.dir}/countersignd.conf", "a", encoding="ascii") as f:
        f.write(f"max_conns = 1\nlinks = tls classic\nclassic_key = {relay.dir}/classic.key\n")
    with open(f"{relay.dir}/classic.key", "wb") as f:
        f.write(b"fifteen bytes..")
    os.chmod(f"{relay.dir}/classic.key", 0o600)
    relay.kick(signal.SIGHUP)
    assert "the key in it has to have 16 bytes" in relay.wait("reload-failed")["why"]
    relay.member("bert")
    follow.kill()
    follow.communicate()
    relay.stop()


def test_sighup_takes_a_new_certificate(relay):
    relay.run()

    def leaf():
        text = openssl(relay, "-alpn", "countersign-join/1", "-showcerts", keep=0.5)
        return text.split("-----BEGIN CERTIFICATE-----")[1]
    first = leaf()
    assert leaf() == first
    path = f"{relay.dir}/relay.crt"
    ca = os.path.join(BUILD, "countersign-ca")
    new = os.path.join(relay.tmp, "new")
    done = subprocess.run([ca, "issue", "--dir", f"{relay.dir}/ca", "--key",
                           f"{relay.dir}/relay.key", "--out", new, "relay", "127.0.0.1"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.copy(new + ".crt", path)
    relay.kick(signal.SIGHUP)
    relay.wait("reloaded")
    assert leaf() != first
    relay.stop()


def test_sighup_cuts_whom_the_ca_revoked(relay):
    relay.run()
    alice = relay.member("alice", "--admin")
    alice("room", "create", "lobby")
    relay.wait("gone", conn=relay.wait("login")["conn"])
    follow = alice.start("--json", "--follow", "recv")
    conn = relay.wait("login")["conn"]
    with sqlite3.connect(f"{relay.dir}/relay.db") as db:
        fp = db.execute("select lower(hex(fp)) from devices").fetchone()[0]
    done = subprocess.run([os.path.join(BUILD, "countersign-ca"), "revoke", "--dir",
                           f"{relay.dir}/ca", fp], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert follow.poll() is None
    relay.kick(signal.SIGHUP)
    relay.wait("gone", conn=conn, why="revoked")
    follow.kill()
    follow.communicate()
    assert "revoked" in alice.run("recv").stderr
    relay.stop()


# --- members and the operator beside a running relay ---

def test_invite_and_disable_while_it_runs(relay):
    relay.run()
    alice = relay.member("alice", "--admin")
    relay.member("bob")
    text = relay.admin("user", "list")
    assert re.search(r"alice +active +admin", text) and re.search(r"bob +active", text)
    follow = alice.start("--json", "--follow", "recv")
    conn = relay.wait("login")["conn"]
    begin = time.monotonic()
    relay.admin("user", "disable", "alice")
    relay.wait("gone", conn=conn)
    assert time.monotonic() - begin < 3
    follow.kill()
    follow.communicate()
    assert re.search(r"alice +disabled", relay.admin("user", "list"))
    assert alice.run("room", "list").returncode == 77
    relay.admin("user", "enable", "alice")
    alice("room", "list")
    relay.stop()


def sessions(relay):
    """The lines of `session list`, four to a row, as dicts; oldest first."""
    lines = relay.admin("session", "list").splitlines()
    rows = []
    for first, second, third, last in zip(*(lines[i::4] for i in range(4)), strict=True):
        m = re.fullmatch(r"([0-9a-f]{32})  (\S+) +(\S+Z) to (\S+)  entries (\d+|-)", first)
        n = re.fullmatch(r"  certificates ([0-9a-f]{64}), relay ([0-9a-f]{64})", second)
        assert re.fullmatch(r"  token [0-9a-f]{64}", third), third
        rows.append(dict(zip(("id", "who", "began", "ended", "entries"), m.groups()),
                         fp=n[1], relay=n[2],
                         transcript=re.fullmatch(r"  transcript ([0-9a-f]{64}|-)", last)[1]))
    return rows


def test_every_login_leaves_a_row(relay):
    """Seed 002's table of sessions: who, which certificates, when, how much."""
    relay.run()
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "ops")
    bob("room", "join", "ops")
    alice("send", "ops", "one")
    bob("room", "list")
    rows = sessions(relay)
    assert [r["who"] for r in rows] == ["alice", "bob", "alice", "bob"]
    assert [r["entries"] for r in rows] == ["1", "1", "1", "0"]  # creator and guest sign a join
    assert len({r["id"] for r in rows}) == 4
    assert all(r["began"] < r["ended"] for r in rows)
    for member in alice, bob:
        me = json.loads(member("me", "--json"))
        assert {r["fp"] for r in rows if r["who"] == me["account"]} == {me["sha256"]}
    with open(f"{relay.dir}/relay.crt", encoding="ascii") as f:
        leaf = ssl.PEM_cert_to_DER_cert(f.read().partition("-----END")[0] + ssl.PEM_FOOTER)
    assert {r["relay"] for r in rows} == {hashlib.sha256(leaf).hexdigest()}


def test_sessions_of_an_account_whose_row_is_lost(relay):
    """They are listed all the same, by its id."""
    relay.run()
    for member in relay.member("alice", "--admin"), relay.member("bob"):
        member("room", "list")
    relay.stop()
    with contextlib.closing(sqlite3.connect(f"{relay.dir}/relay.db")) as db:
        (number,), = db.execute("select hex(id) from users where name = 'alice'").fetchall()
        db.execute("update users set name = hex(zeroblob(1500)) where name = 'alice'")
        db.execute("delete from users where name = 'bob'")
        db.commit()
    rows = sessions(relay)
    assert rows[0]["who"] == number.lower() and re.fullmatch("[0-9a-f]{32}", rows[1]["who"])


def test_a_login_that_the_relay_did_not_survive(relay):
    """It has an end, and a number that nobody counted."""
    relay.run()
    alice = relay.member("alice", "--admin")
    alice("room", "create", "ops")
    relay.wait("login")
    follow = alice.start("--json", "--follow", "recv")
    relay.wait("login")
    row = sessions(relay)[1]
    assert (row["who"], row["ended"], row["entries"]) == ("alice", "open", "-")
    relay.kill()
    follow.kill()
    follow.communicate()
    relay.run()
    row = sessions(relay)[1]
    assert row["ended"] > row["began"] and row["entries"] == "-"
    relay.admin("session", "end", status=64)
    relay.stop()


def test_an_invite_works_once(relay):
    relay.run()
    invite = relay.invite()
    Member(relay, "carol").join(invite, "carol")
    p = Member(relay, "dave").run("--name", "dave", "--device", "d", "--no-open", "join", "-",
                                  stdin=invite + "\n")
    assert p.returncode == 77, (p.returncode, p.stderr)
    relay.stop()


def test_nothing_secret_in_log_argv_environment(relay):
    relay.run()
    invite = relay.invite("--admin")
    alice = Member(relay, "alice")
    alice.join(invite, "alice")
    alice("room", "create", "lobby")
    alice("send", "lobby", "MARKER-0b9d1c")
    token = invite.split(".")[-2]
    pid = relay.process.pid
    seen = relay.log().encode()
    for f in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{f}", "rb") as g:
                seen += g.read()
        except PermissionError:
            pass
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        assert re.search(r"Max core file size +0 +0", f.read())
    for secret in (PASSWORD, token, "MARKER-0b9d1c"):
        assert secret.encode() not in seen
    relay.stop()
    for secret in (PASSWORD, token, "MARKER-0b9d1c"):
        assert secret not in relay.log()


def test_messages_survive_kill(relay):
    relay.run()
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "lobby")
    bob("room", "join", "lobby")
    alice("send", "lobby", "before")
    relay.kill()
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    assert '"text":"before"' in bob("--json", "--timeout", "3", "recv")
    relay.stop()


def test_a_new_device_revokes_the_lost_one(relay):
    relay.run()
    old = relay.member("alice", "--admin", device="old")
    follow = old.start("--json", "--follow", "recv")
    conn = relay.wait("login")["conn"]
    new = Member(relay, "alice")
    new.join(relay.invite("--for", "alice"), "alice", "new")
    relay.wait("gone", conn=conn)
    follow.kill()
    follow.communicate()
    assert old.run("room", "list").returncode == 77
    new("room", "list")
    relay.stop()
    text = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", f"{relay.dir}/ca/crl.der",
                           "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    assert text.count("Serial Number:") == 1


def test_kept_devices_stay(relay):
    relay.run()
    old = relay.member("alice", "--admin", device="old")
    new = Member(relay, "alice")
    new.join(relay.invite("--for", "alice", "--keep-devices"), "alice", "new")
    old("room", "list")
    new("room", "list")
    relay.stop()


def test_a_reader_who_does_not_read_is_cut(relay):
    """A stopped client costs the others nothing and is cut at the bound (F1)."""
    relay.run("--out-kib", 2056)
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "lobby")
    bob("room", "join", "lobby")
    for _ in range(2):
        relay.wait("login")
    follow = bob.start("--json", "--follow", "recv")
    conn = relay.wait("login")["conn"]
    follow.send_signal(signal.SIGSTOP)
    # one process says it all: the kernel's buffers are full long before a ping is missed
    alice("--room", "lobby", "plain", stdin=("x" * 65000 + "\n") * 300)
    relay.wait("gone", conn=conn, why="reads too slowly")
    follow.kill()
    follow.communicate()
    relay.stop()


def test_a_leaf_near_its_end_is_renewed(relay):
    path = f"{relay.dir}/relay.crt"
    new = os.path.join(relay.tmp, "new")
    done = subprocess.run([os.path.join(BUILD, "countersign-ca"), "issue", "--dir",
                           f"{relay.dir}/ca", "--key", f"{relay.dir}/relay.key", "--days", "20",
                           "--out", new, "relay", "127.0.0.1"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    shutil.copy(new + ".crt", path)
    assert re.search(r"certificate .*: (19|20) days", relay.admin("doctor"))
    relay.run()
    assert "event=renewed" in relay.log()
    assert re.search(r"certificate .*: (89|90) days", relay.admin("doctor"))
    text = openssl(relay, "-alpn", "countersign-join/1", "-verify_ip", "127.0.0.1", keep=0.5)
    assert "Verify return code: 0 (ok)" in text
    relay.stop()


def test_a_key_of_somebody_else_is_refused(relay):
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                    f"{relay.dir}/relay.key"], check=True)
    os.chmod(f"{relay.dir}/relay.key", 0o600)
    assert "do not belong together" in countersignd("run", "--dir", relay.dir, status=78)


# --- faults below us ---

def strace(relay, *inject):
    """The relay under strace, which fails system calls for it."""
    p = subprocess.Popen(["strace", "-f", "-qq", "-o", f"{relay.tmp}/strace",
                          *[w for i in inject for w in ("-e", i)],
                          "-p", str(relay.process.pid)], stderr=subprocess.PIPE)
    time.sleep(1)
    if p.poll() is not None:
        pytest.skip("strace may not attach here")
    return p


TRACED = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}  # one tracer at a time
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")


@needs_strace
def test_after_a_failed_sync_nothing_is_acknowledged(relay):
    """F4: the store cannot sync: the relay ends with 74, and the message was not acknowledged."""
    relay.run(env=TRACED)
    alice = relay.member("alice", "--admin")
    alice("room", "create", "lobby")
    tracer = strace(relay, "trace=fdatasync,fsync", "inject=fdatasync,fsync:error=EIO")
    p = alice.run("--timeout", "5", "send", "lobby", "lost?")
    assert p.returncode != 0, p.stdout
    assert relay.process.wait(20) == 74, relay.log()
    tracer.wait(20)
    assert "event=fatal" in relay.log()
    relay.run("--listen", f"127.0.0.1:{relay.port}")
    relay.stop()


@needs_strace
def test_accept_without_descriptors_does_not_spin(relay):
    relay.run(env=TRACED)
    tracer = strace(relay, "trace=accept4", "inject=accept4:error=EMFILE")
    with connect(relay):
        relay.wait("exhausted")
        assert idle_cpu(relay.process.pid, 1) < 0.3
    tracer.terminate()
    tracer.wait()
    deadline = time.monotonic() + 20
    while '"type":"hello"' not in openssl(relay, "-alpn", "countersign-join/1", keep=0.5):
        assert time.monotonic() < deadline, relay.log()
    relay.stop()


# --- several threads ---

def test_members_on_different_loops_hear_each_other(relay):
    relay.run("--threads", 3, "--workers", 3)
    members = [relay.member(n, *(["--admin"] if n == "anna" else []))
               for n in ("anna", "bert", "cleo")]
    members[0]("room", "create", "lobby")
    for m in members[1:]:
        m("room", "join", "lobby")
    follows = [m.start("--json", "--follow", "recv") for m in members[1:]]
    loops = {int(relay.wait("login")["conn"]) % 64 for _ in range(5)}
    assert len(loops) > 1
    members[0]("send", "lobby", "to all loops")
    for f in follows:
        for line in f.stdout:
            if '"text":"to all loops"' in line:
                break
        else:
            raise AssertionError(relay.log())
        f.kill()
        f.communicate()
    relay.stop()


# --- doctor ---

def test_doctor(relay):
    text = relay.admin("doctor")
    assert {line.split()[1] for line in text.splitlines()} >= {
        "port", "clock", "permissions", "certificate", "database", "disk"}
    assert "8" in re.search(r"certificate .*: (\d+) days", text).group(1)
    relay.run()
    assert "another port" in relay.admin("doctor") or "ours" in relay.admin("doctor")
    relay.stop()
    with open(f"{relay.dir}/relay.db", "r+b") as f:
        f.seek(0)
        f.write(b"\0" * 4096)
    text = relay.admin("doctor", status=78)
    assert re.search(r"^fail  database", text, re.M)


# --- load under ThreadSanitizer ---

@pytest.mark.tsan
def test_load_on_several_threads(relay):
    """Guests who stop, members who talk, a reload in between, on two loops and three workers."""
    relay.run("--threads", 2, "--workers", 3, "--max-conns", 1000, "--handshakes", 500,
              "--per-source", 500)
    members = [relay.member(n, *(["--admin"] if n == "anna" else []))
               for n in ("anna", "bert", "cleo", "dora")]
    members[0]("room", "create", "lobby")
    for m in members[1:]:
        m("room", "join", "lobby")
    follows = [m.start("--json", "--follow", "recv") for m in members]
    readers = [threading.Thread(target=f.stdout.read, daemon=True) for f in follows]
    for r in readers:
        r.start()
    end = time.monotonic() + 60
    i = 0
    while time.monotonic() < end or i <= 10:    # a reload is among ten, however slow this machine
        s = connect(relay)
        s.sendall(b"\x16\x03\x01\x02\x00")
        members[i % 4].run("send", "lobby", f"message {i}")
        openssl(relay, "-alpn", "countersign/1", keep=0.2)
        s.close()
        if i % 10 == 9:
            relay.kick(signal.SIGHUP)
        i += 1
    for f in follows:
        f.kill()
        f.wait()
    relay.stop()
    assert "WARNING: ThreadSanitizer" not in relay.log()
    assert "event=reloaded" in relay.log()
