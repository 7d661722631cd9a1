"""Every patch to BasicSR. Its train loop, with our entry points marked:

    opt = yaml.load(file)                      # <- options.patch_yaml: the plan's total_iter, no host warm-up
    register datasets, archs, models           # <- register: our types beside BasicSR's
    train_loader = build_dataloader(...)       #    the host's loader is built and never iterated
    model = build_model(opt)
      model.setup_schedulers()                 # <- setup_schedulers: the model is known; schedulers are not stepped
    model.resume_training(state)               # <- resume_training: the clock is set
    prefetcher = CPUPrefetcher(train_loader)   # <- prefetcher: our loader takes the place of the host's
    while train_data is not None:
        model.update_learning_rate(i)          # <- update_learning_rate: clock, seeds, rate of iteration i
        model.feed_data(train_data)
        model.optimize_parameters(i)           #    untouched, whatever its signature
        log(model.get_current_log())           # <- get_current_log: stage and shape
        model.save(epoch, i)
          model.save_training_state(epoch, i)  # <- save_training_state: the schedulers' position
        model.validation(...)                  #    untouched
        train_data = prefetcher.next()

Classes are patched in place, never by rebinding a name: importing basicsr already imports basicsr.train, which keeps
the originals. These classes and methods exist in every repository built on BasicSR, and none overrides
`update_learning_rate`. Without an active run each hook is the original method.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mg_basicsr.errors import MultigridError
from mg_basicsr.host.options import fail, patch_yaml
from mg_basicsr.host.run import Run, active_run

Hook = Callable[..., Any]


def around(owner: type, name: str) -> Callable[[Hook], None]:
    """Replaces `owner.name` by `hook(run, original, self, *args)` while a run is active. A second time does nothing.

    An error that is the user's ends the process cleanly here, since the host knows nothing of our exceptions.
    """

    def attach(hook: Hook) -> None:
        original = getattr(owner, name, None)
        if original is None or getattr(original, '_multigrid', False):
            return

        @functools.wraps(original)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            run = active_run()
            if run is None:
                return original(self, *args, **kwargs)
            try:
                return hook(run, original, self, *args, **kwargs)
            except MultigridError as error:
                fail(error)

        method._multigrid = True  # type: ignore[attr-defined]
        setattr(owner, name, method)

    return attach


def patch_models(module: ModuleType) -> None:
    """Hooks on BaseModel (basicsr.models.base_model)."""
    from mg_basicsr.host import model as ours

    base: type = module.BaseModel

    @around(base, 'setup_schedulers')
    def setup_schedulers(run: Run, original: Hook, self: Any) -> None:
        original(self)  # gives each parameter group its initial_lr, and the state file its usual form
        ours.adopt(run, self)

    @around(base, 'update_learning_rate')
    def update_learning_rate(run: Run, original: Hook, self: Any, current_iter: int, warmup_iter: int = -1) -> None:
        ours.begin_iteration(run, self, current_iter)

    @around(base, 'resume_training')
    def resume_training(run: Run, original: Hook, self: Any, resume_state: Any) -> None:
        original(self, resume_state)
        ours.resume(run, self, resume_state)

    @around(base, 'save_training_state')
    def save_training_state(run: Run, original: Hook, self: Any, *args: Any, **kwargs: Any) -> None:
        ours.place_schedulers(self, run.iteration)
        original(self, *args, **kwargs)

    @around(base, 'get_current_log')
    def get_current_log(run: Run, original: Hook, self: Any) -> Any:
        return ours.with_shape(run, original(self))


def patch_prefetchers(module: ModuleType) -> None:
    """The prefetchers (basicsr.data.prefetch_dataloader): every train loop makes one with the host's loader."""
    from mg_basicsr.host.loader import PlannedLoader

    for name in ('CPUPrefetcher', 'CUDAPrefetcher'):
        owner = getattr(module, name, None)
        if owner is None:
            continue

        @around(owner, '__init__')
        def init(run: Run, original: Hook, self: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
            self.planned_loader = PlannedLoader(run, loader)
            original(self, self.planned_loader, *args, **kwargs)

        # what happens while a batch is fetched may be the user's error too: a missing frame, say
        @around(owner, 'reset')
        def reset(run: Run, original: Hook, self: Any) -> None:
            original(self)

        @around(owner, 'next')
        def fetch(run: Run, original: Hook, self: Any) -> Any:
            batch = original(self)
            if batch == {}:
                self.planned_loader.end()
            return batch


def register(module: ModuleType) -> None:
    """Our types in BasicSR's registries (basicsr.utils.registry)."""
    from mg_basicsr.host import registered

    registered.register(module)


HOOKS: dict[str, Callable[[Any], None]] = {
    'yaml': patch_yaml,
    'basicsr.utils.registry': register,
    'basicsr.models.base_model': patch_models,
    'basicsr.data.prefetch_dataloader': patch_prefetchers,
}
