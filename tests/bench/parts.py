"""The parts of the bench. Each goes through its rounds, prints its table, and gives False when
something was lost, doubled, out of order or disconnected."""

import json
import os
import pty
import secrets
import select
import signal
import statistics
import subprocess
import sys
import time

import table
from servers import CLASSIC, EPHEMERAL, LIMIT, LINKS, OURS, PEERS, RELAY, STORED, Failed, Half

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
ALL = [LIMIT, *OURS, *PEERS]


def accounts(names, quick):
    if {"idle", "storm"} & set(names):
        return 200 if quick else 1000
    if names == ["links"]:
        return 110 if quick else 200
    return 110 if quick else 500


def how_often(full, quick):
    """Rounds of a part: ROUNDS says otherwise."""
    return int(os.environ.get("ROUNDS") or (1 if quick else full))


class Rounds:
    """Figures of many runs by row; what failed is told at once and remembered."""

    def __init__(self):
        self.figures, self.failures = {}, {}

    def take(self, row, run):
        try:
            figures = run()
        except (Failed, subprocess.SubprocessError) as e:
            self.failures[row] = str(e)
            print(f"FAILED {row}: {e}", file=sys.stderr, flush=True)
            return
        for name, value in figures.items():
            self.figures.setdefault(row, {}).setdefault(name, []).append(value)

    def cells(self, row, names):
        if row in self.failures:
            return ["FAILED"] + [""] * (len(names) - 1)
        return [table.cell(self.figures.get(row, {}).get(n, [])) for n in names]

    def median(self, row, name):
        values = self.figures.get(row, {}).get(name)
        return statistics.median(values) if values else None

    def good(self):
        return not self.failures


def rounds(kinds, count, run, keys=((),)):
    """Every round goes through all kinds and keys: run(kind, key) gives the figures of one."""
    r = Rounds()
    for _ in range(count):
        for key in keys:
            for kind in kinds:
                if kind.here():
                    r.take((kind, key), lambda k=kind, c=key: run(k, c))
    return r


def line(r, kind, key, names, *lead):
    """A row: label, what leads, the figures, and what there is to say of it."""
    if not kind.here():
        return [kind.label, *lead, "not installed"] + [""] * len(names)
    note = r.failures.get((kind, key), kind.note)
    return [kind.label, *lead, *r.cells((kind, key), names), note]


# --- fanout ------------------------------------------------------------------------------------

WINDOWS = {10: 128, 100: 128, 500: 32}
MESSAGES = {10: 30000, 100: 8000, 500: 1600}
FANOUT = ["cpu_s_per_million", "deliveries_per_s", "wire_bytes", "generator_s_per_million",
          "other_cores"]


def fanout_run(world, kind, members, size, loops):
    options = dict(kind.options, conns=members, bytes=size, window=WINDOWS[members],
                   messages=max(int(MESSAGES[members] * kind.pace), 3 * 10 * WINDOWS[members]))
    with kind.start(world, loops) as server:
        return world.load(server, kind.driver, **options)


def fanout_table(r, kinds, key):
    members, size, loops = key
    rows = [line(r, kind, key, FANOUT) for kind in kinds]
    table.show(f"fan-out: room of {members}, {size} bytes, {loops} loop{'s' * (loops > 1)}, "
               f"10 senders, window {WINDOWS[members]}",
               ["server", "CPU s/million", "deliveries/s", "wire bytes", "generator", "others",
                "note"], rows)


def fanout_cells(world, kinds, count, keys):
    r = rounds(kinds, count, lambda k, c: fanout_run(world, k, *c), keys)
    for key in keys:
        fanout_table(r, kinds, key)
    if (100, 300, 1) in keys:
        world.saturated = {k: r.median((k, (100, 300, 1)), "messages_per_s") for k in kinds}
    return r.good()


def fanout(world, quick):
    """The cell of our aims in several rounds, the others once: all of it in minutes."""
    central = (100, 300, 1)
    other = [] if quick else [(m, s, 1) for m in (100, 10, 500) for s in (300, 64)][1:]
    good = fanout_cells(world, ALL, how_often(3, quick), [central])
    good &= fanout_cells(world, ALL, how_often(1, quick), other)
    good &= fanout_cells(world, [LIMIT, *OURS], how_often(3, quick),
                         [] if quick else [(100, 300, 2)])
    return good


# --- latency -----------------------------------------------------------------------------------

LATENCY = ["p50_ms", "p99_ms", "p999_ms", "messages_per_s", "cpu_s_per_million", "other_cores"]


def saturation(world, kind):
    """Messages a second at a full window, measured now if `fanout` did not."""
    known = getattr(world, "saturated", {}).get(kind)
    return known or fanout_run(world, kind, 100, 300, 1)["messages_per_s"]


def latency_run(world, kind, rate, seconds):
    options = dict(kind.options, conns=100, bytes=300, rate=rate, messages=rate * seconds)
    with kind.start(world, 1) as server:
        return world.load(server, kind.driver, **options)


def latency(world, quick):
    count, seconds = how_often(2, quick), 2 if quick else 3
    half = {k: max(int(saturation(world, k) / 2), 20) for k in ALL if k.here()}
    keys = ["half load", "200 a second"]
    r = rounds(ALL, count, lambda k, key: latency_run(
        world, k, half[k] if key == "half load" else 200, seconds), keys)
    for key in keys:
        rows = [line(r, k, key, LATENCY) for k in ALL]
        table.show(f"latency, open loop at {key}: room of 100, 300 bytes, 10 senders, 1 loop",
                   ["server", "p50 ms", "p99 ms", "p99.9 ms", "messages/s", "CPU s/million",
                    "others", "note"], rows)
    return r.good()


# --- commits -----------------------------------------------------------------------------------

COMMIT = ["acknowledged_per_s", "p50_ms", "p99_ms", "other_cores"]
COMMITS = {"1 sender, window 1": dict(conns=2, senders=1, window=1, messages=600),
           "10 senders, window 64": dict(conns=10, senders=10, window=64, messages=12000)}


def commit(world, quick):
    def run(kind, key):
        options = dict(kind.options, bytes=300, **COMMITS[key])
        with kind.start(world, 1) as server:
            return world.load(server, kind.driver, **options)

    kinds = [STORED, EPHEMERAL]
    r = rounds(kinds, how_often(3, quick), run, list(COMMITS))
    rows = [line(r, k, key, COMMIT, key) for key in COMMITS for k in kinds]
    table.show("acknowledged entries a second, room of 2 and of 10, 300 bytes",
               ["server", "who", "acknowledged/s", "p50 ms", "p99 ms", "others", "note"], rows)
    return r.good()


# --- handshakes --------------------------------------------------------------------------------

SHAKES = ["per_cpu_s", "per_s", "other_cores"]


def shakes(world, quick):
    def run(kind, _):
        with kind.start(world, 1) as server:
            return world.load(server, kind.driver, mode="shakes", conns=64,
                              seconds=1 if quick else 3)

    kinds = [LIMIT, RELAY, *PEERS]
    r = rounds(kinds, how_often(3, quick), run)
    rows = [line(r, k, (), SHAKES) for k in kinds]
    table.show("full handshakes (P-256, client RSA-2048), until the server's first answer",
               ["server", "per s of its CPU", "per s", "others", "note"], rows)
    return r.good()


# --- idle --------------------------------------------------------------------------------------

def resident_kb(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def base_kb(world, kind):
    """A server without connections; ours without accounts, so that theirs are counted too."""
    start = (lambda: world.ours("countersignd", 1, copy_of="empty")) if kind is RELAY \
        else (lambda: kind.start(world, 1))
    with start() as server:
        time.sleep(1)
        return resident_kb(server.pid)


def idle(world, quick):
    def run(kind, conns):
        base = base_kb(world, kind)
        with kind.start(world, 1) as server:
            figures = world.load(server, kind.driver, mode="idle", conns=conns, room_size=10,
                                 seconds=4, parallel=64)
        return {"kb_each": (figures["resident_kb"] - base) / conns, **figures}

    names = ["kb_each", "resident_kb", "connect_s"]
    kinds = [LIMIT, RELAY, *PEERS]
    keys = [1000] if quick else [1000, 5000]
    r = rounds(kinds, 1, run, keys)
    rows = [line(r, k, c, names, str(c)) for c in keys for k in kinds]
    table.show("idle connections in rooms of 10, 4 s after the last login",
               ["server", "connections", "KB resident each", "KB in all", "s to connect", "note"],
               rows)
    return r.good()


# --- storm -------------------------------------------------------------------------------------

STORM = ["back_s", "cpu_ms_each", "other_cores"]


def storm(world, quick):
    conns = 200 if quick else 1000

    def run(kind, _):
        with kind.start(world, 1) as server:
            return world.load(server, kind.driver, mode="storm", conns=conns, room_size=10,
                              parallel=64)

    kinds = [LIMIT, RELAY, *PEERS]
    r = rounds(kinds, how_often(2, quick), run)
    rows = [line(r, k, (), STORM) for k in kinds]
    table.show(f"{conns} connections cut at once, back with login (ours: resume tokens) and room",
               ["server", "s until all are back", "CPU ms each", "others", "note"], rows)
    return r.good()


# --- links -------------------------------------------------------------------------------------

LINK_SHAKES = ["per_cpu_s", "per_s", "bytes", "round_trips"]
LINK_FANOUT = ["cpu_s_per_million", "wire_bytes"]
HALF = ["p50_ms", "p99_ms", "max_ms"]
HALVES = {"none": None, "stay": dict(seconds=60), "begin anew": dict(seconds=60, again=True)}


def link_shakes(world, kind, quick):
    with kind.start(world, 1) as server:
        return world.load(server, kind.driver, mode="shakes", conns=32,
                          seconds=1 if quick else 2, **kind.options)


def link_idle(world, kind, quick):
    """What a further connection of the same accounts takes: the rest is the relay's and theirs."""
    few, many = (50, 250) if quick else (200, 1000)
    kb = []
    for conns in (few, many):
        with kind.start(world, 1) as server:
            figures = world.load(server, kind.driver, mode="idle", conns=conns, room_size=10,
                                 seconds=3, parallel=16, **kind.options)
            kb.append(figures["resident_kb"])
    return {"kb_each": (kb[1] - kb[0]) / (many - few)}


def link_fanout(world, kind, quick):
    with kind.start(world, 1) as server:
        return world.load(server, kind.driver, conns=100, bytes=300, window=WINDOWS[100],
                          messages=1280 * 3 if quick else 6000, ephemeral=True, **kind.options)


def link_half(world, kind, key, quick):
    """50 handshakes go as far as the relay's last word before the client proves itself."""
    with kind.start(world, 1) as server:
        def talk():
            return world.load(server, kind.driver, conns=10, senders=2, bytes=300, rate=50,
                              messages=100 if quick else 150, **kind.options)

        if HALVES[key] is None:
            return talk()
        with Half(world, server, kind.driver, conns=50, parallel=50, **kind.options,
                  **HALVES[key]):
            return talk()


def link_table(title, first, names, r, rows):
    table.show(title, ["link", *first, *names],
               [line(r, kind, key, cells, *lead)[:-1] for kind, key, cells, lead in rows])


def links(world, quick):
    """The relay over one link after the other; `classic` has neither members nor entries."""
    count, every = how_often(3, quick), [*LINKS, CLASSIC]
    r = rounds(every, count, lambda k, _: link_shakes(world, k, quick))
    link_table("links: full handshakes with certificates on both sides, until the relay's hello",
               [], ["per s of its CPU", "per s", "bytes", "round trips"], r,
               [(k, (), LINK_SHAKES, ()) for k in every])
    idle_r = rounds(LINKS, how_often(1, quick), lambda k, _: link_idle(world, k, quick))
    link_table("links: a further idle connection of the same accounts, 3 s after the last login",
               [], ["KB resident"], idle_r, [(k, (), ["kb_each"], ()) for k in LINKS])
    fan = rounds(LINKS, count, lambda k, _: link_fanout(world, k, quick))
    link_table("links: fan-out, room of 100, 300 bytes, 1 loop, 10 senders, window 128, signed, "
               "checked, ephemeral", [], ["CPU s/million", "wire bytes"], fan,
               [(k, (), LINK_FANOUT, ()) for k in LINKS])
    half = rounds(LINKS, count, lambda k, key: link_half(world, k, key, quick), list(HALVES))
    link_table("links: latency of 50 messages a second (stored) while 50 handshakes over the same "
               "link are half open", ["they"], ["p50 ms", "p99 ms", "max ms"], half,
               [(k, key, HALF, (key,)) for k in LINKS for key in HALVES])
    return all(x.good() for x in (r, idle_r, fan, half))


# --- the client's screen -----------------------------------------------------------------------

def password_pipe(password):
    r, w = os.pipe()
    os.write(w, password.encode() + b"\n")
    os.close(w)
    os.set_inheritable(r, True)
    return r


def screen_once(world, env, password):
    """Seconds from exec to a screen that takes input, password included."""
    fd = password_pipe(password)
    begun = time.monotonic()
    pid, term = pty.fork()
    if pid == 0:
        os.execve(f"{world.build}/countersign", ["countersign", "--password-fd", str(fd)], env)
    os.close(fd)
    seen = b""
    while b"1.3 ok" not in seen and select.select([term], [], [], 20)[0]:
        try:
            seen += os.read(term, 65536)
        except OSError:
            break
    took = time.monotonic() - begun
    os.kill(pid, signal.SIGTERM)
    try:
        while os.read(term, 65536):
            pass
    except OSError:
        pass
    os.waitpid(pid, 0)
    os.close(term)
    if b"1.3 ok" not in seen:
        raise Failed("the client's screen does not come up")
    return {"start_s": took}


def screen(world, quick):
    home = world.home()
    env = dict(os.environ, HOME=home, TERM="xterm-256color", LINES="24", COLUMNS="80")
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        env[f"XDG_{name}_HOME"] = os.path.join(home, name.lower())
    password = secrets.token_urlsafe(12)
    r = Rounds()
    with world.ours("countersignd", 1, copy_of=None) as relay:
        text = world.ask("invite", "--dir", world.relay, "--at", f"127.0.0.1:{relay.port}")
        invite = next(w for w in text.split() if w.startswith("countersign://"))
        fd = password_pipe(password)
        subprocess.run([f"{world.build}/countersign", "join", "-", "--name", "bench-screen",
                        "--device", "bench", "--no-open", "--password-fd", str(fd)],
                       input=invite + "\n", text=True, env=env, pass_fds=(fd,), check=True,
                       stdout=subprocess.DEVNULL)
        os.close(fd)
        for _ in range(2 if quick else 5):
            r.take("screen", lambda: screen_once(world, env, password))
    table.show("the client, from start to a screen that takes input (password included)",
               ["", "s"], [["countersign", *r.cells("screen", ["start_s"])]])
    return r.good()


# --- evidence ----------------------------------------------------------------------------------

TREES = ["entry_us", "proof_us"]


def trees(world, quick):
    """Ten times the entries cost a few hashes more, not ten times as many."""
    r, sizes = Rounds(), [1000, 10000, 100000]
    for _ in range(how_often(5, quick)):
        for size in sizes:
            r.take(size, lambda: json.loads(subprocess.run(
                [f"{world.build}/bench/trees", str(size)], check=True, stdout=subprocess.PIPE).stdout))
    table.show("a room's tree: one entry more and its root; a proof of growth from its second half",
               ["entries", "us", "us a proof"], [[str(s), *r.cells(s, TREES)] for s in sizes])
    return r.good() and r.median(100000, "entry_us") < 10 * r.median(1000, "entry_us")


VERIFY = ["cpu_s", "s", "us_each"]
VERIFY_AIM_S = 30


def one_core(argv, entries):
    """A judge on one core; what it starts counts too. The verdict must be that all is good."""
    begun = time.monotonic()
    pid = os.posix_spawnp(argv[0], argv, os.environ,
                          file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise Failed(f"{argv[0]}: status {status}")
    cpu = used.ru_utime + used.ru_stime
    return {"cpu_s": cpu, "s": time.monotonic() - begun, "us_each": cpu * 1e6 / entries}


def verify(world, quick):
    ours, script = f"{world.build}/countersign", os.path.join(ROOT, "docs", "verify.sh")
    r, sizes = Rounds(), [1000, 10000] if quick else [1000, 10000, 100000]
    runs = [("countersign verify", n) for n in sizes] + [("docs/verify.sh", 100)]
    for size in {n for _, n in runs}:
        subprocess.run([f"{world.build}/bench/bundle", str(size), f"{world.where}/{size}"], check=True)
    for _ in range(how_often(5, quick)):
        for row in runs:
            name, size = row
            file = f"{world.where}/{size}"
            argv = [ours, "verify", file, "--ca", f"{file}.root"] if name == runs[0][0] \
                else ["/bin/sh", script, file, f"{file}.root"]
            r.take(row, lambda: one_core(argv, size))
    table.show("a bundle of messages by two authors (RSA-2048, 300 bytes each), judged on one core",
               ["judge", "entries", "CPU s", "s", "CPU us an entry"],
               [[name, str(n), *r.cells((name, n), VERIFY)] for name, n in runs])
    return r.good() and r.median((runs[0][0], sizes[-1]), "cpu_s") < VERIFY_AIM_S


def evidence(world, quick):
    grown = trees(world, quick)
    return verify(world, quick) and grown


PARTS = {"fanout": fanout, "latency": latency, "commit": commit, "shakes": shakes, "idle": idle,
         "storm": storm, "screen": screen, "links": links,
         "evidence": evidence}
