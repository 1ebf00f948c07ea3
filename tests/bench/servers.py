"""Servers of the bench: each is started in a folder of its own on a free port of loopback, as an
ordinary user where it insists, and always stopped."""

import os
import shutil
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.geteuid() == 0
WAIT = 15


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Failed(Exception):
    pass


class Server:
    """One process, for a `with`: .pid and .port."""

    def __init__(self, command, port, home, user=None):
        self.command, self.port, self.home, self.user = command, port, home, user

    def __enter__(self):
        as_user = {"user": self.user, "group": self.user_group()} if self.user else {}
        self.log = open(os.path.join(self.home, "log"), "w+b")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, **as_user)
        self.pid = self.process.pid
        end = time.monotonic() + WAIT
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise Failed(f"{self.command[0]} does not listen")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def user_group():
        return "nogroup"


class World:
    """Build, temporary folder, enrolled members, and how each server is started."""

    def __init__(self, build, where, accounts):
        self.build, self.where = build, where
        self.empty = os.path.join(where, "empty")      # a relay without accounts
        self.relay = os.path.join(where, "relay")      # the same with all members
        self.members = os.path.join(where, "members")
        self.homes = 0
        os.chmod(where, 0o711)
        os.mkdir(self.members)
        self.ask("init", "127.0.0.1", "--dir", self.empty)
        shutil.copytree(self.empty, self.relay)
        self.enrol(accounts)

    def ask(self, *args):
        return subprocess.run([f"{self.build}/countersignd", *args], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout

    def enrol(self, accounts):
        with self.ours("countersignd", 1, copy_of=None) as relay:
            subprocess.run([f"{self.build}/bench/enrol", self.relay, str(relay.port),
                            str(accounts), self.members], check=True)

    def home(self):
        self.homes += 1
        path = os.path.join(self.where, f"home{self.homes}")
        os.mkdir(path)
        return path

    def ours(self, program, loops, copy_of="relay", more=()):
        """Our relay (or bench/opaque, bench/unchecked) on a fresh copy of what is enrolled."""
        home, port = self.home(), free_port()
        at = self.relay
        if copy_of:
            at = os.path.join(home, "relay")
            shutil.copytree(getattr(self, copy_of), at)
        return Server([f"{self.build}/{program}", "run", "--dir", at, "--listen",
                       f"127.0.0.1:{port}", "--threads", str(loops), "--max_conns", "10000",
                       "--handshakes", "10000", "--per_source", "10000", *more], port, home)

    def limit(self, loops):
        home, port = self.papers(), free_port()
        return Server([f"{self.build}/bench/limit", str(port), str(loops), f"{home}/server.pem",
                       f"{home}/server.key", f"{home}/root.pem"], port, home)

    def papers(self):
        """A folder with the relay's own certificates, as files that peers read."""
        home = self.home()
        with open(f"{home}/server.pem", "wb") as out:
            for name in ("relay.crt", "ca/intermediate.crt"):
                with open(os.path.join(self.relay, name), "rb") as f:
                    out.write(f.read())
        shutil.copy(os.path.join(self.relay, "relay.key"), f"{home}/server.key")
        shutil.copy(os.path.join(self.relay, "ca/root.crt"), f"{home}/root.pem")
        return home

    def peer(self, peer):
        """A peer from its template in conf/, as nobody when we are root."""
        home, port = self.papers(), free_port()
        with open(os.path.join(HERE, "conf", f"{peer.name}.conf.in"), encoding="utf-8") as f:
            text = f.read().replace("@PORT@", str(port)).replace("@DIR@", home)
        conf = os.path.join(home, f"{peer.name}.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        if ROOT:
            for path in [home] + [os.path.join(home, n) for n in os.listdir(home)]:
                shutil.chown(path, "nobody", "nogroup")
        command = [peer.program, *(a.replace("@CONF@", conf) for a in peer.args)]
        return Server(command, port, home, "nobody" if ROOT else None)

    def command(self, server, driver, mode, options):
        """The generator's."""
        command = [f"{self.build}/bench/load", "--mode", mode, "--driver", driver, "--port",
                   str(server.port), "--pid", str(server.pid), "--members", self.members]
        for name, value in options.items():
            if value is True:
                command.append(f"--{name}")
            elif value is not False:
                command += [f"--{name}", str(value)]
        return command

    def load(self, server, driver, mode="fanout", **options):
        """One run of the generator: its figures. Raises Failed with its reason."""
        done = subprocess.run(self.command(server, driver, mode, options), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        return {name: float(value) for name, value in
                (line.split("\t") for line in done.stdout.splitlines())}


class Half:
    """Handshakes of a generator of its own that do not end, for a `with`: it begins once all are
    half open."""

    def __init__(self, world, server, driver, **options):
        self.command = world.command(server, driver, "half", options)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        if not self.process.stdout.readline().startswith("half_open"):
            self.process.kill()
            raise Failed(self.process.communicate()[1].strip() or "nobody is half open")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


class Kind:
    """A row of the table: how it is started, what is spoken, what stands beside its figures."""

    def __init__(self, label, driver, start, program=None, note="", pace=1.0, **options):
        self.label, self.driver, self.start = label, driver, start
        self.program, self.note, self.pace, self.options = program, note, pace, options

    def here(self):
        return self.program is None or shutil.which(self.program, path=PATH) is not None


PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Peer(Kind):
    def __init__(self, name, program, args, driver, note="", pace=1.0):
        super().__init__(name, driver, lambda world, loops: world.peer(self), program, note, pace)
        self.name, self.args = name, args


def ours(program):
    return lambda world, loops: world.ours(program, loops)


LIMIT = Kind("limit: epoll + OpenSSL", "raw", lambda world, loops: world.limit(loops))
OPAQUE = Kind("ours, opaque frames", "raw", ours("bench/opaque"))
UNCHECKED = Kind("ours, signed, unchecked, ephemeral", "countersign", ours("bench/unchecked"),
                 pace=0.7, ephemeral=True)
EPHEMERAL = Kind("ours, signed, checked, ephemeral", "countersign", ours("countersignd"),
                 pace=0.7, ephemeral=True)
STORED = Kind("ours, signed, checked, stored", "countersign", ours("countersignd"), pace=0.7)
RELAY = Kind("ours", "countersign", ours("countersignd"))
PEERS = [
    Peer("inspircd", "inspircd", ["--config", "@CONF@", "--nofork", "--nopid"], "irc"),
    Peer("ngircd", "ngircd", ["-n", "-f", "@CONF@"], "irc",
         note="cannot demand certificates of users"),
    Peer("nats-server", "nats-server", ["-c", "@CONF@"], "nats"),
    Peer("mosquitto", "mosquitto", ["-c", "@CONF@"], "mqtt", note="QoS 0", pace=0.3),
]
OURS = [OPAQUE, UNCHECKED, EPHEMERAL, STORED]


def link(name, leaf="rsa", label=None):
    """Our relay and members over one link."""
    more = ("--links", name, "--ecdhe_leaf", leaf)
    driver = "classic" if name == "classic" else "countersign"
    return Kind(label or name, driver,
                lambda world, loops: world.ours("countersignd", loops, more=more), link=name)


LINKS = [link("tls"), link("ecdhe", "p256", "ecdhe, P-256 leaf"),
         link("ecdhe", "rsa", "ecdhe, RSA-2048 leaf"), link("cianr"), link("sovereign")]
CLASSIC = link("classic")
