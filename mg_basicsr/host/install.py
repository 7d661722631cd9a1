"""Installation of shims and hooks: at once on modules that are loaded, on the others when they are imported.

The functions that patch are named as text and imported with the module that they patch, so that `import mg_basicsr`
loads little, and any basicsr that the script imports is patched: an installed one, or a repository's own.
"""

from __future__ import annotations

import wrapt

from mg_basicsr.host.patches.finders import add_finders

SHIMS = 'mg_basicsr.host.patches.compat:apply'

# (module, 'module:function' to call with it), in order: shims first, so that hooks wrap the repaired functions.
PATCHES = (
    ('yaml', 'mg_basicsr.host.patches.planned_options:patch_yaml'),
    ('torch', SHIMS),
    ('torch', 'mg_basicsr.host.patches.hooks:patch_torch'),
    ('torch.utils.data.dataloader', 'mg_basicsr.host.patches.hooks:patch_loader'),
    ('wandb.util', SHIMS),
    ('basicsr.utils', 'mg_basicsr.host.entry.which_basicsr:on_import'),
    ('basicsr.utils.registry', 'mg_basicsr.host.patches.hooks:register'),
    ('basicsr.utils.dist_util', SHIMS),
    ('basicsr.utils.options', SHIMS),
    ('basicsr.utils.misc', 'mg_basicsr.host.patches.hooks:patch_folders'),
    ('basicsr.data.prefetch_dataloader', SHIMS),
    ('basicsr.data.prefetch_dataloader', 'mg_basicsr.host.patches.hooks:patch_prefetchers'),
    ('basicsr.data', 'mg_basicsr.host.patches.hooks:patch_data'),  # before basicsr.train takes the name from it
    ('basicsr.utils.logger', 'mg_basicsr.host.patches.hooks:patch_logger'),
    ('basicsr.models.base_model', SHIMS),
    ('basicsr.models.base_model', 'mg_basicsr.host.patches.hooks:patch_models'),
    ('basicsr.archs.spynet_arch', SHIMS),
    ('basicsr.archs.basicvsrpp_arch', SHIMS),
    ('basicsr.models.archs.spynet_arch', SHIMS),  # BasicSR up to 1.2
    ('basicsr.train', SHIMS),
)


def install() -> None:
    """Register every shim and hook. Calling it again changes nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    add_finders()
    for module, function in PATCHES:
        wrapt.register_post_import_hook(function, module)


_installed = False
