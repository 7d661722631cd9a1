"""Ranges of numbers go to the device once per size, whoever makes a grid of them; values are those that were copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from mg_basicsr import patching
from mg_basicsr.host.patches import kept_ranges
from mg_basicsr.host.patches.kept_ranges import keep_ranges
from tests.helpers.waits import Waits


def flow_warp(x: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """As BasicSR's."""
    height, width = x.shape[-2:]
    y, x_ = torch.meshgrid(torch.arange(0, height).type_as(x), torch.arange(0, width).type_as(x), indexing='ij')
    grid = torch.stack((x_, y), 2).float()
    grid.requires_grad = False
    return grid + flow


def backwarp(x: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    height, width = x.shape[-2:]
    columns = torch.linspace(-1.0, 1.0, width).view(1, 1, width).expand(-1, height, -1)
    rows = torch.linspace(-1.0, 1.0, height).view(1, height, 1).expand(-1, -1, width)
    return torch.stack([columns, rows], -1).to(x.device) + flow


def shifted(flow: torch.Tensor) -> torch.Tensor:
    columns = torch.arange(flow.shape[2], dtype=torch.float32).to(flow.device)
    columns += 1  # where nothing was copied, what is kept
    return columns[:, None] + flow


class Net(nn.Module):
    def warp(self, flow: torch.Tensor) -> torch.Tensor:
        return torch.arange(end=flow.shape[2], start=0).to(flow)[:, None] + flow

    def forward(self, x: torch.Tensor, flow: torch.Tensor) -> list[torch.Tensor]:
        return [flow_warp(x, flow), backwarp(x, flow), self.warp(flow)]


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(kept_ranges, 'active', lambda: True)
    before = len(patching.in_force())
    keep_ranges(Net)
    assert {patch.name for patch in patching.in_force()[before:]} >= {'flow_warp', 'backwarp', 'shifted', 'warp'}
    yield
    patching.undo(before)


def tensors(height: int, device: str) -> Any:
    return torch.zeros(1, 3, height, 7, device=device), torch.zeros(1, height, 7, 2, device=device)


def test_they_are_copied_once_per_size() -> None:
    kept_ranges._range.cache_clear()
    copies = []
    for height in (5, 5, 6, 5, 6):
        with Waits() as waits:
            found = Net()(*tensors(height, 'meta'))
        assert all(result.device.type == 'meta' for result in found)
        copies.append(sum(counter.total() for counter in waits.found.values()))
    assert copies[0] > 0 and copies[2] > 0 and copies[1] == copies[3] == copies[4] == 0


def test_values_are_those_that_were_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a device of the same kind in the place of another: kept and made anew, again and again."""
    call = kept_ranges._KeptRanges(torch.device('cpu'))
    for height in (5, 6, 5):
        x, flow = tensors(height, 'cpu')
        wanted = [*Net()(x, flow), shifted(flow)]
        with call:
            found = [*Net()(x, flow), shifted(flow)]
        assert all(map(torch.equal, found, wanted))
    with call:
        assert torch.arange(3, dtype=torch.float64).dtype == torch.float64
        assert torch.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
        assert torch.arange(torch.tensor(3)).tolist() == [0, 1, 2]
        assert torch.arange(3, requires_grad=False).tolist() == [0, 1, 2]
        assert torch.ones(2).tolist() == [1, 1]


def test_what_a_validation_has_made_can_be_trained_with() -> None:
    kept_ranges._range.cache_clear()
    x, flow = tensors(9, 'cpu')
    with torch.inference_mode(), kept_ranges._KeptRanges(torch.device('cpu')):
        Net()(x, flow)
    flow = flow.clone().requires_grad_()
    with kept_ranges._KeptRanges(torch.device('cpu')):
        sum((result * result).sum() for result in Net()(x, flow)).backward()
    assert flow.grad is not None


def test_without_a_run_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_ranges, 'active', lambda: None)
    for _ in range(2):
        with Waits() as waits:
            Net()(*tensors(5, 'meta'))
        assert waits.found
