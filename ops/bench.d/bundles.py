#!/usr/bin/env python3
# What this is: bundles beside `tar | zstd -T2` and `bsdtar --zstd`: made, brought back; many small files, and much mixed data.
# Owns: the sites below the directory that it is given; the data, the same for all of them, from one seed.
# Never: lets a rival off the sync that a bundle has before it says "ok"; deletes while it measures.
# On failure: names the command that failed; exit 1.
"""bundles.py BOBBIN DIRECTORY FILES MEGABYTES (ops/bench bundles)"""
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

bobbin, home, files, megabytes = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rounds = 3
dice = random.Random(1)
words = [f"{dice.getrandbits(40):x}" for _ in range(4000)]


def text(size):
    """As logs are: half of it has been seen before."""
    parts, length = [], 0
    while length < size:
        line = f'{{"at":"2026-11-{dice.randrange(1, 29):02}","level":"info","message":"{" ".join(dice.choices(words, k=8))}"}}\n'
        parts.append(line)
        length += len(line)
    return "".join(parts).encode()[:size]


def small(folder):
    for number in range(files):
        inner = folder / f"d{number // 1000:04}"
        if number % 1000 == 0:
            inner.mkdir(parents=True)
        (inner / f"f{number}.txt").write_bytes(text(dice.randrange(200, 600)))


def mixed(folder):
    """Of every ten megabytes five are text, in files of 64 KiB to 1 MiB, and five no program can pack, in files of up to 64 MiB."""
    folder.mkdir(parents=True)
    block = text(1 << 20)
    half, number = megabytes << 19, 0
    for left, make in ((half, lambda n: b"".join(block[dice.randrange(1 << 19):][:n] for _ in range(1 + n // (1 << 19)))[:n]),
                       (half, dice.randbytes)):
        while left > 0:
            size = min(left, dice.randrange(64 << 10, 1 << 20) if make is not dice.randbytes else dice.randrange(1 << 20, 64 << 20))
            (folder / f"m{number}.bin").write_bytes(make(size))
            left -= size
            number += 1


def run(*words, shell=False):
    begin = time.monotonic()
    done = subprocess.run(words[0] if shell else words, shell=shell, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"bench: {' '.join(map(str, words))} failed: {done.stderr.decode()[-300:]}")
    return time.monotonic() - begin


def say(name, seconds, size, note=""):
    rate = size / statistics.median(seconds) / 1e6
    print(f"  {name:<44} {statistics.median(seconds):6.2f} s [{min(seconds):.2f} - {max(seconds):.2f}] {rate:7.0f} MB/s  {note}", flush=True)


def ratio(name, ours, theirs, bar):
    """Of the rounds' own ratios, to the faster of the others."""
    all_of_them = sorted(min(others) / mine for mine, *others in zip(ours, *theirs))
    middle = statistics.median(all_of_them)
    print(f"  {name:<44} {middle:6.2f}   [{all_of_them[0]:.2f} - {all_of_them[-1]:.2f}]   bar {bar}: {'met' if middle >= bar else 'MISSED'}", flush=True)


def measure(title, fill):
    site = home / title.split()[0]
    subprocess.run([bobbin, "init", site], check=True, stdout=subprocess.DEVNULL)
    fill(site / "reports/data")
    subprocess.run(["sync", "-f", site], check=True)
    size = sum(f.stat().st_size for f in (site / "reports").rglob("*") if f.is_file())
    print(f"\n{title}, {size / 1e6:.0f} MB; the other programs' files are synced too")
    create, tar, bsd = [], [], []
    for number in range(rounds):
        out = home / f"{site.name}-{number}"
        out.mkdir()
        create.append(run(bobbin, "backup", "create", "--site", site, "--to", out))
        tar.append(run(f"tar -C '{site}' -cf - reports | zstd -q -T2 -o '{out}/x.tar.zst' && sync '{out}/x.tar.zst'", shell=True))
        bsd.append(run(f"bsdtar -C '{site}' --zstd --options zstd:threads=2 -cf '{out}/y.tar.zst' reports && sync '{out}/y.tar.zst'", shell=True))
    say("bobbin backup create (packed, read back)", create, size)
    say("tar | zstd -T2", tar, size)
    say("bsdtar --zstd, two threads", bsd, size)
    ratio("create / the faster of them", create, [tar, bsd], 1.0)
    back, untar, unbsd = [], [], []
    for number in range(rounds):
        out = home / f"{site.name}-{number}"
        bundle = next(out.glob("bobbin_*"))
        back.append(run(bobbin, "backup", "restore", bundle, "--to", out / "restored", "--site", site))
        (out / "tar").mkdir()
        untar.append(run(f"zstd -q -dc '{out}/x.tar.zst' | tar -C '{out}/tar' -xf - && sync -f '{out}/tar'", shell=True))
        (out / "bsd").mkdir()
        unbsd.append(run(f"bsdtar -C '{out}/bsd' -xf '{out}/y.tar.zst' && sync -f '{out}/bsd'", shell=True))
    say("bobbin backup restore (every hash compared)", back, size)
    say("zstd -d | tar -x", untar, size)
    say("bsdtar -x", unbsd, size)
    ratio("restore / the faster of them", back, [untar, unbsd], 0.8)
    full = next((home / f"{site.name}-0").glob("bobbin_*"))
    os.utime(full)
    time.sleep(1.1)
    increment = run(bobbin, "backup", "create", "--site", site, "--to", home / f"{site.name}-0", "--increment")
    print(f"  {'an increment without anything new':<44} {increment:6.2f} s")


if files:
    measure(f"small: {files} files", small)
if megabytes:
    measure("mixed: text and noise", mixed)
