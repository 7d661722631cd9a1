"""Options files of other people's repositories, cut down so that a training takes seconds on one core.

`repositories/*.yml` names, for each repository, its script and one or more of its options files, the layout of the data
that its classes read (see `layouts`), and the keys that make its network small. What every file needs is in `cut_down`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

REPOSITORIES = Path(__file__).parent / 'repositories'
ITERATIONS = 6  # one for each stage of a video network
SAVED_EVERY = 2
WITHOUT_BLOCK = 2  # iterations
BLOCK = {'preset': 'lin2022', 'min_lq_size': 8, 'min_frames': 3}
ABSENT = '(absent)'  # as a value in `set`: the key is removed


@dataclass(frozen=True)
class Case:
    """One options file of a repository.

    Attributes:
        repository: owner/name on GitHub.
        script: The training script, in the repository.
        options: The options file, in the repository.
        layout: The layout of the training set, a function of `layouts`.
        set: Changes of the options by their dotted path; `{data}` in a text is the folder of the data.
        block: The `multigrid:` block.
        flag: The script's name for the options file.
        arguments: Further arguments of the script.
        resume: How the script resumes: `flag` (--auto_resume), `by itself`, or `option` (path.resume_state).
        ranks: Whether the script can be started in two processes.
        path: Folders of the repository that the script needs on the path of modules.
        installed: Whether the script imports a basicsr that is installed, instead of one of its own.
        out_of_reach: Part of the reason why it does not train here without the block either; '' if it does.
        refused: Part of the message with which the block is refused; '' if it trains.
        note: What else there is to say about it.
    """

    repository: str
    script: str
    options: str
    layout: str
    set: Mapping[str, Any] = field(default_factory=dict)
    block: Mapping[str, Any] = field(default_factory=lambda: dict(BLOCK))
    flag: str = '-opt'
    arguments: tuple[str, ...] = ()
    resume: str = 'flag'
    ranks: bool = True
    path: tuple[str, ...] = ('.',)
    installed: bool = False
    out_of_reach: str = ''
    refused: str = ''
    note: str = ''

    @property
    def name(self) -> str:
        """Repository and options file, as the name of a test."""
        return f'{self.repository.split("/")[1]}/{Path(self.options).stem}'


def all_cases() -> list[Case]:
    """Every case of every repository: what a repository's cases share is said once."""
    cases = []
    for path in sorted(REPOSITORIES.glob('*.yml')):
        shared = yaml.safe_load(path.read_text())
        for own in shared.pop('cases'):
            joined = {**shared, **own, 'set': {**shared.get('set', {}), **own.get('set', {})}}
            joined['block'] = {**BLOCK, **shared.get('block', {}), **own.get('block', {})}
            for key in ('arguments', 'path'):
                if key in joined:
                    joined[key] = tuple(joined[key])
            cases.append(Case(**joined))
    return cases


def cut_down(case: Case, options: Mapping[str, Any], data: Path, name: str, iterations: int) -> dict[str, Any]:
    """A repository's options, made small: few iterations on the data of the case, nothing downloaded, no validation.

    Args:
        case: The case.
        options: The repository's options.
        data: The folder of the data.
        name: The experiment.
        iterations: Its length.
    """
    cut: dict[str, Any] = copy.deepcopy(dict(options))
    cut |= {'name': name, 'num_gpu': 0, 'manual_seed': 0, 'val': None}
    train_set = cut['datasets']['train']
    cut['datasets'] = {'train': train_set}
    train_set |= {
        'dataroot_gt': str(data / 'GT'), 'dataroot_lq': str(data / 'LQ'), 'io_backend': {'type': 'disk'},
        'num_worker_per_gpu': 0, 'batch_size_per_gpu': 2, 'dataset_enlarge_ratio': 1, 'prefetch_mode': None,
        'pin_memory': False,
    }  # fmt: skip
    if train_set.get('meta_info_file'):
        train_set['meta_info_file'] = str(data / 'meta.txt')
    cut['path'] = {key: None if 'pretrain' in key else value for key, value in cut['path'].items()}
    cut['path']['resume_state'] = None
    train = cut['train']
    train['total_iter'] = iterations
    for key in ('fix_flow', 'tsa_iter'):
        if (train.get(key) or 0) > 0:
            train[key] = 2
    train.pop('perceptual_opt', None)  # its network would have to be downloaded
    cut['logger'] = {'print_freq': 1, 'save_checkpoint_freq': SAVED_EVERY, 'use_tb_logger': False}
    for path, value in case.set.items():
        _put(cut, path.split('.'), value.format(data=data) if isinstance(value, str) else value)
    _shorten(train.get('scheduler') or {}, int(train['total_iter']))
    return cut


def _put(options: dict[str, Any], path: list[str], value: Any) -> None:
    *above, key = path
    for name in above:
        options = options.setdefault(name, {})
    if value == ABSENT:
        options.pop(key, None)
    else:
        options[key] = value


def _shorten(scheduler: dict[str, Any], total: int) -> None:
    """Fit a scheduler to a number of iterations."""
    periods, milestones = scheduler.get('periods'), scheduler.get('milestones')
    if periods:
        each = max(1, total // len(periods))
        rest = max(1, total - each * (len(periods) - 1))
        scheduler['periods'] = [*[each] * (len(periods) - 1), rest]
    if milestones:
        scheduler['milestones'] = [total * (n + 1) // (len(milestones) + 1) for n in range(len(milestones))]
    if 'T_max' in scheduler:
        scheduler['T_max'] = total
