"""The full-screen client against a real relay, in a pseudo-terminal."""

import glob
import hashlib
import os
import re
import signal
import subprocess
import termios
import time

import pytest

from relay import CLIENT, PASSWORD, Relay
from screen import ESC, F1, F2, F4, F8, PAGE_UP, UP, Screen, cooked, private


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("screen")) as r:
        r.run()
        yield r
        r.stop()


@pytest.fixture(scope="module")
def people(relay):
    """alice and bob, who share #lab; bob has said one thing."""
    alice, bob = relay.member("alice"), relay.member("bob", device="desk")
    alice("room", "create", "lab")
    bob("room", "join", "lab")
    bob("send", "lab", "hello from bob")
    return alice, bob


@pytest.fixture
def alice(people):
    with Screen(people[0]) as s:
        s.login()
        s.wait("[1:#lab]")
        s.wait("hello from bob")
        yield s


def draft(s):
    return "\n".join(s.rows()[22:])


# --- starting and ending ---

def test_handshake_while_connecting(people):
    with Screen(people[0]) as s:
        s.login()
        raw = s.raw.decode()
        for step in ("ClientHello", "CertificateVerify", "Finished", "Verdict", "Login"):
            assert step in raw
        s.wait("[1:#lab]")
        s.type(F4)
        s.wait("Ready")
        s.wait("the relay's chain ends in it: OK")
        s.wait("step 13 of 13")
        s.type(UP)
        s.type("\r")
        s.wait("relay -> you")
        s.type(ESC)
        s.wait("[1:#lab]")
        assert s.quit() == 0


@pytest.mark.parametrize("how", ["/quit", "SIGTERM", "SIGHUP", "SIGINT"])
def test_terminal_restored(people, how):
    with Screen(people[0]) as s:
        fd = s.child.child_fd
        s.login()
        assert not cooked(fd)
        if how == "/quit":
            s.type("/quit\r")
        else:
            s.child.kill(getattr(signal, how))
        s.until(lambda: b"\x1b[?1049l" in s.raw and cooked(fd), "the terminal as it was")
        assert s.end() == 0
        assert s.raw.rfind(b"\x1b[?2004l") > s.raw.rfind(b"\x1b[?2004h")
        assert s.raw.rfind(b"\x1b[?1049l") > s.raw.rfind(b"\x1b[?1049h")


def test_crash_restores(people):
    with Screen(people[0]) as s:
        fd = s.child.child_fd
        s.login()
        s.child.kill(signal.SIGABRT)
        s.until(lambda: b"\x1b[?1049l" in s.raw and cooked(fd), "the terminal as it was")
        s.end()
        assert s.child.signalstatus == signal.SIGABRT


def test_suspend(people):
    """Under a shell with jobs, as people have it; a wrapper in between stops as well."""
    job = f"sh -c 'true; {CLIENT}; true'"
    with Screen(people[0], program="/bin/bash", argv=["--norc", "--noprofile", "-i"]) as s:
        fd = s.child.child_fd
        s.type(f"PS1='shell> '; {job}\r")
        s.login()
        s.type("half a li\x1a")
        s.until(lambda: s.text().rstrip().endswith("shell>"), "shell")
        assert s.raw.rfind(b"\x1b[?1049l") > s.raw.rfind(b"\x1b[?1049h"), "our screen is left on"
        s.type("clear\r")
        s.until(lambda: s.text().strip() == "shell>", "nothing of ours")
        s.type("stty -a | grep -wo -- '-*echo'; fg\r")
        s.wait("half a li")
        s.until(lambda: not cooked(fd), "the terminal taken again")
        s.type("ne")
        s.until(lambda: "half a line" in draft(s), "the draft")


def test_long_draft(alice):
    """A draft as long as a message moves as fast as a short one; searches take any letter."""
    alice.paste(("x" * 99 + "\n") * 600)
    alice.wait("xxxx")
    began = time.monotonic()
    alice.type(UP + "Q")
    alice.wait("Q")
    assert time.monotonic() - began < 3
    alice.type("\x03")
    alice.type("/w #lab \u00e9\u00e9\r\x03")
    alice.type("\x12w #lab \u00e9")
    alice.wait("`w #lab \u00e9'")


def test_suspend_without_shell(alice):
    """Nobody could bring us back: C-z does nothing."""
    alice.type("half a li\x1ane")
    alice.until(lambda: "half a line" in draft(alice), "the draft")


def test_terminal_shared(people):
    """The terminal of input, output and shell is one open file: it stays blocking."""
    with Screen(people[0]) as s:
        s.login()
        with open(f"/proc/{s.child.pid}/fdinfo/0") as f:
            flags = int(re.search(r"flags:\s*(\d+)", f.read()).group(1), 8)
        assert flags & os.O_NONBLOCK == 0
        assert s.quit() == 0


@pytest.mark.parametrize("key", ["\x03", "\x1c"])
def test_password_prompt_interrupted(people, key):
    with Screen(people[0]) as s:
        fd = s.child.child_fd
        s.wait("Password:")
        assert not termios.tcgetattr(fd)[3] & termios.ECHO
        s.type("half a pass" + key)
        s.until(lambda: cooked(fd), "echo")
        s.end()
        assert s.child.signalstatus in (signal.SIGINT, signal.SIGQUIT)
        assert b"half" not in s.raw


@pytest.mark.parametrize("term, why", [("", "not set"), ("nonsense-terminal", "not known"),
                                       ("paper", "cannot show a full screen")])
def test_term(people, tmp_path, term, why):
    """The last one of them has no cursor to move."""
    with open(tmp_path / "paper.ti", "w", encoding="ascii") as f:
        f.write("paper|a roll of it,\n\tam, cols#80, cr=\\r, ind=\\n,\n")
    subprocess.run(["tic", "-o", tmp_path, tmp_path / "paper.ti"], check=True)
    with Screen(people[0], env={"TERM": term, "TERMINFO": str(tmp_path)}) as s:
        assert s.end() == 78
        out = s.raw.decode().strip()
        assert "TERM" in out and why in out and len(out.splitlines()) == 1
        assert "\x1b" not in out


def test_a_dumb_terminal_gets_lines(people):
    with Screen(people[0], env={"TERM": "dumb"}) as s:
        s.wait("assword")
        s.type(PASSWORD + "\r")
        s.type("\x04")
        assert s.end() == 0
        assert b"\x1b" not in s.raw


def test_no_color(people):
    with Screen(people[0], env={"NO_COLOR": "1"}) as s:
        s.login()
        s.wait("hello from bob")
        s.type(F1)
        s.wait("[help]")
        s.type(ESC + F2)
        s.wait("yours")
        assert s.quit() == 0
        codes = [c for m in re.findall(rb"\x1b\[([0-9;]*)m", s.raw) for c in m.split(b";") if c]
        assert not [c for c in codes if 30 <= int(c) <= 49 or 90 <= int(c) <= 107], codes


def test_wrong_password(people):
    with Screen(people[0]) as s:
        s.wait("Password:")
        s.type("not that one\r")
        assert s.end() == 77
        assert b"not that one" not in s.raw


# --- the line ---

def test_editing(alice):
    alice.type("wrold hello\x01\x1bf\x1bt")        # M-t: transpose words
    alice.until(lambda: "hello wrold" in draft(alice), "transposed words")
    alice.type("\x01\x0b")                         # C-a C-k
    alice.gone("wrold")
    alice.type("日本 cafe\u0301 x\x1bb\x1bb|")
    alice.until(lambda: "|caf" in draft(alice), "M-b over wide characters")
    alice.type("\x03")
    alice.gone("|caf")


def test_newlines(alice):
    alice.type("one\x1b\rtwo\nthree\\\rfour")
    alice.wait("four")
    rows = [r.strip() for r in alice.rows()[-4:]]
    assert rows == ["[#lab] one", "two", "three", "four"]
    alice.type(UP + UP + UP + "-")
    alice.wait("one-")
    alice.type("\x03")
    alice.gone("four")


def test_history(alice):
    alice.type("/names\r")
    alice.wait("alice  online")
    alice.type("\x12name")                         # C-r
    alice.wait("(reverse-i-search)")
    alice.type("\x07\x03" + UP)
    alice.until(lambda: "/names" in draft(alice), "older input")
    alice.type("\x03")
    alice.type("this is a secret text\r")
    alice.wait("  this is a secret text")
    assert alice.quit() == 0
    home = alice.child.env["XDG_STATE_HOME"]
    path = os.path.join(home, "countersign", "history")
    assert private(path)
    with open(path) as f:
        kept = f.read()
    assert "/names" in kept and "secret" not in kept


def test_completion(alice):
    alice.type("/verif\t")
    alice.until(lambda: "/verify" in draft(alice), "the command")
    alice.type("bo\t")
    alice.until(lambda: "/verify bob" in draft(alice), "the name")
    alice.type("\x03")


# --- pastes ---

def test_paste_is_text(alice):
    lines = ["first line", "/quit", "/verify bob 00", "last line"]
    alice.paste("\n".join(lines))
    alice.wait("last line")
    rows = [r.strip() for r in alice.rows()[-4:]]
    assert rows == ["[#lab] first line", *lines[1:]]
    alice.type("\r")
    alice.until(lambda: draft(alice).strip().endswith("[#lab]"), "an empty draft")
    alice.wait("first line")
    shown = [r[19:] for r in alice.rows() if r[19:] in lines]
    assert shown == lines
    assert alice.child.isalive()


def test_paste_never_runs(alice):
    alice.paste("/quit")
    alice.until(lambda: "/quit" in draft(alice), "the draft")
    alice.type("\r")
    alice.wait("pasted, so not run")
    assert alice.child.isalive()
    alice.type("\x03")
    alice.paste("/quit\r")
    alice.type("\r")
    alice.until(lambda: "/quit" in draft(alice), "the draft again")
    assert alice.child.isalive()
    alice.type("\x03")


def test_paste_without_brackets(alice):
    alice.type("alpha\r/quit\rbeta")               # one read: nobody types like that
    alice.wait("beta")
    assert [r.strip() for r in alice.rows()[-3:]] == ["[#lab] alpha", "/quit", "beta"]
    alice.type("\x03")


def test_paste_controls(alice):
    alice.paste("a\x1b]0;pwned\x07b\x1b[31mc\x9bd\x00e")
    alice.until(lambda: "a?]0;pwned?b?[31mc?d?e" in draft(alice), "only what is visible")
    assert b"\x1b]0;pwned" not in alice.raw and "pwned" not in alice.screen.title
    alice.type("\x03")


def test_paste_too_long(alice):
    alice.paste("x" * (1024 * 1024))
    alice.wait("nothing was taken")
    alice.type("still here")
    alice.until(lambda: "still here" in draft(alice), "typing")
    alice.type("\x03")


# --- sizes ---

def fresh(people, rows, cols, settle):
    with Screen(people[0], rows, cols) as s:
        s.login()
        settle(s)
        shown = s.rows()
        s.quit()
        return shown


def still(s, text):
    s.wait(text)
    s.type("\x0c")
    for _ in range(6):
        s.read()


def without_time(rows):
    return [re.sub(r"\d\d:\d\d", "--:--", r) for r in rows]


def test_resize_storm(people):
    people[1]("send", "lab", "the newest line of all")
    want = [fresh(people, 24, 80, lambda s: still(s, "the newest line of all"))
            for _ in range(2)][1]                  # what was new to the first is read by now
    with Screen(people[0], 25, 90) as s:
        s.login()
        s.wait("the newest line of all")
        for rows, cols in [(20, 60), (2, 1), (1, 1), (40, 120), (3, 20), (1, 40), (10, 40), (5, 9),
                           (8, 30), (45, 200), (2, 2), (24, 80)]:
            s.resize(rows, cols)
            for _ in range(3):
                s.read()
            assert s.child.isalive()
            if rows >= 3 and cols >= 30:
                s.until(lambda: "newest" in s.text(), f"the newest line at {rows}x{cols}")
        still(s, "the newest line of all")
        for _ in range(20):
            s.read()
        assert without_time(s.rows()) == without_time(want)
        assert s.quit() == 0


@pytest.mark.parametrize("rows,cols", [(40, 120), (10, 40), (5, 20), (1, 1)])
def test_sizes(people, rows, cols):
    with Screen(people[0], rows, cols) as s:
        s.until(lambda: b"assword" in s.raw, "the question")
        s.type(PASSWORD + "\r")
        s.until(lambda: b"\x1b[?1049h" in s.raw, "the screen")
        if cols >= 40:
            s.wait("hello from bob")
        if cols >= 100:
            s.wait("> 1 #lab")
            s.wait("people")
        assert s.quit() == 0


def test_a_terminal_without_a_size(people):
    """A serial line says that it has no rows and no columns: it is taken for one of 24 and 80."""
    with Screen(people[0]) as s:
        s.child.setwinsize(0, 0)
        s.login()
        s.wait("hello from bob")
        assert s.quit() == 0


# --- what is said ---

def test_conversation(people):
    with Screen(people[0]) as a, Screen(people[1], 40, 120) as b:
        a.login()
        b.login()
        a.type("/msg bob are you there\r")
        a.wait("[2:bob] UNVERIFIED")
        b.wait("2 alice")
        b.type("\x1ba")
        b.wait("alice ? are you there")
        b.wait("[2:alice] UNVERIFIED")
        a.wait("alice + are you there")
        b.type("yes\r")
        a.wait("bob ? yes")
        fp = people[1]("me", "--json")
        fp = re.search(r'"fingerprint":"([0-9a-f]{64})"|([0-9A-Fa-f]{64})', fp)
        fp = fp.group(1) or fp.group(2)
        a.type("/verify bob ")
        a.paste(" ".join(fp[i:i + 4] for i in range(0, 64, 4)).upper())
        a.type("\r")
        a.wait("the same: bob is verified")
        a.wait("[2:bob] VERIFIED")
        a.wait("bob   yes")
        a.type("/verify bob " + "0" * 64 + "\r")
        a.wait("DIFFERENT")
        a.wait("[ALARM 1")
        a.type("/status\r")
        a.wait("alarms, seen now")
        a.type(ESC)
        a.gone("[ALARM")
        assert a.quit() == 0 and b.quit() == 0


def test_inspector(alice):
    alice.type("/inspect bob\r")
    alice.wait("SHA-256 of this device certificate")
    alice.wait("[SHA256]")
    alice.wait("bob / desk")
    alice.type(ESC)
    alice.wait("[1:#lab]")
    alice.type("/me\r")
    alice.wait("what others compare with")
    alice.type(ESC)
    alice.wait("[1:#lab]")
    alice.type("/inspect nobody\r")
    alice.wait("nobody of that name")


def test_commands(alice):
    alice.type("/frobnicate\r")
    alice.wait("no such command")
    alice.type("\x03/j\r")
    alice.wait("usage: /join ROOM")
    alice.type("\x03//slash\r")
    alice.wait("/slash")
    alice.type("/list\r")
    alice.wait("#lab  2 people  joined")
    alice.type("/topic a fine topic\r")
    alice.wait("topic")
    alice.type("/create zoo private\r")
    alice.wait(":#zoo] private, only you")
    alice.type("/w 1\r")
    alice.wait("[1:#lab]")
    alice.type("/w zo\r")
    alice.wait(":#zoo] private, only you")
    alice.type("\x1b1")
    alice.wait("[1:#lab]")


HOSTILE = ["\x1b]0;pwned\x07", "\x1b[2J\x1b[H", "\x9b2J", "\x1bP+q544e\x1b\\", "\u202eevil",
           "\x1b]52;c;aGk=\x07", "bell\x07", "back\x08\x08", "cr\rcr"]


def test_hostile_text(people):
    with Screen(people[0]) as s:
        s.login()
        s.wait("[1:#lab]")
        before = len(s.raw)
        for text in HOSTILE:
            people[1]("send", "lab", "-", stdin=text + " end of it")
        s.until(lambda: s.text().count("end of it") >= len(HOSTILE), "all of them")
        raw = s.raw[before:]
        for bad in (b"\x1b]", b"\x07", b"back\x08", b"\x1bP", b"\xc2\x9b", "\u202e".encode()):
            assert bad not in raw, bad
        s.wait("^[]0;pwned^G")
        s.wait("<U+202E>evil")
        s.wait("back^H^H")  # backspaces alone are ncurses' own way to the left
        s.wait("^[[2J^[[H")
        assert s.screen.title == ""
        assert s.quit() == 0


def test_relay_restart(tmp_path):
    with Relay(tmp_path) as r:
        r.run()
        carol = r.member("carol")
        carol("room", "create", "den")
        with Screen(carol) as s:
            s.login()
            s.wait("[1:#den]")
            s.type("said before\r")
            s.wait("carol >   said before")
            r.kill()
            s.wait("OFFLINE")
            s.type("said while away\r")
            s.wait("carol .   said while away")
            s.wait("[queue 1]")
            r.run("--listen", f"127.0.0.1:{r.port}")
            s.until(lambda: "[TLS 1.3 ok" in s.text() or "retry" in s.text(), "a try")
            s.type("\r")
            s.wait("[TLS 1.3 ok")
            s.wait("carol >   said while away")
            s.gone("[queue 1]")
            assert s.text().count("said while away") == 1
            assert s.quit() == 0
        r.stop()


def test_no_relay(people, tmp_path):
    with Relay(tmp_path) as r:
        r.run()
        dave = r.member("dave")
        r.stop()
        with Screen(dave) as s:
            s.wait("Password:")
            s.type(PASSWORD + "\r")
            s.wait("FAILED")
            s.wait("next:")
            s.wait("OFFLINE")
            assert s.quit() == 0


def test_pages_older(people):
    for i in range(60):
        people[1]("send", "lab", f"line number {i:03}") if i % 20 == 0 else None
    with Screen(people[0]) as s:
        s.login()
        s.wait("line number 040")
        for _ in range(30):
            if "hello from bob" in s.text():
                break
            s.type(PAGE_UP)
            for _ in range(4):
                s.read()
        s.wait("hello from bob")
        s.type("\x1b>")
        s.wait("line number 040")
        assert s.quit() == 0


def test_files_private(people):
    """Nothing outside the XDG directories; no message text in the clear."""
    home = people[0].home
    outside = [n for n in os.listdir(home)
               if n not in ("password",) and not n.endswith(("_home", "_dir"))]
    assert outside == []
    found = subprocess.run(["grep", "-rla", "-e", "hello from bob", "-e", "first line", home],
                           stdout=subprocess.PIPE, text=True).stdout
    assert found == ""
    for path in glob.glob(home + "/**", recursive=True):
        assert os.stat(path).st_mode & 0o077 == 0 or path == home, path


def test_no_terminal(people):
    p = subprocess.run([CLIENT], env=people[0].env | {"TERM": "xterm"}, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode != 0 and "\x1b" not in p.stdout + p.stderr


def test_new_keys(alice):
    """The talk goes on under them; offline there are none to change."""
    alice.type("/rekey\r")
    alice.wait("our key is new from here on")
    alice.type("under another key\r")
    alice.wait("alice >   under another key")
    alice.type("/disconnect\r")
    alice.wait("OFFLINE")
    alice.type("/rekey\r")
    alice.wait("/connect")


def test_transcript(people):
    """The page is judged under the relay's newest checkpoint; a line is shown as it was signed."""
    a, b = people
    for text in ("first of two", "second of two"):
        a("send", "lab", text)
    with Screen(b) as s:
        s.login()
        s.wait("second of two")
        s.type(F8)
        s.wait("  VALID")
        s.wait("ok   ok   second of two")
        s.wait("proves")
        s.wait("/transcript export")
        s.type(UP + "\r")
        s.wait("RSA-PSS with SHA-256, 256 bytes: good")
        s.wait("alice on laptop")
        with open(f"{a.home}/data_home/countersign/default/leaf.der", "rb") as f:
            fp = hashlib.sha256(f.read()).hexdigest().upper()
        assert fp in re.sub(r"\s", "", s.text())
        number = re.search(r"message (\d+) in lab", s.text()).group(1)
        s.type(ESC)  # to where Enter was pressed
        s.wait(f">{number:>5}")
        s.type(ESC)
        s.gone("[transcript")
        s.type("/why 9999\r")
        s.wait("no message of that number is kept here")
        s.type(ESC)
        s.gone("[why]")
        s.type("/w 0\r")
        s.wait("[0:")
        s.type(F8)
        s.wait("nothing is signed in this window")
        assert s.quit() == 0
