"""Every network of BasicSR is in the table, and the sizes there are those that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import mg_basicsr  # noqa: F401  (corrects SPyNet for small frames)
from mg_basicsr.config.networks import NETWORKS

EDVR = {'num_feat': 8, 'deformable_groups': 2, 'num_extract_block': 1, 'num_reconstruct_block': 1}
SWIN = {'embed_dim': 12, 'depths': (2, 2), 'num_heads': (2, 2), 'mlp_ratio': 2, 'upscale': 4}
SMALL: list[tuple[str, dict[str, Any], int]] = [  # type, options, frames (0: images)
    ('BasicVSR', {'num_feat': 8, 'num_block': 1}, 2),
    ('IconVSR', {'num_feat': 8, 'num_block': 1, 'keyframe_stride': 5, 'temporal_padding': 2}, 5),
    ('BasicVSRPlusPlus', {'mid_channels': 8, 'num_blocks': 1}, 2),
    ('EDVR', {**EDVR, 'num_frame': 5, 'with_tsa': False}, 5),
    ('EDVR', {**EDVR, 'num_frame': 5, 'hr_in': True, 'with_predeblur': True}, 5),
    ('DUF', {'scale': 4, 'num_layer': 16}, 7),
    ('TOFlow', {}, 7),
    ('EDSR', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1}, 0),
    ('RCAN', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_group': 1, 'num_block': 1, 'squeeze_factor': 2}, 0),
    ('MSRResNet', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1}, 0),
    ('RRDBNet', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'num_grow_ch': 4}, 0),
    ('RRDBNet', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'num_grow_ch': 4, 'scale': 2}, 0),
    ('SRVGGNetCompact', {'num_feat': 8, 'num_conv': 1}, 0),
    ('RIDNet', {'in_channels': 3, 'mid_channels': 16, 'out_channels': 3, 'num_block': 1}, 0),
    ('SwinIR', {**SWIN, 'img_size': 48, 'window_size': 8, 'upsampler': 'pixelshuffle'}, 0),
    ('UNetDiscriminatorSN', {'num_in_ch': 3, 'num_feat': 8}, 0),
]


# BasicSR asks for torchvision's version by an old class, and says that it needs a GPU for deformable convolution
pytestmark = [
    pytest.mark.filterwarnings('ignore:distutils:DeprecationWarning'),
    pytest.mark.filterwarnings('ignore:Deformable alignment:UserWarning'),
]


def registry() -> Any:
    pytest.importorskip('basicsr')
    import basicsr.archs  # noqa: F401  (registers them)
    from basicsr.utils.registry import ARCH_REGISTRY

    return ARCH_REGISTRY


def test_every_network_is_in_the_table() -> None:
    names = {name.removesuffix('_basicsr') for name, kind in registry() if kind.__module__.startswith('basicsr.')}
    assert names - NETWORKS.keys() == set()


def passes(build: Callable[[], Any], frames: int, size: int) -> bool:
    shape = (1, frames, 3, size, size) if frames else (2, 3, size, size)
    try:
        output = build().train()(torch.rand(shape))
        (output[0] if isinstance(output, tuple) else output).mean().backward()
    except (AssertionError, RuntimeError, ValueError):
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'options', 'frames'), SMALL, ids=lambda value: str(value)[:30])
def test_sizes(name: str, options: dict[str, Any], frames: int) -> None:
    entry = NETWORKS[name].as_built(options)

    def build() -> Any:
        return registry().get(name)(**options)

    assert passes(build, frames, entry.smallest)
    assert passes(build, frames, entry.smallest + entry.multiple)
    if entry.smallest > 1:
        assert not passes(build, frames, entry.smallest - 1)
    if entry.multiple > 1:
        assert not passes(build, frames, entry.smallest + 1)
