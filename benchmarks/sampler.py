"""What it costs to say which clips come next: time and memory per batch, up to 10^9 clips and 1,024 ranks.

    python benchmarks/sampler.py

Prints a table and one line of JSON; writes benchmarks/results/sampler.json.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from pathlib import Path
from statistics import median

from common import RESULTS, machine

from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import Plan, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape

CASES = ((24_000, 8), (64_612, 8), (10**6, 64), (10**9, 1024))  # keys and ranks: REDS, Vimeo-90K, and beyond
CLIPS_PER_RANK, STAGES, ITERATIONS = 4, 6, 300_000


def plan_for(ranks: int) -> Plan:
    """Six stages, as lin2022 has them."""
    shape = BatchShape(CLIPS_PER_RANK * ranks, 15, 256)
    specs = [StageSpec(ITERATIONS // STAGES, (shape,), 2e-4, 0.0, Constant()) for _ in range(STAGES)]
    return build_plan(specs, world_size=ranks, budget=CLIPS_PER_RANK * 15 * 256**2, warmup_iter=0, base_lr=2e-4)


def measure(keys: int, ranks: int, batches: int) -> dict[str, float]:
    """Median and slowest microseconds per clip of one rank, and the bytes that a sampler and a batch need at most."""
    plan = plan_for(ranks)
    iterations = [n * ITERATIONS // batches for n in range(batches)]  # all over the run: nothing can be reused
    sampler = MultigridSampler(plan, keys, seed=1, rank=ranks - 1)
    times = []
    for iteration in iterations:
        start = time.perf_counter()
        requests = sampler.requests(iteration)
        times.append((time.perf_counter() - start) / len(requests) * 1e6)
    tracemalloc.start()
    fresh = MultigridSampler(plan, keys, seed=2, rank=ranks - 1)
    for iteration in iterations[: batches // 10]:
        fresh.requests(iteration)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {'microseconds_per_clip': median(times), 'slowest': max(times), 'peak_bytes': peak}


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--batches', type=int, default=3000)
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    results = {f'{keys} keys, {ranks} ranks': measure(keys, ranks, arguments.batches) for keys, ranks in CASES}
    print(f'{"":>28}{"us per clip":>14}{"slowest":>12}{"peak bytes":>12}')
    for case, found in results.items():
        print(
            f'{case:>28}' + f'{found["microseconds_per_clip"]:14.2f}{found["slowest"]:12.1f}{found["peak_bytes"]:12,}'
        )
    report = {'what': 'the sampler, one rank', 'results': results, **machine('torch')}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / 'sampler.json').write_text(json.dumps(report, indent=2) + '\n')
    print(json.dumps(report))


if __name__ == '__main__':
    main()
