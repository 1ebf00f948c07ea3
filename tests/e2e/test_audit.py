"""The audit log: listed, and found out whatever is done to its table. The lines and the tree are
made a second time here, by docs/evidence.md 9."""

import base64
import contextlib
import hashlib
import hmac
import io
import itertools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
import urllib.parse

import pytest

from evidence import both
from relay import CLIENT, RELAY, Relay, countersignd, openssl

WEEK = 7 * 24 * 3600 * 1000


# --- the document, once more ---

def sha(data):
    return hashlib.sha256(data).digest()


def seal(key, address):
    return address if address in ("", "*", "operator") else \
        hmac.new(key, address.encode(), "sha256").hexdigest()


def line_of(row):
    quote = lambda s: urllib.parse.quote(s, safe="-._~")  # noqa: E731
    return "|".join(["countersign-audit-1", str(row["number"]), str(row["time"]),
                     str(60000 if row["folded"] else 0), quote(row["event"]), quote(row["account"]),
                     row["fingerprint"], quote(row["reason"]), str(row["count"]), row["sealed"]])


def leaf(line):
    return sha(b"\0" + line.encode())


def root_of(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\1" + root_of(leaves[:k]) + root_of(leaves[k:]))


@contextlib.contextmanager
def database(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        yield db
        db.commit()


def rows_of(db):
    return [dict(r) for r in db.execute(
        "select * from audit_log where number is not null order by number")]


def relink(db):
    """The nodes as they would be if the rows had always been what they are now."""
    leaves = [leaf(line_of(r)) for r in rows_of(db)]
    for n in range(1, len(leaves) + 1):
        nodes, width = leaves[n - 1], 2
        while n % width == 0:
            nodes += root_of(leaves[n - width:n])
            width *= 2
        db.execute("update audit_log set nodes = ? where number = ?", (nodes, n))


# --- a relay with something to tell ---

def busy(relay):
    alice, bob = relay.member("alice", "--admin"), relay.member("bob")
    alice("room", "create", "ops")
    bob("room", "list")
    openssl(relay, "-alpn", "countersign/1")  # without a certificate
    relay.admin("user", "disable", "bob")
    relay.admin("user", "enable", "bob")
    alice("room", "list")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The directory of a relay that ran and ended in order."""
    with Relay(tmp_path_factory.mktemp("audit")) as relay:
        relay.run()
        busy(relay)
        relay.stop()
        yield relay


@pytest.fixture
def log(made, tmp_path):
    """A copy of it to do something to."""
    path = tmp_path / "relay"
    shutil.copytree(made.dir, path)
    return str(path)


def db_of(log):
    return f"{log}/relay.db"


def audit(log, *args, status=0):
    p = subprocess.run([RELAY, "audit", *args, "--dir", log], capture_output=True, text=True,
                       timeout=120)
    assert p.returncode == status, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout if status == 0 else p.stderr


def listed(log, *args):
    return [json.loads(line) for line in audit(log, "list", "--json", *args).splitlines()]


# --- what is there ---

def test_lines_tree_and_checkpoint_are_those_of_the_document(made, log):
    assert audit(log, "verify").startswith("VALID\n")
    with database(db_of(log)) as db:
        rows = rows_of(db)
        keys = {k["week"]: k["key"] for k in db.execute("select * from audit_keys")}
        text, sig, log_id = db.execute(
            "select text, sig, log from audit_checkpoints order by day desc").fetchone()
        assert db.execute("select count(*) from audit_log where number is null").fetchone()[0] == 0
    assert [r["number"] for r in rows] == list(range(1, len(rows) + 1))
    assert any(r["folded"] for r in rows) and any(r["address"] == "operator" for r in rows)
    for r in rows:
        assert r["sealed"] == seal(keys.get(r["time"] // WEEK), r["address"])
    lines = [line_of(r) for r in rows]
    assert [r["line"] for r in sorted(listed(log), key=lambda r: r["number"])] == lines
    der = subprocess.run(["openssl", "x509", "-in", f"{log}/ca/root.crt", "-outform", "DER"],
                         capture_output=True, check=True).stdout
    first, size, root, time, signer = text.splitlines()
    assert first == "countersign-checkpoint-1/audit/" + sha(der).hex()[:32]
    assert log_id.hex() == first[-32:] and int(size) == len(rows)
    assert base64.b64decode(root) == root_of([leaf(s) for s in lines])
    assert int(time.split()[1]) >= max(r["time"] for r in rows)
    for name, data in (("text", text.encode()), ("sig", sig)):
        with open(f"{log}/{name}", "wb") as f:
            f.write(data)
    key = subprocess.run(["openssl", "x509", "-in", f"{log}/evidence.crt", "-noout", "-pubkey"],
                         capture_output=True, check=True).stdout
    with open(f"{log}/key", "wb") as f:
        f.write(key)
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss",
                           "-sigopt", "rsa_pss_saltlen:32", "-verify", f"{log}/key",
                           "-signature", f"{log}/sig", f"{log}/text"], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_list_by_event_account_and_time(log):
    every = listed(log)
    assert {"accepted", "login", "registration", "disabled", "refused"} <= {r["event"] for r in every}
    assert [r["time"] for r in every] == sorted(r["time"] for r in every)
    assert listed(log, "--event", "login") == [r for r in every if r["event"] == "login"] != []
    assert listed(log, "--account", "ALICE") == [r for r in every if r["account"] == "alice"] != []
    some = every[len(every) // 2]["time"]
    assert listed(log, "--since", some) == [r for r in every if r["time"] >= some]
    assert listed(log, "--until", some) == [r for r in every if r["time"] <= some]
    assert listed(log, "--since", some[:10], "--until", some[:10]) == \
        [r for r in every if r["time"][:10] == some[:10]]
    assert listed(log, "--until", "2020-01-01") == [] == listed(log, "--since", "2999-01-01")
    text = audit(log, "list", "--event", "disabled")
    assert re.fullmatch(r" +\d+  \S+Z  disabled  bob    operator\n", text), text
    assert re.search(r"refused .*127\.0\.0\.1  1 times in a minute", audit(log, "list"))


@pytest.mark.parametrize("args", [("list", "--since", "yesterday"), ("list", "--account", "\x01"),
                                  ("nothing",), ("list", "list"), ("verify", "-x"), ("list", "-o")])
def test_used_wrongly(log, args):
    assert audit(log, *args, status=64).startswith("countersignd: ")


# --- what is done to the table ---

def swap(db):
    """Two rows change places, numbers and all."""
    db.execute("update audit_log set number = -1 where number = 3")
    db.execute("update audit_log set number = 3 where number = 4")
    db.execute("update audit_log set number = 4 where number = -1")


def leave_out(db):
    db.execute("delete from audit_log where number = 3")
    for n in range(4, len(rows_of(db)) + 2):
        db.execute("update audit_log set number = ? where number = ?", (n - 1, n))


def add(db):
    """A row behind the last one, as somebody makes it who does not know of trees."""
    db.execute("insert into audit_log (event, account, fingerprint, reason, address, time, count, "
               "folded, number, sealed, nodes) select event, 'mallory', '', reason, '', time, 1, 0, "
               "number + 1, '', nodes from audit_log order by number desc limit 1")


HARM = {
    "event": ("update audit_log set event = 'logout' where number = 3", "row 3 is not the one"),
    "account": ("update audit_log set account = 'mallory' where number = 2", "row 2 is not"),
    "name emptied": ("update audit_log set account = '' where account = 'alice'", "is not the one"),
    "fingerprint": ("update audit_log set fingerprint = replace(fingerprint, '1', '2')",
                    "is not the one"),
    "reason": ("update audit_log set reason = 'x' where number = 1", "row 1 is not"),
    "time": ("update audit_log set time = time + 1 where number = 6", "row 6 is not"),
    "count": ("update audit_log set count = count + 1 where folded", "is not the one"),
    "folded": ("update audit_log set folded = 1 where number = 3", "row 3 is not"),
    "sealed": ("update audit_log set sealed = replace(sealed, '1', '2')", "has another address"),
    "address": ("update audit_log set address = '192.0.2.1' where address = '127.0.0.1'",
                "has another address"),
    "no address": ("update audit_log set address = '', sealed = ''", "row 1 is not"),
    "no text": ("update audit_log set fingerprint = 'xyz' where number = 4", "stands in no line"),
    "no count": ("update audit_log set count = 0 where number = 4", "stands in no line"),
    "a word too long": ("update audit_log set reason = hex(zeroblob(200)) where number = 4",
                        "stands in no line"),
    "leaf": ("update audit_log set nodes = zeroblob(32) where number = 3", "row 3 is not"),
    "no nodes": ("update audit_log set nodes = x'' where number = 4", "row 4 is not"),
    "half of a node": ("update audit_log set nodes = substr(nodes, 1, 40) where number = 4",
                       "of the rows 1 to 4 one"),
    "inner node": ("update audit_log set nodes = cast(substr(nodes, 1, 32) || zeroblob(64) as blob) "
                   "where number = 4", "of the rows 3 to 4 one"),
    "deleted": ("delete from audit_log where number = 3", "row 3 is missing"),
    "the first": ("delete from audit_log where number = 1", "row 1 is missing"),
    "the last": ("delete from audit_log where number = (select max(number) from audit_log)",
                 "the last ones were deleted, or an older copy"),
    "all": ("delete from audit_log", "row 1 is missing"),
    "opened": ("update audit_log set number = null where number = 3", "row 3 is missing"),
    "no possible number": ("update audit_log set number = -5 where number = "
                           "(select max(number) from audit_log)", "is missing"),
    "swapped": (swap, "row 3 is not"),
    "left out": (leave_out, "row 3 is not"),
    "added": (add, "is not the one"),
    "key": ("delete from audit_keys", "the key of its week is gone"),
    "another key": ("update audit_keys set key = zeroblob(32)", "has another address"),
    "checkpoint": ("update audit_checkpoints set text = replace(text, 'time 1', 'time 2')",
                   "the checkpoint of"),
    "its signature": ("update audit_checkpoints set sig = zeroblob(length(sig))",
                      "its signature is wrong"),
    "its signer": ("delete from signers", "its signer's certificate is not here"),
    "another log's": ("update audit_checkpoints set text = replace(text, '/audit/', '/room/')",
                      "no checkpoint of an audit log"),
}


def done_to(log, what):
    with database(db_of(log)) as db:
        what(db) if callable(what) else db.execute(what)


@pytest.mark.parametrize("harm", HARM)
def test_whatever_is_done_to_the_table_is_found(log, harm):
    what, why = HARM[harm]
    done_to(log, what)
    assert why in audit(log, "verify", status=65)


RELINKED = ["event", "account", "reason", "time", "count", "swapped", "left out"]


@pytest.mark.parametrize("harm", RELINKED)
def test_a_table_that_was_made_whole_again_is_not_the_one_that_was_signed(log, harm):
    """Whoever can compute the tree cannot sign it."""
    done_to(log, HARM[harm][0])
    with database(db_of(log)) as db:
        relink(db)
    why = audit(log, "verify", status=65)
    assert "they do not lead to the checkpoint of" in why or "is missing" in why, why


@pytest.mark.parametrize("harm", RELINKED)
def test_a_relay_does_not_sign_a_second_history(made, log, harm):
    done_to(log, HARM[harm][0])
    with database(db_of(log)) as db:
        relink(db)
    why = countersignd("run", "--listen", "127.0.0.1:0", "--dir", log, status=65)
    assert "not the one that was signed" in why


def test_addresses_that_were_emptied_leave_it_valid(log):
    done_to(log, "update audit_log set address = '' where address <> sealed")
    done_to(log, "delete from audit_keys")
    out = audit(log, "verify")
    assert out.startswith("VALID\n")
    assert not re.search(r"\b127\.0\.0\.1\b", audit(log, "list"))


# --- rollback ---

def checkpoint_file(log, name):
    with database(db_of(log)) as db:
        text, = db.execute("select text from audit_checkpoints order by day desc").fetchone()
    with open(f"{log}/{name}", "w", encoding="ascii") as f:
        f.write(text)
    return f"{log}/{name}"


def test_an_older_copy_put_back_is_found_by_a_checkpoint_from_elsewhere(made, log, tmp_path):
    old = str(tmp_path / "old")
    shutil.copytree(log, old)
    for _ in range(2):
        countersignd("user", "disable", "bob", "--dir", log)
    older = checkpoint_file(log, "older.txt")
    relay_once(log)
    newer = checkpoint_file(log, "newer.txt")
    assert audit(log, "verify", "--checkpoint", older).startswith("VALID\n")
    assert audit(log, "verify", "--checkpoint", newer).startswith("VALID\n")
    assert audit(old, "verify").startswith("VALID\n")  # it knows of nothing else
    assert audit(old, "verify", "--checkpoint", older).startswith("VALID\n")
    assert "an older copy was put back" in audit(old, "verify", "--checkpoint", newer, status=65)
    relay_once(old)  # and goes on as if nothing had been
    countersignd("user", "enable", "bob", "--dir", old)
    countersignd("user", "enable", "bob", "--dir", old)
    relay_once(old)
    assert audit(old, "verify").startswith("VALID\n")
    got = audit(old, "verify", "--checkpoint", newer, status=65)
    assert "they do not lead to the checkpoint" in got or "contradict each other" in got, got


def relay_once(log):
    """A relay starts there and ends: what is new is signed."""
    p = subprocess.Popen([RELAY, "run", "--listen", "127.0.0.1:0", "--dir", log],
                         stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        if "listening" in line:
            break
    p.terminate()
    _, rest = p.communicate(timeout=60)
    assert p.returncode == 0, rest


@pytest.mark.parametrize("harm,why", [
    (lambda s: s.replace("/audit/", "/room/"), "no checkpoint of an audit log"),
    (lambda s: re.sub("/audit/.{32}", "/audit/" + "0" * 32, s), "of another relay's audit log"),
    (lambda s: s + "\n", "more than five lines"),
    (lambda s: s[:-1], "line 5"),
    (lambda s: "", "line 1"),
    (lambda s: s * 10, "a header that we do not write"),
])
def test_a_checkpoint_from_elsewhere_that_is_none_of_this_log(log, harm, why):
    """A wrong file is no word about the log."""
    name = checkpoint_file(log, "mine.txt")
    with open(name, encoding="ascii") as f:
        text = harm(f.read())
    with open(name, "w", encoding="ascii") as f:
        f.write(text)
    got = audit(log, "verify", "--checkpoint", name, status=66)
    assert why in got and "INVALID" not in got, got


def test_a_checkpoint_of_another_tree(log):
    name = checkpoint_file(log, "mine.txt")
    with open(name, encoding="ascii") as f:
        text = re.sub(r"(?m)^(.{43})=$", "A" * 43 + "=", f.read())
    with open(name, "w", encoding="ascii") as f:
        f.write(text)
    got = audit(log, "verify", "--checkpoint", name, status=65)
    assert "checkpoints of" in got and "contradict each other" in got, got


# --- beside a relay, and over a crash ---

def test_beside_a_running_relay(tmp_path):
    with Relay(tmp_path) as relay:
        relay.run()
        busy(relay)
        assert relay.admin("audit", "verify").startswith("VALID\n")
        relay.admin("user", "disable", "alice")
        assert "disabled  alice" in relay.admin("audit", "list")
        assert relay.admin("audit", "verify").startswith("VALID\n")
        relay.kill()
        out = relay.admin("audit", "verify")
        assert out.startswith("VALID\n") and " 1 open" in out, out
        size = None
        for _ in range(5):  # at its end a relay waits for the notary, but not for long
            relay_once(relay.dir)
            out = relay.admin("audit", "verify")
            assert out.startswith("VALID\n") and " 0 open" in out, out
            size = re.search(r"rows +(\d+) in the tree", out)[1]
            if f"the last of {size} rows" in out:
                break
        assert f"the last of {size} rows" in out, out


# --- what a third party is given: both judges, who share no line ---

def exported(log, *args):
    path = f"{log}/bundle.tar"
    audit(log, *args, "-o", path)
    with open(path, "rb") as f:
        data = f.read()
    os.unlink(path)
    return data


def files_of(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        return {m.name: t.extractfile(m).read() for m in t}


def root_file(log):
    return f"{log}/ca/root.crt"


@pytest.fixture
def judged(tmp_path):
    path = tmp_path / "judged"
    path.mkdir()
    return path


@pytest.mark.parametrize("args", [("export",), ("prove", "1"), ("prove", "5"),
                                  ("export", "--first", "3", "--last", "11")])
def test_what_is_exported_convinces_both_judges(log, judged, args):
    data = exported(log, *args)
    assert both(judged, data) == 0  # unanchored
    assert both(judged, data, ca=root_file(log)) == 0
    with database(db_of(log)) as db:
        lines = [line_of(r) for r in rows_of(db)]
    first, last = {1: (1, len(lines)), 2: (int(args[-1] if len(args) == 2 else 0),) * 2,
                   5: (3, 11)}[len(args)]
    files = files_of(data)
    assert files["audit.txt"].decode() == "".join(s + "\n" for s in lines[first - 1:last])
    assert not any(b"127.0.0.1" in files[n] for n in ("audit.txt", "checkpoint.txt"))
    if first == last:
        assert sum(len(files[n]) for n in
                   ("checkpoint.txt", "checkpoint.sig", "audit.txt", "proof.txt")) < 4096


def test_an_export_says_what_it_is(log, tmp_path):
    path = tmp_path / "one.tar"
    path.write_bytes(exported(log, "prove", "2"))
    env = dict(os.environ, HOME=str(tmp_path))
    p = subprocess.run([CLIENT, "verify", "--json", "--ca", root_file(log), path],
                       capture_output=True, text=True, env=env)
    v = json.loads(p.stdout)
    assert (p.returncode, v["valid"], v["kind"], v["first"], v["last"]) == (0, True, "audit", 2, 2)
    with database(db_of(log)) as db:
        assert v["line"] == line_of(rows_of(db)[1])
    p = subprocess.run([CLIENT, "verify", "--ca", root_file(log), path], capture_output=True,
                       text=True, env=env)
    assert f"line        {v['line']}\n" in p.stdout and "audit log   " in p.stdout


def lines_with(change):
    def harm(files):
        lines = files["audit.txt"].decode().splitlines()
        change(lines)
        files["audit.txt"] = "".join(s + "\n" for s in lines).encode()
    return harm


def field(n, value):
    def change(lines):
        parts = lines[4].split("|")
        parts[n] = value(parts[n]) if callable(value) else value
        lines[4] = "|".join(parts)
    return lines_with(change)


def put(name, change):
    def harm(files):
        files[name] = change(files[name])
    return harm


HERE = "audit.txt line 5"
LIES = {
    "number": (field(1, "6"), HERE),
    "number spelled otherwise": (field(1, "05"), HERE),
    "time": (field(2, lambda s: str(int(s) - 1)), "proof.txt"),
    "time of later": (field(2, "9007199254740991"), HERE),
    "time too big": (field(2, "9007199254740992"), HERE),
    "span": (field(3, "60000"), "proof.txt"),
    "span of nobody": (field(3, "1"), HERE),
    "event": (field(4, "logout"), "proof.txt"),
    "no event": (field(4, ""), HERE),
    "another spelling": (field(4, "%6Cogin"), HERE),
    "lower digits": (field(5, "%c3%a9"), HERE),
    "not escaped": (field(5, "a b"), HERE),
    **{f"not escaped: {c}": (field(n, f"a{c}b"), HERE)
       for n, c in zip(itertools.cycle((4, 5, 7)), "!\"#$%&'()*+,/:;<=>?@[\\]^`{}")},
    "half an escape": (field(5, "%C"), HERE),
    "a long name": (field(5, "x" * 129), HERE),
    "a long escaped name": (field(5, "%20" * 128), "proof.txt"),
    "account": (field(5, "mallory"), "proof.txt"),
    "fingerprint": (field(6, "0" * 64), "proof.txt"),
    "short fingerprint": (field(6, "0" * 62), HERE),
    "reason": (field(7, "x"), "proof.txt"),
    "count": (field(8, "9"), "proof.txt"),
    "no count": (field(8, "0"), HERE),
    "address": (field(9, "f" * 64), "proof.txt"),
    "address in clear": (field(9, "127.0.0.1"), HERE),
    "a field more": (field(9, "*|"), HERE),
    "word": (field(0, "countersign-audit-2"), HERE),
    "a control": (field(5, "\x01"), HERE),
    "a line less": (lines_with(lambda s: s.pop()), "proof.txt"),
    "a line out": (lines_with(lambda s: s.pop(4)), HERE),
    "a line twice": (lines_with(lambda s: s.insert(4, s[4])), "audit.txt line 6"),
    "an empty line": (lines_with(lambda s: s.insert(4, "")), HERE),
    "no line": (lines_with(lambda s: s.clear()), "audit.txt line 1"),
    "a full stop": (lines_with(lambda s: s.insert(4, ".")), HERE),
    "cut": (put("audit.txt", lambda b: b[:-1]), None),
    "nul": (put("audit.txt", lambda b: b.replace(b"|", b"\0", 1)), "audit.txt line 1"),
    "proof": (put("proof.txt", lambda b: b + b"A" * 43 + b"=\n"), "proof.txt"),
    "size": (put("checkpoint.txt", lambda b: b.replace(b"\n", b"\n1", 1)), "checkpoint.sig"),
    "a room's": (put("checkpoint.txt", lambda b: b.replace(b"/audit/", b"/room/")),
                 "checkpoint.txt"),
    "another relay's": (put("checkpoint.txt", lambda b: re.sub(b"/audit/.{32}",
                                                               b"/audit/" + b"0" * 32, b)),
                        "checkpoint.txt"),
    "signature": (put("checkpoint.sig", lambda b: b[:-1] + bytes([b[-1] ^ 1])), "checkpoint.sig"),
}


@pytest.mark.parametrize("lie", LIES)
def test_both_judges_refuse_it_in_the_same_place(log, judged, lie):
    files = files_of(exported(log, "export"))
    harm, place = LIES[lie]
    harm(files)
    got = both(judged, files, ca=root_file(log))
    assert got != 0 and got.split(":")[0] == (place or got.split(":")[0]), got


def test_an_audit_log_passes_for_no_room(log, judged):
    files = files_of(exported(log, "export"))
    names = {"audit.txt": "transcript.txt"}
    files = {names.get(n, n): d for n, d in files.items()}
    at = list(files).index("checkpoint.sig") + 1
    files = dict([*list(files.items())[:at], ("checkpoint.tsr", b""), *list(files.items())[at:]])
    assert both(judged, files).split(":")[0] == "checkpoint.txt"


def test_an_export_is_a_checkpoint_from_elsewhere(log, tmp_path):
    for args in ("export",), ("prove", "3"):
        path = tmp_path / f"{args[0]}.tar"
        path.write_bytes(exported(log, *args))
        assert audit(log, "verify", "--checkpoint", str(path)).startswith("VALID\n")
    done_to(log, "delete from audit_log where number > 4")
    done_to(log, "delete from audit_checkpoints")
    assert audit(log, "verify").startswith("VALID\n")
    assert "an older copy was put back" in audit(log, "verify", "--checkpoint", str(path), status=65)
    path.write_bytes(path.read_bytes()[:-1])
    assert "prove.tar" in audit(log, "verify", "--checkpoint", str(path), status=66)


def test_what_cannot_be_exported(log):
    out = f"{log}/x.tar"
    assert "covers the rows 1 to" in audit(log, "prove", "999", "-o", out, status=66)
    assert "-o FILE" in audit(log, "export", status=64)
    assert "1 or more" in audit(log, "prove", "0", "-o", out, status=64)
    assert "usage" in audit(log, "prove", "-o", out, status=64)
    audit(log, "prove", "1", "-o", out)
    with open(out, "rb") as f:
        before = f.read()
    assert out in audit(log, "prove", "2", "-o", out, status=73)
    with open(out, "rb") as f:
        assert f.read() == before
    done_to(log, HARM["event"][0])
    assert "audit verify" in audit(log, "export", "-o", f"{log}/y.tar", status=65)
    assert not os.path.exists(f"{log}/y.tar")
    done_to(log, "delete from audit_checkpoints")
    assert "no checkpoint" in audit(log, "export", "-o", f"{log}/y.tar", status=66)
