"""A hook of mkdocs: the code that pages link to becomes one page of the site, and each link leads to its lines there.

In a page, such a link names a function, class or constant, and its file: [`vote`](../fer_model/evaluate.py).
"""

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[`(?P<name>\w+)`\]\(\.\./(?P<path>[\w/]+\.py)\)")
PAGE = "code.md"
HEAD = """# Code that the pages name

The lines that the other pages link to, taken from the source when the site was built.
"""


def lines_of(name: str, path: Path) -> tuple[int, str]:
    """Number of the first line, and the text, of a function, class or constant at the top of a module.

    Raises:
        LookupError: there is nothing of that name.
    """
    source = path.read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        if name in [getattr(target, "name", getattr(target, "id", None)) for target in targets]:
            lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
            return node.lineno, "\n".join(lines)
    raise LookupError(f"{path} has no {name}; mend the link to it in docs/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    links = {
        match.group("path", "name")
        for file in files.documentation_pages()
        for match in LINK.finditer(file.content_string)
    }
    text = [HEAD]
    for path, name in sorted(links):
        first, lines = lines_of(name, ROOT / path)
        text.append(f"## {_title(path, name)}\n\nFrom line {first} of `{path}`:\n\n```python\n{lines}\n```\n")
    files.append(File.generated(config, PAGE, content="\n".join(text)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links lead there."""
    return LINK.sub(lambda match: f"[`{match['name']}`]({PAGE}#{_anchor(match['path'], match['name'])})", markdown)


def _title(path: str, name: str) -> str:
    return f"{name} in {path}"


def _anchor(path: str, name: str) -> str:
    return re.sub(r"[^\w -]", "", _title(path, name)).replace(" ", "-").lower()
