"""Small bidirectional recurrent VSR network: trained in minutes on two CPU cores, any clip length, sizes from 8 x 8.

Its structure is that of the recurrent family (a hidden state is passed backward, then forward, aligned by optical flow;
Chan et al., "BasicVSR", CVPR 2021). It learns in minutes for four reasons. Flow is computed by Lucas-Kanade, not by a
network, so that alignment is right from the first iteration on. The trunks get detail, not brightness. The output
starts at bicubic's. Everything before one pixel shuffle has LQ size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_DETAIL_GAIN = 8.0  # differences between neighbouring pixels of [0, 1] frames have a deviation of about 1/8


class MultigridDemoNet(nn.Module):
    """Network for four-fold video super-resolution.

    Args:
        num_feat: Channels of the hidden states.
        num_block: Residual blocks per direction.
        scale: Upscaling factor.
    """

    def __init__(self, num_feat: int = 32, num_block: int = 1, scale: int = 4) -> None:
        super().__init__()
        self.num_feat, self.scale = num_feat, scale
        self.backward_trunk = _trunk(3 + num_feat, num_feat, num_block)
        self.forward_trunk = _trunk(3 + 2 * num_feat, num_feat, num_block)
        self.upsample = nn.Sequential(nn.Conv2d(num_feat, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        _shrink(self.upsample[0])

    def forward(self, lq: Tensor) -> Tensor:
        """Upscale a mini-batch of clips.

        Args:
            lq: (b, t, 3, h, w), about [0, 1]; t >= 1, h and w >= 8.

        Returns:
            (b, t, 3, scale * h, scale * w).
        """
        b, t, _, h, w = lq.shape
        to_previous, to_next = neighbour_flows(lq)
        detail = _DETAIL_GAIN * (lq - _window_mean(lq.flatten(0, 1)).view_as(lq))
        past = self._travel(detail, to_next.flip(1), self.backward_trunk, reverse=True)
        both = self._travel(torch.cat([detail, past], 2), to_previous, self.forward_trunk)
        residual: Tensor = self.upsample(both.flatten(0, 1))
        base = F.interpolate(lq.flatten(0, 1), scale_factor=self.scale, mode='bicubic', align_corners=False)
        return (base + residual).view(b, t, 3, self.scale * h, self.scale * w)

    def _travel(self, frames: Tensor, flows: Tensor, trunk: nn.Module, reverse: bool = False) -> Tensor:
        """Carry a hidden state along the clip: (b, t, c, h, w) -> (b, t, num_feat, h, w).

        `flows` (b, t-1, 2, h, w) is in the order of travel: where in the frame visited before is this frame's pixel?
        """
        order = range(frames.size(1) - 1, -1, -1) if reverse else range(frames.size(1))
        state = frames.new_zeros(frames.size(0), self.num_feat, *frames.shape[-2:])
        states = []
        for step, i in enumerate(order):
            if step:
                state = warp(state, flows[:, step - 1])
            state = trunk(torch.cat([frames[:, i], state], 1))
            states.append(state)
        return torch.stack(states[::-1] if reverse else states, 1)


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        _shrink(self.body[2])

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.body(x)
        return x + change


@torch.no_grad()
def _shrink(layer: nn.Module) -> None:
    """Scale down a convolution that ends a residual path, so that the path starts near zero."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    layer.weight.mul_(0.1)
    layer.bias.zero_()


def _trunk(channels_in: int, channels: int, num_block: int) -> nn.Sequential:
    first = [nn.Conv2d(channels_in, channels, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*first, *(_ResidualBlock(channels) for _ in range(num_block)))


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample images at each pixel's position plus its flow; borders are repeated.

    Args:
        image: (n, c, h, w).
        flow: (n, 2, h, w), x first, in pixels.

    Returns:
        (n, c, h, w), of the image's type.
    """
    h, w = image.shape[-2:]
    x = torch.arange(w, device=image.device, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(h, device=image.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    grid = torch.stack([x * 2 / max(w - 1, 1) - 1, y * 2 / max(h - 1, 1) - 1], -1)
    exact = torch.promote_types(image.dtype, torch.float32)  # half precision would move the samples
    sampled = F.grid_sample(image.to(exact), grid.to(exact), mode='bilinear', padding_mode='border', align_corners=True)
    return sampled.to(image.dtype)


@torch.no_grad()
def neighbour_flows(lq: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate the flows of frames 1 .. t-1 to the frame before, and of frames 0 .. t-2 to the frame after.

    Args:
        lq: (b, t, 3, h, w).

    Returns:
        Two of (b, t-1, 2, h, w), x first, in pixels; in float32 at least.
    """
    b, t, _, h, w = lq.shape
    if t == 1:
        return lq.new_zeros(b, 0, 2, h, w), lq.new_zeros(b, 0, 2, h, w)
    exact = torch.promote_types(lq.dtype, torch.float32)
    luma = (lq.to(exact) * torch.tensor(_LUMA, device=lq.device, dtype=exact).view(3, 1, 1)).sum(2)
    early, late = luma[:, :-1].reshape(-1, 1, h, w), luma[:, 1:].reshape(-1, 1, h, w)
    flow = lucas_kanade(torch.cat([late, early]), torch.cat([early, late])).view(2, b, t - 1, 2, h, w)
    return flow[0], flow[1]


@torch.no_grad()
def lucas_kanade(image: Tensor, other: Tensor, levels: int = 3, updates: int = 2) -> Tensor:
    """Estimate dense optical flow of grey images by Lucas and Kanade's method (IJCAI 1981), coarse to fine.

    Per level and pixel, `updates` times: the flow's change is the least-squares solution, over a 5 x 5 window, of
    gradient(image) . change = image - other(at the flow so far), and the flow is smoothed over the same window, which
    divides the error on a pure translation by thirty.

    Args:
        image: (n, 1, h, w), values in about [0, 1].
        other: (n, 1, h, w), likewise.
        levels: Most sizes of the pyramid, each half the one before; none below 8 pixels.
        updates: Least-squares solutions per size.

    Returns:
        (n, 2, h, w), x first, in pixels: image(p) = other(p + flow(p)).
    """
    pyramid = [(image, other)]
    while len(pyramid) < levels and min(pyramid[-1][0].shape[-2:]) >= 16:
        pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
    flow = image.new_zeros(image.size(0), 2, *pyramid[-1][0].shape[-2:])
    for now, then in reversed(pyramid):
        if flow.shape[-2:] != now.shape[-2:]:
            flow = 2 * F.interpolate(flow, size=now.shape[-2:], mode='bilinear', align_corners=False)
        padded = F.pad(now, (1, 1, 1, 1), mode='replicate')
        dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
        dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
        xx, xy, yy = _window_mean(torch.cat([dx * dx, dx * dy, dy * dy], 1)).split(1, 1)
        xx, yy = xx + 1e-4, yy + 1e-4  # flat windows keep the coarser level's flow
        determinant = xx * yy - xy * xy
        for _ in range(updates):
            difference = now - warp(then, flow)
            x, y = _window_mean(torch.cat([dx * difference, dy * difference], 1)).split(1, 1)
            change = torch.cat([yy * x - xy * y, xx * y - xy * x], 1) / determinant
            flow = _window_mean(flow + change.clamp(-1, 1))  # the linearisation holds for about a pixel
    return flow


def _window_mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 5, stride=1, padding=2, count_include_pad=False)
