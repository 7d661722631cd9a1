"""What `mg-basicsr plan` says of sampling grids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.cli.main import main
from tests.helpers.stock_options import PAPER, stock

TIME = 'Clips take every k-th frame, k up to 2 by stage.'
SPACE = 'Crops show GT spans of up to 256 pixels, resampled.'


@pytest.mark.parametrize(
    ('keys', 'told'),
    [
        ({}, []),
        ({'temporal_stride': True}, [TIME]),
        ({'spatial_stride': True, 'degradation': 'bicubic'}, [SPACE]),
        ({'temporal_stride': True, 'spatial_stride': True, 'degradation': 'bd'}, [TIME, SPACE]),
        ({'temporal_stride': True, 'temporal': [1.0]}, []),  # no shorter clips
    ],
)
def test_grids_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: dict[str, Any], told: list[str]
) -> None:
    path = tmp_path / 'X.yml'
    path.write_text(yaml.safe_dump(stock(block=PAPER | keys)))
    with pytest.raises(SystemExit) as ended:
        main(['plan', '-opt', str(path)])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if 'span' in line or 'k-th' in line] == told
