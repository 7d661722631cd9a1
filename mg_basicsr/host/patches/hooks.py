"""Hooks into BasicSR, all of them. This is its train loop, with the hooks in place.

    opt = yaml.load(file)                      # <- planned_options.patch_yaml: the plan's total_iter, no host warm-up
    state = torch.load(newest .state)          # <- load: the newest whole checkpoint, if it is of this plan; rehearsal
    make_exp_dirs(opt)                         # <- mkdir_and_rename: the host's own work is rehearsed; no folder is
                                               #    archived that is trained in
    DATASET_REGISTRY, MODEL_REGISTRY ...       # <- register: this package's types beside BasicSR's
    dataset = build_dataset(opt)               # <- build_dataset: the validation sets are noted
    train_loader = build_dataloader(...)       #    the host's loader is built and never iterated
    model = build_model(opt)
      model.model_to_device(net)               # <- model_to_device: the order of its weights in memory
      model.load_network(net, path)            # <- load_network: the networks beside the state; load: no code is run
      model.setup_schedulers()                 # <- setup_schedulers: the model is complete; its training step is
                                               #    wrapped; the patches are counted in the log; progress is
                                               #    observed from here
    model.resume_training(state)               # <- resume_training: sets the clock, restores what the host leaves out
    prefetcher = CPUPrefetcher(train_loader)   # <- init: the plan's loader replaces the host's
    for epoch in ...:
      for train_data in train_loader: ...      # <- iterate: in loops that make no prefetcher
      prefetcher.reset()                       # <- reset: errors while the first batch is read end cleanly
      train_data = prefetcher.next()           # <- fetch
      while train_data is not None:
        model.update_learning_rate(i)          # <- update_learning_rate: ends the run if a signal came (i-1 is saved
                                               #    first); sets clock, seeds and rates; no scheduler is stepped.
                                               #    Loops that call it after the step, or never: at feed_data
        model.feed_data(train_data)
        model.optimize_parameters(i)           #    as setup_schedulers has wrapped it, whatever its signature
        log(model.get_current_log())           # <- get_current_log: stage and shape; losses are read from the device
                                               # <- log_line: the plan's estimate; record and TensorBoard
        model.save(epoch, i)
          torch.save(networks)                 # <- save: whole or absent
          model.save_training_state(epoch, i)  # <- save_training_state: the schedulers' position
            torch.save(state)                  # <- save: the same, with a record that BasicSR does not have
        model.validation(...)                  # <- validation: a signal ends it; better results go into the state
        train_data = prefetcher.next()         # <- fetch: after the last iteration, signals are the host's again

Classes are patched in place, never by rebinding a name: importing basicsr already imports basicsr.train, which keeps
the originals. These classes and methods exist in every known repository built on BasicSR, and none overrides
`update_learning_rate`; all of them load and save with torch.load and torch.save. Without an active run each hook calls
the original. A missing method is an error if a plan needs it; otherwise the missing effect is recorded.
`mg-basicsr check -v` lists all patches, including those of compat.py.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mg_basicsr.errors import Problem, TrainingError, ending_cleanly
from mg_basicsr.host.log import logger
from mg_basicsr.patching import Function, in_force, missing, refuse_missing, wrap

if TYPE_CHECKING:
    from mg_basicsr.host.run import Run

PREFETCHERS = ('CPUPrefetcher', 'CUDAPrefetcher')


def active() -> Run | None:
    """Return the active run; None without one."""
    # Not imported here: every process that imports torch calls this, and most of them never train.
    module = sys.modules.get('mg_basicsr.host.run')
    run: Run | None = module.active_run() if module else None
    return run


def _rehearsing() -> bool:
    """Return whether the active run is on trial in the place of another, which gets its errors as exceptions."""
    module = sys.modules.get('mg_basicsr.host.run')
    return module is not None and bool(module.is_set_aside())


def around(module: ModuleType, name: str, reason: str, *, lost: str = '') -> Callable[[Function], None]:
    """Replace a function of the host by `hook(run, original, *args)` while a run is active.

    A user's error ends the process without a traceback here, since the host does not catch this package's exceptions.
    A run on trial gets it as an exception, together with others.

    Args:
        module: Module of the host.
        name: Function in the module: `load`, or `BaseModel.validation`.
        reason: Purpose of the hook.
        lost: Effect that is missing if the repository lacks the function; without this text, it is required by plans.
    """

    def attach(hook: Function) -> None:
        call = ending_cleanly(hook)

        def make(original: Function) -> Function:
            def replacement(*args: Any, **kwargs: Any) -> Any:
                run = active()
                if run is None:
                    return original(*args, **kwargs)
                return (hook if _rehearsing() else call)(run, original, *args, **kwargs)

            return replacement

        wrap(module, name, make, reason, required=not lost, lost=lost)

    return attach


def patch_models(module: ModuleType) -> None:
    """Attach the hooks of BaseModel (basicsr.models.base_model)."""
    from mg_basicsr.host import announcing, iteration
    from mg_basicsr.host import model as ours
    from mg_basicsr.host import stopping as signals
    from mg_basicsr.host.checkpoints import resuming, saving
    from mg_basicsr.host.entry import experiment
    from mg_basicsr.host.trial.rehearsal import rehearse_once

    @around(
        module,
        'BaseModel.model_to_device',
        'puts the weights of a network in the order of channels_last',
        lost='weights are put in the order of channels_last only after they are on the device',
    )
    def model_to_device(run: Run, original: Function, self: Any, net: Any) -> Any:
        rehearse_once(run)  # where this rank has reached neither of the hooks below before
        ours.arrange(run, net)
        return original(self, net)

    @around(module, 'BaseModel.setup_schedulers', 'the model is complete, and follows the plan from here')
    def setup_schedulers(run: Run, original: Function, self: Any) -> None:
        original(self)  # gives each parameter group its initial_lr, and the state file its usual form
        experiment.lock(run, self.opt['path'].get('experiments_root'))
        ours.adopt(run, self)
        ours.watch(run, self)
        log_patches()

    @around(module, 'BaseModel.update_learning_rate', 'clock, seeds and rates of an iteration; signals')
    def update_learning_rate(run: Run, original: Function, self: Any, current_iter: int, warmup_iter: int = -1) -> None:
        _check_adopted(run, self)
        iteration.rates_updated(run, self, current_iter)

    @around(module, 'BaseModel.resume_training', 'sets the clock, and restores what the host leaves out')
    def resume_training(run: Run, original: Function, self: Any, resume_state: Any) -> None:
        resuming.resume_training(run, original, self, resume_state)
        ours.resume(run, self, resume_state)

    @around(
        module,
        'BaseModel.load_network',
        'loads the networks beside the training state',
        lost='networks of a checkpoint are not found if the experiment has another name, and weights that do not fit '
        'end with a traceback',
    )
    def load_network(
        run: Run, original: Function, self: Any, net: Any, load_path: Any, *args: Any, **kwargs: Any
    ) -> None:
        resuming.load_network(run, original, self, net, load_path, *args, **kwargs)

    @around(
        module,
        'BaseModel.save_training_state',
        "writes the schedulers' position, and ends with an error where the weights of the end were not saved",
        lost='the schedulers in a training state are those of iteration 0, so that only a plan can resume from it',
    )
    def save_training_state(run: Run, original: Function, self: Any, *args: Any, **kwargs: Any) -> None:
        ours.place_schedulers(self, run.iteration)
        original(self, *args, **kwargs)
        saving.check_last_weights(run)

    @around(
        module,
        'BaseModel.validation',
        'a signal ends it, and better results go into the training state',
        lost='a signal waits for the end of a validation, and its results are in the next training state only',
    )
    def validation(run: Run, original: Function, self: Any, *args: Any, **kwargs: Any) -> Any:
        with run.watch.validation(_tensorboard(args, kwargs)):
            with signals.interruptible(run, self):
                result = original(self, *args, **kwargs)
            saving.after_validation(run, self)
        return result

    @around(module, 'BaseModel.get_current_log', 'adds stage and shape', lost='the log has no stage and shape')
    def get_current_log(run: Run, original: Function, self: Any) -> Any:
        ours.settle(run)
        return announcing.with_shape(run, original(self))

    _check_required()


def patch_torch(torch: ModuleType) -> None:
    """Attach the hooks of torch.load and torch.save. Their modules are imported at the first call."""

    @around(torch, 'load', 'runs no code of a file, and takes the newest whole checkpoint')
    def load(run: Run, original: Function, f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        from mg_basicsr.host.checkpoints import loading

        kwargs.pop('pickle_module', None)  # could run code; a positional one is in `args`, which are dropped
        return loading.load(run, functools.partial(original, **{**kwargs, 'weights_only': True}), f, map_location)

    @around(torch, 'save', 'writes whole files, and the training state with a record that BasicSR does not have')
    def save(run: Run, original: Function, obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        from mg_basicsr.host.checkpoints import saving

        with run.watch.pause('saving'):
            saving.save(run, lambda value, file: original(value, file, *args, **kwargs), obj, f)


def patch_prefetchers(module: ModuleType) -> None:
    """Attach the hooks of the prefetchers (basicsr.data.prefetch_dataloader): every train loop makes one of them."""
    from mg_basicsr.host.data import own_loop
    from mg_basicsr.host.data.loader import PlannedLoader

    # A repository may have one of the two. If it has none, the first is recorded as missing.
    for name in [name for name in PREFETCHERS if hasattr(module, name)] or PREFETCHERS[:1]:

        @around(module, f'{name}.__init__', "takes the plan's loader in place of the host's")
        def init(run: Run, original: Function, self: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
            if _is_for_validation(loader):
                original(self, loader, *args, **kwargs)
                return
            self.planned_loader = PlannedLoader(run, loader, fetches_ahead=type(self).__name__ == 'CUDAPrefetcher')
            original(self, self.planned_loader, *args, **kwargs)

        # Without a hook, a user's error while a batch is fetched (a missing frame) would end with a traceback.
        @around(
            module,
            f'{name}.reset',
            'errors while a batch is read end cleanly',
            lost='an error while the first batch is read ends with a traceback',
        )
        def reset(run: Run, original: Function, self: Any) -> None:
            original(self)

        @around(module, f'{name}.next', 'hands over a batch, and signals to the host after the last')
        def fetch(run: Run, original: Function, self: Any) -> Any:
            start = time.perf_counter()
            batch = original(self)
            if hasattr(self, 'planned_loader'):
                own_loop.handed_over(run, self.planned_loader, batch, time.perf_counter() - start)
            return batch

    _check_required()


def patch_loader(module: ModuleType) -> None:
    """Attach the hook of torch's loader (torch.utils.data.dataloader), for train loops that make no prefetcher."""

    @around(module, 'DataLoader.__iter__', "a train loop without a prefetcher takes the plan's batches from its loader")
    def iterate(run: Run, original: Function, self: Any) -> Any:
        from mg_basicsr.host.data import own_loop

        return own_loop.batches(run, self) if own_loop.trains(run, self) else original(self)


def _tensorboard(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the writer among the arguments of a validation: data, iteration, writer, whether images are saved."""
    return kwargs.get('tb_logger', args[2] if len(args) > 2 else None)


def _is_for_validation(loader: Any) -> bool:
    """Return whether the host's loader reads a validation set: BasicSR notes the phase in a data set's options."""
    options = getattr(loader.dataset, 'opt', None)
    return isinstance(options, Mapping) and options.get('phase', 'train') != 'train'


def patch_data(module: ModuleType) -> None:
    """Attach the hook of what makes data sets (basicsr.data), if the repository has it under this name."""
    if not hasattr(module, 'build_dataset'):
        return

    @around(
        module,
        'build_dataset',
        'notes the validation sets, for the estimate of the end',
        lost='validations are not in the estimate before the first of them',
    )
    def build_dataset(run: Run, original: Function, dataset_opt: Any) -> Any:
        dataset = original(dataset_opt)
        if dataset_opt.get('phase', 'train') == 'val':
            run.validation_sets.append(dataset)
        return dataset


def patch_logger(module: ModuleType) -> None:
    """Attach the hook of the log's lines (basicsr.utils.logger)."""

    @around(
        module,
        'MessageLogger.__call__',
        "gives a line of the log the plan's estimate, and records it",
        lost="the estimate in the log is the host's, and there is no record of the run",
    )
    def log_line(run: Run, original: Function, self: Any, log_vars: Any) -> Any:
        with run.watch.log_line(self, log_vars):
            return original(self, log_vars)


def patch_folders(module: ModuleType) -> None:
    """Attach the hook of what makes the experiment's folder (basicsr.utils.misc)."""

    @around(
        module,
        'mkdir_and_rename',
        'no experiment is archived while it is trained in',
        lost='a run of the same name archives the folder of one that is being trained, before it is refused',
    )
    def mkdir_and_rename(run: Run, original: Function, path: Any) -> None:
        from mg_basicsr.host.entry import experiment
        from mg_basicsr.host.trial.rehearsal import rehearse_once

        rehearse_once(run)
        experiment.make_folder(run, original, path)


def register(module: ModuleType) -> None:
    """Register this package's types with BasicSR's registries (basicsr.utils.registry)."""
    from mg_basicsr.host import registered

    registered.register(module)


def log_patches() -> None:
    """Log the number of patches in force, and the effect of each method that the repository lacks."""
    logger().info(f'multigrid: {len(in_force())} patches in force, `mg-basicsr check -v` lists them')
    for lacking in missing():
        logger().warning(f'multigrid: {lacking}')


def _check_adopted(run: Run, model: Any) -> None:
    """Check that the model has reached the hook of setup_schedulers.

    Raises:
        TrainingError: the model overrides setup_schedulers without calling that of BaseModel.
    """
    if not run.has_model:
        raise TrainingError(
            Problem(
                'model_type',
                f'{type(model).__name__}.setup_schedulers does not call that of BaseModel, where a plan takes effect',
                'needed: super().setup_schedulers()',
                'call it there, or remove the multigrid block',
            )
        )


def _check_required() -> None:
    """End the process if a run is active and the repository lacks a required method; else `start_run` checks it."""
    if active() is not None:
        ending_cleanly(refuse_missing)()
