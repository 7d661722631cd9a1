"""Replacements are recorded, listed, and taken back."""

from __future__ import annotations

import gc
from types import ModuleType
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.patching import in_force, replace, replaced, undo, wrap


class Base:
    def step(self) -> str:
        """Original."""
        return 'base'


class Derived(Base):
    pass


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    before = len(in_force())
    yield
    undo(before)


def louder(original: Any) -> Any:
    return lambda self: original(self) + '!'


@pytest.mark.parametrize('owner', [Base, Derived])
def test_a_method_is_wrapped_listed_and_put_back(owner: type) -> None:
    before, own = len(in_force()), dict(vars(owner))
    assert wrap(owner, 'step', louder, 'be louder')
    assert owner().step() == 'base!' and owner.step.__doc__ == 'Original.'
    assert str(in_force()[-1]) == f'{__name__}.{owner.__name__}.step: be louder'
    undo(before)
    assert dict(vars(owner)) == own and owner().step() == 'base'


def test_the_same_reason_wraps_once_and_another_again() -> None:
    for reason in ('be louder', 'be louder', 'be even louder'):
        wrap(Base, 'step', louder, reason)
    wrap(Derived, 'step', louder, 'be louder')  # inherits it
    assert Base().step() == Derived().step() == 'base!!'


def test_objects_are_not_kept_alive() -> None:
    thing = Base()
    before = len(in_force())
    replace(thing, 'step', lambda: 'own', 'a step of its own')
    assert thing.step() == 'own' and str(in_force()[-1]).startswith(f'{__name__}.Base().step')
    del thing
    gc.collect()
    assert len(in_force()) == before


def test_values_that_did_not_exist_go_again() -> None:
    module = ModuleType('somewhere')
    before = len(in_force())
    replace(module, 'added', 1, 'needed by others')
    assert module.added == 1
    undo(before)
    assert not hasattr(module, 'added')


def test_what_is_missing_is_skipped_or_an_error_that_names_it() -> None:
    assert not wrap(None, 'step', louder, 'be louder')
    assert not wrap(Base, 'leap', louder, 'be louder')
    with pytest.raises(ConfigError, match=r'Base\.leap: missing in this repository, but needed: be louder'):
        wrap(Base, 'leap', louder, 'be louder', required=True)


def test_replaced_for_a_while() -> None:
    thing = Base()
    with replaced(thing, 'step', lambda: 'own'):
        assert thing.step() == 'own'
    assert 'step' not in vars(thing)
    with pytest.raises(RuntimeError), replaced(Base, 'step', lambda self: 'other'):
        raise RuntimeError
    assert thing.step() == 'base'
