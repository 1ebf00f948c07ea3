"""F13: what lies where a file of ours belongs. A reason, no waiting, and nothing is written through
a name that leads elsewhere."""

import json
import os
import shutil
import subprocess

import pytest

from relay import BUILD, RELAY, Relay

CA = os.path.join(BUILD, "countersign-ca")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
OTHER = 12345  # a user that is not us


@pytest.fixture
def relay(tmp_path):
    with Relay(tmp_path) as r:
        yield r


def put(kind, path):
    """Something of this kind stands there instead."""
    if os.path.lexists(path):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    if kind == "FIFO":
        os.mkfifo(path, 0o600)
    elif kind == "directory":
        os.mkdir(path, 0o700)
    elif kind == "device":
        os.symlink("/dev/zero", path)
    else:
        os.symlink(path + ".elsewhere", path)


def said(p, *status):
    assert p.returncode in status, (p.returncode, p.stdout, p.stderr)
    assert p.stderr.startswith("countersign") and len(p.stderr.splitlines()) <= 3, p.stderr
    return p.stderr


def relay_run(relay, *argv):
    return subprocess.run([RELAY, *argv, "--dir", relay.dir], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)


@pytest.mark.parametrize("kind", ["FIFO", "directory", "device"])
@pytest.mark.parametrize("name", ["countersignd.conf", "relay.key", "relay.crt", "seal.key",
                                  "relay.db", "ca/intermediate.key", "ca/root.crt"])
def test_relay_reads_regular_files_only(relay, name, kind):
    put(kind, f"{relay.dir}/{name}")
    text = said(relay_run(relay, "run"), 65, 66, 74, 78)
    assert name.rpartition("/")[2] in text


@pytest.mark.parametrize("name", ["relay.key", "seal.key", "ca/intermediate.key"])
def test_relay_follows_no_link_to_a_secret(relay, name):
    path = f"{relay.dir}/{name}"
    os.rename(path, path + ".elsewhere")
    os.symlink(path + ".elsewhere", path)
    assert "symbolic link" in said(relay_run(relay, "run"), 78)


@as_root
@pytest.mark.parametrize("name", ["relay.key", "seal.key", "ca/intermediate.key"])
def test_relay_takes_no_key_of_another_user(relay, name):
    os.chown(f"{relay.dir}/{name}", OTHER, -1)
    assert f"belongs to user {OTHER}" in said(relay_run(relay, "run"), 78)


def test_relay_refuses_a_directory_that_others_write_to(relay):
    os.chmod(f"{relay.dir}/ca", 0o777)
    assert "others may write" in said(relay_run(relay, "run"), 78)


@pytest.mark.parametrize("name", ["", "countersignd.conf", "relay.key", "relay.db", "seal.key"])
def test_init_writes_through_no_link(tmp_path, name):
    """init stops and leaves what it found; nothing appears where the link leads."""
    target, elsewhere = tmp_path / "new", tmp_path / "elsewhere"
    if name == "":
        os.symlink(elsewhere, target)
    else:
        os.mkdir(target, 0o700)
        os.symlink(elsewhere, target / name)
    p = subprocess.run([RELAY, "init", "127.0.0.1", "--dir", target], capture_output=True,
                       text=True, timeout=120, check=False)
    said(p, 66, 73, 78)
    assert not elsewhere.exists()


@pytest.mark.parametrize("kind", ["FIFO", "directory", "device", "link"])
@pytest.mark.parametrize("name", ["key", "account", "leaf.der", "store.db"])
def test_client_reads_regular_files_only(relay, name, kind):
    relay.run()
    alice = relay.member("alice", "--admin")
    alice("room", "create", "ops")
    where = json.loads(alice("me", "--json"))["directory"]
    put(kind, f"{where}/{name}")
    text = said(alice.run("room", "list"), 65, 66, 73, 74, 77, 78)
    assert name in text
    assert not os.path.exists(f"{where}/{name}.elsewhere")
    relay.stop()


def test_client_takes_no_password_file_that_others_read(relay):
    relay.run()
    alice = relay.member("alice", "--admin")
    os.chmod(alice.password, 0o644)
    assert "chmod 600" in said(alice.run("room", "list"), 77, 78)
    relay.stop()


def ca(*argv):
    return subprocess.run([CA, *argv], capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)


def test_ca_writes_through_no_link(relay, tmp_path):
    """issue: neither key nor certificate."""
    out = tmp_path / "out"
    os.mkdir(out, 0o700)
    for suffix in (".key", ".crt"):
        os.symlink(tmp_path / "elsewhere", f"{out}/x{suffix}")
        p = ca("issue", "--dir", f"{relay.dir}/ca", "--out", f"{out}/x", "relay", "127.0.0.1")
        said(p, 73, 78)
        os.unlink(f"{out}/x{suffix}")
        for f in os.listdir(out):
            os.unlink(out / f)
    assert not (tmp_path / "elsewhere").exists()
