"""A small store has the beginnings of the set's clips, pixel by pixel, and is removed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch

from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.host.timing.small_store import MOST_CLIPS, small_store
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.clips import write_clips


@pytest.mark.parametrize(('interval', 'stride'), [(1, 1), (2, 1), (1, 2)])
def test_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: int, stride: int) -> None:
    lengths = {'001': 9, '002': 20, '003': 12}
    write_clips(tmp_path, lengths, shape=(64, 96))
    (tmp_path / 'meta.txt').write_text(''.join(f'{name} {count} (64,96,3)\n' for name, count in lengths.items()))
    options = TrainSetOptions(
        f'{tmp_path}/GT', f'{tmp_path}/LQ', 64, 4, True, True, meta_info_file=f'{tmp_path}/meta.txt',
        val_partition='REDS4', num_frame=4, interval_list=(interval,),
    )  # fmt: skip
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
    (tmp_path / 'temporary').mkdir()
    dataset = REDSRecurrent(options)
    shapes = [BatchShape(1, 2, 32), BatchShape(1, 4, 64)]
    specs = [StageSpec(10, (shape,), 1.0, 0.0, Constant()) for shape in shapes]
    plan = build_plan(specs, world_size=1, budget=1 << 20, warmup_iter=0, base_lr=1.0)
    with small_store(dataset, plan, stride) as few:
        assert 1 <= len(few) <= MOST_CLIPS and few.source is not dataset.source
        names = [dataset.keys.locate(index)[0].name for index in range(len(dataset))]
        for index, sequence in enumerate(few.keys.sequences):
            assert sequence.frames == min(lengths[sequence.name], (3 * interval + 1) * stride)
            for shape in shapes:
                request = SampleRequest(index, shape.frames, shape.size, 7 * index + shape.size)
                whole = SampleRequest(names.index(sequence.name), shape.frames, shape.size, request.seed)
                ours, original = few[request], dataset[whole]
                assert torch.equal(ours['lq'], original['lq']) and torch.equal(ours['gt'], original['gt'])
    assert list((tmp_path / 'temporary').iterdir()) == []
