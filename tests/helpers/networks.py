"""BasicSR's flow network with few channels. At full width it takes most of the time of a training that is tiny else."""

from __future__ import annotations

import torch

import mg_basicsr  # noqa: F401 - its shims let basicsr be imported

# at the top of a script whose networks are to have it
NARROW_FLOW = 'from tests.helpers.networks import narrow_flow\nnarrow_flow()\n'


class NarrowModule(torch.nn.Module):
    """One level of SpyNet: (n, 8, h, w) to (n, 2, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.basic_module = torch.nn.Sequential(
            torch.nn.Conv2d(8, 4, 7, padding=3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 7, padding=3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.basic_module(x)


def narrow_flow() -> None:
    """Make every SpyNet that this process builds from now on a narrow one."""
    from basicsr.archs import spynet_arch

    spynet_arch.BasicModule = NarrowModule
