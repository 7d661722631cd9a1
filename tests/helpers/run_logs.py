"""Logs and records of runs, as BasicSR and this package write them, for tests of what is read from them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from mg_basicsr.report.run_record import FILE, RecordWriter

BEGIN = datetime(2026, 1, 2, 3, 4, 5)
STEP, PAUSE = 2.0, 30.0  # seconds of an iteration, and of a validation


def stock_log(first: int, last: int, *, every: int = 10, validate: int = 50, total: int = 300, day: int = 0) -> str:
    """The log of BasicSR from one iteration to another, of a run with one line in `every` iterations."""
    now = BEGIN + timedelta(days=day)
    lines: list[str] = []

    def line(text: str) -> None:
        lines.append(f'{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d} INFO: {text}')

    line(f'Training statistics:\n\tNumber of train images: 24000\n\tTotal epochs: 3; iters: {total}.')
    line(f'Start training from epoch: 0, iter: {first}')
    for iteration in range(first + 1, last + 1):
        now += timedelta(seconds=STEP)
        if iteration % every == 0:
            line(
                f'[stock..][epoch:  0, iter:{iteration:8,d}, lr:(2.000e-04,2.500e-05,)] '
                f'[eta: 0:00:10, time (data): 2.000 (0.100)] l_pix: 2.5000e-02 l_g: nan '
            )
        if iteration % validate == 0:
            now += timedelta(seconds=PAUSE)
            for name, psnr in (('REDS4', 25 + iteration / 1000), ('Vid4', 23.0)):
                line(
                    f'Validation {name}\n'
                    f'\t # psnr: {psnr:.4f}\t # 000: 20.0000\t # 001: 21.0000\n\t    Best: 31.0000 @ 2 iter\n'
                    '\t # ssim: 0.7000\t # 000: 0.6000\n\t    Best: 0.7100 @ 2 iter\n'
                )
    if last == total:
        line('End of training. Time consumed: 0:10:00')
        line('Validation REDS4\n\t # psnr: 99.0000\n')
    return '\n'.join(lines) + '\n'


def recorded(folder: Path, name: str = 'mine', total: int = 100, last: int = 100, speed: float = 1.0) -> Path:
    """An experiment with a record of two stages, of one second an iteration."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = RecordWriter(folder / FILE)
    versions = {
        'versions': {'python': '3.11'},
        'commits': {},
        'folder': '/work',
        'command': 'mg-basicsr train -opt a.yml',
    }
    writer.write('start', iter=0, trained=0.0, total_iter=total, name=name, plan='abc', **versions)
    for iteration in range(10, last + 1, 10):
        stage, size = (1, 64) if iteration <= total // 2 else (2, 128)
        shape = {'clips': 4, 'frames': 6, 'gt_size': size}
        time = iteration / speed
        writer.write(
            'step', iter=iteration, trained=time, left=(total - iteration) / speed, stage=stage, **shape, lr=[1e-4]
        )
        if iteration % 20 == 0:
            metrics = {'psnr': 20 + iteration / 10, 'ssim': 0.5 + iteration / 1000}
            writer.write('validation', iter=iteration, trained=time, seconds=3.0, dataset='REDS4', metrics=metrics)
    if last == total:
        writer.write('end', iter=total, trained=total / speed)
    writer.close()
    return folder
