"""Shims for the loggers that BasicSR opens."""

from __future__ import annotations

from types import ModuleType

from mg_basicsr.host.patches import loggers


def test_an_id_for_wandb_only_where_it_makes_none() -> None:
    old, new = ModuleType('wandb.util'), ModuleType('wandb.util')
    old.generate_id = lambda: 'own'  # type: ignore[attr-defined]
    for util in (old, new):
        loggers.wandb_id(util)
    assert old.generate_id() == 'own'
    made = new.generate_id()
    assert len(made) == 8 and made.isalnum() and made != new.generate_id()
