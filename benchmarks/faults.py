"""Kills a small run at random moments, resumes it, and compares its end with that of the undisturbed run, to the bit.

    python benchmarks/faults.py --kills 200 --seed 0                    lin2022, six stages
    python benchmarks/faults.py --kills 20 --configuration store gan    in turn, 20 kills each; or `all`
    python benchmarks/faults.py --kills 200 --block FILE.yml            FILE holds what stands below `multigrid:`
    python benchmarks/faults.py --kills 20 --ranks 2                    one of two ranks, under torchrun with restarts

SIGKILL goes to the training process with its workers. A third of the kills wait for a save to begin, with `validation`
another third for a validation; the others fall anywhere, the start included. Each start has 0, 1 and 2 workers in turn
and `--auto_resume`. A run that has come to its end is compared (networks, moving averages, optimisers, schedulers), and
the next begins, until there are enough kills. faults_configurations.py has the runs.

BasicSR is imported once, by this process, which forks for every start. Exit code 1 on any difference, or on a run that
could not be resumed; what is left then lies in --work.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')  # before torch: sums in one order, and on the CPU

import torch
import yaml
from faults_comparison import compare
from faults_configurations import CONFIGURATIONS, Configuration
from faults_data import make_data
from faults_kills import Killer, ranks_to_the_end, run_to_the_end, wait
from faults_project import Project

ALL = 'all'


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=200, help='of each configuration')
    parser.add_argument('--seed', type=int, default=0, help='of the moments; the runs are the same for all seeds')
    parser.add_argument('--configuration', nargs='+', choices=[*CONFIGURATIONS, ALL], default=['lin2022'])
    parser.add_argument('--preset', dest='configuration', nargs=1, choices=('lin2022', 'wu2020'), help='the same')
    parser.add_argument('--short-cycle', dest='configuration', action='store_const', const=['wu2020'])
    parser.add_argument('--block', type=Path, help='a YAML file with the keys of another block')
    parser.add_argument('--accumulate', action='store_true', help='steps in passes of one clip')
    parser.add_argument('--ranks', type=int, default=1)
    parser.add_argument('--work', type=Path, help='folder for the runs; a temporary one by default')
    return parser.parse_args()


def disturb(name: str, work: Path, arguments: argparse.Namespace) -> str:
    """Kill and resume runs of a configuration until there are enough kills.

    Returns:
        What was done, in a line.

    Raises:
        SystemExit: a run cannot be resumed, or its end differs.
    """
    configuration: Configuration = CONFIGURATIONS[name]
    block: dict[str, Any] | None = yaml.safe_load(arguments.block.read_text()) if arguments.block else None
    ranks = arguments.ranks
    content = configuration.options(work / 'data', ranks, block, arguments.accumulate)
    killer = Killer(random.Random(arguments.seed), 0.0, configuration.validates)
    undisturbed = Project(work / name / 'undisturbed', content, configuration.script)
    begun = time.monotonic()
    if ranks > 1:
        ranks_to_the_end(undisturbed, killer, ranks, 0)
    elif wait(undisturbed.start(0)):
        raise SystemExit(f'{name}: the undisturbed run failed\n{undisturbed.tail()}')
    killer.duration = time.monotonic() - begun
    trained = undisturbed.iterations_logged()
    print(f'{name}: undisturbed run of {trained} iterations in {killer.duration:.1f} s', flush=True)

    runs, workers = 0, itertools.cycle((0, 1, 2))
    while killer.kills < arguments.kills:
        runs += 1
        most = min(arguments.kills, killer.kills + killer.rng.randint(3, 12))
        project = Project(work / name / 'disturbed', content, configuration.script)
        if ranks > 1:
            ranks_to_the_end(project, killer, ranks, most)
        else:
            run_to_the_end(project, killer, workers, most)
        difference = compare(project, undisturbed)
        print(f'  run {runs}: {killer.told()}; {difference or "equal"}', flush=True)
        if difference:
            raise SystemExit(f'FAILED: {name}: first difference after {killer.kills} kills: {difference}')
    seconds = time.monotonic() - begun
    return f'{name}: {runs} runs, {killer.told()}, {seconds:.0f} s: networks, EMA and optimisers equal to the bit'


def main() -> None:
    arguments = parse_arguments()
    names = list(CONFIGURATIONS) if ALL in arguments.configuration else arguments.configuration
    work = arguments.work or Path(tempfile.mkdtemp(prefix='faults_'))
    work.mkdir(parents=True, exist_ok=True)
    print(work, flush=True)
    shutil.rmtree(work / 'data', ignore_errors=True)
    make_data(work / 'data')
    for module in ('mg_basicsr', 'basicsr.train'):  # the hooks first, then what they are attached to; forks share both
        importlib.import_module(module)
    torch.set_num_threads(1)
    told = [disturb(name, work, arguments) for name in names]
    print('\n'.join(told))
    if arguments.work is None:
        shutil.rmtree(work)


if __name__ == '__main__':
    main()
