"""Measurement with little memory: each way in a process whose memory, page cache included, is limited by a cgroup.

The limit is what the process uses by itself and a quarter of the raw frames, whatever the way keeps on disk. So a set
of four times the machine's memory is imitated, as REDS in a machine of 20 GB.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from loading.measure import CASES, Case, Results, case_name, told
from loading.sets import Clips
from loading.way import Way

ROOT = Path('/sys/fs/cgroup')
SHARE = 4
SAMPLES = 10  # per turn
SLOW_SECONDS = 1.0  # of a turn


class Group:
    """A cgroup of one process, version 1 or 2.

    Raises:
        OSError: this process may not make one.
    """

    def __init__(self, name: str) -> None:
        own = dict(reversed(line.split(':')[1:]) for line in Path('/proc/self/cgroup').read_text().splitlines())
        parent = next((path for path, kind in own.items() if 'memory' in kind.split(',')), None)
        self.first = parent is not None
        base = ROOT / 'memory' / parent.strip('/') if parent else ROOT
        self.folder = (base if base.exists() else ROOT / 'memory') / name
        self.folder.mkdir(exist_ok=True)

    def limit(self, size: int) -> None:
        """Limits its memory, in bytes."""
        (self.folder / ('memory.limit_in_bytes' if self.first else 'memory.max')).write_text(str(size))

    def used(self) -> int:
        """Bytes of its memory now."""
        return int((self.folder / ('memory.usage_in_bytes' if self.first else 'memory.current')).read_text())

    def enter(self) -> None:
        """Moves this process into it."""
        (self.folder / 'cgroup.procs').write_text(str(os.getpid()))

    def remove(self) -> None:
        """Removes it, once it has no process."""
        self.folder.rmdir()


def serve(way: Way, name: str, clips: Clips, pipe: Any) -> None:
    """Reads samples for the parent, in a group of its own."""
    group = Group(name)
    group.enter()
    way.ready()
    way.open()
    rng = random.Random(4)
    way.read(clips.place(rng, *CASES[0]))  # what it imports and allocates is not part of the page cache
    group.limit(max(group.used(), 64 << 20) + clips.raw_bytes // SHARE)
    pipe.send('ready')
    for case in iter(pipe.recv, None):
        times = []
        started = time.perf_counter()
        while len(times) < SAMPLES and time.perf_counter() - started < SLOW_SECONDS:
            place = clips.place(rng, *case)
            before = time.perf_counter()
            way.read(place)
            times.append(1000 * (time.perf_counter() - before))
        pipe.send(times)


def tight(ways: Sequence[Way], clips: Clips, work: Path, rounds: int) -> dict[str, Results]:
    """Milliseconds per sample, medians and means; nothing where no cgroup can be made."""
    used = [way for way in ways if not way.shares]  # what one has read, another would find for nothing
    names = {way.name: f'mg_loading_{os.getpid()}_{way.name}' for way in used}
    try:
        for name in names.values():
            Group(name).remove()
    except OSError as error:
        print(f'tight: no cgroup can be made ({error}); not measured', file=sys.stderr)
        return {}
    context = multiprocessing.get_context('spawn')  # some libraries do not survive a fork
    pipes, processes = {}, []
    for way in used:
        way.cool()
        pipes[way.name], theirs = context.Pipe()
        anew = type(way)(clips, work)
        process = context.Process(target=serve, args=(anew, names[way.name], clips, theirs), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        pipes[way.name].recv()
    times: dict[tuple[Case, str], list[float]] = {}
    for number in range(-rounds // 3, rounds):  # first rounds fill the memory
        for case in CASES:
            for way in used:
                pipes[way.name].send(case)
                found = pipes[way.name].recv()
                if number >= 0:
                    times.setdefault((case, way.name), []).extend(found)
        told('tight', number + 1, rounds)
    for pipe in pipes.values():
        pipe.send(None)
    for process in processes:
        process.join()
    for name in names.values():
        Group(name).remove()
    return {
        kind: {case_name(case): {way.name: of(times[case, way.name]) for way in used} for case in CASES}
        for kind, of in (('median', median), ('mean', mean))
    }
