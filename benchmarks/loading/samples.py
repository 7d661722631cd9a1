"""Whole samples, drawn and read by our datasets and BasicSR's, as workers deliver them to a GPU, which flips them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from loading.measure import bytes_from_disk, told
from loading.sets import SCALE, prepare_vimeo
from loading.way import forget
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90KRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header, clip_path
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.host.install import install
from mg_basicsr.train_set import TrainSetOptions

SIZES, FRAMES = (64, 128, 256), (5, 15, 30)
VIMEO_CASE = (256, 7)
MANY = {'store': 20, 'store_flipped': 20, 'compressed': 4}  # samples per turn; one of the slow ones

Case = tuple[int, int]  # GT edge and frames
Draw = Callable[[Case], object]


@dataclass(frozen=True)
class Source:
    """One source of samples: draws a sample of a case, and forgets what the system has cached of its files."""

    draw: Draw
    files: list[Path]
    close: Callable[[], None]

    def cool(self) -> None:
        """Makes the page cache forget the files."""
        self.close()
        forget(self.files)


def samples(reds: dict[str, Any], work: Path, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds per sample, medians, by job, case and source."""
    vimeo = prepare_vimeo(reds, work)
    os.sync()
    sources = ways_of(reds, work / 'reds', REDSRecurrent, 'REDSRecurrentDataset')
    septuplets = ways_of(vimeo, work / 'vimeo', Vimeo90KRecurrent, 'Vimeo90KRecurrentDataset')
    cases = [(size, frames) for frames in FRAMES for size in SIZES]
    few = max(1, rounds * 3 // 5)
    return {
        'set_warm': measure(sources, cases, rounds),
        'set_cold': measure(sources, [case for case in cases if case[1] == 15], few, cold=True),
        'vimeo_warm': measure(septuplets, [VIMEO_CASE], rounds),
        'vimeo_cold': measure(septuplets, [VIMEO_CASE], few, cold=True),
    }


def ways_of(options: dict[str, Any], work: Path, kind: Any, theirs: str) -> dict[str, Source]:
    """All ways of reading a set; its stores are built if they are not there."""
    ours = TrainSetOptions.parse(options, SCALE)
    layout = 'reds' if kind is REDSRecurrent else 'vimeo'
    stores: dict[str, StoreFrames] = {}
    for name, header in (('store', Header(SCALE)), ('compressed', Header(SCALE, 'zstd', 4))):
        build(work / name, header, from_options(ours, layout, None))
        stores[name] = open_store(work / name, ours)
    pngs = [path for root in (options['dataroot_gt'], options['dataroot_lq']) for path in Path(root).rglob('*.png')]
    ways = {
        'basicsr': Source(stock_draw(options, theirs), pngs, lambda: None),
        'folders': Source(our_draw(kind(ours)), pngs, lambda: None),
    }
    for name, store in stores.items():
        files = [clip_path(store.root, clip.name) for clip in store.clips]
        for way, flip in ((name, False), *([('store_flipped', True)] if name == 'store' else [])):
            draw = our_draw(kind(ours, store), flip)
            if layout == 'vimeo':  # of 64,612 septuplets nearly each is opened anew
                draw = reopening(draw, store)
            ways[way] = Source(draw, files, store._open.clear)
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


def measure(ways: dict[str, Source], cases: list[Case], rounds: int, cold: bool = False) -> dict[str, dict[str, float]]:
    """Milliseconds per sample by case and way."""
    times: dict[tuple[Case, str], list[float]] = {}
    for number in range(rounds + 1):
        for case in cases:
            for name, way in ways.items():
                for elapsed in turn(way, case, 1 if cold else MANY.get(name, 1), cold):
                    if number:  # the first round fills caches
                        times.setdefault((case, name), []).append(elapsed)
        told('samples, cold' if cold else 'samples, warm', number, rounds)
    return {f'{size}x{frames}': {name: median(times[(size, frames), name]) for name in ways} for size, frames in cases}


def turn(way: Source, case: Case, samples: int, cold: bool) -> Iterator[float]:
    """Milliseconds of each sample."""
    for _ in range(samples):
        if cold:
            way.cool()
        before = bytes_from_disk()
        started = time.perf_counter()
        way.draw(case)
        yield 1000 * (time.perf_counter() - started)
        if cold and bytes_from_disk() == before:
            raise SystemExit('a cold sample read nothing from disk: the files are on a disk without a page cache')
