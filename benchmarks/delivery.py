"""Samples per second that reach the training process through a DataLoader: BasicSR's way, memory-mapped arrays, ours.

    python benchmarks/delivery.py                   makes its clips, as benchmarks/loading does, and shares them
    python benchmarks/delivery.py --data DIR        REDS-like clips of 100 frames: DIR/GT, DIR/LQ, DIR/meta_info.txt

Mini-batches of 8 clips, of 15 frames of GT 256 and of 5 frames of GT 64, with one worker and with two. Stock: BasicSR's
REDSRecurrentDataset, float32, collated by torch. npy: `.npy` arrays under a memory map, sliced, collated by torch; as
they are, channels last. Ours: uint8 from a store, collated, and through the ring of shared memory that training uses;
then with the conversion to float32 in the training process, as a run on the CPU has it; and the reading alone, in one
process. Copy: through the ring as well, but as many bytes from as many places as a crop has tiles, which are chosen at
random in the same files: what the memory of the machine gives. Files are in memory, and memory maps are complete, as
they are after a while. In turns; prints a table and one line of JSON, and writes benchmarks/results/delivery.json.
"""

from __future__ import annotations

import argparse
import json
import mmap
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import RESULTS, machine
from loading.arrays import Npy
from loading.sets import SCALE, Clips, prepare_reds
from torch.utils.data import DataLoader, Dataset, get_worker_info

from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.kernels import compiled
from mg_basicsr.data.loading.batch_dataset import Guarded
from mg_basicsr.data.loading.batches import as_delivered, pixels_to_float
from mg_basicsr.data.loading.shared_ring import Ring, RingBatch
from mg_basicsr.data.loading.workers import start_worker
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.building.writer import RAW_TILES
from mg_basicsr.data.store.format import Header, clip_path
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.raw_clip import MappedClip
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.host.install import install
from mg_basicsr.train_set import TrainSetOptions

CLIPS = 8
SHAPES = ((256, 15), (64, 5))  # GT edge and frames
WORKERS = (1, 2)
PREFETCH = 2
WARM_UP = 8  # batches; the worker is then as far ahead as it gets
STOCK_ROUNDS = 2  # it takes most of the time
SETTINGS: dict[str, Any] = {'collate_fn': as_delivered, 'prefetch_factor': PREFETCH}

Shape = tuple[int, int]


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=Path, help='REDS-like clips of 100 frames (default: makes its own)')
    parser.add_argument('--work', type=Path, default=Path('loading_benchmark'), help='folder of clips and stores')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batches', type=int, default=60, help='of full samples, per round')
    parser.add_argument('--without-stock', action='store_true', help='which takes most of the time')
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = prepare_reds(arguments.data, arguments.work)
    ours = our_dataset(options, arguments.work / 'delivery_store')
    npy = Npy(Clips(Path(options['dataroot_gt']).parent), arguments.work / 'peers')
    npy.ready()
    ways: dict[str, Callable[[], float]] = {}
    for shape in SHAPES:
        count = arguments.batches * (1 if shape == SHAPES[0] else 10)
        for workers in WORKERS:
            name = f'{shape[0]}x{shape[1]}, {workers} workers: '
            ways |= {
                name + 'stock': partial(stock_rate, options, shape, workers),
                name + 'npy': partial(npy_rate, npy, shape, workers, count),
                name + 'collated': partial(our_rate, ours, shape, workers, count, ring=False),
                name + 'ring': partial(our_rate, ours, shape, workers, count, ring=True),
                name + 'copy': partial(copy_rate, ours, shape, workers, count),
                name + 'ring_to_float': partial(our_rate, ours, shape, workers, count, ring=True, to_float=True),
            }
        ways[f'{shape[0]}x{shape[1]}, read alone'] = partial(read_rate, ours, shape, count)
    if arguments.without_stock:
        ways = {name: measure for name, measure in ways.items() if not name.endswith('stock')}
    in_memory(npy, ours)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(arguments.rounds):
        for name, measure in ways.items():
            if number < STOCK_ROUNDS or not name.endswith('stock'):
                rates[name].append(measure())
    medians = {name: median(values) for name, values in rates.items()}
    to_copy = {
        name: round(ratio_to(rates, name, name.replace('ring', 'copy')), 3) for name in ways if name.endswith('ring')
    }
    print(f'\nsamples per second, mini-batches of {CLIPS} clips: median, lowest, highest')
    for name, values in rates.items():
        print(f'{name:>36} {medians[name]:9.1f} {min(values):9.1f} {max(values):9.1f}')
    print(f'share of what copying as many bytes gives, by round: {to_copy}')
    about = machine('torch', 'numpy', 'opencv-python')
    kernel = 'compiled' if compiled else 'none: NumPy'
    report = {
        'what': 'samples per second',
        'kernel': kernel,
        'medians': medians,
        'rounds': rates,
        'to_copy': to_copy,
        **about,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / 'delivery.json').write_text(json.dumps(report, indent=2) + '\n')
    print(json.dumps(report))


def in_memory(npy: Npy, ours: REDSRecurrent) -> None:
    """Reads all files that are measured."""
    for path in (*npy.files, *store_files(ours)):
        path.read_bytes()


def store_files(ours: REDSRecurrent) -> list[Path]:
    """The clips of the store."""
    assert isinstance(ours.source, StoreFrames)
    return [clip_path(ours.source.root, clip.name) for clip in ours.source.clips]


def ratio_to(rates: dict[str, list[float]], name: str, other: str) -> float:
    """Median of the ratios in each round, in which the two were measured one soon after the other."""
    return median(one / two for one, two in zip(rates[name], rates[other], strict=True))


def our_dataset(options: dict[str, Any], store: Path) -> REDSRecurrent:
    """Our dataset on a store, which is built if it is not there."""
    ours = TrainSetOptions.parse(options, SCALE)
    build(store, Header(SCALE), from_options(ours, 'reds', None))
    return REDSRecurrent(ours, open_store(store, ours))


def batches(dataset: REDSRecurrent, shape: Shape, count: int) -> Iterator[BatchRequests]:
    """Random clips."""
    size, frames = shape
    for iteration in range(count):
        drawn = ((random.randrange(len(dataset)), random.getrandbits(64)) for _ in range(CLIPS))
        yield BatchRequests(iteration, [SampleRequest(index, frames, size, seed) for index, seed in drawn])


def batch_bytes(shape: Shape) -> int:
    """Bytes of a mini-batch."""
    size, frames = shape
    return CLIPS * frames * 3 * (size**2 + (size // SCALE) ** 2)


def our_rate(
    dataset: REDSRecurrent, shape: Shape, workers: int, count: int, ring: bool, to_float: bool = False
) -> float:
    """Ours, as host/data/loader.py has it for a GPU, which flips; with `to_float` for the CPU, where workers flip."""
    memory = Ring(PREFETCH * workers + 1, batch_bytes(shape)) if ring else None
    requests: Any = list(batches(dataset, shape, count + WARM_UP))
    guarded = Guarded(dataset, flip=to_float, ring=memory)
    loader = iter(DataLoader(guarded, batch_sampler=requests, num_workers=workers, **SETTINGS, worker_init_fn=start))

    def fetch() -> None:
        batch = next(loader)
        whole = memory.batch(batch) if memory else batch
        if to_float:
            pixels_to_float(whole)

    return timed(fetch, count, WARM_UP)


class Copies(Dataset[Any]):
    """Mini-batches of as many bytes, copied to the ring from as many places of the same files as crops have tiles."""

    def __init__(self, files: list[Path], shape: Shape, memory: Ring) -> None:
        self.maps = [np.memmap(path, np.uint8, 'r') for path in files]
        self.memory = memory
        self.shapes = {'pixels': (CLIPS * tiles(shape), batch_bytes(shape) // (CLIPS * tiles(shape)))}

    def __getitems__(self, requests: BatchRequests) -> RingBatch:
        for piece in self.memory.tensors(requests.iteration, self.shapes)['pixels'].numpy():
            source = random.choice(self.maps)
            begin = random.randrange(len(source) - len(piece))
            np.copyto(piece, source[begin : begin + len(piece)])
        return RingBatch(requests.iteration, self.shapes, {})


def tiles(shape: Shape) -> int:
    """Tiles that most crops overlap."""
    sides = zip((shape[0], shape[0] // SCALE), RAW_TILES, strict=True)
    return sum((-(-(size - 1) // tile) + 1) ** 2 for size, tile in sides)


def copy_rate(dataset: REDSRecurrent, shape: Shape, workers: int, count: int) -> float:
    """Copies of as many bytes."""
    memory = Ring(PREFETCH * workers + 1, batch_bytes(shape))
    copies = Copies(store_files(dataset), shape, memory)
    requests: Any = list(batches(dataset, shape, count + WARM_UP))
    loader = iter(DataLoader(copies, batch_sampler=requests, num_workers=workers, **SETTINGS, worker_init_fn=start))
    return timed(lambda: memory.batch(next(loader)), count, WARM_UP)


def start(worker: int) -> None:
    """Starts a worker, and completes its memory maps."""
    start_worker(worker)
    random.seed(worker)
    dataset: Any = get_worker_info().dataset
    if isinstance(dataset, NpyClips):
        maps = [*dataset.way.lq, *dataset.way.gt]
    elif isinstance(dataset, Copies):
        maps = dataset.maps
    else:
        opened = [dataset.dataset.source._opened(clip.sequence) for clip in dataset.dataset.source.clips]
        maps = [np.frombuffer(clip._map, np.uint8) for clip in opened if isinstance(clip, MappedClip)]
    for pixels in maps:
        pixels.reshape(-1)[:: mmap.PAGESIZE].max()


class NpyClips(Dataset[Any]):
    """Slices of memory-mapped arrays at random places."""

    def __init__(self, way: Npy, shape: Shape) -> None:
        self.way = way
        self.shape = shape

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        lq, gt = self.way.read(self.way.clips.place(random, *self.shape))
        return {'lq': torch.from_numpy(lq), 'gt': torch.from_numpy(gt)}


def npy_rate(way: Npy, shape: Shape, workers: int, count: int) -> float:
    """Memory-mapped arrays in an ordinary DataLoader."""
    way.open()
    settings: Any = {'worker_init_fn': start, 'prefetch_factor': PREFETCH}
    loader = iter(DataLoader(NpyClips(way, shape), CLIPS, num_workers=workers, **settings))
    return timed(lambda: next(loader), count, WARM_UP)


def stock_rate(options: dict[str, Any], shape: Shape, workers: int) -> float:
    """BasicSR's dataset in a DataLoader as BasicSR makes it."""
    install()
    from basicsr.data.reds_dataset import REDSRecurrentDataset

    dataset: Dataset[Any] = REDSRecurrentDataset({**options, 'num_frame': shape[1], 'gt_size': shape[0]})
    loader = iter(DataLoader(dataset, CLIPS, shuffle=True, num_workers=workers, drop_last=True))
    return timed(lambda: next(loader), 3, 1)


def read_rate(dataset: REDSRecurrent, shape: Shape, count: int) -> float:
    """What the worker alone could do: reading into memory that is there already."""
    memory = Ring(1, batch_bytes(shape))
    guarded = Guarded(dataset, flip=False, ring=memory)
    requests = batches(dataset, shape, count + WARM_UP)
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
