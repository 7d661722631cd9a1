"""What cannot be trained under a plan, refused by name at the start instead of going wrong at hour 20."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mg_basicsr.config.problems import Problems, shown
from mg_basicsr.schedule.plan import StageSpec

# Their degradation pool keeps batches of the first shape, and they crop GT by the top-level gt_size.
FROZEN_SHAPE_MODELS = ('RealESRGANModel', 'RealESRNetModel', 'LDLModel')

# Keys by which repositories built on BasicSR run a schedule of shapes of their own.
SCHEDULE_KEYS = ('gt_sizes', 'mini_batch_sizes')


def check_supported(options: Mapping[str, Any], problems: Problems) -> None:
    """Notes models and schedules that do not go together with a plan."""
    key = 'base_model' if options.get('model_type') == 'MultigridModel' else 'model_type'
    model = options.get(key)
    if model in FROZEN_SHAPE_MODELS:
        problems.add(
            f'{key}: {model} keeps a pool of degraded pairs of the first shape that it sees',
            'allowed: models that take each batch as it comes',
            'train it without the multigrid block',
        )
    if key == 'base_model' and not isinstance(model, str):
        problems.add('base_model: missing', 'needed: the model class that MultigridModel wraps', 'e.g. VideoRecurrentModel')
    datasets = options.get('datasets')
    train_set = datasets.get('train') if isinstance(datasets, Mapping) else None
    if not isinstance(train_set, Mapping):
        return
    own = [name for name in SCHEDULE_KEYS if train_set.get(name) is not None]
    if own:
        problems.add(
            f'datasets.train.{own[0]}: {shown(train_set[own[0]])} is a schedule of the file\'s own beside the multigrid block',
            'allowed: one schedule of shapes',
            f'remove {" and ".join(own)} or the multigrid block',
        )


def check_static_graph(options: Mapping[str, Any], specs: Sequence[StageSpec], problems: Problems) -> None:
    """DDP's static graph takes one number of frames: fewer give a step of unsynchronised gradients, more an error."""
    frames = sorted({shape.frames for spec in specs for shape in spec.shapes})
    if options.get('use_static_graph') and len(frames) > 1:
        problems.add(
            f'use_static_graph: true, but the plan has clips of {frames} frames',
            'allowed: one clip length with a static graph',
            'set multigrid.temporal: [1.0], or use_static_graph: false',
        )
