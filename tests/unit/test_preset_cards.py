"""Each preset has a card in docs/presets.md: what it is for, what was measured, what failed; figures are of records."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mg_basicsr.config.presets.table import loaded

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/presets.md').read_text()
ROWS = ['what it is for', 'what was measured', 'what failed, or was not tried']


def card(preset: str) -> dict[str, str]:
    found = re.search(rf'^## {preset}\n\n\| `{preset}` \| \|\n\|---\|---\|\n((?:\|.*\n)+)', PAGE, re.MULTILINE)
    assert found, preset
    rows = (line.strip('| ').partition(' | ') for line in found[1].splitlines())
    return {name: text for name, _, text in rows}


OWN = [
    preset.name for preset in loaded() if preset.__module__.startswith('mg_basicsr.')
]  # without those of other tests


@pytest.mark.parametrize('preset', OWN)
def test_every_preset_has_a_card(preset: str) -> None:
    assert list(card(preset)) == ROWS
    measured = card(preset)['what was measured']
    assert 'python benchmarks/' in measured or 'No PSNR' in measured


def test_figures_are_those_of_the_records() -> None:
    arms = json.loads((ROOT / 'benchmarks/results/training_first.json').read_text())['arms']
    block, stock = arms['curriculum + store'], arms['stock']
    lin2022 = card('lin2022')['what was measured']
    assert f'{int(stock["seconds"] / block["seconds"] * 10) / 10} times less' in lin2022
    assert f'{-block["psnr_difference"]:.2f} dB (± {block["psnr_standard_error"]:.3f}) below' in lin2022
    stages = card('stages')['what was measured']
    everything = arms['all']
    assert f'{everything["psnr_difference"]:.2f} dB (± {everything["psnr_standard_error"]:.3f}) above' in stages
    assert f'{everything["ratio"]:.2f} times less' in stages
