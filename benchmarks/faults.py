"""Kills a small run at random moments, resumes it, and compares its end with that of the undisturbed run, to the bit.

    python benchmarks/faults.py --kills 200 --seed 0            lin2022, six stages
    python benchmarks/faults.py --kills 200 --accumulate        the same in several passes per step
    python benchmarks/faults.py --kills 200 --block FILE.yml    any block: FILE holds what stands below `multigrid:`
    python benchmarks/faults.py --kills 20 --ranks 2            one of two ranks at a time, under torchrun with restarts

SIGKILL goes to the training process with its workers. A third of the kills wait for a save to begin, the others fall
anywhere, the start included. Each start has 0, 1 and 2 workers in turn and `--auto_resume`. A run that has come to its
end is compared (weights, moving average, optimisers, schedulers), and the next begins, until there are enough kills.

BasicSR is imported once, by this process, which forks for every start. Exit code 1 on any difference, or on a run that
could not be resumed; what is left then lies in --work.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')  # before torch: sums in one order, and on the CPU

import cv2
import numpy as np
import torch
import yaml

TOTAL_ITER, SAVE_EVERY = 36, 4  # six stages of six iterations: saves fall at their borders and inside
CLIPS = {'001': 9, '002': 20, '003': 12}
GT_SHAPE, SCALE = (96, 128), 4
BLOCKS: dict[str, dict[str, Any]] = {
    'lin2022': {'preset': 'lin2022', 'min_lq_size': 8, 'min_frames': 3},
    'wu2020': {'preset': 'wu2020', 'epoch_factor': 6, 'min_lq_size': 8, 'min_frames': 3},  # with its short cycle
}
SCRIPT = 'import mg_basicsr, os\nfrom basicsr.train import train_pipeline\n'
SCRIPT += "if __name__ == '__main__':\n    open(f'pid_{os.environ.get(\"RANK\", 0)}', 'w').write(str(os.getpid()))\n"
SCRIPT += '    train_pipeline(os.getcwd())\n'
PATIENCE = 600  # seconds that no start of this small run takes


def write_clips(root: Path, rng: np.random.Generator) -> None:
    """Drifting textures in the layout of REDS."""
    for name, frames in CLIPS.items():
        texture = cv2.GaussianBlur(rng.integers(0, 256, (192, 256, 3), dtype=np.uint8), (0, 0), 1.5)
        for n, side in itertools.product(range(frames), ('GT', 'LQ')):
            gt = texture[n : n + GT_SHAPE[0], 2 * n : 2 * n + GT_SHAPE[1]]
            image = gt if side == 'GT' else cv2.resize(gt, None, fx=1 / SCALE, fy=1 / SCALE)
            (root / side / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / side / name / f'{n:08d}.png'), image)
    lines = [f'{name} {frames} ({GT_SHAPE[0]},{GT_SHAPE[1]},3)\n' for name, frames in CLIPS.items()]
    (root / 'meta.txt').write_text(''.join(lines))


def options(data: Path, block: dict[str, Any], batch: int) -> dict[str, Any]:
    """An options file for the clips; `batch` is of one rank."""
    return {
        'name': 'faults', 'model_type': 'VideoRecurrentModel', 'scale': SCALE, 'num_gpu': 0, 'manual_seed': 0,
        'datasets': {'train': {
            'name': 'clips', 'type': 'REDSRecurrentDataset', 'dataroot_gt': str(data / 'GT'),
            'dataroot_lq': str(data / 'LQ'), 'meta_info_file': str(data / 'meta.txt'), 'val_partition': 'REDS4',
            'test_mode': False, 'io_backend': {'type': 'disk'}, 'num_frame': 6, 'gt_size': 64, 'interval_list': [1],
            'random_reverse': True, 'use_hflip': True, 'use_rot': True, 'num_worker_per_gpu': 0,
            'batch_size_per_gpu': batch, 'dataset_enlarge_ratio': 1, 'prefetch_mode': None,
        }},
        'network_g': {'type': 'MultigridDemoNet', 'num_feat': 4, 'num_block': 1},
        'path': {'pretrain_network_g': None, 'strict_load_g': True, 'resume_state': None},
        'train': {
            'ema_decay': 0.9, 'total_iter': TOTAL_ITER, 'warmup_iter': -1,
            'optim_g': {'type': 'Adam', 'lr': 1e-3, 'weight_decay': 0, 'betas': [0.9, 0.99]},
            'scheduler': {'type': 'CosineAnnealingRestartLR', 'periods': [TOTAL_ITER], 'restart_weights': [1],
                          'eta_min': 1.0e-7},
            'pixel_opt': {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'},
        },
        'val': None,
        'logger': {'print_freq': 1, 'save_checkpoint_freq': SAVE_EVERY, 'use_tb_logger': False},
        'dist_params': {'backend': 'gloo', 'port': 29500},
        'multigrid': block,
    }  # fmt: skip


class Project:
    """A working directory with the options file and a train.py, as a user has it."""

    def __init__(self, root: Path, content: dict[str, Any]) -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        self.root = root
        self.experiment = root / 'experiments/faults'
        (root / 'train.yml').write_text(yaml.safe_dump(content, sort_keys=False))
        (root / 'train.py').write_text(SCRIPT)

    def files(self) -> set[tuple[str, int]]:
        """Names and sizes of what is in the checkpoint folders, half-written files included."""
        found: set[tuple[str, int]] = set()
        for folder in ('models', 'training_states'):
            try:
                with os.scandir(self.experiment / folder) as entries:
                    found |= {(f'{folder}/{entry.name}', entry.stat().st_size) for entry in entries}
            except FileNotFoundError:  # not there yet, or renamed between the two looks
                pass
        return found

    def iterations_logged(self) -> int:
        return sum(path.read_text().count('l_pix: ') for path in self.experiment.glob('train_*.log'))

    def start(self, workers: int) -> int:
        """Forks a process, with a group of its own, that trains; returns its id."""
        if self.experiment.exists() and not list(self.experiment.glob('training_states/*.state')):
            time.sleep(1 - time.time() % 1)  # BasicSR puts such a folder aside, under a name that tells the second
        pid = os.fork()
        # a group of its own, made by whichever of the two comes first, so that it can be killed at once
        os.setpgid(pid, pid)
        if pid:
            return pid
        status = 1
        try:
            os.chdir(self.root)
            output = os.open('output.txt', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(output, stream)
            sys.argv = ['train.py', '-opt', 'train.yml', '--auto_resume']
            sys.argv += ['--force_yml', f'datasets:train:num_worker_per_gpu={workers}']
            runpy.run_path('train.py', run_name='__main__')
            status = 0
        except SystemExit as error:
            status = int(error.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def tail(self) -> str:
        return '\n'.join((self.root / 'output.txt').read_text(errors='replace').splitlines()[-25:])


def ended(pid: int) -> int | None:
    """The exit code of a process that has ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@dataclass
class Killer:
    """Decides when a start is killed.

    Attributes:
        rng: Source of the moments.
        duration: About the seconds that a start takes which is not killed.
        aimed: Kills that waited for a save to begin.
        during_save: Kills that left a save unfinished: a temporary file, or a network without its state.
    """

    rng: random.Random
    duration: float
    kills: int = 0
    aimed: int = 0
    during_save: int = 0
    starts: int = 0

    def moment(self, project: Project) -> Callable[[], bool]:
        """A function that tells, when asked all the time, that the moment has come."""
        begun = time.monotonic()
        limit = begun + self.rng.uniform(0, 0.9) * self.duration
        if self.rng.random() >= 1 / 3:
            return lambda: time.monotonic() >= limit
        before = project.files()
        delay, saves, seen = self.rng.uniform(0, 0.02), self.rng.randint(1, 3), 0
        due = 0.0

        def save_has_begun() -> bool:
            nonlocal before, seen, due
            if not due:
                now = project.files()
                names = {name for name, _ in now} - {name for name, _ in before}
                seen += any(name.startswith('models/') for name in names)
                before = now
                if seen >= saves:
                    due = time.monotonic() + delay
                    self.aimed += 1
            return bool(due) and time.monotonic() >= due

        return save_has_begun

    def note(self, project: Project) -> None:
        """After a kill: was a save under way?"""
        self.kills += 1
        names = {name for name, _ in project.files()}
        states = {Path(name).stem for name in names if name.startswith('training_states/')}
        networks = {Path(name).stem.removeprefix('net_g_') for name in names if name.startswith('models/')}
        whole = {f'models/net_g_{n}.pth' for n in networks} | {f'training_states/{n}.state' for n in states}
        self.during_save += bool(networks - states - {'latest'}) or bool(names - whole)


def run_to_the_end(project: Project, killer: Killer, workers: Iterator[int], most: int) -> None:
    """Starts, kills and resumes until the run has come to its end; no kill above `most`.

    Raises:
        SystemExit: a start ended by itself with another code than 0.
    """
    while True:
        count = next(workers)
        pid = project.start(count)
        killer.starts += 1
        due = killer.moment(project) if killer.kills < most else lambda: False
        begun = time.monotonic()
        while (code := ended(pid)) is None:
            if due():
                os.killpg(pid, signal.SIGKILL)
                wait(pid)
                killer.note(project)
                break
            if time.monotonic() > begun + PATIENCE:
                os.killpg(pid, signal.SIGKILL)
                raise SystemExit(f'{project.root}: a start with {count} workers hangs\n{project.tail()}')
            time.sleep(0.0005)
        if code == 0:
            killer.duration = max(time.monotonic() - begun, 0.8 * killer.duration)  # the machine's load changes
            return
        if code is not None:
            what = f'a start with {count} workers ended with code {code}'
            raise SystemExit(f'FAILED after {killer.kills} kills: {what}\n{project.tail()}')


def ranks_to_the_end(project: Project, killer: Killer, ranks: int, most: int) -> None:
    """The same under torchrun, which restarts all ranks when one is killed.

    Raises:
        SystemExit: torchrun ended with another code than 0.
    """
    command = [
        sys.executable, '-m', 'torch.distributed.run', f'--nproc_per_node={ranks}', '--rdzv_backend=c10d',
        '--rdzv_endpoint=localhost:0', f'--max_restarts={10 * most + 10}', '--monitor_interval=0.1',
        'train.py', '-opt', 'train.yml', '--launcher', 'pytorch', '--auto_resume',
    ]  # fmt: skip
    # torchrun's ranks share a store, in which those that are restarted may find the addresses of those before them
    environment = {**os.environ, 'TORCH_DISABLE_SHARE_RDZV_TCP_STORE': '1'}
    with open(project.root / 'output.txt', 'w') as output:
        process = subprocess.Popen(
            command, cwd=project.root, stdout=output, stderr=output, start_new_session=True, env=environment
        )
    killed: set[str] = set()
    while process.poll() is None:
        pids = [path.read_text() for path in (project.root / f'pid_{rank}' for rank in range(ranks)) if path.exists()]
        if killer.kills >= most or len(pids) < ranks or not all(pids) or killed & set(pids):
            time.sleep(0.05)  # until torchrun has restarted them
            continue
        due = killer.moment(project)
        while not due() and process.poll() is None:
            time.sleep(0.0005)
        victim = killer.rng.choice(pids)
        killed |= set(pids)
        try:
            os.kill(int(victim), signal.SIGKILL)
        except ProcessLookupError:  # it has come to its end
            continue
        killer.note(project)
        killer.starts += 1
    if process.returncode:
        what = f'torchrun ended with code {process.returncode}'
        raise SystemExit(f'FAILED after {killer.kills} kills: {what}\n{project.tail()}')


def first_difference(one: Any, other: Any, path: str = '') -> str:
    """Where two nests of dictionaries, lists, tensors and plain values differ first, to the bit; '' if nowhere."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f'{path}: keys {sorted(map(str, one.keys() ^ other.keys()))} on one side only'
        pairs = [(f'{path}.{key}', one[key], other[key]) for key in one]
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        pairs = [(f'{path}[{n}]', a, b) for n, (a, b) in enumerate(zip(one, other, strict=True))]
    elif torch.is_tensor(one) and torch.is_tensor(other):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f'{path}: {one.dtype} {tuple(one.shape)} and {other.dtype} {tuple(other.shape)}'
        bits = [tensor.reshape(-1).view(torch.uint8) for tensor in (one, other)]
        if torch.equal(*bits):
            return ''
        at = int((bits[0] != bits[1]).nonzero()[0]) // one.element_size()
        return f'{path}[{at}]: {one.reshape(-1)[at].item()!r} and {other.reshape(-1)[at].item()!r}'
    else:
        return '' if one == other else f'{path}: {one!r} and {other!r}'
    return next((found for found in itertools.starmap(lambda p, a, b: first_difference(a, b, p), pairs) if found), '')


def compare(project: Project, undisturbed: Project) -> str:
    """The first difference between the ends of two runs; '' if there is none."""
    states = (undisturbed.experiment / 'training_states').glob('*.state')
    last = max(int(path.stem) for path in states if path.stem.isdecimal())
    for name in (f'models/net_g_{last}.pth', 'models/net_g_latest.pth', f'training_states/{last}.state'):
        found = [torch.load(run.experiment / name, weights_only=True) for run in (project, undisturbed)]
        if name.endswith('.state'):
            found = [{key: state[key] for key in ('iter', 'optimizers', 'schedulers')} for state in found]
        if difference := first_difference(*found):
            return f'{name}{difference}'
    return ''


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0, help='of the moments; the runs are the same for all seeds')
    parser.add_argument('--preset', choices=BLOCKS, default='lin2022')
    parser.add_argument('--short-cycle', dest='preset', action='store_const', const='wu2020', help='--preset wu2020')
    parser.add_argument('--block', type=Path, help='a YAML file with the keys of another block')
    parser.add_argument('--accumulate', action='store_true', help='steps in several passes')
    parser.add_argument('--ranks', type=int, default=1)
    parser.add_argument('--work', type=Path, help='folder for the runs; a temporary one by default')
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    block = yaml.safe_load(arguments.block.read_text()) if arguments.block else dict(BLOCKS[arguments.preset])
    batch = 4 // arguments.ranks
    if arguments.accumulate:
        block |= {'max_clips': 1}
    block.setdefault('base_batch_size', 4)
    work = arguments.work or Path(tempfile.mkdtemp(prefix='faults_'))
    work.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(work / 'data', ignore_errors=True)
    write_clips(work / 'data', np.random.default_rng(0))
    content = options(work / 'data', block, batch)

    for module in ('mg_basicsr', 'basicsr.train'):  # the hooks first, then what they are attached to; forks share both
        importlib.import_module(module)
    torch.set_num_threads(1)
    killer = Killer(random.Random(arguments.seed), 0.0)
    undisturbed = Project(work / 'undisturbed', content)
    begun = time.monotonic()
    if arguments.ranks > 1:
        ranks_to_the_end(undisturbed, killer, arguments.ranks, 0)
    elif wait(undisturbed.start(0)):
        raise SystemExit(f'the undisturbed run failed\n{undisturbed.tail()}')
    killer.duration = time.monotonic() - begun
    trained = undisturbed.iterations_logged()
    print(f'{work}: undisturbed run of {trained} iterations in {killer.duration:.1f} s', flush=True)

    runs, workers = 0, itertools.cycle((0, 1, 2))
    while killer.kills < arguments.kills:
        runs += 1
        most = min(arguments.kills, killer.kills + killer.rng.randint(3, 12))
        project = Project(work / 'disturbed', content)
        if arguments.ranks > 1:
            ranks_to_the_end(project, killer, arguments.ranks, most)
        else:
            run_to_the_end(project, killer, workers, most)
        difference = compare(project, undisturbed)
        print(
            f'run {runs}: {killer.kills} kills so far ({killer.during_save} during a save), {killer.starts} starts; '
            f'{difference or "equal"}',
            flush=True,
        )
        if difference:
            raise SystemExit(f'FAILED: first difference after {killer.kills} kills: {difference}')
    print(
        f'{killer.kills} kills in {runs} runs ({killer.aimed} aimed at a save, {killer.during_save} during one), '
        f'{killer.starts} starts, {time.monotonic() - begun:.0f} s: weights, EMA and optimisers equal to the bit'
    )
    if arguments.work is None:
        shutil.rmtree(work)


if __name__ == '__main__':
    main()
