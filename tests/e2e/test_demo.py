"""`make demo` where there is no terminal: the README's first command does what it says."""
import os
import subprocess

from relay import BUILD, SECONDS

DEMO = os.path.join(os.path.dirname(__file__), "..", "tools", "demo")


def test_two_talk_and_nothing_stays(tmp_path):
    p = subprocess.run([DEMO, BUILD], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=4 * SECONDS, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert p.returncode == 0, p.stdout + p.stderr
    assert "established: TLS 1.3" in p.stdout
    assert "hello from the demo  [signature good]" in p.stdout
    assert os.listdir(tmp_path) == []
