"""Replacements are recorded, listed, and taken back."""

from __future__ import annotations

import gc
from types import ModuleType
from typing import Any

import pytest

from mg_basicsr import patching
from mg_basicsr.errors import ConfigError
from mg_basicsr.patching import in_force, missing, note_missing, refuse_missing, replace, replaced, undo, wrap


class Base:
    def step(self) -> str:
        """Original."""
        return 'base'


class Derived(Base):
    pass


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(patching, '_missing', [])
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


def test_dotted_names_are_looked_up_in_a_module() -> None:
    module = ModuleType('somewhere')
    module.Derived = type('Derived', (Base,), {})  # type: ignore[attr-defined]
    assert wrap(module, 'Derived.step', louder, 'be louder')
    assert module.Derived().step() == 'base!' and Base().step() == 'base'
    assert not wrap(module, 'Absent.__init__', louder, 'be louder')  # None has an __init__ too


def test_entries_of_dictionaries() -> None:
    things = {'one': 1}
    before = len(in_force())
    for name in ('one', 'two'):
        replace(things, name, 2, 'count')
    assert things == {'one': 2, 'two': 2}
    undo(before)
    assert things == {'one': 1}


def test_what_is_missing_is_passed_over_or_listed_with_what_is_lost() -> None:
    module = ModuleType('somewhere')
    module.__file__ = '/repository/somewhere.py'
    before = len(in_force())
    assert not wrap(module, 'leap', louder, 'be louder')
    assert missing() == []
    for _ in range(2):
        assert not wrap(module, 'Base.leap', louder, 'be louder', lost='it is quiet')
        note_missing(Base, 'hop', 'it stands still')
    assert [str(each) for each in missing()] == [
        'somewhere.Base.leap: missing in /repository/somewhere.py: it is quiet',
        f'{__name__}.Base.hop: missing in {__file__}: it stands still',
    ]
    assert len(in_force()) == before
    refuse_missing()  # nothing of this is required


def test_what_is_required_is_refused_by_file_and_name() -> None:
    module = ModuleType('somewhere')
    module.__file__ = '/repository/somewhere.py'
    assert not wrap(module, 'Base.leap', louder, 'be louder', required=True)
    expected = r'/repository/somewhere.py: somewhere.Base.leap is missing, but a plan needs it: be louder'
    with pytest.raises(ConfigError, match=expected):
        refuse_missing()


def test_replaced_for_a_while() -> None:
    thing = Base()
    with replaced(thing, 'step', lambda: 'own'):
        assert thing.step() == 'own'
    assert 'step' not in vars(thing)
    with pytest.raises(RuntimeError), replaced(Base, 'step', lambda self: 'other'):
        raise RuntimeError
    assert thing.step() == 'base'
