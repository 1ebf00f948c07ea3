"""What is printed: the machine, and tables whose cells are `median [least .. greatest]`."""

import os
import platform
import shutil
import statistics
import subprocess

import servers

VERSIONS = {
    "countersignd": ["countersignd", "--version"],
    "OpenSSL": ["openssl", "version"],
    "mosquitto": ["mosquitto", "-h"],
    "inspircd": ["inspircd", "--version"],
    "nats-server": ["nats-server", "-v"],
    "ngircd": ["ngircd", "--version"],
}


def first_line(command, build):
    program = shutil.which(command[0], path=f"{build}:{servers.PATH}")
    if program is None:
        return "not installed"
    done = subprocess.run([program, *command[1:]], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[0].strip() if lines else "?"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine(build, names, quick):
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    how = " QUICK=1" * quick + (f" ROUNDS={os.environ['ROUNDS']}" if os.environ.get("ROUNDS") else "")
    print(f"make bench BENCH={','.join(names)}{how}")
    print(f"machine: {len(os.sched_getaffinity(0))} cores, {cpu_model()}, "
          f"Linux {platform.release()}, load average {os.getloadavg()[0]:.1f} at the start")
    print(f"commit: {done.stdout.strip() or '-'}")
    for name, command in VERSIONS.items():
        print(f"{name}: {first_line(command, build)}")


def number(v):
    return f"{v:.0f}" if abs(v) >= 100 else f"{v:.3g}"


def cell(values):
    if not values:
        return "-"
    if len(values) == 1:
        return number(values[0])
    return f"{number(statistics.median(values))} [{number(min(values))} .. {number(max(values))}]"


def show(title, head, rows):
    """rows: lists of texts, as long as head."""
    width = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
    print(f"\n## {title}\n")
    for i, row in enumerate([head, *rows]):
        print("| " + " | ".join(str(v).ljust(w) for v, w in zip(row, width)) + " |", flush=True)
        if i == 0:
            print("|" + "|".join("-" * (w + 2) for w in width) + "|")
