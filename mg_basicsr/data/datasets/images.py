"""Dataset of pairs of single images: the training part of BasicSR's PairedImageDataset."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import Any

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.datasets.clip_dataset import ClipDataset, Draw
from mg_basicsr.data.listing.image_lists import list_images
from mg_basicsr.data.sources.frame_source import FrameSource, open_frames
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.train_set import BLOCK, TrainSetOptions


class PairedImage(ClipDataset):
    """Images as clips of one frame. Samples have `lq` (3, h, w), `gt` (3, H, W), `lq_path` and `gt_path`, as BasicSR's.

    The size of an image is taken from the list, or else from the header of its GT file.

    Args:
        options: meta_info_file may be None; num_frame has no meaning.
        source: Reads the pixels; by default the folders or LMDBs of the options.

    Raises:
        ConfigError: an option cannot be served, or names something that does not exist.
        DataError: LQ and GT do not pair up.
    """

    def __init__(self, options: TrainSetOptions, source: FrameSource | None = None) -> None:
        _refuse_conversions(options)
        keys, self._names = list_images(options)
        super().__init__(options, keys, source or open_frames(options, self._names, suffix=''))

    @property
    def full_frames(self) -> int:
        """Always 1."""
        return 1

    def key(self, index: int) -> str:
        """Return the name of an image; see `ClipDataset.key`."""
        return self.keys.locate(index)[0].name

    def frames_needed(self, frames: int) -> int:
        """Return 1; see `ClipDataset.frames_needed`.

        Raises:
            ConfigError: another number of frames than 1 is asked for.
        """
        if frames != 1:
            raise ConfigError(
                Problem(
                    'multigrid.temporal',
                    f'images are clips of 1 frame, not {frames}',
                    'allowed: multigrid.temporal: [1.0]',
                    'set it so',
                )
            )
        return 1

    def shapes(self, frames: int, gt_size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of `lq` and `gt`, without an axis of time; see `ClipDataset.shapes`."""
        return {name: shape[1:] for name, shape in super().shapes(frames, gt_size).items()}

    def read(self, draw: Draw, into: Mapping[str, Pixels] | None = None, flip: bool = True) -> dict[str, Any]:
        """Read a sample, with paths in place of its key; see `ClipDataset.read`."""
        sample = super().read(draw, into, flip)
        del sample['key']  # BasicSR's class delivers paths instead
        sample['lq_path'] = self._path(self.options.dataroot_lq, self._names.lq(draw.key, 0))
        sample['gt_path'] = self._path(self.options.dataroot_gt, self._names.gt(draw.key, 0))
        return sample

    def _path(self, root: str, name: str) -> str:
        return name if self.options.backend == 'lmdb' else os.path.join(root, name)

    def _choose_frames(
        self, rng: random.Random, length: int, frame: int, frames: int, max_stride: int
    ) -> tuple[list[int], int]:
        return [0], 0


def _refuse_conversions(options: TrainSetOptions) -> None:
    """Refuse the conversions that BasicSR applies to float32 images after cropping: our crops are uint8.

    Raises:
        ConfigError: mean, std or color: y is set.
    """
    used = [key for key in ('mean', 'std') if getattr(options, key) is not None]
    used += ['color'] if options.color == 'y' else []
    if used:
        raise ConfigError(
            *(
                Problem(
                    f'{BLOCK}.{key}',
                    f'{getattr(options, key)!r} cannot be applied to uint8 crops',
                    'allowed: unchanged images, RGB in 0..1',
                    f'set {BLOCK}.type: MultigridDataset and base_type: PairedImageDataset',
                )
                for key in used
            )
        )
