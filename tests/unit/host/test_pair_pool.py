"""Models with a pool of degraded pairs are known by the pool, not by their name."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mg_basicsr.config.host_classes import POOL_MODELS, HostClasses
from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import EXIT_CODE, ConfigError
from mg_basicsr.host.pair_pool import pool_models, refuse_pool
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.small_model import SmallModel
from tests.helpers.stock_options import stock


class Pooled(SmallModel):
    """A copy of Real-ESRGAN's model under another name."""

    def feed_data(self, data: Any) -> None:
        super().feed_data(data)
        self._dequeue_and_enqueue()

    def _dequeue_and_enqueue(self) -> None: ...


class Paired(Pooled):
    """Has the method, and takes each batch as it comes: nothing is wrong with it."""

    feed_data = SmallModel.feed_data


class RealESRGANModel(SmallModel):
    """Of a repository's own, without a pool."""


class Registry(dict[str, type]):
    """As BasicSR's: `in` and `get`."""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = Registry()
    module: Any = SimpleNamespace(MODEL_REGISTRY=found)
    monkeypatch.setitem(sys.modules, 'basicsr.utils.registry', module)
    return found


def test_a_pool_under_another_name_is_refused_where_it_is_filled(capsys: pytest.CaptureFixture[str]) -> None:
    model: Any = Pooled()
    refuse_pool(model)
    with pytest.raises(SystemExit) as ended:
        model.feed_data({'lq': 1, 'gt': 1})
    assert ended.value.code == EXIT_CODE
    assert f'model_type: {__name__}.Pooled keeps a pool of degraded pairs' in capsys.readouterr().err


@pytest.mark.parametrize('kind', [Paired, RealESRGANModel])
def test_a_model_that_fills_no_pool_is_trained(kind: Any) -> None:
    model = kind()
    refuse_pool(model)
    model.feed_data({'lq': 1, 'gt': 1})


def test_an_own_class_under_the_name_is_planned(registry: Registry) -> None:
    options = stock(block={'preset': 'lin2022'}, changes={'model_type': 'RealESRGANModel'})
    file = OptionsFile(Path('options.yml'), (), options)
    assert list(pool_models()) == list(POOL_MODELS)  # nothing is known about the names
    registry['RealESRGANModel'] = RealESRGANModel
    assert 'RealESRGANModel' not in pool_models() and 'LDLModel' in pool_models()
    registry['LDLModel'] = Pooled
    assert 'LDLModel' in pool_models()
    assert resolve(file, 1, HostClasses(pool_models()))
    with pytest.raises(ConfigError, match='model_type: RealESRGANModel keeps a pool'):
        resolve(file, 1)
