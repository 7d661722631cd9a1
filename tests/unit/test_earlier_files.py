"""Plans and stores of an earlier version are what they were, to the byte; see tests/data/README.md."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mg_basicsr.cli.main import main
from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.store.building.verify import verify
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.train_set import TrainSetOptions

ROOT = Path(__file__).parents[2]
DATA = ROOT / 'tests/data'
PLANS = sorted((DATA / 'plans').glob('*.json'))


def test_every_options_file_has_a_plan() -> None:
    files = {path.stem for path in (ROOT / 'options').glob('*.yml')}
    assert {path.name.rsplit('.', 2)[0] for path in PLANS} == files


@pytest.mark.parametrize('expected', PLANS, ids=lambda path: path.stem)
def test_plans(expected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, ranks, _ = expected.name.rsplit('.', 2)
    with pytest.raises(SystemExit) as ended:
        main(['plan', '-opt', str(ROOT / f'options/{name}.yml'), '--world-size', ranks, '--json'])
    assert ended.value.code == 0
    assert capsys.readouterr().out == expected.read_text()


@pytest.mark.parametrize('codec', ['raw', 'zstd'])
def test_a_store_of_version_1(codec: str) -> None:
    root = DATA / f'store_{codec}'
    block = {
        'dataroot_gt': 'unused', 'dataroot_lq': 'unused', 'meta_info_file': str(DATA / 'store_meta.txt'),
        'val_partition': 'REDS4', 'num_frame': 5, 'gt_size': 32, 'use_hflip': True, 'use_rot': True,
        'random_reverse': True, 'io_backend': {'type': 'store', 'path': str(root)},
    }  # fmt: skip
    options = TrainSetOptions.parse(block, 4)
    dataset = REDSRecurrent(options, open_store(root, options))
    for *request, digest in json.loads((DATA / 'samples.json').read_text()):
        sample = dataset[SampleRequest(*request)]
        found = hashlib.sha256(sample['lq'].numpy().tobytes() + sample['gt'].numpy().tobytes())
        assert found.hexdigest() == digest
    assert verify(root) == 2
