"""The example and the documented parts run in an environment without BasicSR."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mg_basicsr.config.resolve import resolve
from mg_basicsr.parsing.options_file import load_options

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / 'examples/plain_pytorch.py'
PARTS = ROOT / 'docs/parts.md'

# Runs a script as `python SCRIPT ARGUMENTS` does, where basicsr cannot be imported.
WITHOUT_BASICSR = """
import runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'basicsr':
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def run_without_basicsr(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, '-c', WITHOUT_BASICSR, str(script)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_basicsr_is_missing(tmp_path: Path) -> None:
    script = tmp_path / 'script.py'
    script.write_text('import basicsr.utils\n')
    result = run_without_basicsr(script, tmp_path)
    assert result.returncode == 1
    assert "No module named 'basicsr'" in result.stderr


def test_the_example_follows_its_plan_and_learns(tmp_path: Path) -> None:
    result = run_without_basicsr(EXAMPLE, tmp_path)
    assert result.returncode == 0, result.stderr
    plan = resolve(load_options(EXAMPLE.with_suffix('.yml'))).plan
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [int(line[0]) for line in lines] == [*range(0, plan.total_iter, 10), plan.total_iter - 1]
    for iteration, *shape, rate, _ in lines:
        step = plan(int(iteration))
        clips, frames, size = step.shape.clips, step.shape.frames, step.shape.size
        assert list(map(int, shape)) == [clips, frames, 3, size, size]
        assert float(rate) == pytest.approx(step.rate(plan.base_lr), rel=1e-6)
    assert len({tuple(line[1:6]) for line in lines}) == len(plan.stages)
    losses = [float(line[-1]) for line in lines]
    assert sum(losses[-3:]) < 0.2 * sum(losses[:3])


def test_the_documented_parts_run(tmp_path: Path) -> None:
    blocks = re.findall(r'^```python\n(.*?)^```', PARTS.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    script = tmp_path / 'parts.py'
    script.write_text('\n'.join(blocks), encoding='utf-8')
    (tmp_path / 'examples').symlink_to(EXAMPLE.parent)
    result = run_without_basicsr(script, tmp_path)
    assert result.returncode == 0, result.stderr
