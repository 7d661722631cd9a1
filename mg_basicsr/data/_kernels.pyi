"""Compiled inner loops; see kernels.py."""

from typing import Any

from typing_extensions import Buffer

def read_crops(file: Buffer, crops: list[Any], cold: bool, shared: bool) -> bool:
    """Copy crops out of the raw file of a clip. All numbers are checked.

    Args:
        file: The mapped file.
        crops: 1 to 16 values of `CropRead`; their planes are overwritten.
        cold: Announce the ranges first, since they may have to be read from disk.
        shared: The planes will be read by another process: large ones are written past this processor's caches.

    Returns:
        Whether the copy had to wait for a page from the disk.

    Raises:
        EOFError: a page of the file cannot be read: it has become shorter, or the disk fails.
        ValueError: a crop, its side, the file and the planes do not fit each other.
    """

def pixels_to_float32(pixels: Buffer, out: Buffer) -> None:
    """Divide pixels by 255.

    Args:
        pixels: uint8, contiguous.
        out: float32 of the same size, contiguous; overwritten.
    """
