"""What this is: the soak: a daemon that works for hours under a steady stream of jobs, and is killed again and again.
What it owns: the stream, the kills, the samples of descriptors, memory, threads, zombies and files, and whether they are flat.
What it never does: ask the program whether all is well: at the end it counts files and effects against its own book.
What happens on failure: sentences; the site is kept and named.
"""
import os
import random
import signal
import statistics
import subprocess
import time

import scene as scenes

CONFIGURATION = """shutdown_grace: 5s
kill_grace: 1s
queues:
  default: {max_concurrent: 3, retry_policy: {max_attempts: 3, base_delay: 50ms, backoff_multiplier: 1}}
  background: {max_concurrent: 2}
"""
# kind -> (steps of the job, states it may end in); `once` must never have its effect twice.
KINDS = {
    "effect": ('  - run: [./effect, {n}, once]\n', {"succeeded"}),
    "steps": ('  - run: [./effect, {n}, once]\n  - log: "{n}"\n  - set: {{a: 1}}\n', {"succeeded"}),
    "again": ('  - run: [./effect, {n}, again]\n    idempotent: true\n', {"succeeded"}),
    "fails": ('  - run: [./effect, {n}, once]\n  - fail: on purpose\n', {"failed"}),
    "retry": ('  - run: [sh, -c, "test $BOBBIN_ATTEMPT -ge 2"]\n    idempotent: true\n'
              '    retry: {{max_attempts: 5, base_delay: 20ms}}\n', {"succeeded"}),
    "noop": ('  - log: x\n', {"succeeded"}),
    "bad": ('  - logg: x\n', {"rejected"}),
}


class Soak:
    def __init__(self, program, seed, report, rate=15):
        self.program, self.report, self.rate = program, report, rate
        self.chance = random.Random(f"soak/{seed}")
        self.site = program.site("soak", scenes.Scene("soak", {}, {}))
        with open(os.path.join(self.site, "ops/orchestrator.yaml"), "w") as file:
            file.write(CONFIGURATION)
        os.mkdir(os.path.join(self.site, "outside"))
        self.book, self.samples, self.kills, self.stops = {}, [], 0, 0
        self.process = None

    # --- the daemon -----------------------------------------------------------------------------------------------

    def start(self):
        variables = {k: v for k, v in os.environ.items() if not k.startswith("BOBBIN_")}
        self.process = subprocess.Popen(
            [self.program.binary, "--site", self.site, "up"], env=variables, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.program.where, "soak.said"), "ab"))
        self.since = time.monotonic()

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    # --- the stream -----------------------------------------------------------------------------------------------

    def drop(self):
        kind = self.chance.choice(list(KINDS))
        name = f"s{len(self.book)}"
        lane = os.path.join(self.site, "spool", self.chance.choice(["default", "background"]), f"p{self.chance.randint(1, 9)}")
        os.makedirs(lane, exist_ok=True)
        outside = os.path.join(self.site, "outside", name)
        with open(outside, "w") as file:
            file.write(f'dsl_version: "1.1"\nname: {name}\nsteps:\n' + KINDS[kind][0].format(n=name))
        os.rename(outside, os.path.join(lane, name + ".yaml"))
        self.book[name] = kind

    def sample(self):
        pid = self.process.pid
        try:
            with open(f"/proc/{pid}/status") as file:
                facts = dict(line.split(":", 1) for line in file.read().splitlines())
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                children = file.read().split()
        except FileNotFoundError:
            return      # just ended
        zombies = 0
        for child in children:
            try:
                with open(f"/proc/{child}/stat") as file:
                    zombies += file.read().rsplit(")", 1)[1].split()[0] == "Z"
            except (FileNotFoundError, ProcessLookupError):
                pass
        own = sum(len(names) for _, _, names in os.walk(os.path.join(self.site, "spool/.bobbin")))
        self.samples.append({
            "descriptors": descriptors, "memory_kb": int(facts["VmRSS"].split()[0]), "threads": int(facts["Threads"]),
            "zombies": zombies, "own_files": own})

    def answer(self):
        """A person's word on what was interrupted: skip."""
        spool = os.path.join(self.site, "spool")
        for name in scenes.names(os.path.join(spool, "parked/interrupted")):
            with open(os.path.join(spool, "outside-answer"), "w") as file:
                file.write("skip\n")
            os.rename(os.path.join(spool, "outside-answer"), os.path.join(spool, "control", "resolve-" + name[:26]))

    # --- the whole ------------------------------------------------------------------------------------------------

    def run(self, seconds):
        end = time.monotonic() + seconds
        self.start()
        next_blow = time.monotonic() + self.chance.uniform(5, 25)
        next_sample = time.monotonic() + 3
        while time.monotonic() < end:
            self.drop()
            time.sleep(self.chance.expovariate(self.rate))
            now = time.monotonic()
            if now >= next_sample:
                next_sample = now + 2
                # A daemon that just began is still filling its tables.
                if now - self.since > 3:
                    self.sample()
                self.answer()
            if now >= next_blow:
                next_blow = now + self.chance.uniform(5, 25)
                if self.chance.random() < 0.8:
                    self.kills += 1
                    self.end(signal.SIGKILL)
                else:
                    self.stops += 1
                    code = self.end(signal.SIGTERM)
                    if code != 0:
                        return [f"a stop ended with {code}"]
                self.start()
        return self.settle()

    def settle(self):
        patience = time.monotonic() + 120
        while time.monotonic() < patience:
            self.answer()
            found = scenes.places(self.site)
            if all(found.get(n + ".yaml", [("", "")])[0][0] in ("done", "failed", "rejected") for n in self.book):
                break
            time.sleep(0.5)
        self.end(signal.SIGTERM)
        return self.judge()

    def judge(self):
        bad = []
        found, counts = scenes.places(self.site), scenes.ran(self.site)
        states = {}
        for path, text in scenes.results(self.site).items():
            if not scenes.is_whole(text):
                bad.append(f"N3 {path} is not whole")
            words = dict(line.split(": ", 1) for line in text.decode().splitlines() if line[:1].isalpha() and ": " in line)
            states[words.get("job", "")] = words.get("state", "")
        for name, kind in self.book.items():
            there = found.get(name + ".yaml", [])
            if len(there) != 1:
                bad.append(f"N1 {name} ({kind}) is in {[path for _, path in there] or 'no place'}")
                continue
            state = "rejected" if there[0][0] == "rejected" else states.get(name, "without a result")
            if state not in KINDS[kind][1]:
                bad.append(f"{name} ({kind}) ended as {state}")
            once = counts[0].get((name, "once"), 0)
            if once > 1:
                bad.append(f"N2 {name} ({kind}) had its effect {once} times")
        bad += [f"nobody dropped {name}" for name in found if name[:-5] not in self.book]
        bad += [f"a torn effect: {line}" for line in counts[1]]
        return bad + self.flat()

    def flat(self):
        """Compares the last third of the samples with the first."""
        third = len(self.samples) // 3
        if third < 5:
            return ["too few samples to say whether anything grows"]
        bad = []
        for key, room in {"descriptors": 8, "memory_kb": 30_000, "threads": 1, "own_files": 6}.items():
            first = statistics.median(s[key] for s in self.samples[:third])
            last = statistics.median(s[key] for s in self.samples[-third:])
            self.report(f"  {key}: median {first:g} in the first third, {last:g} in the last, most {max(s[key] for s in self.samples)}")
            if last > first + room:
                bad.append(f"{key} grew from {first:g} to {last:g}")
        zombies = [s["zombies"] for s in self.samples]
        self.report(f"  zombies: {sum(z > 0 for z in zombies)} of {len(zombies)} samples had any, most {max(zombies)}")
        if statistics.median(zombies) > 0:
            bad.append("zombies stay")
        return bad
