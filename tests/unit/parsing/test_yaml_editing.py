"""Values replaced in the text of a YAML file."""

from __future__ import annotations

import pytest

from mg_basicsr.parsing.yaml_editing import with_values

NEW = {'gt_sizes': [384], 'iters': [300], 'gt_size': 384}


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (
            'datasets:\n  train:\n    gt_sizes: [1,2,  3]   # sizes\n    gt_size: 256 # full\n    iters: [1,2,3]\n',
            'datasets:\n  train:\n    gt_sizes: [384]   # sizes\n    gt_size: 384 # full\n    iters: [300]\n',
        ),
        (
            'datasets:\n  train:\n    gt_sizes:\n    - 1\n    - 2 # 2\n\n    # next\n    iters:\n      - 1\n  val: {}',
            'datasets:\n  train:\n    gt_sizes:\n      [384] # 2\n\n    # next\n    iters:\n        [300]\n  val: {}',
        ),
        (
            'gt_sizes: [9]\ndatasets: {train: {gt_sizes: [1, 2], iters: [1, 2]}, val: {gt_sizes: [7]}}',
            'gt_sizes: [9]\ndatasets: {train: {gt_sizes: [384], iters: [300]}, val: {gt_sizes: [7]}}',
        ),
        (
            '\ufeff# größe\r\ndatasets:\r\n  train:\r\n    gt_sizes: [\r\n      1,\r\n      2]\r\n',
            '\ufeff# größe\r\ndatasets:\r\n  train:\r\n    gt_sizes: [384]\r\n',
        ),
        ('datasets:\n  train:\n    name: none\n', 'datasets:\n  train:\n    name: none\n'),
        # what aliases share, and what is merged, has no place of its own
        ('datasets:\n  train:\n    gt_sizes: &a [1]\n    other: *a\n', None),
        ('datasets:\n  train:\n    other: &a [1]\n    gt_sizes: *a\n', None),
        ('base: &b {gt_sizes: [1]}\ndatasets:\n  train:\n    <<: *b\n', None),
    ],
)
def test_values_are_replaced_and_nothing_else(text: str, expected: str | None) -> None:
    assert with_values(text, ('datasets', 'train'), NEW) == expected
