"""The command: what it measures, shows and writes."""

from __future__ import annotations

import argparse
import json
import random
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import torch
from common import RESULTS, machine

from loading import arrays, images, ours
from loading.measure import check_equal, cold, warm
from loading.report import goals, plot, show
from loading.samples import samples
from loading.sets import Clips, prepare_reds
from loading.tight import tight
from loading.way import Way
from mg_basicsr.data.kernels import compiled

WAYS: tuple[type[Way], ...] = (
    ours.Store,
    ours.StoreNumpy,
    ours.Compressed,
    arrays.Npy,
    arrays.NpyPlanes,
    arrays.NpyAdvised,
    arrays.Tensorstore,
    arrays.Zarr,
    arrays.Mds,
    images.SubImages,
    images.Png,
    images.Lmdb,
    images.Dali,
    arrays.Copy,
)
NEEDS = {'tensorstore': 'tensorstore zarr', 'zarr': 'zarr', 'mds': 'streaming', 'dali': 'nvidia.dali', 'lmdb': 'lmdb'}
JOBS = ('warm', 'cold', 'tight', 'set')
PACKAGES = ('torch', 'numpy', 'opencv-python', 'zstandard', 'lmdb', 'tensorstore', 'zarr', 'mosaicml-streaming')


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description='What a sample costs from the store and from its peers.')
    parser.add_argument('--data', type=Path, help='REDS-like clips of 100 frames (default: makes its own)')
    parser.add_argument('--work', type=Path, default=Path('loading_benchmark'), help='folder of clips and stores')
    parser.add_argument('--ways', nargs='+', choices=[way.name for way in WAYS], help='default: all')
    parser.add_argument('--jobs', nargs='+', choices=JOBS, default=JOBS)
    parser.add_argument('--rounds', type=int, default=15, help='turns')
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    random.seed(0)
    reds = prepare_reds(arguments.data, arguments.work)
    clips = Clips(Path(reds['dataroot_gt']).parent)
    ways, missing = made(arguments.ways, clips, arguments.work / 'peers')
    check_equal(ways, clips)
    results: dict[str, Any] = {'about': {way.name: way.about() for way in ways}}
    if 'warm' in arguments.jobs:
        results['warm'] = warm(ways, clips, arguments.rounds)
    if 'cold' in arguments.jobs:
        results['cold'], results['cold_megabytes'] = cold(ways, clips, arguments.rounds)
    if 'tight' in arguments.jobs:
        for kind, found in tight(ways, clips, arguments.work / 'peers', arguments.rounds).items():
            results[f'tight_{kind}'] = found
    if 'set' in arguments.jobs:
        results |= samples(reds, arguments.work, arguments.rounds)
    labels = {way.name: way.label for way in ways}
    show(results, labels)
    report = {
        'what': 'milliseconds per sample, medians',
        'kernel': 'compiled' if compiled else 'none: NumPy',
        'missing': missing,
        'labels': labels,
        'results': results,
        'goals': goals(results),
        **machine(*PACKAGES),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / 'loading.json').write_text(json.dumps(report, indent=2) + '\n')
    if 'set_warm' in results:
        plot(results, arguments.output / 'loading.png')
    print(json.dumps(report))


def made(names: list[str] | None, clips: Clips, work: Path) -> tuple[list[Way], list[str]]:
    """The ways, built and open, and the names of those whose packages are missing."""
    ways, missing = [], []
    for kind in WAYS:
        if names and kind.name not in names:
            continue
        if not all(_installed(package) for package in NEEDS.get(kind.name, '').split()):
            missing.append(kind.name)
            print(f'{kind.label} is left out: not installed', file=sys.stderr)
            continue
        way = kind(clips, work)
        print(f'{kind.name}: building, unless it is there', file=sys.stderr, flush=True)
        way.ready()
        way.open()
        ways.append(way)
    return ways, missing


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
