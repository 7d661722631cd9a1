"""The picture of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from mg_basicsr.report.plan_plot import plot_plan
from tests.helpers.stock_options import PAPER, resolved, stock


@pytest.mark.parametrize(
    ('kind', 'block', 'changes'),
    [
        ('reds', PAPER | {'extra': {'gt_size': 288, 'frames': 17, 'iters': 20_000}}, {}),
        ('edvr', {'preset': 'lin2022'}, {}),
        ('reds', {'preset': 'wu2020'}, {}),
        ('reds', {'preset': 'wu2020'}, {'train.total_iter': 2000, 'train.fix_flow': 0}),
        (
            'reds',
            {'preset': 'progressive', 'gt_sizes': [128, 256], 'mini_batch_sizes': [4, 1], 'iters': [2, 1]},
            {'datasets.train.type': 'PairedImageDataset'},
        ),
        (
            'reds',
            {
                'preset': 'stages',
                'stages': [{'iters': 99, 'lr': [1e-1, 0, 'linear']}, {'iters': 99, 'lr': [1e-4, 0, 'linear']}],
            },
            {'train.fix_flow': 0},
        ),
        ('reds', {'preset': 'stages', 'stages': [{'iters': 1}]}, {'train.fix_flow': 0}),
    ],
)
def test_a_png_is_written(tmp_path: Path, kind: str, block: dict[str, Any], changes: dict[str, Any]) -> None:
    settings = resolved(stock(kind, block, changes))
    plot_plan(settings.plan, settings.baseline, tmp_path / 'plan.png')
    height, width, _ = matplotlib.image.imread(tmp_path / 'plan.png').shape
    assert height > 500 and width > 500
