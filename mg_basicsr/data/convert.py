"""From uint8 to the float32 that BasicSR trains on, equal to the bit."""

from __future__ import annotations

import torch


def to_float(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 to float32 0..1, of any shape, on the tensor's own device.

    Equal to NumPy's `x.astype(np.float32) / 255.` in all 256 values. The divisor is a tensor on the same device because
    CUDA turns division by a Python number into a product with its reciprocal, which differs in half of the values.

    Raises:
        TypeError: another type than uint8, which might be scaled already.
    """
    if pixels.dtype != torch.uint8:
        raise TypeError(f'to_float takes uint8 pixels, not {pixels.dtype}')
    return pixels.to(torch.float32).div_(torch.full((), 255.0, device=pixels.device))
