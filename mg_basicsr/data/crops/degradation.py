"""Degradation of GT frames to LQ frames, for sets without LQ."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.dataset_types import DEGRADATIONS

Degrade = Callable[[Pixels], Pixels]  # a whole GT frame (H, W, 3) to its LQ frame (H / scale, W / scale, 3), uint8

BD_SIGMA = 1.6  # GT pixels
BD_WIDTH = 13  # of the kernel: four standard deviations to each side
BD_SCALE = DEGRADATIONS['bd']


def bd(frame: Pixels) -> Pixels:
    """Blur a frame with a Gaussian and keep every 4th pixel from the first: the BD degradation of Vimeo-90K BDx4.

    Kernel, border (mirrored about the last pixel) and phase are those of DUF (Jo et al. 2018), which later work keeps.
    """
    blurred = cv2.GaussianBlur(
        frame.astype(np.float32), (BD_WIDTH, BD_WIDTH), BD_SIGMA, borderType=cv2.BORDER_REFLECT_101
    )
    return np.rint(blurred[::BD_SCALE, ::BD_SCALE]).clip(0, 255).astype(np.uint8)
