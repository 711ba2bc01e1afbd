"""What this is: the crowd: eight runners on one spool, second daemons that try each name, kills, and an attacker who swaps
names, contents, links, directories and special files while files are judged and claimed.
What it owns: honest drops (each must run exactly once) and the attacker's (at most once each; what he points at, never).
What it never does: attack what the service owns (claims, journal, results): whoever may write there is the service.
What happens on failure: sentences; the site is kept and named.
"""
import ctypes
import os
import random
import signal
import subprocess
import threading
import time

import scene as scenes

LIBC = ctypes.CDLL(None, use_errno=True)
EXCHANGE = 2
CONFIGURATION = """shutdown_grace: 5s
kill_grace: 1s
queues:
  default: {max_concurrent: 4, retry_policy: {max_attempts: 1}}
  background: {max_concurrent: 2}
"""
RUNNERS = 8


def exchange(one, other):
    return LIBC.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), EXCHANGE) == 0


def must_exchange(one, other):
    """As the attacker's other calls: a lost race is an OSError, and the blow does not count."""
    if not exchange(one, other):
        raise OSError(ctypes.get_errno(), "renameat2", one)


def text(name):
    return f'dsl_version: "1.1"\nname: {name}\nsteps:\n  - run: [./effect, {name}, once]\n'


class Crowd:
    def __init__(self, program, seed, report):
        self.program, self.report = program, report
        self.chance = random.Random(f"crowd/{seed}")
        self.seed = seed
        self.site = program.site("crowd", scenes.Scene("crowd", {}, {}))
        with open(os.path.join(self.site, "ops/orchestrator.yaml"), "w") as file:
            file.write(CONFIGURATION)
        self.outside = os.path.join(self.site, "outside")
        self.cage = os.path.join(self.outside, "trap")
        os.makedirs(self.cage)
        self.put(os.path.join(self.outside, "poison.yaml"), "poison")
        self.put(os.path.join(self.cage, "poison.yaml"), "poison")
        self.lanes = [os.path.join(self.site, "spool", queue, f"p{n}") for queue in ("default", "background") for n in (1, 5, 9)]
        for lane in self.lanes:
            os.makedirs(lane, exist_ok=True)
        self.honest, self.blows, self.kills, self.refused = [], {}, 0, 0
        self.lock, self.over = threading.Lock(), False
        self.runners = {}

    def put(self, path, name, slow=False):
        with open(path, "w") as file:
            # A slow one is likely to be met by a kill.
            file.write(text(name) + ("  - run: [sleep, 0.2]\n" if slow else ""))

    # --- runners --------------------------------------------------------------------------------------------------

    def start(self, name):
        """Starts a runner and waits until it has its place (its lock names it)."""
        process = self.spawn(name)
        lock = os.path.join(self.site, "spool/.bobbin/runners", name, "lock")
        patience = time.monotonic() + 20
        while time.monotonic() < patience and process.poll() is None:
            try:
                with open(lock) as file:
                    if f"pid {process.pid} " in file.read():
                        # From the place to the first listening for a signal.
                        time.sleep(0.2)
                        break
            except OSError:
                pass
            time.sleep(0.02)
        return process

    def spawn(self, name, said=None):
        variables = {k: v for k, v in os.environ.items() if not k.startswith("BOBBIN_")} | {"BOBBIN_SETTLE": "50ms", "BOBBIN_RESCAN": "500ms"}
        return subprocess.Popen([self.program.binary, "--site", self.site, "run", "--runner", name], env=variables,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.said(said or name), "wb" if said else "ab"))

    def said(self, name):
        return os.path.join(self.outside, f"{name}.said")

    def last_words(self, name):
        with open(self.said(name), errors="replace") as file:
            return file.read()[-400:]

    def disturb(self, bad):
        """A kill and a new start, or a second daemon of the same name, which must be refused."""
        name = self.chance.choice(list(self.runners))
        if self.chance.random() < 0.5:
            second = self.spawn(name, said="second")
            try:
                second.wait(timeout=20)
            except subprocess.TimeoutExpired:
                second.kill()
                bad.append(f"R1 a second runner {name} went to work")
                return
            if second.returncode != 75 or "E-RUNNING" not in self.last_words("second"):
                bad.append(f"R1 a second runner {name} ended with {second.returncode}: {self.last_words('second')}")
            self.refused += 1
            return
        self.end(name, signal.SIGKILL, bad)
        self.kills += 1
        self.runners[name] = self.start(name)

    def end(self, name, number, bad):
        process = self.runners[name]
        if process.poll() is not None:
            bad.append(f"runner {name} ended by itself with {process.returncode}: {self.last_words(name)}")
            return
        process.send_signal(number)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            bad.append(f"runner {name} did not end")
            process.kill()
            return
        if number == signal.SIGTERM and process.returncode != 0:
            bad.append(f"runner {name} ended with {process.returncode}: {self.last_words(name)}")

    # --- honest people --------------------------------------------------------------------------------------------

    def work(self):
        chance = random.Random(f"honest/{self.seed}")
        while not self.over:
            name = f"h{len(self.honest)}"
            source = os.path.join(self.outside, name)
            self.put(source, name, slow=chance.random() < 0.2)
            # While the attacker has another directory in the lane's place, what goes in there is his.
            with self.lock:
                os.rename(source, os.path.join(chance.choice(self.lanes), name + ".yaml"))
            self.honest.append(name)
            time.sleep(chance.expovariate(40))

    # --- the attacker ---------------------------------------------------------------------------------------------

    def attack(self, number):
        chance = random.Random(f"attack/{self.seed}/{number}")
        count = 0
        while not self.over:
            count += 1
            kind = chance.choice(["replace", "swap", "link", "symlink", "fifo", "directory", "rewrite", "lane", "trap", "command"])
            try:
                getattr(self, kind)(chance, f"a{number}x{count}")
                self.blows[kind] = self.blows.get(kind, 0) + 1
            except OSError:
                pass        # the file was claimed first: that is the race
            time.sleep(chance.expovariate(60))

    def drop(self, chance, name):
        source = os.path.join(self.outside, name)
        self.put(source, name)
        target = os.path.join(chance.choice(self.lanes), name + ".yaml")
        os.rename(source, target)
        return target

    def replace(self, chance, name):
        target = self.drop(chance, name)
        other = os.path.join(self.outside, name + "b")
        self.put(other, name + "b")
        time.sleep(chance.choice([0, 0.001, 0.003]))
        os.rename(other, target)

    def swap(self, chance, name):
        one, other = self.drop(chance, name), self.drop(chance, name + "b")
        for _ in range(chance.randint(1, 20)):
            must_exchange(one, other)

    def link(self, chance, name):
        one = self.drop(chance, name)
        os.link(one, os.path.join(chance.choice(self.lanes), name + "b.yaml"))

    def symlink(self, chance, name):
        one, link = self.drop(chance, name), os.path.join(self.outside, name + ".link")
        os.symlink(os.path.join(self.outside, "poison.yaml"), link)
        time.sleep(chance.choice([0, 0.001, 0.003]))
        if not exchange(one, link):
            os.rename(link, one)

    def fifo(self, chance, name):
        one, pipe = self.drop(chance, name), os.path.join(self.outside, name + ".pipe")
        os.mkfifo(pipe)
        time.sleep(chance.choice([0, 0.001]))
        os.rename(pipe, one)

    def directory(self, chance, name):
        one, place = self.drop(chance, name), os.path.join(self.outside, name + ".dir")
        os.mkdir(place)
        must_exchange(one, place)

    def rewrite(self, chance, name):
        one = self.drop(chance, name)
        descriptor = os.open(one, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, chance.choice([0, 10, 40]))
            time.sleep(chance.choice([0, 0.001]))
            os.pwrite(descriptor, text(name + "b").encode(), 0)
        finally:
            os.close(descriptor)

    def lane(self, chance, name):
        """Another directory in the lane's place for a moment."""
        other = os.path.join(self.outside, name + ".lane")
        os.mkdir(other)
        self.put(os.path.join(other, name + ".yaml"), name)
        self.away(chance.choice(self.lanes), other, chance)

    def trap(self, chance, name):
        """A link to a directory outside in the lane's place for a moment: what lies there must never run."""
        link = os.path.join(self.outside, name + ".trap")
        os.symlink(self.cage, link)
        self.away(chance.choice(self.lanes), link, chance)

    def away(self, lane, other, chance):
        with self.lock:
            must_exchange(lane, other)
            time.sleep(chance.choice([0.001, 0.02]))
            while not exchange(lane, other):
                time.sleep(0.001)

    def command(self, chance, name):
        control = os.path.join(self.site, "spool/control")
        kind = chance.choice(["cancel-", "resolve-", "hold-", "x", "cancel-01KAJ0000000000000000000AA"])
        place = os.path.join(control, f"{kind}{name}")
        chance.choice([lambda: os.symlink("/etc/passwd", place), lambda: os.mkdir(place),
                       lambda: os.mkfifo(place), lambda: open(place, "wb").write(os.urandom(chance.randint(0, 9000)))])()

    # --- the whole ------------------------------------------------------------------------------------------------

    def run(self, seconds):
        bad = []
        for number in range(RUNNERS):
            self.runners[f"r{number}"] = self.start(f"r{number}")
        time.sleep(1)
        def guarded(work, *arguments):
            try:
                work(*arguments)
            except Exception as error:      # noqa: BLE001 - whatever it is, the campaign must not pass without this thread
                bad.append(f"a thread of the campaign ended: {error!r}")

        threads = [threading.Thread(target=guarded, args=(self.work,))] + [
            threading.Thread(target=guarded, args=(self.attack, n)) for n in range(2)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                time.sleep(self.chance.uniform(0.5, 2))
                self.disturb(bad)
        finally:
            self.over = True
            for thread in threads:
                thread.join()
        for name in list(self.runners):
            self.end(name, signal.SIGTERM, bad)
        code, said = self.program.run(self.site, seconds=120, runner="last")
        if code != 0:
            bad.append(f"the last runner ended with {code}: {said[-400:]}")
        return bad + self.judge()

    def judge(self):
        bad = []
        found, counts = scenes.places(self.site), scenes.ran(self.site)
        interrupted = 0
        for name in self.honest:
            there = found.get(name + ".yaml", [])
            times = counts[0].get((name, "once"), 0)
            if len(there) != 1:
                bad.append(f"N1 {name} is in {[path for _, path in there] or 'no place'}")
            elif there[0][0] == "parked" and "/interrupted/" in there[0][1]:
                interrupted += 1
            elif there[0][0] != "done" or times != 1:
                bad.append(f"{name} is in {there[0][1]} and ran {times} times")
        for (name, _), times in counts[0].items():
            if times > 1:
                bad.append(f"N2 {name} ran {times} times")
            if name == "poison":
                bad.append("a file outside the spool was run")
        bad += [f"a torn effect: {line}" for line in counts[1]]
        for path, content in scenes.results(self.site).items():
            if not scenes.is_whole(content):
                bad.append(f"N3 {path} is not whole")
        ran = sum(name.startswith("a") for name, _ in counts[0])
        self.report(
            f"  {len(self.honest)} honest jobs ({interrupted} interrupted by a kill and waiting for a person), {sum(self.blows.values())} "
            f"attacks of {len(self.blows)} kinds ({ran} of the attacker's files ran), {self.kills} kills, {self.refused} second daemons refused")
        # A kill interrupts what runs just then, which is no more than there are slots.
        if interrupted > 6 * self.kills:
            bad.append(f"{interrupted} runs were interrupted by {self.kills} kills")
        if len(self.honest) < 10 or len(self.blows) < 8:
            bad.append(f"hardly anything was tried: {len(self.honest)} jobs, {self.blows}")
        return bad
