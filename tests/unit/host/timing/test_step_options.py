"""Which options of a step are tried, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from mg_basicsr.host.timing.step_options import changes_to_try
from tests.helpers.stock_options import resolved, stock

FUSED, LAST, HALF = 'fused_optimizer: true', 'channels_last: true', 'precision: bfloat16'


@pytest.mark.parametrize(
    ('block', 'on_gpu', 'reduced', 'compile', 'expected'),
    [
        ({}, False, False, False, [FUSED, LAST]),
        ({}, True, True, False, [FUSED, LAST, HALF]),
        ({}, True, False, False, [FUSED, LAST]),  # a GPU without bfloat16
        ({}, False, False, True, [FUSED, LAST, 'compile: true']),
        ({'compile': True}, True, True, True, [FUSED, LAST, HALF]),
        ({'precision': 'float16'}, True, True, False, [FUSED, LAST]),
        ({'fused_optimizer': True, 'channels_last': True}, False, False, False,
         ['fused_optimizer: false', 'channels_last: false']),
    ],
)  # fmt: skip
def test_changes(block: dict[str, Any], on_gpu: bool, reduced: bool, compile: bool, expected: list[str]) -> None:
    settings = resolved(stock(block={'preset': 'lin2022', **block}))
    changes = changes_to_try(settings.block, on_gpu, reduced, compile)
    assert [change.text for change in changes] == [f'multigrid.{text}' for text in expected]
