"""Hooks of mkdocs: pages from outside docs/, and links that hold both in the repository and on the site.

Every page is written as it reads in the repository: its links are relative to where it lies there. Here they
are turned into the site's.
"""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from posixpath import dirname, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "build" / "gallery"
"""What `gallery.py` has drawn."""
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "examples/rescue/README.md": "examples/rescue/index.md",
    "examples/sinabs_mnist/README.md": "examples/sinabs_mnist/index.md",
}
"""Pages outside docs/: where they lie in the repository, and on the site."""
EACH = re.compile(r"^::: each (\S+)$", re.MULTILINE)
"""A registry whose entries are to be documented, as `module:NAME`."""
PLAIN = "\n    options: {heading_level: 4, members: false, merge_init_into_class: true}"
LINK = re.compile(r"(?<=\]\()[^)\s#]+")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let mkdocs-click import `commands` beside this file."""
    sys.path.insert(0, str(Path(__file__).parent))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, what any page links to outside it, and the gallery."""
    if not (GALLERY / "index.md").exists():
        raise PluginError("the gallery is not drawn; run `make docs`")
    for place, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / place)))
    for path in sorted(GALLERY.rglob("*")):
        if path.is_file():
            uri = f"gallery/{path.relative_to(GALLERY).as_posix()}"
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    for place in sorted({each for file in files.documentation_pages() for each in _linked(file)}):
        if not place.startswith("docs/") and place not in OUTSIDE:
            files.append(File.generated(config, place, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    place = _place(page.file)

    def turned(found: re.Match[str]) -> str:
        target = _target(place, found[0])
        return found[0] if target is None else relpath(_uri(target), dirname(page.file.src_uri) or ".")

    return EACH.sub(_entries, LINK.sub(turned, markdown))


def _entries(found: re.Match[str]) -> str:
    """The documentation of every class of a registry, under its name."""
    module, _, registry = found[1].partition(":")
    entries = getattr(import_module(module), registry).items()
    return "\n\n".join(
        f"### `{name}`\n\n::: {kind.__module__}.{kind.__qualname__}{PLAIN}" for name, kind in entries
    )


def _linked(file: File) -> Iterator[str]:
    for link in LINK.findall(file.content_string):
        if target := _target(_place(file), link):
            yield target


def _place(file: File) -> str:
    """Where a page lies in the repository."""
    of_site = {uri: place for place, uri in OUTSIDE.items()}
    return of_site.get(file.src_uri, f"docs/{file.src_uri}")


def _target(place: str, link: str) -> str | None:
    """The file of the repository that a link on the page at `place` leads to, if it leads to one."""
    target = normpath(f"{dirname(place)}/{link}") if place.count("/") else normpath(link)
    return target if not target.startswith("..") and (ROOT / target).is_file() else None


def _uri(place: str) -> str:
    """Where a file of the repository lies on the site."""
    return OUTSIDE.get(place, place.removeprefix("docs/"))
