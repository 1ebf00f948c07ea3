"""A time-stamp authority (RFC 3161): openssl ts behind a small HTTP server on loopback. `spoil` gets what
openssl has signed, and what is sent is what it gives back."""

import http.server
import pathlib
import ssl
import subprocess
import threading

CONF = """
[ts]
default_tsa = tsa
[tsa]
dir = .
serial = serial
signer_digest = {digest}
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha256, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
[stamps]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = {critical}timeStamping
[server]
basicConstraints = CA:FALSE
subjectAltName = IP:127.0.0.1
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
"""


class Authority:
    """A CA and a certificate of an authority under it, in `home`."""

    def __init__(self, home, name="time.example", digest="sha256", ess="sha256", critical="critical,", key="rsa:2048",
                 days="30"):
        self.home = pathlib.Path(home)
        self.home.mkdir()
        (self.home / "conf").write_text(CONF.format(digest=digest, ess=ess, critical=critical))
        (self.home / "serial").write_text("01\n")
        new = ["-newkey", key, "-nodes", "-config", "/dev/null"]
        if key == "ec":
            new[2:2] = ["-pkeyopt", "ec_paramgen_curve:P-384"]
        self.openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN=CA of {name}",
                     "-days", "60")
        self.issue(new, name, "tsa", "stamps", days)
        self.new = new

    def issue(self, new, name, file, extensions, days="30"):
        self.openssl("req", "-new", *new, "-keyout", f"{file}.key", "-out", f"{file}.csr", "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", f"{file}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-out", f"{file}.pem", "-days", days, "-extfile", "conf", "-extensions", extensions)

    @property
    def ca(self):
        return self.home / "ca.pem"

    def openssl(self, *argv):
        p = subprocess.run(["openssl", *argv], cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.returncode == 0, (argv, p.stderr)
        return p.stdout

    def reply(self, query, *more):
        (self.home / "query").write_bytes(query)
        self.openssl("ts", "-reply", "-config", "conf", "-section", "tsa", "-queryfile", "query", "-signer", "tsa.pem",
                     "-inkey", "tsa.key", "-out", "reply", *more)
        return (self.home / "reply").read_bytes()

    def stamp(self, data):
        """A reply about these bytes, as somebody asked for it who sent no nonce."""
        (self.home / "data").write_bytes(data)
        self.openssl("ts", "-query", "-data", "data", "-sha256", "-cert", "-no_nonce", "-out", "query")
        return self.reply((self.home / "query").read_bytes())


class Server:
    """POST anywhere. `answer(query)` gives (HTTP status, body), or None: nothing is ever said."""

    def __init__(self, answer, tls=None):
        outer = self
        self.asked, self.closing = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                query = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append((self.headers["Content-Type"], query))
                said = answer(query)
                if said is None:
                    outer.closing.wait()
                    return
                self.send_response(said[0])
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(said[1])))
                self.end_headers()
                self.wfile.write(said[1])

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.home / "server.pem", tls.home / "server.key")
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"http{'s' * (tls is not None)}://127.0.0.1:{self.http.server_port}/tsr"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def honest(authority):
    return Server(lambda query: (200, authority.reply(query)))
