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


class _Flow(dict[str, Any]):
    """Mapping that is printed on one line."""


class _Dumper(yaml.SafeDumper):
    """Separate dumper, so that the representers below are not added to PyYAML's."""


def _represent_flow(dumper: yaml.SafeDumper, data: _Flow) -> yaml.Node:
    """Write a mapping on one line."""
    return dumper.represent_mapping('tag:yaml.org,2002:map', data, flow_style=True)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    """Write the shortest text that reads back as the same float.

    YAML 1.1 needs a point and a sign: 2.0e-04, not 2e-04.
    """
    text = repr(value)
    mantissa, e, exponent = text.partition('e')
    if e:
        point = mantissa if '.' in mantissa else mantissa + '.0'
        text = f'{point}e{exponent if exponent[0] in "+-" else "+" + exponent}'
    return dumper.represent_scalar('tag:yaml.org,2002:float', text)


_Dumper.add_representer(_Flow, _represent_flow)
_Dumper.add_representer(float, _represent_float)


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
    block['stages'] = [_Flow(entry) for entry in explicit_entries(settings.plan)]
    return yaml.dump({'multigrid': block}, Dumper=_Dumper, sort_keys=False, width=200)
