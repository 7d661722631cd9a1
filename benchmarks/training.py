"""Time to the same PSNR: BasicSR as it is against the same options file with a `multigrid:` block, part by part.

    python benchmarks/training.py --work DIR                    the CPU set-up; runs that have a record are kept
    python benchmarks/training.py --work DIR --seeds 0 1 2 3    more seeds, continued
    python benchmarks/training.py --work DIR --setup basicvsr   on a GPU
    python benchmarks/training.py --work DIR --sweep            ratio against the size of the network, short runs
    python benchmarks/training.py --summary                     tables and figure from the records alone

Every arm trains in a process of its own, on the same clips, in an order that is reversed from seed to seed. The clock
(training_process.py) counts everything but BasicSR's validation. --video adds clips of a real video to the generated
ones. Appends a line to benchmarks/results/training_<set-up>.jsonl for each run; then writes the summary and the figure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import RESULTS, machine
from training_arms import PREDICTED, SETUPS, SHOWN, SWEEP, SWEPT, Setup
from training_data import make_data
from training_figure import plot
from training_summary import markdown, summarise

PROCESS = Path(__file__).parent / 'training_process.py'
SWEEP_ITERATIONS = 18


def main() -> None:
    """Runs what has no record, then sums up."""
    arguments = parse()
    setup = SETUPS[arguments.setup]
    records = Records(arguments.output / f'training_{arguments.setup}.jsonl')
    if not arguments.summary:
        root = Path(arguments.work).resolve()
        root.mkdir(parents=True, exist_ok=True)
        make_data(root, arguments.video)
        prepare_store(setup, root)
        if arguments.sweep:
            sweep(setup, root, records)
        else:
            predict(setup, root, records)
            train_all(setup, root, records, arguments.seeds, arguments.arms or list(setup.arms))
    summary = summarise(records.lines, list(setup.arms))
    (arguments.output / f'training_{arguments.setup}.json').write_text(json.dumps(summary, indent=2) + '\n')
    plot(summary, SHOWN, arguments.output / f'training_{arguments.setup}.png')
    print(markdown(summary))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--setup', choices=SETUPS, default='cpu')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--arms', nargs='+', metavar='ARM', help='only these')
    parser.add_argument('--sweep', action='store_true', help='short runs of several network sizes')
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


def prepare_store(setup: Setup, root: Path) -> None:
    """The crop store of the training clips; a finished one is kept."""
    options = setup.write(root, 'prepare', setup.arms['store'], 0)
    mg_basicsr(root, 'prepare', '-opt', options.name)


def predict(setup: Setup, root: Path, records: Records) -> None:
    """What `check` and `plan` say beforehand."""
    if not records.has(kind='prediction', arm=PREDICTED):
        options = setup.write(root, 'predict', setup.arms[PREDICTED], 0)
        said = json.loads(mg_basicsr(root, 'check', '-opt', options.name, '--json'))
        seconds = {side: 3600 * hours for side, hours in said['hours'].items()}
        records.add(kind='prediction', arm=PREDICTED, seconds=seconds, ideal_speedup=said['ideal_speedup'])


def train_all(setup: Setup, root: Path, records: Records, seeds: list[int], names: list[str]) -> None:
    """All arms of each seed, forward and backward in turns."""
    for n, seed in enumerate(seeds):
        for name in names if n % 2 == 0 else reversed(names):
            if not records.has(kind='run', arm=name, seed=seed):
                arm = setup.arms[name]
                experiment = f'{name.replace(" ", "_")}_{seed}'
                options = setup.write(root, experiment, arm, seed)
                record = train(root, options, arm.environment)
                records.add(kind='run', arm=name, seed=seed, **record)
                print(f'{name}, seed {seed}: {record["seconds"]:.1f} s, {record["curve"][-1][2]:.3f} dB', flush=True)


def sweep(setup: Setup, root: Path, records: Records) -> None:
    """Short runs without validation of networks of several sizes."""
    for label, network in SWEEP.items():
        for name in [name for name in SWEPT if name in setup.arms]:
            if not records.has(kind='sweep', network=label, arm=name):
                arm = setup.arms[name]
                options = setup.write(root, 'sweep', arm, 0, SWEEP_ITERATIONS, network)
                record = train(root, options, arm.environment)
                records.add(kind='sweep', network=label, arm=name, gflop=gflop_per_clip(setup, network), **record)
                print(f'{label}, {name}: {record["seconds"]:.1f} s', flush=True)


def train(root: Path, options: Path, environment: Any) -> dict[str, Any]:
    """One training in a process of its own; its record."""
    path = root / 'record.json'
    path.unlink(missing_ok=True)
    command = [sys.executable, str(PROCESS), str(path), '-opt', options.name]
    execute(command, root, environment)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def mg_basicsr(root: Path, *command: str) -> str:
    """What a command of the package prints."""
    return execute([sys.executable, '-m', 'mg_basicsr', *command], root, {})


def execute(command: list[str], root: Path, environment: Any) -> str:
    done = subprocess.run(command, cwd=root, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f'{" ".join(command)}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}')
    return done.stdout


def gflop_per_clip(setup: Setup, network: Any) -> float:
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
