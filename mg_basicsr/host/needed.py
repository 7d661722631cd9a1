"""Files and packages that a run will need, looked for before anything is written."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mg_basicsr.data.sources.byte_files import WHERE_FROM
from mg_basicsr.data.store.format import HEADER, in_place_of_a_store
from mg_basicsr.dataset_types import STOCK_TYPES, TYPES
from mg_basicsr.errors import Problem
from mg_basicsr.parsing.places import hint

# Options of networks that name a file of weights: spynet_path, edvr_path, load_path, pretrained, ...
WEIGHTS = re.compile(r'(^|_)(path|pretrained|checkpoint|ckpt|weights)$|^pretrain')
FROM_AUTHORS = 'download it from where its authors publish it, or correct the path'
SPYNET = (
    'download spynet_sintel_final-3d2a1287.pth from the model zoo of BasicSR (scripts/download_pretrained_models.py '
    'BasicSR there), or correct the path'
)
EDVR = 'download the weights of EDVR from the model zoo of BasicSR, or correct the path'
WITHOUT_FLOW = 'set it to ~ to train without flow'
VGG_SECONDS = 5.0  # to wait for the server of VGG's weights


def needed_problems(options: Mapping[str, Any], auto_resume: bool = False) -> list[Problem]:
    """Return a problem for every file and package that a run needs and that is not there.

    The files of a training set that this package reads are looked for by its own data sets.

    Args:
        options: Content of the options file.
        auto_resume: Whether the run resumes from the newest checkpoint of its experiment.
    """
    return [
        *_network_files(options),
        *_checkpoints(options, auto_resume),
        *_data_paths(options),
        *store_problems(options),
        *_packages(options),
        *_perceptual_weights(options),
    ]


def _network_files(options: Mapping[str, Any]) -> Iterator[Problem]:
    for name, network in options.items():
        if str(name).startswith('network_') and isinstance(network, Mapping):
            for option, value in _texts(network, f'{name}.'):
                key = option.rpartition('.')[2]
                if WEIGHTS.search(key) and '://' not in value:
                    yield from _file(option, value, SPYNET if 'spynet' in key else EDVR if 'edvr' in key else '')


def _texts(section: Mapping[Any, Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted path and the value of every text in a section."""
    for key, value in section.items():
        if isinstance(value, str):
            yield f'{path}{key}', value
        elif isinstance(value, Mapping):
            yield from _texts(value, f'{path}{key}.')


def _file(option: str, value: str, remedy: str = '', expands: bool = False) -> Iterator[Problem]:
    """Yield a problem if a path is no file that can be read.

    Args:
        option: Dotted path of the option.
        value: The path.
        remedy: Action that provides the file.
        expands: Whether the host expands `~` in it.
    """
    path = os.path.expanduser(value) if expands else value
    if '\0' in path or (os.path.exists(path) and not os.path.isdir(path)):
        return  # NUL is reported by the parser of the option, pipes and damaged files when they are loaded
    if not expands and value.startswith('~') and os.path.isfile(os.path.expanduser(value)):
        what, remedy = f'{value}: BasicSR does not expand ~ here', f'write {os.path.expanduser(value)}'
    else:
        found = hint(path, expands)
        reason = os.strerror(errno.EISDIR if os.path.isdir(path) else errno.ENOENT)
        what, remedy = found.why(f'{value} cannot be read: {reason}'), found.advice(remedy or FROM_AUTHORS)
    yield Problem(option, what, 'needed: a file, its path relative to the working directory or absolute', remedy)


def _checkpoints(options: Mapping[str, Any], auto_resume: bool) -> Iterator[Problem]:
    paths = options.get('path')
    if not isinstance(paths, Mapping):
        return
    state, name = paths.get('resume_state'), options.get('name')
    states = Path('experiments', str(name), 'training_states')
    resumes = bool(state) if not auto_resume else states.is_dir() and any(states.glob('*.state'))
    if isinstance(state, str) and state and not auto_resume:
        yield from _file('path.resume_state', state, 'correct the path, or set it to ~ to begin anew', expands=True)
    kept = paths.get('ignore_resume_networks') or ()
    for key, value in paths.items():
        key = str(key)
        if not key.startswith('pretrain_network') or not isinstance(value, str) or not value:
            continue
        if not resumes or (isinstance(kept, (str, list, tuple)) and key.removeprefix('pretrain_') in kept):
            yield from _file(f'path.{key}', value, f'{FROM_AUTHORS}, or set it to ~ to train from scratch', True)


def _data_paths(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for paths of data sets that do not exist, unless another class than the host's reads them."""
    datasets = options.get('datasets')
    for name, section in datasets.items() if isinstance(datasets, Mapping) else ():
        if not isinstance(section, Mapping) or not _is_hosts(section.get('type')):
            continue
        stored = name == 'train' and has_store(options, section)
        for key in ('dataroot_gt', 'dataroot_lq', 'dataroot_flow', 'meta_info_file', 'meta_info'):
            value, option = section.get(key), f'datasets.{name}.{key}'
            if not isinstance(value, str) or '://' in value or '\0' in value:
                continue
            if key.startswith('meta'):
                if _reads_no_list(section):
                    continue
                remedy = 'correct the path (lists for REDS and Vimeo-90K are in basicsr/data/meta_info of BasicSR)'
                yield from _file(option, value, remedy)
            elif not stored:
                path = value if key == 'dataroot_flow' else os.path.expanduser(value)
                if not os.path.exists(path):
                    found = hint(path, key != 'dataroot_flow')
                    what, allowed = found.why(f'{value} does not exist'), 'allowed: an existing folder or LMDB'
                    where = WITHOUT_FLOW if key == 'dataroot_flow' else WHERE_FROM
                    yield Problem(option, what, allowed, found.advice(f'correct the path; {where}'))


def store_problems(options: Mapping[str, Any]) -> list[Problem]:
    """Return a problem if the store that the block names is not there.

    Args:
        options: Content of the options file.
    """
    block = options.get('multigrid')
    path = block.get('store') if isinstance(block, Mapping) else None
    if not isinstance(path, str) or not path or '\0' in path or Path(path).expanduser().joinpath(HEADER).exists():
        return []
    found = in_place_of_a_store(Path(path).expanduser())
    return [
        Problem(
            'multigrid.store',
            f'{path} is not a store: {found.there or f"it has no {HEADER}"}',
            'needed: a folder made by `mg-basicsr prepare`',
            found.advice(f'make it with `mg-basicsr prepare -opt FILE -o {path}`, or correct the path'),
        )
    ]


def _is_hosts(name: Any) -> bool:
    return not isinstance(name, str) or name in STOCK_TYPES | TYPES.keys()


def _reads_no_list(section: Mapping[str, Any]) -> bool:
    """Return whether a set has its names from its LMDBs, and never looks at the list that its section may name."""
    backend = section.get('io_backend')
    lmdb = isinstance(backend, Mapping) and backend.get('type') == 'lmdb'
    return lmdb and section.get('type') == 'PairedImageDataset'


def has_store(options: Mapping[str, Any], train_set: Mapping[str, Any]) -> bool:
    """Return whether a training set is read from a store.

    Args:
        options: Content of the options file.
        train_set: Its section `datasets.train`.
    """
    block, backend = options.get('multigrid'), train_set.get('io_backend')
    by_block = isinstance(block, Mapping) and bool(block.get('store'))
    return by_block or (isinstance(backend, Mapping) and backend.get('type') == 'store')


def _packages(options: Mapping[str, Any]) -> Iterator[Problem]:
    loggers = options.get('logger')
    if not isinstance(loggers, Mapping) or 'debug' in str(options.get('name')):
        return  # BasicSR opens no loggers for such a name
    if loggers.get('use_tb_logger') is True and not _installed('tensorboard'):
        yield Problem(
            'logger.use_tb_logger',
            'true, but tensorboard is not installed in this environment',
            'needed: the package tensorboard',
            'pip install tensorboard, or set it to false',
        )
    wandb = loggers.get('wandb')
    if isinstance(wandb, Mapping) and wandb.get('project') is not None and not _installed('wandb'):
        yield Problem(
            'logger.wandb.project',
            f'{wandb["project"]}, but wandb is not installed in this environment',
            'needed: the package wandb',
            'pip install wandb, or set logger.wandb.project: ~',
        )


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # ValueError: a module without a spec, as tests put in its place
        return False


def _perceptual_weights(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for weights of VGG that are not on the disk and cannot be downloaded."""
    train = options.get('train')
    for key, section in train.items() if isinstance(train, Mapping) else ():
        if isinstance(section, Mapping) and isinstance(section.get('layer_weights'), Mapping):
            kind = section.get('vgg_type', 'vgg19')
            url = _vgg_url(kind) if isinstance(kind, str) else None
            if url is None or _vgg_is_there(url):
                continue
            name = url.rpartition('/')[2]
            yield Problem(
                f'train.{key}',
                f'the weights of {kind}, {name}, are not on the disk and cannot be downloaded',
                f'needed: the file {name} of torchvision in torch.hub.get_dir()/checkpoints'
                + (f', or as {_own_vgg_path()}' if kind == 'vgg19' else ''),
                'download it on a machine with a network (torchvision.models) and copy it there, or remove the loss',
            )


def _vgg_url(kind: str) -> str | None:
    """Return the address of a network's weights; None if torchvision has no such network, or is too old to say."""
    try:
        return str(importlib.import_module('torchvision.models').get_model_weights(kind).IMAGENET1K_V1.url)
    except (ImportError, ValueError, AttributeError):
        return None


def _own_vgg_path() -> str:
    """Return where BasicSR looks for the weights first."""
    return 'experiments/pretrained_models/vgg19-dcbb9e9d.pth'


def _vgg_is_there(url: str) -> bool:
    """Return whether the weights are on the disk, or can be downloaded as BasicSR would do it."""
    import torch

    if os.path.exists(_own_vgg_path()) or Path(torch.hub.get_dir(), 'checkpoints', url.rpartition('/')[2]).exists():
        return True
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=VGG_SECONDS):
            return True
    except (OSError, urllib.error.URLError, ValueError):
        return False
