"""Names of frames in BasicSR's data sets: paths below a root, with / between folders; those of clips without extension.

In an LMDB the names are the keys. Frames are counted from 0 here, also if the numbers in their names begin at 1.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol


class FrameNames(Protocol):
    """Names of the frames of a sequence."""

    def lq(self, sequence: str, frame: int) -> str:
        """Return the name of an LQ frame.

        Args:
            sequence: Name of the sequence.
            frame: Frame, 0-based.
        """

    def gt(self, sequence: str, frame: int) -> str:
        """Return the name of a GT frame.

        Args:
            sequence: Name of the sequence.
            frame: Frame, 0-based.
        """


@dataclass(frozen=True)
class NumberedFrames:
    """Names `sequence/number`, the same for LQ and GT.

    Attributes:
        pattern: Format of the number.
        first: Number of the first frame.
    """

    pattern: str
    first: int

    def lq(self, sequence: str, frame: int) -> str:
        """See `FrameNames.lq`."""
        return self.gt(sequence, frame)

    def gt(self, sequence: str, frame: int) -> str:
        """See `FrameNames.gt`."""
        return f'{sequence}/{self.pattern.format(self.first + frame)}'


@dataclass(frozen=True)
class ImageNames:
    """Names of single images, by their GT file.

    As in BasicSR, LQ images are in the LQ root itself, also if GT images are in folders below theirs.

    Attributes:
        template: Format of the stem of the LQ file, from that of the GT file.
    """

    template: str

    def lq(self, sequence: str, frame: int) -> str:
        """See `FrameNames.lq`."""
        stem, extension = os.path.splitext(os.path.basename(sequence))
        return self.template.format(stem) + extension

    def gt(self, sequence: str, frame: int) -> str:
        """See `FrameNames.gt`."""
        return sequence


class ImageKeys:
    """Names of single images in an LMDB: one key for LQ and GT."""

    def lq(self, sequence: str, frame: int) -> str:
        """See `FrameNames.lq`."""
        return sequence

    def gt(self, sequence: str, frame: int) -> str:
        """See `FrameNames.gt`."""
        return sequence


REDS_FRAMES = NumberedFrames('{:08d}', 0)
VIMEO_FRAMES = NumberedFrames('im{}', 1)


def flow_name(frame_name: str, offset: int) -> str:
    """Return the name of the flow from a frame to another: `_p1` to the previous, `_n1` to the next.

    Args:
        frame_name: Name of the frame.
        offset: Number of frames to the other one, negative for earlier frames.
    """
    return f'{frame_name}_{"n" if offset > 0 else "p"}{abs(offset)}'
