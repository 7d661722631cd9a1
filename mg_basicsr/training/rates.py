"""Extension that sets the learning rate of every parameter group from the plan."""

from __future__ import annotations

from mg_basicsr.schedule.plan import Step
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.host_model import HostModel


class PlannedRates(Extension):
    """Extension that sets each parameter group's rate from the group's initial rate.

    So the ratios between groups stay, such as those of `flow_lr_mul` and of a second optimiser.
    """

    name = 'rates'

    def attach(self, model: HostModel) -> list[str]:
        """Store the initial rates; see `Extension.attach`."""
        self.optimizers = model.optimizers
        for optimizer in model.optimizers:
            for group in optimizer.param_groups:
                group.setdefault('initial_lr', group['lr'])  # as torch's schedulers do
        return []

    def before_step(self, step: Step) -> None:
        """Set the rates of an iteration."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = step.rate(group['initial_lr'])
