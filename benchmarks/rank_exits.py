"""Starts a tiny training on two ranks many times, under load, and counts the exit codes of its processes.

    python benchmarks/rank_exits.py --starts 200             trains to the end: all codes are 0
    python benchmarks/rank_exits.py --end signal             a rank gets SIGTERM in the middle: 75
    python benchmarks/rank_exits.py --end error              a step raises a user's error: 2
    python benchmarks/rank_exits.py --end traceback          a step raises any other exception: 1
    python benchmarks/rank_exits.py --end killed             rank 1 is killed in the middle: rank 0 ends with 1
    python benchmarks/rank_exits.py --disorderly             without the orderly end, to see what it is for

BasicSR is imported once, by this process, which forks for every rank. What a rank has begun (the process group, a
worker, TensorBoard's thread) begins after that, and its interpreter ends as any other. Prints the counts, and ends with
exit code 1 on any other code, or on a rank that does not end within --patience seconds.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')

import cv2
import numpy as np
import torch
import yaml

RANKS, SCALE = 2, 4
EXPECTED = {'done': (0, 0), 'signal': (75, 75), 'error': (2, 2), 'traceback': (1, 1), 'killed': (1, -signal.SIGKILL)}


def write_project(root: Path, workers: int) -> None:
    """Write two clips of noise, and a file that trains two iterations on them."""
    rng = np.random.default_rng(0)
    for clip, n, (side, edge) in itertools.product(('001', '002'), range(4), (('GT', 64), ('LQ', 16))):
        (root / side / clip).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / side / clip / f'{n:08d}.png'), rng.integers(0, 256, (edge, edge, 3), np.uint8))
    (root / 'meta.txt').write_text('001 4 (64,64,3)\n002 4 (64,64,3)\n')
    options: dict[str, Any] = {
        'name': 'exits', 'model_type': 'VideoRecurrentModel', 'scale': SCALE, 'num_gpu': 0, 'manual_seed': 0,
        'datasets': {'train': {
            'name': 'clips', 'type': 'REDSRecurrentDataset', 'dataroot_gt': str(root / 'GT'),
            'dataroot_lq': str(root / 'LQ'), 'meta_info_file': str(root / 'meta.txt'), 'val_partition': 'REDS4',
            'test_mode': False, 'io_backend': {'type': 'disk'}, 'num_frame': 3, 'gt_size': 32, 'interval_list': [1],
            'random_reverse': False, 'use_hflip': True, 'use_rot': True, 'num_worker_per_gpu': workers,
            'batch_size_per_gpu': 1, 'dataset_enlarge_ratio': 1, 'prefetch_mode': None,
        }},
        'network_g': {'type': 'MultigridDemoNet', 'num_feat': 4, 'num_block': 1},
        'path': {'pretrain_network_g': None, 'strict_load_g': True, 'resume_state': None},
        'train': {
            'optim_g': {'type': 'Adam', 'lr': 1e-3}, 'total_iter': 4, 'warmup_iter': -1,
            'scheduler': {'type': 'CosineAnnealingRestartLR', 'periods': [4], 'restart_weights': [1]},
            'pixel_opt': {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'},
        },
        'val': None,
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 4, 'use_tb_logger': True},
        'dist_params': {'backend': 'gloo', 'port': 29500},
        'multigrid': {'preset': 'lin2022', 'min_lq_size': 8, 'min_frames': 3, 'base_batch_size': 2, 'check': False},
    }  # fmt: skip
    (root / 'train.yml').write_text(yaml.safe_dump(options, sort_keys=False))


def break_off(end: str, rank: int) -> None:
    """Let the third step end in this way."""
    from basicsr.models.video_recurrent_model import VideoRecurrentModel

    from mg_basicsr.errors import Problem, TrainingError

    step = VideoRecurrentModel.optimize_parameters

    def broken(self: Any, current_iter: int) -> None:
        step(self, current_iter)
        if current_iter != 3:
            return
        if end == 'signal' and rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        if end == 'killed' and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if end == 'error':
            raise TrainingError(Problem('', 'asked for'))
        if end == 'traceback':
            raise ValueError('asked for')

    VideoRecurrentModel.optimize_parameters = broken


def train(root: Path, port: int, rank: int, arguments: argparse.Namespace) -> None:
    """Train as a rank of `torchrun -m mg_basicsr train` does, in a process that has just been forked."""
    os.chdir(root)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(RANKS), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
    )
    log = os.open(root / f'output_{rank}.txt', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if arguments.disorderly:
        from mg_basicsr.host import end_of_process

        end_of_process.end_in_order = lambda run: None
    break_off(arguments.end, rank)
    importlib.import_module('mg_basicsr.cli.main').main(['train', '-opt', 'train.yml', '--launcher', 'pytorch'])


def load_machine(processes: int) -> list[int]:
    """Start processes that compute without end."""
    children = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            while True:
                sum(range(10**6))
        children.append(child)
    return children


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        port: int = found.getsockname()[1]
        return port


def codes_of(children: dict[int, int], patience: float) -> list[Any]:
    """Wait for the processes of the ranks; a rank that takes too long is killed and counts as 'hangs'."""
    codes: list[Any] = [None] * len(children)
    end = time.monotonic() + patience
    while children:
        for child, rank in list(children.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                codes[rank] = os.waitstatus_to_exitcode(status)
                del children[child]
            elif time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                codes[rank] = 'hangs'
                del children[child]
        time.sleep(0.02)
    return codes


def main() -> int | None:
    """Return the exit code; None in a rank, whose interpreter is to end as after any training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--starts', type=int, default=200)
    parser.add_argument('--end', choices=EXPECTED, default='done')
    parser.add_argument('--load', type=int, default=os.cpu_count(), help='processes that compute beside the ranks')
    parser.add_argument('--workers', type=int, default=1, help='of each rank')
    parser.add_argument('--patience', type=float, default=120, help='seconds')
    parser.add_argument('--disorderly', action='store_true')
    arguments = parser.parse_args()
    for name in ('mg_basicsr', 'basicsr.train', 'mg_basicsr.host.model', 'torch.utils.tensorboard'):
        importlib.import_module(name)
    multiprocessing.set_start_method('fork')  # of workers too: BasicSR would spawn them, which import torch anew
    expected, counts, seconds = EXPECTED[arguments.end], Counter[Any](), 0.0
    root = Path(tempfile.mkdtemp())  # removed below: not by a context, which the ranks leave too
    write_project(root, arguments.workers)
    busy = load_machine(arguments.load)
    for _ in range(arguments.starts):
        port, children, start = free_port(), {}, time.monotonic()
        for rank in range(RANKS):
            child = os.fork()
            if child == 0:
                train(root, port, rank, arguments)
                return None
            children[child] = rank
        codes = tuple(codes_of(children, arguments.patience))
        seconds += time.monotonic() - start
        counts[codes] += 1
        if codes != expected and counts[codes] == 1:
            for rank in range(RANKS):
                print(f'{codes}, rank {rank}:', (root / f'output_{rank}.txt').read_text()[-1500:], flush=True)
    for child in busy:
        os.kill(child, signal.SIGTERM)
    shutil.rmtree(root)
    print(f'torch {torch.__version__}, {arguments.load} busy processes, {os.cpu_count()} cores')
    print(f'{arguments.starts} starts of {RANKS} ranks, {seconds / arguments.starts:.2f} s each; exit codes:')
    for codes, count in counts.most_common():
        print(f'  {codes}: {count}')
    return int(set(counts) != {expected})


if __name__ == '__main__':
    sys.exit(main())
