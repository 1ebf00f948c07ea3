"""`countersign handshake` without a relay: both ends of every link in its own process. And the
drawings of a handshake, with and without one."""

import json
import os
import subprocess
import xml.etree.ElementTree as ET

import pytest

from relay import BUILD, CLIENT, Relay

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LINKS = ("tls", "ecdhe", "cianr", "sovereign", "classic")


def shake(home, *argv):
    p = subprocess.run([CLIENT, "handshake", *argv], text=True, timeout=60, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE,
                       env={"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    return p.returncode, p.stdout, p.stderr


def links(home):
    code, out, err = shake(home, "--link", "all", "--json")
    assert (code, err) == (0, "")
    return {r["link"]: r for r in map(json.loads, out.splitlines())}


def test_the_table(tmp_path):
    """Steps and round trips as the documents have them; an empty home is enough, and stays so."""
    rows = links(tmp_path)
    assert tuple(rows) == LINKS
    assert [rows[l]["steps"] for l in LINKS] == [11, 6, 11, 13, 4]
    assert [rows[l]["round-trips"] for l in LINKS[:3]] == [2, 2, 4]
    assert 3 <= rows["sovereign"]["round-trips"] <= 5
    for link, row in rows.items():
        assert row["bytes-sent"] > 0 and row["bytes-received"] > 0 and row["us"] > 0, link
        assert row["relay-seen-by"] and row["client-seen-by"], link
    assert [l for l in LINKS if rows[l]["key-per-message"]] == ["sovereign"]
    for what in "mutual", "forward-secret", "replay-safe":
        assert [l for l in LINKS if not rows[l][what]] == ["classic"]
    code, out, _ = shake(tmp_path, "--link", "all")
    assert code == 0
    for link in rows:
        assert any(line.startswith(link + " ") for line in out.splitlines())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("link,shown,proven", [
    ("cianr", ("hello", "server_hello"), ("dh_server", "register or login")),
    ("sovereign", ("ServerCertSend", "ClientCertSend"), ("ServerAuth", "ClientAuth"))])
def test_a_certificate_that_is_shown_is_no_signature(tmp_path, link, shown, proven):
    code, out, err = shake(tmp_path, "--local", "--link", link, "--json")
    assert (code, err) == (0, "")
    said = {s["name"]: s["detail"] for s in map(json.loads, out.splitlines())}
    assert all(said[name].startswith("certificate of CN=") for name in shown)
    assert all("RSA-PSS by CN=" in said[name] or "ECDSA P-256 by CN=" in said[name]
               for name in proven)


@pytest.mark.parametrize("link", LINKS)
def test_one_link_step_by_step(tmp_path, link):
    """Every step once, in order, and the bytes of the table are those of the steps."""
    code, out, err = shake(tmp_path, "--local", "--link", link, "--json")
    steps = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "") and all(s["event"] == "step" for s in steps)
    assert [s["number"] for s in steps] == list(range(1, len(steps) + 1))
    assert not any(s["waiting"] for s in steps)
    code, out, _ = shake(tmp_path, "--local", "--link", link, "--mermaid")
    assert code == 0
    arrows = [l for l in out.splitlines() if l.startswith(("    C->>R", "    R->>C", "    Note"))]
    assert len(arrows) == len(steps)
    writes = {"out": "C->>R", "in": "R->>C", "none": "Note over C,R"}
    if link != "sovereign":  # whose order is another each time
        for step, arrow in zip(steps, arrows):
            assert arrow.startswith(f"    {writes[step['direction']]}: {step['number']} {step['name']}")


def test_a_drawing_is_well_formed(tmp_path):
    path = tmp_path / "shake.svg"
    code, out, err = shake(tmp_path, "--local", "--link", "ecdhe", "--svg", str(path))
    assert (code, err) == (0, "") and "Server Finished" in out
    root = ET.parse(path).getroot()
    text = " ".join(root.itertext())
    assert root.tag.endswith("svg") and "6 Server Finished, " in text and " B, at " in text
    code, _, err = shake(tmp_path, "--local", "--svg", str(tmp_path / "none" / "x.svg"))
    assert code != 0 and "none" in err


def test_a_handshake_with_a_relay_is_drawn_too(tmp_path):
    with Relay(tmp_path / "relay") as relay:
        relay.run()
        code, out, err = shake(tmp_path, f"127.0.0.1:{relay.port}", "--mermaid", "--svg",
                               str(tmp_path / "shake.svg"))
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0] == "sequenceDiagram" and "    C->>R: 1 ClientHello" in out
        assert all(l.startswith("    ") for l in lines[1:])
        assert "Verdict" in " ".join(ET.parse(tmp_path / "shake.svg").getroot().itertext())


def test_over_the_network_the_same_steps(tmp_path):
    """What a relay shows is what the table counts: each link's own steps, under the same names."""
    def names(*argv):
        code, out, err = shake(tmp_path, *argv, "--json")
        assert (code, err) == (0, "")
        rows = map(json.loads, out.splitlines())
        return [(r["name"], r["direction"], r["proves"]) for r in rows
                if r["event"] == "step" and not r["waiting"]]
    with Relay(tmp_path / "relay") as relay:
        with open(os.path.join(relay.dir, "countersignd.conf"), "a", encoding="ascii") as f:
            f.write("links = tls ecdhe cianr sovereign\n")
        relay.run()
        for link in "ecdhe", "cianr", "sovereign":
            there = names(f"127.0.0.1:{relay.port}", "--link", link)
            here = names("--local", "--link", link)
            assert sorted(there) == sorted(here), link
            assert there[:6] == here[:6] and there[10:] == here[10:], link
        tls = names(f"127.0.0.1:{relay.port}", "--link", "tls")  # a newcomer shows no certificate
        assert set(tls) < set(names("--local", "--link", "tls"))


@pytest.mark.parametrize("argv", [("--link", "all", "127.0.0.1:1"), ("--local", "127.0.0.1:1"),
                                  ("--link", "all", "--svg", "x.svg"), ("--link", "none"),
                                  ("--link", "all", "--follow")])
def test_used_wrongly(tmp_path, argv):
    code, out, err = shake(tmp_path, *argv)
    assert code == 64 and out == "" and err


def test_all_is_no_link_to_join_by(tmp_path):
    p = subprocess.run([CLIENT, "me", "--link", "all"], text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"HOME": str(tmp_path)})
    assert p.returncode == 64 and "--link all belongs to: handshake" in p.stderr


def test_the_documents_show_what_it_prints():
    """The diagrams and the table of docs/links.md."""
    p = subprocess.run([f"{ROOT}/tests/tools/diagrams", BUILD], cwd=ROOT, text=True, timeout=120,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode == 0, p.stdout
