"""Hook of mkdocs that lets pages of the book link to files of the repository that are not in `docs/`.

Pages are written so that they read well in the repository: a link is relative to the file that holds it. The book has only
what is in `docs/`, so this hook adds the pages of the root that `docs/` links to, adds linked files as they are, and points
the links to the copies. A link to a file that does not exist stays as it is, and mkdocs reports it.
"""

import os
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PROJECT_PAGES = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"]
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^\s*```")


def repository_path(page):
    """Returns the path of a page in the repository."""
    name = page.src_uri
    return name.removeprefix("project/") if name.startswith("project/") else f"docs/{name}"


def book_path(target):
    """Returns the path in the book of a file of the repository, or None where the book cannot hold it."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if target in PROJECT_PAGES:
        return f"project/{target}"
    return f"repository/{target}" if (ROOT / target).is_file() else None


def linked_files(text, source):
    """Yields the paths in the repository that a page links to."""
    for match in LINK.finditer(text):
        link = match.group(2)
        if "://" not in link and not link.startswith(("mailto:", "/")):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def on_files(files, config):
    """Adds the pages of the root, and every file that a page links to."""
    sources = list(files.documentation_pages())
    for name in PROJECT_PAGES:
        added = File.generated(config, f"project/{name}", abs_src_path=str(ROOT / name))
        files.append(added)
        sources.append(added)
    wanted = set()
    for page in sources:
        text = Path(page.abs_src_path).read_text(encoding="utf-8")
        wanted.update(linked_files(text, repository_path(page)))
    for target in sorted(wanted):
        path = book_path(target)
        if path and path.startswith("repository/"):
            # Markdown outside docs/ is shown as it is written: only pages of the navigation are rendered.
            name = path + ".txt" if path.endswith(".md") else path
            files.append(File.generated(config, name, content=(ROOT / target).read_bytes()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Points links that leave `docs/` to the copies in the book."""
    source = repository_path(page.file)

    def rewritten(match):
        link = match.group(2)
        if "://" in link or link.startswith(("mailto:", "/")):
            return match.group(0)
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        path = book_path(target)
        if path is None:
            return match.group(0)
        if path.startswith("repository/") and path.endswith(".md"):
            path += ".txt"
        relative = os.path.relpath(path, posixpath.dirname(page.file.src_uri) or ".")
        return f"{match.group(1)}{relative}{match.group(3) or ''}{match.group(4)}"

    lines, in_code = [], False
    for line in markdown.split("\n"):
        if FENCE.match(line):
            in_code = not in_code
        lines.append(line if in_code else LINK.sub(rewritten, line))
    return "\n".join(lines)
