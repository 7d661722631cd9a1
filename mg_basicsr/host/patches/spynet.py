"""SPyNet for small frames: the coarse-to-fine pass of BasicSR's `SpyNet`, with a coarsest level of any size.

BasicSR makes the first flow half as large as the coarsest level and doubles it. If that level has a single row or
column, half of it is 0, and LQ frames of 32 pixels or less cannot be used. Here the coarsest level starts from a zero
flow of the same size, as in Ranjan and Black, "Optical Flow Estimation using a Spatial Pyramid Network" (CVPR 2017),
eq. 4. Both ways give the same numbers if both are possible, and the work is proportional to the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

Warp = Callable[..., torch.Tensor]


def is_too_small(spynet: Any, frames: torch.Tensor) -> bool:
    """Return whether the coarsest of the network's levels has one row or one column.

    Every level halves the size, rounded down; with BasicSR's six levels this is true for h or w below 64. A size
    without any pixel is not counted: nothing can be computed for it.

    Args:
        spynet: BasicSR's SpyNet.
        frames: Frames, (n, 3, h, w).
    """
    coarsest = [side >> (len(spynet.basic_module) - 1) for side in frames.shape[-2:]]
    return min(coarsest) == 1


def coarse_to_fine(spynet: Any, ref: torch.Tensor, supp: torch.Tensor, warp: Warp) -> torch.Tensor:
    """Compute the optical flow from `ref` to `supp`.

    Args:
        spynet: BasicSR's SpyNet.
        ref: Frames, (n, 3, h, w), values in [0, 1]; h and w are multiples of the pyramid's 2^(levels - 1), to which
            SpyNet's forward resizes.
        supp: Frames of the same shape.
        warp: BasicSR's `flow_warp(frames, flow, interp_mode, padding_mode)`, flow as (n, h, w, 2).

    Returns:
        The flow, (n, 2, h, w), in pixels.
    """
    pyramid = [(spynet.preprocess(ref), spynet.preprocess(supp))]
    for _ in range(len(spynet.basic_module) - 1):
        finer_ref, finer_supp = pyramid[-1]
        pyramid.append((functional.avg_pool2d(finer_ref, 2), functional.avg_pool2d(finer_supp, 2)))

    coarsest = pyramid[-1][0]
    flow: torch.Tensor = coarsest.new_zeros(coarsest.shape[0], 2, *coarsest.shape[-2:])
    for refine, (level_ref, level_supp) in zip(spynet.basic_module, reversed(pyramid), strict=True):
        if level_ref is not coarsest:
            size = level_ref.shape[-2:]
            flow = 2.0 * functional.interpolate(flow, size=size, mode='bilinear', align_corners=True)
        warped = warp(level_supp, flow.permute(0, 2, 3, 1), interp_mode='bilinear', padding_mode='border')
        flow = flow + refine(torch.cat([level_ref, warped, flow], dim=1))
    return flow
