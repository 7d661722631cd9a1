"""Data of the demo: its clips on disk, and frames restored by a trained network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mg_basicsr.data.crops.degradation import Degrade
from mg_basicsr.demo.clips import make_clips
from mg_basicsr.demo.figure import psnr
from mg_basicsr.demo.network import MultigridDemoNet
from mg_basicsr.demo.scene import VAL_PHOTOGRAPHS

Image = NDArray[np.uint8]
Progress = Callable[[str, int, int], None]

SCALE = 4
TRAIN_CLIPS, TRAIN_FRAMES, TRAIN_SIZE = 8, 100, (224, 256)  # BasicSR's own REDS class assumes 100 frames
VAL_CLIPS, VAL_FRAMES, VAL_SIZE = 3, 10, (256, 320)


def make_data(root: Path, degrade: Degrade, progress: Progress) -> None:
    """Make training and validation clips in `root/train` and `root/val`; existing ones are kept.

    Args:
        root: Folder of the data.
        degrade: Makes an LQ frame, a quarter as high and wide, from a GT frame.
        progress: Called with (name of the set, clips done, clips).

    Raises:
        DataError: scikit-image, whose photographs are used, is not installed, or a frame cannot be written.
    """
    make_clips(
        root / 'train', TRAIN_CLIPS, TRAIN_FRAMES, TRAIN_SIZE, 0, degrade,
        progress=lambda done, total: progress('training clips', done, total),
    )  # fmt: skip
    make_clips(
        root / 'val', VAL_CLIPS, VAL_FRAMES, VAL_SIZE, 1, degrade, photographs=VAL_PHOTOGRAPHS,
        progress=lambda done, total: progress('validation clips', done, total),
    )  # fmt: skip


def read_clip(folder: Path) -> Image:
    """Read all frames of a folder: uint8 (t, h, w, 3), RGB."""
    frames = [np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1] for path in sorted(folder.glob('*.png'))]
    return np.stack(frames)


def restore(checkpoint: Path, network: dict[str, Any], lq: Image) -> Image:
    """Restore a clip with the demo's network.

    Args:
        checkpoint: A `net_g_*.pth` of BasicSR.
        network: The options file's `network_g`, without its type.
        lq: uint8 (t, h, w, 3), RGB.

    Returns:
        uint8 (t, 4h, 4w, 3), RGB.
    """
    net = MultigridDemoNet(**network)
    net.load_state_dict(torch.load(checkpoint, map_location='cpu', weights_only=True)['params'])
    clip = torch.from_numpy(lq).permute(0, 3, 1, 2)[None].float() / 255
    with torch.no_grad():
        output = net.eval()(clip)[0].clamp(0, 1).mul(255).round().byte()
    return np.asarray(output.permute(0, 2, 3, 1).numpy(), np.uint8)


def bicubic_psnr(root: Path) -> float:
    """Return the PSNR of bicubic upscaling on the validation clips in dB, averaged over frames, then clips."""
    scores = []
    for folder in sorted((root / 'val/GT').iterdir()):
        pairs = zip(read_clip(root / 'val/LQ' / folder.name), read_clip(folder), strict=True)
        scores.append(np.mean([psnr(upscale(lq, gt.shape), gt) for lq, gt in pairs]))
    return float(np.mean(scores))


def upscale(lq: Image, shape: tuple[int, ...]) -> Image:
    """Upscale a frame by bicubic interpolation.

    Args:
        lq: uint8 (h, w, 3).
        shape: Height and width of the result in pixels, and any further numbers.
    """
    return np.asarray(cv2.resize(lq, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.uint8)
