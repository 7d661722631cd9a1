"""Reader of quantised optical flow in image files, as BasicSR's REDSDataset has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mg_basicsr.data.crops.crop import Flow, Pixels, Window
from mg_basicsr.data.listing.frame_names import FrameNames, flow_name
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.image_files import EncodedSide, Expected, lq_size
from mg_basicsr.errors import Problem

FLOW_LIMIT = 20  # pixels: largest flow in the files
FLOW_LEVELS = 255  # their number of levels (basicsr/utils/flow_util.py)


class FlowFiles:
    """Flows between the frames of a set, x above y in one grey image each.

    Args:
        side: The image files.
        names: Names of the set's frames, from which those of the flows are made.
        scale: GT pixels per LQ pixel and axis.
    """

    def __init__(self, side: EncodedSide, names: FrameNames, scale: int) -> None:
        self._side = side
        self._names = names
        self._scale = scale

    def read(self, sequence: FrameSequence, center: int, offset: int, window: Window) -> Flow:
        """Read the flow from frame `center` to frame `center` + `offset`.

        Args:
            sequence: The sequence.
            center: Frame that the flow starts at, from 0.
            offset: Frames to the other one, not 0.
            window: The crop in LQ pixels.

        Returns:
            float32 (size, size, 2), x before y, in LQ pixels.

        Raises:
            DataError: the file is missing or damaged.
        """
        height, width, _ = lq_size(sequence, self._scale)
        expected = Expected(2 * height, width, 'x above y, each of the size of the LQ frame')
        name = flow_name(self._names.gt(sequence.name, center), offset)
        both = self._side.decode(sequence, name, expected, grey=True)
        return dequantised(np.stack([window.cut(both[:height]), window.cut(both[height:])], axis=-1))

    def problems(self, sequence: FrameSequence, offsets: Sequence[int]) -> list[Problem]:
        """Return a problem if flows to some of the offsets do not exist; none is read.

        Args:
            sequence: The sequence.
            offsets: Offsets in frames, as in `read`.
        """
        names = [
            flow_name(self._names.gt(sequence.name, center), offset)
            for offset in offsets
            for center in range(abs(offset), sequence.frames - abs(offset))
            if offset
        ]
        return self._side.missing(sequence, names) if names else []


def read_flow(
    flows: FlowFiles | None, sequence: FrameSequence, center: int, offsets: Sequence[int], window: Window
) -> Flow:
    """Read flows for any `FrameSource`.

    Args:
        flows: The files; without them flow is zero.
        sequence: The sequence.
        center: Frame that the flows start at, from 0.
        offsets: Frames to the other frames; the flow to offset 0 is zero.
        window: The crop in LQ pixels.

    Returns:
        float32 (offsets, size, size, 2), x before y, in LQ pixels.
    """
    found = np.zeros((len(offsets), window.size, window.size, 2), np.float32)
    for crop, offset in zip(found, offsets, strict=True):
        if offset and flows:
            crop[:] = flows.read(sequence, center, offset, window)
    return found


def dequantised(levels: Pixels) -> Flow:
    """Return flow in LQ pixels from levels 0..254: the middle of each level's interval between -20 and 20."""
    return ((levels + 0.5) * (2 * FLOW_LIMIT) / FLOW_LEVELS - FLOW_LIMIT).astype(np.float32)
