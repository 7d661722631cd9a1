"""Every options file of a folder is converted, and planned."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scripts import convert_tree
from tests.helpers.stock_options import stock

OPTIONS = Path(__file__).parents[3] / 'options'


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'in/a').mkdir(parents=True)
    (tmp_path / 'in/a/good.yml').write_text(yaml.safe_dump(stock(), sort_keys=False))
    (tmp_path / 'in/bad.yml').write_text(yaml.safe_dump(stock(changes={'datasets.train.gt_size': 255})))
    arguments = ['convert_tree.py', str(tmp_path / 'in'), str(tmp_path / 'out'), '--base-batch-size', '8']
    monkeypatch.setattr('sys.argv', arguments)
    assert convert_tree.main() == 0
    said = capsys.readouterr().out
    assert 'bad.yml: datasets.train.gt_size: 255' in said and '1 converted, 1 refused, 0 wrong' in said
    assert yaml.safe_load((tmp_path / 'out/a/good.yml').read_text())['multigrid']['base_batch_size'] == 8
    assert not (tmp_path / 'out/bad.yml').exists()


def test_a_line_without_a_reason_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'x.yml').write_text(yaml.safe_dump(stock(), sort_keys=False))
    monkeypatch.setattr('mg_basicsr.config.conversion._comment', lambda text: '')
    [outcome] = convert_tree.convert_tree(tmp_path, tmp_path / 'out')
    assert [line.strip() for line in outcome.unexplained] == ['preset: lin2022  #', 'base_batch_size: 16  #']


@pytest.mark.parametrize('file', sorted(OPTIONS.glob('*.yml')), ids=lambda file: file.stem)
def test_shipped_files_are_what_convert_writes(tmp_path: Path, file: Path) -> None:
    """Their blocks stand at the top. wu2020's round the steps of the rate, and the image file has lists of its own."""
    text = file.read_text()
    start = text.index('\nmultigrid:\n')
    end = text.index('\n\n', start)
    (tmp_path / 'stock.yml').write_text(text[:start] + text[end:])
    assert all(' # ' in line for line in text[start:end].splitlines()[2:])  # each with its reason
    block = yaml.safe_load(text)['multigrid']
    arguments = ['--preset', block['preset'], '--base-batch-size', str(block['base_batch_size'])]
    [outcome] = convert_tree.convert_tree(tmp_path, tmp_path / 'out', arguments)
    assert (outcome.code, outcome.plan_code, outcome.warnings, outcome.unexplained) == (0, 0, '', ())
    own = {'lr_steps', 'gt_sizes', 'mini_batch_sizes', 'iters'}
    written = yaml.safe_load(outcome.target.read_text())['multigrid']
    assert {key: written[key] for key in written.keys() - own} == {key: block[key] for key in block.keys() - own}
