"""What this is: the explorer of crash states: it records what a real run does to the disk, and rebuilds what a power cut
at each moment could have left; the program then recovers each such disk, and the judge of scene.py looks at it.
What it owns: the model of the disk: which changes a sync has covered, and in how many ways the others may be there or not.
What it never does: guess from the program's own words; believe a state that it has seen already to be a new one.
What happens on failure: the sentences, the cut, and which changes were not on the disk. With BOBBIN_KEEP=DIR the disk is
kept as the recovery left it. (A record differs a little from run to run, so a number alone does not make a state again.)

The model (the idea of ops/model, on real traces). Data: each page of 4 KiB that no sync covered is at any of its versions
since, sometimes with a 512-byte tear between two; the length likewise. Entries: `ordered` (a journal: a prefix of the
changes), `any` (any subset, each rename whole), `dup` (as any, but a rename may leave both names). Recovery itself is
recorded, too, and cut again.
"""
import hashlib
import os
import random
import shlex
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import scene as scenes

PAGE = 4096


class Disk:
    """A tree as it was when the record began: inode -> node."""

    def __init__(self, root):
        self.dirs, self.files, self.births, self.modes = {}, {}, {}, {}
        self.root = os.stat(root).st_ino
        self._read(root, self.root)

    def _read(self, path, inode):
        self.dirs[inode] = {}
        self.modes[inode] = os.stat(path).st_mode & 0o7777
        for name in sorted(os.listdir(os.fsencode(path))):
            full = os.path.join(os.fsencode(path), name)
            status = os.lstat(full)
            self.dirs[inode][name] = status.st_ino
            self.modes[status.st_ino] = status.st_mode & 0o7777
            if os.path.isdir(full) and not os.path.islink(full):
                self._read(os.fsdecode(full), status.st_ino)
            else:
                with open(full, "rb") as file:
                    self.files[status.st_ino] = file.read()


def parse(path):
    """The record as a list of (kind, fields)."""
    changes = []
    with open(path, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break           # a killed process may leave half a line
            words = line[:-1].decode().split("\t")
            changes.append((words[0], words[1:]))
    return changes


def raw(field):
    return b"" if field == "-" else bytes.fromhex(field)


def shown(fields):
    """Names readable, numbers as they are, data cut short."""
    out = []
    for field in fields:
        if isinstance(field, bytes):
            field = field.decode(errors="replace")
        elif isinstance(field, str) and len(field) > 11 and not field.startswith("z"):
            field = bytes.fromhex(field).decode(errors="replace")
        out.append(str(field)[:60])
    return " ".join(out)


class Trace:
    """The record, understood: entry changes with their inodes, data changes by file and page, and who covers what."""

    def __init__(self, disk, changes):
        self.disk = disk
        self.changes = changes
        entries = {d: dict(e) for d, e in disk.dirs.items()}
        self.entry = []         # (index, kind, details)
        self.starts = []        # (index, argv, environment)
        self.syncs = []         # (index, inode or None for all)
        self.data = {}          # inode -> [(index, offset, bytes)] and truncations as (index, None, length)
        self.made = set()       # directories that were made
        self.promises = []      # (index of the covering sync, directory, name, inode)
        results = []
        for index, (kind, f) in enumerate(changes):
            if kind == "create":
                directory, name, inode = int(f[0]), raw(f[1]), int(f[2])
                entries[directory][name] = inode
                # A number that is used again is another file.
                self.entry.append((index, "add", (directory, name, inode)))
                self.data.setdefault(inode, []).append((index, None, 0))
            elif kind == "mkdir":
                directory, name, inode = int(f[0]), raw(f[1]), int(f[2])
                entries[directory][name] = inode
                entries.setdefault(inode, {})
                self.made.add(inode)
                self.entry.append((index, "add", (directory, name, inode)))
            elif kind == "rename":
                a, name, b, new = int(f[0]), raw(f[1]), int(f[2]), raw(f[3])
                inode = entries[a].pop(name)
                entries[b][new] = inode
                self.entry.append((index, "ren", (a, name, b, new, inode)))
                if new.endswith(b".result.yaml"):
                    results.append((b, new, inode))
            elif kind == "remove":
                directory, name = int(f[0]), raw(f[1])
                inode = entries[directory].pop(name, None)
                if inode is not None:
                    self.entry.append((index, "del", (directory, name, inode)))
            elif kind == "write":
                data = bytes(int(f[2][1:])) if f[2].startswith("z") else raw(f[2])
                self.data.setdefault(int(f[0]), []).append((index, int(f[1]), data))
            elif kind == "truncate":
                self.data.setdefault(int(f[0]), []).append((index, None, int(f[1])))
            elif kind in ("sync", "syncall"):
                inode = int(f[0]) if kind == "sync" else None
                self.syncs.append((index, inode))
                for result in list(results):
                    if inode is None or inode == result[0]:
                        self.promises.append((index, *result))
                        results.remove(result)
            elif kind == "start":
                words = [raw(w).decode(errors="replace") for w in f]
                variables = dict(w.split("=", 1) for w in words if w.startswith("BOBBIN_") and "=" in w)
                self.starts.append((index, [w for w in words if not w.startswith("BOBBIN_")], variables))

    def versions(self, inode, upto):
        """Contents after each data change before `upto`, and the version that a sync has covered."""
        content = self.disk.files.get(inode, b"")
        history, covered = [content], 0
        changes = [c for c in self.data.get(inode, []) if c[0] < upto]
        for index, offset, value in changes:
            if offset is None:
                content = content[:value] + bytes(max(0, value - len(content)))
            else:
                content = content.ljust(offset, b"\0")
                content = content[:offset] + value + content[offset + len(value):]
            history.append(content)
        for sync, target in self.syncs:
            if sync < upto and target in (None, inode):
                covered = sum(1 for c in changes if c[0] < sync)
        return history, covered


class Explorer:
    def __init__(self, trace, scene, before, chance):
        """`before`: lines of effects that were there when the record began."""
        self.trace, self.scene, self.before, self.chance = trace, scene, before, chance
        self.cache = {}

    def state(self, upto=None, mode=None):
        """One disk that a cut before change `upto` can leave: (files by path, directories, inode by path, effects, promises)."""
        trace, chance = self.trace, self.chance
        if upto is None:
            upto = chance.randrange(1, len(trace.changes) + 1)
        mode = mode or chance.choice(["ordered", "any", "dup"])
        entries = {d: dict(e) for d, e in trace.disk.dirs.items()}
        for inode in trace.made:
            entries.setdefault(inode, {})
        kept = []
        for kind, details in self.kept(upto, mode):
            kept.append((kind, details))
            if kind == "add":
                directory, name, inode = details
                entries[directory][name] = inode
            elif kind == "ren":
                a, name, b, new, inode, both = details
                if not both and entries[a].get(name) == inode:
                    del entries[a][name]
                entries[b][new] = inode
            elif entries[details[0]].get(details[1]) == details[2]:
                del entries[details[0]][details[1]]
        files, directories, inodes = {}, [], {}
        self.walk(entries, trace.disk.root, b"", upto, files, directories, inodes, {})
        effects = list(self.before)
        for index, argv, variables in trace.starts:
            # By way of the program that stands in for ssh it is one text of quoted words.
            if argv and argv[0] == "ssh":
                argv = shlex.split(argv[-1])
            if index < upto and argv and argv[0] == "./effect":
                effects.append(f"{argv[1]} {argv[2]} {variables.get('BOBBIN_IDEMPOTENCY_KEY', '')}")
        promised = [(name, inode) for sync, _, name, inode in trace.promises if sync < upto]
        # What did not reach the disk is the whole story of a state.
        lost = [c for c in trace.entry if c[0] < upto and not any(
            k == c[1] and d[:len(c[2])] == c[2] and not (k == "ren" and d[-1]) for k, d in kept)]
        last = trace.changes[upto - 1]
        story = f"{mode}, cut after change {upto} ({last[0]} {shown(last[1])}); not on the disk: " + (
            "; ".join(f"{k} {shown(d)}" for _, k, d in lost) or "some data at most")
        return files, directories, inodes, effects, promised, story

    def kept(self, upto, mode):
        trace, chance = self.trace, self.chance
        changes = [c for c in trace.entry if c[0] < upto]
        forced, half = set(), {}
        for sync, target in trace.syncs:
            if sync >= upto:
                continue
            for index, kind, d in changes:
                if index > sync:
                    break
                if target is None:
                    forced.add(index)
                elif kind == "ren":
                    if target == d[2]:
                        half[index] = half.get(index, set()) | {"new"}
                    if target == d[0]:
                        half[index] = half.get(index, set()) | {"old"}
                elif target == d[0]:
                    forced.add(index)
        # A rename is one change; with `dup` its two halves are covered apart.
        if mode != "dup":
            forced |= set(half)
        if mode == "ordered":
            last = max(forced, default=-1)
            free = [c[0] for c in changes if c[0] > last]
            cut = chance.randint(0, len(free))
            keep = {c[0] for c in changes if c[0] <= last} | set(free[:cut])
        else:
            share = chance.choice([0.0, 0.1, 0.5, 0.9, 1.0])
            keep = forced | {c[0] for c in changes if c[0] not in forced and chance.random() < share}
        for index, kind, d in changes:
            if kind != "ren":
                if index in keep:
                    yield kind, d
                continue
            covered = half.get(index, set())
            if mode == "dup" and index not in forced:
                if index in keep or "new" in covered or "old" in covered:
                    both = "old" not in covered and chance.random() < 0.5
                    yield "ren", (*d, both)
            elif index in keep:
                yield "ren", (*d, False)

    def walk(self, entries, directory, prefix, upto, files, directories, inodes, seen):
        for name, inode in sorted(entries[directory].items()):
            path = prefix + b"/" + name if prefix else name
            if inode in entries and (inode in self.trace.disk.dirs or inode in self.trace.made):
                directories.append(path)
                self.walk(entries, inode, path, upto, files, directories, inodes, seen)
            else:
                if inode not in seen:
                    seen[inode] = self.content(inode, upto)
                files[path] = seen[inode]
                inodes[path] = inode

    def content(self, inode, upto):
        key = (inode, sum(1 for c in self.trace.data.get(inode, []) if c[0] < upto),
               sum(1 for s, t in self.trace.syncs if s < upto and t in (None, inode)))
        if key not in self.cache:
            self.cache[key] = self.trace.versions(inode, upto)
        history, covered = self.cache[key]
        if covered == len(history) - 1:
            return history[-1]
        chance = self.chance
        style = chance.random()
        if style < 0.3:
            return history[-1]
        if style < 0.6:
            return history[chance.randint(covered, len(history) - 1)]
        length = len(history[chance.randint(covered, len(history) - 1)])
        out = bytearray(length)
        for start in range(0, length, PAGE):
            versions = {h[start:start + PAGE] for h in history[covered:]}
            if len(versions) == 1:
                page = versions.pop()
            else:
                page = history[chance.randint(covered, len(history) - 1)][start:start + PAGE]
                if chance.random() < 0.2:
                    other = history[chance.randint(covered, len(history) - 1)][start:start + PAGE]
                    tear = 512 * chance.randint(1, 7)
                    page = page[:tear].ljust(tear, b"\0") + other[tear:]
            end = min(start + PAGE, length)
            out[start:end] = page[:end - start].ljust(end - start, b"\0")
        return bytes(out)


def digest(state):
    files, directories, inodes, effects, _, _ = state
    total = hashlib.blake2b(digest_size=16)
    twins = {}
    for path in sorted(files):
        if path in (b"spool/log/bobbin.log", b"effects"):
            continue
        total.update(path + b"\0" + hashlib.blake2b(files[path].rstrip(b"\0"), digest_size=8).digest())
        total.update(str(twins.setdefault(inodes[path], len(twins))).encode())
    total.update(b"\1".join(sorted(directories)) + "\n".join(effects).encode())
    return total.digest()


def build(state, disk, births, where):
    """Puts the state on a real disk; gives the table of inodes for the program."""
    files, directories, inodes, effects, _, _ = state
    os.makedirs(where)
    for path in directories:
        os.mkdir(os.path.join(os.fsencode(where), path))
    first, table = {}, []
    for path, content in files.items():
        target = os.path.join(os.fsencode(where), path)
        inode = inodes[path]
        if inode in first:
            os.link(first[inode], target)       # a rename that left both names
            continue
        first[inode] = target
        with open(target, "wb") as file:
            filled = content.rstrip(b"\0")
            file.write(filled)
            file.truncate(len(content))         # what was preallocated costs nothing here
        os.chmod(target, disk.modes.get(inode, 0o644))
        # One that the program made has the birth that the program says of it (Recorder.CopiedDisk).
        known = births.get(inode, (inode, 1_000_000_000 + inode))
        table.append(f"{os.stat(target).st_ino} {known[0]} {known[1]}")
    with open(os.path.join(where, "effects"), "w") as file:
        file.write("".join(line + "\n" for line in effects))
    for path in directories:
        mode = disk.modes.get(0)
        if path.startswith((b"spool/.bobbin", b"secrets")):
            os.chmod(os.path.join(os.fsencode(where), path), 0o700)
    with open(where + ".inodes", "w") as file:
        file.write("\n".join(table) + "\n")
    return where + ".inodes"


class Campaign:
    """Explores scenes for as long as it is given; counts what it really did."""

    def __init__(self, program, seed, report):
        self.program, self.seed, self.report, self.workers = program, seed, report, 6
        self.lock = threading.Lock()
        self.generated, self.recovered, self.nested, self.failures = 0, 0, 0, []
        self.seen = set()

    def record(self, name, scene):
        """One undisturbed run with its record; the site as it was before is kept for the model."""
        site = self.program.site(f"record-{name}-{self.seed}", scene)
        disk = Disk(site)
        births = {inode: (inode, self.birth(site, inode)) for inode in disk.files}
        time.sleep(scenes.SETTLE)
        trace, table = site + ".trace", site + ".inodes"
        with open(table, "w") as file:
            file.write("".join(f"{here} {then} {birth}\n" for here, (then, birth) in births.items()))
        code, said = self.program.run(site, BOBBIN_TRACE=trace, BOBBIN_INODES=table)
        bad = scenes.judge(site, scene)
        if code != 0 or bad:
            raise SystemExit(f"the scene {name} fails without any crash: {code} {bad}\n{said}")
        changes = parse(trace)
        shutil.rmtree(site)
        os.unlink(trace)
        os.unlink(table)
        return disk, births, changes

    @staticmethod
    def birth(site, inode):
        # The journal holds inode and birth; in the copies both come from the table, so any number does that stays the same.
        return 1_000_000_000 + inode

    def explore(self, name, until, most_states, batch=24, nested=1):
        scene = scenes.SCENES[name]
        disk, births, changes = self.record(name, scene)
        chance = random.Random(f"{self.seed}/{name}")
        explorer = Explorer(Trace(disk, changes), scene, [], chance)
        number = 0
        while time.monotonic() < until and number < most_states:
            ready = []
            while len(ready) < batch and number < most_states and time.monotonic() < until:
                number += 1
                state = explorer.state()
                self.generated += 1
                mark = digest(state)
                if mark in self.seen:
                    continue
                self.seen.add(mark)
                ready.append((number, state))
            self.recover(name, scene, disk, births, explorer.trace, ready, nested, until, f"{self.seed}:{name}")
        return number

    def recover(self, name, scene, disk, births, trace, ready, nested, until, label):
        made = []
        for number, state in ready:
            where = os.path.join(self.program.where, f"s-{name}-{label.replace(':', '-').replace('/', '-')}-{number}")
            for path, text in state[0].items():
                if path.endswith(b".result.yaml") and path.startswith((b"spool/done", b"spool/failed")) and not scenes.is_whole(text):
                    self.fail(label, number, [f"N3 at the moment of the crash {path.decode()} is not whole"])
            made.append((number, state, where, build(state, disk, births, where), time.monotonic()))

        def one(item):
            number, state, where, table, since = item
            if time.monotonic() > until + 5:
                shutil.rmtree(where, ignore_errors=True)
                os.unlink(table)
                return
            time.sleep(max(0, since + scenes.SETTLE - time.monotonic()))
            before = Disk(where) if nested else None
            environment = {"BOBBIN_INODES": table}
            if nested:
                environment["BOBBIN_TRACE"] = where + ".trace"
            code, said = self.program.run(where, **environment)
            with self.lock:
                self.recovered += 1
            bad = [f"recovery ended with {code}: {said[-600:]}"] if code != 0 else []
            bad += scenes.judge(where, scene)
            after = scenes.results(where)
            for file, inode in state[4]:
                wanted = trace.versions(inode, len(trace.changes))[0][-1]
                if not any(path.endswith(os.fsdecode(file)) and text == wanted for path, text in after.items()):
                    bad.append(f"N4 the result {os.fsdecode(file)} was promised, and is not there as it was")
            if bad:
                self.fail(label, number, bad + [state[5]], where)
            elif nested and time.monotonic() < until:
                self.again(name, scene, births, where, before, table, state, nested - 1, until, f"{label}:{number}")
            for rest in (where + ".trace", table):
                if os.path.exists(rest):
                    os.unlink(rest)
            shutil.rmtree(where, ignore_errors=True)

        # Mostly waiting, for files to be old enough and for programs to end.
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            list(pool.map(one, made))

    def again(self, name, scene, births, where, before, table, state, nested, until, label):
        """Cuts the recovery as well: two states of each."""
        known = dict(births)
        with open(table) as file:
            for line in file.read().splitlines():
                words = line.split()
                if len(words) == 3:
                    known[int(words[0])] = (int(words[1]), int(words[2]))
        changes = parse(where + ".trace")
        if not changes:
            return
        chance = random.Random(label)
        explorer = Explorer(Trace(before, changes), scene, state[3], chance)
        ready = []
        for number in range(1, 3):
            inner = explorer.state()
            self.generated += 1
            # What had been promised before this recovery is promised still; its bytes are in the trace of then.
            mark = digest(inner)
            if mark in self.seen:
                continue
            self.seen.add(mark)
            self.nested += 1
            ready.append((number, inner))
        self.recover(name, scene, before, known, explorer.trace, ready, nested, until, label)

    def fail(self, label, number, bad, where=None):
        self.failures.append((label, number, bad))
        self.report(f"FAILED crash state {label}:{number}")
        for sentence in bad:
            self.report(f"  {sentence}")
        if where and os.environ.get("BOBBIN_KEEP"):
            shutil.copytree(where, os.path.join(os.environ["BOBBIN_KEEP"], os.path.basename(where)), symlinks=True)
