"""What tests of sessions and their receipts share: somebody who listens, what he leaves, and
the two judges of it."""

import json
import os
import re
import signal
import stat
import subprocess

from evidence import ROOT
from relay import CLIENT


class Listener:
    """`recv --follow`, until it is told to stop."""

    def __init__(self, member, *options):
        self.member = member
        self.process = member.start("recv", "--json", "--follow", *options)

    def until(self, text):
        for line in self.process.stdout:
            row = json.loads(line)
            if row.get("text") == text:
                return
        raise AssertionError(f"{text!r} never came")

    def ready(self, other):
        """It follows the room once a message of somebody else has come."""
        other("send", "ops", "are you there")
        self.until("are you there")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, (out, err)
        return err


def left(member):
    """(flat, receipt) of each session and room, oldest first."""
    me = json.loads(member("me", "--json"))
    folder = os.path.join(me["directory"], "transcripts")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for n in names:
        assert re.fullmatch(r"transcript_\d{8}_\d{6}(_\d+)?\.(txt|receipt)", n), n
        assert stat.S_IMODE(os.stat(os.path.join(folder, n)).st_mode) == 0o600
    flats = [n for n in names if n.endswith(".txt")]
    assert sorted(n[:-4] + ".receipt" for n in flats) == [n for n in names if n.endswith(".receipt")]
    return [(os.path.join(folder, n), os.path.join(folder, n[:-4] + ".receipt")) for n in flats]


def ours(path, *more, status=0):
    p = subprocess.run([CLIENT, "verify", "--json", *more, path], text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == status, (p.stdout, p.stderr)
    return json.loads(p.stdout)


def script(path, root):
    p = subprocess.run(["/bin/sh", f"{ROOT}/docs/verify.sh", path, root], text=True, timeout=120,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stderr == "", p.stderr
    return p.returncode, p.stdout.splitlines()


def root_of(member):
    return os.path.join(json.loads(member("me", "--json"))["directory"], "root.der")


def session(bob, alice, *said):
    listening = Listener(bob)
    listening.ready(alice)
    for text in said:
        alice("send", "ops", text)
    listening.until(said[-1])
    listening.stop()
