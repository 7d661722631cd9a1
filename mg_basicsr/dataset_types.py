"""Table of training sets: the types of BasicSR that are known, and the ways in which LQ frames are made from GT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SEPTUPLET = 7  # frames of a Vimeo-90K sequence


@dataclass(frozen=True)
class DatasetType:
    """Dataset type whose files this package reads itself.

    Attributes:
        layout: Names and places of the files: 'reds', 'vimeo' or 'images' (see data/listing).
        dataset: Class of this package, as `module:class`: the table is read without torch, which the class needs.
        frames: Frames of every sequence, so that `num_frame` can be left out and is at most this; None if sequences
            differ and `num_frame` is required.
        sliding_window: Whether a sample has one GT frame, the center of an odd number of LQ frames.
        can_mirror: Whether `flip_sequence` is supported: the reversed clip follows the clip.
    """

    layout: str
    dataset: str
    frames: int | None = None
    sliding_window: bool = False
    can_mirror: bool = False


REDS_CLIPS = DatasetType('reds', 'mg_basicsr.data.datasets.reds:REDSRecurrent')
REDS_WINDOWS = DatasetType('reds', 'mg_basicsr.data.datasets.reds:REDS', sliding_window=True)
VIMEO_CLIPS = DatasetType(
    'vimeo', 'mg_basicsr.data.datasets.vimeo:Vimeo90KRecurrent', frames=SEPTUPLET, can_mirror=True
)
VIMEO_WINDOWS = DatasetType('vimeo', 'mg_basicsr.data.datasets.vimeo:Vimeo90K', frames=SEPTUPLET, sliding_window=True)
IMAGES = DatasetType('images', 'mg_basicsr.data.datasets.images:PairedImage', frames=1)

# Types of BasicSR that this package's replace, and the registered names of this package's.
TYPES: Mapping[str, DatasetType] = {
    'REDSRecurrentDataset': REDS_CLIPS,
    'REDSDataset': REDS_WINDOWS,
    'Vimeo90KRecurrentDataset': VIMEO_CLIPS,
    'Vimeo90KDataset': VIMEO_WINDOWS,
    'PairedImageDataset': IMAGES,
    'MultigridREDSDataset': REDS_CLIPS,
    'MultigridVimeo90KDataset': VIMEO_CLIPS,
}

# Types of this package's registered names with `recurrent: false`.
WINDOWED: Mapping[str, DatasetType] = {
    'MultigridREDSDataset': REDS_WINDOWS,
    'MultigridVimeo90KDataset': VIMEO_WINDOWS,
}

OUR_PREFIX = 'Multigrid'  # of the registered names of this package's

# BasicSR's own types: their classes read dataroot_gt, dataroot_lq and meta_info_file as paths, each of one place.
STOCK_TYPES = frozenset(
    {
        *(name for name in TYPES if not name.startswith(OUR_PREFIX)),
        'FFHQDataset',
        'RealESRGANDataset',
        'RealESRGANPairedDataset',
        'SingleImageDataset',
        'VideoRecurrentTestDataset',
        'VideoTestDataset',
        'VideoTestDUFDataset',
        'VideoTestVimeo90KDataset',
    }
)

# Registered name of the adapter around the dataset type that `base_type` names.
ADAPTER = 'MultigridDataset'

# Options of PairedImageDataset that BasicSR applies to float32 images: only its own class can apply them.
CONVERSIONS = ('color', 'mean', 'std')

# Ways to make LQ from GT, and the only scale for which each is defined; None for any.
DEGRADATIONS: Mapping[str, int | None] = {'bicubic': None, 'bd': 4}


def exists_for(degradation: str, scale: int) -> bool:
    """Return whether a degradation of the table is defined for a scale.

    Args:
        degradation: 'bicubic' or 'bd'.
        scale: GT pixels per LQ pixel and axis.

    >>> exists_for('bicubic', 3), exists_for('bd', 3), exists_for('bd', 4)
    (True, False, True)
    """
    return DEGRADATIONS[degradation] in (None, scale)


def converts(train_set: Mapping[str, Any]) -> bool:
    """Return whether `datasets.train` asks for conversions of images."""
    return any(train_set.get(key) is not None for key in CONVERSIONS)
