"""Hooks of mkdocs.yml: add pages that are not in docs/ to the site.

The Markdown files of the repository's root become pages, with their links rewritten, and the reference is
written from the docstrings: one page for the public names of ``lince``, one for each package.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from lince.i18n import LANGUAGES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lince"
EXAMPLES = [name for name in ("examples/README.md",) if (ROOT / name).is_file()]
TRANSLATED = [code for code in LANGUAGES if (ROOT / f"README.{code}.md").is_file()]
# File of the repository: page of the site.
ROOT_PAGES = {
    "README.md": "overview.md",
    **{f"README.{code}.md": f"overview.{code}.md" for code in TRANSLATED},
    **dict.fromkeys(EXAMPLES, "examples.md"),
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "NOTES.md": "notes.md",
    "SECURITY.md": "security.md",
    "LICENSE": "LICENSE",
    "NOTICE": "NOTICE",
}
REFERENCE = "reference"
# For the public page: cross-references lead to the page of the package.
_PUBLIC_OPTIONS = {"skip_local_inventory": "true", "show_symbol_type_heading": "false"}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the reference, of the examples and of the other languages to the navigation."""
    reference: list[Any] = [f"{REFERENCE}/index.md", *(f"{REFERENCE}/{package}.md" for package in list_packages())]
    added = {"Lessons": ["examples.md"] if EXAMPLES else [], "Reference": reference}
    nav = [{name: [*pages, *added.get(name, [])] for name, pages in part.items()} for part in config.nav or []]
    config.nav = nav + [
        {LANGUAGES[code].name: [f"overview.{code}.md", *list_translated_pages(code)]} for code in TRANSLATED
    ]
    return config


def list_translated_pages(code: str) -> list[str]:
    """Return the pages in ``docs/`` of one language: the index first, then the lessons, then the others."""
    paths = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs" / code).rglob("*.md")]
    return sorted(paths, key=lambda path: (path != f"{code}/index.md", "/lessons/" not in path, path))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root and of the reference."""
    for name, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text("utf-8")))
    files.append(File.generated(config, f"{REFERENCE}/index.md", content=write_public_page()))
    for package in list_packages():
        files.append(File.generated(config, f"{REFERENCE}/{package}.md", content=write_package_page(package)))
    return files


def on_page_markdown(markdown: str, page: Page, **_others: Any) -> str:
    """Rewrite links to files of the repository for the site; links to what the site lacks become plain text."""
    return rewrite_links(markdown, page.file.src_uri)


def rewrite_links(markdown: str, page: str) -> str:
    """Return the text of ``page``, a path of the site, with its links rewritten; code is left unchanged."""
    source = {name: origin for origin, name in ROOT_PAGES.items()}.get(page, f"docs/{page}")
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_rewrite(markdown[end : fence.start()], source, page), fence[0]]
        end = fence.end()
    return "".join([*parts, _rewrite(markdown[end:], source, page)])


def _rewrite(text: str, source: str, page: str) -> str:
    def lead(link: re.Match[str]) -> str:
        mark, words, target, anchor = link[1], link[2], link[3], link[4] or ""
        if re.match(r"[a-z]+:", target):
            return link[0]
        words = _rewrite(words, source, page) if "](" in words else words
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = ROOT_PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else "")
        if not place:
            return words
        return f"{mark}[{words}]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(lead, text)


def list_packages() -> list[str]:
    """Return the packages of lince, and its modules that are not in one."""
    names = [path.stem if path.is_file() else path.name for path in SOURCE.iterdir() if _is_module(path)]
    return sorted(name for name in names if not name.startswith("__"))


def write_public_page() -> str:
    """Return the page of the public names: what ``import lince`` gives."""
    lines = [
        "# lince in Python",
        "",
        "The names that `import lince` gives. The command line calls the same functions.",
        "",
    ]
    for name, target in _public_names():
        lines += [f"::: {target}", "    options:", *(f"      {key}: {value}" for key, value in _PUBLIC_OPTIONS.items())]
        lines += [f"      heading: lince.{name}", f"      toc_label: lince.{name}", ""]
    return "\n".join(lines)


def write_package_page(package: str) -> str:
    """Return the reference page of one package: its docstring and its modules."""
    lines = [f"# lince.{package}", ""]
    init = SOURCE / package / "__init__.py"
    if init.is_file() and not _defines_something(init):
        lines += [ast.get_docstring(ast.parse(init.read_text("utf-8"))) or "", ""]
    for name in _modules(package):
        lines += [f"::: {name}", ""]
    return "\n".join(lines)


def _public_names() -> Iterator[tuple[str, str]]:
    """Yield (public name, where it is defined) from the table of the facade."""
    for node in ast.parse((SOURCE / "__init__.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_LAZY_IMPORTS":
            table: dict[str, str] = ast.literal_eval(node.value)
            yield from ((name, where.replace(":", ".")) for name, where in table.items())


def _modules(package: str) -> Iterator[str]:
    single = SOURCE / f"{package}.py"
    for path in [single] if single.is_file() else sorted((SOURCE / package).rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        if parts[-1] != "__init__" or _defines_something(path):
            yield ".".join(parts).removesuffix(".__init__")


def _defines_something(path: Path) -> bool:
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return any(isinstance(node, kinds) for node in ast.parse(path.read_text("utf-8")).body)


def _is_module(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").is_file()
