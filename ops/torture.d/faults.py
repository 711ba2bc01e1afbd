"""What this is: the loops of faults: one real run after another, each disturbed at another system call.
What it owns: the kinds of blow: an errno once, an errno from there on, SIGKILL before and after the call, and a second blow
in the recovery; the count of the points that were really tried.
What it never does: aim at a thread: a point is the n-th call of the process, and what stands there may differ from run to run.
What happens on failure: the sentence and the environment that makes the same blow (BOBBIN_FAULT, see SystemCalls.swift).
"""
import random
import shutil
import threading
import time

import scene as scenes

ERRORS = {"ENOSPC": 28, "EIO": 5, "EMFILE": 24, "EDQUOT": 122, "EACCES": 13, "ENOMEM": 12, "EROFS": 30, "EINTR": 4}


class Loops:
    def __init__(self, program, seed, report, workers=2):
        self.program, self.seed, self.report, self.workers = program, seed, report, workers
        self.tried, self.hit, self.failures = {}, {}, []
        self.lock = threading.Lock()
        self.known = {}

    def calls(self, name):
        """How many calls the scene makes undisturbed: the first number that no longer hits."""
        if name not in self.known:
            self.known[name] = self._calls(name)
        return self.known[name]

    def _calls(self, name):
        low, high = 1, 256
        while self.hits(name, high):
            low, high = high, high * 2
        while high - low > 32:
            middle = (low + high) // 2
            if self.hits(name, middle):
                low = middle
            else:
                high = middle
        return high

    def hits(self, name, number):
        site = self.program.site(f"count-{name}-{number}", scenes.SCENES[name])
        time.sleep(scenes.SETTLE)
        code, _ = self.program.run(site, BOBBIN_FAULT=f"any:{number}:kill")
        shutil.rmtree(site)
        return code == -9

    def loop(self, name, kinds, until, most=10**9, shuffle=True):
        """Goes through all points of the scene with these kinds of blow until the time is over."""
        chance = random.Random(f"{self.seed}/{name}")
        last = self.calls(name)
        points = [(n, kind) for n in range(1, last + 1) for kind in kinds]
        if shuffle:
            chance.shuffle(points)
        points = points[:most]
        total = len(points)
        queue = iter(points)

        def work(worker):
            ready = []
            while time.monotonic() < until or ready:
                while len(ready) < 12 and time.monotonic() < until:
                    with self.lock:
                        point = next(queue, None)
                    if point is None:
                        break
                    number, kind = point
                    site = self.program.site(f"f-{name}-{kind.replace(':', '_')}-{number}-{worker}", scenes.SCENES[name])
                    ready.append((point, site, time.monotonic()))
                if not ready:
                    return
                point, site, since = ready.pop(0)
                time.sleep(max(0, since + scenes.SETTLE - time.monotonic()))
                self.one(name, site, *point)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(self.workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return total

    def one(self, name, site, number, kind):
        scene = scenes.SCENES[name]
        blow, second = (kind.split(" then ") + [None])[:2]
        lasting = "+" if blow.endswith("+") else ""
        what = str(ERRORS.get(blow.rstrip("+"), blow))
        # What is only interrupted or cut short is made again inside: nothing may differ in the end.
        harmless = blow in ("EINTR", "EINTR+")
        faulted = not (harmless or blow.startswith("kill")) or bool(second and not second.startswith("kill"))
        fault = f"any:{number}{lasting}:{what}"
        # What fails for ever waits for ever, as it should: a few seconds show that it stays where it is.
        code, said = self.program.run(site, seconds=5 if lasting else 30, BOBBIN_FAULT=fault, **({"BOBBIN_SHORT": "1"} if harmless else {}))
        bad = []
        if harmless and code != 0:
            bad.append(f"E9 it ended with {code}: {said[-600:]}")
        if code == 999 and not lasting:
            bad.append(f"N9 it hung: {said[-300:]}")
        if code < 0 and code != -9 and code != -6:
            bad.append(f"it died of signal {-code}: {said[-600:]}")
        if code in (-4, -5, -11, -6):
            bad.append(f"it crashed ({code}): {said[-900:]}")
        bad += scenes.judge(site, scene, settled=False, faulted=faulted)
        if second:
            again = f"any:{number}:{ERRORS.get(second, second)}"
            self.program.run(site, seconds=30, BOBBIN_FAULT=again)
            bad += scenes.judge(site, scene, settled=False, faulted=faulted)
        code, said = self.program.run(site, seconds=60)
        if code != 0:
            bad.append(f"the undisturbed run after it ended with {code}: {said[-600:]}")
        bad += scenes.judge(site, scene, faulted=faulted)
        key = f"{name}: {kind}"
        with self.lock:
            self.tried[key] = self.tried.get(key, 0) + 1
            if bad:
                self.failures.append((name, number, kind, bad))
                self.report(f"FAILED {name}, BOBBIN_FAULT={fault}" + (f", then {second}" if second else ""))
                for sentence in sorted(set(bad)):
                    self.report(f"  {sentence}")
        shutil.rmtree(site, ignore_errors=True)
