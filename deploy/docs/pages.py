"""A hook of mkdocs: the repository's documents become the site's pages.

README and its like stand outside of docs/, and link into it and out of it. They are pages too; a
link to another file of the repository becomes that file's name, and one that leads nowhere is a
warning, which `mkdocs build --strict` takes for an error.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / ".venv-docs" / "reference.md"
DOCS = "docs/"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples.md",
    "examples/upstream/README.md": "examples-upstream.md",
}
"""Documents outside of docs/, and their places in the site."""

_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[([^\[\]]+)\]\(([^()\s]+)\)")
_IMAGE = re.compile(r"(!)\[([^\[\]]*)\]\(([^()\s]+)\)")
_ELSEWHERE = re.compile(r"#|[a-z]+:")
_log = logging.getLogger("mkdocs.hooks.pages")


def on_files(files: "Files", *, config: "MkDocsConfig") -> "Files":
    """Add the documents outside of docs/, and the API's reference."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - only mkdocs itself has it

    for document, place in PAGES.items():
        text = (ROOT / document).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    text = REFERENCE.read_text(encoding="utf-8")
    files.append(File.generated(config, "reference.md", content=text))
    return files


def on_page_markdown(markdown: str, *, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Make the links of the document those of the site."""
    del config, files
    place = page.file.src_uri
    if place == "reference.md":
        return markdown
    text, lost = site_text(markdown, document_of(place))
    for target in lost:
        _log.warning("%s has a link that leads nowhere: %s", document_of(place), target)
    return text


def document_of(place: str) -> str:
    """Return the path in the repository of the page at this place in the site."""
    return next((path for path, page in PAGES.items() if page == place), DOCS + place)


def site_text(markdown: str, document: str) -> tuple[str, list[str]]:
    """Return the document with the site's links, and the targets that do not exist."""
    lost: list[str] = []
    place = PAGES.get(document, document.removeprefix(DOCS))

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        found = site_target(target, document, place)
        if found is None:
            lost.append(target)
            return text
        if found:
            return f"[{text}]({found})"
        path = _path(target, document)
        return text if path in text else f"{text} (`{path}`)"

    def image(match: re.Match[str]) -> str:
        found = site_target(match[3], document, place)
        if not found:
            lost.append(match[3])
        return f"![{match[2]}]({found or match[3]})"

    parts = _FENCED.split(markdown)
    parts[::2] = [_IMAGE.sub(image, _LINK.sub(link, part)) for part in parts[::2]]
    return "".join(parts), lost


def site_target(target: str, document: str, place: str) -> str | None:
    """Return where a link of the document leads in the site.

    An empty string is a file of the repository that the site does not have, None nothing at all.
    """
    if _ELSEWHERE.match(target):
        return target
    path, (_, mark, anchor) = _path(target, document), target.partition("#")
    if path.startswith("..") or not (ROOT / path).exists():
        return None
    found = PAGES.get(path) or PAGES.get(f"{path}/README.md")
    if found is None and path.startswith(DOCS):
        found = path.removeprefix(DOCS)
    if found is None:
        return ""
    return posixpath.relpath(found, posixpath.dirname(place) or ".") + mark + anchor


def _path(target: str, document: str) -> str:
    """Return the path in the repository that a link of the document means."""
    there = target.partition("#")[0]
    return posixpath.normpath(posixpath.join(posixpath.dirname(document), there))
