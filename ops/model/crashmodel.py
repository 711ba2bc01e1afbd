#!/usr/bin/env python3
"""What this is: a model of Bobbin's durable protocol and a search through its crashes (power loss, kill -9, takeover).
What it owns: the list of syncs and rules that the protocol needs (README.md beside it has the measured numbers).
What it never does: touch a real spool, start a process, or use anything outside Python's standard library.
What happens on failure: each kind of violation is printed with the first path that led to it, and the exit code is 1.
How to run: crashmodel.py (minutes, nested 3), --quick (CI, below 30 s), --trace LABEL (how it breaks without LABEL).
"""
import argparse
import sys
import time
from itertools import product
from typing import NamedTuple

TORN = "<torn>"
RANK = {"ready": 0, "started": 1, "parked": 1, "ended": 9}


class Run(NamedTuple):
    """State of one run; each journal record carries the whole of it, so replay is: the last record wins."""
    drop: str
    ino: int
    text: str
    pos: int = 0            # next step
    phase: str = "ready"    # ready, started, parked, ended
    out: str = ""           # the result bytes

    def rank(self):
        return (RANK[self.phase] == 9, self.pos, RANK[self.phase])


class Scenario(NamedTuple):
    name: str
    jobs: dict              # drop -> steps: O at most once, I idempotent, P park and resume
    runners: tuple = ("r1",)
    loss: int = 2           # power losses, nested
    kills: int = 0
    switches: int = 0       # preemptions between two power losses; switching away from an idle runner is free
    requeue: str = ""       # this drop's job file is moved from done/ back into drop/ once its answer was told


class Mem:
    """What one runner process knows; gone when it dies."""
    __slots__ = ("phase", "todo", "runs", "buf", "seg", "locks", "retired")

    def __init__(self, r):
        self.phase, self.todo, self.runs, self.buf, self.seg = "boot", (), {}, (), None
        self.locks, self.retired = frozenset([r]), frozenset()

    def copy(self):
        m = Mem.__new__(Mem)
        for f in Mem.__slots__:
            setattr(m, f, getattr(self, f))
        m.runs = dict(m.runs)
        return m

    def key(self):
        return (self.phase, self.todo, frozenset(self.runs.items()), self.buf, self.seg, self.locks, self.retired)


class State:
    """Disk as seen (ent, data), disk as durable (dent, ddata), what may or may not persist (pend), processes, truth."""
    __slots__ = ("ent", "data", "dent", "ddata", "pend", "execd", "told", "procs", "rlock", "cur",
                 "loss", "kills", "switches", "requeue", "path")

    def copy(self):
        s = State.__new__(State)
        for f in State.__slots__:
            setattr(s, f, getattr(self, f))
        for f in ("ent", "data", "dent", "ddata", "execd", "procs"):
            setattr(s, f, dict(getattr(self, f)))
        return s

    def disk_key(self):
        live = set(self.ent.values()) | set(self.dent.values()) | {e[-1] for e in self.pend}
        return (frozenset(self.ent.items()), frozenset(self.dent.items()), self.pend,
                frozenset((i, self.data.get(i), self.ddata.get(i)) for i in live),
                frozenset(self.execd.items()), self.told)

    def key(self):
        return hash((self.disk_key(), self.rlock, self.cur,
                     tuple((r, m and m.key()) for r, m in sorted(self.procs.items()))))

    def new_ino(self):
        used = set(self.ent.values()) | set(self.dent.values()) | {e[-1] for e in self.pend}
        i = 100
        while i in used:
            i += 1
        self.data.pop(i, None)
        self.ddata.pop(i, None)
        return i


class Model:
    """The protocol (plan, op_*) over the file system (fs_*) under one rename mode; `on` holds the syncs in force."""

    def __init__(self, sc, mode, on, strict=True):
        """strict: judge results at the moment after the power loss too, not only after the recovery."""
        self.sc, self.mode, self.on, self.strict, self.bad = sc, mode, frozenset(on), strict, {}

    def first(self):
        s = State.__new__(State)
        s.ent = {("drop", n): i for i, n in enumerate(self.sc.jobs, 1) if n != self.sc.requeue + "2"}
        s.data = {i: n.upper() for (_, n), i in s.ent.items()}
        s.dent, s.ddata, s.pend, s.execd, s.told = dict(s.ent), dict(s.data), (), {}, frozenset()
        s.procs, s.rlock, s.cur = {r: None for r in self.sc.runners}, None, None
        s.loss, s.kills, s.switches, s.requeue = self.sc.loss, self.sc.kills, self.sc.switches, bool(self.sc.requeue)
        s.path = None
        return self.step(s, self.sc.runners[0])     # the runners are alike: the first one starts first

    # ---- file system -------------------------------------------------------------------------------------------
    def fs_rename(self, s, a, b):
        ino = s.ent.pop(a)
        s.ent[b] = ino
        if a[0] == b[0] or self.mode == "atomic":
            s.pend += (("ren", a, b, ino),)
        else:
            s.pend += (("add", b, ino), ("gone", a, b, ino))

    def fs_create(self, s, a, data):
        ino = s.new_ino()
        s.ent[a], s.data[ino] = ino, data
        if not data:
            s.ddata[ino] = data             # an empty file has no bytes to lose; its name is another matter
        s.pend += (("add", a, ino),)

    def fs_unlink(self, s, a):
        s.pend += (("del", a, s.ent.pop(a)),)

    @staticmethod
    def apply(ent, e):
        kind, a, ino = e[0], e[1], e[-1]
        if kind != "add" and ent.get(a) == ino:
            del ent[a]
        if kind == "ren":
            ent[e[2]] = ino
        elif kind == "add":
            ent[a] = ino

    def fs_fsync(self, s, d):
        """fsync of a directory. Nothing pending there: no effect, False."""
        def touches(e):
            return e[1][0] == d or (e[0] == "ren" and e[2][0] == d)
        hit = {i for i, e in enumerate(s.pend) if touches(e)}
        if not hit:
            return False
        for i in sorted(hit):
            e = s.pend[i]
            if self.mode == "atomic":       # what happened to one file before goes with it
                hit |= {j for j in range(i) if s.pend[j][-1] == e[-1]}
            elif self.mode == "dup" and e[0] == "gone":   # never in none: the new entry goes with the removal
                hit |= {j for j in range(i) if s.pend[j] == ("add", e[2], e[-1])}
        for i in sorted(hit):
            self.apply(s.dent, s.pend[i])
        s.pend = tuple(e for i, e in enumerate(s.pend) if i not in hit)
        return True

    def power_loss(self, s):
        """All disks that may be found: every subset of what was not synced, every journal prefix, torn or not."""
        dirs = {}       # an ordered set
        n = len(s.pend)
        for mask in range(1 << n):
            ent, ok = dict(s.dent), True
            for i, e in enumerate(s.pend):
                if not mask >> i & 1:
                    continue
                if e[0] == "gone" and ent.get(e[2]) != e[3]:
                    ok = False
                elif self.mode == "atomic":
                    ok = all(mask >> j & 1 for j in range(i) if s.pend[j][-1] == e[-1])
                if not ok:
                    break
                self.apply(ent, e)
            if ok:
                dirs[frozenset(ent.items())] = True
        for ent in dirs:
            inos = sorted({i for _, i in ent})
            choices = []
            for i in inos:
                now, then = s.data[i], s.ddata.get(i)
                if now == then:
                    choices.append([now])
                elif isinstance(now, tuple):
                    n0 = len(then or ())
                    choices.append([now[:k] for k in range(n0, len(now) + 1)] +
                                   [now[:k] + (TORN,) for k in range(n0, len(now))])
                else:
                    choices.append([then or "", now])
            for pick in product(*choices):
                yield self.after_loss(s, dict(ent), dict(zip(inos, pick)))

    def after_loss(self, s, ent, data):
        """Everything that survived is durable; new inode and segment numbers, so that equal disks compare equal."""
        order = {}
        for k in sorted(ent):
            order.setdefault(ent[k], len(order) + 100 if ent[k] >= 100 else ent[k])
        t = s.copy()
        t.ent, seen = {}, {}
        for k in sorted(ent):
            d, n = k
            if d[:2] == "j/":
                n = seen[d] = seen.get(d, 0) + 1
            t.ent[d, n] = order[ent[k]]
        t.data = {order[i]: x for i, x in data.items()}
        t.dent, t.ddata, t.pend = dict(t.ent), dict(t.data), ()
        t.procs, t.rlock, t.cur = {r: None for r in s.procs}, None, None
        t.loss, t.switches, t.path = s.loss - 1, self.sc.switches, (s.path, "POWER LOSS")
        for run, out in t.told:
            if self.strict and t.data.get(t.ent.get(("done", run + ".result"))) != out:
                self.report("a told answer is missing or torn after a power loss", t)
        for (d, n), i in t.ent.items():
            if self.strict and d == "done" and n.endswith(".result") and t.data[i] == "":
                self.report("a torn result is visible after a power loss", t)
        return t

    # ---- protocol: what a runner decides to do next ------------------------------------------------------------
    def names(self, s, d):
        return sorted(n for e, n in s.ent if e == d)

    def replay(self, s, r):
        runs = {}
        for seg in self.names(s, "j/" + r):
            for rec in s.data[s.ent["j/" + r, seg]]:
                if rec == TORN:
                    break
                runs[rec[0]] = rec[1]
        return runs

    def left_by(self, s, r):
        return (self.names(s, "c/" + r) or self.names(s, "tmp/" + r)
                or any(s.data[s.ent["j/" + r, n]] for n in self.names(s, "j/" + r)))

    def commit(self, r, *labels):
        return (("fsync", "c/" + r, "S1"), ("fsync", "drop", "S2"), ("write",), ("fdatasync",) + labels)

    def known(self, s, r, m, runs):
        """Merge replayed runs (the further advanced record wins) and adopt files without a record."""
        for x in self.names(s, "c/" + r):
            if x not in runs and x not in m.runs:
                i = s.ent["c/" + r, x]
                runs[x] = Run(x.split(".")[0], i, s.data[i])
        for x, run in runs.items():
            m.runs[x] = max(run, m.runs.get(x, run), key=Run.rank)
            m.buf += ((x, m.runs[x]),)

    def settle(self, s, r, m):
        """One file for each run, in the one place where its record says it is; remains of half renames go."""
        ops = []
        for x, run in sorted(m.runs.items()):
            want = ("parked", x) if run.phase == "parked" else ("c/" + r, x)
            if run.phase == "ended" and ("done", x) in s.ent:
                want = ("done", x)
            mine = {"parked", "done"} | {"c/" + q for q in m.locks}
            places = [k for k in sorted(s.ent) if k[1] == x and k[0] in mine]
            if "IDX" in self.on:
                places += [k for k, i in sorted(s.ent.items())
                           if k[0] == "drop" and i == run.ino and (k[1] == run.drop or "IDN" not in self.on)]
            have = want in places
            for k in places:
                if k != want:
                    ops.append(("rm", k) if have else ("mv", k, want))
                    have = True
            elsewhere = any(k[1] == x for k in s.ent if k[0][:2] == "c/")
            if not have and not elsewhere and not (run.phase == "ended" and ("done", x + ".result") in s.ent):
                ops.append(("create", want, run.text))
        return tuple(ops)

    def plan(self, s, r, m):
        if m.phase == "boot":
            old = self.names(s, "j/" + r)
            self.known(s, r, m, self.replay(s, r))
            m.seg = ("j/" + r, old[-1] + 1 if old else 1)
            m.todo = (("create", m.seg, ()), ("write",), ("fdatasync", "J0"), ("fsync", "j/" + r, "JD"))
            m.todo += tuple(("rm", ("j/" + r, n)) for n in old)
            m.todo += tuple(("rm", ("tmp/" + r, n)) for n in self.names(s, "tmp/" + r))
            m.phase = "take"
        elif m.phase == "take":
            held = frozenset().union(*(p.locks for p in s.procs.values() if p))
            dead = [q for q in sorted(s.procs) if q not in held and self.left_by(s, q)]
            if dead:
                q = dead[0]
                m.locks |= {q}
                before = m.buf
                self.known(s, q, m, self.replay(s, q))
                m.todo = self.commit(r, "T1") if m.buf != before else ()
                m.phase = "take2"
            else:
                # What is seen after a kill -9 may still be undone by a power loss: so the directories of all dead
                # runners are synced, even where nothing is left to take, before anything is run.
                m.phase, m.todo = "work", ()
                for q in sorted(s.procs):
                    if q not in held:
                        m.todo += (("fsync", "c/" + q, "T2"), ("fsync", "j/" + q, "T3"))
                m.todo += self.settle(s, r, m) + (("release",),)
        elif m.phase == "take2":
            q = [q for q in m.locks if q != r][0]
            m.todo = self.settle(s, r, m)
            m.todo += tuple(("rm", ("tmp/" + q, n)) for n in self.names(s, "tmp/" + q))
            m.todo += tuple(("rm", ("j/" + q, n)) for n in self.names(s, "j/" + q))
            m.todo += (("unlock", q),)
            m.phase = "take"
        else:
            self.work(s, r, m)

    def work(self, s, r, m):
        held = frozenset().union(*(p.locks for p in s.procs.values() if p))
        if any(q not in held and self.left_by(s, q) for q in s.procs) and (s.rlock is None or "RL" not in self.on):
            s.rlock, m.phase = r, "take"
            return
        drops = self.names(s, "drop")
        if drops:
            m.todo = tuple(("claim", n) for n in drops)
            return
        before, after, waits = (), (), []
        for x, run in sorted(m.runs.items()):
            if x in m.retired:
                continue
            steps = self.sc.jobs[run.drop]
            step = steps[run.pos] if run.pos < len(steps) else ""
            if run.phase == "ended":
                after += self.publish(s, r, x, run)
            elif run.phase == "parked":
                new = run._replace(pos=run.pos + 1, phase="ready")
                after += (("mv", ("parked", x), ("c/" + r, x)), ("put", x, new))
            elif run.phase == "ready" and step == "I":
                after += (("exec", x),)
            else:
                if run.phase == "started":
                    new, label = run._replace(phase="ended", out="interrupted"), "S5"
                elif step == "O":
                    new, label = run._replace(phase="started"), "S4"
                    after += (("exec", x),)
                elif step == "P":
                    new, label = run._replace(phase="parked"), "SP"
                    after += (("mv", ("c/" + r, x), ("parked", x)),)
                else:
                    new, label = run._replace(phase="ended", out=run.out or "ok"), "S5"
                    after += self.publish(s, r, x, new)
                before += (("put", x, new),)
                waits.append(label)
        m.todo = before + (self.commit(r, *waits) if waits else ()) + after
        if not m.todo and m.runs:       # all retired: the segment may go, once nothing of these runs can come back
            new = (m.seg[0], m.seg[1] + 1)
            m.todo = (("fsync", "done", "S8"), ("fsync", "c/" + r, "S8"), ("fsync", "parked", "S8P"),
                      ("fsync", "drop", "S8D"), ("create", new, ()), ("fsync", "j/" + r, "JD"), ("rm", m.seg),
                      ("segment", new))

    def publish(self, s, r, x, run):
        tmp, res = ("tmp/" + r, x), ("done", x + ".result")
        ops = ()
        if s.data.get(s.ent.get(res)) != run.out:
            ops = (("create", tmp, run.out), ("fdatasync_file", tmp, "S6"), ("mv", tmp, res))
        return ops + (("fsync", "done", "S7"), ("tell", x), ("mv", ("c/" + r, x), ("done", x)), ("retired", x))

    # ---- protocol: one operation; True if anything outside the process changed -----------------------------------
    def op(self, s, r, m, o):
        kind = o[0]
        if kind == "claim":
            a = ("drop", o[1])
            if a not in s.ent:
                return False                    # another runner was faster
            x = self.new_id(s, o[1])
            m.runs[x] = Run(o[1], s.ent[a], s.data[s.ent[a]])
            m.buf += ((x, m.runs[x]),)
            self.fs_rename(s, a, ("c/" + r, x))
        elif kind == "put":
            m.runs[o[1]] = o[2]
            m.buf += ((o[1], o[2]),)
            return False
        elif kind == "write":
            if not m.buf:
                return False
            s.data[s.ent[m.seg]] += m.buf
            m.buf = ()
        elif kind == "fdatasync":
            i = s.ent[m.seg]
            if not self.on & set(o[1:]) or s.ddata.get(i) == s.data[i]:
                return False
            s.ddata[i] = s.data[i]
        elif kind == "fdatasync_file":
            if o[2] not in self.on:
                return False
            s.ddata[s.ent[o[1]]] = s.data[s.ent[o[1]]]
        elif kind == "fsync":
            return o[2] in self.on and self.fs_fsync(s, o[1])
        elif kind == "create":
            self.fs_create(s, o[1], o[2])
            if isinstance(o[2], str) and o[1][0][:3] != "tmp":  # rebuilt from the snapshot
                s.ddata[s.ent[o[1]]] = o[2]
        elif kind == "mv":
            if o[1] not in s.ent:
                return False
            if o[2] in s.ent and s.ent[o[2]] == s.ent[o[1]]:
                self.fs_unlink(s, o[1])         # EEXIST with the same inode: the half of a rename
            else:
                self.fs_rename(s, o[1], o[2])
        elif kind == "rm":
            if o[1] not in s.ent:
                return False
            self.fs_unlink(s, o[1])
        elif kind == "exec":
            run = m.runs[o[1]]
            n = s.execd[run.drop, run.pos] = min(3, s.execd.get((run.drop, run.pos), 0) + 1)
            if n > 1 and self.sc.jobs[run.drop][run.pos] == "O":
                self.report("an at-most-once step ran twice", s)
            new = run._replace(pos=run.pos + 1, phase="ready", out="ok%d" % n)
            self.op(s, r, m, ("put", o[1], new))
        elif kind == "tell":
            run = m.runs[o[1]]
            if any(x == o[1] and out != run.out for x, out in s.told):
                self.report("a told answer was changed", s)
            if run.out == "interrupted" and "O" not in self.sc.jobs[run.drop]:
                self.report("an idempotent job was reported interrupted", s)
            s.told |= {(o[1], run.out)}
        elif kind == "retired":
            m.retired |= {o[1]}
            return False
        elif kind == "segment":
            m.seg, m.runs, m.retired = o[1], {}, frozenset()
            return False
        elif kind == "unlock":
            m.locks -= {o[1]}
        elif kind == "release":
            s.rlock = None if s.rlock == r else s.rlock
        return True

    def new_id(self, s, drop):
        """A run id that is in use nowhere (ids are unique; small numbers let equal states meet)."""
        names = {k[1] for k in s.ent} | {k[1] for k in s.dent} | {x for x, _ in s.told}
        names |= {k[1] for e in s.pend for k in e[1:-1]}
        for m in s.procs.values():
            names |= set(m.runs) if m else set()
        for d in list(s.data.values()) + list(s.ddata.values()):
            names |= {rec[0] for rec in d if rec != TORN} if isinstance(d, tuple) else set()
        n = 1
        while {"%s.%d" % (drop, n), "%s.%d.result" % (drop, n)} & names:
            n += 1
        return "%s.%d" % (drop, n)

    # ---- moves of the whole system -------------------------------------------------------------------------------
    def step(self, s, r):
        """One visible operation of a live runner, or the start of a dead one; None if it has nothing to do."""
        t = s.copy()
        m = t.procs[r]
        if m is None:
            held = frozenset().union(*(p.locks for p in s.procs.values() if p))
            if r in held or (s.rlock and "RL" in self.on):
                return None
            t.procs[r], t.rlock, t.path = Mem(r), r, (s.path, r + " starts")
            return t
        m = t.procs[r] = m.copy()
        for _ in range(200):
            if not m.todo:
                was = m.phase
                self.plan(t, r, m)
                if not m.todo and m.phase == was:
                    return None
                continue
            o, m.todo = m.todo[0], m.todo[1:]
            t.path = (s.path, "%s %s" % (r, " ".join(map(str, o))))
            if self.op(t, r, m, o):
                return t
        raise AssertionError("a runner spins")

    def moves(self, s):
        """(next states, is this an end state)"""
        out, can = [], {}
        live = [r for r in s.procs if s.procs[r]]
        for r in live:
            t = self.step(s, r)
            if t is not None:
                can[r] = t
        busy = bool(can)
        if busy or not live:
            for r in s.procs:
                if not s.procs[r]:
                    t = self.step(s, r)
                    if t is not None:
                        can[r] = t
        for r, t in can.items():
            t.cur = r
            if r != s.cur and s.cur in can and s.procs[s.cur]:
                if s.switches == 0:
                    continue
                t.switches = s.switches - 1
            out.append(t)
        if s.kills:
            for r in live:
                t = s.copy()
                t.procs[r], t.kills, t.path = None, s.kills - 1, (s.path, "KILL " + r)
                t.rlock = None if s.rlock == r else s.rlock
                out.append(t)
        if s.requeue:
            for x, _ in s.told:
                if x.split(".")[0] == self.sc.requeue and ("done", x) in s.ent:
                    t = s.copy()
                    t.requeue, t.path = False, (s.path, "a person moves done/%s back into drop/ and syncs" % x)
                    self.fs_rename(t, ("done", x), ("drop", self.sc.requeue + "2"))
                    self.fs_fsync(t, "drop")
                    self.fs_fsync(t, "done")
                    out.append(t)
        return out, bool(live) and not busy

    # ---- judgement -----------------------------------------------------------------------------------------------
    def report(self, what, s):
        if what not in self.bad:
            self.bad[what] = s.path

    def check_end(self, s):
        for drop, steps in self.sc.jobs.items():
            if drop == self.sc.requeue + "2" and s.requeue:
                continue
            res = {n[:-7]: s.data[i] for (d, n), i in s.ent.items()
                   if d == "done" and n.endswith(".result") and n.split(".")[0] == drop}
            if not res:
                self.report("a job was lost: it has no result", s)
            if len(res) > 1:
                self.report("one drop gave two runs", s)
            ran = sum(1 for p, c in enumerate(steps) if c != "P" and s.execd.get((drop, p)))
            for x, out in res.items():
                if out == "":
                    self.report("a torn result stays", s)
                elif out != "interrupted" and ran < len(steps.replace("P", "")):
                    self.report("a result without its steps", s)
            if any(res.get(x) != out for x, out in s.told if x.split(".")[0] == drop):
                self.report("a told answer was lost or changed", s)
        if any(d in ("drop", "parked") or d[:2] == "c/" or d[:4] == "tmp/" for d, _ in s.ent):
            self.report("leftovers: " + "/".join(sorted({d.split("/")[0] for d, _ in s.ent
                        if d in ("drop", "parked") or d[:2] == "c/" or d[:4] == "tmp/"})), s)

    def explore(self, budget, stop_early=False):
        t0, self.bad = time.time(), {}
        seen, disks, crash, complete = {}, {}, 0, True
        distinct = set()
        stack = [self.first()]
        while stack:
            s = stack.pop()
            k, b = s.key(), (s.loss, s.kills, s.switches, s.requeue)
            known = seen.get(k, ())
            if any(all(p >= q for p, q in zip(o, b)) for o in known):
                continue
            seen[k] = tuple(o for o in known if not all(q >= p for p, q in zip(o, b))) + (b,)
            nxt, end = self.moves(s)
            if end:
                self.check_end(s)
            stack += nxt
            if s.loss:
                dk = hash(s.disk_key())
                if not any(all(p >= q for p, q in zip(o, b)) for o in disks.get(dk, ())):
                    disks[dk] = disks.get(dk, ()) + (b,)
                    for t in self.power_loss(s):
                        crash += 1
                        distinct.add(t.key())
                        stack.append(t)
            if (stop_early and self.bad) or time.time() - t0 > budget:
                complete = not stack
                break
        return dict(crash=crash, distinct=len(distinct), states=len(seen), bad=self.bad, complete=complete,
                    secs=time.time() - t0)


# ---- what is checked -------------------------------------------------------------------------------------------------
PROTOCOL = frozenset("S4 SP S5 S6 S7 S8 S8P S8D T1 T2 T3 J0 JD IDX IDN RL".split())
EXTRA = frozenset(["S1", "S2"])     # in the first draft; shown below to be unneeded here
TWO = ("r1", "r2")
A = Scenario("one runner, step kinds O and PI, 2 losses", dict(a="O", b="PI"))
B = Scenario("one runner, O and I, kill + loss", dict(a="O", b="I"), loss=1, kills=1)
C = Scenario("one runner, PO, 3 losses", dict(a="PO"), loss=3)
C2 = Scenario("one runner, OO, kill + 2 losses", dict(a="OO"), loss=2, kills=1)
D = Scenario("one runner, requeue by rename, 2 losses", dict(a="O", a2="O"), requeue="a")
E = Scenario("two runners, O, kill + loss, 1 preemption", dict(a="O"), TWO, loss=1, kills=1, switches=1)
F = Scenario("two runners, O, kill + 2 losses", dict(a="O"), TWO, loss=2, kills=1)
G = Scenario("two runners, O and I, 1 loss, 1 preemption", dict(a="O", b="I"), TWO, loss=1, switches=1)
H = Scenario("two runners, PO, 1 loss, 2 preemptions", dict(a="PO"), TWO, loss=1, switches=2)
Q1 = Scenario("one runner, PO, 2 losses", dict(a="PO"))
Q2 = Scenario("one runner, O, kill + loss", dict(a="O"), loss=1, kills=1)
Q3 = Scenario("two runners, O, kill + loss", dict(a="O"), TWO, loss=1, kills=1)
# label -> what it is, the small scenario and rename mode that show what breaks without it
NEEDED = {
    "S4": ("START durable before an at-most-once step", Q2, "atomic"),
    "SP": ("PARKED durable before the rename to parked/", Q1, "atomic"),
    "S5": ("ENDED durable before publishing", Q2, "atomic"),
    "S6": ("result bytes durable before the rename to done/", Q2, "atomic"),
    "S7": ("fsync(done) before telling", Q2, "atomic"),
    "S8": ("fsync(done), fsync(claimed) before a segment is deleted", Q2, "atomic"),
    "S8P": ("... and fsync(parked)", Q1, "dup"),
    "S8D": ("... and fsync(drop)", Q2, "dup"),
    "J0": ("new segment's snapshot durable before the old one is deleted", Q2, "atomic"),
    "JD": ("fsync(journal dir) after a segment is made", Q2, "atomic"),
    "T1": ("snapshot of a dead runner's runs durable in the own journal", Q3, "atomic"),
    "T2": ("fsync(claimed) of all dead runners ends each recovery", F, "dup"),
    "T3": ("fsync(journal dir) of all dead runners ends each recovery", F, "dup"),
    "IDX": ("a known inode in drop/ is a remain, not a new drop", Q2, "atomic"),
    "IDN": ("... only under its first name (else it is a requeue)", D, "atomic"),
    "RL": ("one recovery at a time, and it takes all dead runners", G, "atomic"),
}


def path_text(path):
    out = []
    while path:
        path, what = path
        out.append(what)
    return "\n    ".join(reversed(out))


def line(sc, mode, r):
    print("{:48} {:6}  crash states {crash:9,}  distinct {distinct:7,}  system states {states:9,}  "
          "violations {}  {secs:5.1f} s{}"
          .format(sc.name, mode, len(r["bad"]), "" if r["complete"] or r["bad"] else "  (budget reached)", **r), flush=True)
    for what, path in r["bad"].items():
        print("  VIOLATION: %s\n    %s" % (what, path_text(path)))
    return bool(r["bad"])


def ablation(labels, budget):
    missing = 0
    for x in labels:
        what, sc, mode = NEEDED[x]
        r = Model(sc, mode, PROTOCOL - {x}).explore(budget, stop_early=True)
        missing += not r["bad"]
        print("  without %-4s %-66s -> %s" % (x, what, "; ".join(r["bad"]) or "NO VIOLATION FOUND"), flush=True)
    return missing


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--quick", action="store_true", help="below 30 s, for CI")
    ap.add_argument("--budget", type=float, default=60, help="seconds for each scenario of the full run")
    ap.add_argument("--trace", metavar="LABEL", choices=sorted(NEEDED), help="print how it breaks without LABEL")
    args = ap.parse_args()
    if args.trace:
        what, sc, mode = NEEDED[args.trace]
        return line(sc, mode, Model(sc, mode, PROTOCOL - {args.trace}).explore(600, stop_early=True))
    failed, total, distinct = 0, 0, 0
    for sc in (Q1, Q3) if args.quick else (A, B, C, C2, D, E, F, G, H):
        for mode in ("atomic", "dup"):
            r = Model(sc, mode, PROTOCOL).explore(8 if args.quick else args.budget)
            failed += line(sc, mode, r)
            total, distinct = total + r["crash"], distinct + r["distinct"]
    print("all: crash states {:,}, distinct {:,}, scenarios with a violation {}".format(total, distinct, failed))
    print("ablation (first kind of violation):")
    failed += ablation(NEEDED, 10 if args.quick else 300)
    if args.quick:
        return failed
    print("the S1 and S2 of the first draft (fsync claimed, fsync drop before the records are written):")
    for mode in ("atomic", "dup", "split"):
        for extra in ((), ("S1", "S2"), ("S2",)):
            r = Model(Q3, mode, PROTOCOL | set(extra)).explore(args.budget, stop_early=True)
            print("  %-7s with %-6s -> %s" % (mode, "+".join(extra) or "none", "; ".join(r["bad"]) or "no violation"))
    print("S6 and S7 judged only after the recovery, not at the moment after the power loss:")
    for x in ("S6", "S7"):
        r = Model(Q2, "dup", PROTOCOL - {x}, strict=False).explore(args.budget, stop_early=True)
        print("  without %s -> %s" % (x, "; ".join(r["bad"]) or "no violation"), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
