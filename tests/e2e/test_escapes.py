"""P6, P8: what a member says reaches no terminal as anything but visible characters. A corpus of
escape sequences and lookalikes of our own; judged are the bytes that the real client writes, in a
pseudo-terminal or not."""

import json
import re
import subprocess

import pytest

from relay import CLIENT, SECONDS, Relay
from screen import Screen
from wire import Puppet, say

# 4242 marks a sequence of ours: the client's own cursor movements and colours never say it.
CORPUS = {
    "csi": "\x1b[4242A\x1b[4242;4242H\x1b[4242J\x1b[38;5;4242m\x1b[?4242h\x1b[4242n\x1b[4242$p",
    "c1 as UTF-8": "\x9b4242A\x9d0;owned\x9c\x90$qm\x9c\x9fapc\x9c\x85\x84\x8d\x80",
    "osc 0": "\x1b]0;owned\x07", "osc 2": "\x1b]2;owned\x1b\\", "osc 8":
    "\x1b]8;;http://example.org/\x1b\\here\x1b]8;;\x1b\\", "osc 52": "\x1b]52;c;b3duZWQ=\x07",
    "osc 4, 10, 1337": "\x1b]4;1;?\x07\x1b]10;?\x07\x1b]1337;File=:AA==\x07",
    "dcs": "\x1bPq#0;2;0;0;0~\x1b\\", "decrqss": "\x1bP$qm\x1b\\", "xtgettcap": "\x1bP+q544e\x1b\\",
    "apc, pm, sos": "\x1b_Gowned\x1b\\\x1b^owned\x1b\\\x1bXowned\x1b\\",
    "reset, charset": "\x1bc\x1b#8\x1b(0\x0e\x0f\x1bZ", "kept open": "\x1b[", "only ESC": "\x1b",
    "bell": "\x07" * 8, "backspace": "user" + "\x08" * 8 + "root", "delete": "\x7f" * 8,
    "cr": "said this\rmeant that", "vt, ff": "a\x0b\x0b\x0c\x0cb", "tab": "a\tb",
    "xon": "\x11\x13\x04\x1a\x1c\x05",
    "bidi": "\u202egpj.exe\u202c \u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "zero width": "o\u200bw\u200cn\u200de\u2060d\ufeff", "tags": "a\U000e0001\U000e0041\U000e007fb",
    "annotation": "\ufff9a\ufffab\ufffb", "separators": "a\u2028b\u2029c", "marks":
    "e" + "\u0301" * 10000, "marks on nothing": "\u0489" * 10000, "wide": "\uff21\u3042" * 50,
}
# Lines that pretend to be somebody else's words, and what log readers stumble over.
LINES = [
    "*** bob left #lab", "-!- bob is now an owner", "12:00 bob + I agree", "[ALARM 1] none",
    "a\n*** bob left", "a\ntime=2026-01-01T00:00:00.000Z event=login account=root",
    "a\r\nevent=login account=root", 'x" event=login y="', "x\\", "event=login", "a=b c=d", "%n%s%x%p",
    "%00", "$(reboot)", "`reboot`", "; reboot", "| reboot", "${jndi:ldap://example.org/a}",
    "<script>alert(1)</script>", "' OR '1'='1", "../../etc/passwd", "\u2603", "null", "NaN",
]
INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
                       "\U000e0000-\U000e007f]")
# What ncurses and readline say to a terminal of type xterm-256color.
OWN = re.compile(r"\x1b\[[<=>?]?[0-9;]*[@-Z`-~]|\x1b[()][AB0]|\x1b[78=>M]")


def judge(raw, own):
    """No byte of the corpus arrived. own: the program draws on a terminal, and says so itself."""
    text = raw.decode("utf-8")  # whatever was no UTF-8 is no more
    assert "4242" not in "".join(OWN.findall(text)), "a sequence of the corpus is obeyed"
    assert "\x1b]" not in text and "\x07" not in text and "\x08" * 5 not in text
    assert "this\rmeant" not in text
    if own:
        text = OWN.sub("", text)
    bad = re.search("[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]" if own else
                    "[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert not bad, (bad, text[max(bad.start() - 40, 0):bad.end() + 40])
    hidden = INVISIBLE.search(text)
    assert not hidden, (hidden, text[max(hidden.start() - 40, 0):hidden.end() + 40])
    assert not re.search("[\u0300-\u036f\u0489]{5}", text), "marks without end"


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("escapes")) as r:
        r.run("--per-source", 100)
        yield r
        r.stop()


@pytest.fixture(scope="module")
def people(relay):
    """bob reads in #lab, where mallory says what she likes."""
    bob, mallory = relay.member("bob"), Puppet(relay, "mallory").join().login()
    room = mallory.enter("room-create", name="lab", private=False, history="all")
    bob("room", "join", "lab")
    for text in (*CORPUS.values(), "\n".join(LINES), "this is the end"):
        got = mallory.say(room, say(text))
        assert got["type"] == "numbered", (got, text)
    return bob, mallory, room


def written(member, *argv, stdin=b""):
    p = subprocess.run([CLIENT, "--password-file", member.password, *argv], input=stdin,
                       env=member.env, capture_output=True, timeout=SECONDS, check=False)
    return p.stdout + p.stderr


# --- what a member says ---

def test_bodies_on_a_screen(people):
    with Screen(people[0], rows=60, cols=200) as s:
        s.login()
        s.wait("[1:#lab]")
        s.wait("this is the end")
        for _ in range(12):  # all of it is drawn once
            s.type("\x1b[5~")
            s.read(0.2)
        s.until(lambda: "^[[4242A" in s.text() or "^[[4242A" in s.raw.decode(), "the first of them")
        assert s.screen.title == "" and s.quit() == 0
        judge(s.raw, own=True)


def test_bodies_in_lines(people):
    """recv and plain: one message cannot pretend to be two, and programs get the exact text."""
    since = ("--since", "k1-0")
    raw = written(people[0], *since, "recv")
    judge(raw, own=False)
    assert b"^[[4242A" in raw and b"<9B>4242A" in raw and b"<U+202E>gpj" in raw
    assert not re.search(rb"^(\*\*\*|time=|-!-)", raw, re.M), "a line of others stands on its own"
    judge(written(people[0], "--room", "lab", "plain"), own=False)
    told = [json.loads(row) for row in written(people[0], "--json", *since, "recv").splitlines()]
    assert [m["text"] for m in told if "text" in m][:len(CORPUS)] == list(CORPUS.values())


def test_lines_on_a_terminal(people):
    """The same when the output of recv is a terminal."""
    argv = ["--password-file", people[0].password, "--since", "k1-0", "recv"]
    with Screen(people[0], rows=60, cols=200, argv=argv) as s:
        assert s.end() == 0
        judge(s.raw, own=True)
        assert b"^[[4242A" in s.raw
