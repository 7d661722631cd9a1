"""Train a small network in plain PyTorch: a plan, a crop store, a DataLoader. BasicSR is not needed.

python examples/plain_pytorch.py [STORE]    without a store, a small one of moving waves is made in a temporary folder
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

import mg_basicsr as mg


def waves(name: str, pitch: float) -> mg.ArrayClip:
    """Make a clip of 20 frames of 96 x 128 pixels; LQ is the mean of 4 x 4 pixels."""
    t, y, x, phase = np.ogrid[:20, :96, :128, :3]
    gt = 127.5 + 100 * np.sin(pitch * x + t + phase) * np.cos(pitch * y - t / 2)
    return mg.ArrayClip(name, gt.astype(np.uint8), gt.reshape(20, 24, 4, 32, 4, 3).mean((2, 4)).astype(np.uint8))


def main(store: Path) -> None:
    """Train for all iterations of the plan, and print shape, learning rate and loss."""
    torch.manual_seed(0)
    plan = mg.plan(Path(__file__).with_suffix('.yml'))
    dataset = mg.store_clips(store, frames=8, gt_size=64)
    loader = DataLoader(dataset, batch_sampler=mg.MultigridSampler(plan, len(dataset)), num_workers=2)
    layers = nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 48, 3, padding=1), nn.PixelShuffle(4)
    network = nn.Sequential(*layers)  # frame by frame
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.base_lr)
    for iteration, batch in enumerate(map(mg.pixels_to_float, loader)):
        for group in optimizer.param_groups:
            group['lr'] = plan(iteration).rate(plan.base_lr)
        output = network(batch['lq'].flatten(0, 1))
        loss = nn.functional.l1_loss(output, batch['gt'].flatten(0, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if iteration % 10 == 0 or iteration == plan.total_iter - 1:
            print(iteration, *batch['gt'].shape, f'{group["lr"]:.6e}', f'{loss.item():.4f}')


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        if not sys.argv[1:]:
            mg.build_store(Path(folder, 'store'), [waves('slow', 0.15), waves('fast', 0.3)])
        main(Path(*sys.argv[1:2] or (folder, 'store')))
