"""Conversions of crops on the device: flips, and BasicSR's float32, equal to the bit."""

from __future__ import annotations

import torch

from mg_basicsr.data.kernels import compiled


def to_float(pixels: torch.Tensor) -> torch.Tensor:
    """Convert uint8 0..255 of any shape to float32 0..1, on the tensor's own device.

    Equal to NumPy's `x.astype(np.float32) / 255.` in all 256 values. The divisor is a tensor on the same device because
    CUDA turns division by a Python number into a product with its reciprocal, which differs in half of the values.

    Raises:
        TypeError: pixels of another type than uint8, which might be scaled already.

    >>> to_float(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == [0.0, float(torch.tensor(0.2)), 1.0]
    True
    """
    if pixels.dtype != torch.uint8:
        raise TypeError(f'to_float takes uint8 pixels, not {pixels.dtype}')
    if compiled and pixels.device.type == 'cpu' and pixels.is_contiguous():
        result = torch.empty(pixels.shape, dtype=torch.float32)
        compiled.pixels_to_float32(pixels.numpy(), result.numpy())  # one pass over the memory instead of two
        return result
    return pixels.to(torch.float32).div_(torch.full((), 255.0, device=pixels.device))


def flipped(pixels: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Return a new tensor with each clip or image flipped by its own code.

    The operations are the same for any codes, which are not read, and for any number of clips.

    Args:
        pixels: (b, ..., s, s).
        flips: (b), integers 0 .. 7: `Flips.code` of each clip.
    """
    codes = flips.to(pixels.device).view(-1, *[1] * (pixels.ndim - 1))
    horizontal, vertical, transposed = ((codes >> bit) & 1 == 1 for bit in range(3))
    pixels = torch.where(horizontal, pixels.flip(-1), pixels)
    pixels = torch.where(vertical, pixels.flip(-2), pixels)
    return torch.where(transposed, pixels.transpose(-2, -1), pixels).contiguous()
