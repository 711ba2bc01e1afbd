"""What this is: the sweep of small disks: a site on a tmpfs with so many bytes or so many inodes left, from none to enough.
What it owns: the mounts; how much is left; whether the program stopped cleanly there and went on when the disk grew.
What it never does: fill the disk that it runs from; count itself as run where it may not mount.
What happens on failure: sentences with the kind and the number left, which make the same disk again.
"""
import ctypes
import os
import random
import shutil
import signal
import subprocess
import time

import scene as scenes

LIBC = ctypes.CDLL(None, use_errno=True)
REMOUNT, DETACH = 32, 2
ROOM = {"size": 256 << 20, "nr_inodes": 100_000}


def mount(place, flags=0, **limits):
    options = ",".join(f"{key}={value}" for key, value in (ROOM | limits).items())
    if LIBC.mount(b"tmpfs", os.fsencode(place), b"tmpfs", flags, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), options)


def possible(where):
    place = os.path.join(where, "try-mount")
    os.makedirs(place, exist_ok=True)
    try:
        mount(place)
    except OSError:
        return False
    LIBC.umount2(os.fsencode(place), DETACH)
    return True


class Disks:
    def __init__(self, program, seed, report):
        self.program, self.report = program, report
        self.chance = random.Random(f"disks/{seed}")
        self.points, self.failures, self.stopped = 0, 0, 0
        self.endings = {}

    def sweep(self, until):
        """From the smallest to the largest, then at random, until the time is over."""
        steps = [("inodes", left) for left in range(0, 44, 2)] + [("bytes", left) for left in range(0, 22 << 20, 1 << 20)]
        self.chance.shuffle(steps)
        while time.monotonic() < until:
            kind, left = steps.pop() if steps else (
                ("inodes", self.chance.randrange(80)) if self.chance.random() < 0.4 else
                ("bytes", self.chance.randrange(0, 12 << 20, 4096)))
            name = self.chance.choice(list(scenes.SCENES))
            bad = self.one(name, kind, left)
            self.points += 1
            self.failures += bool(bad)
            for sentence in sorted(set(bad)):
                self.report(f"  FAILED {name} with {left} {kind} left: {sentence}")

    def one(self, name, kind, left):
        place = os.path.join(self.program.where, f"disk-{self.points}")
        os.mkdir(place)
        mount(place)
        site = os.path.join(place, "site")
        try:
            self.fill(site, scenes.SCENES[name], place)
            facts = os.statvfs(place)
            used = facts.f_files - facts.f_ffree, (facts.f_blocks - facts.f_bfree) * facts.f_frsize
            limit = {"nr_inodes": used[0] + left} if kind == "inodes" else {"size": used[1] + left}
            mount(place, REMOUNT, **limit)
            bad = self.crowded(site, name)
            mount(place, REMOUNT)
            code, said = self.program.run(site, seconds=60)
            if code != 0:
                bad.append(f"with room again it ended with {code}: {said[-500:]}")
            return bad + scenes.judge(site, scenes.SCENES[name], faulted=True)
        finally:
            LIBC.umount2(os.fsencode(place), DETACH)
            os.rmdir(place)

    def fill(self, site, scene, place):
        shutil.copytree(self.program.empty, site, symlinks=True)
        # What counts the effects must not be short of room itself.
        os.remove(os.path.join(site, "effects"))
        effects = os.path.join(self.program.where, f"effects-{self.points}")
        open(effects, "w").close()
        os.symlink(effects, os.path.join(site, "effects"))
        for path, text in scene.drops.items():
            target = os.path.join(site, "spool", path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w") as file:
                file.write(text)
        self.program.ask(site, scene)
        time.sleep(scenes.SETTLE)

    def crowded(self, site, name):
        """Runs while the disk is small; ends it by a stop or by force."""
        process = subprocess.Popen(
            [self.program.binary, "--site", site, "run", "--until-idle"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=scenes.variables_of(site))
        bad = []
        try:
            said, _ = process.communicate(timeout=self.chance.uniform(0.3, 2))
        except subprocess.TimeoutExpired:
            # It waits for room, which is right.
            self.stopped += 1
            process.send_signal(self.chance.choice([signal.SIGTERM, signal.SIGKILL]))
            try:
                said, _ = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                bad.append("a stop on the small disk did not end within 20 s")
                process.kill()
                said, _ = process.communicate()
        self.endings[process.returncode] = self.endings.get(process.returncode, 0) + 1
        # -15: the stop came before it could listen for one.
        if process.returncode not in (0, -9, -15, 65, 69, 73, 74, 75, 78):
            bad.append(f"on the small disk it ended with {process.returncode}: {said.decode(errors='replace')[-500:]}")
        return bad + scenes.judge(site, scenes.SCENES[name], settled=False, faulted=True)
