"""Every patch to BasicSR. Its train loop, with our entry points marked:

    opt = yaml.load(file)                      # <- options.patch_yaml: the plan's total_iter, no host warm-up
    state = torch.load(newest .state)          # <- load: the newest whole checkpoint, if it is of this plan
    register datasets, archs, models           # <- register: our types beside BasicSR's
    train_loader = build_dataloader(...)       #    the host's loader is built and never iterated
    model = build_model(opt)
      model.model_to_device(net)               # <- model_to_device: the order of its weights in memory
      model.load_network(net, path)            # <- load_network: the networks beside the state; load: no code is run
      model.setup_schedulers()                 # <- setup_schedulers: the model is known; schedulers are not stepped;
                                               #    its step is wrapped: several passes, reduced precision
    model.resume_training(state)               # <- resume_training: the clock is set, and what the host leaves out
    prefetcher = CPUPrefetcher(train_loader)   # <- prefetcher: our loader takes the place of the host's
    while train_data is not None:
        model.update_learning_rate(i)          # <- update_learning_rate: leave if a signal came (i-1 is saved first);
                                               #    clock, seeds, rate of iteration i
        model.feed_data(train_data)
        model.optimize_parameters(i)           #    untouched, whatever its signature; before the first call of a
                                               #    process every shape is tried with its arguments (preflight.py)
        log(model.get_current_log())           # <- get_current_log: stage and shape
        model.save(epoch, i)
          torch.save(networks)                 # <- save: whole or absent
          model.save_training_state(epoch, i)  # <- save_training_state: the schedulers' position
            torch.save(state)                  # <- save: the same, with what BasicSR does not keep
        model.validation(...)                  # <- validation: a signal ends it; better results go into the state
        train_data = prefetcher.next()         # <- prefetcher: after the last iteration, signals are the host's again

Classes are patched in place, never by rebinding a name: importing basicsr already imports basicsr.train, which keeps
the originals. These classes and methods exist in every repository built on BasicSR, and none overrides
`update_learning_rate`; torch.load and torch.save are what all of them load and save with. Without an active run each
hook is the original.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mg_basicsr.errors import MultigridError, fail
from mg_basicsr.host.patches.planned_options import patch_yaml
from mg_basicsr.host.run import Run, active_run

Hook = Callable[..., Any]


def around(owner: Any, name: str) -> Callable[[Hook], None]:
    """Replaces `owner.name`, a method or a module's function, by `hook(run, original, *args)` while a run is active.

    A second time does nothing.

    An error that is the user's ends the process cleanly here, since the host knows nothing of our exceptions.
    """

    def attach(hook: Hook) -> None:
        original = getattr(owner, name, None)
        if original is None or getattr(original, '_multigrid', False):
            return

        @functools.wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            run = active_run()
            if run is None:
                return original(*args, **kwargs)
            try:
                return hook(run, original, *args, **kwargs)
            except MultigridError as error:
                fail(error)

        method._multigrid = True  # type: ignore[attr-defined]
        setattr(owner, name, method)

    return attach


def patch_models(module: ModuleType) -> None:
    """Hooks on BaseModel (basicsr.models.base_model)."""
    from mg_basicsr.host import announcing
    from mg_basicsr.host import model as ours
    from mg_basicsr.host import stopping as signals
    from mg_basicsr.host.checkpoints import resuming, saving

    base: type = module.BaseModel

    @around(base, 'model_to_device')
    def model_to_device(run: Run, original: Hook, self: Any, net: Any) -> Any:
        ours.arrange(run, net)
        return original(self, net)

    @around(base, 'setup_schedulers')
    def setup_schedulers(run: Run, original: Hook, self: Any) -> None:
        original(self)  # gives each parameter group its initial_lr, and the state file its usual form
        ours.adopt(run, self)

    @around(base, 'update_learning_rate')
    def update_learning_rate(run: Run, original: Hook, self: Any, current_iter: int, warmup_iter: int = -1) -> None:
        signals.between_steps(run, self)
        ours.begin_iteration(run, self, current_iter)

    @around(base, 'resume_training')
    def resume_training(run: Run, original: Hook, self: Any, resume_state: Any) -> None:
        resuming.resume_training(run, original, self, resume_state)
        ours.resume(run, self, resume_state)

    @around(base, 'load_network')
    def load_network(run: Run, original: Hook, self: Any, net: Any, load_path: Any, *args: Any, **kwargs: Any) -> None:
        resuming.load_network(run, original, self, net, load_path, *args, **kwargs)

    @around(base, 'save_training_state')
    def save_training_state(run: Run, original: Hook, self: Any, *args: Any, **kwargs: Any) -> None:
        ours.place_schedulers(self, run.iteration)
        original(self, *args, **kwargs)

    @around(base, 'validation')
    def validation(run: Run, original: Hook, self: Any, *args: Any, **kwargs: Any) -> Any:
        with signals.interruptible(run, self):
            result = original(self, *args, **kwargs)
        saving.after_validation(run, self)
        return result

    @around(base, 'get_current_log')
    def get_current_log(run: Run, original: Hook, self: Any) -> Any:
        return announcing.with_shape(run, original(self))


def patch_torch(torch: ModuleType) -> None:
    """torch.load and torch.save."""
    from mg_basicsr.host.checkpoints import loading, saving

    @around(torch, 'load')
    def load(run: Run, original: Hook, f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop('pickle_module', None)  # the other one in `args`: a pickle that could run code
        return loading.load(run, functools.partial(original, **{**kwargs, 'weights_only': True}), f, map_location)

    @around(torch, 'save')
    def save(run: Run, original: Hook, obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        saving.save(run, lambda value, file: original(value, file, *args, **kwargs), obj, f)


def patch_prefetchers(module: ModuleType) -> None:
    """The prefetchers (basicsr.data.prefetch_dataloader): every train loop makes one with the host's loader."""
    from mg_basicsr.host import stopping as signals
    from mg_basicsr.host.data.loader import PlannedLoader

    for name in ('CPUPrefetcher', 'CUDAPrefetcher'):
        owner = getattr(module, name, None)
        if owner is None:
            continue

        @around(owner, '__init__')
        def init(run: Run, original: Hook, self: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
            self.planned_loader = PlannedLoader(run, loader, fetches_ahead=type(self).__name__ == 'CUDAPrefetcher')
            original(self, self.planned_loader, *args, **kwargs)

        # what happens while a batch is fetched may be the user's error too: a missing frame, say
        @around(owner, 'reset')
        def reset(run: Run, original: Hook, self: Any) -> None:
            original(self)

        @around(owner, 'next')
        def fetch(run: Run, original: Hook, self: Any) -> Any:
            batch = original(self)
            self.planned_loader.hand_over(batch)
            if batch == {} and run.stop.watching:
                signals.between_steps(run, run.model)
                run.stop.put_back()
            return batch


def register(module: ModuleType) -> None:
    """Our types in BasicSR's registries (basicsr.utils.registry)."""
    from mg_basicsr.host import registered

    registered.register(module)


HOOKS: dict[str, Callable[[Any], None]] = {
    'yaml': patch_yaml,
    'torch': patch_torch,
    'basicsr.utils.registry': register,
    'basicsr.models.base_model': patch_models,
    'basicsr.data.prefetch_dataloader': patch_prefetchers,
}
