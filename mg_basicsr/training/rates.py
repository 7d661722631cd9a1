"""Extension: the learning rate of every parameter group follows the plan."""

from __future__ import annotations

from mg_basicsr.schedule.plan import Step
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.host_model import HostModel


class PlannedRates(Extension):
    """Set each parameter group's rate from its own initial rate.

    So the ratios between groups stay, such as those of `flow_lr_mul` and of a second optimiser.
    """

    name = 'rates'

    def attach(self, model: HostModel) -> list[str]:
        self.optimizers = model.optimizers
        for optimizer in model.optimizers:
            for group in optimizer.param_groups:
                group.setdefault('initial_lr', group['lr'])  # as torch's schedulers do
        return []

    def before_step(self, step: Step) -> None:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = step.rate(group['initial_lr'])
