"""What this is: small sites with jobs in them, the running of the program on them, and the judge of what came out.
What it owns: the scenes, the list of what must hold at rest (N1 to N4 and N10 of docs/SPOOL.md, section 8).
What it never does: ask the program or its index whether all is well: it reads files, and knows what was submitted.
What happens on failure: `judge` returns sentences; the caller prints them with the seed and the way to repeat it.
How it is used: crashstates.py and faults.py import it.
"""
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time

EFFECT = '#!/bin/sh\necho "$1 $2 $BOBBIN_IDEMPOTENCY_KEY" >> "$BOBBIN_SITE/effects"\n'
RUN_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}~")
SETTLE = 0.08       # a file that a scan finds is whole when it has not changed for so long; the program is told 50 ms
CONFIGURATION = """shutdown_grace: 5s
kill_grace: 1s
queues:
  default: {max_concurrent: 2, retry_policy: {max_attempts: 3, base_delay: 50ms, backoff_multiplier: 1}}
  background: {max_concurrent: 1}
targets:
  web: {rate_limit: {limit: 1, per: 40ms}}
"""
# Stands in for ssh: it obeys its last argument, as the far side would.
SSH = '#!/bin/sh\nfor last in "$@"; do :; done\ncd "$BOBBIN_SITE" && exec /bin/sh -c "$last"\n'


GATE = "human_confirm: {message: go on?, timeout_minutes: 600}"


def job(name, *steps, tail=""):
    lines = "".join(f"  - {step}\n" for step in steps)
    return f'dsl_version: "1.1"\nname: {name}\nsteps:\n{lines}{tail}'


def effect(name, step, more=""):
    return f"run: [./effect, {name}, {step}]" + (f"\n    {more}" if more else "")


class Scene:
    """What is dropped, and what must have become of each drop in the end."""

    def __init__(self, name, drops, ends, answers=None):
        self.name = name
        self.answers = answers or {}    # job -> what a person says before the disturbed run begins
        self.drops = drops          # path below the spool -> text
        self.ends = ends            # drop name -> (final state or "rejected", steps that ran once each)


SCENES = {
    "plain": Scene("plain", {
        "default/p5/one.yaml": job(
            "one", effect("one", "once1"), effect("one", "again", "idempotent: true"), "log: x",
            effect("one", "once2"), tail="finally:\n  - log: bye\n"),
        "background/p2/two.yaml": job("two", effect("two", "once"), "fail: on purpose"),
        "default/p1/bad.yaml": job("bad", "logg: x"),
        "inbox/in.yaml": job("in", effect("in", "once")),
        "control/cancel-01KAJ0000000000000000000AA": "",
    }, {"one.yaml": ("succeeded", ["once1", "once2"]), "two.yaml": ("failed", ["once"]),
        "bad.yaml": ("rejected", []), "in.yaml": ("succeeded", ["once"])}),
    "retry": Scene("retry", {
        "default/p5/again.yaml": job(
            "again", effect("again", "once"),
            'run: [sh, -c, "test $BOBBIN_ATTEMPT -ge 2"]\n    idempotent: true\n'
            "    retry: {max_attempts: 3, base_delay: 20ms}",
            effect("again", "once2")),
        "default/p9/late.yaml": job("late", effect("late", "once")),
    }, {"again.yaml": ("succeeded", ["once", "once2"]), "late.yaml": ("succeeded", ["once"])}),
    "sides": Scene("sides", {
        "default/p5/loop.yaml": job(
            "loop", "foreach:\n      items: [1, 2, 3]\n      concurrency: 2\n      steps:\n"
            '        - run: [./effect, loop, "once{{ item }}"]\n        - log: x\n'
            '        - {run: [./effect, loop, "again{{ item }}"], idempotent: true}', effect("loop", "once4")),
        "default/p4/graph.yaml": job(
            "graph", "{run: [./effect, graph, once1], id: a}", "{run: [./effect, graph, once2], needs: []}",
            "parallel: [{run: [./effect, graph, once3]}, {steps: [{run: [./effect, graph, once4]}, {log: x}]}]",
            "{run: [./effect, graph, once5], needs: [a]}", effect("graph", "once6")),
    }, {"loop.yaml": ("succeeded", ["once1", "once2", "once3", "once4"]),
        "graph.yaml": ("succeeded", [f"once{n}" for n in range(1, 7)])}),
    "terms": Scene("terms", {
        f"default/p{n}/key{n}.yaml": "concurrency_key: k\n" + job(
            f"key{n}", effect(f"key{n}", "once1"), effect(f"key{n}", "once2")) for n in (3, 4)
    } | {
        f"default/p{n}/same{n}.yaml": "idempotency_key: same\n" + job(f"same{n}", effect("same", "once")) for n in (5, 6)
    } | {
        "background/p5/parent.yaml": job(
            "parent", "submit: {name: child, wait: true, job: {queue: background, steps: [{run: [./effect, child, once]}]}}",
            effect("parent", "once")),
        "default/p2/call.yaml": job(
            "call", "parallel: [{ssh: {host: web, argv: [./effect, call, once1]}}, {ssh: {host: web, argv: [./effect, call, once2]}}]",
            "ssh: {host: web, argv: [./effect, call, once3]}"),
    }, {"call.yaml": ("succeeded", ["once1", "once2", "once3"]), "key3.yaml": ("succeeded", ["once1", "once2"]), "key4.yaml": ("succeeded", ["once1", "once2"]),
        "same5.yaml": ("done", []), "same6.yaml": ("done", []),
        "parent.yaml": ("succeeded", ["once"]), "child.*.yaml": ("succeeded", ["once"])}),
    # Struck while it asks, and while it is answered.
    "asks": Scene("asks", {
        "default/p5/gate.yaml": job("gate", effect("gate", "once1"), GATE, effect("gate", "never")),
        "default/p4/two.yaml": job("two", f"parallel: [{{{GATE}}}, {{{GATE}}}]", effect("two", "never")),
        "default/p3/none.yaml": job("none", "human_confirm: {message: go?, timeout_minutes: 0.0005, auto_action: approve}", effect("none", "once")),
    }, {"gate.yaml": ("waiting", ["once1"]), "two.yaml": ("waiting", []), "none.yaml": ("waiting or succeeded", ["once"])}),
    "answers": Scene("answers", {
        "default/p5/yes.yaml": job("yes", GATE, effect("yes", "once"), tail="finally:\n  - log: bye\n"),
        "default/p4/no.yaml": job("no", GATE, effect("no", "never")),
        "default/p3/sides.yaml": job("sides", f"parallel: [{{steps: [{{{GATE}}}, {{run: [./effect, sides, once1]}}]}}, {{steps: [{{{GATE}}}, {{run: [./effect, sides, once2]}}]}}]", effect("sides", "once3")),
    }, {"yes.yaml": ("succeeded", ["once"]), "no.yaml": ("denied", []), "sides.yaml": ("succeeded", ["once1", "once2", "once3"])},
        answers={"yes": "approve", "no": "deny", "sides": "approve"}),
    "many": Scene("many", {
        f"default/p{1 + n % 9}/j{n}.yaml": job(f"j{n}", effect(f"j{n}", "once"), "log: x") for n in range(6)
    }, {f"j{n}.yaml": ("succeeded", ["once"]) for n in range(6)}),
}


def variables_of(site):
    """The environment of every runner of a scene: what the caller has, the settling time, the site's stand-ins."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("BOBBIN_")}
    return own | {"BOBBIN_SETTLE": "50ms", "PATH": f"{site}/bin:{os.environ.get('PATH', '/usr/bin:/bin')}"}


class Program:
    """The binary under test; `where` is a directory on a fast file system for the sites."""

    def __init__(self, binary, where=None):
        self.binary = binary
        self.where = where or tempfile.mkdtemp(prefix="bobbin-torture-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.empty = os.path.join(self.where, "empty")
        subprocess.run([binary, "init", self.empty], check=True, capture_output=True)
        with open(os.path.join(self.empty, "ops/orchestrator.yaml"), "w") as file:
            file.write(CONFIGURATION)
        with open(os.path.join(self.empty, "effect"), "w") as file:
            file.write(EFFECT)
        os.chmod(os.path.join(self.empty, "effect"), 0o755)
        os.mkdir(os.path.join(self.empty, "bin"))
        with open(os.path.join(self.empty, "bin/ssh"), "w") as file:
            file.write(SSH)
        os.chmod(os.path.join(self.empty, "bin/ssh"), 0o755)
        open(os.path.join(self.empty, "effects"), "w").close()

    def clean(self):
        shutil.rmtree(self.where, ignore_errors=True)

    def site(self, name, scene):
        """A fresh site with the scene's drops in it. They are whole SETTLE seconds from now."""
        path = os.path.join(self.where, name)
        shutil.copytree(self.empty, path, symlinks=True)
        for place, text in scene.drops.items():
            target = os.path.join(path, "spool", place)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w") as file:
                file.write(text)
        self.ask(path, scene)
        return path

    def ask(self, path, scene):
        """Of a scene that is struck while it is answered: it asks, and the answers are put in place."""
        if not scene.answers:
            return
        time.sleep(SETTLE)
        code, said = self.run(path)
        if code != 0 or answer(path, scene.answers) == 0:
            raise SystemExit(f"the scene {scene.name} asks nobody: {code} {said}")

    def run(self, site, seconds=60, runner="main", **environment):
        """Runs until idle; gives exit code (negative: the signal) and what was said."""
        variables = variables_of(site) | environment
        process = subprocess.Popen(
            [self.binary, "--site", site, "run", "--runner", runner, "--until-idle"], env=variables,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            return 999, said.decode(errors="replace") + "\n(did not end)"
        return process.returncode, said.decode(errors="replace")


def answer(site, answers):
    """What people do: copies of the requests with a decision; says how many."""
    requests, responses = (os.path.join(site, "spool/approvals", part) for part in ("requests", "responses"))
    count = 0
    for name in names(requests):
        with open(os.path.join(requests, name)) as file:
            text = file.read()
        said = answers[re.search(r"^job: \"?(\w+)", text, re.M).group(1)]
        with open(os.path.join(responses, name), "w") as file:
            file.write(text.replace("\ndecision:", f"\ndecision: {said}", 1))
        count += 1
    return count


def audited(site):
    """What is wrong with the audit log, by its documented form alone; a torn last line is cut by the next writer."""
    previous, number = "0" * 64, 0
    folder = os.path.join(site, "ops/audit")
    for name in names(folder):
        if not name.endswith(".jsonl"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            lines = file.read().split(b"\n")[:-1]
        for line in lines:
            number += 1
            found = re.fullmatch(rb'(\{"seq":(\d+),.*"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"\}', line)
            if not found or int(found[2]) != number or found[3].decode() != previous:
                return [f"the audit log is not whole at record {number}: {line[:80]!r}"]
            if hashlib.sha256(found[1] + b"}").hexdigest().encode() != found[4]:
                return [f"the audit log was changed at record {number}"]
            previous = found[4].decode()
    return []


def names(path):
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def places(site):
    """Drop name -> where it lies, for every job file of the spool."""
    spool, found = os.path.join(site, "spool"), {}

    def note(directory, place, strip):
        for name in names(directory):
            if name.startswith(".") or name.endswith((".result.yaml", ".reason.yaml")):
                continue
            if os.path.isdir(os.path.join(directory, name)):
                continue
            plain = name.split("~")[-1] if strip else name
            # What a step submitted has a ticket in its name.
            plain = re.sub(r"\.[0-9A-HJKMNP-TV-Z]{26}\.yaml$", ".*.yaml", plain)
            found.setdefault(plain, []).append((place, os.path.join(directory, name)))

    for queue in ("default", "background", "high_priority"):
        for lane in names(os.path.join(spool, queue)):
            note(os.path.join(spool, queue, lane), "queue", False)
    note(os.path.join(spool, "inbox"), "inbox", False)
    note(os.path.join(spool, "rejected"), "rejected", True)
    for place in ("claimed", "parked", "done", "failed"):
        for inner in names(os.path.join(spool, place)):
            note(os.path.join(spool, place, inner), place, True)
    return found


def results(site):
    """Path -> bytes of every result file that can be seen."""
    found = {}
    for place in ("done", "failed"):
        for day in names(os.path.join(site, "spool", place)):
            directory = os.path.join(site, "spool", place, day)
            for name in names(directory):
                if name.endswith(".result.yaml"):
                    with open(os.path.join(directory, name), "rb") as file:
                        found[os.path.join(place, day, name)] = file.read()
    return found


def is_whole(result):
    text = result.decode(errors="replace")
    return text.endswith("\n") and all(f"\n{key}: " in text or text.startswith(f"{key}: ") for key in ("run", "state", "ended_at"))


def ran(site):
    """(job, step) -> how often, and the lines that are no effect."""
    counts, torn = {}, []
    try:
        with open(os.path.join(site, "effects")) as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        lines = []
    for line in lines:
        words = line.split(" ")
        if len(words) != 3 or not words[2]:
            torn.append(line)
        else:
            counts[words[0], words[1]] = counts.get((words[0], words[1]), 0) + 1
    return counts, torn


def said_code(path):
    """The code in a reason file, or of the error in a result file."""
    try:
        with open(path) as file:
            found = re.search(r"^ *code: (\S+)", file.read(), re.M)
            return found.group(1) if found else ""
    except FileNotFoundError:
        return ""


def judge(site, scene, settled=True, faulted=False):
    """What is wrong, as sentences. `settled`: nothing disturbs it any more, so each drop must have come to its end.
    `faulted`: a call failed meanwhile, so a drop may have been unreadable, or a step may have failed for that, and say so."""
    bad = []
    found, counts = places(site), ran(site)
    for name, (state, steps) in scene.ends.items():
        there = found.get(name, [])
        # A rejection that a cut left in both directories is rejected again: one file, answered alike.
        if len(there) > 1 and {p for p, _ in there} == {"rejected"} and len({os.stat(path).st_ino for _, path in there}) == 1:
            there = there[:1]
        # No child before its parent has come so far, and none of a parent that did not.
        if not there and "*" in name and not (settled and found.get("parent.yaml", [("", "")])[0][0] == "done"):
            continue
        if len(there) != 1:
            bad.append(f"N1 {name} is in {[path[len(site) + 1:] for _, path in there] or 'no place'}")
            continue
        place, path = there[0]
        stem = name.split(".")[0]
        for step in steps:
            times = counts[0].get((stem, step), 0)
            if times > 1:
                bad.append(f"N2 {stem} {step} ran {times} times")
            elif times == 0 and place == "done":
                bad.append(f"{name} is done, but its step {step} never ran")
        if not settled:
            continue
        if place == "rejected":
            if state != "rejected" and not (faulted and said_code(path + ".reason.yaml") in ("E-IO", "E-PERM")):
                bad.append(f"N5 {name} was rejected with {said_code(path + '.reason.yaml')}")
            if not os.path.exists(path + ".reason.yaml"):
                bad.append(f"{name} was rejected without a reason")
        elif place == "parked" and state.startswith("waiting") and "/approval/" in path:
            run = os.path.basename(path)[:26]
            requests = [n for n in names(os.path.join(site, "spool/approvals/requests")) if n.startswith(run)]
            for request in requests:
                with open(os.path.join(site, "spool/approvals/requests", request)) as file:
                    if not file.read().endswith("\n...\n"):
                        bad.append(f"request {request} is not whole")
            if len(requests) != (2 if stem == "two" else 1) and stem != "none":
                bad.append(f"{name} waits for people, and its requests are {requests}")
        elif place == "parked":
            # Who waits for a run that waits for a person, waits with it.
            waits = any("/interrupted/" in p for all in found.values() for _, p in all) and re.search("/(key|child)/", path)
            if "/interrupted/" not in path and not waits:
                bad.append(f"{name} was left in {path[len(site) + 1:]}")
        elif place in ("done", "failed"):
            if (state in ("succeeded", "done", "waiting or succeeded")) != (place == "done"):
                answer = path[:-len(".yaml")] + ".result.yaml"
                if not (faulted and place == "failed" and said_code(answer) in ("E-EXEC", "E-WAIT", "E-DISK", "E-EXIT", "E-CHILD")):
                    bad.append(f"{name} should have {state}, but is in {place}/ with {said_code(answer)}")
        else:
            bad.append(f"N9 {name} was left in {place}")
    bad += [f"N1 nobody dropped {name}: {there}" for name, there in found.items() if name not in scene.ends]
    bad += [f"N2 {job} {step} ran {times} times" for (job, step), times in counts[0].items()
            if step.startswith("once") and times > 1]
    bad += [f"a torn effect: {line}" for line in counts[1]]
    bad += [f"{job} went on without a word" for (job, step) in counts[0] if step == "never"]
    bad += audited(site)
    for path, text in results(site).items():
        if not is_whole(text):
            bad.append(f"N3 {path} is not whole: {text[:60]!r}")
        said, asked = text.count(b"answer_sha256: "), text.count(b"\n    nonce: ") + text.count(b"\n  - nonce: ")
        if said > max(asked, 1) and scene.answers:
            bad.append(f"{path} holds {said} answers to {asked} questions")
    if settled and scene.answers and names(os.path.join(site, "spool/approvals/requests")):
        bad.append("requests were left open")
    if settled:
        for place in ("done", "failed"):
            for day in names(os.path.join(site, "spool", place)):
                inside = names(os.path.join(site, "spool", place, day))
                jobs = {n[:26] for n in inside if not n.endswith(".result.yaml")}
                answers = {n[:26] for n in inside if n.endswith(".result.yaml")}
                for odd in jobs ^ answers:
                    bad.append(f"{place}/{day}/{odd}: job file and result are not a pair")
    return bad
