"""Settings of the test tools."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile('mg_basicsr', deadline=None)  # other work on the machine must not fail a test
settings.load_profile('mg_basicsr')
