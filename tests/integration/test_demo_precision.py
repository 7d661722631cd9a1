"""The demo's curriculum in bfloat16 scores as it does in float32. A minute or two for each on two idle cores:

pytest -s -m slow tests/integration/test_demo_precision.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from mg_basicsr.cli.demo import write_options
from mg_basicsr.report.training_log import read_log

TOLERANCE = 0.05  # dB


def run(root: Path, *arguments: str) -> None:
    environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ, 'CUDA_VISIBLE_DEVICES': ''}
    command = [sys.executable, '-m', 'mg_basicsr', *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_bfloat16_scores_as_float32(tmp_path: Path) -> None:
    from mg_basicsr.demo.data import SCALE, make_data
    from mg_basicsr.host.store_inputs import bicubic

    make_data(tmp_path / 'datasets', partial(bicubic, scale=SCALE), lambda what, done, total: None)
    options = write_options(tmp_path)[-1].options
    run(tmp_path, 'prepare', '-opt', options.name)
    scores = {}
    for precision in ('bfloat16', 'float32'):
        text = options.read_text(encoding='utf-8').replace('name: multigrid\n', f'name: {precision}\n', 1)
        path = tmp_path / f'{precision}.yml'
        path.write_text(f'{text.rstrip()}\n  precision: {precision}\n', encoding='utf-8')
        run(tmp_path, 'train', '-opt', path.name)
        (log_file,) = (tmp_path / 'experiments' / precision).glob('train_*.log')
        log = read_log(log_file)
        scores[precision] = log.scores[-1].value
        print(f'{precision}: {log.scores[-1].value:.4f} dB, {log.seconds:.0f} s for {log.iterations} iterations')
        text = log_file.read_text(encoding='utf-8')
        assert 'not finite' not in text and ': nan' not in text
    assert abs(scores['bfloat16'] - scores['float32']) < TOLERANCE
