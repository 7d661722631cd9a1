"""Attaches shims and hooks to the host's modules: at once to those that are loaded, to the others on their import.

Nothing is imported here, so `import mg_basicsr` stays cheap, and whichever basicsr the script would import is the one
that is patched: an installed one, or a repository's own.
"""

from __future__ import annotations

import wrapt

from mg_basicsr.host.patches.compat import SHIMS
from mg_basicsr.host.patches.hooks import HOOKS


def install() -> None:
    """Registers every shim and hook. Calling it again changes nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    for table in (SHIMS, HOOKS):
        for module, patch in table.items():
            wrapt.register_post_import_hook(patch, module)


_installed = False
