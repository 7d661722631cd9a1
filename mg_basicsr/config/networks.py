"""Table of networks: which shapes each takes, and what is known of training it. The one place for such knowledge.

A network is found by its registered name, the `type` of a section `network_...`. One that is not in the table is
tried: by `mg-basicsr check`, and when training starts. Sizes marked "run" were measured by building the network and
running it forward and backward with the corrections of this package in force (tests/integration/test_network_sizes.py);
"read" means that they follow from the code or the options of the repository.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

NetworkOptions = Mapping[str, Any]

# Options that name a file which a network of BasicSR loads when it is built.


@dataclass(frozen=True)
class Network:
    """Entry of a network: what it takes. Sizes are edges of its input: LQ pixels, or GT pixels for discriminators.

    Attributes:
        source: Where the facts are from.
        kind: recurrent (clips of any length), window (a fixed number of frames), image, discriminator, or other: not
            trained on crops, so that no plan suits it.
        smallest: Smallest input that passes forward and backward.
        multiple: Number that inputs must be a multiple of.
        only: The one input size that it takes; None for any.
        window_option: Option of the network that replaces `multiple`, the largest of a list; empty for none.
        frames: Fixed number of frames, the default of `frames_option`; None for any.
        frames_option: Option of the network that replaces `frames`; empty for none.
        min_frames: Shortest clip.
        small_lr_max: Highest rate of stages below the full crop size; None for the file's own.
        why_lr: Reason of it.
        frozen: Options of `train` that name an iteration at which a frozen part is freed.
        second_phase: Option of the network that is on in the second phase of its training, which starts from the
            weights of the first; empty for networks that are trained at once.
        variant: Returns the entry for options that change it.
    """

    source: str
    kind: str = 'image'
    smallest: int = 1
    multiple: int = 1
    only: int | None = None
    window_option: str = ''
    frames: int | None = None
    frames_option: str = ''
    min_frames: int = 1
    small_lr_max: float | None = None
    why_lr: str = ''
    frozen: tuple[str, ...] = ()
    second_phase: str = ''
    variant: Callable[[Network, NetworkOptions], Network] | None = None

    def as_built(self, options: NetworkOptions) -> Network:
        """Return the entry for a network's section in an options file."""
        built = self.variant(self, options) if self.variant else self
        multiple = max(_integers(options.get(self.window_option)), default=built.multiple)
        built = replace(built, multiple=multiple, smallest=-(-built.smallest // multiple) * multiple)
        frames = _integers(options.get(self.frames_option))
        return replace(built, frames=frames[0]) if frames else built


def _integers(value: Any) -> list[int]:
    """Return the integers of an option that is one, or a list of some; none if it is anything else."""
    values = value if isinstance(value, (list, tuple)) else [value]
    whole = [item for item in values if isinstance(item, int) and not isinstance(item, bool) and item > 0]
    return whole if len(whole) == len(values) else []


def _full_resolution(network: Network, options: NetworkOptions) -> Network:
    """Return the entry of a network that reduces its input four times, unless that is LQ already."""
    if options.get('is_low_res_input', True):
        return network
    return replace(network, smallest=4 * network.smallest, multiple=4)


def _edvr(network: Network, options: NetworkOptions) -> Network:
    """Return the entry of EDVR: for deblurring it reduces its input four times before its pyramid."""
    return replace(network, smallest=16, multiple=16) if options.get('hr_in') else network


def _unshuffled(network: Network, options: NetworkOptions) -> Network:
    """Return the entry of RRDBNet, which below scale 4 turns pixels into channels."""
    factor = {1: 4, 2: 2}.get(options.get('scale', 4), 1)
    return replace(network, smallest=factor, multiple=factor)


def _vgg(network: Network, options: NetworkOptions) -> Network:
    """Return the entry of the VGG-style discriminator, which ends in a linear layer."""
    return replace(network, only=(_integers(options.get('input_size')) or [128])[0])


def _generated(network: Network, options: NetworkOptions) -> Network:
    """Return the entry of StyleGAN2's discriminator, which is built for one size."""
    return replace(network, only=next(iter(_integers(options.get('out_size'))), None))


BASICSR = 'BasicSR 1.4.2, run'
PSRT_KIN = Network(
    'XPixelGroup/RethinkVSRAlignment, LabShuHangGU/MIA-VSR, kai422/IART: the networks assert LQ 64, windows of 8; read',
    'recurrent',
    smallest=64,
    multiple=8,
    window_option='window_size',
    frozen=('fix_flow',),
)
WINDOWED = Network(BASICSR, multiple=7, window_option='window_size')

NETWORKS: Mapping[str, Network] = {
    # video, clips of any length
    'BasicVSR': Network(f'{BASICSR}; Chan et al., CVPR 2021', 'recurrent', frozen=('fix_flow',)),
    'IconVSR': Network(
        f'{BASICSR}; its feature extractor takes 5 frames around a key frame; Chan et al., CVPR 2021',
        'recurrent',
        smallest=3,
        min_frames=5,
        frozen=('fix_flow',),
    ),
    'BasicVSRPlusPlus': Network(
        f'{BASICSR}; it asserts LQ 64; Chan et al., CVPR 2022',
        'recurrent',
        smallest=64,
        frozen=('fix_flow',),
        variant=_full_resolution,
    ),
    'BasicRecurrentSwin': PSRT_KIN,
    'MIAVSR': PSRT_KIN,
    'IIAVSR': PSRT_KIN,
    'IART': PSRT_KIN,
    'MSRSWVSR': Network('TencentARC/AnimeSR: two halvings; read', 'recurrent', smallest=4, multiple=4),
    'VRT': Network('cszn/KAIR, run with its own SPyNet; windows of 8', 'recurrent', smallest=40, multiple=8),
    'RVRT': Network('cszn/KAIR: VRT with clips of 2 frames; read', 'recurrent', smallest=40, multiple=8, min_frames=4),
    # video, a fixed number of frames
    'EDVR': Network(
        f'{BASICSR}; Wang et al., CVPRW 2019',
        'window',
        smallest=4,
        multiple=4,
        frames=5,
        frames_option='num_frame',
        small_lr_max=2e-4,
        why_lr='Lin et al., AAAI 2023, cap it for EDVR-M: restarts at 4e-4 on small crops lose accuracy',
        frozen=('tsa_iter',),
        second_phase='with_tsa',
        variant=_edvr,
    ),
    'DUF': Network(f'{BASICSR}; Jo et al., CVPR 2018', 'window', smallest=2, frames=7),
    'TOFlow': Network(f'{BASICSR}; Xue et al., IJCV 2019', 'window', smallest=16, multiple=16, frames=7),
    # images
    'EDSR': Network(f'{BASICSR}; Lim et al., CVPRW 2017'),
    'RCAN': Network(f'{BASICSR}; Zhang et al., ECCV 2018'),
    'MSRResNet': Network(f'{BASICSR}; Ledig et al., CVPR 2017, without batch norm'),
    'RRDBNet': Network(f'{BASICSR}; Wang et al., ECCVW 2018', variant=_unshuffled),
    'SRVGGNetCompact': Network(f'{BASICSR}; Wang et al., ICCVW 2021'),
    'ECBSR': Network(f'{BASICSR}; Zhang et al., ACM MM 2021'),
    'RIDNet': Network(f'{BASICSR}; Anwar and Barnes, ICCV 2019'),
    'SwinIR': replace(WINDOWED, source=f'{BASICSR}; Liang et al., ICCVW 2021'),
    'HAT': replace(WINDOWED, source='XPixelGroup/HAT, run; Chen et al., CVPR 2023'),
    'DAT': Network('zhengchen1999/DAT, run: it pads to its windows; Chen et al., ICCV 2023'),
    'ART': Network('gladzhang/ART, run: it pads to its windows; Zhang et al., ICLR 2023'),
    'Restormer': Network('swz30/Restormer, run: three halvings; Zamir et al., CVPR 2022', smallest=8, multiple=8),
    'NAFNet': Network('megvii-research/NAFNet, read: it pads to its pyramid; Chen et al., ECCV 2022'),
    'NAFNetLocal': Network('megvii-research/NAFNet, read: it pads to its pyramid; Chen et al., ECCV 2022'),
    'Baseline': Network('megvii-research/NAFNet, read: it pads to its pyramid; Chen et al., ECCV 2022'),
    'BaselineLocal': Network('megvii-research/NAFNet, read: it pads to its pyramid; Chen et al., ECCV 2022'),
    'HiFaceGAN': Network(f'{BASICSR}; Yang et al., ACM MM 2020', smallest=33),
    # discriminators, which see GT crops
    'VGGStyleDiscriminator': Network(f'{BASICSR}: one input size, 128 or 256', 'discriminator', variant=_vgg),
    'UNetDiscriminatorSN': Network(f'{BASICSR}: three halvings', 'discriminator', smallest=8, multiple=8),
    'HiFaceGANDiscriminator': Network(f'{BASICSR}; read', 'discriminator', smallest=32),
    'StyleGAN2Discriminator': Network(f'{BASICSR}; read', 'discriminator', variant=_generated),
    # not trained on crops of pairs: noise to faces, whole faces, parts of other networks
    'StyleGAN2Generator': Network(f'{BASICSR}; read', 'other'),
    'StyleGAN2GeneratorBilinear': Network("BasicSR's repository; read", 'other'),
    'DFDNet': Network(f'{BASICSR}; read', 'other'),
    'SpyNet': Network(f'{BASICSR}: a part of others', 'other'),
    'VGGFeatureExtractor': Network(f'{BASICSR}: a part of losses', 'other'),
}
