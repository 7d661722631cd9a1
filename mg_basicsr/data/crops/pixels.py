"""What may wait until crops are on the device: flips, and the float32 that BasicSR trains on, equal to the bit."""

from __future__ import annotations

import torch

from mg_basicsr.data.crops.crop import Flips


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


def flipped(pixels: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Clips or images (b, ..., s, s), each changed by the `crop.Flips` of its code in `flips` (b): a new tensor."""
    out = torch.empty_like(pixels)
    for sample, code, place in zip(pixels, flips.tolist(), out, strict=True):
        flip = Flips.from_code(code)
        turned = sample.flip([-1] * flip.horizontal + [-2] * flip.vertical)
        place.copy_(turned.transpose(-2, -1) if flip.transpose else turned)
    return out
