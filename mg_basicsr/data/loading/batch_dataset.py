"""What stands between a dataset and a DataLoader: mini-batches are read whole, errors keep their form, and other clips
take the place of bad ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch.utils.data import Dataset, default_collate

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.loading.batches import batch_shapes, pixels_to_float
from mg_basicsr.data.loading.shared_ring import Ring, RingBatch
from mg_basicsr.data.sampling.permutation import mix
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.errors import ConfigError, MultigridError

ATTEMPTS = 10  # at replacing a clip: in a set with one bad clip in ten, all fail once in 10^10 bad clips
BAD_CLIPS = 'bad_clips'  # key of a batch, beside those of its samples

_REPLACEMENT = 5  # the stream of random numbers for other clips, beside those of the sampler, training and cutting


class Guarded(Dataset[Any]):
    """A dataset that is asked for whole mini-batches, and whose errors travel as values.

    A worker's exception would reach the training process as one with a traceback for its message; ours tell the user
    what to do, and are raised there as they are.

    Args:
        dataset: The dataset.
        as_float: Convert 8-bit crops to BasicSR's float32 here, in the worker, and not on the device.
        flip: Flip crops here. Otherwise one of ours leaves that to the device.
        ring: Where one of ours writes its crops.
        skipped: Exceptions of clips that are replaced by others; none by default. A ConfigError never is.
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
        """The mini-batch, or the error that stopped it.

        Clips that could not be read are told under BAD_CLIPS: name -> what is wrong.
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
        return RingBatch(requests.iteration, shapes, default_collate(samples))

    def _sample(self, request: SampleRequest, bad: dict[str, str], into: Mapping[str, Pixels] | None = None) -> Any:
        """The sample, or that of the first replacement which can be read; what is wrong with the others goes to `bad`.

        If none can, the fault lies in more than a few clips, and the error of the one asked for is raised.
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
    """Another clip of the same shape, a function of the request and the number of the attempt."""
    seed = mix(request.seed, _REPLACEMENT, attempt)
    return replace(request, index=seed % num_keys, seed=mix(seed))
