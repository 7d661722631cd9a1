"""Which frames the SPyNet shim takes over, on a stand-in for a repository's copy of the class.

The numbers are checked against BasicSR's own SPyNet in `tests/integration/test_compat.py`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch

from mg_basicsr.host.patches import compat, spynet


class FlowOfRepository(torch.nn.Module):
    """SPyNet's structure as a repository may have copied it, with a `process` that tells that it was called."""

    def __init__(self, levels: int = 6) -> None:
        super().__init__()
        self.basic_module = torch.nn.ModuleList(torch.nn.Conv2d(8, 2, 7, padding=3) for _ in range(levels))

    def preprocess(self, frames: torch.Tensor) -> torch.Tensor:
        return frames - 0.5

    def process(self, ref: torch.Tensor, supp: torch.Tensor, *more: Any) -> Any:
        return 'the original', *more


def flow_warp(frames: torch.Tensor, flow: torch.Tensor, interp_mode: str, padding_mode: str) -> torch.Tensor:
    """A warp that does nothing; found by the shim because it stands beside the class."""
    assert flow.shape == (len(frames), *frames.shape[-2:], 2)
    return frames


@pytest.fixture
def flow_class(monkeypatch: pytest.MonkeyPatch) -> type[FlowOfRepository]:
    monkeypatch.setattr(FlowOfRepository, 'process', FlowOfRepository.process)  # puts it back afterwards
    return FlowOfRepository


@pytest.mark.parametrize(
    ('levels', 'height', 'width', 'too_small'),
    [
        (6, 32, 32, True),
        (6, 32, 96, True),
        (6, 64, 32, True),
        (6, 64, 64, False),
        (5, 32, 32, False),
        (5, 16, 64, True),
    ],
)
def test_only_what_the_original_cannot_do_is_taken_over(
    levels: int, height: int, width: int, too_small: bool, flow_class: type[FlowOfRepository]
) -> None:
    net = flow_class(levels)
    frames = torch.rand(2, 3, height, width)
    assert spynet.is_too_small(net, frames) is too_small
    compat.fix_network_classes([flow_class])
    compat.fix_network_classes([flow_class])
    flow = net.process(frames, frames)
    if too_small:
        assert flow.shape == (2, 2, height, width)
        assert flow.abs().sum() > 0
    else:
        assert flow == ('the original',)


def test_a_process_with_more_arguments_is_left_alone(flow_class: type[FlowOfRepository]) -> None:
    compat.fix_network_classes([flow_class])
    frames = torch.rand(1, 3, 32, 32)
    assert flow_class().process(frames, frames, 5) == ('the original', 5)


def test_classes_are_met_when_a_model_takes_a_network(flow_class: type[FlowOfRepository]) -> None:
    class BaseModel:
        def model_to_device(self, net: torch.nn.Module) -> torch.nn.Module:
            return net

    module = ModuleType('base_model')
    module.BaseModel = BaseModel  # type: ignore[attr-defined]
    compat.networks_of_model(module)
    net = torch.nn.Sequential(flow_class())
    assert module.BaseModel().model_to_device(net) is net
    frames = torch.rand(1, 3, 32, 32)
    assert net[0].process(frames, frames).shape == (1, 2, 32, 32)
