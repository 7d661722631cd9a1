"""Measurements in one process: equality of all ways, warm, and cold."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np

from loading.sets import Clips, Place
from loading.way import Way

CASES = ((256, 15), (128, 15), (64, 5))  # GT edge and frames
FAST_SECONDS = 0.02  # of samples of one way in a turn
MOST_SAMPLES = 40
LIST = 500  # places
VISIT_SECONDS = 2.0

Case = tuple[int, int]
Results = dict[str, dict[str, float]]  # by case and way


def case_name(case: Case) -> str:
    """As in tables and results."""
    return f'{case[0]}x{case[1]}'


def check_equal(ways: Sequence[Way], clips: Clips, seed: int = 1) -> None:
    """All ways give the pixels of the first one."""
    rng = random.Random(seed)
    for case in CASES:
        for _ in range(4):
            place = clips.place(rng, *case)
            wanted = ways[0].same_order(ways[0].read(place))
            for way in ways[1:]:
                found = way.same_order(way.read(place))
                if way.name != 'copy' and not all(np.array_equal(*pair) for pair in zip(wanted, found, strict=True)):
                    raise SystemExit(f'{way.name} gives other pixels than {ways[0].name} at {place}')


def warm(ways: Sequence[Way], clips: Clips, rounds: int) -> Results:
    """Milliseconds per sample, medians; all files in memory."""
    times: dict[tuple[Case, str], list[float]] = {}
    rng = random.Random(2)
    # One list for all. Each begins elsewhere in it: some share files, and would find what the one before has read.
    drawn = {case: [clips.place(rng, *case) for _ in range(LIST)] for case in CASES}
    places = {
        (case, way.name): cycle(drawn[case][37 * n % LIST :] + drawn[case][: 37 * n % LIST])
        for case in CASES
        for n, way in enumerate(ways)
    }
    for way in ways:
        for path in way.files:
            path.read_bytes()
    for way in ways:
        for case in CASES:
            visit(way, drawn[case])
    for number in range(rounds + 1):
        for case in CASES:
            for way in rng.sample(list(ways), len(ways)):
                for elapsed in turn(places[case, way.name], way):
                    if number:  # the first round fills caches and maps pages
                        times.setdefault((case, way.name), []).append(elapsed)
        told('warm', number, rounds)
    return {case_name(case): {way.name: median(times[case, way.name]) for way in ways} for case in CASES}


def visit(way: Way, places: Sequence[Place]) -> None:
    """Reads all places once, as far as time allows: memory maps are then complete, as they are after a while."""
    started = time.perf_counter()
    for place in places:
        way.read(place)
        if time.perf_counter() - started > VISIT_SECONDS:
            return


def turn(places: Iterator[Place], way: Way) -> Iterator[float]:
    """Milliseconds of each of the samples that a way reads one after another: more of fast ones."""
    total = 0.0
    for _ in range(MOST_SAMPLES):
        wanted = next(places)
        started = time.perf_counter()
        way.read(wanted)
        elapsed = time.perf_counter() - started
        yield 1000 * elapsed
        total += elapsed
        if total > FAST_SECONDS:
            return


def cold(ways: Sequence[Way], clips: Clips, rounds: int) -> tuple[Results, Results]:
    """Milliseconds per sample, and megabytes read from disk; the page cache forgets the files before each."""
    times: dict[tuple[Case, str], list[float]] = {}
    read: dict[tuple[Case, str], list[float]] = {}
    rng = random.Random(3)
    used = [way for way in ways if way.name != 'copy']
    for way in ways:
        way.close()  # what is mapped stays in memory
    for number in range(rounds):
        for case in CASES:
            place = clips.place(rng, *case)
            for way in used:
                way.cool()
                way.open()
                before, started = bytes_from_disk(), time.perf_counter()
                way.read(place)
                times.setdefault((case, way.name), []).append(1000 * (time.perf_counter() - started))
                amount = bytes_from_disk() - before
                read.setdefault((case, way.name), []).append(amount / 1e6)
                way.close()
                if not amount:
                    raise SystemExit(f'a cold sample of {way.name} read nothing from disk: is there a page cache?')
        told('cold', number + 1, rounds)
    for way in ways:
        way.open()

    def medians(values: dict[tuple[Case, str], list[float]]) -> Results:
        return {case_name(case): {way.name: median(values[case, way.name]) for way in used} for case in CASES}

    return medians(times), medians(read)


def bytes_from_disk() -> int:
    """Bytes that this process has read from disk so far."""
    fields = dict(line.split(': ') for line in Path('/proc/self/io').read_text().splitlines())
    return int(fields['read_bytes'])


def told(what: str, number: int, rounds: int) -> None:
    """Progress."""
    print(f'{what}: round {number} of {rounds}', file=sys.stderr, flush=True)
