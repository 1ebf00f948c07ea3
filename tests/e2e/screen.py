"""The full-screen client in a pty, seen through pyte: what a person would see, and the raw bytes.

    with Screen(member, rows=24, cols=80) as s:
        s.login()
        s.type("hello\\r")
        s.wait("hello")
"""

import os
import signal
import termios
import time

import pexpect
import pyte

from relay import CLIENT, PASSWORD, SECONDS

UP, DOWN, ESC, PAGE_UP = "\x1b[A", "\x1b[B", "\x1b", "\x1b[5~"
F1, F2, F4, F8 = "\x1bOP", "\x1bOQ", "\x1bOS", "\x1b[19~"


class Terminal(pyte.Screen):
    """pyte's screen, and what xterm has besides: scrolling a region (SU, SD)."""

    def _lines(self, change, count):
        x, y = self.cursor.x, self.cursor.y
        self.cursor.y = self.margins.top if self.margins else 0
        change(count)
        self.cursor.x, self.cursor.y = x, y

    def scroll_up(self, count=1):
        self._lines(self.delete_lines, count)

    def scroll_down(self, count=1):
        self._lines(self.insert_lines, count)


class Stream(pyte.ByteStream):
    csi = pyte.ByteStream.csi | {"S": "scroll_up", "T": "scroll_down"}


def like_a_terminal():
    """Whoever runs the tests in the background has left SIGINT and SIGQUIT ignored; people's
    terminals have not."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_DFL)


class Screen:
    def __init__(self, member, rows=24, cols=80, env=None, argv=(), program=CLIENT):
        full = {k: v for k, v in member.env.items() if k != "NO_COLOR"}
        full |= {"TERM": "xterm-256color", "INPUTRC": "/dev/null"} | (env or {})
        self.raw = b""
        self.screen = Terminal(cols, rows)
        self.stream = Stream(self.screen)
        self.child = pexpect.spawn(program, list(argv), env={k: v for k, v in full.items() if v},
                                   dimensions=(rows, cols), timeout=SECONDS,
                                   preexec_fn=like_a_terminal)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
        self.child.close()

    # --- what is shown ---

    def read(self, seconds=0.05):
        """What came within that time; False at the end of the program."""
        try:
            data = self.child.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self.stream.feed(data)
        return True

    def rows(self):
        return [row.rstrip() for row in self.screen.display]

    def text(self):
        return "\n".join(self.rows())

    def until(self, check, what):
        end = time.monotonic() + SECONDS
        while not check():
            if not (self.read() or check()) or time.monotonic() > end:
                raise AssertionError(f"no {what} on:\n{self.text()}\nraw end {self.raw[-300:]!r}")

    def wait(self, text):
        self.until(lambda: text in self.text(), repr(text))

    def gone(self, text):
        self.until(lambda: text not in self.text(), f"end of {text!r}")

    # --- what is done ---

    def type(self, text):
        self.child.send(text)

    def paste(self, text):
        self.child.send("\x1b[200~" + text + "\x1b[201~")

    def login(self):
        self.wait("Password:")
        self.type(PASSWORD + "\r")
        self.wait("[TLS 1.3 ok")

    def resize(self, rows, cols):
        self.screen.resize(rows, cols)
        self.child.setwinsize(rows, cols)

    def quit(self):
        """/quit, and how it ended: the exit status."""
        self.type("/quit\r")
        return self.end()

    def end(self):
        """Reads what is left; the exit status."""
        end = time.monotonic() + SECONDS
        while self.read():
            if time.monotonic() > end:
                raise AssertionError(f"it does not end:\n{self.text()}")
        self.child.wait()
        return self.child.exitstatus


def cooked(fd):
    """Is the terminal as a shell wants it: lines, echo, signals?"""
    i, o, _, l = termios.tcgetattr(fd)[:4]
    return bool(l & termios.ICANON and l & termios.ECHO and l & termios.ISIG and
                i & termios.ICRNL and o & termios.OPOST)


def private(path):
    return oct(os.stat(path).st_mode & 0o777) == "0o600"
