"""Does `mg-basicsr check` predict what a run takes: in stock BasicSR, with the block, with the block and a store?

    python benchmarks/check_prediction.py              two sets, made here (needs scikit-image): about five minutes
    python benchmarks/check_prediction.py --sets large one of them; no record is written
    python benchmarks/check_prediction.py -opt X.yml   any options file, in its working directory; --force_yml as usual

The first set is the demo's, on which arithmetic takes most of the time; the second, `large`, has frames of 720 x 1280
pixels and a small network, so that loading does. Each is checked once, then trained in every way: --iters iterations
of every stage, and twice as many in stock BasicSR, without validation and saving. The predicted time of each way is
compared with what its iterations took, and so is that of each stage of the block's run. The time of iterations is that
between two lines of BasicSR's log; the first ones of a stage are left out. Prints a table and one line of JSON; writes
benchmarks/results/check_prediction.json. Other programs on the machine meet some of the runs only: use a quiet one.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from common import RESULTS, machine

NAME = 'check_prediction'
LINE = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) .*iter: *([\d,]+), lr:', re.MULTILINE)
UNCOUNTED = 4  # first iterations of a run or of a stage: mini-batches that were loaded ahead, memory that is new
STOCK, PLAN, STORE = 'stock BasicSR', 'with the block', 'with the block and a store'
SETS = ('demo', 'large')
LARGE = {'clips': 2, 'frames': 100, 'shape': (720, 1280)}


class Set(NamedTuple):
    """Options file to check and to train.

    Attributes:
        name: In the results.
        root: Working directory.
        options: The file's options.
        ways: Ways in which to train it.
    """

    name: str
    root: Path
    options: dict[str, Any]
    ways: tuple[str, ...]


def main() -> None:
    arguments = parse()
    results, start = {}, time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        for each in sets(arguments, Path(name)):
            began = time.perf_counter()
            results[each.name] = found = measured(each, arguments.iters, arguments.force_yml)
            print(f'{each.name}: check took {found["check_seconds"]:.0f} s, all {time.perf_counter() - began:.0f} s')
            for row in (*found['ways'], *found['stages']):
                print(
                    f'  {row["what"]:<34} predicted {row["predicted"]:.4f} s  took {row["took"]:.4f} s per iteration  '
                    f'({row["predicted"] / row["took"] - 1:+.0%})  {row.get("bound", "")}'
                )
    rows = [row for found in results.values() for row in found['ways']]
    worst = max(abs(row['predicted'] / row['took'] - 1) for row in rows)
    print(f'largest deviation of a way: {worst:.0%}; {time.perf_counter() - start:.0f} s')
    result = {'largest_deviation': worst, 'sets': results, **machine('torch', 'basicsr')}
    print(json.dumps(result))
    if arguments.opt is None and len(results) == len(SETS):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f'{NAME}.json').write_text(json.dumps(result, indent=2) + '\n')


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Predicted against real seconds of a run.')
    parser.add_argument('-opt', help='an options file with a multigrid block (default: two sets that are made here)')
    parser.add_argument('--sets', nargs='+', choices=SETS, default=SETS, help='which of them')
    parser.add_argument('--iters', type=int, default=14, help='iterations of every stage')
    parser.add_argument('--force_yml', nargs='+', default=[])
    return parser.parse_args()


def sets(arguments: argparse.Namespace, folder: Path) -> list[Set]:
    if arguments.opt:
        options = yaml.safe_load(Path(arguments.opt).read_text())
        stored = 'store' in options['multigrid']
        return [Set(arguments.opt, Path.cwd(), options, (STOCK, STORE if stored else PLAN))]
    (folder / 'large').mkdir()
    make = {'demo': demo, 'large': lambda folder: large(folder / 'large')}
    return [make[name](folder) for name in arguments.sets]


def demo(folder: Path) -> Set:
    """The demo's options beside its data, read from folders: bound by arithmetic."""
    from mg_basicsr.demo.data import SCALE, make_data
    from mg_basicsr.host.store_inputs import bicubic

    make_data(folder / 'datasets', partial(bicubic, scale=SCALE), lambda *progress: None)
    options = yaml.safe_load((Path(__file__).parents[1] / 'mg_basicsr/demo/demo.yml').read_text())
    del options['multigrid']['store']
    return Set('demo', folder, options, (STOCK, PLAN, STORE))


def large(folder: Path) -> Set:
    """Large frames and small crops for a small network: bound by loading, but from a store."""
    import cv2
    import numpy as np

    options = yaml.safe_load((Path(__file__).parents[1] / 'mg_basicsr/demo/demo.yml').read_text())
    (height, width), rng = LARGE['shape'], np.random.default_rng(0)
    for clip in range(LARGE['clips']):
        texture = cv2.GaussianBlur(rng.integers(0, 256, (2 * height, 2 * width, 3), np.uint8), (0, 0), 2)
        texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
        for side in ('GT', 'LQ'):
            (folder / f'datasets/train/{side}/{clip:03d}').mkdir(parents=True)
        for n in range(LARGE['frames']):
            gt = texture[n : n + height, 2 * n : 2 * n + width]
            lq = cv2.resize(gt, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
            for side, image in (('GT', gt), ('LQ', lq)):
                cv2.imwrite(str(folder / f'datasets/train/{side}/{clip:03d}/{n:08d}.png'), image)
    lines = [f'{clip:03d} {LARGE["frames"]} ({height},{width},3)\n' for clip in range(LARGE['clips'])]
    (folder / 'datasets/train/meta_info.txt').write_text(''.join(lines))
    options['datasets']['train'] |= {'num_frame': 6, 'gt_size': 128, 'batch_size_per_gpu': 2}
    options['network_g']['num_feat'] = 16
    options['multigrid'] = {'preset': 'lin2022', 'min_lq_size': 16, 'temporal': [1.0]}
    return Set('large', folder, options, (STOCK, PLAN, STORE))


def measured(each: Set, iters: int, force_yml: Sequence[str]) -> dict[str, Any]:
    """Predicted and real seconds per iteration of every way, and of the stages of the block's run."""
    options = each.options
    options['val'] = None
    options['datasets'].pop('val', None)
    options['logger'] |= {'print_freq': 1, 'save_checkpoint_freq': 10**9}
    file = write(each, 'check', options)
    stages = len(json.loads(command(each.root, 'plan', file, '--json', force_yml=force_yml))['stages'])
    short = [*force_yml, f'train:total_iter={stages * iters}']
    start = time.perf_counter()
    checked = json.loads(command(each.root, 'check', file, '--json', force_yml=short))
    seconds = time.perf_counter() - start
    predicted = {way['way']: {**way} for way in checked['hours']['ways']}
    stock = [*force_yml, f'train:total_iter={2 * iters}']
    logs = {way: trained(each, way, stock if way == STOCK else short) for way in each.ways}
    rows = [row(predicted[way], checked, stages * iters, logs[way]) for way in each.ways if predicted[way]['hours']]
    plan = logs[each.ways[1]]
    by_stage = [stage_row(stage, plan) for stage in checked['stages']]
    return {'check_seconds': seconds, 'iterations': checked['total_iter'], 'ways': rows, 'stages': by_stage}


def trained(each: Set, way: str, force_yml: Sequence[str]) -> dict[int, datetime]:
    """Train in one way; the time of each line of the log, by iteration."""
    options = {**each.options, 'name': f'{NAME}_{time.time_ns()}'}
    block = dict(options.pop('multigrid'))
    if way != STOCK:
        options['multigrid'] = {**block, 'check': False}
    if way == STORE and 'store' not in block:
        store = each.root / 'datasets/prepared'
        command(each.root, 'prepare', write(each, 'prepare', each.options), '-o', str(store), '--workers', '1')
        options['multigrid']['store'] = str(store)
    command(each.root, 'train', write(each, 'train', options), force_yml=force_yml)
    log = max((each.root / 'experiments' / options['name']).glob('train_*.log')).read_text()
    return {int(match[2].replace(',', '')): stamp(match[1]) for match in LINE.finditer(log)}


def write(each: Set, name: str, options: Mapping[str, Any]) -> Path:
    path = each.root / f'{NAME}_{name}.yml'
    path.write_text(yaml.safe_dump(dict(options), sort_keys=False))
    return path


def command(root: Path, name: str, options: Path, *flags: str, force_yml: Sequence[str] = ()) -> str:
    """What `mg-basicsr NAME` prints."""
    line = [sys.executable, '-m', 'mg_basicsr', name, '-opt', str(options), *flags]
    line += ['--force_yml', *force_yml] if force_yml else []
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return done.stdout


def row(way: Mapping[str, Any], checked: Mapping[str, Any], total: int, log: Mapping[int, datetime]) -> dict[str, Any]:
    """Seconds per iteration of a whole run: of its stages, or, of stock BasicSR, of all iterations alike."""
    stock = way['way'] == STOCK
    whole = [{'start': 0, 'iters': max(log)}] if stock else checked['stages']
    took = sum(stage['iters'] * took_per_iter(stage, log) for stage in whole) / max(log)
    predicted = way['hours'] * 3600 / (total if stock else checked['total_iter'])
    return {'what': way['way'], 'predicted': predicted, 'took': took, 'ratio': predicted / took, 'bound': way['bound']}


def stage_row(stage: Mapping[str, Any], log: Mapping[int, datetime]) -> dict[str, Any]:
    what = f'stage {stage["index"] + 1}: {stage["clips"]} x {stage["frames"]} x {stage["gt_size"]} px'
    predicted, took = stage['seconds_per_iter'], took_per_iter(stage, log)
    return {'what': what, 'predicted': predicted, 'took': took, 'ratio': predicted / took}


def took_per_iter(stage: Mapping[str, Any], log: Mapping[int, datetime]) -> float:
    """Mean seconds of a stage's iterations but the first."""
    first, last = stage['start'] + 1 + UNCOUNTED, stage['start'] + stage['iters']
    return (log[last] - log[first]).total_seconds() / (last - first)


def stamp(text: str) -> datetime:
    return datetime.strptime(text, '%Y-%m-%d %H:%M:%S,%f')


if __name__ == '__main__':
    main()
