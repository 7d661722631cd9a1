"""Checks of options that must fit each other, as far as the options are good by themselves.

A value with a problem is replaced by another so that reading can continue. A relation to such a value would be reported
against a number that is not in the file, so it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from mg_basicsr.config.block import Block
from mg_basicsr.parsing.problems import Problems

_SET = 'datasets.train'
_TYPE = ('datasets', _SET, f'{_SET}.type', f'{_SET}.base_type', f'{_SET}.recurrent')
_SHAPE = ('scale', *_TYPE, f'{_SET}.num_frame', f'{_SET}.gt_size', f'{_SET}.flip_sequence')

# Options of the file that each relation depends on, besides those of the block that its message names.
GRID = _SHAPE
DATA_NEEDS = (*_TYPE, f'{_SET}.dataroot_flow', f'{_SET}.io_backend', f'{_SET}.io_backend.type', 'multigrid.preset')
BATCH = (f'{_SET}.batch_size_per_gpu', 'multigrid.preset')
SHAPES = (*_SHAPE, *BATCH, 'train', 'train.total_iter')
STAGES = (*SHAPES, 'train.optim_g', 'train.optim_g.lr', 'train.scheduler', 'train.scheduler.*')
FROZEN = ('train.fix_flow', 'train.tsa_iter')
# Keys of the block on which no stage depends: how a step is carried out.
EXECUTION = {each.name for each in fields(Block)} - {'preset', 'base_batch_size'}
UNUSED_PARAMETERS = ('train', *FROZEN, 'find_unused_parameters', 'use_static_graph')


class Related:
    """Collection of the problems of relations.

    Args:
        problems: The problems of single values; those of relations are added.
        block: The block; its unknown keys are no part of any relation.
    """

    def __init__(self, problems: Problems, block: object) -> None:
        self._problems = problems
        self._bad = [p.option for p in problems.found if not _is_unknown_key(p.option, block)]

    def good(self, *parts: str) -> bool:
        """Return whether no value of these options has a problem by itself.

        Args:
            parts: Dotted paths; `train.scheduler.*` stands for every key of a section, `multigrid` for those of the
                block that stages depend on.
        """
        return not any(self._is_bad(part) for part in parts)

    @contextmanager
    def checking(self, *parts: str) -> Iterator[Problems]:
        """Return a context with a collection whose problems are kept if all parts of the relation are good.

        Args:
            parts: Options that the relation depends on; options of the block that its message names are parts too.
        """
        found = Problems()
        yield found
        if self.good(*parts):
            known = self._problems.found
            known.extend(p for p in found.found if p not in known and not self._is_named(' '.join(p)))

    def _is_bad(self, part: str) -> bool:
        if part == 'multigrid':
            block = [option for option in self._bad if option.partition('.')[0] == part]
            return any(_key(option) not in EXECUTION for option in block)
        if part.endswith('.*'):
            section = part.removesuffix('.*')
            return any(option == section or option.startswith(f'{section}.') for option in self._bad)
        return any(option == part or option.startswith(f'{part}[') for option in self._bad)

    def _is_named(self, message: str) -> bool:
        """Return whether a message names a key of the block that has a problem."""
        keys = [_key(option) for option in self._bad if option.startswith('multigrid.')]
        return any(re.search(rf'\b{re.escape(key)}\b', message) for key in keys)


def _key(option: str) -> str:
    """Return the key of the block that a dotted path names; empty for the block itself."""
    names = re.split(r'[.\[]', option)
    return names[1] if len(names) > 1 else ''


def _is_unknown_key(option: str, block: object) -> bool:
    section, _, key = option.partition('.')
    return section == 'multigrid' and block is not None and not hasattr(block, re.split(r'[.\[]', key)[0])
