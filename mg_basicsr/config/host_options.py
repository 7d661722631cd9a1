"""Options that BasicSR's own code reads, in its train loop, loggers and validation: a table of keys and their values.

Most of them are read late: a missing `logger.print_freq` ends a run at its first iteration, a wrong `val.val_freq`
hours later. A plan needs none of them, so an excerpt of a file, which can be planned, may lack them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from mg_basicsr.dataset_types import STOCK_TYPES
from mg_basicsr.errors import Problem
from mg_basicsr.parsing.problems import Problems, shown
from mg_basicsr.parsing.values import (
    Parser,
    boolean,
    choice,
    host_integer,
    host_number,
    host_positive,
    integer,
    non_negative,
    path,
    positive,
    strict_integer,
    text,
)

# A file with all of them is a whole file, whose missing keys are reported, and not an excerpt.
SECTIONS = ('network_g', 'path', 'logger')

NEEDED, OPTIONAL, NULLABLE = 'needed', 'optional', 'nullable'  # present | or absent | or `~`


class Key(NamedTuple):
    """Option of the host.

    Attributes:
        place: Dotted path; a part ending in `*` stands for every key that begins so.
        parser: Parser of the value.
        presence: NEEDED, OPTIONAL (absent or a value) or NULLABLE (absent, `~` or a value).
        example: Value for the remedy of a missing key.
    """

    place: str
    parser: Parser[Any]
    presence: str = OPTIONAL
    example: str = ''


def section(value: Any) -> Mapping[str, Any]:
    """Parse a section.

    Raises:
        ValueError: the value is another.
    """
    if not isinstance(value, Mapping):
        raise ValueError('a section as in BasicSR options files')
    return value


def flag(value: Any) -> bool:
    """Parse a value that BasicSR only tests for truth: true, false, 0 or 1.

    Raises:
        ValueError: the value is another, such as text, of which every one counts as true.
    """
    return bool(value) if type(value) is int and value in (0, 1) else boolean(value)


def gpus(value: Any) -> int | str:
    """Parse a number of GPUs.

    Raises:
        ValueError: the value is neither `auto` nor an integer >= 0.
    """
    if value == 'auto' or (type(value) is int and value >= 0):
        checked: int | str = value
        return checked
    raise ValueError('auto, or an integer >= 0')


def names(value: Any) -> Any:
    """Parse a name, or a list of names.

    Raises:
        ValueError: the value is another.
    """
    if isinstance(value, str) or (isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)):
        return value
    raise ValueError('a list of names such as [network_d]')


def decay(value: Any) -> float:
    """Parse the decay of a moving average.

    Raises:
        ValueError: the value is no number from 0 to 1.
    """
    try:
        parsed = non_negative(host_number(value))
    except ValueError:
        raise ValueError('a number from 0 to 1') from None
    if parsed > 1:
        raise ValueError('a number from 0 to 1')
    return parsed


KEYS = (
    Key('name', text, NEEDED, 'my_run'),
    Key('model_type', text),
    Key('scale', integer(1)),
    Key('num_gpu', gpus, NEEDED, 'auto'),
    Key('find_unused_parameters', flag, NULLABLE),
    Key('datasets', section, NEEDED),
    Key('datasets.*', section, NEEDED),
    Key('datasets.*.name', text, NEEDED, 'REDS4'),
    Key('datasets.*.type', text),
    Key('datasets.*.dataroot_gt', path, NULLABLE),
    Key('datasets.*.dataroot_lq', path, NULLABLE),
    Key('datasets.*.meta_info_file', path, NULLABLE),
    Key('datasets.*.filename_tmpl', text),
    Key('datasets.*.cache_data', flag, NULLABLE),
    Key('datasets.*.pin_memory', flag, NULLABLE),
    Key('datasets.*.persistent_workers', flag, NULLABLE),
    Key('datasets.train.num_worker_per_gpu', strict_integer(0), NEEDED, '4'),
    Key('datasets.train.dataset_enlarge_ratio', host_positive),
    Key('datasets.train.prefetch_mode', choice('cpu', 'cuda'), NULLABLE),
    Key('datasets.train.num_prefetch_queue', strict_integer(0)),
    Key('network_g', section, NEEDED),
    Key('network_*', section),
    Key('network_*.type', text),
    Key('path', section, NEEDED),
    Key('path.pretrain_network_*', path, NULLABLE),
    Key('path.strict_load_*', flag, NULLABLE),
    Key('path.param_key_*', text, NULLABLE),
    Key('path.resume_state', path, NULLABLE),
    Key('path.ignore_resume_networks', names, NULLABLE),
    Key('train', section, NEEDED),
    Key('train.ema_decay', decay),
    Key('train.optim_*', section),
    Key('train.optim_*.type', text),
    Key('train.optim_*.lr', positive),
    Key('train.scheduler', section),
    Key('train.scheduler.type', text),
    Key('train.flow_lr_mul', host_number),
    Key('train.dcn_lr_mul', host_number),
    Key('train.net_d_iters', host_integer(1)),
    Key('train.net_d_init_iters', host_integer(0)),
    Key('train.*_opt', section, NULLABLE),
    Key('val', section, NULLABLE),
    Key('val.val_freq', host_positive, NEEDED, '5000'),
    Key('val.save_img', flag, NEEDED, 'false'),
    Key('val.metrics', section, NULLABLE),
    Key('val.metrics.*', section, NEEDED),
    Key('val.metrics.*.type', text, NEEDED, 'calculate_psnr'),
    Key('val.metrics.*.better', choice('higher', 'lower')),
    Key('val.metrics.*.crop_border', strict_integer(0)),
    Key('val.metrics.*.test_y_channel', flag, NULLABLE),
    Key('val.flip_seq', flag, NULLABLE),
    Key('val.center_frame_only', flag, NULLABLE),
    Key('val.pbar', flag, NULLABLE),
    Key('logger', section, NEEDED),
    Key('logger.print_freq', host_positive, NEEDED, '100'),
    Key('logger.save_checkpoint_freq', host_positive, NEEDED, '5000'),
    Key('logger.use_tb_logger', flag, NEEDED, 'true'),
    Key('logger.wandb', section, NULLABLE),
    Key('logger.wandb.project', text, NULLABLE),
    Key('logger.wandb.resume_id', text, NULLABLE),
    Key('dist_params', section),
    Key('dist_params.backend', text),
    Key('dist_params.port', strict_integer(1, 65535), NULLABLE),
)


# Options that the host's own classes read, and other classes may read otherwise.
OF_DATASETS = ('dataroot_gt', 'dataroot_lq', 'filename_tmpl')
OF_MODELS = ('ema_decay', 'flow_lr_mul', 'dcn_lr_mul', 'net_d_iters', 'net_d_init_iters')
MODELS = frozenset(
    {
        'EDVRModel',
        'ESRGANModel',
        'HiFaceGANModel',
        'RealESRGANModel',
        'RealESRNetModel',
        'SRGANModel',
        'SRModel',
        'StyleGAN2Model',
        'SwinIRModel',
        'VideoBaseModel',
        'VideoGANModel',
        'VideoRecurrentGANModel',
        'VideoRecurrentModel',
    }
)
MADE_PATHS = ('experiments_root', 'models', 'training_states', 'log', 'visualization')  # whatever the file says


def check_host_options(
    options: Mapping[str, Any], problems: Problems, whole: bool = False, own_datasets: Collection[str] = ()
) -> None:
    """Add a problem for every option that the host's train loop, loggers or validation cannot use.

    Options that are among the problems already are left out.

    Args:
        options: Content of the options file.
        problems: Collection to which problems are added.
        whole: Whether missing keys are problems although the file looks like an excerpt.
        own_datasets: Names of BasicSR's data sets that stand for other classes.
    """
    whole = whole or sum(isinstance(options.get(name), Mapping) for name in SECTIONS) == len(SECTIONS)
    known = {problem.option for problem in problems.found}
    for key in KEYS:
        for found in _problems_of(key, options, whole):
            if not _is_hosts(found.option, options, own_datasets):
                continue
            if found.option not in known and not _below(found.option, known):
                known.add(found.option)
                problems.found.append(found)
    for found in _relations(options):
        if found.option not in known:
            problems.found.append(found)


def _is_hosts(option: str, options: Mapping[str, Any], own_datasets: Collection[str]) -> bool:
    """Return whether an option is read by the host itself, or by a class of the host's own."""
    section, _, key = option.rpartition('.')
    if key in OF_DATASETS and section.startswith('datasets.'):
        name = options['datasets'][section.partition('.')[2]].get('type')
        return isinstance(name, str) and name in STOCK_TYPES and name not in own_datasets
    if key in OF_MODELS and section == 'train':
        model = options.get('base_model') or options.get('model_type')
        return isinstance(model, str) and model in MODELS
    return True


def _below(option: str, known: set[str]) -> bool:
    """Return whether a section that an option is in is among the problems."""
    parts = option.split('.')
    return any('.'.join(parts[:n]) in known for n in range(1, len(parts)))


def _problems_of(key: Key, options: Mapping[str, Any], whole: bool) -> Iterator[Problem]:
    for option, present, value in _values(options, key.place.split('.')):
        if not present:
            if key.presence == NEEDED and whole:
                example = f', for example {option}: {key.example}' if key.example else ''
                yield Problem(option, 'missing', _allowed(key, None), f'set it in the options file{example}')
        elif value is None:
            if key.presence != NULLABLE:
                yield Problem(option, '~ is not allowed', _allowed(key, None), 'give it a value, or remove the key')
        elif allowed := _allowed(key, value):
            yield Problem(option, f'{shown(value)} is not allowed', allowed, 'correct it in the options file')


def _allowed(key: Key, value: Any) -> str:
    """Return what is allowed for an option; empty if the value is."""
    try:
        key.parser(value)
        return ''
    except ValueError as error:
        return f'allowed: {error}'


def _values(options: Any, parts: list[str], path: str = '') -> Iterator[tuple[str, bool, Any]]:
    """Yield the option, whether it is present, and its value, for every section that a place stands for."""
    if not isinstance(options, Mapping):
        return
    first, *rest = parts
    before, star, after = first.partition('*')
    keys = [key for key in options if isinstance(key, str) and key.startswith(before) and key.endswith(after)]
    for key in keys if star else [first]:
        option = f'{path}{_named(key)}'
        if rest:
            yield from _values(options.get(key), rest, f'{option}.')
        else:
            yield option, key in options, options.get(key)


def _named(key: Any) -> str:
    return key if isinstance(key, str) and key and key.isprintable() else repr(key)


def _relations(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of values that do not fit each other, or that have no name in the host."""
    datasets = options.get('datasets')
    for phase in datasets if isinstance(datasets, Mapping) else ():
        if phase != 'train' and str(phase).partition('_')[0] != 'val':
            yield Problem(
                f'datasets.{_named(phase)}',
                'no such phase: BasicSR trains with a training set and validation sets only',
                'allowed: train, and names such as val, val_1, val_REDS4',
                'rename or remove it',
            )
    train_set = datasets.get('train') if isinstance(datasets, Mapping) else None
    if isinstance(train_set, Mapping):
        yield from _loader(train_set)
    yield from _other_paths(options.get('path'))
    yield from _wandb(options)


def _loader(train_set: Mapping[str, Any]) -> Iterator[Problem]:
    if train_set.get('prefetch_mode') == 'cuda' and train_set.get('pin_memory') is not True:
        yield Problem(
            'datasets.train.pin_memory',
            f'{shown(train_set.get("pin_memory"))} with prefetch_mode: cuda',
            'allowed: true with this mode, as BasicSR requires it',
            'set datasets.train.pin_memory: true, or prefetch_mode: ~',
        )
    if train_set.get('persistent_workers') and train_set.get('num_worker_per_gpu') == 0:
        yield Problem(
            'datasets.train.persistent_workers',
            'true with num_worker_per_gpu: 0',
            'allowed: with workers',
            'remove it, or set datasets.train.num_worker_per_gpu: 1',
        )


def _other_paths(section: Any) -> Iterator[Problem]:
    """Yield a problem for keys of `path` that BasicSR would make a folder of, and which are no path."""
    for key, value in section.items() if isinstance(section, Mapping) else ():
        known = ('pretrain_network', 'strict_load', 'param_key', 'resume')
        if not isinstance(value, str) and key not in MADE_PATHS and not any(name in str(key) for name in known):
            yield Problem(
                f'path.{_named(key)}',
                f'{shown(value)} is not allowed: BasicSR makes a folder of every other key of this section',
                'allowed: a path',
                'correct or remove it',
            )


def _wandb(options: Mapping[str, Any]) -> Iterator[Problem]:
    loggers = options.get('logger')
    wandb = loggers.get('wandb') if isinstance(loggers, Mapping) else None
    if not isinstance(loggers, Mapping) or not isinstance(wandb, Mapping) or 'debug' in str(options.get('name')):
        return
    if wandb.get('project') is not None and loggers.get('use_tb_logger') is not True:
        yield Problem(
            'logger.use_tb_logger',
            f'{shown(loggers.get("use_tb_logger"))} with logger.wandb.project: {wandb["project"]}',
            'allowed: true with wandb, to which BasicSR sends what is in TensorBoard',
            'set logger.use_tb_logger: true, or logger.wandb.project: ~',
        )
