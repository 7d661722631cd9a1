"""Protocol of extensions: each is one feature that changes training steps, as one object.

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
    """Base of all extensions. Every method does nothing; a subclass overrides those that it needs.

    Attributes:
        name: Name in the log, and key of the extension's state in checkpoints.
    """

    name = ''

    def arrange(self, network: nn.Module) -> None:
        """Prepare a network on its way to the device, before it is wrapped for several ranks."""

    def attach(self, model: HostModel) -> list[str]:
        """Attach the extension to a model that has its networks and optimisers. Called once.

        Returns:
            Lines for the log: the effect, and the networks that it is on.

        Raises:
            TrainingError: the model, its device or this machine does not support the extension.
        """
        return []

    def before_step(self, step: Step) -> None:
        """Set everything that depends on the iteration. Called before the mini-batch is fed, for steps in any order."""

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step with this extension around `call`. Called once, after `attach`."""
        return call

    def settle(self) -> None:
        """Do what was put off until a line of the log is written. Called before it, and after the last step."""

    def resumed(self, model: HostModel) -> None:
        """Adapt to optimiser states that have been loaded from a checkpoint."""

    def trial(self) -> AbstractContextManager[None]:
        """Return a context for trial steps, in which ranks exchange nothing and nothing is counted.

        The model, and the extensions that have a state, are restored afterwards by the caller.
        """
        return nullcontext()

    def state_dict(self) -> dict[str, Any] | None:
        """Return the part of a checkpoint: tensors, numbers, text, lists, dictionaries. None: there is no state."""
        return None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the `state_dict()` of another run, after its networks and optimisers."""


def extend(model: HostModel, extensions: Sequence[Extension], log: Callable[[str], None] = lambda line: None) -> None:
    """Attach extensions to a model, and compose its training step from them. Called once for a model.

    Args:
        model: The model, its networks and optimisers set up.
        extensions: In order: each is attached after those before it, and its step contains theirs.
        log: Receives the lines that extensions return.

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
    if step is not own:  # a step that nothing changes stays the model's own, without a patch in the list
        replace(model, 'optimize_parameters', step, 'training step with ' + ', '.join(names))


def stateful(extensions: Sequence[Extension]) -> dict[str, Extension]:
    """Return the extensions that have a state in checkpoints, by name."""
    return {extension.name: extension for extension in extensions if extension.state_dict() is not None}
