#!/usr/bin/env python3
# What this is: a great past for a site: N ended runs of thirty days in its index, for measuring reports.
# Owns: the shape of that past: a tenth fails, of thirty kinds; two steps a run; samples each minute.
# Never: writes result files: what is measured is asking the index, not filling it.
# On failure: sqlite3's own; the index is then to be removed.
"""history.py SITE N: the site must have an index (bobbin run --until-idle makes one) and nobody working."""
import json
import random
import sqlite3
import sys
import time

site, count = sys.argv[1], int(sys.argv[2])
chance = random.Random(1)
letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
base = sqlite3.connect(site + "/spool/.bobbin/index.sqlite")
base.execute("PRAGMA synchronous = OFF")
now = int(time.time() * 1000)
span = 30 * 86_400_000
kinds = [
    ("E-EXIT", "sh exited with {n}: table t{n} is locked by session {n}"), ("E-EXIT", "rsync exited with 23: some files of /srv/{n} were not sent"),
    ("E-FILE-MISSING", "cannot read /data/{n}.csv: No such file or directory"), ("E-HTTP-CONNECT", "https://api{n}.example.org: connection refused"),
    ("E-TIMEOUT", "step 2 took longer than {n} s"), ("E-SQL", "no such column: c{n}"), ("E-PDF", "/in/{n}.pdf: header missing"),
] + [("E-EXIT", f"tool{chr(97 + k)} exited with {{n}}: phase {chr(97 + k)}{chr(97 + k)} of item {{n}} broke near byte {{n}}") for k in range(23)]
bounds = [50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000, 14400000, 86400000]


def text(number, length):
    out = ""
    for _ in range(length):
        out = letters[number & 31] + out
        number >>= 5
    return out


def group(value):
    return str(next((i for i, bound in enumerate(bounds) if value <= bound), len(bounds)))


totals = {}


def tally(queue, measure, name, amount):
    number, total = totals.get((queue, measure, name), (0, 0))
    totals[queue, measure, name] = (number + 1, total + amount)


def rows(first, last):
    runs, attempts, steps, tags = [], [], [], []
    for n in range(first, last):
        ended = now - span + n * span // count
        wait, ran = int(chance.expovariate(1 / 2000)), int(chance.lognormvariate(7, 1.5))
        started = ended - ran
        run = text(started, 10) + text(n, 16)
        queue = chance.choice(["default", "default", "high_priority", "background"])
        code = message = step = None
        state = "succeeded"
        if chance.random() < 0.1:
            state = chance.choice(["failed", "failed", "timed_out"])
            code, message = chance.choice(kinds)
            message, step = message.format(n=chance.randrange(10**6)), "2"
        job = f"job-{chance.randrange(200)}"
        tally(queue, "state", state, 0)
        tally(queue, "run", group(ran), ran)
        tally(queue, "wait", group(wait), wait)
        runs.append((run, job, queue, 5, state, 1000, chance.choice(["anna", "bert", "svc"]), job + ".yaml", None, None, started - wait, started - wait, started, ended,
                     2 if chance.random() < 0.03 else 1, code, message, step, text(n * 7919, 64), "main", "{}"))
        attempts.append((run, 1, state, started, ended))
        steps.append((run, 1, "1", "read", None, "read_file", 1, 1, "succeeded", started, started + ran // 3, None, None, "{}", None))
        steps.append((run, 2, "2", "work", None, "run", 1, 1, "failed" if code else "succeeded", started + ran // 3, ended, code, message, "{}", None))
        if n % 5 == 0:
            tags.append(("schedule:nightly", run))
    return runs, attempts, steps, tags


for first in range(0, count, 50_000):
    runs, attempts, steps, tags = rows(first, min(first + 50_000, count))
    with base:
        base.executemany(f"INSERT INTO runs (id,job,queue,priority,state,uid,user,drop_name,ticket,requeue_of,arrived,accepted,started,ended,attempts,error_code,error_message,error_step,sha256,runner,outputs) VALUES ({','.join('?' * 21)})", runs)
        base.executemany("INSERT INTO attempts VALUES (?,?,?,?,?)", attempts)
        base.executemany(f"INSERT INTO steps VALUES ({','.join('?' * 15)})", steps)
        base.executemany("INSERT INTO tags VALUES (?,?)", tags)
with base:
    for (queue, measure, name), (number, total) in totals.items():
        base.execute("INSERT INTO totals VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET number = number + excluded.number, sum_ms = sum_ms + excluded.sum_ms", (queue, measure, name, number, total))
    base.executemany("INSERT OR IGNORE INTO samples VALUES (?,?,?,?,?,?)", [(now - k * 60_000, "default", chance.randrange(50), 3, 0, None) for k in range(30 * 1440)])
    base.executemany("INSERT OR IGNORE INTO facts VALUES (?,?,?,?,?,?,?,?,?)", [("bench", k, now - k * 5_000, chance.choice(["secret.read", "trigger.fired", "access.denied"]), "schedule/nightly", 1000, "anna", "", json.dumps({"k": k})) for k in range(100_000)])
base.execute("ANALYZE")
base.commit()
