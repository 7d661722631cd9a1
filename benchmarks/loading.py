"""What a sample costs: from a store, from folders, and from BasicSR's own dataset class, on the same clips.

    python benchmarks/loading.py                    makes its clips (three of 100 frames, 1280x720; needs scikit-image)
    python benchmarks/loading.py --data DIR         REDS-like clips of 100 frames: DIR/GT, DIR/LQ, DIR/meta_info.txt

One process, one thread, all ways of reading in turns, so that whatever else the machine does meets all of them. Samples
are what a worker delivers for a GPU, which flips them; `flips too`: for the CPU, where the worker does that. Prints
a table and one line of JSON; writes benchmarks/results/loading.json and loading.png.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from common import RESULTS, machine

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90KRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header, clip_path
from mg_basicsr.data.store.mapped_file import open_map
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.demo.clips import make_clips
from mg_basicsr.host.install import install
from mg_basicsr.train_set import TrainSetOptions

SCALE = 4
SIZES, FRAMES = (64, 128, 256), (5, 15, 30)
SEPTUPLETS, SEPTUPLET_SIZE = 24, (256, 448)
VIMEO_CASE = (256, 7)
LABELS = {
    'basicsr': "BasicSR's dataset",
    'folders': 'ours, folders',
    'store': 'ours, store',
    'store_flipped': 'store, flips too',
    'compressed': 'compressed store',
    'copy': 'copy of as many bytes',
}
MANY = {'store': 20, 'store_flipped': 20, 'compressed': 4, 'copy': 20}  # samples per turn; one of the slow ones

Case = tuple[int, int]  # GT edge and frames
Draw = Callable[[Case], object]


@dataclass(frozen=True)
class Way:
    """One way of reading: draws a sample of a case, and forgets what the system has cached of its files."""

    draw: Draw
    files: list[Path]
    close: Callable[[], None]

    def cool(self) -> None:
        """Drops the files from the page cache, which keeps what is mapped or not yet written."""
        self.close()
        for path in self.files:
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=Path, help='REDS-like clips of 100 frames (default: makes its own)')
    parser.add_argument('--work', type=Path, default=Path('loading_benchmark'), help='folder of clips and stores')
    parser.add_argument('--rounds', type=int, default=15, help='turns, warm')
    parser.add_argument('--cold-rounds', type=int, default=9, help='turns, cold')
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    random.seed(0)

    reds = prepare_reds(arguments.data, arguments.work)
    vimeo = prepare_vimeo(reds, arguments.work)
    os.sync()
    ways = ways_of(reds, arguments.work / 'reds', REDSRecurrent, 'REDSRecurrentDataset')
    vimeo_ways = ways_of(vimeo, arguments.work / 'vimeo', Vimeo90KRecurrent, 'Vimeo90KRecurrentDataset')
    cases = [(size, frames) for frames in FRAMES for size in SIZES]
    results = {
        'warm': measure(ways, cases, arguments.rounds),
        'cold': measure(ways, [case for case in cases if case[1] == 15], arguments.cold_rounds, cold=True),
        'vimeo_warm': measure(vimeo_ways, [VIMEO_CASE], arguments.rounds),
        'vimeo_cold': measure(vimeo_ways, [VIMEO_CASE], arguments.cold_rounds, cold=True),
    }
    show(results)
    targets = judge(results)
    about = machine('torch', 'numpy', 'opencv-python', 'zstandard')
    report = {'what': 'milliseconds per sample, medians', 'results': results, 'targets': targets, **about}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / 'loading.json').write_text(json.dumps(report, indent=2) + '\n')
    plot(results, arguments.output / 'loading.png')
    print(json.dumps(report))


def prepare_reds(data: Path | None, work: Path) -> dict[str, Any]:
    """Options of the REDS-like set."""
    if data is None:
        data = work / 'clips'
        if not (data / 'meta_info.txt').exists():
            print('making clips: about two minutes', flush=True)
            # 000 is a validation clip of REDS4
            make_clips(data, 3, 100, (720, 1280), 0, lambda gt: gt[::SCALE, ::SCALE].copy(), first_index=1)
    return {
        **block(data),
        'meta_info_file': str(data / 'meta_info.txt'),
        'val_partition': 'REDS4',
        'interval_list': [1],
        'random_reverse': False,
    }


def prepare_vimeo(reds: dict[str, Any], work: Path) -> dict[str, Any]:
    """Septuplets cut out of the clips, and their options."""
    data = work / 'septuplets'
    names = [f'00001/{number:04d}' for number in range(1, SEPTUPLETS + 1)]
    meta = data / 'meta_info.txt'
    if not meta.exists():
        sources = sorted(path for path in Path(reds['dataroot_gt']).iterdir() if path.is_dir())
        for number, name in enumerate(names):
            clip = sources[number % len(sources)]
            first = number // len(sources) * 7
            for frame in range(7):
                image = cv2.imread(str(clip / f'{first + frame:08d}.png'))[: SEPTUPLET_SIZE[0], : SEPTUPLET_SIZE[1]]
                for side, step in (('GT', 1), ('LQ', SCALE)):
                    path = data / side / name / f'im{frame + 1}.png'
                    path.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(path), np.ascontiguousarray(image[::step, ::step]))
        meta.write_text(''.join(f'{name} 7 ({SEPTUPLET_SIZE[0]},{SEPTUPLET_SIZE[1]},3)\n' for name in names))
    return {**block(data), 'meta_info_file': str(meta), 'num_frame': 7, 'random_reverse': False, 'flip_sequence': False}


def block(data: Path) -> dict[str, Any]:
    """What the `datasets.train` blocks of both sets have in common."""
    return {
        'name': data.name,
        'dataroot_gt': str(data / 'GT'),
        'dataroot_lq': str(data / 'LQ'),
        'io_backend': {'type': 'disk'},
        'num_frame': 15,
        'gt_size': 256,
        'scale': SCALE,
        'use_hflip': True,
        'use_rot': True,
        'test_mode': False,
    }


def ways_of(options: dict[str, Any], work: Path, kind: Any, theirs: str) -> dict[str, Way]:
    """All ways of reading a set; its stores are built if they are not there."""
    ours = TrainSetOptions.parse(options, SCALE)
    layout = 'reds' if kind is REDSRecurrent else 'vimeo'
    stores: dict[str, StoreFrames] = {}
    for name, header in (('store', Header(SCALE)), ('compressed', Header(SCALE, 'zstd', 4))):
        build(work / name, header, from_options(ours, layout, None))
        stores[name] = open_store(work / name, ours)
    pngs = [path for root in (options['dataroot_gt'], options['dataroot_lq']) for path in Path(root).rglob('*.png')]
    ways = {
        'basicsr': Way(stock_draw(options, theirs), pngs, lambda: None),
        'folders': Way(our_draw(kind(ours)), pngs, lambda: None),
    }
    for name, store in stores.items():
        files = [clip_path(store.root, clip.name) for clip in store.clips]
        for way, flip in ((name, False), *([('store_flipped', True)] if name == 'store' else [])):
            draw = our_draw(kind(ours, store), flip)
            if layout == 'vimeo':  # of 64,612 septuplets nearly each is opened anew
                draw = reopening(draw, store)
            ways[way] = Way(draw, files, store._open.clear)
    ways['copy'] = copy_way(stores['store'])
    return ways


def stock_draw(options: dict[str, Any], theirs: str) -> Draw:
    """Samples of BasicSR's class, whose shape is in its options."""
    install()  # basicsr 1.4.2 cannot be imported beside today's torchvision without a shim
    import basicsr.data.reds_dataset
    import basicsr.data.vimeo90k_dataset

    module = basicsr.data.reds_dataset if theirs.startswith('REDS') else basicsr.data.vimeo90k_dataset
    dataset = getattr(module, theirs)(dict(options))

    def draw(case: Case) -> object:
        dataset.opt['gt_size'], dataset.num_frame = case
        return dataset[random.randrange(len(dataset))]

    return draw


def our_draw(dataset: ClipDataset, flip: bool = True) -> Draw:
    """Samples of ours, uint8."""

    def draw(case: Case) -> object:
        size, frames = case
        request = SampleRequest(random.randrange(len(dataset)), frames, size, random.getrandbits(64))
        return dataset.read(dataset.draw(request), flip=flip)

    return draw


def reopening(draw: Draw, store: StoreFrames) -> Draw:
    """The same, with the opening of the clip's file in each sample."""

    def draw_anew(case: Case) -> object:
        store._open.clear()
        return draw(case)

    return draw_anew


def copy_way(store: StoreFrames) -> Way:
    """The limit: as many bytes, in one piece, from a random place of the same files to a new array."""
    maps: list[mmap.mmap] = []

    def draw(case: Case) -> object:
        size, frames = case
        count = frames * 3 * (size**2 + (size // SCALE) ** 2)
        if not maps:
            maps.extend(open_map(clip_path(store.root, clip.name), clip.bytes) for clip in store.clips)
        mapped = random.choice(maps)
        return np.frombuffer(mapped, np.uint8, count, random.randrange(len(mapped) - count)).copy()

    return Way(draw, [], maps.clear)


def measure(ways: dict[str, Way], cases: list[Case], rounds: int, cold: bool = False) -> dict[str, dict[str, float]]:
    """Milliseconds per sample by case and way."""
    times: dict[tuple[Case, str], list[float]] = {}
    used = {name: way for name, way in ways.items() if not (cold and name == 'copy')}
    ways['copy'].close()  # what is mapped stays in memory
    for number in range(rounds + 1):
        for case in cases:
            for name, way in used.items():
                for elapsed in turn(way, case, 1 if cold else MANY.get(name, 1), cold):
                    if number:  # the first round fills caches
                        times.setdefault((case, name), []).append(elapsed)
        print(f'{"cold" if cold else "warm"}: round {number} of {rounds}', file=sys.stderr, flush=True)
    return {f'{size}x{frames}': {name: median(times[(size, frames), name]) for name in used} for size, frames in cases}


def read_from_disk() -> int:
    """Bytes that this process has read from disk so far."""
    fields = dict(line.split(': ') for line in Path('/proc/self/io').read_text().splitlines())
    return int(fields['read_bytes'])


def turn(way: Way, case: Case, samples: int, cold: bool) -> Iterator[float]:
    """Milliseconds of each sample."""
    for _ in range(samples):
        if cold:
            way.cool()
        before = read_from_disk()
        started = time.perf_counter()
        way.draw(case)
        yield 1000 * (time.perf_counter() - started)
        if cold and read_from_disk() == before:
            raise SystemExit('a cold sample read nothing from disk: the files are on a disk without a page cache')


def judge(results: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """The numbers that the package promises something about."""
    full, small, cold = results['warm']['256x15'], results['warm']['64x5'], results['cold']['256x15']
    shares = [results['warm'][f'{size}x15']['store'] / size**2 for size in SIZES]
    return {
        'store_256x15_times_faster': full['basicsr'] / full['store'],
        'store_256x15_to_copy': full['store'] / full['copy'],
        'store_64x5_times_faster': small['basicsr'] / small['store'],
        'store_256x15_cold_times_faster': cold['basicsr'] / cold['store'],
        'compressed_256x15_times_faster': full['basicsr'] / full['compressed'],
        'folders_256x15_times_faster': full['basicsr'] / full['folders'],
        'cost_per_pixel_64_to_256': max(shares) / min(shares),
        'vimeo_milliseconds': results['vimeo_warm']['256x7']['store'],
    }


def show(results: dict[str, dict[str, dict[str, float]]]) -> None:
    """The table."""
    for name, cases in results.items():
        print(f'\n{name.replace("_", ", ")}: milliseconds per sample, and times faster than BasicSR')
        print(f'{"GT x frames":>12}' + ''.join(f'{LABELS[way]:>26}' for way in next(iter(cases.values()))))
        for case, values in cases.items():
            cells = (f'{value:.3f} ({values["basicsr"] / value:.0f}x)' for value in values.values())
            print(f'{case:>12}' + ''.join(f'{cell:>26}' for cell in cells))
    print()


def plot(results: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Cost against pixels: warm for all cases, cold for those that were measured."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 5))
    colours = dict(zip(LABELS, ('#888888', '#d95f02', '#1b6ca8', '#66a5d4', '#7570b3', '#222222'), strict=True))
    for way, label in LABELS.items():
        for state, style, name in (('warm', 'o-', label), ('cold', 'x:', f'{label}, cold cache')):
            for frames in FRAMES:  # one line for each number of frames
                cases = [(size, f'{size}x{frames}') for size in SIZES if f'{size}x{frames}' in results[state]]
                points = [(frames * size**2 / 1e6, results[state][case].get(way)) for size, case in cases]
                if points and points[0][1]:
                    axes.plot(*zip(*points, strict=True), style, color=colours[way], label=name, ms=4.5, lw=1.2)
                    name = None
    axes.set(xscale='log', yscale='log', ylabel='milliseconds per sample')
    axes.set(xlabel='GT pixels of a sample (frames x edge x edge), millions')
    axes.set_title('What a sample costs: clips of 5, 15 and 30 frames, GT 64 to 256')
    axes.grid(alpha=0.3, which='both', linewidth=0.5)
    axes.legend(fontsize=8, ncol=2, frameon=False, loc='upper center', bbox_to_anchor=(0.5, -0.14))
    figure.savefig(path, dpi=150, bbox_inches='tight')


if __name__ == '__main__':
    main()
