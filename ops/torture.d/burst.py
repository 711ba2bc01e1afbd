"""What this is: the burst: a script that drops a hundred thousand jobs at once on a daemon that works.
What it owns: the drops (more than inotify's queue holds), the count of what came out, the most memory that was seen.
What it never does: ask the program; results are counted by name in done/ and failed/.
What happens on failure: sentences; the site is kept and named.
"""
import collections
import os
import signal
import subprocess
import time

import scene as scenes

EVERY = 200         # every so many jobs has an effect outside, which must be there once


class Burst:
    def __init__(self, program, report):
        self.program, self.report = program, report
        self.site = program.site("burst", scenes.Scene("burst", {}, {}))
        os.mkdir(os.path.join(self.site, "outside"))
        self.memory = 0

    def run(self, count):
        process = subprocess.Popen(
            [self.program.binary, "--site", self.site, "up"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={k: v for k, v in os.environ.items() if not k.startswith("BOBBIN_")})
        time.sleep(1)
        began = time.monotonic()
        for number in range(count):
            # Held for a third of them: the kernel's queue of events runs over, and only a scan finds the rest.
            if number == count // 3:
                process.send_signal(signal.SIGSTOP)
            if number == count * 2 // 3:
                process.send_signal(signal.SIGCONT)
            self.drop(f"b{number}", number, f"p{2 + number % 8}")
        # A late one of the first priority must not wait for the other hundred thousand.
        dropped = time.monotonic() - began
        before = sum(self.results("done").values())
        self.drop("urgent", 0, "p1")
        urgent_after = None
        while True:
            done, failed = self.results("done"), self.results("failed")
            self.watch(process.pid)
            if urgent_after is None and "urgent" in done:
                urgent_after = sum(done.values()) - before
            if sum(done.values()) + sum(failed.values()) > count or process.poll() is not None:
                break
            if time.monotonic() - began > 60 + count / 50:
                break
            time.sleep(0.5)
        took = time.monotonic() - began
        bad = [f"the daemon ended with {process.returncode}"] if process.poll() is not None else []
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        return bad + self.judge(count, dropped, took, urgent_after)

    def drop(self, name, number, lane):
        outside = os.path.join(self.site, "outside", name)
        step = f"run: [./effect, {name}, once]" if number % EVERY == 0 else "log: x"
        with open(outside, "w") as file:
            file.write(f'dsl_version: "1.1"\nname: {name}\nsteps:\n  - {step}\n')
        directory = os.path.join(self.site, "spool/default", lane)
        os.makedirs(directory, exist_ok=True)
        os.rename(outside, os.path.join(directory, name + ".yaml"))

    def results(self, place):
        root = os.path.join(self.site, "spool", place)
        return collections.Counter(
            name[27:-len(".result.yaml")] for day in scenes.names(root) for name in scenes.names(os.path.join(root, day))
            if name.endswith(".result.yaml"))

    def watch(self, pid):
        try:
            with open(f"/proc/{pid}/status") as file:
                found = [line for line in file if line.startswith("VmRSS:")]
            self.memory = max(self.memory, int(found[0].split()[1]))
        except (FileNotFoundError, IndexError):
            pass

    def judge(self, count, dropped, took, urgent_after):
        bad = []
        done, failed = self.results("done"), self.results("failed")
        wanted = {f"b{n}" for n in range(count)} | {"urgent"}
        bad += [f"N1 {name} has no result" for name in sorted(wanted - set(done))[:10]]
        bad += [f"N2 {name} has {times} results" for name, times in done.items() if times > 1][:10]
        bad += [f"{name} failed" for name in list(failed)[:10]]
        counts, torn = scenes.ran(self.site)
        for number in range(0, count, EVERY):
            if counts.get((f"b{number}", "once"), 0) != 1:
                bad.append(f"N2 the effect of b{number} was there {counts.get((f'b{number}', 'once'), 0)} times")
        bad += [f"a torn effect: {line}" for line in torn]
        with open(os.path.join(self.site, "spool/log/bobbin.log")) as file:
            overflows = sum("more events than the queue holds" in line for line in file)
        self.report(
            f"  {count} dropped in {dropped:.1f} s, done after {took:.1f} s; events lost {overflows} times; "
            f"most memory {self.memory / 1024:.0f} MiB; of the others {urgent_after} ended before the urgent one was seen")
        with open("/proc/sys/fs/inotify/max_queued_events") as file:
            if count // 3 > int(file.read()) and overflows == 0:
                bad.append("no event was lost: this was no burst")
        # Looked at twice a second, at some hundreds of results each.
        if urgent_after is None or urgent_after > max(1000, count // 10):
            bad.append(f"the urgent job waited for {urgent_after} others")
        return bad
