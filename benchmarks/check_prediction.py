"""Does `mg-basicsr check` predict what an iteration takes? Checks a run, trains it, and compares, stage by stage.

    python benchmarks/check_prediction.py             the demo's network on its data (made here; needs scikit-image)
    python benchmarks/check_prediction.py -opt X.yml  any options file, from its working directory; --force_yml as usual

The training is a short one: --iters iterations of every stage, without validation and saving. An iteration's time is
that between two lines of BasicSR's log; the first two of a stage are left out, and the median of the others counts.
Prints a table and one line of JSON; writes benchmarks/results/check_prediction.json. Other programs on the machine meet
only one of the two runs: use a quiet one.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

RESULTS = Path(__file__).parent / 'results'
NAME = 'check_prediction'
LINE = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) .*iter: *([\d,]+), lr:', re.MULTILINE)
UNCOUNTED = 2  # first iterations of a stage


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        root, options = (Path.cwd(), Path(arguments.opt).resolve()) if arguments.opt else demo(Path(folder))
        stages = len(json.loads(command(root, 'plan', options, arguments.force_yml, '--json'))['stages'])
        iterations = stages * arguments.iters
        short = [
            *arguments.force_yml, f'train:total_iter={iterations}', f'name={NAME}_{time.time_ns()}',
            'logger:print_freq=1', f'logger:save_checkpoint_freq={10**9}', 'val=~',
        ]  # fmt: skip
        start = time.perf_counter()
        checked = json.loads(command(root, 'check', options, short, '--json'))
        seconds = time.perf_counter() - start
        command(root, 'train', options, short)
        name = short[-4].partition('=')[2]
        log = max((root / 'experiments' / name).glob('train_*.log')).read_text()
    rows = compare(checked, log)
    for row in rows:
        print(
            f'stage {row["stage"]}: {row["clips"]} x {row["frames"]} x {row["gt_size"]} px  '
            f'predicted {row["predicted"]:.3f} s  took {row["took"]:.3f} s  ({row["ratio"] - 1:+.0%})'
        )
    worst = max(abs(row['ratio'] - 1) for row in rows)
    print(f'check took {seconds:.0f} s; largest deviation {worst:.0%}')
    result = {'check_seconds': seconds, 'largest_deviation': worst, 'stages': rows, 'machine': machine()}
    print(json.dumps(result))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f'{NAME}.json').write_text(json.dumps(result, indent=2) + '\n')


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Predicted against real seconds per iteration.')
    parser.add_argument('-opt', help='an options file with a multigrid block (default: the demo)')
    parser.add_argument('--iters', type=int, default=12, help='iterations of every stage')
    parser.add_argument('--force_yml', nargs='+', default=[])
    return parser.parse_args()


def demo(folder: Path) -> tuple[Path, Path]:
    """The demo's options file beside its data, read from folders."""
    from mg_basicsr.demo.data import SCALE, make_data
    from mg_basicsr.host.store_inputs import bicubic

    make_data(folder / 'datasets', partial(bicubic, scale=SCALE), lambda *progress: None)
    text = (Path(__file__).parents[1] / 'mg_basicsr/demo/demo.yml').read_text()
    options = folder / 'demo.yml'
    options.write_text(re.sub(r'^  store: .*$', '', text, flags=re.MULTILINE))
    return folder, options


def command(root: Path, name: str, options: Path, force_yml: Sequence[str], *flags: str) -> str:
    """What `mg-basicsr NAME` prints."""
    line = [sys.executable, '-m', 'mg_basicsr', name, '-opt', str(options), *flags]
    line += ['--force_yml', *force_yml] if force_yml else []
    done = subprocess.run(line, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return done.stdout


def compare(checked: dict[str, Any], log: str) -> list[dict[str, Any]]:
    """Each stage's predicted seconds and the median of those that its iterations took."""
    logged = {int(match[2].replace(',', '')): stamp(match[1]) for match in LINE.finditer(log)}
    rows = []
    for stage in checked['stages']:
        counted = range(stage['start'] + 1 + UNCOUNTED, stage['start'] + stage['iters'] + 1)
        took = median((logged[i] - logged[i - 1]).total_seconds() for i in counted)
        predicted = stage['seconds_per_iter']
        shape = {key: stage[key] for key in ('clips', 'frames', 'gt_size')}
        ratio = predicted / took
        rows.append({'stage': stage['index'] + 1, **shape, 'predicted': predicted, 'took': took, 'ratio': ratio})
    return rows


def stamp(text: str) -> datetime:
    return datetime.strptime(text, '%Y-%m-%d %H:%M:%S,%f')


def machine() -> dict[str, Any]:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    versions = {'torch': torch.__version__, 'python': platform.python_version()}
    return {'device': device, 'threads': torch.get_num_threads(), **versions}


if __name__ == '__main__':
    main()
