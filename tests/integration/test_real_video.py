"""A real video, from the file to scores: all ways in give one run, and a network learns more than bicubic."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

import mg_basicsr  # noqa: F401 - so that BasicSR 1.4.2 can be imported
from mg_basicsr.config.resolve import resolve
from mg_basicsr.data.crops.pixels import to_float
from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.start import start_run
from mg_basicsr.host.run import activate
from mg_basicsr.parsing.options_file import load_options
from tests.helpers.clips import SCALE
from tests.helpers.project import Project, same_weights
from tests.integration.test_ways_in import SCRIPT, WAYS

pytestmark = pytest.mark.slow

VIDEO = Path(
    os.environ.get('MG_TEST_VIDEO') or Path(__file__).parents[2] / '../shared/data/big_buck_bunny_480p_30s.mp4'
)
WIDTH, HEIGHT = 848, 480  # of GT: 854 columns are no multiple of the scale
SHOTS = (0, 285, 378, 553)  # first frames; titles follow the last shot
# clip: (first frame, frames), each within a shot
TRAINING = {'001': (30, 24), '002': (110, 24), '003': (200, 24), '004': (290, 24), '005': (340, 24), '006': (560, 24)}
HELD_OUT = {'000': (440, 8)}


def read_frames(video: Path, wanted: Mapping[int, Path]) -> None:
    """Writes frames of a video, center-cropped to WIDTH x HEIGHT, as PNGs."""
    capture = cv2.VideoCapture(str(video))
    for number in range(max(wanted) + 1):
        found, frame = capture.read()
        assert found, f'{video} ends at frame {number}'
        if number in wanted:
            wanted[number].parent.mkdir(parents=True, exist_ok=True)
            left = (frame.shape[1] - WIDTH) // 2
            cv2.imwrite(str(wanted[number]), frame[:HEIGHT, left : left + WIDTH])
    capture.release()


def shrink(gt: Path) -> None:
    """The LQ frame beside a GT frame, by BasicSR's bicubic."""
    from basicsr.utils.matlab_functions import imresize

    lq = imresize(cv2.imread(str(gt)).astype(np.float32) / 255, 1 / SCALE)
    path = Path(str(gt).replace('/GT/', '/LQ/'))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), (lq.clip(0, 1) * 255).round().astype(np.uint8))


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The video in the layout of REDS, with the held-out shot below `val/`."""
    if not VIDEO.is_file():
        pytest.skip(f'no video at {VIDEO}: set MG_TEST_VIDEO')
    root = tmp_path_factory.mktemp('video')
    wanted = {
        first + n: folder / 'GT' / name / f'{n:08d}.png'
        for folder, cuts in ((root, TRAINING), (root / 'val', HELD_OUT))
        for name, (first, frames) in cuts.items()
        for n in range(frames)
    }
    read_frames(VIDEO, wanted)
    for path in wanted.values():
        shrink(path)
    cuts = sorted({**TRAINING, **HELD_OUT}.items())
    lines = [f'{name} {frames} ({HEIGHT},{WIDTH},3)\n' for name, (_, frames) in cuts]
    (root / 'meta.txt').write_text(''.join(lines))
    return root


def test_no_clip_crosses_a_cut() -> None:
    def shot(frame: int) -> int:
        return sum(frame >= first for first in SHOTS)

    assert all(shot(first) == shot(first + n - 1) for first, n in {**TRAINING, **HELD_OUT}.values())
    held_out = {shot(first) for first, _ in HELD_OUT.values()}
    assert held_out.isdisjoint(shot(first) for first, _ in TRAINING.values())


def test_all_ways_and_workers_give_the_same_run(clips: Path, tmp_path: Path) -> None:
    """The stock shape, 15 frames of 256 pixels, through the six stages of the preset alone."""
    runs = {}
    for way in WAYS:
        for workers in (0, 1, 2):
            project = Project(tmp_path / f'{way}_{workers}', clips)
            project.root.mkdir()
            train_set = project.options['datasets']['train']
            train_set.update(num_frame=15, gt_size=256, batch_size_per_gpu=1, num_worker_per_gpu=workers)
            project.options['val'] = None
            project.options['network_g'].update(num_feat=8, num_block=2)
            (project.root / 'plain.py').write_text(SCRIPT)
            (project.root / 'with_import.py').write_text('import mg_basicsr\n' + SCRIPT)
            project.write({'preset': 'lin2022'})
            project.launch(*WAYS[way], '-opt', 'train.yml')
            runs[way, workers] = project
    reference = runs['train', 1]
    print(reference.losses())
    shapes = re.findall(r'frames: (\d+) gt_size: (\d+)', reference.log())
    stages = [(7, 128), (11, 128), (15, 128), (7, 256), (11, 256), (15, 256)]
    assert shapes == [(str(frames), str(size)) for frames, size in stages for _ in range(2)]
    assert len(reference.losses()) == 12
    for case, run in runs.items():
        assert run.losses() == reference.losses(), case
        assert same_weights(run.weights(), reference.weights()), case


def bicubic_psnr(clips: Path) -> float:
    """Of the held-out shot, by the metric of BasicSR's validation; MATLAB's bicubic, by BasicSR's imresize."""
    from basicsr.metrics import calculate_psnr
    from basicsr.utils.matlab_functions import imresize

    values = []
    for path in sorted((clips / 'val/GT').rglob('*.png')):
        lq = cv2.imread(str(path).replace('/GT/', '/LQ/')).astype(np.float32) / 255
        upscaled = (imresize(lq, SCALE).clip(0, 1) * 255).round().astype(np.uint8)
        values.append(calculate_psnr(upscaled, cv2.imread(str(path)), crop_border=0))
    return float(np.mean(values))


def bicubic_losses(options_file: Path, iterations: Sequence[int]) -> NDArray[np.float64]:
    """The training loss (Charbonnier's) of bicubic upscaling on the very batches of a run's 0-based iterations.

    Clips differ more than networks do: only against the same clips can the loss be seen to fall.
    """
    run = start_run(parse_command_line(['-opt', str(options_file)]))
    activate(None)
    assert run is not None and run.specification.dataset is not None
    sampler = MultigridSampler(run.plan, len(run.specification.dataset), run.settings.seed)
    losses = []
    for iteration in iterations:
        samples = [run.specification.dataset[request] for request in sampler.requests(iteration)]
        lq, gt = (torch.cat([to_float(sample[side]) for sample in samples]) for side in ('lq', 'gt'))
        upscaled = functional.interpolate(lq, scale_factor=SCALE, mode='bicubic', align_corners=False)
        losses.append(((upscaled - gt).square() + 1e-12).sqrt().mean().item())
    return np.array(losses)


ROUNDING = {'min_lq_size': 16, 'min_frames': 3}
LEARNING: dict[str, dict[str, Any]] = {
    'lin2022': {'preset': 'lin2022', **ROUNDING},
    # a third of the iterations; the network's rate is the highest that it takes
    'wu2020': {
        'preset': 'wu2020',
        'epoch_factor': 3,
        'lr_steps': {'milestones': [80, 100], 'gamma': 0.3},
        'small_lr_max': 3e-3,
        **ROUNDING,
    },
    'progressive': {
        'preset': 'progressive',
        'gt_sizes': [64, 96, 128],
        'mini_batch_sizes': [12, 6, 4],
        'iters': [60, 30, 30],
    },
}


@pytest.mark.parametrize('block', LEARNING.values(), ids=LEARNING)
def test_network_learns_more_than_bicubic(clips: Path, tmp_path: Path, block: dict[str, Any]) -> None:
    project = Project(tmp_path, clips)
    iterations = 120
    train_set, train = project.options['datasets']['train'], project.options['train']
    train_set.update(num_frame=6, gt_size=128, batch_size_per_gpu=4, num_worker_per_gpu=2)
    train.update(total_iter=iterations, ema_decay=0)
    train['optim_g']['lr'] = 3e-3
    train['scheduler']['periods'] = [iterations]
    for key in ('fix_flow', 'flow_lr_mul'):
        train.pop(key)
    project.options['network_g'] = {'type': 'MultigridDemoNet', 'num_feat': 24, 'num_block': 1}
    project.write(block)
    steps = resolve(load_options(project.root / 'train.yml'), 1).plan.total_iter
    project.options['val']['val_freq'] = steps // 3
    project.options['logger']['save_checkpoint_freq'] = iterations
    project.write(block)
    command = [sys.executable, '-m', 'mg_basicsr', 'train', '-opt', 'train.yml']  # takes minutes: no time limit
    env = {**os.environ, 'OMP_NUM_THREADS': '2', 'CUDA_VISIBLE_DEVICES': ''}
    subprocess.run(command, cwd=project.root, env=env, check=True, capture_output=True)

    losses = np.array([float(loss) for loss in project.losses()])
    relative = losses / bicubic_losses(project.root / 'train.yml', range(len(losses)))
    start, end = relative[: steps // 10].mean(), relative[-(steps // 10) :].mean()
    scores = [float(score) for score in re.findall(r'# psnr: ([\d.]+)', project.log())]
    bicubic = bicubic_psnr(clips)
    print(f'loss relative to bicubic {start:.3f} -> {end:.3f}; PSNR {scores}; bicubic {bicubic:.4f} dB')
    assert len(losses) == steps
    assert end < 0.95 < start
    assert block['preset'] == 'wu2020' or start > 1  # its batches, and so its first tenth, hold several times the clips
    assert scores[-1] > bicubic + 0.1
    assert scores[-1] > scores[0]
