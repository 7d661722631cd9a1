"""What the plan must know of BasicSR's dataset types: how many frames a clip has, and whether that can change."""

from __future__ import annotations

from dataclasses import dataclass

from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import boolean, host_integer, text

SEPTUPLET = 7  # frames of a Vimeo-90K sequence
VIMEO = ('Vimeo90KDataset', 'Vimeo90KRecurrentDataset', 'MultigridVimeo90KDataset')
REDS = ('REDSDataset', 'REDSRecurrentDataset', 'MultigridREDSDataset')  # num_frame is needed


@dataclass(frozen=True)
class ClipKind:
    """Frames of one sample as the network sees them, and how they come about.

    Attributes:
        frames: Frames per clip, mirrored half included.
        mirrored: The clip is followed by its own reverse.
        sliding_window: One GT frame per clip; the network takes this number of frames and no other.
    """

    frames: int
    mirrored: bool = False
    sliding_window: bool = False


def clip_kind(dataset: Section) -> ClipKind:
    """The kind of clip that `datasets.train` describes.

    Types we don't know are taken to be recurrent if they have a `num_frame`, and image sets otherwise; the adapter
    checks what they deliver.
    """
    values = dataset.values or {}
    name = dataset.read('base_type' if values.get('type') == 'MultigridDataset' else 'type', text, '')
    windows = name in ('REDSDataset', 'Vimeo90KDataset') or (
        name.startswith('Multigrid') and not values.get('recurrent', True)
    )
    if name in VIMEO:
        whole = values.get('num_frame') in (None, -1)
        frames = SEPTUPLET if whole else dataset.read('num_frame', host_integer(1, SEPTUPLET), SEPTUPLET)
        mirrored = not windows and dataset.read('flip_sequence', boolean, False, default=False)
        return ClipKind(2 * frames if mirrored else frames, mirrored, windows)
    if name == 'PairedImageDataset' or (values.get('num_frame') is None and name not in REDS):
        return ClipKind(1)
    return ClipKind(dataset.read('num_frame', host_integer(1), 1), sliding_window=windows)
