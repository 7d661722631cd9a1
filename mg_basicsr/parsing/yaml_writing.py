"""Writing of values as YAML that BasicSR's reader, YAML 1.1, and editors, YAML 1.2, read as the same values."""

from __future__ import annotations

from typing import Any

import yaml


class Flow(dict[str, Any]):
    """Mapping that is written on one line."""


class Dumper(yaml.SafeDumper):
    """Separate dumper, so that the representers below are not added to PyYAML's."""


def _represent_flow(dumper: yaml.SafeDumper, data: Flow) -> yaml.Node:
    return dumper.represent_mapping('tag:yaml.org,2002:map', data, flow_style=True)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    """Write the shortest text that reads back as the same float.

    YAML 1.1 needs a point and a sign: 2.0e-04, not 2e-04.
    """
    text = repr(value)
    mantissa, e, exponent = text.partition('e')
    if e:
        point = mantissa if '.' in mantissa else mantissa + '.0'
        text = f'{point}e{exponent if exponent[0] in "+-" else "+" + exponent}'
    return dumper.represent_scalar('tag:yaml.org,2002:float', text)


Dumper.add_representer(Flow, _represent_flow)
Dumper.add_representer(float, _represent_float)


def one_line(value: Any) -> str:
    """Return a value as YAML on one line, to stand behind a key.

    >>> one_line([0.5, 1.0]), one_line(2e-5), one_line('a: b'), one_line(None)
    ('[0.5, 1.0]', '2.0e-05', "'a: b'", 'null')
    """
    text = yaml.dump(
        [value], Dumper=Dumper, default_flow_style=True, sort_keys=False, width=1 << 30, allow_unicode=True
    )
    return text.strip()[1:-1]
