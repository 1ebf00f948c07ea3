"""What others may try to put on a terminal, into a log or a table: a corpus of our own of escape
sequences, lookalikes and lines that pretend to be somebody else's, and the judge of what arrived."""

import re

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
MIXED = "\x1b[4242A\x9b4242A\x1b]0;o\x07\u202ex\u200b\ry"  # some of each, for what must be short
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


def clip(text, size):
    """What of it fits that many bytes, in whole characters."""
    return text.encode()[:size].decode("utf-8", "ignore")
