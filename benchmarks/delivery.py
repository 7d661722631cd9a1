"""Samples per second that reach the training process through a DataLoader with one worker: BasicSR's way, and ours.

    python benchmarks/delivery.py                   makes its clips, as benchmarks/loading.py does, and shares them
    python benchmarks/delivery.py --data DIR        REDS-like clips of 100 frames: DIR/GT, DIR/LQ, DIR/meta_info.txt

Mini-batches of 8 clips of 15 frames of GT 256. Stock: BasicSR's REDSRecurrentDataset, float32, collated by torch. Ours:
uint8 from a store, collated, and through the ring of shared memory that training uses; then with the conversion to
float32 in the training process, as a run on the CPU has it. In turns; prints a table and one line of JSON, and writes
benchmarks/results/delivery.json.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import RESULTS, machine
from loading.sets import SCALE, prepare_reds
from torch.utils.data import DataLoader, Dataset

from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.loading.batch_dataset import Guarded
from mg_basicsr.data.loading.batches import as_delivered, pixels_to_float
from mg_basicsr.data.loading.shared_ring import Ring
from mg_basicsr.data.loading.workers import start_worker
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.host.install import install
from mg_basicsr.train_set import TrainSetOptions

CLIPS, FRAMES, SIZE = 8, 15, 256
BYTES = CLIPS * FRAMES * 3 * (SIZE**2 + (SIZE // SCALE) ** 2)
PREFETCH = 2
WARM_UP = 4  # batches; the worker is then as far ahead as it gets


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=Path, help='REDS-like clips of 100 frames (default: makes its own)')
    parser.add_argument('--work', type=Path, default=Path('loading_benchmark'), help='folder of clips and stores')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batches', type=int, default=60, help='of ours, per round')
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = prepare_reds(arguments.data, arguments.work)
    ours = our_dataset(options, arguments.work / 'reds' / 'store')
    ways: dict[str, Callable[[], float]] = {
        'stock': lambda: stock_rate(options),
        'collated': lambda: our_rate(ours, arguments.batches, ring=False),
        'ring': lambda: our_rate(ours, arguments.batches, ring=True),
        'ring_to_float': lambda: our_rate(ours, arguments.batches, ring=True, to_float=True),
        'read_alone': lambda: read_rate(ours, arguments.batches),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, measure in ways.items():
            rates[name].append(measure())
    medians = {name: median(values) for name, values in rates.items()}
    print(f'\nsamples per second, one worker, {CLIPS} clips x {FRAMES} frames x GT {SIZE}: median, lowest, highest')
    for name, values in rates.items():
        print(f'{name:>16} {medians[name]:9.1f} {min(values):9.1f} {max(values):9.1f}')
    about = machine('torch', 'numpy', 'opencv-python')
    report = {'what': 'samples per second', 'medians': medians, 'rounds': rates, **about}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / 'delivery.json').write_text(json.dumps(report, indent=2) + '\n')
    print(json.dumps(report))


def our_dataset(options: dict[str, Any], store: Path) -> REDSRecurrent:
    """Our dataset on a store, which is built if it is not there."""
    ours = TrainSetOptions.parse(options, SCALE)
    build(store, Header(SCALE), from_options(ours, 'reds', None))
    return REDSRecurrent(ours, open_store(store, ours))


def batches(dataset: REDSRecurrent, count: int) -> Iterator[BatchRequests]:
    """Random clips of the full shape."""
    for iteration in range(count):
        drawn = ((random.randrange(len(dataset)), random.getrandbits(64)) for _ in range(CLIPS))
        yield BatchRequests(iteration, [SampleRequest(index, FRAMES, SIZE, seed) for index, seed in drawn])


def our_rate(dataset: REDSRecurrent, count: int, ring: bool, to_float: bool = False) -> float:
    """Ours, as host/loader.py has it."""
    memory = Ring(PREFETCH + 1, BYTES) if ring else None
    requests: Any = list(batches(dataset, count + WARM_UP))
    settings: Any = {'collate_fn': as_delivered, 'worker_init_fn': start_worker, 'prefetch_factor': PREFETCH}
    loader = iter(DataLoader(Guarded(dataset, ring=memory), batch_sampler=requests, num_workers=1, **settings))

    def fetch() -> None:
        batch = next(loader)
        whole = memory.batch(batch) if memory else batch
        if to_float:
            pixels_to_float(whole)

    return timed(fetch, count, WARM_UP)


def stock_rate(options: dict[str, Any]) -> float:
    """BasicSR's dataset in a DataLoader as BasicSR makes it."""
    install()
    from basicsr.data.reds_dataset import REDSRecurrentDataset

    dataset: Dataset[Any] = REDSRecurrentDataset({**options, 'num_frame': FRAMES, 'gt_size': SIZE})
    loader = iter(DataLoader(dataset, CLIPS, shuffle=True, num_workers=1, drop_last=True))
    return timed(lambda: next(loader), 3, 1)


def read_rate(dataset: REDSRecurrent, count: int) -> float:
    """What the worker alone could do: reading into memory that is there already."""
    memory = Ring(1, BYTES)
    guarded = Guarded(dataset, ring=memory)
    requests = batches(dataset, count + WARM_UP)
    return timed(lambda: guarded.__getitems__(next(requests)), count, WARM_UP)


def timed(fetch: Callable[[], object], count: int, warm_up: int) -> float:
    """Samples per second over `count` batches."""
    for _ in range(warm_up):
        fetch()
    started = time.perf_counter()
    for _ in range(count):
        fetch()
    return CLIPS * count / (time.perf_counter() - started)


if __name__ == '__main__':
    main()
