"""The keys of the `multigrid:` block that every preset has; a preset's module declares its own in a subclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.keys import CLIPS, COUNT, key
from mg_basicsr.parsing.values import boolean, choice, integer, text


def _sub_batch(value: Any) -> int:
    """Parse the clips of a sub-batch; 0 for `false`."""
    if value is False:
        return 0
    try:
        return COUNT(value)
    except ValueError as error:
        raise ValueError(f'{error}, or false') from None


@dataclass(frozen=True)
class Block:
    """A validated `multigrid:` block. docs/options.md has the meaning of each key, and of None as a default."""

    preset: str
    base_batch_size: int | None = key(CLIPS, None)
    max_clips: int | None = key(COUNT, None)
    warmup_iter: int | None = key(integer(-1), None)
    precision: str = key(choice('float32', 'bfloat16', 'float16'), 'float32')
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
    degradation: str | None = key(choice('bicubic', 'bd'), None)
    on_bad_frame: str = key(choice('error', 'skip_clip'), 'error')
    keep_last: int | None = key(COUNT, None)
