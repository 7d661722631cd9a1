"""Mini-batches through shared memory: the same as collated ones, whoever writes and however often it starts anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.loading.batch_dataset import Guarded
from mg_basicsr.data.loading.batches import as_delivered, batch_shapes, pixels_to_float
from mg_basicsr.data.loading.shared_ring import Ring, RingBatch
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.errors import TrainingError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, write_flows, write_reds

WORKERS, PREFETCH = 2, 2


def requests(iterations: range, frames: int, span: int = 0) -> list[BatchRequests]:
    """Batches of 2 and of 3 clips in turn, of two sizes."""

    def clip(i: int, n: int) -> SampleRequest:
        return SampleRequest((7 * i + n) % 3, frames, 16 + 8 * (i % 2), 100 * i + n, max_span=span)

    return [BatchRequests(i, [clip(i, n) for n in range(2 + i % 2)]) for i in iterations]


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) if torch.is_tensor(first[key]) else first[key] == second[key]
        for key in first
    )


@pytest.fixture(scope='module')
def flow_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_reds(tmp_path_factory.mktemp('flow'), {'001': 9})
    write_flows(root, '001', 9, reach=2)
    return root


@pytest.fixture(params=['reds', 'reds window', 'flow', 'vimeo', 'vimeo mirrored', 'vimeo window', 'images', 'spans'])
def dataset(request: pytest.FixtureRequest, reds: Path, vimeo: Path, flow_set: Path) -> tuple[ClipDataset, int]:
    """A set of each kind, and a number of frames that it can give."""

    def made(
        kind: Callable[..., ClipDataset], root: Path, frames: int, degradation: str | None = None, **changes: Any
    ) -> tuple[ClipDataset, int]:
        return kind(TrainSetOptions.parse(block(root, **changes), SCALE).replace(degradation=degradation)), frames

    images = {'dataroot_gt': str(reds / 'GT/001'), 'dataroot_lq': str(reds / 'LQ/001'), 'meta_info_file': None}
    return {
        'reds': lambda: made(REDSRecurrent, reds, 3),
        'reds window': lambda: made(REDS, reds, 5, num_frame=5),
        'flow': lambda: made(REDS, flow_set, 3, num_frame=3, dataroot_flow=str(flow_set / 'flow')),
        'vimeo': lambda: made(Vimeo90KRecurrent, vimeo, 4),
        'vimeo mirrored': lambda: made(Vimeo90KRecurrent, vimeo, 6, flip_sequence=True),
        'vimeo window': lambda: made(Vimeo90K, vimeo, 5, num_frame=5),
        'spans': lambda: made(Vimeo90KRecurrent, vimeo, 6, degradation='bicubic', flip_sequence=True),
        'images': lambda: made(PairedImage, reds, 1, **images),
    }[request.param]()


def delivered(guarded: Guarded, batches: list[BatchRequests], workers: int) -> list[dict[str, Any]]:
    """What the train loop gets: float32, made of each batch before the next is asked for."""
    sampler: Any = batches
    loader = DataLoader(
        guarded, batch_sampler=sampler, num_workers=workers, collate_fn=as_delivered,
        prefetch_factor=PREFETCH if workers else None,
    )  # fmt: skip
    found = []
    for batch in loader:
        whole = guarded.ring.batch(batch) if isinstance(batch, RingBatch) and guarded.ring else batch
        found.append(pixels_to_float(whole))
    return found


@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_batches_are_those_that_are_collated(dataset: tuple[ClipDataset, int]) -> None:
    """With workers, and with flips left to the device; the ring goes round several times."""
    clips, frames = dataset
    batches = requests(range(3, 20), frames, span=40 if clips.options.degradation else 0)
    wanted = delivered(Guarded(clips), batches, 0)
    drawn = [clips.draw(request) for batch in batches for request in batch]
    assert any(draw.gt_window.size > draw.gt_size for draw in drawn) == bool(clips.options.degradation)
    shapes = batch_shapes(clips, batches[0])
    assert {name: tuple(wanted[0][name].shape) for name in shapes} == shapes
    for flip in (True, False):
        ring = Ring(WORKERS * PREFETCH + 1, 1 << 20)
        found = delivered(Guarded(clips, flip=flip, ring=ring), batches, WORKERS)
        assert len(found) == len(wanted) and all(map(same, found, wanted))
    assert all(map(same, delivered(Guarded(clips, flip=False), batches, 0), wanted))
    assert all(map(same, delivered(Guarded(clips, as_float=True), batches, 0), wanted))


def test_no_tensor_is_sent(dataset: tuple[ClipDataset, int]) -> None:
    """Each would cost a socket; what is received can be written to, as a tensor can."""
    clips, frames = dataset
    ring = Ring(2, 1 << 20)
    sent = Guarded(clips, flip=False, ring=ring).__getitems__(requests(range(1), frames)[0])
    assert isinstance(sent, RingBatch) and not any(map(torch.is_tensor, sent.rest.values()))
    received = ring.batch(ForkingPickler.loads(ForkingPickler.dumps(sent)))
    assert torch.is_tensor(received['flips']) and received['flips'].dtype == torch.int64
    for value in received.values():
        if torch.is_tensor(value):
            value.zero_()


def test_batches_under_way_do_not_touch_each_other() -> None:
    ring = Ring(3, 100)
    shapes = {'lq': (2, 5), 'gt': (2, 4, 5)}
    for iteration in range(7, 10):
        for tensor in ring.tensors(iteration, shapes).values():
            tensor.fill_(iteration)
    for iteration in range(7, 10):
        assert all((tensor == iteration).all() for tensor in ring.tensors(iteration, shapes).values())
    assert ring.tensors(8, {'x': (1,)})['x'].item() == 8
    ring.tensors(11, {'x': (1,)})['x'].fill_(99)  # the slot of iteration 8
    assert ring.tensors(8, {'x': (1,)})['x'].item() == 99


def test_too_little_shared_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage('/')._replace(free=64_000_000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
    with pytest.raises(TrainingError, match=r'/dev/shm: 80 MB needed for mini-batches, 64 MB free\n.*\n.*shm-size'):
        Ring(5, 16_000_000)
