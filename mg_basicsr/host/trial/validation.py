"""Trial of the host's validation: its data sets, network, metrics and images, on a few small frames of each set.

Where it fails, it is repeated with other values of the options that it depends on, to find those that it fails by.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from mg_basicsr.errors import MultigridError, Problem
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.blame import HOST_ERRORS, described, part_of, problems_of
from mg_basicsr.host.trial.miniature import FirstSample, Least, miniature
from mg_basicsr.host.trial.train_loop import builder
from mg_basicsr.parsing.problems import shown

REMOVED = object()
MOST_OTHERS = 2  # values tried at a time that may be wrong where those of the options are right
CLIP_SETS = ('Vid4', 'REDS4', 'REDSofficial')  # names that BasicSR's test sets of clips accept, in any case


class Substitute(NamedTuple):
    """Value with which a validation may work where it fails with that of the options.

    Attributes:
        option: Dotted path of the option.
        value: The other value; REMOVED to remove the key.
        allowed: What is allowed, for the message.
        remedy: What to do, for the message.
        harmless: Whether a validation that works also works with the other value.
    """

    option: str
    value: Any
    allowed: str
    remedy: str
    harmless: bool = True


def least_sample(run: Run, scale: int) -> Least:
    """Return the smallest sample of a plan, which the network has to take.

    Args:
        run: The run.
        scale: GT pixels per LQ pixel and axis.
    """
    frames = min(shape.frames for shape in run.plan.shapes)
    size = min(shape.size for shape in run.plan.shapes)
    return Least(max(2, frames), size // scale)


def try_validation(run: Run, model: Any, options: dict[str, Any], folder: Path) -> list[Problem]:
    """Validate as the host would, on small copies of the validation sets.

    Args:
        run: A run on trial.
        model: The host's model.
        options: The host's options, in which the paths are those of the trial.
        folder: An empty folder.

    Returns:
        The problems; none if all sets can be validated.
    """
    if builder('data', 'dataset') is None or builder('data', 'dataloader') is None:
        return []  # the repository builds its sets in another way
    trial = _Trial(run, model, options, folder)
    error = trial.fails(())
    if error is None:
        return []
    if isinstance(error, MultigridError):
        return list(error.problems)
    kept = _working(trial, [candidate for candidate in _substitutes(options) if not _is_set(options, candidate)])
    if kept is None:
        return _unexplained(trial, error)
    for candidate in list(kept):
        without = [other for other in kept if other is not candidate]
        if trial.fails(without) is None:
            kept = without
    found = []
    for candidate in kept:
        reason = trial.fails([other for other in kept if other is not candidate]) or error
        option, what = candidate.option, ''
        value = _value(options, option)
        if isinstance(value, Mapping):
            option, what = part_of(reason, option, value)
        else:
            what = 'missing; ' if value is REMOVED else f'{shown(value)}; '
        found.append(
            Problem(
                option,
                f'{what}{type(model).__name__} cannot validate: {described(reason)}',
                f'allowed: {candidate.allowed}',
                candidate.remedy,
            )
        )
    return found


def _working(trial: _Trial, candidates: Sequence[Substitute]) -> list[Substitute] | None:
    """Return other values with which the validation works; None without any."""
    harmless = [candidate for candidate in candidates if candidate.harmless]
    others = [candidate for candidate in candidates if not candidate.harmless]
    for count in range(min(len(others), MOST_OTHERS) + 1):
        for chosen in combinations(others, count):
            if trial.fails([*harmless, *chosen]) is None:
                return [*harmless, *chosen]
    return None


class _Trial:
    """Validations on trial. `failed` is the set that failed last."""

    def __init__(self, run: Run, model: Any, options: dict[str, Any], folder: Path) -> None:
        self.model, self.options = model, options
        scale = options.get('scale', 1)
        self.scale = scale if type(scale) is int and scale > 0 else 1
        self.least = least_sample(run, self.scale)
        self.folder = folder
        self.failed = ''
        self._copies = 0

    def fails(self, substitutes: Sequence[Substitute], alike: bool = True) -> BaseException | None:
        """Return the exception of a validation with some options replaced; None if it works."""
        options = copy.deepcopy(self.options)
        for substitute in substitutes:
            _replace(options, substitute)
        before, kept = set(vars(self.model)), self.model.opt
        self.model.opt = options
        try:
            for name, section in options['datasets'].items():
                if name != 'train':
                    self.failed = name
                    self._validate(options, section, alike)
            return None
        except HOST_ERRORS as error:  # of any kind: it is the host's own code
            return error
        finally:
            self.model.opt = kept
            for name in set(vars(self.model)) - before:
                delattr(self.model, name)

    def _validate(self, options: dict[str, Any], section: dict[str, Any], alike: bool) -> None:
        make_dataset, make_loader = builder('data', 'dataset'), builder('data', 'dataloader')
        assert make_dataset is not None and make_loader is not None
        self._copies += 1
        small = miniature(section, self.scale, self.least, self.folder / str(self._copies), alike)
        dataset = make_dataset(section if small is None else small)
        if small is None:
            dataset = FirstSample(dataset, self.scale, self.least)
        loader = make_loader(
            dataset, small or section, num_gpu=options['num_gpu'], dist=False, sampler=None, seed=options['manual_seed']
        )
        if options.get('val') is not None:
            self.model.validation(loader, 1, None, options['val']['save_img'], *_more_arguments(self.model, options))


def _more_arguments(model: Any, options: Mapping[str, Any]) -> list[Any]:
    """Return further arguments of a repository's validation, as its train loop takes them from `val`."""
    parameters = list(inspect.signature(model.validation).parameters.values())[4:]
    return [
        options['val'].get(parameter.name, True)
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]


def _unexplained(trial: _Trial, error: BaseException) -> list[Problem]:
    """Return the problem of a validation that no other value makes work: of the frames' size, or of anything else."""
    trial.fails(())
    name = trial.failed
    if trial.fails((), alike=False) is None:
        multiple = f'{trial.least.size}x{trial.least.size}'
        return [
            Problem(
                f'datasets.{name}',
                f'the network fails for frames of the size of this set: {described(error)}',
                f'allowed: sizes that the network takes; LQ frames of {multiple} pixels work',
                'crop or pad the frames of the set to a multiple of its windows or pyramid',
            )
        ]
    return problems_of(error, trial.options, f'datasets.{name}', f'validate datasets.{name}')


def _substitutes(options: Mapping[str, Any]) -> Iterator[Substitute]:
    """Yield other values for options that a validation depends on."""
    val = options.get('val')
    if isinstance(val, Mapping):
        model = options.get('model_type')
        yield Substitute(
            'val.save_img', False, f'false, as {model} saves no images while it trains', 'set val.save_img: false'
        )
        metrics = val.get('metrics')
        for name in metrics if isinstance(metrics, Mapping) else ():
            known = 'metrics that are registered, with the options that they take, such as calculate_psnr'
            yield Substitute(f'val.metrics.{name}', REMOVED, known, 'correct or remove it')
        if 'metrics' not in val:
            yield Substitute('val.metrics', None, 'metrics, or ~ for none', 'set val.metrics')
        for name in ('flip_seq', 'center_frame_only'):
            if val.get(name):
                yield Substitute(f'val.{name}', REMOVED, 'false for this model and set', 'remove it', harmless=False)
    first = True
    for name, section in options['datasets'].items():
        if name == 'train':
            continue
        yield from _of_set(f'datasets.{name}', section, options)
        if not first:
            one = 'one validation set with video models of BasicSR, whose results are kept by clip'
            yield Substitute(f'datasets.{name}', REMOVED, one, 'validate this set afterwards, with test.py')
        first = False


def _of_set(path: str, section: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Substitute]:
    kind = section.get('type')
    other = shown(section.get('cache_data') is not True)
    key = f'{path}.cache_data'
    yield Substitute(key, other == 'true', f'{other} with {kind}', f'set {key}: {other}', harmless=False)
    if str(section.get('name')).lower() not in [name.lower() for name in CLIP_SETS]:
        yield Substitute(
            f'{path}.name', 'REDS4', f'{" | ".join(CLIP_SETS)} with {kind} of BasicSR', f'set {path}.name: REDS4'
        )
    yield Substitute(f'{path}.io_backend', {'type': 'disk'}, '{type: disk}', f'set {path}.io_backend.type: disk')
    modes = 'replicate | reflection | reflection_circle | circle'
    yield Substitute(f'{path}.padding', 'reflection', modes, f'set {path}.padding: reflection')
    frames = options['network_g'].get('num_frame') or options['datasets']['train'].get('num_frame') or 5
    key, absent = f'{path}.num_frame', section.get('num_frame') is None
    yield Substitute(key, frames, "the network's number of frames", f'set {key}: {frames}', harmless=absent)
    if section.get('filename_tmpl') is not None:
        yield Substitute(f'{path}.filename_tmpl', '{}', "a template of the LQ images' names", 'correct it')
    if 'meta_info_file' in section and section['meta_info_file'] is None:
        yield Substitute(f'{path}.meta_info_file', REMOVED, 'the path of a list, or no such key', 'remove the key')
    for name in ('color', 'mean', 'std', 'use_duf_downsampling'):
        if section.get(name) is not None:
            yield Substitute(f'{path}.{name}', REMOVED, 'what the network takes', 'correct or remove it')


def _replace(options: dict[str, Any], substitute: Substitute) -> None:
    *sections, key = substitute.option.split('.')
    target: Any = options
    for section in sections:
        target = target.get(section) if isinstance(target, Mapping) else None
    if isinstance(target, dict):
        if substitute.value is REMOVED:
            target.pop(key, None)
        else:
            target[key] = substitute.value


def _value(options: Mapping[str, Any], option: str) -> Any:
    value: Any = options
    for part in option.split('.'):
        value = value.get(part, REMOVED) if isinstance(value, Mapping) else REMOVED
    return value


def _is_set(options: Mapping[str, Any], substitute: Substitute) -> bool:
    return substitute.value is not REMOVED and bool(_value(options, substitute.option) == substitute.value)
