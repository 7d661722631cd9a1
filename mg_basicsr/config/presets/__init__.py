"""Presets: the classes and functions that they are made of, for this package and for others that register presets."""

from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import key, section_key
from mg_basicsr.config.presets.preset import ClipsOption, Preset
from mg_basicsr.config.presets.table import register

__all__ = ['Block', 'ClipsOption', 'Preset', 'key', 'register', 'section_key']
