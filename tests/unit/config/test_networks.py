"""The table of networks, and what plans and conversions make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.config.advice import advice
from mg_basicsr.config.conversion import Choices, conversion
from mg_basicsr.config.needs import needs_of
from mg_basicsr.config.networks import NETWORKS
from mg_basicsr.config.official_batch import official_gpus
from mg_basicsr.config.presets.table import find
from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.stock_options import stock

IMAGES: dict[str, Any] = {'datasets.train.type': 'PairedImageDataset', 'datasets.train.gt_size': 192, 'num_gpu': 1}


def file(kind: str, network: dict[str, Any], changes: dict[str, Any] | None = None, block: Any = None) -> OptionsFile:
    return OptionsFile(Path('x.yml'), (), stock(kind, block, {'network_g': network, **(changes or {})}))


def keys(options: OptionsFile, preset: str = 'lin2022') -> dict[str, Any]:
    found = find(preset)
    assert found is not None
    return conversion(options, found, Choices()).keys


def test_every_entry_has_a_source() -> None:
    assert all(entry.source and entry.kind for entry in NETWORKS.values())


@pytest.mark.parametrize(
    ('network', 'smallest', 'multiple'),
    [
        ({'type': 'BasicVSRPlusPlus'}, 64, 1),
        ({'type': 'BasicVSRPlusPlus', 'is_low_res_input': False}, 256, 4),
        ({'type': 'SwinIR', 'window_size': 8}, 8, 8),
        ({'type': 'SwinIR'}, 7, 7),
        ({'type': 'HAT', 'window_size': 16}, 16, 16),
        ({'type': 'BasicRecurrentSwin', 'window_size': [3, 8, 8]}, 64, 8),
        ({'type': 'RRDBNet', 'scale': 2}, 2, 2),
        ({'type': 'EDVR', 'hr_in': True}, 16, 16),
        ({'type': 'Unheard'}, 1, 1),
    ],
)
def test_limits(network: dict[str, Any], smallest: int, multiple: int) -> None:
    needs = needs_of({'network_g': network}, 4)
    assert (needs.smallest.whole, needs.multiple.whole) == (smallest, multiple)
    assert needs.unknown == (('Unheard',) if network['type'] == 'Unheard' else ())


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (file('reds', {'type': 'BasicVSR'}), {}),
        (file('reds', {'type': 'BasicVSRPlusPlus'}), {'spatial': [1.0]}),
        (file('edvr', {'type': 'EDVR', 'with_tsa': False}), {'temporal': [1.0], 'small_lr_max': 2e-4}),
        (file('reds', {'type': 'SwinIR', 'window_size': 8}, IMAGES), {'lq_multiple': 8}),
    ],
)
def test_conversion_writes_what_the_network_takes(options: OptionsFile, expected: dict[str, Any]) -> None:
    assert keys(options) == {'preset': 'lin2022', **expected}


@pytest.mark.parametrize(
    ('options', 'what'),
    [
        (file('edvr', {'type': 'EDVR'}, {'path': {'pretrain_network_g': 'x.pth'}}), 'network_g.with_tsa'),
        (file('edvr', {'type': 'EDVR', 'with_tsa': True}, {'train.tsa_iter': 50_000}), 'network_g.with_tsa'),
        (file('reds', {'type': 'EDSR'}, {**IMAGES, 'datasets.train.gt_size': 128}), '--preset lin2022'),
        (file('reds', {'type': 'StyleGAN2Generator'}), 'network_g.type'),
    ],
)
def test_conversion_refuses_what_gains_nothing(options: OptionsFile, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keys(options)
    assert [problem.option for problem in caught.value.problems] == [what]
    assert all(all(problem) for problem in caught.value.problems)


def test_what_would_gain_is_named_and_does() -> None:
    options = file('reds', {'type': 'EDSR'}, {**IMAGES, 'datasets.train.gt_size': 128})
    with pytest.raises(ConfigError, match='--preset progressive'):
        keys(options)
    assert len(keys(options, 'progressive')['gt_sizes']) > 1


@pytest.mark.parametrize(
    ('kind', 'network', 'block', 'remedy'),
    [
        ('reds', {'type': 'BasicVSRPlusPlus'}, {}, {'spatial': [1.0]}),
        ('edvr', {'type': 'EDVR', 'with_tsa': False}, {}, {'small_lr_max': 2e-4}),
        ('reds', {'type': 'SwinIR', 'window_size': 24}, {}, None),
    ],
)
def test_warnings_have_a_remedy_that_helps(kind: str, network: dict[str, Any], block: Any, remedy: Any) -> None:
    fast = {'train.optim_g.lr': 4e-4}
    options = file(kind, network, fast, block={'preset': 'lin2022', 'base_batch_size': 16, **block})
    warnings = advice(options, resolve(options))
    assert len(warnings) == 1 and all(warnings[0])
    if remedy:
        mended = file(kind, network, fast, block={'preset': 'lin2022', 'base_batch_size': 16, **block, **remedy})
        assert all(f'{key}: ' in warnings[0].remedy for key in remedy)
        assert advice(mended, resolve(mended)) == []


@pytest.mark.parametrize(
    ('text', 'options', 'gpus'),
    [
        ('num_gpu: auto  # official: 8 GPUs\n', {'num_gpu': 'auto'}, 8),
        ('num_gpu: auto  # auto: from the devices. official: 4 GPUs\n', {'num_gpu': 'auto'}, 4),
        ('# official: 4 GPUs\n# official: 8 GPUs\n', {'num_gpu': 'auto'}, None),
        ('', {'num_gpu': 2}, 2),
        ('', {'num_gpu': 'auto', 'name': 'x_8gpus'}, 8),
        ('', {'num_gpu': 'auto', 'name': 'x-4GPU-REDS'}, 4),
        ('', {'num_gpu': 'auto', 'name': 'x_8xgpu_y'}, 8),
        ('', {'num_gpu': 'auto', 'name': 'gpus8'}, None),
        ('', {'num_gpu': 'auto', 'name': 'x_0gpus'}, None),
        ('', {'num_gpu': 'auto', 'name': 'x_B4G8'}, 8),
        ('', {'num_gpu': 'auto', 'name': 'x_B3G8'}, None),
        ('', {'num_gpu': 'auto'}, None),
    ],
)
def test_number_of_gpus(tmp_path: Path, text: str, options: dict[str, Any], gpus: int | None) -> None:
    (tmp_path / 'x.yml').write_text(text)
    found = official_gpus(OptionsFile(tmp_path / 'x.yml', (), {**stock(), **options}))
    assert (found.gpus if found else None) == gpus
