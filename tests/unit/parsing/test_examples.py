"""The examples in the documentation of what reads options."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    'name', ['parsing.values', 'parsing.section', 'parsing.problems', 'parsing.options_file', 'dataset_types']
)
def test_examples_give_what_they_show(name: str) -> None:
    result = doctest.testmod(import_module(f'mg_basicsr.{name}'))
    assert result.attempted and not result.failed
