"""Check that the full shape of a plan is what an adapted dataset delivers.

For a class that only the host knows, the frames of a sample are those that the options say, or those that the type's
name stands for. A sample with more frames would be cut in every stage, the last one included.
"""

from __future__ import annotations

import torch

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.training.seeding import isolated_seed


def check_frames(dataset: AdaptedDataset, frames: int) -> None:
    """Check that samples have no more frames than the plan's full shape.

    A sample that cannot be read is left to the run, which reports it, and so is one with too few frames.

    Args:
        dataset: The dataset. A copy of it is read.
        frames: Frames of the full shape.

    Raises:
        ConfigError: samples have more.
    """
    copy = dataset.copies()()
    try:
        with isolated_seed(0):
            lq = copy[0].get('lq')
    except Exception:  # of any kind: it is a class about which nothing is known
        return
    if torch.is_tensor(lq) and lq.ndim == 4 and len(lq) > frames:
        raise ConfigError(
            Problem(
                'datasets.train.num_frame',
                f'samples of {type(dataset.base).__name__} have {len(lq)} frames, and the plan is made for {frames}',
                'needed: the frames of a whole sample, which the last stage trains on',
                f'set multigrid.adapter: {{frames: {len(lq)}}}',
            )
        )
