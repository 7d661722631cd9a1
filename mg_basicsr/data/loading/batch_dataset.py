"""Wrapper of a dataset for a DataLoader: reads whole mini-batches, returns errors as values, replaces bad clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch.utils.data import Dataset, default_collate

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.loading.batches import batch_shapes, pixels_to_float
from mg_basicsr.data.loading.shared_ring import Ring, RingBatch, as_arrays
from mg_basicsr.data.sampling.permutation import mix
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.errors import ConfigError, MultigridError

ATTEMPTS = 10  # at replacing a clip: in a set with one bad clip in ten, all fail once in 10^10 bad clips
BAD_CLIPS = 'bad_clips'  # key of a batch, beside those of its samples

_REPLACEMENT = 5  # the stream of random numbers for other clips, beside those of the sampler, training and cutting


class Guarded(Dataset[Any]):
    """Dataset that is asked for whole mini-batches and returns errors as values.

    A DataLoader re-raises a worker's exception with a traceback as its message. Ours say what to do, so they are
    returned, and raised unchanged in the training process.

    Args:
        dataset: Any dataset whose items are requests; a `ClipDataset`, or an adapter.
        as_float: Convert 8-bit crops to BasicSR's float32 in the worker instead of on the device.
        flip: Flip crops in the worker. Otherwise a `ClipDataset` leaves that to the device.
        ring: Shared memory to which a `ClipDataset` writes its crops.
        skipped: Exceptions after which a clip is replaced by another; none by default. Never a ConfigError.
    """

    def __init__(
        self,
        dataset: Any,
        as_float: bool = False,
        flip: bool = True,
        ring: Ring | None = None,
        skipped: tuple[type[Exception], ...] = (),
    ) -> None:
        self.dataset = dataset
        self.as_float = as_float
        self.flip = flip
        self.ring = ring
        self.skipped = skipped

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, requests: BatchRequests) -> dict[str, Any] | RingBatch | MultigridError:
        """Return a mini-batch, or the error that stopped it.

        Clips that could not be read are listed under BAD_CLIPS: name -> what is wrong.
        """
        bad: dict[str, str] = {}
        try:
            if self.ring and isinstance(self.dataset, ClipDataset):
                batch = self._in_ring(self.dataset, requests, self.ring, bad)
            else:
                batch = default_collate([self._sample(request, bad) for request in requests])
        except MultigridError as error:
            return error
        if bad:
            (batch.rest if isinstance(batch, RingBatch) else batch)[BAD_CLIPS] = bad
        return pixels_to_float(batch) if self.as_float and isinstance(batch, dict) else batch

    def _in_ring(self, dataset: ClipDataset, requests: BatchRequests, ring: Ring, bad: dict[str, str]) -> RingBatch:
        shapes = batch_shapes(dataset, requests)
        places = {name: tensor.numpy() for name, tensor in ring.tensors(requests.iteration, shapes).items()}
        samples = []
        for n, request in enumerate(requests):
            sample = self._sample(request, bad, {name: place[n] for name, place in places.items()})
            samples.append({name: value for name, value in sample.items() if name not in shapes})
        return RingBatch(requests.iteration, shapes, as_arrays(default_collate(samples)))

    def _sample(self, request: SampleRequest, bad: dict[str, str], into: Mapping[str, Pixels] | None = None) -> Any:
        """Return the sample, or that of the first replacement that can be read; add those that cannot to `bad`.

        If none can be read, more than a few clips are bad, and the error of the requested one is raised.

        Raises:
            ConfigError: the request cannot be served by this dataset; a replacement could not either.
        """
        first: Exception | None = None
        for attempt in range(ATTEMPTS + 1):
            candidate = replacement(request, attempt, len(self.dataset)) if attempt else request
            try:
                return self._read(candidate, into)
            except ConfigError:
                raise
            except self.skipped as error:
                first = first or error
                name = self.dataset.clip_name(candidate.index)
                bad[name] = str(error) if isinstance(error, MultigridError) else repr(error)
        assert first is not None
        raise first

    def _read(self, request: SampleRequest, into: Mapping[str, Pixels] | None) -> Any:
        if isinstance(self.dataset, ClipDataset):
            return self.dataset.read(self.dataset.draw(request), into, self.flip)
        return self.dataset[request]


def replacement(request: SampleRequest, attempt: int, num_keys: int) -> SampleRequest:
    """Return a request for another clip of the same shape: a pure function of the arguments.

    Args:
        request: The request for the clip that could not be read.
        attempt: Number of the attempt, >= 1.
        num_keys: Keys of the dataset.
    """
    seed = mix(request.seed, _REPLACEMENT, attempt)
    return replace(request, index=seed % num_keys, seed=mix(seed))
