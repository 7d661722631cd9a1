"""`mg-basicsr convert`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mg_basicsr.cli.main import main
from tests.helpers.stock_options import PAPER, described, stock

BLOCK = {'preset': 'lin2022'}


def convert(source: Path, target: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['convert', '-opt', str(source), '-o', str(target), *arguments])
    return int(ended.value.code or 0)


def text_of(block: dict[str, object] | None = None) -> str:
    return '# my file\n' + yaml.safe_dump(stock(block=block), sort_keys=False) + '# the end'


@pytest.mark.parametrize(
    ('source', 'newline'),
    [
        (text_of().encode(), b'\n'),  # no newline at the end
        (text_of().encode() + b'\n\n\n', b'\n'),
        (text_of().replace('\n', '\r\n').encode(), b'\r\n'),
        (b'\xef\xbb\xbf' + text_of().encode() + b'\n', b'\n'),
    ],
)
def test_the_file_stays_as_it_is_but_for_the_block(tmp_path: Path, source: bytes, newline: bytes) -> None:
    before, after = tmp_path / 'x.yml', tmp_path / 'y.yml'
    before.write_bytes(source)
    assert convert(before, after) == 0
    written = after.read_bytes()
    assert written.startswith(source)
    assert written.removeprefix(source).startswith(newline if source.endswith(newline) else 2 * newline)
    block = written.partition(b'multigrid:' + newline)[2].splitlines()
    assert block and all(b'  # ' in line for line in block)  # each with its reason
    assert described(yaml.safe_load(written.decode('utf-8-sig'))) == described(stock(block=BLOCK))


@pytest.mark.parametrize(
    ('source', 'what'),
    [
        (text_of(PAPER), 'multigrid: '),
        (text_of() + '\n...\n', '-opt '),
        (yaml.safe_dump(stock(), default_flow_style=True), '-opt '),
        (text_of().replace('gt_size: 256', 'gt_size: 255'), 'datasets.train.gt_size: 255'),
        ('name: [', '-opt '),
    ],
)
def test_what_is_not_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, what: str) -> None:
    before, after = tmp_path / 'x.yml', tmp_path / 'y.yml'
    before.write_text(source)
    assert convert(before, after) == 2
    assert capsys.readouterr().err.strip().startswith(what)
    assert not after.exists()


@pytest.mark.parametrize('preset', ['lin2022', 'wu2020', 'progressive'])
def test_presets(tmp_path: Path, capsys: pytest.CaptureFixture[str], preset: str) -> None:
    before, after = tmp_path / 'x.yml', tmp_path / 'y.yml'
    before.write_text(text_of())
    assert convert(before, after, '--preset', preset) == 0
    assert after.read_text().startswith(text_of())
    block = yaml.safe_load(after.read_text())['multigrid']
    assert block['preset'] == preset
    plan = described(stock(block=block))
    assert f'{len(plan["stages"])} stages, ideal speed-up {plan["ideal_speedup"]:.2f}x' in capsys.readouterr().out


def test_lists_for_a_stock_file(tmp_path: Path) -> None:
    """Restormer's sizes and shares in proportion, rounded as the cycles are; the batch that the rate was made for."""
    before, after = tmp_path / 'x.yml', tmp_path / 'y.yml'
    before.write_text(text_of())
    assert convert(before, after, '--preset', 'progressive') == 0
    assert yaml.safe_load(after.read_text())['multigrid'] == {
        'preset': 'progressive',
        'gt_sizes': [128, 160, 208, 256],
        'mini_batch_sizes': [4, 4, 4, 4],
        'iters': [204_000, 36_000, 36_000, 24_000],
        'base_batch_size': 16,
    }


@pytest.mark.parametrize('target', ['x.yml', '.', 'missing/y.yml'])
def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    before = tmp_path / 'x.yml'
    before.write_text(text_of())
    assert convert(before, tmp_path / target) == 2
    assert capsys.readouterr().err.strip().startswith(f'-o {tmp_path / target}: ')
    assert before.read_text() == text_of()
    assert list(tmp_path.iterdir()) == [before]


def test_choices_and_the_schema(tmp_path: Path) -> None:
    before, after, schema = tmp_path / 'x.yml', tmp_path / 'y.yml', tmp_path / 's.json'
    before.write_bytes(b'\xef\xbb\xbf' + text_of().encode())
    with pytest.raises(SystemExit):
        main(['schema', '-o', str(schema)])
    arguments = ['--base-batch-size', '8', '--store', 'a: b', '--precision', 'bfloat16', '--schema', str(schema)]
    assert convert(before, after, *arguments) == 0
    text = after.read_bytes().decode('utf-8-sig')
    assert text.startswith('# yaml-language-server: $schema=./s.json\n# my file\n')
    block = yaml.safe_load(text)['multigrid']
    assert block == {'preset': 'lin2022', 'base_batch_size': 8, 'precision': 'bfloat16', 'store': 'a: b'}


def test_no_schema_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / 'x.yml', tmp_path / 'y.yml'
    before.write_text(text_of())
    assert convert(before, after, '--schema', str(tmp_path / 'none.json')) == 2
    assert '--schema' in capsys.readouterr().err and not after.exists()
