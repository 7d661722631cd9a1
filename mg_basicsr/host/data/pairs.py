"""Check that samples of an adapted dataset are pairs of LQ and GT, which a plan can cut to its shapes.

Models that make LQ from GT by themselves, on the device (Real-ESRGAN and those built on it), get samples of GT and
kernels. They cut crops of another size, and keep pools of them. What a sample holds decides, not what dataset or
model are called.
"""

from __future__ import annotations

from collections.abc import Mapping

from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.data.adapter import AdaptedDataset

PAIR = ('lq', 'gt')


def check_pairs(dataset: AdaptedDataset, frames: int, gt_size: int) -> None:
    """Check that a sample has `lq` and `gt`. One that cannot be read is left to the run, which reports it.

    Args:
        dataset: The dataset. A copy of it is read.
        frames: Frames of a clip.
        gt_size: GT crop in pixels.

    Raises:
        ConfigError: the sample lacks one of them, or both.
    """
    try:
        sample = dataset.copies()().whole(SampleRequest(0, frames, gt_size, 0))
    except Exception:  # of any kind: it is the host's own code
        return
    if not isinstance(sample, Mapping):
        return
    lacking = [key for key in PAIR if key not in sample]
    if not lacking:
        return
    held, missing = ', '.join(map(str, sample)), ' and no '.join(lacking)
    made = '; a model that makes LQ itself cuts crops of another size' if lacking == ['lq'] else ''
    raise ConfigError(
        Problem(
            'datasets.train.type',
            f'{type(dataset.base).__name__}: a sample has {held}, and no {missing}',
            f'needed: pairs of lq and gt, which a plan cuts to its shapes{made}',
            'train it without the multigrid block, or with a dataset that delivers pairs under these keys',
        )
    )
