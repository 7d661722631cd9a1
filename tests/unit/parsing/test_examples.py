"""The examples in the documentation of what reads options."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    'name',
    [
        *(f'parsing.{module}' for module in ('values', 'section', 'problems', 'options_file', 'yaml_text')),
        *('parsing.near_misses', 'parsing.text_numbers', 'dataset_types', 'errors'),
    ],
)
def test_examples_give_what_they_show(name: str) -> None:
    result = doctest.testmod(import_module(f'mg_basicsr.{name}'))
    assert result.attempted and not result.failed
