"""A step that never waits: between lines of the log the host reads nothing from the device, and copies nothing to it.

On the CPU reads are counted; on the device `meta`, which has no numbers, each is an error.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from mg_basicsr import patching
from mg_basicsr.host.extensions import extensions_of
from mg_basicsr.host.patches import kept_ranges
from mg_basicsr.training.extension import Extension, extend
from tests.helpers.networks import narrow_flow
from tests.helpers.project import OPTIONS
from tests.helpers.waits import Waits
from tests.unit.host.test_extensions import run

FRAMES, LQ, STEPS = 5, 36, 4

pytestmark = pytest.mark.filterwarnings('ignore:distutils Version classes:DeprecationWarning')
EDVR = {
    'type': 'EDVR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_frame': FRAMES, 'deformable_groups': 2,
    'num_extract_block': 1, 'num_reconstruct_block': 1, 'hr_in': False, 'with_predeblur': False, 'with_tsa': True,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    'BasicVSR': {'model_type': 'VideoRecurrentModel', 'network_g': OPTIONS['network_g']},
    'EDVR': {'model_type': 'EDVRModel', 'network_g': EDVR},
}


@pytest.fixture(autouse=True)
def patches_undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    importlib.import_module('basicsr.models')  # whose patches stay

    monkeypatch.setattr(kept_ranges, 'active', lambda: True)
    before = len(patching.in_force())
    yield
    patching.undo(before)


def made(name: str, extended: bool, device: str = 'cpu') -> tuple[Any, list[Extension]]:
    """BasicSR's model with a small network, and the extensions that every run has."""
    from basicsr.models import build_model

    narrow_flow()
    options = copy.deepcopy({**OPTIONS, **MODELS[name], 'dist': False, 'rank': 0, 'world_size': 1, 'is_train': True})
    options['train']['ema_decay'] = 0
    if name == 'EDVR':
        options['train'] |= {'tsa_iter': 1}
        del options['train']['fix_flow'], options['train']['flow_lr_mul']
    torch.manual_seed(0)
    model = build_model(options)
    if device == 'meta':
        model.net_g.to('meta')
        model.device = torch.device('meta')
        model.optimizer_g = torch.optim.Adam(model.net_g.parameters())
        model.optimizers[:] = [model.optimizer_g]
    found = run()
    found.specification.in_loop = False  # without those that need a loader
    extensions = extensions_of(found) if extended else []
    extend(model, extensions)
    return model, extensions


def step(model: Any, name: str, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    shape = (2, FRAMES, 3, 4 * LQ, 4 * LQ) if name == 'BasicVSR' else (2, 3, 4 * LQ, 4 * LQ)
    sizes = (2, FRAMES, 3, LQ, LQ), shape
    lq, gt = (torch.rand(size, generator=generator).to(model.device) for size in sizes)
    model.feed_data({'lq': lq, 'gt': gt})
    model.optimize_parameters(number)


def log_and_weights(model: Any) -> tuple[dict[str, float], list[torch.Tensor]]:
    return dict(model.get_current_log()), [weight.clone() for weight in model.net_g.state_dict().values()]


@pytest.mark.parametrize('name', MODELS)
def test_it_reads_nothing_and_is_the_same_step(name: str) -> None:
    (stock, _), (ours, extensions) = made(name, False), made(name, True)
    for number in range(1, STEPS + 1):
        with Waits() as waits:
            step(ours, name, number)
        assert waits.found == {}
        step(stock, name, number)
        if number % 2 == 0:  # a line of the log
            for extension in extensions:
                extension.settle()
            (log, weights), (stock_log, stock_weights) = log_and_weights(ours), log_and_weights(stock)
            assert log == stock_log and log['l_pix'] > 0
            assert all(map(torch.equal, weights, stock_weights))


@pytest.mark.parametrize(('name', 'uploads'), [('BasicVSR', 7), ('EDVR', 0)])
def test_copies_to_a_device_are_made_once(name: str, uploads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first step of a shape, one for each size of a grid; by stock, in every step."""
    model, _ = made(name, True, 'meta')
    batch = {'_to_copy in test_waits.py <genexpr>': 2}
    kept_ranges._range.cache_clear()
    for number in range(1, 4):
        with Waits() as waits:
            step(model, name, number)
        found = dict(waits.found[0])
        assert found == (batch | {'_to_copy in kept_ranges.py _range': uploads} if uploads and number == 1 else batch)
    monkeypatch.setattr(kept_ranges, 'active', lambda: None)
    for number in range(4, 6):
        with Waits() as waits:
            step(model, name, number)
        assert (waits.found[0].total() > 40) == bool(uploads)


@pytest.mark.parametrize(('name', 'reads'), [('BasicVSR', 1), ('EDVR', 21)])
def test_the_reads_of_stock_are_seen(name: str, reads: int) -> None:
    """The loss, and a mean offset for each deformable convolution."""
    model, _ = made(name, False)
    with Waits() as waits:
        step(model, name, 1)
    assert waits.found[0].total() == reads
    model, _ = made(name, False, 'meta')
    with pytest.raises(RuntimeError, match='meta'):
        step(model, name, 1)
