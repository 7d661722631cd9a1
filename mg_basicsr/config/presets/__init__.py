"""Presets: what they are made of, for those in this package and for those that others register."""

from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import key, section_key
from mg_basicsr.config.presets.preset import ClipsOption, Preset
from mg_basicsr.config.presets.table import register

__all__ = ['Block', 'ClipsOption', 'Preset', 'key', 'register', 'section_key']
