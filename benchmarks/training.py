"""Time to the PSNR of the best stock: BasicSR's own loop, set for speed, against a block of one line and a store.

    python benchmarks/training.py --work DIR --ways                 how fast stock can be set, short runs
    python benchmarks/training.py --work DIR --seeds 1000 1001      runs of these seeds, continued
    python benchmarks/training.py --work DIR --length 1600          another length of the options file
    python benchmarks/training.py --work DIR --untimed              beside other work: for their PSNR alone
    python benchmarks/training.py --work DIR --setup basicvsr       on a GPU
    python benchmarks/training.py --work DIR --sweep                ratio against the size of the network, short runs
    python benchmarks/training.py --summary                         tables and figure from the records alone

The rules are in training_protocol.py. Every arm trains in a process of its own, on the same clips, in an order that is
reversed from seed to seed. The clock (training_process.py) counts everything but BasicSR's validation. --video adds
clips of a real video to the generated ones. Appends a line to benchmarks/results/training_<set-up>.jsonl for each run;
then writes the summary and the figure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import RESULTS, machine
from training_arms import SETUPS, STOCK, SWEEP, Arm, Setup
from training_data import make_data
from training_figure import plot
from training_stock import WAYS, Stock, make_sub_images
from training_summary import markdown, summarise, whole

PROCESS = Path(__file__).parent / 'training_process.py'
SHORT = 18  # iterations of runs that show their speed alone


def main() -> None:
    """Runs what has no record, then sums up."""
    arguments = parse()
    setup = SETUPS[arguments.setup]
    records = Records(arguments.output / f'training_{arguments.setup}.jsonl')
    if not arguments.summary:
        root = Path(arguments.work).resolve()
        root.mkdir(parents=True, exist_ok=True)
        make_data(root, arguments.video)
        make_sub_images(root)
        mg_basicsr(root, 'prepare', '-opt', setup.write(root, 'prepare', setup.arms['store'], 0, 400).name)
        if arguments.ways:
            try_ways(setup, root, records)
        elif arguments.sweep:
            sweep(setup, root, records, arguments.repeats)
        else:
            train_all(setup, root, records, arguments)
    summary = summarise(records.lines, list(setup.arms))
    (arguments.output / f'training_{arguments.setup}.json').write_text(json.dumps(summary, indent=2) + '\n')
    plot(summary, arguments.output / f'training_{arguments.setup}.png')
    print(markdown(summary))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--setup', choices=SETUPS, default='cpu')
    parser.add_argument('--seeds', type=int, nargs='+', default=list(range(1000, 1010)))
    parser.add_argument('--length', type=int, default=400, help='iterations of the options file')
    parser.add_argument('--arms', nargs='+', metavar='ARM', help='only these')
    parser.add_argument('--untimed', action='store_true', help='the machine has other work: only scores count')
    parser.add_argument('--ways', action='store_true', help='short runs of stock, set in several ways')
    parser.add_argument('--sweep', action='store_true', help='short runs of several network sizes')
    parser.add_argument('--repeats', type=int, default=3, help='of each short run of the sweep')
    parser.add_argument('--summary', action='store_true', help='train nothing')
    parser.add_argument('--work', help='folder of the data and the experiments')
    parser.add_argument('--video', type=Path, help='a video, of which clips are taken besides')
    parser.add_argument('--output', type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if not (arguments.work or arguments.summary):
        parser.error('--work DIR is needed to train')
    return arguments


class Records:
    """The lines of a file, one per run, appended as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        if path.exists():
            self.lines = [json.loads(line) for line in path.read_text().splitlines()]

    def has(self, **wanted: Any) -> bool:
        """Whether there is a record with these values."""
        return any(all(line.get(key) == value for key, value in wanted.items()) for line in self.lines)

    def add(self, **record: Any) -> None:
        """Appends a record, with the machine's state."""
        record.update(machine('torch', 'torchvision', 'numpy', 'opencv-python', 'basicsr'))
        self.lines.append(record)
        with self.path.open('a') as file:
            file.write(json.dumps(record) + '\n')

    def best_way(self) -> str:
        """The way in which stock was fastest; before any was tried, the one that should be."""
        tried = [line for line in self.lines if line['kind'] == 'stock']
        return min(tried, key=whole)['way'] if tried else 'sub-images, 1 thread'


def try_ways(setup: Setup, root: Path, records: Records) -> None:
    """Short runs of stock, set in every way."""
    for way, stock in WAYS.items():
        if not records.has(kind='stock', way=way):
            options = setup.write(root, 'way', setup.arms[STOCK], 0, SHORT, stock=stock, validate=False)
            records.add(kind='stock', way=way, **train(root, options, stock.environment))
            print(f'{way}: {whole(records.lines[-1]):.0f} ms per iteration', flush=True)


def train_all(setup: Setup, root: Path, records: Records, arguments: argparse.Namespace) -> None:
    """All arms of each seed, forward and backward in turns."""
    names = arguments.arms or list(setup.arms)
    for n, seed in enumerate(arguments.seeds):
        for name in names if n % 2 == 0 else reversed(names):
            what = {'kind': 'run', 'arm': name, 'seed': seed, 'length': arguments.length}
            timed = {} if arguments.untimed else {'timed': True}
            if not records.has(**what, **timed):
                stock = WAYS[way := records.best_way()] if name == STOCK else None
                record = train_arm(setup, root, setup.arms[name], f'{name.replace(" ", "_")}_{seed}', what, stock)
                record.update(what, timed=not arguments.untimed, way=way if stock else None)
                records.add(**record)
                score = record['curve'][-1][2]
                print(f'{name}, seed {seed}: {record["seconds"]:.1f} s, {score:.3f} dB', flush=True)


def train_arm(
    setup: Setup, root: Path, arm: Arm, name: str, what: Mapping[str, Any], stock: Stock | None
) -> dict[str, Any]:
    """One run of an arm; its record, with the hash of its plan."""
    options = setup.write(root, name, arm, what['seed'], what['length'], stock=stock)
    plan = mg_basicsr(root, 'plan', '-opt', options.name, '--yaml') if arm.block else ''
    record = train(root, options, stock.environment if stock else arm.environment)
    return {**record, 'plan': hashlib.sha256(plan.encode()).hexdigest()[:12] if plan else None}


def sweep(setup: Setup, root: Path, records: Records, repeats: int) -> None:
    """Short runs without validation of networks of several sizes, all arms in turns."""
    for repeat in range(repeats):
        for label, network in SWEEP.items():
            for name, arm in setup.arms.items():
                if not records.has(kind='sweep', network=label, arm=name, repeat=repeat):
                    stock = WAYS[records.best_way()] if name == STOCK else None
                    more = {'stock': stock, 'validate': False, 'network': network}
                    options = setup.write(root, 'sweep', arm, 0, SHORT, **more)
                    record = train(root, options, stock.environment if stock else arm.environment)
                    gflop = gflop_per_clip(setup, network)
                    records.add(kind='sweep', network=label, arm=name, repeat=repeat, gflop=gflop, **record)


def train(root: Path, options: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """One training in a process of its own; its record."""
    path = options.with_suffix('.record.json')
    path.unlink(missing_ok=True)
    execute([sys.executable, str(PROCESS), str(path), '-opt', options.name], root, environment)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def mg_basicsr(root: Path, *command: str) -> str:
    """What a command of the package prints."""
    return execute([sys.executable, '-m', 'mg_basicsr', *command], root, {})


def execute(command: list[str], root: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=root, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f'{" ".join(command)}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}')
    return done.stdout


def gflop_per_clip(setup: Setup, network: Mapping[str, Any]) -> float:
    """Arithmetic of a clip of the full shape, forward and backward, in 10^9 operations."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from mg_basicsr.demo.network import MultigridDemoNet

    options = {key: value for key, value in network.items() if key != 'type'}
    net = MultigridDemoNet(**options)
    train_set = setup.train_set
    size = train_set['gt_size'] // 4
    with FlopCounterMode(display=False) as counter:
        net(torch.rand(1, train_set['num_frame'], 3, size, size)).sum().backward()
    return float(counter.get_total_flops()) / 1e9


if __name__ == '__main__':
    main()
