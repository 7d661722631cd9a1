"""Copies beside a step. Only a GPU can show it."""

from __future__ import annotations

import pytest
import torch

from mg_basicsr.data.loading.side_stream import SideStream

pytestmark = pytest.mark.gpu


def test_a_copy_does_not_wait_for_the_step_and_the_step_waits_for_its_copy() -> None:
    device = torch.device('cuda')
    side = SideStream(device)
    pixels = torch.randint(0, 256, (64, 2**20), dtype=torch.uint8)
    step_done = torch.cuda.Event()
    matrix = torch.randn(4096, 4096, device=device)
    torch.cuda.synchronize()
    for _ in range(200):  # a step of some hundred milliseconds
        matrix = matrix @ matrix / 4096
    step_done.record()
    with side.beside() as copied:
        batch = {'gt': pixels.pin_memory().to(device, non_blocking=True), 'key': ['a']}
    copied.synchronize()
    assert not step_done.query()
    side.hand_over(batch, copied)
    assert torch.equal((batch['gt'] + 0).cpu(), pixels)


def test_a_step_does_not_wait_for_the_batch_after_its_own() -> None:
    device = torch.device('cuda')
    side = SideStream(device)
    with side.beside() as first:
        batch = {'gt': torch.ones(4, device=device)}
    with side.beside() as second:
        matrix = torch.randn(4096, 4096, device=device)
        for _ in range(200):
            matrix = matrix @ matrix / 4096
    side.hand_over(batch, first)
    assert batch['gt'].sum().item() == 4
    assert not second.query()
