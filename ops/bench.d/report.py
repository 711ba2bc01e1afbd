#!/usr/bin/env python3
# What this is: what reports cost: from a great past, one by one and one after the other; and what the index costs a runner.
# Owns: two sites below the directory that it is given.
# Never: judges by one round where three can be had; deletes.
# On failure: names the command that failed; exit 1.
"""report.py BOBBIN DIRECTORY RUNS (ops/bench report)"""
import json
import os
import pathlib
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

bobbin, home, count = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
here = pathlib.Path(__file__).parent
missed = 0


def say(name, text, is_met=None):
    print(f"  {name:<44} {text}" + ("" if is_met is None else "  bar met" if is_met else "  bar MISSED"), flush=True)


def site(name):
    path = home / name
    subprocess.run([bobbin, "init", path], check=True, stdout=subprocess.DEVNULL)
    (path / "spool/default/p5/a.yaml").write_text("dsl_version: '1.1'\nname: a\nsteps: [{log: x}]\n")
    subprocess.run([bobbin, "run", "--until-idle", "--site", path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


def measured(*words):
    """Seconds and peak megabytes of one command."""
    begin = time.monotonic()
    child = subprocess.Popen([bobbin, *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"bench: {' '.join(map(str, words))} failed")
    return time.monotonic() - begin, used.ru_maxrss / 1024


def three(name, words, bar=None, memory_bar=200):
    rounds = [measured(*words) for _ in range(3)]
    seconds, memory = statistics.median(r[0] for r in rounds), max(r[1] for r in rounds)
    say(name, f"{seconds:6.2f} s {memory:6.0f} MB", None if bar is None else seconds < bar and memory < memory_bar)


past = site("past")
begin = time.monotonic()
subprocess.run([sys.executable, here / "history.py", past, str(count)], check=True, stdout=subprocess.DEVNULL)
print(f"{count} ended runs of 30 days (made in {time.monotonic() - begin:.0f} s)")
base = sqlite3.connect(past / "spool/.bobbin/index.sqlite")
base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
size = (past / "spool/.bobbin/index.sqlite").stat().st_size
texts = 0
for table in [r[0] for r in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]:
    columns = [r[1] for r in base.execute(f"PRAGMA table_info({table})") if r[1] in {
        "job", "drop_name", "user", "user_name", "error_message", "error_step", "title", "outputs", "log", "tag", "detail", "subject", "step_id"}]
    for column in columns:
        texts += base.execute(f"SELECT sum(length(CAST({column} AS BLOB))) FROM {table}").fetchone()[0] or 0
runs = base.execute("SELECT count(*) FROM runs").fetchone()[0]
base.close()
say("index, bytes a run, beyond texts", f"{(size - texts) / runs:6.0f}   (texts {texts / runs:.0f}, with all {size / runs:.0f})", (size - texts) / runs < 400)
three("report of 24 hours, page", ["report", "--format", "html", "--site", past], 10)
three("report of 30 days, page", ["report", "--format", "html", "--since", "30d", "--site", past], 10)
three("metrics", ["metrics", "--json", "--site", past])
three("clusters of 24 hours", ["clusters", "--site", past])

# One reporter, one report after the other.
numbers = past / "reports/metrics.json"
reporter = subprocess.Popen([bobbin, "reporter", "--site", past], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
times, seen = [], None
for _ in range(6):
    deadline = time.monotonic() + 120
    while True:
        try:
            made = json.loads(numbers.read_text())
        except (FileNotFoundError, ValueError):
            made = None
        if made and made["generated_at"] != seen:
            break
        if time.monotonic() > deadline:
            reporter.kill()
            sys.exit("bench: the reporter made no report")
        time.sleep(0.02)
    seen = made["generated_at"]
    times.append(made["report_duration_seconds"])
    reporter.send_signal(signal.SIGHUP)
memory = next(int(line.split()[1]) / 1024 for line in open(f"/proc/{reporter.pid}/status") if line.startswith("VmHWM"))
reporter.terminate()
reporter.wait()
say("reporter, the first", f"{times[0]:6.2f} s")
say("reporter, the next ones", f"{statistics.median(times[1:]):6.2f} s {memory:6.0f} MB", statistics.median(times[1:]) < 1 and memory < 200)

# The processor time of the thread that feeds the index, of all that the runner took for no-op jobs.
work = site("work")
jobs = min(count, 5000)
(work / "ops/orchestrator.yaml").write_text("queues:\n  default: {max_concurrent: 2, priority_levels: 9}\n")
for number in range(jobs):
    (work / f"spool/default/p5/n{number}.yaml").write_text("dsl_version: '1.1'\nname: n\nsteps: [{log: x}]\n")
runner = subprocess.Popen([bobbin, "up", "--site", work], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
tasks = pathlib.Path(f"/proc/{runner.pid}/task")
spent = {}
while True:
    for task in tasks.iterdir():
        try:
            name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except FileNotFoundError:
            continue
        fields = rest.split()
        spent[task.name] = (name, int(fields[11]) + int(fields[12]))
    days = work / "spool/done"
    if sum(1 for day in days.iterdir() for name in os.listdir(day) if name.endswith(".result.yaml")) > jobs:
        break
    time.sleep(0.2)
runner.terminate()
runner.wait()
by_name = {}
for name, ticks in spent.values():
    by_name[name] = by_name.get(name, 0) + ticks
whole = sum(by_name.values()) or 1
say(f"index thread, of the runner's processor time", f"{100 * by_name.get('index', 0) / whole:6.1f} %  ({jobs} no-op jobs)", by_name.get("index", 0) / whole < 0.05)
