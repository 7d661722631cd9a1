"""Add to the site what lies outside docs/: the README and its kin as pages, and the files that pages link to.

MkDocs reads one folder. The documents at the root are where people look for them in a repository, so they stay there,
and links between documents are those that work in a clone. This hook of `mkdocs.yml` gives each a place in the site,
and makes the links point there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    'README.md': 'index.md',
    'CONTRIBUTING.md': 'contributing.md',
    'CHANGELOG.md': 'changelog.md',
    'options/README.md': 'options_files.md',
    'examples/own_preset/README.md': 'own_preset.md',
}
SOURCES = {page: source for source, page in PAGES.items()}
LINK = re.compile(r'(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the root, and each file outside docs/ that a page links to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    linked = {place(page.src_uri, target) for page in files.documentation_pages() for target in targets(page)}
    for path in sorted(linked):
        if not path.startswith('docs/') and path not in PAGES and (ROOT / path).is_file():
            files.append(File.generated(config, f'files/{path}', abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page with its links between documents as links between pages."""
    here = posixpath.dirname(page.file.src_uri)
    return LINK.sub(lambda link: posixpath.relpath(in_site(place(page.file.src_uri, link[1])), here or '.'), markdown)


def targets(page: File) -> list[str]:
    """Return the targets of a page's links to files."""
    return LINK.findall(page.content_string)


def place(page: str, target: str) -> str:
    """Return the path in the repository that a link of a page means.

    Args:
        page: The page, as a path in the site's sources.
        target: The target of the link, without its anchor.
    """
    source = SOURCES.get(page, f'docs/{page}')
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def in_site(path: str) -> str:
    """Return where a path of the repository is in the site's sources."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix('docs/') if path.startswith('docs/') else f'files/{path}'
