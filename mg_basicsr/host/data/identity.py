"""Identity of a training set in checkpoints: its list, and the pixels of a sample.

The plan's record has no data, and the clips of an iteration are drawn by their place in the list. So a resume compares
what is drawn from; where it is stored makes no difference.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import MultigridError
from mg_basicsr.schedule.plan import Plan


def data_record(dataset: Any, plan: Plan) -> dict[str, Any]:
    """Return the record of a training set, as plain data.

    Args:
        dataset: The run's; of the adapter's, only the number of keys is recorded.
        plan: The run's, of whose smallest shape a sample is read.

    Returns:
        `keys`, their number; `clips`, the SHA-256 of their list, and `sample`, that of the pixels of its first key; the
        latter two are None where they are not known.
    """
    ours = isinstance(dataset, ClipDataset)
    return {
        'keys': len(dataset),
        'clips': _hash_of_list(dataset) if ours else None,
        'sample': _hash_of_sample(dataset, plan) if ours else None,
    }


def data_changes(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Return what differs between two records of a training set, to follow "datasets.train "; nothing if it is one.

    Args:
        recorded: The older record, from a checkpoint.
        current: The present one.
    """
    if _differ('keys', recorded, current):
        return [f'has {current["keys"]} keys, and had {recorded["keys"]}: the same iterations draw other clips']
    if _differ('clips', recorded, current):
        return ['lists other clips: the same iterations draw other clips']
    if _differ('sample', recorded, current):
        return ['has other pixels in its first clip: see dataroot_gt, dataroot_lq and the store']
    return []


def _differ(key: str, recorded: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    before, now = recorded.get(key), current.get(key)
    return before is not None and now is not None and before != now


def _hash_of_list(dataset: ClipDataset) -> str:
    digest = hashlib.sha256()
    for sequence in dataset.keys.sequences:
        digest.update(f'{sequence.name}\n{sequence.frames}\n'.encode(errors='surrogateescape'))
    return digest.hexdigest()


def _hash_of_sample(dataset: ClipDataset, plan: Plan) -> str | None:
    shape = min(plan.shapes, key=lambda shape: (shape.frames, shape.size))
    plain = copy.copy(dataset)  # edits of how it is augmented are told as such
    plain.options = dataset.options.replace(use_hflip=False, use_rot=False, random_reverse=False, interval_list=(1,))
    try:
        sample = plain[SampleRequest(0, shape.frames, shape.size, 0)]
    except MultigridError:  # reported where the clip is trained on
        return None
    digest = hashlib.sha256()
    for side in ('lq', 'gt'):
        digest.update(sample[side].numpy().tobytes())
    return digest.hexdigest()
