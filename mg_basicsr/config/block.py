"""Keys of the `multigrid:` block that every preset has. The module of a preset declares further keys in a subclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.adapter_rules import AdapterRules, read_adapter
from mg_basicsr.config.keys import CLIPS, COUNT, key, section_key
from mg_basicsr.dataset_types import DEGRADATIONS
from mg_basicsr.parsing.values import accepts, any_of, boolean, choice, integer, schema_of, text

PRECISIONS = ('float32', 'bfloat16', 'float16')


@accepts(any_of({'const': False}, schema_of(COUNT)))
def _sub_batch(value: Any) -> int:
    """Parse the clips of a sub-batch; 0 for `false`.

    Raises:
        ValueError: neither `false` nor an integer >= 1.
    """
    if value is False:
        return 0
    try:
        return COUNT(value)
    except ValueError as error:
        raise ValueError(f'{error}, or false') from None


@dataclass(frozen=True)
class Block:
    """Validated `multigrid:` block. See docs/options.md for details of each key, and for the meaning of None.

    Attributes:
        preset: Name of the preset.
        base_batch_size: Clips per iteration, all ranks together, that the file's rate and iterations were made for.
        max_clips: Most clips of the full shape in one pass on one rank.
        warmup_iter: Iterations of warm-up; -1 or 0 for none.
        precision: Type in which networks compute while they train.
        uint8_transfer: Whether crops are copied to the device as 8-bit integers.
        channels_last: Whether weights are stored channels last.
        fused_optimizer: Whether all parameters are updated in one kernel.
        compile: Whether the parts of networks are compiled.
        tf32: Whether GPUs compute in TensorFloat-32.
        cudnn_benchmark: Whether cuDNN tries its kernels on each new shape.
        sub_batch_norm: Clips over which batch norm computes its statistics; 0 for the whole batch.
        store: Path of the crop store.
        check: Whether every shape is tried before the first iteration.
        temporal_stride: Whether short clips take every k-th frame.
        spatial_stride: Whether small crops show a larger part of the frame, resampled.
        degradation: How LQ was made from GT.
        adapter: How samples of a dataset of another package are cut.
        on_bad_frame: Reaction to a frame that cannot be read: error or skip_clip.
        keep_last: Number of checkpoints that are kept.
    """

    preset: str
    base_batch_size: int | None = key(CLIPS, None)
    max_clips: int | None = key(COUNT, None)
    warmup_iter: int | None = key(integer(-1), None)
    precision: str = key(choice(*PRECISIONS), 'float32')
    uint8_transfer: bool = key(boolean, True)
    channels_last: bool = key(boolean, False)
    fused_optimizer: bool = key(boolean, False)
    compile: bool = key(boolean, False)
    tf32: bool | None = key(boolean, None)
    cudnn_benchmark: bool | None = key(boolean, None)
    sub_batch_norm: int | None = key(_sub_batch, None)
    store: str | None = key(text, None)
    check: bool = key(boolean, True)
    temporal_stride: bool | None = key(boolean, None)
    spatial_stride: bool | None = key(boolean, None)
    degradation: str | None = key(choice(*DEGRADATIONS), None)
    adapter: AdapterRules | None = section_key(read_adapter, None)  # noqa: RUF009
    on_bad_frame: str = key(choice('error', 'skip_clip'), 'error')
    keep_last: int | None = key(COUNT, None)
