"""Adapter that makes any registered BasicSR dataset deliver the shape of a SampleRequest.

A class that is not ours gets the crop's size in `opt["gt_size"]`, which nearly all read, and its samples are cut by the
rules of `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from torch.utils.data import Dataset
from torch.utils.data._utils import worker

from mg_basicsr.config.adapter_rules import AdapterRules
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.host.data.copies import Copies
from mg_basicsr.host.data.fit import fit
from mg_basicsr.patching import replaced
from mg_basicsr.training.seeding import OwnGenerators, isolated_seed


class AdaptedDataset(Dataset[Any]):
    """BasicSR dataset under a plan.

    Its random choices follow from the request's seed, in every worker: Python's, NumPy's and torch's generators are
    seeded for the sample and restored afterwards, and so are those that the dataset holds itself (`default_rng` on
    self, those of albumentations) or that its modules keep.

    Args:
        base: The dataset, with its options in `base.opt` if it has any.
        scale: GT size / LQ size.
        rules: What of its samples runs along time and space, where the user says it.
        mirrored: The second half of its clips is the first one reversed.
    """

    def __init__(self, base: Any, scale: int, rules: AdapterRules | None = None, mirrored: bool = False) -> None:
        self.base = base
        self.scale = scale
        self.rules = rules or AdapterRules()
        self.mirrored = mirrored
        self._own: OwnGenerators | None = None  # of this process

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), '_own': None}  # a copy has other generators

    def __len__(self) -> int:
        return len(self.base)

    def clip_name(self, index: int) -> str:
        """Return a name of a key without the dataset's help, for messages."""
        return f'{index} of {type(self.base).__name__}'

    def __getitem__(self, request: SampleRequest | int) -> dict[str, Any]:
        """Return the sample in the requested shape; for a bare index, as the dataset delivers it.

        Raises:
            DataError: The dataset delivers less than requested, or what cannot be cut by the rules of `fit`.
        """
        if not isinstance(request, SampleRequest):
            return dict(self.base[request])
        sample = self.whole(request)
        name = type(self.base).__name__
        return fit(sample, request, self.rules, scale=self.scale, name=name, mirrored=self.mirrored)

    def copies(self) -> Callable[[], AdaptedDataset]:
        """Return a function that returns copies of this dataset in its present state, to be read in its place.

        Large arrays are shared. If it cannot be copied, the function returns this dataset itself.
        """
        try:
            return Copies(self).make
        except Exception:  # such as of an open file, a lock, a generator
            return lambda: self

    def whole(self, request: SampleRequest) -> Any:
        """Return the sample as the dataset delivers it for a request, which it may be larger than."""
        if self._own is None:
            self._own = OwnGenerators(self.base)
        while True:
            # Without the number of its worker: a sample must not depend on which one reads it.
            with (
                isolated_seed(request.seed),
                self._own.seeded(request.seed),
                gt_size_of(self.base, request.gt_size),
                replaced(worker, '_worker_info', None),
            ):
                sample = self.base[request.index]
            if not self._own.look_again():
                return sample
            # once more: a generator that was made at its first use has not been seeded for this sample


@contextmanager
def gt_size_of(base: Any, gt_size: int) -> Iterator[None]:
    """Set `opt['gt_size']` of a dataset for one sample: nearly every BasicSR dataset reads it per item.

    Args:
        base: The dataset.
        gt_size: GT crop in pixels.
    """
    opt = getattr(base, 'opt', None)
    if not isinstance(opt, MutableMapping) or 'gt_size' not in opt:
        yield
        return
    before = opt['gt_size']
    opt['gt_size'] = gt_size
    try:
        yield
    finally:
        opt['gt_size'] = before
