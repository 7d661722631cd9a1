"""A training script is executed up to its imports, so that its classes are registered, and does not train."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.host.entry.script import import_classes

RECORD = 'import sys\nsys.modules["records"].append'


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    found: list[object] = []
    monkeypatch.setitem(sys.modules, 'records', found)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('{record}(1)\nimport os\n{record}(2)\n{record}(3)', [1, 2]),
        ('{record}(1)\nfrom os import path\nsys.modules["records"].append("trains")', [1]),
        ('{record}(1)\nif True:\n    import os\nsys.modules["records"].append("trains")', [1]),
        ('{record}(1)\ntry:\n    import none_such\nexcept ImportError:\n    {record1}(2)\n', [1, 2]),
        ('{record}(__name__)\nimport os\nif __name__ == "__main__":\n    import none_such\n', ['multigrid_script']),
        ('{record}(1)\nimport os\ndef f():\n    import none_such\nf()\n', [1]),
        ('{record}(__file__)\nimport os', ['train.py']),
        ('x = 1', []),
        ('', []),
    ],
)
def test_what_is_executed(tmp_path: Path, records: list[object], text: str, expected: list[object]) -> None:
    script = tmp_path / 'train.py'
    script.write_text(text.replace('{record1}', 'sys.modules["records"].append').replace('{record}', RECORD))
    import_classes(script)
    assert [Path(item).name if isinstance(item, str) else item for item in records] == expected


@pytest.mark.parametrize(
    'text', ['import none_such', 'import sys\nsys.exit(3)\nimport os', 'def', 'x = 1 / 0\nimport os', None]
)
def test_a_script_that_cannot_be_imported(tmp_path: Path, text: str | None) -> None:
    script = tmp_path / 'train.py'
    if text is not None:
        script.write_text(text)
    with pytest.raises(ConfigError) as caught:
        import_classes(script)
    (problem,) = caught.value.problems
    assert problem.option == f'--script {script}' and problem.remedy
