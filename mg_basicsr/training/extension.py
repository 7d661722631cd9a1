"""Extension: one feature that changes training steps, as one object with one small protocol.

A model is extended once, when it has its networks and optimisers:

    extend(model, extensions)        attach each in order, then compose the training step from all of them
    for each iteration:
        extension.before_step(step)  rates and divisions, functions of the plan's step
        model.optimize_parameters()  the composed step: the first extension is the innermost
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import nn

from mg_basicsr.patching import replace
from mg_basicsr.schedule.plan import Step
from mg_basicsr.training.host_model import HostModel

TrainStep = Callable[..., Any]  # a model's optimize_parameters, whatever its arguments


class Extension:
    """Base of all extensions. Every method does nothing; a subclass overrides what it needs.

    Attributes:
        name: Name in the log, and key of its state in checkpoints.
    """

    name = ''

    def arrange(self, network: nn.Module) -> None:
        """Prepare a network on its way to the device, before it is wrapped for several ranks."""

    def attach(self, model: HostModel) -> list[str]:
        """Take hold of a model that has its networks and optimisers. Called once.

        Returns:
            Lines for the log: what it does, and to which networks.

        Raises:
            TrainingError: the model, its device or this machine cannot do what the extension needs.
        """
        return []

    def before_step(self, step: Step) -> None:
        """Set what depends on the iteration. Called before the mini-batch is fed; may be called in any order."""

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step with this extension around `call`. Called once, after `attach`."""
        return call

    def resumed(self, model: HostModel) -> None:
        """Adapt to optimiser states that have been loaded from a checkpoint."""

    def trial(self) -> AbstractContextManager[None]:
        """Return a context in which steps are made on trial: ranks exchange nothing, and nothing is counted.

        What such steps change in the model, and in extensions that have a state, is put back afterwards.
        """
        return nullcontext()

    def state_dict(self) -> dict[str, Any] | None:
        """Return its part of a checkpoint: tensors, numbers, text, lists, dictionaries. None: nothing to keep."""
        return None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict()` of another run; networks and optimisers have been loaded."""


def extend(model: HostModel, extensions: Sequence[Extension], log: Callable[[str], None] = lambda line: None) -> None:
    """Attach extensions to a model, and compose its training step from them. Called once for a model.

    Args:
        model: The model, its networks and optimisers set up.
        extensions: In order: each is attached after, and wraps the training step around, those before it.
        log: Gets the lines that extensions return.

    Raises:
        TrainingError: an extension cannot be attached.
    """
    step: TrainStep = model.optimize_parameters
    own, names = step, []
    for extension in extensions:
        for line in extension.attach(model):
            log(line)
        inner, step = step, extension.around(step)
        if step is not inner:
            names.append(extension.name)
    if step is not own:
        replace(model, 'optimize_parameters', step, 'training step with ' + ', '.join(names))


def stateful(extensions: Sequence[Extension]) -> dict[str, Extension]:
    """Return the extensions that have a part in checkpoints, by name."""
    return {extension.name: extension for extension in extensions if extension.state_dict() is not None}
