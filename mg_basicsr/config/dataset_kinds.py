"""What the plan must know of BasicSR's dataset types: how many frames a clip has, and whether that can change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.parsers import boolean, integer
from mg_basicsr.config.problems import Problems

VIMEO_FRAMES = 7


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


def clip_kind(dataset: Mapping[str, Any], problems: Problems) -> ClipKind:
    """The kind of clip that `datasets.train` describes. Types we don't know are taken to be recurrent if they have a
    `num_frame`, and image sets otherwise; the adapter checks what they deliver.
    """
    name = str(dataset.get('base_type') if dataset.get('type') == 'MultigridDataset' else dataset.get('type'))
    recurrent = dataset.get('recurrent', True)
    if name in ('Vimeo90KRecurrentDataset', 'MultigridVimeo90KDataset') and recurrent:
        return _vimeo(dataset, problems)
    if name in ('REDSDataset', 'Vimeo90KDataset') or name.startswith('Multigrid') and not recurrent:
        return ClipKind(_num_frame(dataset, problems), sliding_window=True)
    if dataset.get('num_frame') is not None and name != 'PairedImageDataset':
        return ClipKind(_num_frame(dataset, problems))
    return ClipKind(1)


def _vimeo(dataset: Mapping[str, Any], problems: Problems) -> ClipKind:
    """Septuplets. BasicSR ignores num_frame for them; -1 or none means all seven."""
    value = dataset.get('num_frame')
    frames = VIMEO_FRAMES
    if value not in (None, -1):
        frames = problems.parse('datasets.train.num_frame', value, integer(1, VIMEO_FRAMES), VIMEO_FRAMES)
    mirrored = problems.parse('datasets.train.flip_sequence', dataset.get('flip_sequence', False), boolean, False)
    return ClipKind(2 * frames if mirrored else frames, mirrored=mirrored)


def _num_frame(dataset: Mapping[str, Any], problems: Problems) -> int:
    return problems.parse('datasets.train.num_frame', dataset.get('num_frame'), integer(1), 1)
