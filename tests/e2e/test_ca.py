"""countersign-ca, judged by openssl: what it issues verifies strictly, what it revokes does not,
and what must be refused is refused with a sentence and the right exit status."""

import fcntl
import hashlib
import os
import re
import resource
import shutil
import stat
import subprocess
import tempfile

import pytest

CA = os.path.abspath(os.path.join(os.environ.get("COUNTERSIGN_BUILD", "build"), "countersign-ca"))


def run(*argv, cwd=None, umask=-1, env=None):
    return subprocess.run(argv, cwd=cwd, umask=umask, env=env, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ca(*argv, cwd, status=0, umask=-1, env=None):
    p = run(CA, *argv, cwd=cwd, umask=umask, env=env)
    assert p.returncode == status, (argv, p.returncode, p.stdout, p.stderr)
    if status:
        assert p.stderr.startswith("countersign-ca: ")
    else:
        assert p.stderr == ""
    return p.stdout + p.stderr


def openssl(*argv, cwd):
    p = run("openssl", *argv, cwd=cwd)
    assert p.returncode == 0, (argv, p.stdout, p.stderr)
    return p.stdout


def verify(leaf, *more, cwd):
    """openssl's own full check, with the lists of both issuers."""
    for name in "crl", "root-crl":
        openssl("crl", "-inform", "DER", "-in", f"ca/{name}.der", "-out", f"{name}.pem", cwd=cwd)
    return run("openssl", "verify", "-x509_strict", "-crl_check_all", "-check_ss_sig",
               "-policy_check", "-CAfile", "ca/root.crt", "-untrusted", "ca/intermediate.crt",
               "-CRLfile", "crl.pem", "-CRLfile", "root-crl.pem", *more, leaf, cwd=cwd)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One CA for all tests, made under the most careless umask."""
    path = tmp_path_factory.mktemp("ca")
    out = ca("init", "--dir", "ca", "relay.example", cwd=path, umask=0)
    assert "CN=relay.example root CA" in out and "[RSA 3072]" in out
    return path


@pytest.fixture
def free(home, request):
    """A prefix for files of one test."""
    return request.node.name.replace("[", "-").replace("]", "")


def test_modes(home):
    modes = {name: mode(home / "ca" / name) for name in os.listdir(home / "ca")}
    assert modes == {"root.crt": 0o644, "root.key": 0o600, "intermediate.crt": 0o644,
                     "intermediate.key": 0o600, "index": 0o600, "lock": 0o600, "crl.der": 0o644,
                     "root-crl.der": 0o644}
    assert mode(home / "ca") == 0o700


def test_root_and_intermediate(home):
    root = openssl("x509", "-in", "ca/root.crt", "-noout", "-text", cwd=home)
    inter = openssl("x509", "-in", "ca/intermediate.crt", "-noout", "-text", cwd=home)
    for text, pathlen in (root, 1), (inter, 0):
        assert f"CA:TRUE, pathlen:{pathlen}" in text
        assert "Version: 3" in text and "sha256WithRSAEncryption" in text
        assert "Public-Key: (3072 bit)" in text
        assert re.search(r"Key Usage: critical\s+Certificate Sign, CRL Sign\n", text)
        assert "Subject Key Identifier" in text and "Authority Key Identifier" in text
    assert verify("ca/intermediate.crt", cwd=home).returncode == 0
    assert run("openssl", "verify", "-x509_strict", "-CAfile", "ca/root.crt", "ca/root.crt",
               cwd=home).returncode == 0


def test_relay(home, free):
    ca("issue", "--dir", "ca", "--out", free, "relay", "relay.example", "192.0.2.7", "2001:db8::1",
       cwd=home, umask=0)
    assert mode(home / f"{free}.key") == 0o600 and mode(home / f"{free}.crt") == 0o644
    for name in ("-verify_hostname", "relay.example"), ("-verify_ip", "192.0.2.7"), \
            ("-verify_ip", "2001:db8::1"):
        p = verify(f"{free}.crt", "-purpose", "sslserver", *name, cwd=home)
        assert p.returncode == 0, p.stderr
    for name in ("-verify_hostname", "relay.example.org"), ("-verify_ip", "192.0.2.8"):
        assert verify(f"{free}.crt", "-purpose", "sslserver", *name, cwd=home).returncode != 0
    assert verify(f"{free}.crt", "-purpose", "sslclient", cwd=home).returncode != 0
    text = openssl("x509", "-in", f"{free}.crt", "-noout", "-text", cwd=home)
    assert "ASN1 OID: prime256v1" in text and "TLS Web Server Authentication" in text
    serial = openssl("x509", "-in", f"{free}.crt", "-noout", "-serial", cwd=home)
    assert len(serial.strip().removeprefix("serial=")) == 32
    # the key belongs to the certificate, and the file holds leaf and intermediate
    pub = openssl("pkey", "-in", f"{free}.key", "-pubout", cwd=home)
    assert pub == openssl("x509", "-in", f"{free}.crt", "-noout", "-pubkey", cwd=home)
    assert (home / f"{free}.crt").read_text().count("BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize("bits", [2048, 3072])
def test_device(home, free, bits):
    ca("issue", "--dir", "ca", "--out", free, "--bits", str(bits), "device", "alice", "laptop",
       cwd=home)
    p = verify(f"{free}.crt", "-purpose", "sslclient", cwd=home)
    assert p.returncode == 0, p.stderr
    assert verify(f"{free}.crt", "-purpose", "sslserver", cwd=home).returncode != 0
    text = openssl("x509", "-in", f"{free}.crt", "-noout", "-text", cwd=home)
    assert f"Public-Key: ({bits} bit)" in text
    assert "URI:countersign:alice/laptop\n" in text
    assert "Digital Signature, Non Repudiation\n" in text
    assert "TLS Web Client Authentication\n" in text
    assert "Subject: CN = alice, OU = laptop\n" in text


def test_evidence(home, free):
    """Its use is its own: openssl takes it neither for a server nor for a client."""
    ca("issue", "--dir", "ca", "--out", free, "evidence", "relay.example", cwd=home)
    p = verify(f"{free}.crt", "-verify_hostname", "relay.example", cwd=home)
    assert p.returncode == 0, p.stderr
    for purpose in "sslserver", "sslclient":
        assert verify(f"{free}.crt", "-purpose", purpose, cwd=home).returncode != 0
    text = openssl("x509", "-in", f"{free}.crt", "-noout", "-text", cwd=home)
    assert "Public-Key: (3072 bit)" in text and "Digital Signature, Non Repudiation\n" in text
    assert "2.25.8406729532635785283492383773779946475\n" in text


def test_signature_of_entries(home, free):
    """A device's key and certificate serve openssl dgst as protocol.md 6 says."""
    ca("issue", "--dir", "ca", "--out", free, "device", "alice", "desk", cwd=home)
    (home / "line").write_text("countersign-entry-1|...")
    pss = ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]
    openssl("dgst", *pss, "-sign", f"{free}.key", "-out", "line.sig", "line", cwd=home)
    (home / "pub").write_text(openssl("x509", "-in", f"{free}.crt", "-noout", "-pubkey", cwd=home))
    openssl("dgst", *pss, "-verify", "pub", "-signature", "line.sig", "line", cwd=home)


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_sign_a_request(home, free, form):
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key", "-subj",
            "/CN=mallory/OU=root", "-addext", "basicConstraints=CA:TRUE", "-addext",
            "subjectAltName=URI:countersign:bob/laptop", "-outform", form, "-out", "own.csr",
            cwd=home)
    ca("sign", "--dir", "ca", "--out", free, "own.csr", "device", "alice", "phone", cwd=home)
    assert not (home / f"{free}.key").exists()
    p = verify(f"{free}.crt", "-purpose", "sslclient", cwd=home)
    assert p.returncode == 0, p.stderr
    text = openssl("x509", "-in", f"{free}.crt", "-noout", "-text", cwd=home)
    assert "mallory" not in text and "bob" not in text and "CA:TRUE" not in text
    assert "URI:countersign:alice/phone\n" in text
    pub = openssl("pkey", "-in", "own.key", "-pubout", cwd=home)
    assert pub == openssl("x509", "-in", f"{free}.crt", "-noout", "-pubkey", cwd=home)


def test_certify_a_key(home, free):
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "mine.key", cwd=home)
    os.chmod(home / "mine.key", 0o600)
    ca("issue", "--dir", "ca", "--out", free, "--key", "mine.key", "relay", "relay.example",
       cwd=home)
    assert verify(f"{free}.crt", "-purpose", "sslserver", cwd=home).returncode == 0
    os.chmod(home / "mine.key", 0o640)
    out = ca("issue", "--dir", "ca", "--out", free + "2", "--key", "mine.key", "relay", "r.example",
             cwd=home, status=78)
    assert "chmod 600 mine.key" in out


def test_days(home, free):
    ca("issue", "--dir", "ca", "--out", free, "--days", "7", "relay", "relay.example", cwd=home)
    check = ["x509", "-in", f"{free}.crt", "-noout", "-checkend"]
    openssl(*check, str(7 * 86400 - 600), cwd=home)
    assert run("openssl", *check, str(7 * 86400 + 600), cwd=home).returncode == 1


@pytest.mark.parametrize("by", ["file", "fingerprint", "colons"])
def test_revoke(home, free, by):
    ca("issue", "--dir", "ca", "--out", free, "device", "eve", "laptop", cwd=home)
    ca("issue", "--dir", "ca", "--out", free + "-2", "device", "eve", "phone", cwd=home)
    assert verify(f"{free}.crt", cwd=home).returncode == 0
    colons = openssl("x509", "-in", f"{free}.crt", "-noout", "-fingerprint", "-sha256",
                     cwd=home).strip().split("=")[1]
    name = {"file": f"{free}.crt", "colons": colons,
            "fingerprint": colons.replace(":", "").lower()}[by]
    ca("revoke", "--dir", "ca", "--reason", "key-compromise", name, cwd=home)
    p = verify(f"{free}.crt", cwd=home)
    assert p.returncode != 0 and "certificate revoked" in p.stderr
    assert verify(f"{free}-2.crt", cwd=home).returncode == 0
    text = openssl("crl", "-in", "crl.pem", "-noout", "-text", cwd=home)
    serial = openssl("x509", "-in", f"{free}.crt", "-noout", "-serial", cwd=home).split("=")[1]
    entry = text.split(f"Serial Number: {serial.strip()}\n")[1]
    assert re.match(r"\s+Revocation Date: .*\n\s+CRL entry extensions:\n\s+X509v3 CRL Reason Code:"
                    r" \n\s+Key Compromise\n", entry)
    out = ca("show", "--dir", "ca", cwd=home)
    assert re.search(r"device .*eve, OU=laptop  REVOKED \d{4}-\d\d-\d\d\n", out)


def test_crl(home):
    numbers = []
    for _ in range(3):
        ca("crl", "--dir", "ca", cwd=home)
        text = openssl("crl", "-inform", "DER", "-in", "ca/crl.der", "-noout", "-text",
                       "-CAfile", "ca/intermediate.crt", "-verify", cwd=home)
        assert "Version 2" in text and "X509v3 Authority Key Identifier" in text
        numbers.append(int(re.search(r"CRL Number: \n\s+(\d+)", text)[1]))
    assert numbers[0] < numbers[1] < numbers[2]


def test_root_key_elsewhere(tmp_path):
    """With the root's key gone everything goes on but the root's own list."""
    ca("init", "--dir", "ca", "--root-key", "stick.key", "away.example", cwd=tmp_path)
    assert not (tmp_path / "ca/root.key").exists() and mode(tmp_path / "stick.key") == 0o600
    os.rename(tmp_path / "stick.key", tmp_path / "gone.key")
    ca("issue", "--dir", "ca", "device", "alice", "laptop", cwd=tmp_path)
    ca("revoke", "--dir", "ca", "alice.crt", cwd=tmp_path)
    out = ca("crl", "--dir", "ca", "--root", cwd=tmp_path, status=66)
    assert "root.key" in out
    ca("crl", "--dir", "ca", "--root-key", "gone.key", cwd=tmp_path)
    assert "certificate revoked" in verify("alice.crt", cwd=tmp_path).stderr


def test_show(home, free):
    ca("issue", "--dir", "ca", "--out", free, "relay", "relay.example", "::1", cwd=home)
    out = ca("show", f"{free}.crt", cwd=home)
    assert out.count("Certificate\n") == 2
    der = subprocess.run(["openssl", "x509", "-in", f"{free}.crt", "-outform", "DER"], cwd=home,
                         check=True, stdout=subprocess.PIPE).stdout
    digits = hashlib.sha256(der).hexdigest()
    shown = re.search(r"SHA-256 +([0-9a-f ]+)\n +([0-9a-f ]+)\n", out)
    assert (shown[1] + " " + shown[2]).split() == [digits[i:i + 4] for i in range(0, 64, 4)]
    assert "DNS:relay.example, IP:::1\n" in out and "serverAuth\n" in out
    assert "+---[ECDSA 256]---+\n" in out and "+----[SHA256]-----+\n" in out
    assert "Revocation list\n" in ca("show", "ca/crl.der", cwd=home)


def test_show_cleans_what_others_wrote(home):
    """Direction controls in a stranger's certificate do not reach the terminal."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "x.key", "-utf8", "-subj",
            "/CN=ali\u202eecila", "-days", "1", "-out", "x.crt", cwd=home)
    out = ca("show", "x.crt", cwd=home)
    assert "\u202e" not in out and "<U+202E>" in out


def test_help(home):
    out = ca("--help", cwd=home)
    for command in "init", "issue", "sign", "revoke", "crl", "show":
        assert f"countersign-ca {command} " in out
        assert "--dir" in ca(command, "--help", cwd=home)


@pytest.mark.parametrize("argv, status, says", [
    ((), 64, "no command"),
    (("frobnicate",), 64, "frobnicate is no command"),
    (("init",), 64, "NAME"),
    (("init", "--dir", "new", "x" * 60), 64, "1 to 56 bytes"),
    (("init", "--dir", "new", ""), 64, "1 to 56 bytes"),
    (("init", "--bogus", "x"), 64, "--bogus"),
    (("init", "--dir"), 64, "wants an argument"),
    (("init", "--dir", "ca", "again"), 73, "already exists"),
    (("issue", "--dir", "ca", "relay"), 64, "relay HOST"),
    (("issue", "--dir", "ca", "king", "x"), 64, "king is no role"),
    (("issue", "--dir", "ca", "evidence"), 64, "evidence HOST"),
    (("issue", "--dir", "ca", "--bits", "1024", "evidence", "r"), 64, "2048, 3072 or 4096"),
    (("issue", "--dir", "ca", "device", "alice"), 64, "the person, then the device"),
    (("issue", "--dir", "ca", "device", "a/b", "c"), 64, "--out"),
    (("issue", "--dir", "ca", "--out", "n", "relay", "*.example"), 64, "*.example"),
    (("issue", "--dir", "ca", "--out", "n", "relay", "bücher.example"), 64, "xn--"),
    (("issue", "--dir", "ca", "--out", "n", "--days", "0", "relay", "r"), 64, "1 to 3650"),
    (("issue", "--dir", "ca", "--out", "n", "--days", "99999", "relay", "r"), 64, "1 to 3650"),
    (("issue", "--dir", "ca", "--out", "n", "--days", "1x", "relay", "r"), 64, "1 to 3650"),
    (("issue", "--dir", "ca", "--out", "n", "--bits", "1024", "device", "a", "b"), 64, "2048"),
    (("issue", "--dir", "ca", "--out", "n", "device", "a\x1b[2J", "b"), 65, "not issued"),
    (("issue", "--dir", "none", "--out", "n", "relay", "r"), 66, "countersign-ca init"),
    (("issue", "--dir", "ca", "--out", "no/such/dir", "relay", "r"), 73, "no/such/dir"),
    (("sign", "--dir", "ca", "--out", "n", "none.csr", "relay", "r"), 66, "none.csr"),
    (("sign", "--dir", "ca", "--out", "n", "ca/root.crt", "relay", "r"), 65, "ca/root.crt"),
    (("sign", "--dir", "ca", "--out", "n", "/dev/zero", "relay", "r"), 78, "/dev/zero"),
    (("sign", "--dir", "ca", "--out", "n", "ca", "relay", "r"), 78, "directory"),
    (("revoke", "--dir", "ca", "00" * 32), 66, "lists no certificate"),
    (("revoke", "--dir", "ca", "--reason", "spite", "ca/root.crt"), 64, "superseded"),
    (("revoke", "--dir", "ca", "ca/root.crt"), 66, "lists no certificate"),
    (("revoke", "--dir", "ca", "ca/crl.der"), 66, "lists no certificate"),
    (("crl", "--dir", "ca", "more"), 64, "no arguments"),
    (("crl", "--dir", "ca", "--root-key", "ca/intermediate.key"), 78, "does not belong"),
    (("show", "/etc/passwd"), 65, "neither a certificate"),
])
def test_refusals(home, argv, status, says):
    before = sorted(os.listdir(home)), sorted(os.listdir(home / "ca"))
    out = ca(*argv, cwd=home, status=status)
    assert says in out
    assert "\x1b" not in out
    assert (sorted(os.listdir(home)), sorted(os.listdir(home / "ca"))) == before


@pytest.mark.parametrize("bits, curve", [(1024, None), (None, "secp384r1")])
def test_weak_requests_are_refused(home, bits, curve):
    if bits:
        openssl("genrsa", "-out", "weak.key", str(bits), cwd=home)
    else:
        openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", "weak.key", cwd=home)
    openssl("req", "-new", "-key", "weak.key", "-subj", "/CN=x", "-out", "weak.csr", cwd=home)
    ca("sign", "--dir", "ca", "--out", "weak", "weak.csr", "relay", "r.example", cwd=home, status=65)
    assert not (home / "weak.crt").exists()


def test_device_needs_rsa(home):
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.key", cwd=home)
    openssl("req", "-new", "-key", "ec.key", "-subj", "/CN=x", "-out", "ec.csr", cwd=home)
    out = ca("sign", "--dir", "ca", "--out", "ec", "ec.csr", "device", "a", "b", cwd=home,
             status=77)
    assert "must be RSA" in out and not (home / "ec.crt").exists()


def test_altered_request_is_refused(home):
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "y.key", "-subj", "/CN=yyyy",
            "-outform", "DER", "-out", "y.csr", cwd=home)
    der = (home / "y.csr").read_bytes()
    (home / "y.csr").write_bytes(der.replace(b"yyyy", b"zzzz"))
    out = ca("sign", "--dir", "ca", "--out", "y", "y.csr", "device", "a", "b", cwd=home, status=65)
    assert "not signed with its own key" in out


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o604, 0o660])
def test_key_that_others_may_read_is_refused(home, bits):
    key = home / "ca/intermediate.key"
    os.chmod(key, bits)
    try:
        out = ca("issue", "--dir", "ca", "--out", "n", "relay", "r.example", cwd=home, status=78)
    finally:
        os.chmod(key, 0o600)
    assert "chmod 600 ca/intermediate.key" in out
    assert not (home / "n.key").exists() and not (home / "n.crt").exists()


def test_existing_files_are_kept(home):
    (home / "keep.key").write_text("precious")
    ca("issue", "--dir", "ca", "--out", "keep", "relay", "r.example", cwd=home, status=73)
    assert (home / "keep.key").read_text() == "precious"
    assert not (home / "keep.crt").exists()


def test_links_are_not_followed(home):
    (home / "victim").write_text("precious")
    os.symlink("victim", home / "trap.key")
    os.symlink("nowhere", home / "trap2.crt")
    ca("issue", "--dir", "ca", "--out", "trap", "relay", "r.example", cwd=home, status=73)
    ca("issue", "--dir", "ca", "--out", "trap2", "relay", "r.example", cwd=home, status=73)
    assert (home / "victim").read_text() == "precious"
    assert not (home / "nowhere").exists() and not (home / "trap2.key").exists()


def test_open_directory_is_refused(tmp_path):
    os.mkdir(tmp_path / "open")
    os.chmod(tmp_path / "open", 0o777)
    out = ca("init", "--dir", "open", "x", cwd=tmp_path, status=78)
    assert "chmod go-w open" in out and os.listdir(tmp_path / "open") == []


def test_lock(home):
    """While another process changes the index nobody else does: an answer after five seconds."""
    with open(home / "ca/lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out = ca("crl", "--dir", "ca", cwd=home, status=75)
    assert "ca/lock is held by another process" in out
    ca("crl", "--dir", "ca", cwd=home)


@pytest.mark.parametrize("limit", [0, 100, 800, 3000])
def test_full_disk(home, tmp_path, limit):
    """Writing stops at any size: an error, no half file, and the index as it was."""
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    shutil.copytree(home / "ca", tmp_path / "ca")
    index = (tmp_path / "ca/index").read_bytes()
    names = sorted(os.listdir(tmp_path / "ca"))
    p = subprocess.run([CA, "issue", "--dir", "ca", "device", "alice", "laptop"], cwd=tmp_path,
                       preexec_fn=small, restore_signals=False, text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 74 and "File too large" in p.stderr, p
    assert sorted(os.listdir(tmp_path)) == ["ca"]
    assert sorted(os.listdir(tmp_path / "ca")) == names
    if limit < 3000:
        assert (tmp_path / "ca/index").read_bytes() == index
    ca("crl", "--dir", "ca", cwd=tmp_path)


@pytest.mark.parametrize("name, value, where", [
    ("XDG_DATA_HOME", "{}/data", "data/countersignd/ca"),
    ("HOME", "{}", ".local/share/countersignd/ca"),
])
def test_default_directory(name, value, where):
    """Of somebody who is not root."""
    user = 65534 if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as home:
        shutil.copy(CA, home)
        if user:
            os.chown(home, user, user)
        env = {"LC_ALL": "C.UTF-8", name: value.format(home)}
        subprocess.run([f"{home}/countersign-ca", "init", "here.example"], cwd=home, env=env,
                       user=user, check=True, timeout=120, stdout=subprocess.DEVNULL)
        for part in where.split("/"):
            home = os.path.join(home, part)
            assert mode(home) == 0o700
        assert os.path.exists(f"{home}/root.crt")
