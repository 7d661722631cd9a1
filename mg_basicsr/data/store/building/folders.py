"""Build of a store in one call, for programs: `mg_basicsr.build_store`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mg_basicsr.data.crops.degradation import BD_SCALE, bd
from mg_basicsr.data.store.building.build import begin, build
from mg_basicsr.data.store.building.compare import check_origins
from mg_basicsr.data.store.building.inputs import Making, from_roots
from mg_basicsr.data.store.building.material import ArrayClip
from mg_basicsr.data.store.format import Clip, Header
from mg_basicsr.errors import ConfigError, Problem


def build_store(
    root: str | Path, gt: str | Path | Sequence[ArrayClip], lq: str | Path | None = None, *, scale: int = 4,
    images: bool = False, workers: int = 1,
) -> list[Clip]:  # fmt: skip
    """Build an uncompressed store, or continue one; `mg-basicsr prepare` has more kinds of input.

    Args:
        root: Folder of the store; made if absent.
        gt: Folder with one folder of frames per clip, or an LMDB of BasicSR; or clips in memory, with their LQ frames.
        lq: The same clips in low quality; without it, LQ is made by blurring and taking every 4th pixel (BD).
        scale: GT pixels per LQ pixel and axis; 4 without `lq`.
        images: Every image is a clip of one frame.
        workers: Processes; 1 for none beside this one.

    Returns:
        All clips of the store.

    Raises:
        ConfigError: a folder does not exist, or `root` holds something else.
        DataError: frames are missing or damaged, other than those of the clips that are there, or the disk is full.
    """
    if not isinstance(gt, (str, Path)):
        return build(Path(root), Header(scale), gt, workers)
    if lq is None and scale != BD_SCALE:
        what = f'{scale}, but without LQ frames they are made for scale {BD_SCALE}'
        raise ConfigError(Problem('scale', what, f'allowed: {BD_SCALE}', 'give lq'))
    header = Header(scale, degradation='files' if lq else 'bd')
    making = Making(scale, None if lq else bd)
    material = from_roots(str(gt), str(lq) if lq else None, making, images)
    begin(Path(root), header)
    check_origins(Path(root), header, material)
    return build(Path(root), header, material, workers)
