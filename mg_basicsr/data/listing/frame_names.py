"""Names of frames in BasicSR's data sets: paths below a root, with / between folders; those of clips without extension.

In an LMDB the names are the keys. Frames count from 0 here, whatever number their files begin with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol


class FrameNames(Protocol):
    """Names of the frames of a sequence."""

    def lq(self, sequence: str, frame: int) -> str:
        """Return the name of an LQ frame; `frame` counts from 0."""

    def gt(self, sequence: str, frame: int) -> str:
        """Return the name of a GT frame; `frame` counts from 0."""


@dataclass(frozen=True)
class NumberedFrames:
    """`sequence/number`, the same for LQ and GT; `pattern` formats the number, `first` is that of the first frame."""

    pattern: str
    first: int

    def lq(self, sequence: str, frame: int) -> str:
        return self.gt(sequence, frame)

    def gt(self, sequence: str, frame: int) -> str:
        return f'{sequence}/{self.pattern.format(self.first + frame)}'


@dataclass(frozen=True)
class ImageNames:
    """Single images, named after their GT file; `template` turns its stem into that of the LQ file.

    As in BasicSR, LQ images lie in the LQ root itself even where GT images lie in folders below theirs.
    """

    template: str

    def lq(self, sequence: str, frame: int) -> str:
        stem, extension = os.path.splitext(os.path.basename(sequence))
        return self.template.format(stem) + extension

    def gt(self, sequence: str, frame: int) -> str:
        return sequence


class ImageKeys:
    """Single images in an LMDB: one key for LQ and GT."""

    def lq(self, sequence: str, frame: int) -> str:
        return sequence

    def gt(self, sequence: str, frame: int) -> str:
        return sequence


REDS_FRAMES = NumberedFrames('{:08d}', 0)
VIMEO_FRAMES = NumberedFrames('im{}', 1)


def flow_name(frame_name: str, offset: int) -> str:
    """Return the name of the flow from a frame to the one `offset` later: `_p1` to the previous, `_n1` to the next."""
    return f'{frame_name}_{"n" if offset > 0 else "p"}{abs(offset)}'
