"""Conversion of a resolved plan to a block of preset `stages`, which can be pasted into an options file and edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import yaml

from mg_basicsr.config.block import Block
from mg_basicsr.config.grid import explicit_grid
from mg_basicsr.config.presets.stages import PRESET, explicit_entries
from mg_basicsr.config.resolve import Settings
from mg_basicsr.parsing.yaml_writing import Dumper, Flow


def explicit_block(section: Mapping[str, Any], settings: Settings, known_degradation: bool = False) -> str:
    """Return the block in preset `stages`, as YAML: same plan, every stage written out.

    Args:
        section: The block as written by the user; keys that every preset has are kept.
        settings: The resolved options file.
        known_degradation: Whether the degradation is known from the set's store.
    """
    kept = {spec.name for spec in fields(Block)} - {'preset'}
    block: dict[str, Any] = {
        'preset': PRESET.name,
        'base_batch_size': settings.baseline.clips,
        'warmup_iter': settings.plan.warmup_iter,
    }
    if settings.max_clips != settings.baseline.clips_per_rank:
        block['max_clips'] = settings.max_clips
    block |= {key: section[key] for key in section if key in kept - set(block) and section[key] is not None}
    if settings.train_set.options is not None:  # the host's own dataset, adapted, has no grid
        block |= explicit_grid(settings.block, settings.baseline, known_degradation)
    block['stages'] = [Flow(entry) for entry in explicit_entries(settings.plan)]
    return yaml.dump({'multigrid': block}, Dumper=Dumper, sort_keys=False, width=200)
