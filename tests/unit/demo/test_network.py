"""The demo's network: shapes, gradients, and an alignment that finds motion."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mg_basicsr.demo.network import MultigridDemoNet, lucas_kanade, neighbour_flows, warp


def texture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """(1, 1, height, width) in about [0, 1], smooth."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, height // 5 + 3, width // 5 + 3, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode='bicubic', align_corners=False)


def translated(x: float, y: float, size: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images, of which image(p) = other(p + (x, y))."""
    scene = texture(size + 32, size + 32)
    flow = torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, size + 32, size + 32)
    return warp(scene, flow)[..., 16:-16, 16:-16], scene[..., 16:-16, 16:-16]


@settings(max_examples=25, deadline=None)
@given(
    clips=st.integers(1, 2),
    frames=st.integers(1, 5),
    height=st.integers(8, 37),
    width=st.integers(8, 37),
    scale=st.sampled_from([2, 4]),
)
def test_any_clip_length_and_size(clips: int, frames: int, height: int, width: int, scale: int) -> None:
    net = MultigridDemoNet(num_feat=4, num_block=1, scale=scale)
    assert net(torch.rand(clips, frames, 3, height, width)).shape == (clips, frames, 3, scale * height, scale * width)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    net = MultigridDemoNet(num_feat=4, num_block=2)
    net(torch.rand(1, 3, 3, 12, 12)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_starts_near_bicubic() -> None:
    torch.manual_seed(0)
    lq = texture(20, 24).expand(1, 2, 3, 20, 24)
    bicubic = F.interpolate(lq[0], scale_factor=4, mode='bicubic', align_corners=False)
    assert (MultigridDemoNet()(lq)[0] - bicubic).abs().mean() < 0.05


@pytest.mark.parametrize('changed', [0, 4])
def test_every_frame_sees_the_whole_clip(changed: int) -> None:
    torch.manual_seed(0)
    net = MultigridDemoNet(num_feat=8)
    lq = torch.rand(1, 5, 3, 12, 12)
    other = lq.clone()
    other[:, changed] = torch.rand(3, 12, 12)
    difference = (net(lq) - net(other)).abs().amax(dim=(0, 2, 3, 4))
    assert (difference > 1e-6).all()


def test_clips_of_a_batch_are_independent() -> None:
    torch.manual_seed(0)
    net = MultigridDemoNet(num_feat=8).double()
    lq = torch.rand(2, 3, 3, 16, 16, dtype=torch.float64)
    assert torch.allclose(net(lq)[1:], net(lq[1:]), rtol=0, atol=1e-12)


def test_learns() -> None:
    torch.manual_seed(0)
    net = MultigridDemoNet(num_feat=8)
    gt = texture(64, 64).expand(1, 2, 3, 64, 64) + 0.2 * torch.rand(1, 2, 3, 64, 64)
    lq = F.interpolate(gt[0], scale_factor=0.25, mode='bicubic', antialias=True)[None]
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(20):
        loss = (net(lq) - gt).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.98 * losses[0]


def test_warp_takes_the_pixel_at_position_plus_flow() -> None:
    image = torch.arange(12.0).view(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = 1
    assert torch.allclose(warp(image, flow)[0, 0, 0], torch.tensor([1.0, 2.0, 3.0, 3.0]))  # border repeated
    flow[:, 0], flow[:, 1] = 0.5, 1
    assert torch.allclose(warp(image, flow)[0, 0, 0, :3], torch.tensor([4.5, 5.5, 6.5]))


def test_warp_keeps_the_precision_of_its_input() -> None:
    image = torch.rand(1, 2, 8, 8, dtype=torch.bfloat16)
    assert warp(image, torch.zeros(1, 2, 8, 8)).dtype == torch.bfloat16
    assert torch.equal(warp(image, torch.zeros(1, 2, 8, 8)), image)


@pytest.mark.parametrize(('x', 'y'), [(0.0, 0.0), (0.3, -0.2), (1.5, 0.75), (-3.5, 2.25)])
def test_flow_finds_a_translation(x: float, y: float) -> None:
    image, other = translated(x, y)
    flow = lucas_kanade(image, other)[0, :, 8:-8, 8:-8]
    error = (flow - torch.tensor([x, y]).view(2, 1, 1)).abs()
    assert error.median() < 0.02 and error.mean() < 0.05


def test_flow_of_a_flat_image_is_zero() -> None:
    flat = torch.full((1, 1, 16, 16), 0.5)
    assert torch.equal(lucas_kanade(flat, flat + 0.1), torch.zeros(1, 2, 16, 16))


def test_directions_of_the_flows() -> None:
    image, other = translated(1.5, -0.5)
    lq = torch.stack([other[0], image[0]]).expand(2, 3, 48, 48)[None]  # frame 1 (p) = frame 0 (p + (1.5, -0.5))
    to_previous, to_next = (flow[0, 0, :, 8:-8, 8:-8].mean(dim=(1, 2)) for flow in neighbour_flows(lq))
    assert torch.allclose(to_previous, torch.tensor([1.5, -0.5]), atol=0.15)
    assert torch.allclose(to_next, torch.tensor([-1.5, 0.5]), atol=0.15)


def test_alignment_brings_the_state_along() -> None:
    """A state that marks a point of the scene lies on the same point in the next frame."""

    class Keep(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 3:] + x[:, 2:3]  # the state so far plus the third channel of the frame

    net = MultigridDemoNet(num_feat=1)
    image, other = translated(3.0, 2.0)
    lq = torch.stack([other[0], image[0]]).expand(2, 3, 48, 48)[None]
    to_previous, to_next = neighbour_flows(lq)
    frames = torch.zeros(1, 2, 3, 48, 48)
    frames[0, 0, 2, 24, 24] = 1
    forward = net._travel(frames, to_previous, Keep())[0, 1, 0]
    assert divmod(int(forward.argmax()), 48) == (22, 21)
    backward = net._travel(frames.flip(1), to_next.flip(1), Keep(), reverse=True)[0, 0, 0]
    assert divmod(int(backward.argmax()), 48) == (26, 27)


def test_flows_come_in_the_order_of_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    travel = MultigridDemoNet._travel

    def spy(self: MultigridDemoNet, frames: torch.Tensor, flows: torch.Tensor, *rest: object, **more: object):
        seen.append(flows)
        return travel(self, frames, flows, *rest, **more)

    monkeypatch.setattr(MultigridDemoNet, '_travel', spy)
    lq = torch.rand(1, 4, 3, 16, 16)
    MultigridDemoNet(num_feat=4)(lq)
    to_previous, to_next = neighbour_flows(lq)
    backward, forward = seen
    assert torch.equal(backward[:, 0], to_next[:, -1]) and torch.equal(backward[:, -1], to_next[:, 0])
    assert torch.equal(forward, to_previous)
